/* relu, masks: one pass, any shape. Outputs may be the inputs themselves (never shifted copies of them).
 *
 * Left to the compiler's vectoriser: there is nothing to reuse, memory is the limit. */

#define ELEMENT_BLOCK 4096

SPAN void NAME(relu_forward_span)(const real *x, real *out, idx lo, idx hi)
{
    for (idx i = lo; i < hi; i++) out[i] = x[i] < 0 ? 0 : x[i];
}

/* IN x; OUT out (may be x). NaN stays NaN, so that trouble upstream is not hidden. */
static void NAME(relu_forward)(const void *x, void *out, idx size, int n_threads)
{
    n_threads = sdl_threads(n_threads, size * sizeof(real) / 16.);
    SDL_SPANS(n_threads, size, ELEMENT_BLOCK, lo, hi, NAME(relu_forward_span)(x, out, lo, hi));
}

SPAN void NAME(relu_backward_span)(const real *dout, const real *x, real *dx, idx lo, idx hi)
{
    for (idx i = lo; i < hi; i++) dx[i] = x[i] > 0 ? dout[i] : 0;
}

/* IN dout, x (relu's input or its output); OUT dx (may be either). */
static void NAME(relu_backward)(const void *dout, const void *x, void *dx, idx size, int n_threads)
{
    n_threads = sdl_threads(n_threads, size * sizeof(real) / 12.);
    SDL_SPANS(n_threads, size, ELEMENT_BLOCK, lo, hi, NAME(relu_backward_span)(dout, x, dx, lo, hi));
}

SPAN void NAME(scale_by_mask_span)(const real *x, const uint8_t *mask, real scale, real *out, idx lo, idx hi)
{
    for (idx i = lo; i < hi; i++) out[i] = mask[i] ? x[i] * scale : 0;
}

/* IN x, mask (bytes); OUT out (may be x) = x * scale where the mask is set, else exactly zero. */
static void NAME(scale_by_mask)(const void *x, const uint8_t *mask, double scale, void *out, idx size, int n_threads)
{
    n_threads = sdl_threads(n_threads, size * sizeof(real) / 12.);
    SDL_SPANS(n_threads, size, ELEMENT_BLOCK, lo, hi, NAME(scale_by_mask_span)(x, mask, (real)scale, out, lo, hi));
}
