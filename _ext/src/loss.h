/* Softmax and its loss, on scores (N, C). Serial: a batch of logits is too small to share.
 *
 * Every row is shifted by its maximum, so exp never overflows and the sum is at least 1. */

INLINE real NAME(row_max)(const real *s, idx c)
{
    real max = s[0];
    for (idx j = 1; j < c; j++) max = s[j] > max ? s[j] : max;
    return max;
}

/* e = exp(s - max); returns their sum. e may be s. */
INLINE double NAME(row_exp)(const real *s, real max, idx c, real *e)
{
    double sum = 0;
    for (idx j = 0; j < c; j++) {
        e[j] = NAME(exp)(s[j] - max);
        sum += e[j];
    }
    return sum;
}

/* IN scores (n, c); OUT out (may be scores) = softmax, or its logarithm. */
static void NAME(softmax)(const void *scores, void *out_, int take_log, idx n, idx c)
{
    const real *s = scores;
    real *out = out_;
    for (idx i = 0; i < n; i++, s += c, out += c) {
        real max = NAME(row_max)(s, c);
        if (take_log) {
            double sum = 0;
            for (idx j = 0; j < c; j++) sum += NAME(exp)(s[j] - max);
            double log_sum = log(sum);
            for (idx j = 0; j < c; j++) out[j] = (real)((double)s[j] - max - log_sum);
        } else {
            real scale = (real)(1 / NAME(row_exp)(s, max, c, out));
            for (idx j = 0; j < c; j++) out[j] *= scale;
        }
    }
}

/* Of n rows of scores: dscores (or NULL; may be scores); their weighted losses over `total`, added to *loss. */
NOINLINE void NAME(softmax_loss_rows)(const real *s, const int64_t *y, const double *weight, double total, real *d, idx n, idx c,
                                      double *loss)
{
    for (idx i = 0; i < n; i++, s += c) {
        SDL_ASSERT(y[i] >= 0 && y[i] < c);
        double share = (weight ? weight[i] : 1) / total, sum = 0;
        real max = NAME(row_max)(s, c);
        double margin = (double)max - s[y[i]]; /* before d is written, which may lie on s */
        if (d) {
            sum = NAME(row_exp)(s, max, c, d);
            real scale = (real)(share / sum);
            for (idx j = 0; j < c; j++) d[j] *= scale;
            d[y[i]] -= (real)share;
            d += c;
        } else {
            for (idx j = 0; j < c; j++) sum += NAME(exp)(s[j] - max);
        }
        double one = log(sum) + margin;
        *loss += share * (one > DBL_MAX ? DBL_MAX : one); /* scores 1e308 apart are still a finite loss */
    }
}

/* IN scores (n, c), y (n,) in [0, c), weight (n,) or NULL; OUT dscores (n, c) or NULL, *loss = the weighted sum of the losses
 * over `total`, or if that is 0 over the sum of the weights. */
static void NAME(softmax_loss)(const void *scores, const int64_t *y, const double *weight, double total, void *dscores, double *loss,
                               idx n, idx c)
{
    *loss = 0;
    if (!total) total = NAME(total_weight)(weight, n);
    NAME(softmax_loss_rows)(scores, y, weight, total, dscores, n, c, loss);
}

/* --- evaluation ------------------------------------------------------------------------------------------------------- */

/* The first of the largest scores; -1 if one is not finite. */
INLINE idx NAME(best_class)(const real *s, idx c)
{
    idx best = 0;
    real zeros = 0; /* nan after a product with what is not finite */
    for (idx j = 0; j < c; j++) {
        zeros += s[j] * 0;
        if (s[j] > s[best]) best = j;
    }
    return zeros == 0 ? best : -1;
}

/* IN scores (n, c), y (n,), weight (n,) or NULL; INOUT predicted (c,), set where a row's best class is; OUT *correct: the weight of
 * the rows whose best class is y, nan if a score is not finite. */
static void NAME(judge_scores)(const void *scores, const int64_t *y, const double *weight, uint8_t *predicted, double *correct, idx n,
                               idx c)
{
    const real *s = scores;
    *correct = 0;
    for (idx i = 0; i < n; i++, s += c) {
        idx best = NAME(best_class)(s, c);
        if (best < 0)
            *correct = NAN;
        else {
            predicted[best] = 1;
            if (best == y[i]) *correct += weight ? weight[i] : 1;
        }
    }
}

static void NAME(sum_of_weights)(const double *weight, double *total, idx n) { *total = NAME(total_weight)(weight, n); }
