/* Convolution (cross-correlation, as the field says it), direct: no im2col.
 *
 * Legend: images x (N, C, H, W), weights w (F, C, HH, WW), out (N, F, HO, WO); K = C * HH * WW taps, P = HO * WO pixels.
 *
 * One image at a time is copied to scratch with its zero border, split by column modulo stride ("phases", no more than it has
 * columns), so that what any tap sees of one output row is a contiguous run, whatever the stride. A tap is then one offset into
 * that copy, and an output pixel another. The register tile is MR pixels of one row x NR filters: pixels are broadcast, filters are lanes. All three
 * products use it:
 *   forward       sum over taps; the tile is built pixel-major in a strip of rows that stays in L1, and transposed to NCHW;
 *   backward dx   the same code: each phase of dx is a stride-1 convolution of dout with the taps that meet that phase;
 *   backward dw   sum over pixels: MR taps x NR filters, dout of one image transposed once to pixel-major.
 * im2col lost: it writes and reads K * P numbers per image, more memory traffic than all else together. Lanes along the pixels
 * lost: widths that are no multiple of the vector waste lanes, and most filter counts are multiples of 8.
 *
 * forward and dx are cut among threads by image and strip, dw by taps and filters, so no sum is split.
 */

#define STRIP_PIXELS 128

/* An image with its border, and where taps find things in it. */
typedef struct {
    idx channels, height, width; /* of the image */
    idx top, left; /* zeros before it */
    idx padded_height, phases, phase_width; /* of the copy: (channels, padded_height, phases, phase_width) */
    idx stride;
} NAME(frame);

INLINE idx NAME(frame_size)(const NAME(frame) *f)
{
    return f->channels * f->padded_height * f->phases * f->phase_width;
}

/* Where row y and column x (counted from the border's corner) of a channel are; x may be a phase only. */
INLINE idx NAME(frame_at)(const NAME(frame) *f, idx channel, idx y, idx x)
{
    return ((channel * f->padded_height + y) * f->phases + x % f->stride) * f->phase_width + x / f->stride;
}

/* How far apart in the copy two output rows are. */
INLINE idx NAME(frame_row_step)(const NAME(frame) *f) { return f->stride * f->phases * f->phase_width; }

/* IN x (channels, height, width); OUT copy. Returns copy, or x itself where the two would be equal. */
static const real *NAME(fill_frame)(const NAME(frame) *f, const real *x, real *copy)
{
    idx s = f->stride;
    if (s == 1 && f->padded_height == f->height && f->phase_width == f->width) return x;
    memset(copy, 0, NAME(frame_size)(f) * sizeof(real));
    for (idx c = 0; c < f->channels; c++)
        for (idx y = 0; y < f->height; y++, x += f->width) {
            real *row = copy + NAME(frame_at)(f, c, f->top + y, 0);
            if (s == 1) {
                memcpy(row + f->left, x, f->width * sizeof(real));
                continue;
            }
            for (idx phase = 0; phase < f->phases; phase++) {
                idx first = (phase - f->left % s + s) % s; /* first column of the image that falls into this phase */
                real *to = row + phase * f->phase_width + (f->left + first) / s;
                for (idx i = first; i < f->width; i += s) *to++ = x[i];
            }
        }
    return copy;
}

/* --- forward and dx: sum over taps ---------------------------------------------------------------------------------- */

/* One convolution pass: every output pixel is a dot product of weights with the taps around it. */
typedef struct {
    NAME(frame) frame;
    const real *images; /* IN  (n, channels, height, width) */
    const idx *taps; /* offsets in the frame, (k,) */
    const real *weights; /* blocks of KC taps, each in panels of NR columns, see pack_b */
    const real *bias; /* IN  (columns,) or NULL */
    int pooled; /* whether relu and 2 x 2 pooling follow; rows and cols are then even and `out` is the pooled output */
    uint8_t *winners; /* OUT laid out as `out`, or NULL */
    idx n, k, columns; /* images, taps, output channels */
    idx rows, cols; /* output grid */
    idx start; /* where the grid's first pixel is in the frame */
    real *out; /* OUT pixel (y, x) of channel c of image n at n * out_image + c * out_channel + y * out_row + x * out_col */
    idx out_image, out_channel, out_row, out_col;
} NAME(pass);

