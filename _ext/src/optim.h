/* Update rules: w and the rule's state in place, in one pass over memory, with g = dw + reg * w as the gradient.
 *
 * In NumPy these are up to 14 passes over arrays that do not fit the cache. Each returns the sum of squares of the new
 * w (the L2 penalty of the next step), which costs nothing here and a pass over all weights elsewhere: per block of
 * UPDATE_BLOCK elements while it is in L1, blocks then added in order, so that the sum does not depend on threads. It
 * is nan where the state is not finite: a weight whose squared gradients overflowed does not move any more, which w
 * does not show. */

#define UPDATE_BLOCK 2048

static double NAME(add_blocks)(const double *sums, idx blocks)
{
    double total = 0;
    for (idx i = 0; i < blocks; i++) total += sums[i];
    return total;
}

/* Defines the span of a rule: `...` for each element i of w, with g its gradient and `k` the rule's constants; then
 * each block's sum of squares. State arrays the rule has none of are NULL and not touched. `state` is the element that
 * shows whether the state is finite (squares overflow before gradients do): only what is not finite is not zero when
 * multiplied by zero. */
#define RULE(rule, state, ...)                                                                                   \
    SPAN void NAME(rule##_span)(real *restrict w, const real *restrict dw, real *restrict s1, real *restrict s2, \
                                NAME(constants) k, double *sums, idx lo, idx hi)                                 \
    {                                                                                                            \
        (void)s1, (void)s2;                                                                                      \
        for (idx block = lo; block < hi; block += UPDATE_BLOCK) {                                                \
            idx end = MIN(block + UPDATE_BLOCK, hi);                                                             \
            integer over = 0;                                                                                    \
            for (idx i = block; i < end; i++) {                                                                  \
                real g = dw[i] + k.reg * w[i];                                                                   \
                __VA_ARGS__                                                                                      \
                over |= (state) * (real)0 != 0;                                                                  \
            }                                                                                                    \
            sums[block / UPDATE_BLOCK] = over ? NAN : NAME(run_squares)(w + block, end - block, 0);              \
        }                                                                                                        \
    }                                                                                                            \
    static int NAME(run_##rule)(void *w, const void *dw, void *s1, void *s2, NAME(constants) k, idx size,        \
                                double *result, int n_threads)                                                   \
    {                                                                                                            \
        double *sums = sdl_scratch(SDL_SLOT_SHARED, CEIL_DIV(size, UPDATE_BLOCK) * sizeof(double));              \
        if (!sums) return -1;                                                                                    \
        SDL_SPANS(sdl_threads(n_threads, size * 0.8), size, UPDATE_BLOCK, lo, hi,                                \
                  SDL_FLUSHED(NAME(rule##_span)(w, dw, s1, s2, k, sums, lo, hi)));                               \
        *result = NAME(add_blocks)(sums, CEIL_DIV(size, UPDATE_BLOCK));                                          \
        return 0;                                                                                                \
    }

/* `step` is the (corrected) learning rate; `decay` and `rest` belong to the first state array, `decay_2` and `rest_2`
 * to the second; `shrink` multiplies the weight itself. */
typedef struct {
    real reg, step, epsilon, decay, rest, decay_2, rest_2, shrink;
} NAME(constants);

RULE(sgd, (real)0, w[i] -= k.step * g;)
RULE(sgd_momentum, s1[i], s1[i] = k.decay * s1[i] - k.step * g; w[i] += s1[i];)
RULE(nesterov, s1[i], s1[i] = k.decay * s1[i] - k.step * g; w[i] += k.decay * s1[i] - k.step * g;)
RULE(adagrad, s1[i], s1[i] += g * g; w[i] -= k.step * g / (NAME(sqrt)(s1[i]) + k.epsilon);)
RULE(rmsprop, s1[i], s1[i] = k.decay * s1[i] + k.rest * g * g; w[i] -= k.step * g / (NAME(sqrt)(s1[i]) + k.epsilon);)
RULE(adam, s2[i], s1[i] = k.decay * s1[i] + k.rest * g; s2[i] = k.decay_2 * s2[i] + k.rest_2 * g * g;
     w[i] -= k.step * s1[i] / (NAME(sqrt)(s2[i]) + k.epsilon);)
RULE(adamw, s2[i], s1[i] = k.decay * s1[i] + k.rest * g; s2[i] = k.decay_2 * s2[i] + k.rest_2 * g * g;
     w[i] = k.shrink * w[i] - k.step * s1[i] / (NAME(sqrt)(s2[i]) + k.epsilon);)

/* A constant as real, never infinite: infinity times a gradient of zero is nan. */
INLINE real NAME(bounded)(double x) { return (real)MIN(sizeof(real) == sizeof(float) ? (double)FLT_MAX : DBL_MAX, x); }

/* All: INOUT w and state (size,), IN dw; OUT *result. Return 0, or -1 when out of memory. */

static int NAME(sgd)(void *w, const void *dw, double lr, double reg, idx size, double *result, int n_threads)
{
    NAME(constants) k = { .reg = NAME(bounded)(reg), .step = NAME(bounded)(lr) };
    return NAME(run_sgd)(w, dw, NULL, NULL, k, size, result, n_threads);
}

static int NAME(sgd_momentum)(void *w, const void *dw, void *velocity, double lr, double momentum, double reg, idx size,
                              double *result, int n_threads)
{
    NAME(constants) k = { .reg = NAME(bounded)(reg), .step = NAME(bounded)(lr), .decay = (real)momentum };
    return NAME(run_sgd_momentum)(w, dw, velocity, NULL, k, size, result, n_threads);
}

static int NAME(nesterov)(void *w, const void *dw, void *velocity, double lr, double momentum, double reg, idx size,
                          double *result, int n_threads)
{
    NAME(constants) k = { .reg = NAME(bounded)(reg), .step = NAME(bounded)(lr), .decay = (real)momentum };
    return NAME(run_nesterov)(w, dw, velocity, NULL, k, size, result, n_threads);
}

static int NAME(adagrad)(void *w, const void *dw, void *cache, double lr, double epsilon, double reg, idx size,
                         double *result, int n_threads)
{
    NAME(constants) k = { .reg = NAME(bounded)(reg), .step = NAME(bounded)(lr), .epsilon = (real)epsilon };
    return NAME(run_adagrad)(w, dw, cache, NULL, k, size, result, n_threads);
}

static int NAME(rmsprop)(void *w, const void *dw, void *cache, double lr, double decay, double epsilon, double reg,
                         idx size, double *result, int n_threads)
{
    NAME(constants) k = { .reg = NAME(bounded)(reg),
                          .step = NAME(bounded)(lr),
                          .epsilon = (real)epsilon,
                          .decay = (real)decay,
                          .rest = (real)(1 - decay) };
    return NAME(run_rmsprop)(w, dw, cache, NULL, k, size, result, n_threads);
}

/* Kingma & Ba 2015, both bias corrections: they move into the step and the epsilon,
 * lr * mhat / (sqrt(vhat) + eps) = lr * sqrt(c2) / c1 * m / (sqrt(v) + eps * sqrt(c2)), c = 1 - beta ** t. */
static NAME(constants) NAME(adam_constants)(double t, double lr, double beta1, double beta2, double epsilon)
{
    double c1 = -expm1(t * log(beta1)), root_c2 = sqrt(-expm1(t * log(beta2)));
    return (NAME(constants)){ .step = NAME(bounded)(lr * root_c2 / c1),
                              .epsilon = (real)(epsilon * root_c2),
                              .decay = (real)beta1,
                              .rest = (real)(1 - beta1),
                              .decay_2 = (real)beta2,
                              .rest_2 = (real)(1 - beta2) };
}

static int NAME(adam)(void *w, const void *dw, void *m, void *v, double t, double lr, double beta1, double beta2,
                      double epsilon, double reg, idx size, double *result, int n_threads)
{
    NAME(constants) k = NAME(adam_constants)(t, lr, beta1, beta2, epsilon);
    k.reg = NAME(bounded)(reg);
    return NAME(run_adam)(w, dw, m, v, k, size, result, n_threads);
}

/* Loshchilov & Hutter 2019: the decay acts on the weight, and the gradient has none of it. */
static int NAME(adamw)(void *w, const void *dw, void *m, void *v, double t, double lr, double beta1, double beta2,
                       double epsilon, double decay, idx size, double *result, int n_threads)
{
    NAME(constants) k = NAME(adam_constants)(t, lr, beta1, beta2, epsilon);
    k.shrink = -NAME(bounded)(lr * decay - 1);
    return NAME(run_adamw)(w, dw, m, v, k, size, result, n_threads);
}

SPAN void NAME(square_blocks)(const real *w, double *sums, idx lo, idx hi)
{
    for (idx block = lo; block < hi; block += UPDATE_BLOCK)
        sums[block / UPDATE_BLOCK] = NAME(run_squares)(w + block, MIN(UPDATE_BLOCK, hi - block), 0);
}

static int NAME(sum_of_squares)(const void *w, idx size, double *result, int n_threads)
{
    double *sums = sdl_scratch(SDL_SLOT_SHARED, CEIL_DIV(size, UPDATE_BLOCK) * sizeof(double));
    if (!sums) return -1;
    SDL_SPANS(sdl_threads(n_threads, size * 0.2), size, UPDATE_BLOCK, lo, hi, NAME(square_blocks)(w, sums, lo, hi));
    *result = NAME(add_blocks)(sums, CEIL_DIV(size, UPDATE_BLOCK));
    return 0;
}

SPAN void NAME(scale_span)(real *g, real by, idx lo, idx hi)
{
    for (idx i = lo; i < hi; i++) g[i] *= by;
}

/* The gradients of all parameters, scaled to a Euclidean norm of `most` where they have a larger one together. What is
 * not finite is left as it is, for the update to report.
 * table: IN (2, n), pointer to each gradient, INOUT, and its size;
 * norm: OUT, of what the gradients were. Returns 0, or -1 when out of memory. */
static int NAME(clip_gradients)(const void *table, idx n, double most, double *norm, int n_threads)
{
    const idx *places = table, *sizes = places + n;
    double total = 0;
    for (idx i = 0; i < n; i++) {
        double squares;
        if (NAME(sum_of_squares)((const void *)places[i], sizes[i], &squares, n_threads)) return -1;
        total += squares;
    }
    *norm = sqrt(total);
    if (!(*norm > most) || !isfinite(*norm)) return 0;
    real by = (real)(most / *norm);
    for (idx i = 0; i < n; i++)
        SDL_SPANS(sdl_threads(n_threads, sizes[i] * 0.2), sizes[i], UPDATE_BLOCK, lo, hi,
                  NAME(scale_span)((real *)places[i], by, lo, hi));
    return 0;
}
