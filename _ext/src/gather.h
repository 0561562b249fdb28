/* A minibatch: rows of X by index, converted to `real`, less a mean, in one pass. X may be uint8, float or double; as uint8 a
 * data set of images stays a quarter of its size until a batch of it is needed. Cut by output rows. */

#define GATHER_FROM(type)                                                                                              \
    SPAN void NAME(gather_##type)(const type *x, const intptr_t *indices, const real *mean, real *out, idx d, idx lo, idx hi) \
    {                                                                                                                  \
        for (idx i = lo; i < hi; i++) {                                                                                \
            const type *restrict from = x + indices[i] * d;                                                            \
            real *restrict to = out + i * d;                                                                           \
            if (mean)                                                                                                  \
                for (idx j = 0; j < d; j++) to[j] = (real)from[j] - mean[j];                                           \
            else                                                                                                       \
                for (idx j = 0; j < d; j++) to[j] = (real)from[j];                                                     \
        }                                                                                                              \
    }

GATHER_FROM(uint8_t)
GATHER_FROM(float)
GATHER_FROM(double)

/* IN x (any, d) of item size 1, 4 or 8, indices (rows,) in range, mean (d,) or NULL; OUT out (rows, d). */
static void NAME(gather_rows)(const void *x, int item_size, const intptr_t *indices, const void *mean, void *out, idx rows,
                              idx d, int n_threads)
{
    n_threads = sdl_threads(n_threads, (double)rows * d * sizeof(real) / 8);
    if (item_size == 1)
        SDL_SPANS(n_threads, rows, 1, lo, hi, NAME(gather_uint8_t)(x, indices, mean, out, d, lo, hi));
    else if (item_size == 4)
        SDL_SPANS(n_threads, rows, 1, lo, hi, NAME(gather_float)(x, indices, mean, out, d, lo, hi));
    else
        SDL_SPANS(n_threads, rows, 1, lo, hi, NAME(gather_double)(x, indices, mean, out, d, lo, hi));
}
