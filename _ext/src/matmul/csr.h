/* The affine layer of a minibatch that is some rows of a sparse matrix in compressed rows (CSR).
 *
 * Nothing is gathered: the kernels read the rows' elements where the matrix has them, by row number. Elements may stand
 * in any order, and those of one column count as their sum. Row starts and column numbers are checked on every call:
 * a recorded step reads arrays that somebody may have written into since.
 *
 * A thread of the forward pass owns rows of out; one of the backward pass owns columns of dw, and visits those rows of
 * dw that the minibatch has columns for. The others stay zero: `touched` remembers which rows are not, and the next
 * call clears these alone. Rejected: threads that own rows of dw, which read all column numbers and share words that
 * are as frequent as words are. */

#define CSR_AHEAD 4 /* elements whose row of w is asked for in advance */
#define CSR_CLEARED ((idx)(4096 / sizeof(real))) /* of dw at a time: a page */

typedef struct {
    const real *data;
    const void *indices, *indptr;
    const intptr_t *rows;
    idx n, stored, d, m;
} NAME(csr);

/* Columns are done in tiles of at most NONZERO_TILE vectors, the last of which may overlap the one before it: both then
 * hold the same sums. CSR_TILE declares of the t-th tile of columns [lo, hi), at least VL of them, the first column j,
 * the `width` in vectors, and where the `last` vector begins. */
#define CSR_TILES(columns) ((columns) < VL ? 0 : CEIL_DIV(CEIL_DIV(columns, VL), NONZERO_TILE))
#define CSR_TILE(t, lo, hi)                                                                              \
    idx vectors = CEIL_DIV((hi) - (lo), VL), tiles = CSR_TILES((hi) - (lo)), v0 = vectors * (t) / tiles, \
        width = vectors * ((t) + 1) / tiles - v0, j = (lo) + v0 * VL, last = MIN((width - 1) * VL, (hi) - VL - j)
#define CSR_BEGIN(v) ((v) < width - 1 ? (v) * VL : last)

/* Makes the call with a width that the compiler knows. */
#define CSR_OF_WIDTH(function, ...)                                      \
    switch (width) {                                                     \
    case 1: function(1, last, __VA_ARGS__); break;                       \
    case 2: function(2, last, __VA_ARGS__); break;                       \
    case 3: function(3, last, __VA_ARGS__); break;                       \
    case 4: function(4, last, __VA_ARGS__); break;                       \
    case 5: function(5, last, __VA_ARGS__); break;                       \
    case 6: function(6, last, __VA_ARGS__); break;                       \
    case 7: function(7, last, __VA_ARGS__); break;                       \
    case 8: function(8, last, __VA_ARGS__); break;                       \
    case 9: function(9, last, __VA_ARGS__); break;                       \
    case 10: function(10, last, __VA_ARGS__); break;                     \
    case 11: function(11, last, __VA_ARGS__); break;                     \
    case NONZERO_TILE: function(NONZERO_TILE, last, __VA_ARGS__); break; \
    }

#define index int32_t
#define ROWS(f) NAME(f##_i32)
#include "csr_rows.h"
#undef index
#undef ROWS
#define index int64_t
#define ROWS(f) NAME(f##_i64)
#include "csr_rows.h"
#undef index
#undef ROWS

static idx NAME(csr_count)(const NAME(csr) *s, int index_size)
{
    return index_size == 4 ? NAME(csr_check_i32)(s) : NAME(csr_check_i64)(s);
}

/* IN data, indices (stored,), indptr (any,), the last two of index_size 4 or 8, rows (n,) in range of indptr, w (d, m),
 * b (m,) or NULL; OUT out (n, m) = the activation of rows @ w + b. Returns SDL_WRONG_COLUMN, and has written
 * nothing, unless all elements are within `stored` and d. */
