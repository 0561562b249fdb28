/* The gradient with respect to the weights: sums over pixels, MR taps x NR filters, dout of one image transposed once
 * to pixel-major. Cut among threads by taps and filters, so no sum is split. */

/* acc (rows taps x nv vectors of filters) += sum over output rows and columns of image at tap times dout there. */
INLINE void NAME(pixels_tile)(int rows, int nv, const real *image, const idx *taps, idx row_step, const real *b,
                              idx out_rows, idx out_cols, real *acc)
{
    vec c[SDL_MR][SDL_NV];
    UNROLL(int r = 0; r < rows; r++)
        UNROLL(int v = 0; v < nv; v++) c[r][v] = (vec){ 0 };
    for (idx y = 0; y < out_rows; y++, image += row_step) {
        const real *a[SDL_MR];
        UNROLL(int r = 0; r < rows; r++) a[r] = image + taps[r];
        for (idx x = 0; x < out_cols; x++, b += nv * VL) {
            vec bx[SDL_NV];
            UNROLL(int v = 0; v < nv; v++) bx[v] = NAME(load)(b + v * VL);
            UNROLL(int r = 0; r < rows; r++)
                UNROLL(int v = 0; v < nv; v++) c[r][v] += a[r][x] * bx[v];
        }
    }
    UNROLL(int r = 0; r < rows; r++)
        UNROLL(int v = 0; v < nv; v++) {
            real *to = acc + (r * nv + v) * VL;
            NAME(store)(to, NAME(load)(to) + c[r][v]);
        }
}

NOINLINE void NAME(pixels_tile_of)(idx rows, idx nv, const real *image, const idx *taps, idx row_step, const real *b,
                                   idx out_rows, idx out_cols, real *acc)
{
    if (nv == SDL_NV) {
#define X(r) \
    case r: NAME(pixels_tile)(r, SDL_NV, image, taps, row_step, b, out_rows, out_cols, acc); break;
        switch (rows) {
            EACH_ROWS(X)
        }
#undef X
    } else {
#define X(r) \
    case r: NAME(pixels_tile)(r, 1, image, taps, row_step, b, out_rows, out_cols, acc); break;
        switch (rows) {
            EACH_ROWS(X)
        }
#undef X
    }
}

/* sums (nv vectors of lanes) += every pixel of b. */
static void NAME(add_pixels)(const real *b, idx nv, idx pixels, double *sums)
{
    for (idx v = 0; v < nv * VL; v += WL) {
        NAME(wide) sum = { 0 };
        for (idx i = 0; i < pixels; i++) sum += NAME(load_wide)(b + i * nv * VL + v);
        for (idx l = 0; l < WL; l++) sums[v + l] += sum[l];
    }
}

/* The part of dw of taps [k0, k1) and filters [f0, f1), in this thread; db of those filters by the thread with tap 0.
 */
