/* Convolution, relu and 2 x 2 max-pooling as one: forward, and the backward pass that knows how sparse it is.
 *
 * Legend as in frame.h; pooled outputs are (N, F, HO / 2, WO / 2), halves rounded down.
 *
 * Forward pools each strip while it is in L1, so that the full convolution output, four times the pooled one, never
 * reaches memory. Of the three layers only `argmax_cell` is kept: one byte for each pooled output.
 *
 * Backward: through the pool and relu at least three quarters of dconv are zero. dw of a filter is then a sum of
 * patches of x, one for each nonzero pooled output, scaled by its gradient. Lanes run along a patch: x is copied to
 * NHWC, in which a patch is HH runs of WW * C numbers, cut into tiles of rows x vectors that stay in registers over the
 * image's list of nonzero outputs. Rejected: the dense product of dw.h, half as fast. Filters are cut among threads.
 * Nothing is read for dead outputs, so that what is not finite there in x does not reach dw.
 */

/* The image in NHWC with its zero border. */
typedef struct {
    idx height, width, row; /* of the copy, row in numbers */
    idx run; /* a filter row: WW * C */
} NAME(patches);

INLINE NAME(patches) NAME(patch_layout)(const sdl_conv *s)
{
    idx width = s->w + 2 * s->pad;
    return (NAME(patches)){ .height = s->h + 2 * s->pad, .width = width, .row = width * s->c, .run = s->ww * s->c };
}

/* Numbers in the copy; the last run's last vector may reach past its end. */
INLINE idx NAME(patches_size)(const NAME(patches) *l) { return l->height * l->row + VL; }

/* IN x (C, H, W); OUT copy, its border already zero. */
static void NAME(fill_patches)(const NAME(patches) *l, const sdl_conv *s, const real *x, real *copy)
{
    for (idx y = 0; y < s->h; y++)
        NAME(transpose)(x + y * s->w, s->h * s->w, copy + (y + s->pad) * l->row + s->pad * s->c, s->c, s->c, s->w);
}

/* What one image's nonzero outputs of one filter are: where their patches begin and what they are scaled by. */
typedef struct {
    idx n;
    idx *offset;
    real *scale;
} NAME(nonzero);

/* sums (rows of nv vectors, sum_row apart) += sum over the nonzero of scale * patch, the part of it `x` points to. */
INLINE void NAME(nonzero_tile)(int rows, int nv, const NAME(nonzero) *nonzero, const real *x, idx row, real *sums,
                               idx sum_row)
{
    vec c[NONZERO_TILE];
    UNROLL(int i = 0; i < rows * nv; i++) c[i] = (vec){ 0 };
    for (idx l = 0; l < nonzero->n; l++) {
        const real *from = x + nonzero->offset[l];
        real scale = nonzero->scale[l];
        UNROLL(int r = 0; r < rows; r++)
            UNROLL(int v = 0; v < nv; v++) c[r * nv + v] += scale * NAME(load)(from + r * row + v * VL);
    }
    UNROLL(int r = 0; r < rows; r++)
        UNROLL(int v = 0; v < nv; v++) {
            real *to = sums + r * sum_row + v * VL;
            NAME(store)(to, NAME(load)(to) + c[r * nv + v]);
        }
}

NOINLINE void NAME(nonzero_tile_of)(idx rows, idx nv, const NAME(nonzero) *nonzero, const real *x, idx row, real *sums,
                                    idx sum_row)
{
    switch (nv * 16 + rows) {
#define X(v, r) \
    case v * 16 + r: NAME(nonzero_tile)(r, v, nonzero, x, row, sums, sum_row); break;
        /* clang-format off */
        X(1, 1) X(1, 2) X(1, 3) X(1, 4) X(1, 5) X(1, 6) X(1, 7) X(1, 8)
        X(2, 1) X(2, 2) X(2, 3) X(2, 4) X(2, 5) X(2, 6)
        X(3, 1) X(3, 2) X(3, 3) X(3, 4)
        X(4, 1) X(4, 2) X(4, 3)
        /* clang-format on */
#undef X
    }
}

