/* Products so small that packing would take as long as they do: both factors are read where they lie, and results go
 * from registers to C, with bias and activation. Sums are those of gemm.h, to the bit: one chain of multiply-adds in
 * ascending order.
 *
 * C's columns that fill no whole panel are computed with some of their neighbours, a second time, to the same numbers.
 * Where C has less columns than a vector has lanes, rows of it are written as whole vectors one after the other, each
 * over the excess of the one before it.
 */

#define SMALL_INNER (128 << 10) /* bytes of B at most: what L1 and a part of L2 keep while the rows of A go by */
#define SMALL_TURNED (256 << 10) /* and of A, where it is read by columns */

typedef struct {
    const real *b; /* rows b_row apart */
    idx b_row, depth, second; /* the second vector of a row of the panel comes so much after the first */
    const real *bias; /* or NULL */
    int activation;
    idx c_row;
} NAME(panel);

/* What is written of a row of C: a vector, or `cols` lanes of it. */
INLINE void NAME(put_lanes)(real *c, vec v, idx cols)
{
    real lanes[VL];
    NAME(store)(lanes, v);
    for (idx l = 0; l < cols; l++) c[l] = lanes[l];
}

/* Rows of C: nv vectors each, but `cols` lanes alone of those from number `whole` on. */
INLINE void NAME(small_tile)(int rows, int nv, const real *a, idx a_row, idx a_step, const NAME(panel) *p, real *c,
                             idx whole, idx cols)
{
    vec sums[SDL_MR][SDL_NV];
    UNROLL(int r = 0; r < rows; r++)
        UNROLL(int v = 0; v < nv; v++) sums[r][v] = (vec){ 0 };
    const real *b = p->b;
    idx b_row = p->b_row, second = p->second;
    for (idx k = p->depth; k; k--, a += a_step, b += b_row) {
        vec bk[SDL_NV];
        UNROLL(int v = 0; v < nv; v++) bk[v] = NAME(load)(b + v * second);
        UNROLL(int r = 0; r < rows; r++)
            UNROLL(int v = 0; v < nv; v++) sums[r][v] += a[r * a_row] * bk[v];
    }
    if (p->bias)
        UNROLL(int v = 0; v < nv; v++) {
            vec bias = NAME(load)(p->bias + v * second);
            UNROLL(int r = 0; r < rows; r++) sums[r][v] += bias;
        }
    UNROLL(int r = 0; r < rows; r++)
        UNROLL(int v = 0; v < nv; v++) sums[r][v] = NAME(finish)(sums[r][v], p->activation);
    UNROLL(int r = 0; r < rows; r++, c += p->c_row)
        UNROLL(int v = 0; v < nv; v++) {
            if (nv > 1 || r < whole)
                NAME(store)(c + v * second, sums[r][v]);
            else
                NAME(put_lanes)(c, sums[r][v], cols);
        }
}

NOINLINE void NAME(small_by_rows)(idx rows, idx nv, const real *a, idx a_row, const NAME(panel) *p, real *c, idx whole,
                                  idx cols)
{
    if (nv == SDL_NV) {
#define X(r) \
    case r: NAME(small_tile)(r, SDL_NV, a, a_row, 1, p, c, whole, cols); break;
        switch (rows) {
            EACH_ROWS(X)
        }
#undef X
    } else {
#define X(r) \
    case r: NAME(small_tile)(r, 1, a, a_row, 1, p, c, whole, cols); break;
        switch (rows) {
            EACH_ROWS(X)
        }
#undef X
    }
}

NOINLINE void NAME(small_by_columns)(idx rows, idx nv, const real *a, idx a_step, const NAME(panel) *p, real *c,
                                     idx whole, idx cols)
{
    if (nv == SDL_NV) {
#define X(r) \
    case r: NAME(small_tile)(r, SDL_NV, a, 1, a_step, p, c, whole, cols); break;
        switch (rows) {
            EACH_ROWS(X)
        }
#undef X
    } else {
#define X(r) \
    case r: NAME(small_tile)(r, 1, a, 1, a_step, p, c, whole, cols); break;
        switch (rows) {
            EACH_ROWS(X)
        }
#undef X
    }
}