INLINE void NAME(taps_tile)(int rows, int nv, const real *a, const idx *restrict taps, const real *b, idx depth, real *acc,
                            int first)
{
    vec c[SDL_MR][SDL_NV];
    UNROLL for (int r = 0; r < rows; r++)
        UNROLL for (int v = 0; v < nv; v++) c[r][v] = (vec){ 0 };
    for (idx k = 0; k < depth; k++, b += nv * VL) {
        const real *at = a + taps[k];
        vec bk[SDL_NV];
        UNROLL for (int v = 0; v < nv; v++) bk[v] = NAME(load)(b + v * VL);
        UNROLL for (int r = 0; r < rows; r++)
            UNROLL for (int v = 0; v < nv; v++) c[r][v] += at[r] * bk[v];
    }
    UNROLL for (int r = 0; r < rows; r++)
        UNROLL for (int v = 0; v < nv; v++) {
            real *to = acc + (r * nv + v) * VL;
            NAME(store)(to, first ? c[r][v] : NAME(load)(to) + c[r][v]);
        }
}

NOINLINE void NAME(taps_tile_of)(idx rows, idx nv, const real *a, const idx *taps, const real *b, idx depth,
                                        real *acc, int first)
{
    if (nv == SDL_NV) {
#define X(r) case r: NAME(taps_tile)(r, SDL_NV, a, taps, b, depth, acc, first); break;
        switch (rows) { EACH_ROWS(X) }
#undef X
    } else {
#define X(r) case r: NAME(taps_tile)(r, 1, a, taps, b, depth, acc, first); break;
        switch (rows) { EACH_ROWS(X) }
#undef X
    }
}

/* Debug builds: everything that a tile is about to read lies in the frame. */
INLINE void NAME(check_taps)(const NAME(frame) *frame, const real *image, const real *a, const idx *taps, idx n, idx run)
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
                NAME(taps_tile_of)(rows, nv, a, p->taps + k, b, depth, strip + ((y - y0) * p->cols + x) * width, k == 0);
            }
    }
}

/* Bias, and relu where pooling follows, on a finished strip for the panel of columns from j. */
static void NAME(finish_strip)(const NAME(pass) *p, idx pixels, idx j, idx cols, idx nv, real *strip)
{
    real bias[SDL_NV * VL] = { 0 };
    if (p->bias) memcpy(bias, p->bias + j, cols * sizeof(real));
    for (idx i = 0; i < pixels; i++)
        for (idx v = 0; v < nv; v++, strip += VL) {
            vec sum = NAME(load)(strip) + NAME(load)(bias + v * VL);
            NAME(store)(strip, p->pooled ? NAME(clip)(sum) : sum);
        }
}

