/* Matrix products: C = A @ B for the affine layer's three products, with bias and activation in the last pass.
 *
 * The scheme is Goto's ("Anatomy of High-Performance Matrix Multiplication", 2008) made small: B is packed in panels of
 * NR columns, a register tile of MR rows x NR columns runs down a panel, A is read where it lies. Rejected: OpenBLAS,
 * whose worker threads spin against OpenMP's, whose results depend on how many rows come together, and which has no
 * epilogue.
 *
 * Every element of C is computed as sum over blocks of KC inner indices of (one multiply-add chain in ascending order),
 * whichever tile, thread or panel it falls into: rows do not depend on the batch, nor bits on the number of threads.
 * Products with few columns (logits) are narrow.h's; the choice depends on B's shape only.
 */

#define KC 256 /* inner block: a panel of B (KC x NR) fits half of L1 */
#define NC (16 * NR) /* columns packed at a time: KC x NC is 256 KB or less, half of L2 */
#define PACK_AHEAD 8 /* rows between a prefetch and the copy */
#define MC \
    (16 * SDL_MR) /* rows done at a time; where A is read by columns they are packed: whole cache lines of its rows */

typedef struct {
    const real *a; /* IN  element (i, k) at a[i * a_row + k * a_step] */
    idx a_row, a_step;
    const real *b; /* IN  element (k, j) at b[k * b_row + j * b_step] */
    idx b_row, b_step;
    real *c; /* OUT element (i, j) at c[i * c_row + j * c_step] */
    idx c_row, c_step;
    const real *bias; /* IN  (n,) or NULL */
    int activation; /* identity unless C's columns follow one another */
    idx m, n, k;
} NAME(product);

/* acc (rows x nv vectors, its rows acc_row apart) = rows of A times one panel of B, added to what is there if `add`. */
INLINE void NAME(tile)(int rows, int nv, const real *a, idx a_row, idx a_step, const real *b, idx b_row, idx depth,
                       real *acc, idx acc_row, int add)
{
    vec c[SDL_MR][SDL_NV];
    UNROLL(int r = 0; r < rows; r++)
        UNROLL(int v = 0; v < nv; v++) c[r][v] = (vec){ 0 };
    for (idx k = 0; k < depth; k++, a += a_step, b += b_row) {
        vec bk[SDL_NV];
        UNROLL(int v = 0; v < nv; v++) bk[v] = NAME(load)(b + v * VL);
        UNROLL(int r = 0; r < rows; r++) {
            UNROLL(int v = 0; v < nv; v++) c[r][v] += a[r * a_row] * bk[v];
        }
    }
    UNROLL(int r = 0; r < rows; r++)
        UNROLL(int v = 0; v < nv; v++) {
            real *to = acc + r * acc_row + v * VL;
            NAME(store)(to, add ? NAME(load)(to) + c[r][v] : c[r][v]);
        }
}

/* One copy of the tile for each number of rows, so that edges cost what they compute. */
#if SDL_MR == 12
#define EACH_ROWS(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12)
#elif SDL_MR == 8
#define EACH_ROWS(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8)
#else
#define EACH_ROWS(X) X(1) X(2) X(3) X(4) X(5) X(6)
#endif

/* A by rows (a_step is 1), B packed or not. */
NOINLINE void NAME(tile_by_rows)(idx rows, idx nv, const real *a, idx a_row, const real *b, idx b_row, idx depth,
                                 real *acc, idx acc_row, int add)
{
    if (nv == SDL_NV) {
#define X(r) \
    case r: NAME(tile)(r, SDL_NV, a, a_row, 1, b, b_row, depth, acc, acc_row, add); break;
        switch (rows) {
            EACH_ROWS(X)
        }
#undef X
    } else {
#define X(r) \
    case r: NAME(tile)(r, 1, a, a_row, 1, b, b_row, depth, acc, acc_row, add); break;
        switch (rows) {
            EACH_ROWS(X)
        }
#undef X
    }
}

