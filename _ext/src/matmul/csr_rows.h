/* The loops of csr.h for one type of column numbers and row starts, `index`; csr.h includes this twice. */

/* Returns the number of elements in the rows, or SDL_WRONG_COLUMN unless all are in range. */
SPAN idx ROWS(csr_check)(const NAME(csr) *s)
{
    const index *indices = s->indices, *indptr = s->indptr;
    idx count = 0;
    for (idx i = 0; i < s->n; i++) {
        int64_t begin = indptr[s->rows[i]], end = indptr[s->rows[i] + 1];
        if (begin < 0 || begin > end || end > s->stored) return SDL_WRONG_COLUMN;
        int wrong = 0;
        for (int64_t l = begin; l < end; l++) wrong |= (uint64_t)indices[l] >= (uint64_t)s->d;
        if (wrong) return SDL_WRONG_COLUMN;
        count += end - begin;
    }
    return count;
}

/* The elements of row i of the minibatch. */
INLINE idx ROWS(csr_row)(const NAME(csr) *s, idx i, const real **data, const index **indices)
{
    const index *begin = (const index *)s->indptr + s->rows[i];
    *data = s->data + begin[0];
    *indices = (const index *)s->indices + begin[0];
    return begin[1] - begin[0];
}

/* out = sum over the elements of data * the row of w at their column, plus bias; clipped at zero if the activation is
 * relu. */
INLINE void ROWS(csr_sum)(int width, idx last, const real *data, const index *indices, idx count, const real *w, idx m,
                          const real *bias, int activation, real *out)
{
    vec c[NONZERO_TILE];
    UNROLL(int v = 0; v < width; v++) c[v] = (vec){ 0 };
    for (idx l = 0; l < count; l++) {
        const real *from = w + indices[l] * m, *ahead = w + indices[MIN(l + CSR_AHEAD, count - 1)] * m;
        real factor = data[l];
        UNROLL(int v = 0; v < width; v++) {
            if (v * VL % LINE == 0 || v == width - 1) PREFETCH(ahead + CSR_BEGIN(v));
            c[v] += factor * NAME(load)(from + CSR_BEGIN(v));
        }
    }
    UNROLL(int v = 0; v < width; v++) {
        if (bias) c[v] += NAME(load)(bias + CSR_BEGIN(v));
        NAME(store)(out + CSR_BEGIN(v), NAME(finish)(c[v], activation));
    }
}

/* The same of fewer columns than a vector has. */
static void ROWS(csr_sum_few)(const real *data, const index *indices, idx count, const real *w, idx m, const real *bias,
                              int activation, real *out)
{
    real sums[VL];
    for (idx j = 0; j < m; j++) sums[j] = 0;
    for (idx l = 0; l < count; l++)
        for (idx j = 0; j < m; j++) sums[j] += data[l] * w[indices[l] * m + j];
    for (idx j = 0; j < m; j++) {
        real v = sums[j] + (bias ? bias[j] : 0);
        out[j] = NAME(finish_one)(v, activation);
    }
}

/* Rows [lo, hi) of out. */
SPAN void ROWS(csr_forward)(const NAME(csr) *s, const real *w, const real *bias, int activation, real *out, idx lo,
                            idx hi)
{
    const real *data;
    const index *indices;
    idx m = s->m;
    for (idx i = lo; i < hi; i++) {
        idx count = ROWS(csr_row)(s, i, &data, &indices);
        if (m < VL) ROWS(csr_sum_few)(data, indices, count, w, m, bias, activation, out + i * m);
        for (idx t = 0; t < CSR_TILES(m); t++) {
            CSR_TILE(t, 0, m);
            CSR_OF_WIDTH(ROWS(csr_sum), data, indices, count, w + j, m, bias ? bias + j : NULL, activation,
                         out + i * m + j);
        }
        NAME(finish_late)(out + i * m, 0, 1, m, activation);
    }
}

/* The rows of dw at the elements' columns += data * dout. All of a tile is read before it is written: the last vector
 * may overlap the one before. */
INLINE void ROWS(csr_add)(int width, idx last, const real *data, const index *indices, idx count, const real *dout,
                          real *dw, idx m)
{
    for (idx l = 0; l < count; l++) {
        real *to = dw + indices[l] * m, *ahead = dw + indices[MIN(l + CSR_AHEAD, count - 1)] * m, factor = data[l];
        vec c[NONZERO_TILE];
        UNROLL(int v = 0; v < width; v++) {
            if (v * VL % LINE == 0 || v == width - 1) PREFETCH_WRITE(ahead + CSR_BEGIN(v));
            c[v] = NAME(load)(to + CSR_BEGIN(v)) + factor * NAME(load)(dout + CSR_BEGIN(v));
        }
        UNROLL(int v = 0; v < width; v++) NAME(store)(to + CSR_BEGIN(v), c[v]);
    }
}

/* Columns [lo, hi) of dw += the transpose of the rows times dout. */
SPAN void ROWS(csr_dw)(const NAME(csr) *s, const real *dout, real *dw, idx lo, idx hi)
{
    const real *data;
    const index *indices;
    idx m = s->m;
    for (idx i = 0; i < s->n; i++) {
        idx count = ROWS(csr_row)(s, i, &data, &indices);
        if (hi - lo < VL)
            for (idx l = 0; l < count; l++)
                for (idx j = lo; j < hi; j++) dw[indices[l] * m + j] += data[l] * dout[i * m + j];
        for (idx t = 0; t < CSR_TILES(hi - lo); t++) {
            CSR_TILE(t, lo, hi);
            CSR_OF_WIDTH(ROWS(csr_add), data, indices, count, dout + i * m + j, dw + j, m);
        }
    }
}

/* touched = the columns that the rows have, each once, as csr.h has it. Never more than d of them: is_touched may be in
 * disorder, where two threads train one net. */
static void ROWS(csr_list)(const NAME(csr) *s, int64_t *touched, uint8_t *is_touched)
{
    const real *data;
    const index *indices;
    int64_t n = 0;
    for (idx i = 0; i < s->n; i++) {
        idx count = ROWS(csr_row)(s, i, &data, &indices);
        for (idx l = 0; l < count; l++) {
            touched[1 + n] = indices[l];
            n += !is_touched[indices[l]] & (n < s->d);
            is_touched[indices[l]] = 1;
        }
    }
    touched[0] = n;
}
