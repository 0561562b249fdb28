/* relu, masks: one pass, any shape. Outputs may be the inputs themselves (never shifted copies of them).
 *
 * Left to the compiler's vectoriser. Spans start at multiples of ELEMENT_BLOCK, so the vectorised loop and its tail fall on
 * the same elements however many threads there are. */

#define ELEMENT_BLOCK 4096

/* IN x; OUT out (may be x). NaN stays NaN, so that trouble upstream is not hidden. */
static void NAME(relu_forward)(const void *x_, void *out_, idx size, int n_threads)
{
    const real *x = x_;
    real *out = out_;
    SDL_EACH_SPAN(sdl_threads(n_threads, size * sizeof(real) / 16.), size, ELEMENT_BLOCK, lo, hi)
        for (idx i = lo; i < hi; i++) out[i] = x[i] < 0 ? 0 : x[i];
}

/* IN dout, x (relu's input or its output); OUT dx (may be dout). */
static void NAME(relu_backward)(const void *dout_, const void *x_, void *dx_, idx size, int n_threads)
{
    const real *dout = dout_, *x = x_;
    real *dx = dx_;
    SDL_EACH_SPAN(sdl_threads(n_threads, size * sizeof(real) / 12.), size, ELEMENT_BLOCK, lo, hi)
        for (idx i = lo; i < hi; i++) dx[i] = x[i] > 0 ? dout[i] : 0;
}

/* IN x, mask (bytes 0 or 1); OUT out (may be x) = x * mask * scale, exactly zero where masked. */
static void NAME(scale_by_mask)(const void *x_, const uint8_t *mask, double scale_, void *out_, idx size, int n_threads)
{
    const real *x = x_, scale = (real)scale_;
    real *out = out_;
    SDL_EACH_SPAN(sdl_threads(n_threads, size * sizeof(real) / 12.), size, ELEMENT_BLOCK, lo, hi)
        for (idx i = lo; i < hi; i++) out[i] = mask[i] ? x[i] * scale : 0;
}