static int NAME(csr_affine_forward)(const void *data, const void *indices, const void *indptr, int index_size,
                                    const intptr_t *rows, const void *w, const void *b, void *out, int activation,
                                    idx n, idx stored, idx d, idx m, int n_threads)
{
    NAME(csr) s = { data, indices, indptr, rows, n, stored, d, m };
    idx count = NAME(csr_count)(&s, index_size);
    if (count < 0) return (int)count;
    n_threads = sdl_threads(n_threads, (double)count * (m + 8) / 8);
    if (index_size == 4)
        SDL_SPANS(n_threads, n, 1, lo, hi, SDL_FLUSHED(NAME(csr_forward_i32)(&s, w, b, activation, out, lo, hi)));
    else
        SDL_SPANS(n_threads, n, 1, lo, hi, SDL_FLUSHED(NAME(csr_forward_i64)(&s, w, b, activation, out, lo, hi)));
    return SDL_OK;
}

/* Columns [lo, hi) of dw: what the last call has left is cleared, then the minibatch added. */
SPAN void NAME(csr_columns)(const NAME(csr) *s, int index_size, const real *dout, real *dw, const int64_t *touched,
                            idx lo, idx hi)
{
    for (idx i = 0; i < touched[0]; i++) memset(dw + touched[1 + i] * s->m + lo, 0, (hi - lo) * sizeof(real));
    if (index_size == 4)
        NAME(csr_dw_i32)(s, dout, dw, lo, hi);
    else
        NAME(csr_dw_i64)(s, dout, dw, lo, hi);
}

/* Whether `touched` holds rows of a dw with d of them. */
static int NAME(are_touched)(const int64_t *touched, idx d)
{
    int wrong = 0;
    if (touched[0] > d) return 0;
    for (idx i = 0; i < touched[0]; i++) wrong |= (uint64_t)touched[1 + i] >= (uint64_t)d;
    return !wrong;
}

/* IN the rows as above, dout (n, m); OUT dw (d, m) = rows.T @ dout, db (m,) = column sums of dout, or NULL. INOUT
 * touched (d + 2,), is_touched (d,): the rows of dw that are not zero, their number first, and a flag for each row. A
 * number of -1 stands for all rows. Returns SDL_WRONG_COLUMN as above, or SDL_WRONG_TOUCHED, and has then written
 * nothing. */
static int NAME(csr_affine_backward_dw)(const void *data, const void *indices, const void *indptr, int index_size,
                                        const intptr_t *rows, const void *dout, void *dw, void *db, int64_t *touched,
                                        uint8_t *is_touched, idx n, idx stored, idx d, idx m, int n_threads)
{
    NAME(csr) s = { data, indices, indptr, rows, n, stored, d, m };
    idx count = NAME(csr_count)(&s, index_size);
    if (count < 0) return (int)count;
    if (!NAME(are_touched)(touched, d)) return SDL_WRONG_TOUCHED;
    if (db) NAME(column_sums)(dout, db, n, m, n_threads);
    if (touched[0] < 0) {
        SDL_SPANS(sdl_threads(n_threads, (double)d * m * sizeof(real) / 16), d * m, CSR_CLEARED, lo, hi,
                  memset((real *)dw + lo, 0, (hi - lo) * sizeof(real)));
        memset(is_touched, 0, d);
        touched[0] = 0;
    }
    for (idx i = 0; i < touched[0]; i++) is_touched[touched[1 + i]] = 0;
    n_threads = (int)MIN(MAX(1, m / LINE), sdl_threads(n_threads, (double)(count + touched[0]) * (m + 8) / 8));
    SDL_SPANS(n_threads, m, LINE, lo, hi, SDL_FLUSHED(NAME(csr_columns)(&s, index_size, dout, dw, touched, lo, hi)));
    if (index_size == 4)
        NAME(csr_list_i32)(&s, touched, is_touched);
    else
        NAME(csr_list_i64)(&s, touched, is_touched);
    return SDL_OK;
}
