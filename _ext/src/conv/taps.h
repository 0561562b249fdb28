/* Convolution (cross-correlation, as the field says it), direct: lanes along the filters.
 *
 * The register tile is MR pixels of one row x NR filters: pixels are broadcast, filters are lanes. It is built
 * pixel-major in a strip of rows that stays in L1, and transposed to NCHW. Rejected: im2col, which writes and reads K *
 * P numbers per image, more memory traffic than all else together. Lanes along the pixels (rows.h) leave lanes empty
 * where widths are no multiple of the vector; most filter counts are multiples of 8.
 *
 * Cut among threads by image and strip, so no sum is split.
 */

#define STRIP_PIXELS 128

/* One convolution pass: every output pixel is a dot product of weights with the taps around it. */
typedef struct {
    NAME(frame) frame;
    const real *images; /* IN  (n, channels, height, width) */
    const idx *taps; /* offsets in the frame, (k,) */
    const real *weights; /* blocks of KC taps, each in panels of NR columns, see pack_b */
    const real *bias; /* IN  (columns,) or NULL */
    int activation; /* relu where pooling follows */
    int pooled; /* whether relu and 2 x 2 pooling follow; rows and cols are then even and `out` is the pooled output */
    uint8_t *argmax_cell; /* OUT laid out as `out`, or NULL */
    idx n, k, columns; /* images, taps, output channels */
    idx rows, cols; /* output grid */
    idx start; /* where the grid's first pixel is in the frame */
    real *out; /* OUT pixel (y, x) of channel c of image n at n * out_image + c * out_channel + y * out_row + x *
                  out_col */
    idx out_image, out_channel, out_row, out_col;
} NAME(pass);

INLINE void NAME(taps_tile)(int rows, int nv, const real *a, const idx *restrict taps, const real *b, idx depth,
                            real *acc, int first)
{
    vec c[SDL_MR][SDL_NV];
    UNROLL(int r = 0; r < rows; r++)
        UNROLL(int v = 0; v < nv; v++) c[r][v] = (vec){ 0 };
    for (idx k = 0; k < depth; k++, b += nv * VL) {
        const real *at = a + taps[k];
        vec bk[SDL_NV];
        UNROLL(int v = 0; v < nv; v++) bk[v] = NAME(load)(b + v * VL);
        UNROLL(int r = 0; r < rows; r++)
            UNROLL(int v = 0; v < nv; v++) c[r][v] += at[r] * bk[v];
    }
    UNROLL(int r = 0; r < rows; r++)
        UNROLL(int v = 0; v < nv; v++) {
            real *to = acc + (r * nv + v) * VL;
            NAME(store)(to, first ? c[r][v] : NAME(load)(to) + c[r][v]);
        }
}

NOINLINE void NAME(taps_tile_of)(idx rows, idx nv, const real *a, const idx *taps, const real *b, idx depth, real *acc,
                                 int first)
{
    if (nv == SDL_NV) {
#define X(r) \
    case r: NAME(taps_tile)(r, SDL_NV, a, taps, b, depth, acc, first); break;
        switch (rows) {
            EACH_ROWS(X)
        }
#undef X
    } else {
#define X(r) \
    case r: NAME(taps_tile)(r, 1, a, taps, b, depth, acc, first); break;
        switch (rows) {
            EACH_ROWS(X)
        }
#undef X
    }
}

/* Debug builds: everything that a tile is about to read lies in the frame. */
INLINE void NAME(check_taps)(const NAME(frame) *frame, const real *image, const real *a, const idx *taps, idx n,
                             idx run)
{
#ifdef SDL_DEBUG
    for (idx k = 0; k < n; k++)
        SDL_ASSERT(a + taps[k] >= image && a + taps[k] + run <= image + NAME(frame_size)(frame));
#else
    (void)frame, (void)image, (void)a, (void)taps, (void)n, (void)run;
#endif
}

/* strip (pixels x width) = output rows [y0, y1) for the panel of columns from j. */
static void NAME(fill_strip)(const NAME(pass) *p, const real *image, idx y0, idx y1, idx j, idx nv, real *strip)
{
    idx width = nv * VL, row_step = NAME(frame_row_step)(&p->frame);
    idx tiles = CEIL_DIV(p->cols, SDL_MR);
    for (idx k = 0; k == 0 || k < p->k; k += KC) {
        idx depth = MIN(KC, p->k - k);
        const real *b = p->weights + k * NAME(padded_columns)(p->columns) + j * depth;
        for (idx y = y0; y < y1; y++)
            for (idx t = 0; t < tiles; t++) {
                idx x = p->cols * t / tiles, rows = p->cols * (t + 1) / tiles - x; /* even tiles: a thin one is slow */
                const real *a = image + p->start + y * row_step + x;
                NAME(check_taps)(&p->frame, image, a, p->taps + k, depth, rows);
                NAME(taps_tile_of)(rows, nv, a, p->taps + k, b, depth, strip + ((y - y0) * p->cols + x) * width,
                                   k == 0);
            }
    }
}

