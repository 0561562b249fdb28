/* Matrix products whose left factor is zero in many places: gradients behind relu or dropout, and relu's output.
 *
 * C = A @ B as in gemm.h, to the same bits but for the sign of a zero: the zeros of A are left out of the same chains
 * of multiply-adds, and a product with zero changes no sum as long as B is finite. So B is looked through while it is
 * packed, and where something in it is not finite nothing is left out.
 *
 * Each row of A becomes a list of its nonzero elements; a list runs down a panel of B with NONZERO_TILE vectors of one
 * row of C in registers, one broadcast for all of them. Against the dense tile this loads twice as much from L1, and
 * does a half of the work or less. A block of SPARSE_DEPTH rows of the panel stays in L1 while the lists of SPARSE_ROWS
 * rows of C go by; their sums, where another block follows, wait in L1, too.
 */

#define SPARSE_DEPTH 64
#define SPARSE_ROWS 32
#define PITCH (NONZERO_TILE * VL) /* of packed panels and of sums */
#define LISTED_ROWS 1024 /* rows of A whose lists are kept at a time */
#define SAMPLE_RUNS 64 /* looked at to tell how sparse A is: so many runs of so many elements */
#define SAMPLE_RUN 32

/* What one thread computes, and has at hand: rows [i0, i1) and columns [j0, j1) of C. */
typedef struct {
    const NAME(product) *p;
    idx i0, i1, j0, j1;
    int keep_zeros; /* B holds something that is not finite */
    idx depth, part, parts; /* inner indices in a block, as in gemm.h, and in each of its parts */
    int32_t
        *start; /* where the list of (row, part) begins, (rows * parts + 1): row by row without gaps, to stay in L2 */
    real *scale; /* the nonzero elements */
    uint16_t *offset; /* and the offsets into a panel of what they are multiplied with */
    real *panel; /* the block's rows of B: (depth, PITCH) */
    real *sums; /* (SPARSE_ROWS, PITCH), then as much again for their transpose */
} NAME(sparse);

/* Whether A has zeros enough to pay for its lists, which the more columns of C share the better, and C rows enough to
 * pay for packing B. Either answer gives the same results. */
static int NAME(sparse_is_faster)(const NAME(product) *p)
{
    if (p->m <= SDL_MR || p->n < PITCH) return 0;
    SDL_ASSERT(p->a_row == p->k || p->a_step == p->m); /* A's elements follow one another, in either order */
    idx size = p->m * p->k, apart = MAX(SAMPLE_RUN, size / SAMPLE_RUNS), zeros = 0, seen = 0;
    uint32_t scatter = 0; /* without it, runs a multiple of the row's length apart would look at the same columns */
    for (idx i = 0; i + apart <= size; i += apart, seen += SAMPLE_RUN, scatter += 0x9e3779b1u) {
        const real *run = p->a + i + scatter % (apart - SAMPLE_RUN + 1);
        for (idx l = 0; l < SAMPLE_RUN; l++) zeros += run[l] == 0;
    }
    return (double)zeros > seen * (0.3 + 0.5 * PITCH / p->n);
}

/* offset, scale = those of the n elements of a that are not zero, or all of them, and PITCH times their places. Returns
 * how many. (As integers: comparing floats would mind nan. No branch, as in conv/pooled.h.) */
INLINE int32_t NAME(list_part)(const real *a, idx a_step, idx n, unsigned place, int all, uint16_t *restrict offset,
                               real *restrict scale)
{
    int32_t nonzero = 0;
    for (idx k = 0; k < n; k++, a += a_step, place += (unsigned)PITCH) {
        integer bits;
        memcpy(&bits, a, sizeof bits);
        memcpy(scale + nonzero, &bits, sizeof bits);
        offset[nonzero] = (uint16_t)place;
        nonzero += all | ((bits & MAGNITUDE) != 0);
    }
    return nonzero;
}

/* List the nonzero elements of A's columns [k0, k0 + depth). */
static void NAME(list_nonzero)(const NAME(sparse) *s, idx k0, idx depth)
{
    const NAME(product) *p = s->p;
    int32_t *start = s->start, n = 0;
    *start = 0;
    for (idx i = s->i0; i < s->i1; i++)
        for (idx part = 0; part < s->parts; part++) {
            idx first = part * s->part;
            const real *a = p->a + i * p->a_row + (k0 + first) * p->a_step;
            n += NAME(list_part)(a, p->a_step, MIN(depth - first, s->part), first * PITCH, s->keep_zeros, s->offset + n,
                                 s->scale + n);
            *++start = n;
        }
}

