/* Convolution with lanes along the pixels of a row, MR filters at a time: where taps are few, and output rows fill
 * vectors or there are few channels.
 *
 * The sums are those of taps.h, tap after tap, so the bits are the same; nothing is transposed, and no lane is left
 * empty by a number of channels that is no multiple of the vector. The rows of a strip stay in L1 where pooling
 * follows, or where they do not fill vectors or go to every stride-th pixel. */

/* The first filter of tile `i`. Tiles are as even as can be: a thin one is slow. */
INLINE idx NAME(filter_of_tile)(idx filters, idx i) { return filters * i / CEIL_DIV(filters, SDL_MR); }

/* out (rows filters, out_channel apart) = nv vectors of pixels from a on; weights (depth, rows). */
INLINE void NAME(row_tile)(int rows, int nv, const real *a, const idx *restrict taps, const real *w, idx depth,
                           const real *bias, int activation, real *out, idx out_channel)
{
    vec c[SDL_MR][SDL_NV];
    UNROLL(int r = 0; r < rows; r++)
        UNROLL(int v = 0; v < nv; v++) c[r][v] = (vec){ 0 };
    for (idx k = 0; k < depth; k++, w += rows) {
        const real *at = a + taps[k];
        vec x[SDL_NV];
        UNROLL(int v = 0; v < nv; v++) x[v] = NAME(load)(at + v * VL);
        UNROLL(int r = 0; r < rows; r++)
            UNROLL(int v = 0; v < nv; v++) c[r][v] += w[r] * x[v];
    }
    UNROLL(int r = 0; r < rows; r++)
        UNROLL(int v = 0; v < nv; v++) {
            vec sum = bias ? c[r][v] + bias[r] : c[r][v];
            NAME(store)(out + r * out_channel + v * VL, NAME(finish)(sum, activation));
        }
}

NOINLINE void NAME(row_tile_of)(idx rows, idx nv, const real *a, const idx *taps, const real *w, idx depth,
                                const real *bias, int activation, real *out, idx out_channel)
{
    if (nv == SDL_NV) {
#define X(r) \
    case r: NAME(row_tile)(r, SDL_NV, a, taps, w, depth, bias, activation, out, out_channel); break;
        switch (rows) {
            EACH_ROWS(X)
        }
#undef X
    } else {
#define X(r) \
    case r: NAME(row_tile)(r, 1, a, taps, w, depth, bias, activation, out, out_channel); break;
        switch (rows) {
            EACH_ROWS(X)
        }
#undef X
    }
}

/* Output rows [lo, hi), counted through all images; p->weights a tile after the other, each (k, filters of the tile).
 */
SPAN int NAME(run_rows)(const NAME(pass) *p, idx lo, idx hi)
{
    const NAME(frame) *f = &p->frame;
    real *copy = sdl_scratch(SDL_SLOT_A, (NAME(frame_size)(f) + NR) * sizeof(real));
    if (!copy) return -1;
    int spread = p->out_col > 1 || p->cols % VL; /* the last vector of a row may then reach past the frame's end */
    idx width = ROUND_UP(p->cols, VL), tiles = CEIL_DIV(p->columns, SDL_MR), strip = NAME(strip_rows)(p),
        plane = strip * width;
    real *sums = p->pooled || spread ? sdl_scratch(SDL_SLOT_B, SDL_MR * plane * sizeof(real)) : NULL;
    int activation = p->pooled ? SDL_ACTIVATION_identity : p->activation; /* pooling does relu itself */
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
                                      activation, first + x, channel);
                }
            NAME(finish_late)(sums ? sums : p->out + out + y0 * p->out_row, channel, rows, (y1 - y0) * width,
                              activation);
            for (idx r = 0; sums && r < rows; r++) {
                idx to = out + r * p->out_channel + (p->pooled ? y0 / 2 * (p->cols / 2) : y0 * p->out_row);
                const real *from = sums + r * plane;
                if (p->pooled)
                    NAME(pool_rows)(from, y1 - y0, p->cols, p->out + to, p->argmax_cell ? p->argmax_cell + to : NULL);
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
    SDL_SPANS(n_threads, p->n * p->rows, p->pooled ? 2 : 1, lo, hi,
              SDL_FLUSHED(sdl_note(&failed, NAME(run_rows)(p, lo, hi))));
    return failed;
}

/* weights: of one tile after the other, (k, filters of the tile), from w (filters, k). */
static void NAME(pack_row_weights)(const real *w, idx k, idx filters, real *weights)
{
    for (idx t = 0; t < CEIL_DIV(filters, SDL_MR); t++) {
        idx first = NAME(filter_of_tile)(filters, t), count = NAME(filter_of_tile)(filters, t + 1) - first;
        NAME(transpose)(w + first * k, k, weights + first * k, count, count, k);
    }
}
