/* Activation functions: kernels of their own, and the last pass of products and convolutions. kernels.h has their
 * table.
 *
 * A result depends on its element alone, to the bit, wherever it lies and whichever kernel computes it; but products
 * and convolutions take denormal numbers for zero. nan stays nan, so that trouble upstream is not hidden; gelu and silu
 * of minus infinity are nan, too, as in PyTorch. */

#define LEAK ((real).01) /* slope of leaky_relu below zero */

/* --- out of x */

INLINE vec NAME(identity)(vec x) { return x; }
INLINE vec NAME(relu)(vec x) { return NAME(clip)(x); }
INLINE vec NAME(leaky_relu)(vec x) { return NAME(blend)((ivec)(x < 0), x * LEAK, x); }
INLINE vec NAME(tanh)(vec x) { return NAME(vector_tanh)(x); }
INLINE vec NAME(logistic)(vec x) { return NAME(vector_logistic)(x, NULL); }
INLINE vec NAME(gelu)(vec x) { return x * NAME(vector_normal)(x, NULL); }
INLINE vec NAME(silu)(vec x) { return x * NAME(vector_logistic)(x, NULL); }

/* --- dx of dout and out, or x */

INLINE vec NAME(identity_backward)(vec dout, vec out) { return (void)out, dout; }
INLINE vec NAME(relu_backward)(vec dout, vec out) { return (vec)((ivec)dout & (ivec)(out > 0)); }
INLINE vec NAME(leaky_relu_backward)(vec dout, vec out) { return NAME(blend)((ivec)(out > 0), dout, dout * LEAK); }
INLINE vec NAME(tanh_backward)(vec dout, vec out) { return dout * ((1 - out) * (1 + out)); }
INLINE vec NAME(logistic_backward)(vec dout, vec out) { return dout * (out * (1 - out)); }

INLINE vec NAME(gelu_backward)(vec dout, vec x)
{
    vec density, below = NAME(vector_normal)(x, &density);
    return dout * (below + x * density);
}

INLINE vec NAME(silu_backward)(vec dout, vec x)
{
    vec complement, share = NAME(vector_logistic)(x, &complement);
    return dout * (share + share * (x * complement));
}

/* --- rows of them */

INLINE void NAME(map)(vec (*function)(vec), const real *x, real *out, idx n)
{
    idx i = 0;
    for (; i + VL <= n; i += VL) NAME(store)(out + i, function(NAME(load)(x + i)));
    if (i == n) return;
    real rest[VL] = { 0 };
    memcpy(rest, x + i, (n - i) * sizeof(real));
    NAME(store)(rest, function(NAME(load)(rest)));
    memcpy(out + i, rest, (n - i) * sizeof(real));
}

INLINE void NAME(map_2)(vec (*function)(vec, vec), const real *dout, const real *kept, real *dx, idx n)
{
    idx i = 0;
    for (; i + VL <= n; i += VL) NAME(store)(dx + i, function(NAME(load)(dout + i), NAME(load)(kept + i)));
    if (i == n) return;
    real rest[VL] = { 0 }, kept_rest[VL] = { 0 };
    memcpy(rest, dout + i, (n - i) * sizeof(real));
    memcpy(kept_rest, kept + i, (n - i) * sizeof(real));
    NAME(store)(rest, function(NAME(load)(rest), NAME(load)(kept_rest)));
    memcpy(dx + i, rest, (n - i) * sizeof(real));
}

/* out (n,) = the activation of x (n,), which may be out. */
NOINLINE void NAME(activate)(const real *x, real *out, idx n, int activation)
{
    switch (activation) {
#define X(name, takes, cost) \
    case SDL_ACTIVATION_##name: NAME(map)(NAME(name), x, out, n); break;
        SDL_EACH_ACTIVATION(X)
#undef X
    }
}

NOINLINE void NAME(activate_backward)(const real *dout, const real *kept, real *dx, idx n, int activation)
{
    switch (activation) {
#define X(name, takes, cost) \
    case SDL_ACTIVATION_##name: NAME(map_2)(NAME(name##_backward), dout, kept, dx, n); break;
        SDL_EACH_ACTIVATION(X)
#undef X
    }
}

/* --- the kernels */

/* Nanoseconds that `size` elements take. */
INLINE double NAME(activation_work)(idx size, int activation)
{
#define X(name, takes, cost) cost,
    static const double costs[] = { SDL_EACH_ACTIVATION(X) };
#undef X
    return size * sizeof(real) * costs[activation];
}

/* IN x; OUT out (may be x). */
static void NAME(activation_forward)(const void *x_, void *out_, int activation, idx size, int n_threads)
{
    const real *x = x_;
    real *out = out_;
    n_threads = sdl_threads(n_threads, NAME(activation_work)(size, activation));
    SDL_SPANS(n_threads, size, ELEMENT_BLOCK, lo, hi, NAME(activate)(x + lo, out + lo, hi - lo, activation));
}

/* IN dout, kept (what the table says that backward takes); OUT dx (may be either). */
static void NAME(activation_backward)(const void *dout_, const void *kept_, void *dx_, int activation, idx size,
                                      int n_threads)
{
    const real *dout = dout_, *kept = kept_;
    real *dx = dx_;
    n_threads = sdl_threads(n_threads, 1.5 * NAME(activation_work)(size, activation));
    SDL_SPANS(n_threads, size, ELEMENT_BLOCK, lo, hi,
              NAME(activate_backward)(dout + lo, kept + lo, dx + lo, hi - lo, activation));
}

/* --- the last pass of a product or a convolution
 *
 * A sum in registers gets its bias and, where that is the activation, relu. The others need more registers than there
 * are beside the sums: they go over what was just written, in the caches still. */

#define IS_LATE(activation) ((activation) > SDL_ACTIVATION_relu)

INLINE vec NAME(finish)(vec sum, int activation) { return activation == SDL_ACTIVATION_relu ? NAME(clip)(sum) : sum; }

INLINE real NAME(finish_one)(real sum, int activation)
{
    return activation == SDL_ACTIVATION_relu && sum < 0 ? 0 : sum;
}

/* c (rows, n), its rows c_row apart, in its place. */
INLINE void NAME(finish_late)(real *c, idx c_row, idx rows, idx n, int activation)
{
    if (!IS_LATE(activation)) return;
    if (c_row == n) n *= rows, rows = 1;
    for (idx r = 0; r < rows; r++) NAME(activate)(c + r * c_row, c + r * c_row, n, activation);
}