/* A packed by columns, MR to a step. */
NOINLINE void NAME(tile_by_columns)(idx rows, idx nv, const real *a, const real *b, idx b_row, idx depth, real *acc,
                                    idx acc_row, int add)
{
    if (nv == SDL_NV) {
#define X(r) \
    case r: NAME(tile)(r, SDL_NV, a, 1, SDL_MR, b, b_row, depth, acc, acc_row, add); break;
        switch (rows) {
            EACH_ROWS(X)
        }
#undef X
    } else {
#define X(r) \
    case r: NAME(tile)(r, 1, a, 1, SDL_MR, b, b_row, depth, acc, acc_row, add); break;
        switch (rows) {
            EACH_ROWS(X)
        }
#undef X
    }
}

/* Columns that `n` columns take in packed form. */
INLINE idx NAME(padded_columns)(idx n) { return ROUND_UP(n, VL); }

/* packed (depth, pitch) = the transpose of b's n rows, b_step apart. Rows are short and far apart: no prefetcher sees
 * the next. */
static void NAME(pack_turned)(const real *b, idx b_step, idx depth, idx n, real *packed, idx pitch)
{
    for (idx j = 0; j < n; j += VL) {
        for (idx next = j + VL; next < MIN(n, j + 2 * VL); next++)
            for (idx k = 0; k < depth; k += 64 / (idx)sizeof(real)) PREFETCH(b + next * b_step + k);
        NAME(transpose)(b + j * b_step, b_step, packed + j, pitch, MIN(VL, n - j), depth);
    }
}

/* packed: panels of NR columns (VL in the last if that is enough), each depth x width, columns past n zero. Row by row
 * where rows are contiguous: B comes from beyond L2, and panel by panel each row would be a jump for the prefetcher. */
static void NAME(pack_b)(const real *b, idx b_row, idx b_step, idx depth, idx n, real *packed)
{
    idx whole = n / NR * NR, rest = n - whole, width = rest > VL ? NR : VL;
    real *last = packed + whole * depth;
    if (rest && rest < width) memset(last, 0, depth * width * sizeof(real));
    if (b_step != 1) {
        SDL_ASSERT(b_row == 1);
        for (idx j = 0; j < n; j += NR)
            NAME(pack_turned)(b + j * b_step, b_step, depth, MIN(NR, n - j), packed + j * depth,
                              j < whole ? NR : width);
        return;
    }
    for (idx k = 0; k < depth; k++, b += b_row) {
        for (idx j = 0; j < n; j += 64 / (idx)sizeof(real)) PREFETCH(b + PACK_AHEAD * b_row + j);
        for (idx j = 0; j < whole; j += NR)
            UNROLL(idx v = 0; v < SDL_NV; v++)
                NAME(store)(packed + j * depth + k * NR + v * VL, NAME(load)(b + j + v * VL));
        if (rest) memcpy(last + k * width, b + whole, rest * sizeof(real));
    }
}

/* packed: groups of MR rows, each depth x MR; rows past m are left as they are, no tile reads them. */
static void NAME(pack_a)(const real *a, idx a_step, idx m, idx depth, real *packed)
{
    for (idx k = 0; k < depth; k++)
        for (idx i = 0; i < m; i += SDL_MR) {
            real *to = packed + i * depth + k * SDL_MR;
            const real *from = a + k * a_step + i;
            PREFETCH(from + PACK_AHEAD * a_step);
            if (m - i >= SDL_MR) {
                UNROLL(idx r = 0; r < SDL_MR; r++) to[r] = from[r];
            } else {
                for (idx r = 0; r < m - i; r++) to[r] = from[r];
            }
        }
}