/* Pool the strip and transpose it and its winners into the outputs. `spare` holds as much as the strip. */
static void NAME(put_pooled)(const NAME(pass) *p, idx image, idx y0, idx y1, idx j, idx nv, real *strip, real *spare)
{
    idx width = nv * VL, cols = MIN(width, p->columns - j), pooled = (y1 - y0) / 2 * (p->cols / 2);
    idx at = image * p->out_image + j * p->out_channel + y0 / 2 * (p->cols / 2);
    NAME(pool_strip)(strip, y1 - y0, p->cols, nv, spare);
    NAME(transpose)(strip, width, p->out + at, p->out_channel, pooled, cols);
    if (!p->winners) return;
    NAME(transpose)(spare, width, strip, pooled, pooled, cols);
    for (idx c = 0; c < cols; c++)
        for (idx i = 0; i < pooled; i++) p->winners[at + c * p->out_channel + i] = (uint8_t)strip[c * pooled + i];
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
        if (unit == lo || y0 == 0) image = NAME(fill_frame)(f, p->images + n * f->channels * f->height * f->width, copy);
        for (idx j = 0; j < p->columns; j += NR) {
            idx nv = p->columns - j > VL ? SDL_NV : 1;
            NAME(fill_strip)(p, image, y0, y1, j, nv, strip);
            if (p->bias || p->pooled) NAME(finish_strip)(p, (y1 - y0) * p->cols, j, MIN(nv * VL, p->columns - j), nv, strip);
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

/* Frame of the forward pass, which dw shares, and its taps in the order of the weights. */
static NAME(frame) NAME(input_frame)(const sdl_conv *s)
{
    return (NAME(frame)){ .channels = s->c, .height = s->h, .width = s->w, .top = s->pad, .left = s->pad,
                          .padded_height = s->h + 2 * s->pad,
                          .phases = MIN(s->stride, s->w + 2 * s->pad), .phase_width = CEIL_DIV(s->w + 2 * s->pad, s->stride),
                          .stride = s->stride };
}

static void NAME(input_taps)(const sdl_conv *s, const NAME(frame) *frame, idx *taps)
{
    for (idx c = 0; c < s->c; c++)
        for (idx y = 0; y < s->hh; y++)
            for (idx x = 0; x < s->ww; x++) *taps++ = NAME(frame_at)(frame, c, y, x);
}

/* Pack the weights and run a pass that gets its outputs from `p`. */
static int NAME(run_forward)(const void *w, NAME(pass) p, const sdl_conv *s, int n_threads)
{
    idx k = s->c * s->hh * s->ww;
    idx *taps = sdl_scratch(SDL_SLOT_SHARED_2, k * sizeof(idx));
    real *weights = sdl_scratch(SDL_SLOT_SHARED, k * NAME(padded_columns)(s->f) * sizeof(real));
    if (!taps || !weights) return -1;
    p.frame = NAME(input_frame)(s);
    p.taps = taps, p.weights = weights, p.n = s->n, p.k = k, p.columns = s->f;
    NAME(input_taps)(s, &p.frame, taps);
    NAME(pack_weights)(w, 1, k, k, s->f, weights);
    return NAME(run_pass)(&p, n_threads);
}

/* --- where taps are few, and output rows fill vectors or there are few channels: lanes along the pixels of a row --------------
 *
 * The sums are those of the pass above, tap after tap, so the bits are the same; nothing is transposed, and no lane is left empty
 * by a number of channels that is no multiple of the vector. The rows of a strip wait in L1 where pooling follows, or where they
 * do not fill vectors or go to every stride-th pixel. */

INLINE int NAME(is_few_taps)(const sdl_conv *s, int pooled)
{
    return s->wo % (pooled ? 2 * VL : VL) == 0 && s->c * s->hh * s->ww <= KC;
}

/* The first filter of tile `i`. Tiles are as even as can be: a thin one is slow. */
INLINE idx NAME(filter_of_tile)(idx filters, idx i) { return filters * i / CEIL_DIV(filters, SDL_MR); }

/* out (rows filters, out_channel apart) = nv vectors of pixels from a on; weights (depth, rows). */
INLINE void NAME(row_tile)(int rows, int nv, const real *a, const idx *restrict taps, const real *w, idx depth,
                              const real *bias, real *out, idx out_channel)
{
    vec c[SDL_MR][SDL_NV];
    UNROLL for (int r = 0; r < rows; r++)
        UNROLL for (int v = 0; v < nv; v++) c[r][v] = (vec){ 0 };
    for (idx k = 0; k < depth; k++, w += rows) {
        const real *at = a + taps[k];
        vec x[SDL_NV];
        UNROLL for (int v = 0; v < nv; v++) x[v] = NAME(load)(at + v * VL);
        UNROLL for (int r = 0; r < rows; r++)
            UNROLL for (int v = 0; v < nv; v++) c[r][v] += w[r] * x[v];
    }
    UNROLL for (int r = 0; r < rows; r++)
        UNROLL for (int v = 0; v < nv; v++) NAME(store)(out + r * out_channel + v * VL, bias ? c[r][v] + bias[r] : c[r][v]);
}

NOINLINE void NAME(row_tile_of)(idx rows, idx nv, const real *a, const idx *taps, const real *w, idx depth,
                                   const real *bias, real *out, idx out_channel)
{
    if (nv == SDL_NV) {
#define X(r) case r: NAME(row_tile)(r, SDL_NV, a, taps, w, depth, bias, out, out_channel); break;
        switch (rows) { EACH_ROWS(X) }
#undef X
    } else {
#define X(r) case r: NAME(row_tile)(r, 1, a, taps, w, depth, bias, out, out_channel); break;
        switch (rows) { EACH_ROWS(X) }
#undef X
    }
}

/* Output rows [lo, hi), counted through all images; p->weights a tile after the other, each (k, filters of the tile). */
SPAN int NAME(run_rows)(const NAME(pass) *p, idx lo, idx hi)
{
    const NAME(frame) *f = &p->frame;
    real *copy = sdl_scratch(SDL_SLOT_A, (NAME(frame_size)(f) + NR) * sizeof(real));
    if (!copy) return -1;
    int spread = p->out_col > 1 || p->cols % VL; /* the last vector of a row may then reach past the frame's end */
    idx width = ROUND_UP(p->cols, VL), tiles = CEIL_DIV(p->columns, SDL_MR), strip = NAME(strip_rows)(p), plane = strip * width;
    real *sums = p->pooled || spread ? sdl_scratch(SDL_SLOT_B, SDL_MR * plane * sizeof(real)) : NULL;
    const real *image = NULL;
    if ((p->pooled || spread) && !sums) return -1;
    for (idx at = lo; at < hi;) {
        idx n = at / p->rows, y0 = at % p->rows, y1 = MIN(p->rows, MIN(y0 + strip, y0 + hi - at));
        if (at == lo || y0 == 0) image = NAME(fill_frame)(f, p->images + n * f->channels * f->height * f->width, copy);
        if (spread && image != copy) image = memcpy(copy, image, NAME(frame_size)(f) * sizeof(real));
        for (idx t = 0; t < tiles; t++) {
            idx c = NAME(filter_of_tile)(p->columns, t), rows = NAME(filter_of_tile)(p->columns, t + 1) - c;
            idx out = n * p->out_image + c * p->out_channel;
            idx channel = sums ? plane : p->out_channel;
            real *first = sums ? sums : p->out + out + y0 * p->out_row;
            for (idx y = y0; y < y1; y++, first += width)
                for (idx x = 0; x < width; x += NR) {
                    idx nv = MIN(SDL_NV, (width - x) / VL);
                    const real *a = image + p->start + y * NAME(frame_row_step)(f) + x;
                    NAME(check_taps)(f, image, a, p->taps, p->k, MIN(p->cols - x, nv * VL));
                    NAME(row_tile_of)(rows, nv, a, p->taps, p->weights + c * p->k, p->k, p->bias ? p->bias + c : NULL,
                                      first + x, channel);
                }
            for (idx r = 0; sums && r < rows; r++) {
                idx to = out + r * p->out_channel + (p->pooled ? y0 / 2 * (p->cols / 2) : y0 * p->out_row);
                const real *from = sums + r * plane;
                if (p->pooled)
                    NAME(pool_rows)(from, y1 - y0, p->cols, p->out + to, p->winners ? p->winners + to : NULL);
                else
                    for (idx y = y0; y < y1; y++, from += width, to += p->out_row)
                        for (idx x = 0; x < p->cols; x++) p->out[to + x * p->out_col] = from[x];
            }
        }
        at += y1 - y0;
    }
    return 0;
}

/* All output rows, the weights packed. */
static int NAME(run_all_rows)(const NAME(pass) *p, int n_threads)
{
    int failed = 0;
    n_threads = sdl_threads(n_threads, (double)p->n * p->rows * p->cols * p->columns * p->k / 32);
    SDL_SPANS(n_threads, p->n * p->rows, p->pooled ? 2 : 1, lo, hi, SDL_FLUSHED(sdl_note(&failed, NAME(run_rows)(p, lo, hi))));
    return failed;
}

static int NAME(conv_forward_few_taps)(const real *w, NAME(pass) p, const sdl_conv *s, int n_threads)
{
    idx k = s->c * s->hh * s->ww;
    idx *taps = sdl_scratch(SDL_SLOT_SHARED_2, k * sizeof(idx));
    real *weights = sdl_scratch(SDL_SLOT_SHARED, k * s->f * sizeof(real));
    if (!taps || !weights) return -1;
    p.frame = NAME(input_frame)(s);
    p.taps = taps, p.weights = weights, p.n = s->n, p.k = k, p.columns = s->f;
    NAME(input_taps)(s, &p.frame, taps);
    for (idx t = 0; t < CEIL_DIV(s->f, SDL_MR); t++) {
        idx c = NAME(filter_of_tile)(s->f, t), filters = NAME(filter_of_tile)(s->f, t + 1) - c;
        NAME(transpose)(w + c * k, k, weights + c * k, filters, filters, k);
    }
    return NAME(run_all_rows)(&p, n_threads);
}

/* IN x (N, C, H, W), w (F, C, HH, WW), b (F,) or NULL; OUT out (N, F, HO, WO). */
static int NAME(conv_forward)(const void *x, const void *w, const void *b, void *out, const sdl_conv *s, int n_threads)
{
    NAME(pass) p = { .images = x, .bias = b, .rows = s->ho, .cols = s->wo, .out = out, .out_image = s->f * s->ho * s->wo,
                     .out_channel = s->ho * s->wo, .out_row = s->wo, .out_col = 1 };
    return NAME(is_few_taps)(s, 0) ? NAME(conv_forward_few_taps)(w, p, s, n_threads) : NAME(run_forward)(w, p, s, n_threads);
}

/* IN dout (N, F, HO, WO), w (F, C, HH, WW); OUT dx (N, C, H, W).
 *
 * Row y of dx gets dout's row t - i from filter row q + stride * i, where y + pad = q + stride * t: rows of one remainder q
 * are a stride-1 convolution of dout with every stride-th filter row. Columns alike. Beyond the border dout is zero, so that a
 * weight that is not finite makes dx nan there, too. */
static int NAME(conv_backward_dx)(const void *dout, const void *w_, void *dx, const sdl_conv *s, int n_threads)
{
    const real *w = w_;
    idx area = s->hh * s->ww, most = s->f * CEIL_DIV(s->hh, s->stride) * CEIL_DIV(s->ww, s->stride);
    idx before_y = (s->hh - 1) / s->stride, before_x = (s->ww - 1) / s->stride;
    idx last_y = MAX(s->ho - 1, (s->pad + s->h - 1) / s->stride), last_x = MAX(s->wo - 1, (s->pad + s->w - 1) / s->stride);
    idx *taps = sdl_scratch(SDL_SLOT_SHARED_2, most * sizeof(idx));
    real *weights = sdl_scratch(SDL_SLOT_SHARED, most * NAME(padded_columns)(s->c) * sizeof(real));
    real *rows = sdl_scratch(SDL_SLOT_C, most * s->c * sizeof(real));
    if (!taps || !weights || !rows) return -1;
    NAME(pass) p = { .images = dout, .taps = taps, .weights = weights, .n = s->n, .columns = s->c,
                     .out_image = s->c * s->h * s->w, .out_channel = s->h * s->w, .out_row = s->stride * s->w,
                     .out_col = s->stride };
    p.frame = (NAME(frame)){ .channels = s->f, .height = s->ho, .width = s->wo, .top = before_y, .left = before_x,
                             .padded_height = before_y + last_y + 1, .phases = 1, .phase_width = before_x + last_x + 1,
                             .stride = 1 };
    /* One pass for each remainder modulo the stride that the image has, found by its first row and column. */
    for (idx y = 0; y < MIN(s->h, s->stride); y++)
        for (idx x = 0; x < MIN(s->w, s->stride); x++) {
            idx qy = (y + s->pad) % s->stride, y0 = (y + s->pad) / s->stride;
            idx qx = (x + s->pad) % s->stride, x0 = (x + s->pad) / s->stride;
            p.rows = CEIL_DIV(s->h - y, s->stride);
            p.cols = CEIL_DIV(s->w - x, s->stride);
            p.start = NAME(frame_at)(&p.frame, 0, y0, x0);
            p.out = (real *)dx + y * s->w + x;
            p.k = 0;
            for (idx f = 0; f < s->f; f++)
                for (idx i = 0; qy + i * s->stride < s->hh; i++)
                    for (idx j = 0; qx + j * s->stride < s->ww; j++, p.k++) {
                        taps[p.k] = NAME(frame_at)(&p.frame, f, before_y - i, before_x - j);
                        const real *from = w + f * s->c * area + (qy + i * s->stride) * s->ww + qx + j * s->stride;
                        for (idx c = 0; c < s->c; c++) rows[p.k * s->c + c] = from[c * area];
                    }
            int by_rows = s->c <= SDL_MR && p.k <= KC && 2 * p.cols > VL; /* one tile takes all channels: `rows` is packed */
            p.weights = by_rows ? rows : weights;
            if (!by_rows) NAME(pack_weights)(rows, s->c, 1, p.k, s->c, weights);
            if (by_rows ? NAME(run_all_rows)(&p, n_threads) : NAME(run_pass)(&p, n_threads)) return -1;
        }
    return 0;
}

/* --- dw: sum over pixels --------------------------------------------------------------------------------------------- */

/* acc (rows taps x nv vectors of filters) += sum over output rows and columns of image at tap times dout there. */
INLINE void NAME(pixels_tile)(int rows, int nv, const real *image, const idx *taps, idx row_step, const real *b, idx out_rows,
                              idx out_cols, real *acc)
{
    vec c[SDL_MR][SDL_NV];
    UNROLL for (int r = 0; r < rows; r++)
        UNROLL for (int v = 0; v < nv; v++) c[r][v] = (vec){ 0 };
    for (idx y = 0; y < out_rows; y++, image += row_step) {
        const real *a[SDL_MR];
        UNROLL for (int r = 0; r < rows; r++) a[r] = image + taps[r];
        for (idx x = 0; x < out_cols; x++, b += nv * VL) {
            vec bx[SDL_NV];
            UNROLL for (int v = 0; v < nv; v++) bx[v] = NAME(load)(b + v * VL);
            UNROLL for (int r = 0; r < rows; r++)
                UNROLL for (int v = 0; v < nv; v++) c[r][v] += a[r][x] * bx[v];
        }
    }
    UNROLL for (int r = 0; r < rows; r++)
        UNROLL for (int v = 0; v < nv; v++) {
            real *to = acc + (r * nv + v) * VL;
            NAME(store)(to, NAME(load)(to) + c[r][v]);
        }
}

NOINLINE void NAME(pixels_tile_of)(idx rows, idx nv, const real *image, const idx *taps, idx row_step, const real *b,
                                          idx out_rows, idx out_cols, real *acc)
{
    if (nv == SDL_NV) {
#define X(r) case r: NAME(pixels_tile)(r, SDL_NV, image, taps, row_step, b, out_rows, out_cols, acc); break;
        switch (rows) { EACH_ROWS(X) }
#undef X
    } else {
#define X(r) case r: NAME(pixels_tile)(r, 1, image, taps, row_step, b, out_rows, out_cols, acc); break;
        switch (rows) { EACH_ROWS(X) }
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

/* The part of dw of taps [k0, k1) and filters [f0, f1), in this thread; db of those filters by the thread with tap 0. */
static int NAME(dw_rectangle)(const real *x, const real *dout, real *dw, real *db, const sdl_conv *s, const NAME(frame) *frame,
                              const idx *taps, idx k0, idx k1, idx f0, idx f1)
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

/* How many threads share the taps, the others sharing the filters: the grid whose busiest thread has least to multiply and to
 * pack. */
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
SPAN int NAME(dw_cells)(const real *x, const real *dout, real *dw, real *db, const sdl_conv *s, const NAME(frame) *frame,
                        const idx *taps, int down, int across, idx lo, idx hi)
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
