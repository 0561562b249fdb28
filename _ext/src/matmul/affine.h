/* The affine layer: x (N, D), w (D, M), b (M,), out (N, M). Bits of a row of out depend on D, M and that row of x. */

static int NAME(dense_or_sparse)(const NAME(product) *p, int n_threads)
{
    if (NAME(sparse_is_faster)(p)) return NAME(sparse_multiply)(p, n_threads);
    return NAME(is_small)(p) ? NAME(small_multiply)(p, n_threads) : NAME(multiply)(p, n_threads);
}

/* --- out of many inputs: in two halves of them
 * ------------------------------------------------------------------------ */

#define HALVES_INPUTS 1024 /* at least */
#define HALVES_OUTPUTS 512 /* at most: what is added up should be small beside the inputs */
#define HALVES_ROWS 1024 /* at a time: so many of the second half's sums are kept */

INLINE int NAME(splits_inputs)(idx d, idx m) { return d >= HALVES_INPUTS && m <= HALVES_OUTPUTS; }

SPAN int NAME(half)(const NAME(product) *p, int sparse, real *other, idx which, int n_threads)
{
    NAME(product) half = *p;
    idx split = ROUND_UP(p->k / 2, LINE);
    half.bias = NULL;
    half.activation = SDL_ACTIVATION_identity;
    half.k = which ? p->k - split : split;
    if (which) {
        half.a += split;
        half.b += split * p->b_row;
        half.c = other;
    }
    return sparse ? NAME(sparse_multiply)(&half, n_threads) : NAME(multiply)(&half, n_threads);
}

/* Rows [lo, hi) of c: += other, plus the bias; then the activation. */
SPAN void NAME(join_halves)(const NAME(product) *p, const real *other, idx lo, idx hi)
{
    int activation = p->activation;
    for (idx i = lo; i < hi; i++) {
        real *restrict c = p->c + i * p->n;
        const real *restrict o = other + i * p->n;
        for (idx j = 0; j < p->n; j++) {
            real v = c[j] + o[j] + (p->bias ? p->bias[j] : 0);
            c[j] = NAME(finish_one)(v, activation);
        }
        NAME(finish_late)(c, 0, 1, p->n, activation);
    }
}

/* Two threads take a half each: equal work, and rows of w that the update left in their caches. More share each half.
 */
static int NAME(multiply_halves)(const NAME(product) *all, int most_threads)
{
    int failed = 0, sparse = NAME(sparse_is_faster)(all);
    real *other = sdl_scratch(SDL_SLOT_SHARED_2, MIN(HALVES_ROWS, all->m) * all->n * sizeof(real));
    if (!other) return -1;
    for (idx row = 0; row < all->m; row += HALVES_ROWS) {
        NAME(product) p = *all;
        p.a += row * p.a_row;
        p.c += row * p.c_row;
        p.m = MIN(HALVES_ROWS, all->m - row);
        int n_threads =
            sdl_threads(most_threads, MAX(p.m / 32., .1) * p.n * p.k); /* what it takes to multiply, or to read w */
        if (n_threads == 2)
            SDL_SPANS(2, 2, 1, lo, hi,
                      for (idx i = lo; i < hi; i++) sdl_note(&failed, NAME(half)(&p, sparse, other, i, 1)));
        else
            for (idx i = 0; i < 2; i++) sdl_note(&failed, NAME(half)(&p, sparse, other, i, n_threads));
        SDL_SPANS(sdl_threads(n_threads, (double)p.m * p.n / 4), p.m, 1, lo, hi,
                  SDL_FLUSHED(NAME(join_halves)(&p, other, lo, hi)));
    }
    return failed;
}

/* IN x, w, b (or NULL); OUT out = the activation of x @ w + b. */
static int NAME(affine_forward)(const void *x, const void *w, const void *b, void *out, int activation, idx n, idx d,
                                idx m, int n_threads)
{
    NAME(product) p = { .a = x,
                        .a_row = d,
                        .a_step = 1,
                        .b = w,
                        .b_row = m,
                        .b_step = 1,
                        .c = out,
                        .c_row = m,
                        .c_step = 1,
                        .bias = b,
                        .activation = activation,
                        .m = n,
                        .n = m,
                        .k = d };
    if (NAME(is_narrow)(m, d)) return NAME(narrow_multiply)(&p, n_threads);
    return NAME(splits_inputs)(d, m) ? NAME(multiply_halves)(&p, n_threads) : NAME(dense_or_sparse)(&p, n_threads);
}