/* Columns [j, …) of rows [lo, hi) of C: a panel that ends with the last column at the latest. */
static void NAME(small_panel)(const NAME(product) *p, const real *b, idx b_row, const real *bias, idx j, idx lo, idx hi)
{
    idx left = p->n - j, nv = left > VL ? SDL_NV : 1, width = MIN(p->n, nv * VL), column = MIN(j, p->n - width);
    NAME(panel) panel = { .b = b + column,
                          .b_row = b_row,
                          .depth = p->k,
                          .second = width - VL,
                          .bias = bias ? bias + column : NULL,
                          .activation = p->activation,
                          .c_row = p->c_row };
    idx whole_rows = p->n >= VL ? hi : hi - (VL - 1) / p->n; /* rows whose excess stays within these rows */
    for (idx i = lo; i < hi; i += SDL_MR) {
        idx rows = MIN(SDL_MR, hi - i), whole = MAX(0, whole_rows - i);
        real *c = p->c + i * p->c_row + column;
        if (p->a_step == 1)
            NAME(small_by_rows)(rows, nv, p->a + i * p->a_row, p->a_row, &panel, c, whole, p->n);
        else
            NAME(small_by_columns)(rows, nv, p->a + i, p->a_step, &panel, c, whole, p->n);
    }
}

SPAN void NAME(small_rows)(const NAME(product) *p, const real *b, idx b_row, const real *bias, idx lo, idx hi)
{
    for (idx j = 0; j < p->n; j += NR) NAME(small_panel)(p, b, b_row, bias, j, lo, hi);
    NAME(finish_late)(p->c + lo * p->c_row, p->c_row, hi - lo, p->n, p->activation);
}

/* B (k, n) as rows of whole vectors, and a row with the bias after them. */
static void NAME(widen)(const NAME(product) *p, real *wide)
{
    for (idx k = 0; k < p->k; k++)
        for (idx j = 0; j < p->n; j++) wide[k * VL + j] = p->b[k * p->b_row + j * p->b_step];
    memset(wide + p->k * VL, 0, VL * sizeof(real));
    if (p->bias) memcpy(wide + p->k * VL, p->bias, p->n * sizeof(real));
}

static int NAME(is_small)(const NAME(product) *p)
{
    return p->c_step == 1 && p->m > FEW_ROWS && p->k > 0 && p->k <= KC && p->k * p->n * (idx)sizeof(real) <= SMALL_INNER
           && (p->a_step == 1 || (p->a_row == 1 && p->m * p->k * (idx)sizeof(real) <= SMALL_TURNED))
           && (p->n >= VL || p->c_row == p->n);
}

/* Returns 0, or -1 when out of memory. */
static int NAME(small_multiply)(const NAME(product) *p, int n_threads)
{
    const real *b = p->b, *bias = p->bias;
    idx b_row = p->b_row;
    if (p->n < VL || p->b_step != 1) {
        b_row = p->n < VL ? VL : p->n;
        real *copy = sdl_scratch(SDL_SLOT_SHARED_2, (p->k + 1) * b_row * sizeof(real));
        if (!copy) return -1;
        if (p->n < VL) {
            NAME(widen)(p, copy);
            bias = bias ? copy + p->k * VL : NULL;
        } else {
            SDL_ASSERT(p->b_row == 1);
            NAME(transpose)(p->b, p->b_step, copy, b_row, p->n, p->k);
        }
        b = copy;
    }
    n_threads = sdl_threads(n_threads, (double)p->m * p->n * p->k / 32);
    SDL_SPANS(n_threads, p->m, SDL_MR, lo, hi, SDL_FLUSHED(NAME(small_rows)(p, b, b_row, bias, lo, hi)));
    return 0;
}
