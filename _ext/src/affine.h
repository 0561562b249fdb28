/* The affine layer: x (N, D), w (D, M), b (M,), out (N, M). */

/* IN x, w, b (or NULL); OUT out = x @ w + b, clipped at zero if relu. */
static int NAME(affine_forward)(const void *x, const void *w, const void *b, void *out, int relu, idx n, idx d, idx m,
                                int n_threads)
{
    NAME(product) p = { .a = x, .a_row = d, .a_step = 1, .b = w, .b_row = m, .b_step = 1, .c = out, .c_row = m,
                        .c_step = 1, .bias = b, .relu = relu, .m = n, .n = m, .k = d };
    if (NAME(is_narrow)(m, d)) return NAME(narrow_forward)(&p, n_threads);
    return NAME(pays_as_sparse)(&p) ? NAME(sparse_multiply)(&p, n_threads) : NAME(multiply)(&p, n_threads);
}

/* IN dout (N, M), w; OUT dx (N, D) = dout @ w.T. */
static int NAME(affine_backward_dx)(const void *dout, const void *w, void *dx, idx n, idx d, idx m, int n_threads)
{
    NAME(product) p = { .a = dout, .a_row = m, .a_step = 1, .b = w, .b_row = 1, .b_step = m, .c = dx, .c_row = d,
                        .c_step = 1, .m = n, .n = d, .k = m };
    return NAME(pays_as_sparse)(&p) ? NAME(sparse_multiply)(&p, n_threads) : NAME(multiply)(&p, n_threads);
}

/* IN x, dout (N, M); OUT dw (D, M) = x.T @ dout, db (M,) = column sums of dout (or NULL). */
static int NAME(affine_backward_dw)(const void *x, const void *dout, void *dw, void *db, idx n, idx d, idx m, int n_threads)
{
    if (db) NAME(column_sums)(dout, db, n, m, n_threads);
    /* Wide outputs by rows of dw; narrow ones by columns, lanes along D, written transposed. */
    NAME(product) wide = { .a = x, .a_row = 1, .a_step = d, .b = dout, .b_row = m, .b_step = 1, .c = dw, .c_row = m,
                           .c_step = 1, .m = d, .n = m, .k = n };
    NAME(product) narrow = { .a = dout, .a_row = 1, .a_step = m, .b = x, .b_row = d, .b_step = 1, .c = dw, .c_row = 1,
                             .c_step = m, .m = m, .n = d, .k = n };
    if (NAME(pays_as_sparse)(&narrow)) return NAME(sparse_multiply)(&narrow, n_threads);
    if (NAME(pays_as_sparse)(&wide)) return NAME(sparse_multiply)(&wide, n_threads);
    return NAME(multiply)(m < 8 * VL && d > m ? &narrow : &wide, n_threads);
}