/* panel (depth, PITCH) = rows of B from k0 on, columns [j, j + cols), zero up to whole vectors. Returns whether all are
 * finite. */
static int NAME(pack_panel)(const NAME(sparse) *s, idx k0, idx depth, idx j, idx cols)
{
    const NAME(product) *p = s->p;
    idx whole = cols / VL * VL, vectors = CEIL_DIV(cols, VL);
    vec zeros[4] = { { 0 } }; /* not zero any more after a product with what is not finite */
    for (idx k = 0; k < depth; k++) {
        real *to = s->panel + k * PITCH;
        if (p->b_step == 1) {
            const real *from = p->b + (k0 + k) * p->b_row + j;
            for (idx v = 0; v < whole; v += VL) {
                PREFETCH(from + PACK_AHEAD * p->b_row + v);
                NAME(store)(to + v, NAME(load)(from + v));
            }
            for (idx l = whole; l < cols; l++) to[l] = from[l];
        } else if (k % s->part == 0) {
            SDL_ASSERT(p->b_row == 1);
            NAME(pack_turned)(p->b + j * p->b_step + k0 + k, p->b_step, MIN(s->part, depth - k), cols, to, PITCH);
        }
        for (idx l = cols; l < vectors * VL; l++) to[l] = 0;
        idx v = 0;
        for (; v + 4 <= vectors; v += 4) {
            UNROLL(idx c = 0; c < 4; c++) zeros[c] += NAME(load)(to + (v + c) * VL) * (real)0;
        }
        for (; v < vectors; v++) zeros[0] += NAME(load)(to + v * VL) * (real)0;
    }
    return NAME(lane_sum)((zeros[0] + zeros[1]) + (zeros[2] + zeros[3])) == 0;
}

/* sums (nv vectors) = (or += if `on`) sum over the n nonzero of scale * the row of B at their offset. */
INLINE void NAME(sparse_tile)(int nv, const uint16_t *offset, const real *scale, idx n, const real *b, real *sums,
                              int on)
{
    vec c[NONZERO_TILE];
    UNROLL(int v = 0; v < nv; v++) c[v] = on ? NAME(load)(sums + v * VL) : (vec){ 0 };
    for (idx l = 0; l < n; l++) {
        const real *from = b + offset[l];
        real factor = scale[l];
        UNROLL(int v = 0; v < nv; v++) c[v] += factor * NAME(load)(from + v * VL);
    }
    UNROLL(int v = 0; v < nv; v++) NAME(store)(sums + v * VL, c[v]);
}

NOINLINE void NAME(sparse_tile_of)(idx nv, const uint16_t *offset, const real *scale, idx n, const real *b, real *sums,
                                   int on)
{
    switch (nv) {
#define X(v) \
    case v: NAME(sparse_tile)(v, offset, scale, n, b, sums, on); break;
        X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12)
#undef X
    }
}

/* C at (i, j), rows x cols, = or += sums; then bias and activation, as put_tile does. */
static void NAME(put_sums)(const NAME(sparse) *s, idx i, idx j, idx rows, idx cols, int first, int last)
{
    const NAME(product) *p = s->p;
    if (p->c_step == 1) {
        for (idx r = 0; r < rows; r += SDL_MR)
            for (idx l = 0; l < cols; l += NR)
                NAME(put_tile)(p, i + r, j + l, MIN(SDL_MR, rows - r), MIN(NR, cols - l), PITCH,
                               s->sums + r * PITCH + l, first, last);
        return;
    }
    SDL_ASSERT(p->c_row == 1 && !p->bias && !p->activation);
    real *c = p->c + i + j * p->c_step;
    if (first) {
        NAME(transpose)(s->sums, PITCH, c, p->c_step, rows, cols);
        return;
    }
    real *turned = s->sums + SPARSE_ROWS * PITCH;
    NAME(transpose)(s->sums, PITCH, turned, SPARSE_ROWS, rows, cols);
    for (idx l = 0; l < cols; l++)
        for (idx r = 0; r < rows; r++) c[l * p->c_step + r] += turned[l * SPARSE_ROWS + r];
}