/* Rows of a tile that is nv vectors wide. */
INLINE idx NAME(nonzero_rows)(idx nv) { return nv == 1 ? 8 : NONZERO_TILE / nv; }

/* Gather the nonzero outputs of one plane. dout, argmax_cell (HO / 2, WO / 2). */
static void NAME(find_nonzero)(const sdl_conv *s, const NAME(patches) *l, const real *dout, const uint8_t *argmax_cell,
                               NAME(nonzero) *nonzero)
{
    idx n = 0;
    for (idx y = 0; y < s->ho / 2; y++)
        for (idx x = 0; x < s->wo / 2; x++, dout++, argmax_cell++) {
            idx cell = *argmax_cell;
            nonzero->offset[n] =
                (2 * y + (cell >> 1 & 1)) * s->stride * l->row + (2 * x + (cell & 1)) * s->stride * s->c;
            nonzero->scale[n] = *dout;
            n += cell < DEAD; /* no branch: what the next one overwrites costs less than guessing wrong */
        }
    nonzero->n = n;
}

/* sums (HH, run rounded up to vectors) += the nonzero outputs' patches. */
static void NAME(add_nonzero)(const sdl_conv *s, const NAME(patches) *l, const NAME(nonzero) *nonzero, const real *copy,
                              real *sums)
{
    idx vectors = CEIL_DIV(l->run, VL), chunks = CEIL_DIV(vectors, 4);
    for (idx i = 0; i < nonzero->n; i++)
        SDL_ASSERT(nonzero->offset[i] >= 0
                   && nonzero->offset[i] + (s->hh - 1) * l->row + vectors * VL <= NAME(patches_size)(l));
    for (idx chunk = 0; chunk < chunks; chunk++) {
        idx v = vectors * chunk / chunks, nv = vectors * (chunk + 1) / chunks - v,
            tiles = CEIL_DIV(s->hh, NAME(nonzero_rows)(nv));
        for (idx t = 0; t < tiles; t++) {
            idx r = s->hh * t / tiles, rows = s->hh * (t + 1) / tiles - r;
            NAME(nonzero_tile_of)(rows, nv, nonzero, copy + r * l->row + v * VL, l->row, sums + (r * vectors + v) * VL,
                                  vectors * VL);
        }
    }
}

/* dw and db of filters [f0, f1). Returns 0, or -1 when out of memory. */
SPAN int NAME(nonzero_filters)(const real *x, const real *dout, const uint8_t *argmax_cell, real *dw, real *db,
                               const sdl_conv *s, idx f0, idx f1)
{
    NAME(patches) l = NAME(patch_layout)(s);
    idx outputs = (s->ho / 2) * (s->wo / 2), padded = ROUND_UP(l.run, VL), size = s->hh * padded;
    real *copy = sdl_scratch(SDL_SLOT_A, NAME(patches_size)(&l) * sizeof(real));
    idx *offset = sdl_scratch(SDL_SLOT_B, outputs * (sizeof(idx) + sizeof(real)));
    double *totals = sdl_scratch(SDL_SLOT_C, (f1 - f0) * (sizeof(double) + size * sizeof(real)));
    if (!copy || !offset || !totals) return -1;
    NAME(nonzero) nonzero = { .offset = offset, .scale = (real *)(offset + outputs) };
    real *sums = (real *)(totals + f1 - f0);
    memset(copy, 0, NAME(patches_size)(&l) * sizeof(real));
    memset(totals, 0, (f1 - f0) * (sizeof(double) + size * sizeof(real)));
    for (idx n = 0; n < s->n; n++) {
        NAME(fill_patches)(&l, s, x + n * s->c * s->h * s->w, copy);
        for (idx f = f0; f < f1; f++) {
            NAME(find_nonzero)(s, &l, dout + (n * s->f + f) * outputs, argmax_cell + (n * s->f + f) * outputs,
                               &nonzero);
            NAME(add_nonzero)(s, &l, &nonzero, copy, sums + (f - f0) * size);
            for (idx i = 0; i < nonzero.n; i++) totals[f - f0] += nonzero.scale[i];
        }
    }
    for (idx f = f0; f < f1; f++, sums += size) {
        for (idx c = 0; c < s->c; c++)
            for (idx i = 0; i < s->hh; i++)
                for (idx j = 0; j < s->ww; j++)
                    dw[((f * s->c + c) * s->hh + i) * s->ww + j] = sums[i * padded + j * s->c + c];
        if (db) db[f] = (real)totals[f - f0];
    }
    return 0;
}