/* IN dout (N, M), w; OUT dx (N, D) = dout @ w.T. */
static int NAME(affine_backward_dx)(const void *dout, const void *w, void *dx, idx n, idx d, idx m, int n_threads)
{
    NAME(product) p = { .a = dout,
                        .a_row = m,
                        .a_step = 1,
                        .b = w,
                        .b_row = 1,
                        .b_step = m,
                        .c = dx,
                        .c_row = d,
                        .c_step = 1,
                        .m = n,
                        .n = d,
                        .k = m };
    return NAME(dense_or_sparse)(&p, n_threads);
}

/* --- dw of few outputs: sums over samples wait in L1 while x goes by, which is read once, as it lies
 * ------------------------ */

#define STREAM_OUTPUTS 16 /* at most: where tiles share a panel more than twice, packing it pays */
#define STREAM_SAMPLES 6 /* times two outputs: so many broadcasts stay in registers */
#define STREAM_INPUTS ((idx)(1024 / sizeof(real))) /* done at a time: 1 KB for each output */

/* One vector of the sums of `stream`. */
INLINE void NAME(stream_vector)(int samples, int outputs, const real *const *x, idx offset,
                                vec (*scale)[STREAM_SAMPLES], real *sums)
{
    vec sum[2];
    UNROLL(int j = 0; j < outputs; j++) sum[j] = NAME(load)(sums + j * STREAM_INPUTS);
    UNROLL(int i = 0; i < samples; i++) {
        vec xi = NAME(load)(x[i] + offset);
        IN_REGISTER(xi);
        UNROLL(int j = 0; j < outputs; j++) sum[j] += scale[j][i] * xi;
    }
    UNROLL(int j = 0; j < outputs; j++) NAME(store)(sums + j * STREAM_INPUTS, sum[j]);
}

/* sums (outputs, STREAM_INPUTS) += dout.T @ x of a few samples, over n inputs from `offset` on. What lies at `ahead`,
 * as long as that, is asked for meanwhile. */
INLINE void NAME(stream)(int samples, int outputs, const real *const *x, idx offset, const real *dout, idx m, idx n,
                         real *sums, const real *ahead)
{
    vec scale[2][STREAM_SAMPLES];
    const real *row[STREAM_SAMPLES]; /* in registers: for all the compiler knows, sums may lie on x */
    UNROLL(int i = 0; i < samples; i++) row[i] = x[i] + offset;
    UNROLL(int j = 0; j < outputs; j++)
        UNROLL(int i = 0; i < samples; i++) scale[j][i] = (vec){ 0 } + dout[i * m + j];
    idx l = 0;
    for (; l + LINE <= n; l += LINE) {
        PREFETCH_L2(ahead + l);
        UNROLL(idx v = l; v < l + LINE; v += VL) NAME(stream_vector)(samples, outputs, row, v, scale, sums + v);
    }
    for (; l + VL <= n; l += VL) NAME(stream_vector)(samples, outputs, row, l, scale, sums + l);
    for (; l < n; l++)
        for (int j = 0; j < outputs; j++) {
            real sum = sums[j * STREAM_INPUTS + l];
            for (int i = 0; i < samples; i++) sum += dout[i * m + j] * row[i][l];
            sums[j * STREAM_INPUTS + l] = sum;
        }
}

NOINLINE void NAME(stream_of)(idx samples, idx outputs, const real *const *x, idx offset, const real *dout, idx m,
                              idx n, real *sums, const real *ahead)
{
    switch (samples * 2 + outputs - 1) {
#define X(s)                                                                   \
    case s * 2: NAME(stream)(s, 1, x, offset, dout, m, n, sums, ahead); break; \
    case s * 2 + 1: NAME(stream)(s, 2, x, offset, dout, m, n, sums, ahead); break;
        X(1) X(2) X(3) X(4) X(5) X(6)
#undef X
    }
}