static int NAME(dw_rectangle)(const real *x, const real *dout, real *dw, real *db, const sdl_conv *s,
                              const NAME(frame) *frame, const idx *taps, idx k0, idx k1, idx f0, idx f1)
{
    idx k = s->c * s->hh * s->ww, pixels = s->ho * s->wo, taken = k1 - k0;
    idx columns = NAME(padded_columns)(f1 - f0), row_step = NAME(frame_row_step)(frame);
    idx block_rows = MAX(1, KC / s->wo); /* dout's part of the sum stays in L1 for all taps */
    real *copy = sdl_scratch(SDL_SLOT_A, NAME(frame_size)(frame) * sizeof(real));
    real *panels = sdl_scratch(SDL_SLOT_B, pixels * columns * sizeof(real));
    double *db_sums = sdl_scratch(SDL_SLOT_C, columns * (sizeof(double) + taken * sizeof(real)));
    if (!copy || !panels || !db_sums) return -1;
    real *sums = (real *)(db_sums + columns);
    memset(db_sums, 0, columns * (sizeof(double) + taken * sizeof(real)));
    for (idx n = 0; n < s->n; n++) {
        const real *image = NAME(fill_frame)(frame, x + n * s->c * s->h * s->w, copy);
        NAME(pack_b)(dout + (n * s->f + f0) * pixels, 1, pixels, pixels, f1 - f0, panels);
        for (idx j = 0; j < f1 - f0; j += NR) {
            idx nv = f1 - f0 - j > VL ? SDL_NV : 1, width = nv * VL;
            const real *panel = panels + j * pixels;
            if (db && k0 == 0) NAME(add_pixels)(panel, nv, pixels, db_sums + j);
            for (idx y = 0; y < s->ho; y += block_rows)
                for (idx i = 0; i < taken; i += SDL_MR) {
                    idx last_row = MIN(s->ho, y + block_rows) - 1;
                    NAME(check_taps)(frame, image, image + y * row_step, taps + k0 + i, MIN(SDL_MR, taken - i),
                                     (last_row - y) * row_step + s->wo);
                    NAME(pixels_tile_of)(MIN(SDL_MR, taken - i), nv, image + y * row_step, taps + k0 + i, row_step,
                                         panel + y * s->wo * width, MIN(block_rows, s->ho - y), s->wo,
                                         sums + j * taken + i * width);
                }
        }
    }
    for (idx j = 0; j < f1 - f0; j += NR) {
        idx width = f1 - f0 - j > VL ? NR : VL, cols = MIN(width, f1 - f0 - j);
        NAME(transpose)(sums + j * taken, width, dw + (f0 + j) * k + k0, k, taken, cols);
        if (db && k0 == 0)
            for (idx l = 0; l < cols; l++) db[f0 + j + l] = (real)db_sums[j + l];
    }
    return 0;
}

/* How many threads share the taps, the others sharing the filters: the grid whose busiest thread has least to multiply
 * and to pack. */
static int NAME(grid_rows)(idx taps, idx filters, int n_threads)
{
    int best = 1;
    double best_cost = 0;
    for (int down = 1; down <= n_threads; down++) {
        double rows = ROUND_UP(CEIL_DIV(taps, down), SDL_MR);
        double columns = ROUND_UP(CEIL_DIV(filters, n_threads / down), NR);
        double cost = columns * (rows + 16);
        if (down == 1 || cost < best_cost) best = down, best_cost = cost;
    }
    return best;
}

/* Cells [lo, hi) of a grid of down x across rectangles of taps and filters. */
SPAN int NAME(dw_cells)(const real *x, const real *dout, real *dw, real *db, const sdl_conv *s,
                        const NAME(frame) *frame, const idx *taps, int down, int across, idx lo, idx hi)
{
    idx k = s->c * s->hh * s->ww;
    for (idx cell = lo; cell < hi; cell++) {
        int row = (int)cell / across, column = (int)cell % across;
        idx k0 = sdl_edge(k, SDL_MR, row, down), k1 = sdl_edge(k, SDL_MR, row + 1, down);
        idx f0 = sdl_edge(s->f, NR, column, across), f1 = sdl_edge(s->f, NR, column + 1, across);
        if (k0 < k1 && f0 < f1 && NAME(dw_rectangle)(x, dout, dw, db, s, frame, taps, k0, k1, f0, f1)) return -1;
    }
    return 0;
}

/* IN x (N, C, H, W), dout (N, F, HO, WO); OUT dw (F, C, HH, WW), db (F,) or NULL. */
static int NAME(conv_backward_dw)(const void *x, const void *dout, void *dw, void *db, const sdl_conv *s, int n_threads)
{
    int failed = 0;
    idx k = s->c * s->hh * s->ww;
    NAME(frame) frame = NAME(input_frame)(s);
    idx *taps = sdl_scratch(SDL_SLOT_SHARED_2, k * sizeof(idx));
    if (!taps) return -1;
    NAME(input_taps)(s, &frame, taps);
    n_threads = sdl_threads(n_threads, (double)s->n * s->ho * s->wo * s->f * k / 32);
    int down = NAME(grid_rows)(k, s->f, n_threads), across = n_threads / down;
    SDL_SPANS(down * across, down * across, 1, lo, hi,
              SDL_FLUSHED(sdl_note(&failed, NAME(dw_cells)(x, dout, dw, db, s, &frame, taps, down, across, lo, hi))));
    return failed;
}
