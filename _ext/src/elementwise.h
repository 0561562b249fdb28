/* Masks, a look for what is not finite: one pass, any shape. Outputs may be the inputs themselves (never shifted
 * copies of them).
 *
 * Left to the compiler's vectoriser: there is nothing to reuse, memory is the limit. */

#define ELEMENT_BLOCK 4096

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

/* Whether one of x's elements in [lo, hi) is infinite or nan: only these are not zero when multiplied by zero. */
SPAN int NAME(not_finite_span)(const real *x, idx lo, idx hi)
{
    vec sums[CHAINS] = { { 0 } };
    idx i = lo;
    for (; i + CHAINS * VL <= hi; i += CHAINS * VL) {
        UNROLL(idx c = 0; c < CHAINS; c++) sums[c] += NAME(load)(x + i + c * VL) * (real)0;
    }
    real sum = NAME(lane_sum)((sums[0] + sums[1]) + (sums[2] + sums[3]));
    for (; i < hi; i++) sum += x[i] * (real)0;
    return sum != 0;
}

/* IN x. Returns 1 if all elements are finite, else 0. */
static int NAME(all_finite)(const void *x, idx size, int n_threads)
{
    int found = 0;
    n_threads = sdl_threads(n_threads, size * sizeof(real) / 16.);
    SDL_SPANS(n_threads, size, ELEMENT_BLOCK, lo, hi, sdl_note(&found, NAME(not_finite_span)(x, lo, hi)));
    return !found;
}
