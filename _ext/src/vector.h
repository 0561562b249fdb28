/* Vectors of `real`: VL lanes, loads and stores without alignment, transposition. (Included once per dtype.) */

typedef real vec __attribute__((vector_size(SDL_VEC_BYTES)));
typedef real NAME(uvec) __attribute__((vector_size(SDL_VEC_BYTES), aligned(sizeof(real)), may_alias));

/* Integers as wide as `real`: what comparisons of vectors give. */
typedef integer ivec __attribute__((vector_size(SDL_VEC_BYTES)));

/* The bits of numbers, for arithmetic on exponents: of numbers out of range, or nan, it overflows. */
typedef natural NAME(bits) __attribute__((vector_size(SDL_VEC_BYTES)));

#define VL ((idx)(SDL_VEC_BYTES / sizeof(real)))
#define NR (SDL_NV * VL)
#define LINE ((idx)(64 / sizeof(real))) /* a cache line */

INLINE vec NAME(load)(const real *p) { return *(const NAME(uvec) *)p; }
INLINE void NAME(store)(real *p, vec v) { *(NAME(uvec) *)p = v; }

#define MAGNITUDE ((integer) ~((uint64_t)1 << (8 * sizeof(real) - 1))) /* all bits but the sign's */

/* Negative lanes to zero; NaN stays. */
INLINE vec NAME(clip)(vec v) { return (vec)((ivec)v & ~(ivec)(v < 0)); }

/* a where the mask is set, b elsewhere. */
INLINE vec NAME(blend)(ivec mask, vec a, vec b) { return (vec)(((ivec)a & mask) | ((ivec)b & ~mask)); }

#if __has_builtin(__builtin_shufflevector)
#define SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else /* gcc before 12 */
#define SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (ivec){ __VA_ARGS__ })
#endif

/* Sum of the lanes, always in the same order. */
INLINE real NAME(lane_sum)(vec v)
{
    real lanes[VL];
    NAME(store)(lanes, v);
    for (idx half = VL / 2; half; half /= 2)
        for (idx i = 0; i < half; i++) lanes[i] += lanes[i + half];
    return lanes[0];
}

/* Lane i of sums, vector after vector, is lane_sum(v[i]). */
INLINE void NAME(lane_sums)(const vec *v, int n, vec *sums)
{
    UNROLL(int first = 0; first < n; first += (int)VL) {
        vec a[VL];
        UNROLL(int i = 0; i < (int)VL; i++) a[i] = first + i < n ? v[first + i] : (vec){ 0 };
        UNROLL(int half = (int)VL / 2; half; half /= 2)
            UNROLL(int i = 0; i < half; i++)
                a[i] = SHUFFLE(a[i], a[i + half], LOW_INTERLEAVED) + SHUFFLE(a[i], a[i + half], HIGH_INTERLEAVED);
        sums[first / VL] = a[0];
    }
}

/* dst[j * dst_step + i] = src[i * src_step + j] for a square of VL: log2(VL) rounds of perfect shuffles. */
INLINE void NAME(transpose_square)(const real *src, idx src_step, real *dst, idx dst_step)
{
    vec a[VL], b[VL];
    UNROLL(idx i = 0; i < VL; i++) a[i] = NAME(load)(src + i * src_step);
    UNROLL(idx round = 1; round < VL; round *= 2) {
        UNROLL(idx i = 0; i < VL / 2; i++) {
            b[2 * i] = SHUFFLE(a[i], a[i + VL / 2], LOW_INTERLEAVED);
            b[2 * i + 1] = SHUFFLE(a[i], a[i + VL / 2], HIGH_INTERLEAVED);
        }
        UNROLL(idx i = 0; i < VL; i++) a[i] = b[i];
    }
    UNROLL(idx i = 0; i < VL; i++) NAME(store)(dst + i * dst_step, a[i]);
}

/* dst[j * dst_step + i] = src[i * src_step + j], i < rows, j < cols. */
static void NAME(transpose)(const real *src, idx src_step, real *dst, idx dst_step, idx rows, idx cols)
{
    idx i = 0;
    for (; i + VL <= rows; i += VL) {
        idx j = 0;
        for (; j + VL <= cols; j += VL)
            NAME(transpose_square)(src + i * src_step + j, src_step, dst + j * dst_step + i, dst_step);
        for (; j < cols; j++)
            for (idx l = i; l < i + VL; l++) dst[j * dst_step + l] = src[l * src_step + j];
    }
    for (; i < rows; i++)
        for (idx j = 0; j < cols; j++) dst[j * dst_step + i] = src[i * src_step + j];
}

/* exp of each lane, for lanes that are not above zero. Of float in lanes, to 2 units in the last place: Cephes'
 * polynomial (Moshier), x = n * log(2) + r with |r| <= log(2) / 2; what would be denormal is zero. */
#ifdef SINGLE
INLINE vec NAME(exp_lanes)(vec x)
{
    const real shifter =
        12582912.f; /* 1.5 * 2 ** 23: what is added to it is rounded to a whole number, in its lowest bits */
    vec shifted = x * 1.44269504f + shifter, n = shifted - shifter;
    vec r = x - n * .693359375f + n * 2.12194440e-4f;
    vec sum = r * 1.9875691500e-4f + 1.3981999507e-3f;
    sum = sum * r + 8.3334519073e-3f;
    sum = sum * r + 4.1665795894e-2f;
    sum = sum * r + 1.6666665459e-1f;
    sum = sum * r + 5.0000001201e-1f;
    sum = sum * (r * r) + r + 1;
    NAME(bits) power = ((NAME(bits))shifted << 23) + ((natural)127 << 23);
    return (vec)((ivec)(sum * (vec)power) & ~(ivec)(x < -87.f));
}
#else
INLINE vec NAME(exp_lanes)(vec x)
{
    UNROLL(idx l = 0; l < VL; l++) x[l] = NAME(exp)(x[l]);
    return x;
}
#endif