/* Bias and activation of a finished strip for the panel of columns from j. */
static void NAME(finish_strip)(const NAME(pass) *p, idx pixels, idx j, idx cols, idx nv, real *strip)
{
    real bias[SDL_NV * VL] = { 0 };
    real *first = strip;
    int activation = p->activation;
    if (p->bias) memcpy(bias, p->bias + j, cols * sizeof(real));
    for (idx i = 0; i < pixels; i++)
        for (idx v = 0; v < nv; v++, strip += VL) {
            vec sum = NAME(load)(strip) + NAME(load)(bias + v * VL);
            NAME(store)(strip, NAME(finish)(sum, activation));
        }
    NAME(finish_late)(first, 0, 1, pixels * nv * VL, activation);
}

/* Pool the strip and transpose it and its argmax_cell into the outputs. `spare` holds as much as the strip. */
static void NAME(put_pooled)(const NAME(pass) *p, idx image, idx y0, idx y1, idx j, idx nv, real *strip, real *spare)
{
    idx width = nv * VL, cols = MIN(width, p->columns - j), pooled = (y1 - y0) / 2 * (p->cols / 2);
    idx at = image * p->out_image + j * p->out_channel + y0 / 2 * (p->cols / 2);
    NAME(pool_strip)(strip, y1 - y0, p->cols, nv, spare);
    NAME(transpose)(strip, width, p->out + at, p->out_channel, pooled, cols);
    if (!p->argmax_cell) return;
    NAME(transpose)(spare, width, strip, pooled, pooled, cols);
    for (idx c = 0; c < cols; c++)
        for (idx i = 0; i < pooled; i++) p->argmax_cell[at + c * p->out_channel + i] = (uint8_t)strip[c * pooled + i];
}

/* Transpose the strip into the output. */
static void NAME(put_strip)(const NAME(pass) *p, idx image, idx y0, idx y1, idx j, idx nv, const real *strip)
{
    idx width = nv * VL, cols = MIN(width, p->columns - j);
    real *out = p->out + image * p->out_image + j * p->out_channel + y0 * p->out_row;
    if (p->out_col == 1 && p->out_row == p->cols) {
        NAME(transpose)(strip, width, out, p->out_channel, (y1 - y0) * p->cols, cols);
        return;
    }
    for (idx y = y0; y < y1; y++, out += p->out_row)
        for (idx x = 0; x < p->cols; x++, strip += width)
            for (idx c = 0; c < cols; c++) out[c * p->out_channel + x * p->out_col] = strip[c];
}

INLINE idx NAME(strip_rows)(const NAME(pass) *p)
{
    idx rows = MIN(p->rows, MAX(1, STRIP_PIXELS / p->cols));
    return p->pooled ? ROUND_UP(rows, 2) : rows;
}

/* Strips [lo, hi) of all images' strips. Returns 0, or -1 when out of memory. */
SPAN int NAME(run_strips)(const NAME(pass) *p, idx lo, idx hi)
{
    const NAME(frame) *f = &p->frame;
    idx strip_rows = NAME(strip_rows)(p), strips = CEIL_DIV(p->rows, strip_rows);
    real *copy = sdl_scratch(SDL_SLOT_A, NAME(frame_size)(f) * sizeof(real));
    idx strip_size = strip_rows * p->cols * NR;
    real *strip = sdl_scratch(SDL_SLOT_B, (p->pooled ? 2 : 1) * strip_size * sizeof(real));
    const real *image = NULL;
    if (!copy || !strip) return -1;
    for (idx unit = lo; unit < hi; unit++) {
        idx n = unit / strips, y0 = unit % strips * strip_rows, y1 = MIN(p->rows, y0 + strip_rows);
        if (unit == lo || y0 == 0)
            image = NAME(fill_frame)(f, p->images + n * f->channels * f->height * f->width, copy);
        for (idx j = 0; j < p->columns; j += NR) {
            idx nv = p->columns - j > VL ? SDL_NV : 1;
            NAME(fill_strip)(p, image, y0, y1, j, nv, strip);
            if (p->bias || p->activation)
                NAME(finish_strip)(p, (y1 - y0) * p->cols, j, MIN(nv * VL, p->columns - j), nv, strip);
            if (p->pooled)
                NAME(put_pooled)(p, n, y0, y1, j, nv, strip, strip + strip_size);
            else
                NAME(put_strip)(p, n, y0, y1, j, nv, strip);
        }
    }
    return 0;
}

static int NAME(run_pass)(const NAME(pass) *p, int n_threads)
{
    int failed = 0;
    if (!p->rows || !p->cols) return 0;
    n_threads = sdl_threads(n_threads, (double)p->n * p->rows * p->cols * p->columns * p->k / 32);
    idx units = p->n * CEIL_DIV(p->rows, NAME(strip_rows)(p));
    SDL_SPANS(n_threads, units, 1, lo, hi, SDL_FLUSHED(sdl_note(&failed, NAME(run_strips)(p, lo, hi))));
    return failed;
}

/* Pack weights, element (k, column) at w[k * w_row + column * w_step], for run_pass. */
static void NAME(pack_weights)(const real *w, idx w_row, idx w_step, idx k, idx columns, real *packed)
{
    for (idx l = 0; l < k; l += KC)
        NAME(pack_b)(w + l * w_row, w_row, w_step, MIN(KC, k - l), columns, packed + l * NAME(padded_columns)(columns));
}
