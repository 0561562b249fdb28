/* Update rules: w and the rule's state in place, in one pass over memory, with g = dw + reg * w as the gradient.
 *
 * In NumPy these are up to 14 passes over arrays that do not fit the cache. Each returns the sum of squares of the new w (the
 * L2 penalty of the next step), which costs nothing here and a pass over all weights elsewhere: per block of UPDATE_BLOCK
 * elements while it is in L1, blocks then added in order, so that the sum does not depend on threads. */

#define UPDATE_BLOCK 2048

static double NAME(add_blocks)(const double *sums, idx blocks)
{
    double total = 0;
    for (idx i = 0; i < blocks; i++) total += sums[i];
    return total;
}

/* For each element i of w: `...`, with g its gradient. Leaves the sum of squares in *result. */
#define UPDATE(cost, ...)                                                                                     \
    real *restrict w = w_;                                                                                    \
    const real *restrict dw = dw_, reg = (real)reg_;                                                          \
    double *sums = sdl_scratch(SDL_SLOT_SHARED, (CEIL_DIV(size, UPDATE_BLOCK) + 1) * sizeof(double));         \
    if (!sums) return -1;                                                                                     \
    SDL_EACH_SPAN(sdl_threads(n_threads, size * (cost)), size, UPDATE_BLOCK, lo, hi)                          \
        for (idx block = lo; block < hi; block += UPDATE_BLOCK) {                                             \
            idx end = MIN(block + UPDATE_BLOCK, hi);                                                          \
            for (idx i = block; i < end; i++) {                                                               \
                real g = dw[i] + reg * w[i];                                                                  \
                __VA_ARGS__                                                                                   \
            }                                                                                                 \
            sums[block / UPDATE_BLOCK] = NAME(run_squares)(w + block, end - block, 0);                        \
        }                                                                                                     \
    *result = NAME(add_blocks)(sums, CEIL_DIV(size, UPDATE_BLOCK));                                           \
    return 0

/* All: INOUT w and state (size,), IN dw; OUT *result. Return 0, or -1 when out of memory. */

static int NAME(sgd)(void *w_, const void *dw_, double lr_, double reg_, idx size, double *result, int n_threads)
{
    real lr = (real)lr_;
    UPDATE(0.4, w[i] -= lr * g;);
}

static int NAME(sgd_momentum)(void *w_, const void *dw_, void *velocity_, double lr_, double momentum_, double reg_, idx size,
                              double *result, int n_threads)
{
    real *restrict velocity = velocity_, lr = (real)lr_, momentum = (real)momentum_;
    UPDATE(0.6, velocity[i] = momentum * velocity[i] - lr * g; w[i] += velocity[i];);
}

static int NAME(adagrad)(void *w_, const void *dw_, void *cache_, double lr_, double epsilon_, double reg_, idx size,
                         double *result, int n_threads)
{
    real *restrict cache = cache_, lr = (real)lr_, epsilon = (real)epsilon_;
    UPDATE(0.8, cache[i] += g * g; w[i] -= lr * g / (NAME(sqrt)(cache[i]) + epsilon););
}

static int NAME(rmsprop)(void *w_, const void *dw_, void *cache_, double lr_, double decay_, double epsilon_, double reg_,
                         idx size, double *result, int n_threads)
{
    real *restrict cache = cache_, lr = (real)lr_, decay = (real)decay_, rest = (real)(1 - decay_), epsilon = (real)epsilon_;
    UPDATE(0.8, cache[i] = decay * cache[i] + rest * g * g; w[i] -= lr * g / (NAME(sqrt)(cache[i]) + epsilon););
}

/* Kingma & Ba 2015, both bias corrections: they move into the step and the epsilon,
 * lr * mhat / (sqrt(vhat) + eps) = lr * sqrt(c2) / c1 * m / (sqrt(v) + eps * sqrt(c2)), c = 1 - beta ** t. */
static int NAME(adam)(void *w_, const void *dw_, void *m_, void *v_, double t, double lr_, double beta1_, double beta2_,
                      double epsilon_, double reg_, idx size, double *result, int n_threads)
{
    double c1 = -expm1(t * log(beta1_)), c2 = sqrt(-expm1(t * log(beta2_)));
    real *restrict m = m_, *restrict v = v_;
    real beta1 = (real)beta1_, rest1 = (real)(1 - beta1_), beta2 = (real)beta2_, rest2 = (real)(1 - beta2_);
    real step = (real)(lr_ * c2 / c1), epsilon = (real)(epsilon_ * c2);
    UPDATE(1.0, m[i] = beta1 * m[i] + rest1 * g; v[i] = beta2 * v[i] + rest2 * g * g;
           w[i] -= step * m[i] / (NAME(sqrt)(v[i]) + epsilon););
}

static int NAME(sum_of_squares)(const void *w_, idx size, double *result, int n_threads)
{
    const real *w = w_;
    double *sums = sdl_scratch(SDL_SLOT_SHARED, (CEIL_DIV(size, UPDATE_BLOCK) + 1) * sizeof(double));
    if (!sums) return -1;
    SDL_EACH_SPAN(sdl_threads(n_threads, size * 0.2), size, UPDATE_BLOCK, lo, hi)
        for (idx block = lo; block < hi; block += UPDATE_BLOCK)
            sums[block / UPDATE_BLOCK] = NAME(run_squares)(w + block, MIN(UPDATE_BLOCK, hi - block), 0);
    *result = NAME(add_blocks)(sums, CEIL_DIV(size, UPDATE_BLOCK));
    return 0;
}
