/* Products with few columns, the logits of a classifier: a lane for each inner index, a row of x times a column of w.
 *
 * Rows are summed in segments, short enough that as much of every column of w stays in L1 while the rows go by. Whole
 * columns would come from L2 again for each pair of rows, at the most it gives. */

#define DOT_COLUMNS 6
#define DOT_TILE ROUND_UP(2 * DOT_COLUMNS, VL) /* room for the sums of two rows with that many columns */
#define DOT_TILES CEIL_DIV(VL + VL / 2, DOT_COLUMNS) /* for each two rows, at most */
#define DOT_SEGMENT ((idx)(4096 / sizeof(real))) /* of a row, at most */
#define DOT_SEGMENTS ((idx)(20480 / sizeof(real))) /* of all columns of w together */
#define DOT_ROWS 32 /* done at a time, segment by segment: they fit L2 */

/* Lanes left empty by panels cost more than a third: N of 10 in float32 AVX2 fills 10 of 16. */
INLINE int NAME(is_narrow)(idx n, idx k) { return n > 0 && n < VL + VL / 2 && n != VL && k >= 8 * VL; }

/* Length of the segments of k, all but the last alike. A sum is that of its segments' sums, in their order. */
INLINE idx NAME(dot_segment)(idx k, idx n)
{
    return ROUND_UP(CEIL_DIV(k, CEIL_DIV(k, MIN(DOT_SEGMENT, DOT_SEGMENTS / n))), LINE);
}

/* Columns that are done at a time. */
INLINE idx NAME(dot_group)(idx n) { return CEIL_DIV(n, CEIL_DIV(n, DOT_COLUMNS)); }

/* tile (rows * cols) = or += (unless `first`) the sums over a segment's k of x[r][offset + k] * wt[j][k]; wt is zero
 * past its end. What lies at `ahead`, as long as the segment, is asked for at the pace of the arithmetic: cores drop a
 * burst of prefetches. */
INLINE void NAME(dot_tile)(int rows, int cols, const real *const *x, idx offset, const real *wt, idx wt_row, idx length,
                           real *tile, int first, const real *ahead)
{
    vec acc[DOT_TILE], sums[DOT_TILE];
    UNROLL(int i = 0; i < rows * cols; i++) acc[i] = (vec){ 0 };
    idx l = 0;
    for (; l + LINE <= length; l += LINE) {
        PREFETCH_L2(ahead + l);
        UNROLL(int v = 0; v < (int)LINE; v += (int)VL) {
            vec xl[2];
            UNROLL(int r = 0; r < rows; r++) xl[r] = NAME(load)(x[r] + offset + l + v);
            UNROLL(int j = 0; j < cols; j++) {
                vec w = NAME(load)(wt + j * wt_row + l + v);
                IN_REGISTER(w);
                UNROLL(int r = 0; r < rows; r++) acc[r * cols + j] += xl[r] * w;
            }
        }
    }
    for (; l < length; l += VL) {
        vec xl[2] = { { 0 } };
        for (int r = 0; r < rows; r++) memcpy(&xl[r], x[r] + offset + l, MIN(VL, length - l) * sizeof(real));
        UNROLL(int j = 0; j < cols; j++) {
            vec w = NAME(load)(wt + j * wt_row + l);
            UNROLL(int r = 0; r < rows; r++) acc[r * cols + j] += xl[r] * w;
        }
    }
    NAME(lane_sums)(acc, rows * cols, sums);
    UNROLL(int i = 0; i < rows * cols; i += (int)VL)
        NAME(store)(tile + i, first ? sums[i / VL] : NAME(load)(tile + i) + sums[i / VL]);
}

NOINLINE void NAME(dot_rows)(idx rows, idx cols, const real *const *x, idx offset, const real *wt, idx wt_row,
                             idx length, real *tile, int first, const real *ahead)
{
    switch (rows * 8 + cols) {
#define X(r, c) \
    case r * 8 + c: NAME(dot_tile)(r, c, x, offset, wt, wt_row, length, tile, first, ahead); break;
        /* clang-format off */
        X(1, 1) X(1, 2) X(1, 3) X(1, 4) X(1, 5) X(1, 6)
        X(2, 1) X(2, 2) X(2, 3) X(2, 4) X(2, 5) X(2, 6)
        /* clang-format on */
#undef X
    }
}

