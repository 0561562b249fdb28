/* A minibatch: rows of X by index, converted to `real`, less a mean, in one pass. X may be uint8, float or double; as
 * uint8 a data set of images stays a quarter of its size until a batch of it is needed. Cut by output rows. */

#define CONVERT_FROM(type)                                                                                  \
    static void NAME(convert_##type)(const type *restrict from, const real *mean, real *restrict to, idx n) \
    {                                                                                                       \
        if (mean)                                                                                           \
            for (idx j = 0; j < n; j++) to[j] = (real)from[j] - mean[j];                                    \
        else                                                                                                \
            for (idx j = 0; j < n; j++) to[j] = (real)from[j];                                              \
    }

CONVERT_FROM(uint8_t)
CONVERT_FROM(float)
CONVERT_FROM(double)

/* to (n,) = from (n,) of item size 1, 4 or 8, less mean (n,) unless NULL. */
static void NAME(convert)(const void *from, int item_size, const real *mean, real *to, idx n)
{
    if (item_size == 1)
        NAME(convert_uint8_t)(from, mean, to, n);
    else if (item_size == 4)
        NAME(convert_float)(from, mean, to, n);
    else
        NAME(convert_double)(from, mean, to, n);
}

SPAN void NAME(gather)(const char *x, int item_size, const intptr_t *indices, const real *mean, real *out, idx d,
                       idx lo, idx hi)
{
    for (idx i = lo; i < hi; i++) NAME(convert)(x + indices[i] * d * item_size, item_size, mean, out + i * d, d);
}

/* IN x (any, d) of item size 1, 4 or 8, indices (rows,) in range, mean (d,) or NULL; OUT out (rows, d). */
static void NAME(gather_rows)(const void *x, int item_size, const intptr_t *indices, const void *mean, void *out,
                              idx rows, idx d, int n_threads)
{
    n_threads = sdl_threads(n_threads, (double)rows * d * sizeof(real) / 8);
    SDL_SPANS(n_threads, rows, 1, lo, hi, NAME(gather)(x, item_size, indices, mean, out, d, lo, hi));
}

/* IN from (any,), items of 8 bytes, indices (rows,) in range; OUT out (rows,). Labels and weights: too few to share. */
static void NAME(gather_items)(const void *from, const intptr_t *indices, void *out, idx rows)
{
    const int64_t *items = from;
    for (idx i = 0; i < rows; i++) ((int64_t *)out)[i] = items[indices[i]];
}