/* c (rows x cols) = or += acc; then bias and activation if this was the last inner block. */
static void NAME(put_tile)(const NAME(product) *p, idx i, idx j, idx rows, idx cols, idx width, const real *acc,
                           int first, int last)
{
    SDL_ASSERT(i >= 0 && j >= 0 && i + rows <= p->m && j + cols <= p->n && rows <= SDL_MR && cols <= NR);
    const real *bias = last && p->bias ? p->bias + j : NULL;
    int activation = last ? p->activation : SDL_ACTIVATION_identity;
    for (idx r = 0; r < rows; r++, acc += width) {
        real *c = p->c + (i + r) * p->c_row + j * p->c_step;
        if (p->c_step != 1) {
            SDL_ASSERT(!p->bias && !p->activation);
            for (idx l = 0; l < cols; l++) c[l * p->c_step] = first ? acc[l] : c[l * p->c_step] + acc[l];
            continue;
        }
        idx l = 0;
        for (; l + VL <= cols; l += VL) {
            vec v = NAME(load)(acc + l);
            if (!first) v += NAME(load)(c + l);
            if (bias) v += NAME(load)(bias + l);
            NAME(store)(c + l, NAME(finish)(v, activation));
        }
        for (; l < cols; l++) {
            real v = acc[l];
            if (!first) v += c[l];
            if (bias) v += bias[l];
            c[l] = NAME(finish_one)(v, activation);
        }
        NAME(finish_late)(c, 0, 1, cols, activation);
    }
}

/* A region of C: columns [j0, j1) of rows [i0, i1), less the rows above `top` in the first panel of columns and those
 * from `bottom` on in the last, so that threads can share a panel. All but j1 and i1 are multiples of a tile's sizes.
 */
typedef struct {
    idx i0, i1, j0, j1, top, bottom;
} NAME(region);

/* One tile of C at (i, j), over one inner block; A and B packed, or NULL. */
typedef struct {
    const real *a, *b; /* from this tile on */
    idx b_row, depth;
    int packed_a, first, last;
} NAME(operands);

INLINE void NAME(one_tile)(const NAME(product) *p, const NAME(operands) *o, idx i, idx j, idx rows, idx cols)
{
    real acc[SDL_MR * SDL_NV * VL] __attribute__((aligned(64)));
    idx nv = cols > VL ? SDL_NV : 1;
    /* A whole tile without an epilogue goes straight to C. */
    int direct = cols == nv * VL && p->c_step == 1 && !(o->last && (p->bias || p->activation));
    real *c = direct ? p->c + i * p->c_row + j : acc;
    idx c_row = direct ? p->c_row : nv * VL;
    int add = direct && !o->first;
    if (direct && o->first)
        for (idx r = 0; r < rows; r++) PREFETCH_WRITE(c + r * c_row);
    if (o->packed_a)
        NAME(tile_by_columns)(rows, nv, o->a, o->b, o->b_row, o->depth, c, c_row, add);
    else
        NAME(tile_by_rows)(rows, nv, o->a, p->a_row, o->b, o->b_row, o->depth, c, c_row, add);
    if (!direct) NAME(put_tile)(p, i, j, rows, cols, nv * VL, acc, o->first, o->last);
}

/* The tiles of a region in columns [j0, j0 + n), over one inner block; `packed` is NULL where B is read in place,
 * packed_a where A is. */
static void NAME(tiles)(const NAME(product) *p, const NAME(region) *region, idx j0, idx n, idx k0, idx depth,
                        const real *packed, real *packed_a)
{
    NAME(operands) o = { .depth = depth, .packed_a = packed_a != NULL, .first = k0 == 0, .last = k0 + depth == p->k };
    /* A panel of B stays in L1 while rows go by: the other way around three times as much comes from L2. But the rows
     * of a wide C are pages apart, and better written one after the other. */
    int down = p->n <= NC;
    for (idx ib = region->i0; ib < region->i1; ib += MC) {
        idx block = MIN(MC, region->i1 - ib), row_tiles = CEIL_DIV(block, SDL_MR), panels = CEIL_DIV(n, NR);
        if (packed_a) NAME(pack_a)(p->a + k0 * p->a_step + ib, p->a_step, block, depth, packed_a);
        for (idx outer = 0; outer < (down ? panels : row_tiles); outer++)
            for (idx inner = 0; inner < (down ? row_tiles : panels); inner++) {
                idx i = ib + (down ? inner : outer) * SDL_MR, j = (down ? outer : inner) * NR;
                idx from = j0 + j == region->j0 ? region->top : region->i0;
                idx to = MIN(ib + block, j0 + j + NR >= region->j1 ? region->bottom : region->i1);
                if (i < from || i >= to) continue;
                o.a = packed_a ? packed_a + (i - ib) * depth : p->a + i * p->a_row + k0;
                o.b = packed ? packed + j * depth : p->b + k0 * p->b_row + j0 + j;
                o.b_row = packed && n - j <= VL ? VL : packed ? NR : p->b_row;
                NAME(one_tile)(p, &o, i, j0 + j, MIN(SDL_MR, to - i), MIN(NR, n - j));
            }
    }
}