/* tiles (one for each group of columns) = or += (unless `first`) the sums over a segment of one or two rows with all n
 * columns. What lies at each of `ahead` is asked for meanwhile, where there are so many groups. */
static void NAME(dot_segments)(const real *const *x, idx offset, idx rows, const real *wt, idx wt_row, idx length,
                               idx n, real *tiles, int first, const real *const ahead[2])
{
    idx group = NAME(dot_group)(n);
    for (idx j = 0, i = 0; j < n; j += group, i++)
        NAME(dot_rows)(rows, MIN(group, n - j), x, offset, wt + j * wt_row, wt_row, length, tiles + i * DOT_TILE, first,
                       ahead[MIN(i, 1)]);
}

/* Reals in the tiles of two rows with n columns. */
INLINE idx NAME(dot_tiles)(idx n) { return CEIL_DIV(n, NAME(dot_group)(n)) * DOT_TILE; }

/* c (rows, n) = what the tiles hold, plus the bias (unless NULL); then the activation. */
static void NAME(dot_untile)(const real *tiles, const real *bias, int activation, real *c, idx rows, idx n)
{
    idx group = NAME(dot_group)(n);
    for (idx i = 0; i < rows; i += 2)
        for (idx j = 0; j < n; j += group, tiles += DOT_TILE)
            for (idx r = 0, cols = MIN(group, n - j); r < MIN(2, rows - i); r++)
                for (idx l = 0; l < cols; l++) {
                    real v = tiles[r * cols + l] + (bias ? bias[j + l] : 0);
                    c[(i + r) * n + j + l] = NAME(finish_one)(v, activation);
                }
    NAME(finish_late)(c, n, rows, n, activation);
}

/* wt (segments, n, segment) = the transpose of w (k, n), segment by segment, zero past k. */
static void NAME(dot_columns)(const real *w, real *wt, idx segment, idx k, idx n)
{
    for (idx from = 0; from < k; from += segment, wt += n * segment) {
        idx length = MIN(segment, k - from);
        for (idx j = 0; length < segment && j < n; j++)
            memset(wt + j * segment + length, 0, (segment - length) * sizeof(real));
        NAME(transpose)(w + from * n, n, wt, segment, length, n);
    }
}

SPAN void NAME(narrow_rows)(const NAME(product) *p, const real *wt, idx segment, idx lo, idx hi)
{
    real tiles[DOT_ROWS / 2 * DOT_TILES * DOT_TILE];
    for (idx i = lo; i < hi; i += DOT_ROWS) {
        idx rows = MIN(DOT_ROWS, hi - i);
        for (idx k = 0; k < p->k; k += segment)
            for (idx r = 0; r < rows; r += 2) {
                const real *a = p->a + (i + r) * p->k, *pair[2] = { a, a + p->k };
                const real *next[2] = { a + 2 * p->k + k, a + 3 * p->k + k };
                NAME(dot_segments)(pair, k, MIN(2, rows - r), wt + k * p->n, segment, MIN(segment, p->k - k), p->n,
                                   tiles + r / 2 * NAME(dot_tiles)(p->n), k == 0, next);
            }
        NAME(dot_untile)(tiles, p->bias, p->activation, p->c + i * p->n, rows, p->n);
    }
}

static int NAME(narrow_multiply)(const NAME(product) *p, int n_threads)
{
    idx segment = NAME(dot_segment)(p->k, p->n);
    real *wt = sdl_scratch(SDL_SLOT_SHARED, p->n * ROUND_UP(p->k, segment) * sizeof(real));
    if (!wt) return -1;
    NAME(dot_columns)(p->b, wt, segment, p->k, p->n);
    n_threads = sdl_threads(n_threads, (double)p->m * p->n * p->k / 32);
    SDL_SPANS(n_threads, p->m, 2, lo, hi, SDL_FLUSHED(NAME(narrow_rows)(p, wt, segment, lo, hi)));
    return 0;
}
