/* A minibatch: rows of X by index, converted to `real`, less a mean, in one pass. X may be of any type of
 * SDL_EACH_SOURCE (kernels.h), so that a data set stays what it is until a batch of it is needed, and its rows may be
 * apart. Cut by output rows. Values are those of C's conversions, as NumPy's are. */

/* A half: a subnormal is a multiple of 2^-24; of others the exponent's bias grows by 112, of infinity and nan twice. */
INLINE real NAME(from_half)(sdl_half half)
{
    uint32_t magnitude = half.bits & 0x7fff, bits = (magnitude << 13) + ((magnitude < 0x7c00 ? 112u : 224u) << 23),
             small_bits;
    float small = (float)(int32_t)magnitude * 0x1p-24f, value;
    memcpy(&small_bits, &small, sizeof small);
    bits = (magnitude < 0x400 ? small_bits : bits) | (uint32_t)(half.bits & 0x8000) << 16;
    memcpy(&value, &bits, sizeof bits);
    return (real)value;
}

#define FROM_NUMBER(value) (real)(value)
#define FROM_BOOL(value) (real)((value).byte != 0)
#define FROM_HALF(value) NAME(from_half)(value)

#define CONVERT(type, kind, FROM)                                                                           \
    static void NAME(convert_##type)(const type *restrict from, const real *mean, real *restrict to, idx n) \
    {                                                                                                       \
        if (mean)                                                                                           \
            for (idx j = 0; j < n; j++) to[j] = FROM(from[j]) - mean[j];                                    \
        else                                                                                                \
            for (idx j = 0; j < n; j++) to[j] = FROM(from[j]);                                              \
    }

SDL_EACH_SOURCE(CONVERT)
#undef CONVERT

#define X(type, kind, FROM) sizeof(type),
static const int NAME(source_sizes)[] = { SDL_EACH_SOURCE(X) };
#undef X

/* to (n,) = from (n,) of a type of SDL_EACH_SOURCE, less mean (n,) unless NULL. */
static void NAME(convert)(const void *from, int type, const real *mean, real *to, idx n)
{
    switch (type) {
#define CONVERT(type, kind, FROM) \
    case SDL_SOURCE_##type: NAME(convert_##type)(from, mean, to, n); return;
        SDL_EACH_SOURCE(CONVERT)
#undef CONVERT
    }
}

SPAN void NAME(gather)(const char *x, int type, idx stride, const intptr_t *indices, const real *mean, real *out, idx d,
                       idx lo, idx hi)
{
    for (idx i = lo; i < hi; i++) NAME(convert)(x + indices[i] * stride, type, mean, out + i * d, d);
}

/* IN x (any, d) of a type of SDL_EACH_SOURCE, its rows `stride` bytes apart, indices (rows,) in range, mean (d,) or
 * NULL; OUT out (rows, d). */
static void NAME(gather_rows)(const void *x, int type, idx stride, const intptr_t *indices, const void *mean, void *out,
                              idx rows, idx d, int n_threads)
{
    n_threads = sdl_threads(n_threads, (double)rows * d * sizeof(real) / 8);
    SDL_SPANS(n_threads, rows, 1, lo, hi, NAME(gather)(x, type, stride, indices, mean, out, d, lo, hi));
}

/* IN from (any,), items of 8 bytes, indices (rows,) in range; OUT out (rows,). Labels and weights: too few to share. */
static void NAME(gather_items)(const void *from, const intptr_t *indices, void *out, idx rows)
{
    const int64_t *items = from;
    for (idx i = 0; i < rows; i++) ((int64_t *)out)[i] = items[indices[i]];
}