/* sums (m, STREAM_INPUTS) += dout.T @ x of a few samples, over n inputs; `ahead`: for each two outputs. */
static void NAME(stream_outputs)(idx samples, const real *const *x, idx offset, const real *dout, idx m, idx n,
                                 real *sums, const real *const ahead[STREAM_OUTPUTS / 2])
{
    for (idx j = 0; j < m; j += 2)
        NAME(stream_of)(samples, MIN(2, m - j), x, offset, dout + j, m, n, sums + j * STREAM_INPUTS, ahead[j / 2]);
}

/* Rows [lo, hi) of dw. */
SPAN void NAME(stream_dw)(const real *x, const real *dout, real *dw, idx n, idx d, idx m, idx lo, idx hi)
{
    real sums[STREAM_OUTPUTS * STREAM_INPUTS] __attribute__((aligned(64)));
    for (idx k = lo; k < hi; k += STREAM_INPUTS) {
        idx inputs = MIN(STREAM_INPUTS, hi - k);
        memset(sums, 0, m * STREAM_INPUTS * sizeof(real));
        for (idx i = 0; i < n; i += STREAM_SAMPLES) {
            const real *from = x + i * d + k, *few[STREAM_SAMPLES], *at_hand[STREAM_OUTPUTS / 2];
            for (idx s = 0; s < STREAM_SAMPLES; s++) few[s] = from + s * d;
            for (idx s = 0; s < STREAM_OUTPUTS / 2; s++) at_hand[s] = from;
            for (idx next = STREAM_SAMPLES; next < MIN(2 * STREAM_SAMPLES, n - i); next++)
                for (idx l = 0; l < inputs; l += LINE) PREFETCH(from + next * d + l);
            NAME(stream_outputs)(MIN(STREAM_SAMPLES, n - i), few, 0, dout + i * m, m, inputs, sums, at_hand);
        }
        NAME(transpose)(sums, STREAM_INPUTS, dw + k * m, m, m, inputs);
    }
}

/* IN x, dout (N, M); OUT dw (D, M) = x.T @ dout, db (M,) = column sums of dout (or NULL). */
static int NAME(affine_backward_dw)(const void *x, const void *dout, void *dw, void *db, idx n, idx d, idx m,
                                    int n_threads)
{
    if (db) NAME(column_sums)(dout, db, n, m, n_threads);
    /* Wide outputs by rows of dw; narrow ones by columns, lanes along D, written transposed. */
    NAME(product) wide = { .a = x,
                           .a_row = 1,
                           .a_step = d,
                           .b = dout,
                           .b_row = m,
                           .b_step = 1,
                           .c = dw,
                           .c_row = m,
                           .c_step = 1,
                           .m = d,
                           .n = m,
                           .k = n };
    NAME(product) narrow = { .a = dout,
                             .a_row = 1,
                             .a_step = m,
                             .b = x,
                             .b_row = d,
                             .b_step = 1,
                             .c = dw,
                             .c_row = 1,
                             .c_step = m,
                             .m = m,
                             .n = d,
                             .k = n };
    if (NAME(is_small)(&wide) && m < PITCH) return NAME(small_multiply)(&wide, n_threads);
    if (m > 1 && m <= STREAM_OUTPUTS && n) {
        n_threads = sdl_threads(n_threads, (double)n * d * m / 32);
        SDL_SPANS(n_threads, d, VL, lo, hi, SDL_FLUSHED(NAME(stream_dw)(x, dout, dw, n, d, m, lo, hi)));
        return 0;
    }
    if (NAME(sparse_is_faster)(&narrow)) return NAME(sparse_multiply)(&narrow, n_threads);
    if (NAME(sparse_is_faster)(&wide)) return NAME(sparse_multiply)(&wide, n_threads);
    return NAME(multiply)(m < 8 * VL && d > m ? &narrow : &wide, n_threads);
}