/* Columns [j, j + cols) of C, over the block of inner indices from k0 on that is listed and packed. */
static void NAME(sparse_panel)(const NAME(sparse) *s, idx k0, idx depth, idx j, idx cols)
{
    idx nv = CEIL_DIV(cols, VL);
    for (idx i = s->i0; i < s->i1; i += SPARSE_ROWS) {
        idx rows = MIN(SPARSE_ROWS, s->i1 - i);
        for (idx part = 0; part < s->parts; part++)
            for (idx r = 0; r < rows; r++) {
                const int32_t *list = s->start + (i + r - s->i0) * s->parts + part;
                NAME(sparse_tile_of)(nv, s->offset + list[0], s->scale + list[0], list[1] - list[0], s->panel,
                                     s->sums + r * PITCH, part > 0);
            }
        NAME(put_sums)(s, i, j, rows, cols, k0 == 0, k0 + depth == s->p->k);
    }
}

/* Rows [i0, i1) and columns [j0, j1) of C. Returns 0, or -1 when out of memory. */
static int NAME(sparse_block)(const NAME(product) *p, idx i0, idx i1, idx j0, idx j1)
{
    NAME(sparse) s = { .p = p, .i0 = i0, .i1 = i1, .j0 = j0, .j1 = j1 };
    s.depth = MIN(p->k, NAME(block_depth)(p->k));
    s.parts = CEIL_DIV(s.depth, SPARSE_DEPTH);
    s.part = CEIL_DIV(s.depth, s.parts);
    idx n_lists = (i1 - i0) * s.parts, elements = (i1 - i0) * s.depth;
    idx vectors = CEIL_DIV(j1 - j0, VL), panels = CEIL_DIV(vectors, NONZERO_TILE);
    s.panel = sdl_scratch(SDL_SLOT_B, (s.depth + 2 * SPARSE_ROWS) * PITCH * sizeof(real));
    s.scale = sdl_scratch(SDL_SLOT_A, elements * (sizeof(real) + sizeof(uint16_t)));
    s.start = sdl_scratch(SDL_SLOT_C, (n_lists + 1) * sizeof(int32_t));
    if (!s.panel || !s.scale || !s.start) return -1;
    s.sums = s.panel + s.depth * PITCH;
    s.offset = (uint16_t *)(s.scale + elements);
    for (idx k = 0; k < p->k; k += s.depth) {
        idx depth = MIN(s.depth, p->k - k);
        NAME(list_nonzero)(&s, k, depth);
        for (idx panel = 0; panel < panels; panel++) {
            idx j = j0 + vectors * panel / panels * VL, cols = MIN(j1, j0 + vectors * (panel + 1) / panels * VL) - j;
            if (!NAME(pack_panel)(&s, k, depth, j, cols) && !s.keep_zeros) {
                s.keep_zeros = 1;
                NAME(list_nonzero)(&s, k, depth);
            }
            NAME(sparse_panel)(&s, k, depth, j, cols);
        }
    }
    return 0;
}

/* The same, for as many rows as there may be. */
SPAN int NAME(sparse_region)(const NAME(product) *p, idx i0, idx i1, idx j0, idx j1)
{
    for (idx i = i0; i < i1; i += LISTED_ROWS)
        if (NAME(sparse_block)(p, i, MIN(i1, i + LISTED_ROWS), j0, j1)) return -1;
    return 0;
}

/* Threads share columns, and each lists all of A, or rows, and each packs all of B: whichever is less. */
static int NAME(sparse_multiply)(const NAME(product) *p, int n_threads)
{
    int failed = 0;
    n_threads = sdl_threads(n_threads, (double)p->m * p->n * p->k / 48);
    if (p->m <= p->n)
        SDL_SPANS(n_threads, p->n, VL, lo, hi, SDL_FLUSHED(sdl_note(&failed, NAME(sparse_region)(p, 0, p->m, lo, hi))));
    else
        SDL_SPANS(n_threads, p->m, 1, lo, hi, SDL_FLUSHED(sdl_note(&failed, NAME(sparse_region)(p, lo, hi, 0, p->n))));
    return failed;
}