/* Inner indices in a block, at most KC, all blocks alike. At least 8, also where k is 0: C is then zero. */
INLINE idx NAME(block_depth)(idx k) { return MAX(8, ROUND_UP(CEIL_DIV(k, MAX(1, CEIL_DIV(k, KC))), 8)); }

/* Compute a region of C in this thread. Returns 0, or -1 when out of memory. */
static int NAME(multiply_region)(const NAME(product) *p, const NAME(region) *region)
{
    idx depth = NAME(block_depth)(p->k);
    idx columns = NAME(padded_columns)(MIN(NC, region->j1 - region->j0));
    real *packed_b = sdl_scratch(SDL_SLOT_B, depth * columns * sizeof(real));
    real *packed_a = p->a_step == 1 ? NULL : sdl_scratch(SDL_SLOT_A, depth * MC * sizeof(real));
    if (!packed_b || (p->a_step != 1 && !packed_a)) return -1;
    /* Packing pays only if several tiles use it. */
    int in_place = p->b_step == 1 && region->i1 - region->i0 <= SDL_MR;
    for (idx j = region->j0; j < region->j1; j += NC) {
        idx n = MIN(NC, region->j1 - j);
        idx whole = in_place ? n / NR * NR : 0;
        for (idx k = 0; k == 0 || k < p->k; k += depth) {
            idx d = MIN(depth, p->k - k);
            if (whole) NAME(tiles)(p, region, j, whole, k, d, NULL, packed_a);
            if (whole == n) continue;
            NAME(pack_b)(p->b + k * p->b_row + (j + whole) * p->b_step, p->b_row, p->b_step, d, n - whole, packed_b);
            NAME(tiles)(p, region, j + whole, n - whole, k, d, packed_b, packed_a);
        }
    }
    return 0;
}

/* --- one row, or two: B is read once, as it lies in memory
 * ------------------------------------------------------------ */

#define FEW_ROWS 2
#define FEW_STEPS 8 /* products of rows and inner indices done at a time: so many broadcasts stay in registers */

/* sums (rows, pitch) += A's columns [0, steps) times as many rows of B, n columns of it. */
INLINE void NAME(few_steps)(int rows, int steps, const real *a, idx a_row, const real *b, idx b_row, idx n, real *sums,
                            idx pitch)
{
    idx j = 0;
    for (; j + VL <= n; j += VL)
        UNROLL(int r = 0; r < rows; r++) {
            vec c = NAME(load)(sums + r * pitch + j);
            UNROLL(int k = 0; k < steps; k++) c += a[r * a_row + k] * NAME(load)(b + k * b_row + j);
            NAME(store)(sums + r * pitch + j, c);
        }
    for (; j < n; j++)
        for (int r = 0; r < rows; r++) {
            real c = sums[r * pitch + j];
            for (int k = 0; k < steps; k++) c += a[r * a_row + k] * b[k * b_row + j];
            sums[r * pitch + j] = c;
        }
}

