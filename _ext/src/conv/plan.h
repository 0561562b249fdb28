/* Which pass computes a convolution: taps.h, or rows.h where that is faster. Either gives the same bits. */

/* Output rows fill vectors, and the weights of all taps stay in L1. */
INLINE int NAME(forward_goes_by_rows)(const sdl_conv *s, int pooled)
{
    return s->wo % (pooled ? 2 * VL : VL) == 0 && s->c * s->hh * s->ww <= KC;
}

/* One tile takes all channels, whose weights then need no packing, and rows fill half a vector. */
INLINE int NAME(dx_goes_by_rows)(const NAME(pass) *p) { return p->columns <= SDL_MR && p->k <= KC && 2 * p->cols > VL; }

static int NAME(run_planned)(const NAME(pass) *p, int by_rows, int n_threads)
{
    return by_rows ? NAME(run_all_rows)(p, n_threads) : NAME(run_pass)(p, n_threads);
}

/* Run a forward pass of weights w that gets its outputs from `p`. Returns 0, or -1 when out of memory. */
static int NAME(run_forward)(const real *w, NAME(pass) p, const sdl_conv *s, int n_threads)
{
    int by_rows = NAME(forward_goes_by_rows)(s, p.pooled);
    idx k = s->c * s->hh * s->ww, columns = by_rows ? s->f : NAME(padded_columns)(s->f);
    idx *taps = sdl_scratch(SDL_SLOT_SHARED_2, k * sizeof(idx));
    real *weights = sdl_scratch(SDL_SLOT_SHARED, k * columns * sizeof(real));
    if (!taps || !weights) return -1;
    p.frame = NAME(input_frame)(s);
    p.taps = taps, p.weights = weights, p.n = s->n, p.k = k, p.columns = s->f;
    NAME(input_taps)(s, &p.frame, taps);
    if (by_rows)
        NAME(pack_row_weights)(w, k, s->f, weights);
    else
        NAME(pack_weights)(w, 1, k, k, s->f, weights);
    return NAME(run_planned)(&p, by_rows, n_threads);
}

/* IN x (N, C, H, W), w (F, C, HH, WW), b (F,) or NULL; OUT out (N, F, HO, WO), after the activation. */
static int NAME(conv_forward)(const void *x, const void *w, const void *b, void *out, int activation, const sdl_conv *s,
                              int n_threads)
{
    NAME(pass) p = { .images = x,
                     .bias = b,
                     .activation = activation,
                     .rows = s->ho,
                     .cols = s->wo,
                     .out = out,
                     .out_image = s->f * s->ho * s->wo,
                     .out_channel = s->ho * s->wo,
                     .out_row = s->wo,
                     .out_col = 1 };
    return NAME(run_forward)(w, p, s, n_threads);
}