/* IN x (N, C, H, W), w (F, C, HH, WW), b (F,) or NULL; OUT out (N, F, HO / 2, WO / 2), argmax_cell (the same shape) or
 * NULL. */
static int NAME(conv_relu_pool_forward)(const void *x, const void *w, const void *b, void *out, uint8_t *argmax_cell,
                                        const sdl_conv *s, int n_threads)
{
    idx outputs = (s->ho / 2) * (s->wo / 2);
    NAME(pass) p = { .images = x,
                     .bias = b,
                     .activation = SDL_ACTIVATION_relu,
                     .pooled = 1,
                     .argmax_cell = argmax_cell,
                     .rows = s->ho / 2 * 2,
                     .cols = s->wo / 2 * 2,
                     .out = out,
                     .out_image = s->f * outputs,
                     .out_channel = outputs };
    return NAME(run_forward)(w, p, s, n_threads);
}

/* IN x (N, C, H, W), dout, argmax_cell (N, F, HO / 2, WO / 2); OUT dw (F, C, HH, WW), db (F,) or NULL. */
static int NAME(conv_relu_pool_backward_dw)(const void *x, const void *dout, const uint8_t *argmax_cell, void *dw,
                                            void *db, const sdl_conv *s, int n_threads)
{
    int failed = 0;
    n_threads = sdl_threads(n_threads, (double)s->n * s->f * (s->ho / 2) * (s->wo / 2) * s->c * s->hh * s->ww / 16);
    SDL_SPANS(n_threads, s->f, 1, lo, hi,
              SDL_FLUSHED(sdl_note(&failed, NAME(nonzero_filters)(x, dout, argmax_cell, dw, db, s, lo, hi))));
    return failed;
}

SPAN void NAME(unpool_planes)(const real *dout, const uint8_t *argmax_cell, real *dconv, idx ho, idx wo, idx lo, idx hi)
{
    memset(dconv + lo * ho * wo, 0, (hi - lo) * ho * wo * sizeof(real));
    dout += lo * (ho / 2) * (wo / 2);
    argmax_cell += lo * (ho / 2) * (wo / 2);
    for (idx p = lo; p < hi; p++)
        for (idx y = 0; y < ho / 2; y++)
            for (idx x = 0; x < wo / 2; x++, dout++, argmax_cell++)
                if (*argmax_cell < DEAD)
                    dconv[(p * ho + 2 * y + (*argmax_cell >> 1)) * wo + 2 * x + (*argmax_cell & 1)] = *dout;
}

/* IN dout, argmax_cell (planes, ho / 2, wo / 2); OUT dconv (planes, ho, wo), the gradient of the convolution's output.
 */
static void NAME(relu_pool_backward)(const void *dout, const uint8_t *argmax_cell, void *dconv, idx planes, idx ho,
                                     idx wo, int n_threads)
{
    n_threads = sdl_threads(n_threads, (double)planes * ho * wo / 3);
    SDL_SPANS(n_threads, planes, 1, lo, hi, NAME(unpool_planes)(dout, argmax_cell, dconv, ho, wo, lo, hi));
}
