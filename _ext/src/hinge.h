/* The multiclass hinge loss of Weston and Watkins, on scores (N, C). Serial, as softmax_loss is.
 *
 * loss[i] = sum over j != y[i] of max(0, scores[i][j] - scores[i][y[i]] + 1) */

/* Of n scores: adds their positive margins to *loss, and counts these; d (n,), or NULL: share where a margin is
 * positive, else 0. */
INLINE void NAME(hinge_run)(const real *s, double label_score, double share, real *d, idx n, double *loss, idx *count)
{
    double sums[VL] = { 0 };
    for (idx j = 0; j < n; j += VL) {
        idx lanes = MIN(VL, n - j);
        for (idx l = 0; l < lanes; l++) {
            double margin = s[j + l] - label_score + 1;
            int is_zero = margin <= 0; /* nan is not */
            sums[l] += is_zero ? 0 : NAME(finite_loss)(margin);
            *count += !is_zero;
            if (d) d[j + l] = is_zero ? 0 : (real)share;
        }
    }
    for (idx l = 0; l < VL; l++) *loss += sums[l];
}

/* IN scores (n, c), y (n,), weight (n,) or NULL; OUT dscores (n, c) or NULL (may be scores), *loss = the weighted sum
 * of the losses over `total`, or if that is 0 over the sum of the weights. Returns SDL_WRONG_LABEL, and has written
 * nothing but *loss, unless all of y are in [0, c). */
static int NAME(hinge_loss)(const void *scores, const int64_t *y, const double *weight, double total, void *dscores,
                            double *loss, idx n, idx c)
{
    const real *s = scores;
    real *d = dscores;
    *loss = 0;
    if (!NAME(are_labels)(y, n, c)) return SDL_WRONG_LABEL;
    if (!total) total = NAME(total_weight)(weight, n);
    for (idx i = 0; i < n; i++, s += c) {
        double share = (weight ? weight[i] : 1) / total, label_score = s[y[i]], row = 0;
        idx count = 0, label = y[i];
        NAME(hinge_run)(s, label_score, share, d, label, &row, &count);
        NAME(hinge_run)(s + label + 1, label_score, share, d ? d + label + 1 : NULL, c - label - 1, &row, &count);
        *loss += share * NAME(finite_loss)(row);
        if (!d) continue;
        d[label] = (real)(0 - share * (double)count);
        d += c;
    }
    *loss = NAME(finite_loss)(*loss);
    return SDL_OK;
}