/* Columns [lo, hi) of C. Returns 0, or -1 when out of memory. */
SPAN int NAME(few_columns)(const NAME(product) *p, idx lo, idx hi)
{
    idx n = hi - lo, pitch = ROUND_UP(n, NR), depth = NAME(block_depth)(p->k), steps = FEW_STEPS / p->m;
    real *sums = sdl_scratch(SDL_SLOT_B, p->m * pitch * sizeof(real));
    if (!sums) return -1;
    for (idx k0 = 0; k0 == 0 || k0 < p->k; k0 += depth) {
        idx end = MIN(p->k, k0 + depth), k = k0;
        memset(sums, 0, p->m * pitch * sizeof(real));
        for (; k + steps <= end; k += steps) {
            const real *a = p->a + k, *b = p->b + k * p->b_row + lo;
            if (p->m == 1)
                NAME(few_steps)(1, FEW_STEPS, a, p->a_row, b, p->b_row, n, sums, pitch);
            else
                NAME(few_steps)(2, FEW_STEPS / 2, a, p->a_row, b, p->b_row, n, sums, pitch);
        }
        for (; k < end; k++)
            for (idx r = 0; r < p->m; r++)
                NAME(few_steps)(1, 1, p->a + r * p->a_row + k, p->a_row, p->b + k * p->b_row + lo, p->b_row, n,
                                sums + r * pitch, pitch);
        for (idx j = 0; j < n; j += NR)
            NAME(put_tile)(p, 0, lo + j, p->m, MIN(NR, n - j), pitch, sums + j, k0 == 0, end == p->k);
    }
    return 0;
}

/* --- the rest: shares of tiles
 * ---------------------------------------------------------------------------------------- */

/* Tiles [lo, hi) of C, counted down its panels of columns. */
SPAN int NAME(multiply_columns)(const NAME(product) *p, idx lo, idx hi)
{
    idx tiles = CEIL_DIV(p->m, SDL_MR), first = lo / tiles, last = (hi - 1) / tiles;
    NAME(region) region = { .i0 = 0,
                            .i1 = p->m,
                            .j0 = first * NR,
                            .j1 = MIN(p->n, (last + 1) * NR),
                            .top = (lo - first * tiles) * SDL_MR,
                            .bottom = MIN(p->m, (hi - last * tiles) * SDL_MR) };
    return NAME(multiply_region)(p, &region);
}

/* Rows of tiles [lo, hi) of C. */
SPAN int NAME(multiply_rows)(const NAME(product) *p, idx lo, idx hi)
{
    idx i0 = lo * SDL_MR, i1 = MIN(p->m, hi * SDL_MR);
    NAME(region) region = { .i0 = i0, .i1 = i1, .j0 = 0, .j1 = p->n, .top = i0, .bottom = i1 };
    return NAME(multiply_region)(p, &region);
}

/* Threads share columns, and each reads (or packs) all of A, or rows, and each packs all of B: whichever is less. */
static int NAME(multiply)(const NAME(product) *p, int n_threads)
{
    int failed = 0;
    idx row_tiles = CEIL_DIV(p->m, SDL_MR), panels = CEIL_DIV(p->n, NR);
    if (!row_tiles || !panels) return 0;
    if (p->m <= FEW_ROWS && p->a_step == 1 && p->b_step == 1 && p->c_step == 1) {
        n_threads = sdl_threads(n_threads, (double)p->n * p->k / 10); /* what it takes to read B */
        SDL_SPANS(n_threads, p->n, NR, lo, hi, SDL_FLUSHED(sdl_note(&failed, NAME(few_columns)(p, lo, hi))));
        return failed;
    }
    n_threads = sdl_threads(n_threads, (double)p->m * p->n * p->k / 32);
    if ((p->a_step == 1 ? p->m / 4 : p->m) <= p->n)
        SDL_SPANS(n_threads, row_tiles * panels, 1, lo, hi,
                  SDL_FLUSHED(sdl_note(&failed, NAME(multiply_columns)(p, lo, hi))));
    else
        SDL_SPANS(n_threads, row_tiles, 1, lo, hi, SDL_FLUSHED(sdl_note(&failed, NAME(multiply_rows)(p, lo, hi))));
    return failed;
}
