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

/* Rows of few classes: a lane for each of VL rows. Rows of many: lanes along the classes. */
#define LANE_CLASSES 32

/* Of VL rows, class by class, t (c, VL): exp(s - max) in its place, the largest of each row and the sum of its
 * exponentials. */
INLINE void NAME(exp_columns)(real *t, idx c, real *max, double *sum)
{
    vec most = NAME(load)(t);
    for (idx j = 1; j < c; j++) {
        vec s = NAME(load)(t + j * VL);
        most = NAME(blend)((ivec)(s > most), s, most);
    }
    NAME(store)(max, most);
    for (idx l = 0; l < VL; l++) sum[l] = 0;
    for (idx j = 0; j < c; j++) {
        NAME(store)(t + j * VL, NAME(exp_lanes)(NAME(load)(t + j * VL) - most));
        for (idx l = 0; l < VL; l++) sum[l] += t[j * VL + l];
    }
}

/* How far a row's smoothed target is below its largest score: `smoothing` of the mean distance of all scores, and the
 * rest of the label's. Of halves, so that the largest number less the lowest does not overflow before its share is
 * taken. */
NOINLINE double NAME(smoothed_gap)(const real *s, int64_t label, double smoothing, idx c)
{
    double max = NAME(row_max)(s, c);
    double sums[VL] = { 0 }, each = 1. / (double)c, mean = 0;
    for (idx j = 0; j < c; j += VL) {
        idx lanes = MIN(VL, c - j);
        for (idx l = 0; l < lanes; l++) sums[l] += (0.5 * max - 0.5 * s[j + l]) * each;
    }
    for (idx l = 0; l < VL; l++) mean += sums[l];
    return 2 * ((1 - smoothing) * (0.5 * max - 0.5 * s[label]) + smoothing * mean);
}

/* Take from a row's gradient, share * softmax so far, what its label is to have of the share. */
INLINE void NAME(subtract_target)(real *d, int64_t label, double share, double smoothing, idx c)
{
    if (!smoothing) {
        d[label] -= (real)share;
        return;
    }
    real each = (real)(share * smoothing / c);
    for (idx j = 0; j < c; j++) d[j] -= each;
    d[label] -= (real)(share * (1 - smoothing));
}

/* The loss, but the largest number where that is below it: scores 1e308 apart are still a finite loss. nan stays. */
INLINE double NAME(finite_loss)(double loss) { return loss > DBL_MAX ? DBL_MAX : loss; }

/* Logarithms of x (VL,), which are at least 1, or nan, in their place. For float scores to 2 units in the last place of
 * a double: x = 2 ** e * m with m in [0.7, 1.4), and log(m) = 2 * atanh(f) with f = (m - 1) / (m + 1), of whose series
 * the first 11 terms count. For double scores as exactly as the C library has it: numerical gradients are differences
 * of such losses. */
#ifdef SINGLE
INLINE void NAME(log_lanes)(double *x)
{
    for (idx l = 0; l < VL; l++) {
        uint64_t bits, whole = 0x4330000000000000; /* 2 ** 52, whose lowest bits are whole numbers */
        memcpy(&bits, x + l, sizeof bits);
        uint64_t rounded = bits + 0x0009600000000000, exponent = rounded >> 52;
        double power, m;
        bits -= (exponent - 1023) << 52;
        exponent |= whole;
        memcpy(&m, &bits, sizeof m);
        memcpy(&power, &exponent, sizeof power);
        power -= 0x1p52 + 1023;
        double f = (m - 1) / (m + 1), s = f * f, sum = 1. / 21;
        sum = sum * s + 1. / 19;
        sum = sum * s + 1. / 17;
        sum = sum * s + 1. / 15;
        sum = sum * s + 1. / 13;
        sum = sum * s + 1. / 11;
        sum = sum * s + 1. / 9;
        sum = sum * s + 1. / 7;
        sum = sum * s + 1. / 5;
        sum = sum * s + 1. / 3;
        double log_m = 2 * f + 2 * f * s * sum;
        x[l] = x[l] != x[l] ? x[l] : power * M_LN2 + log_m;
    }
}
#else
INLINE void NAME(log_lanes)(double *x)
{
    for (idx l = 0; l < VL; l++) x[l] = log(x[l]);
}
#endif

/* Whether labels y (n,) are in [0, c). */
INLINE int NAME(are_labels)(const int64_t *y, idx n, idx c)
{
    int wrong = 0;
    for (idx i = 0; i < n; i++) wrong |= y[i] < 0 || y[i] >= c;
    return !wrong;
}

/* The loss of at most VL rows of at most LANE_CLASSES scores; t: room for (c, VL). */
static void NAME(softmax_lanes)(const real *s, const int64_t *y, const double *weight, double total, double smoothing,
                                real *d, idx rows, idx c, real *t, double *loss)
{
    real max[VL], scale[VL];
    double sum[VL], log_sum[VL], target[VL]; /* target: the label's score, or with smoothing smoothed_gap */
    if (rows < VL) memset(t, 0, c * VL * sizeof(real));
    NAME(transpose)(s, c, t, VL, rows, c);
    for (idx i = 0; i < rows; i++) /* before d is written, which may lie on s */
        target[i] = smoothing ? NAME(smoothed_gap)(s + i * c, y[i], smoothing, c) : s[i * c + y[i]];
    NAME(exp_columns)(t, c, max, sum);
    memcpy(log_sum, sum, sizeof sum);
    NAME(log_lanes)(log_sum);
    for (idx i = 0; i < rows; i++) {
        double share = (weight ? weight[i] : 1) / total;
        scale[i] = (real)(share / sum[i]);
        *loss += share * NAME(finite_loss)(log_sum[i] + (smoothing ? target[i] : max[i] - target[i]));
    }
    if (!d) return;
    for (idx i = rows; i < VL; i++) scale[i] = 0;
    for (idx j = 0; j < c; j++)
        for (idx l = 0; l < VL; l++) t[j * VL + l] *= scale[l];
    NAME(transpose)(t, VL, d, c, c, rows);
    for (idx i = 0; i < rows; i++)
        NAME(subtract_target)(d + i * c, y[i], (weight ? weight[i] : 1) / total, smoothing, c);
}

/* The loss of one row; e: room for its exponentials (c,), d itself if there is one. */
static void NAME(softmax_row)(const real *s, int64_t label, double share, double smoothing, real *e, int wants_gradient,
                              idx c, double *loss)
{
    real max = NAME(row_max)(s, c);
    /* before e is written, which may lie on s */
    double gap = smoothing ? NAME(smoothed_gap)(s, label, smoothing, c) : (double)max - s[label];
    idx j = 0;
    for (; j + VL <= c; j += VL) NAME(store)(e + j, NAME(exp_lanes)(NAME(load)(s + j) - max));
    if (j < c) {
        real rest[VL] = { 0 };
        for (idx l = j; l < c; l++) rest[l - j] = s[l] - max;
        NAME(store)(rest, NAME(exp_lanes)(NAME(load)(rest)));
        for (idx l = j; l < c; l++) e[l] = rest[l - j];
    }
    double sum = NAME(run_sum)(e, c);
    *loss += share * NAME(finite_loss)(log(sum) + gap);
    if (!wants_gradient) return;
    real scale = (real)(share / sum);
    for (j = 0; j < c; j++) e[j] *= scale;
    NAME(subtract_target)(e, label, share, smoothing, c);
}

/* Of n rows of scores: dscores (or NULL; may be scores); their weighted losses over `total`, added to *loss. Returns 0,
 * or -1 when out of memory. */
NOINLINE int NAME(softmax_loss_rows)(const real *s, const int64_t *y, const double *weight, double total,
                                     double smoothing, real *d, idx n, idx c, double *loss)
{
    if (c <= LANE_CLASSES) {
        real t[LANE_CLASSES * VL] __attribute__((aligned(64)));
        for (idx i = 0; i < n; i += VL)
            NAME(softmax_lanes)(s + i * c, y + i, weight ? weight + i : NULL, total, smoothing, d ? d + i * c : NULL,
                                MIN(VL, n - i), c, t, loss);
        *loss = NAME(finite_loss)(*loss);
        return 0;
    }
    real *room = d ? NULL : sdl_scratch(SDL_SLOT_SHARED_2, c * sizeof(real));
    if (!d && !room) return -1;
    for (idx i = 0; i < n; i++)
        NAME(softmax_row)(s + i * c, y[i], (weight ? weight[i] : 1) / total, smoothing, d ? d + i * c : room, d != NULL,
                          c, loss);
    *loss = NAME(finite_loss)(*loss);
    return 0;
}

/* IN scores (n, c), y (n,), weight (n,) or NULL, smoothing: the share of a label that all classes have alike; OUT
 * dscores (n, c) or NULL, *loss = the weighted sum of the losses over `total`, or if that is 0 over the sum of the
 * weights. Returns SDL_WRONG_LABEL, and has written nothing but *loss, unless all of y are in [0, c). */
static int NAME(softmax_loss)(const void *scores, const int64_t *y, const double *weight, double total,
                              double smoothing, void *dscores, double *loss, idx n, idx c)
{
    *loss = 0;
    if (!NAME(are_labels)(y, n, c)) return SDL_WRONG_LABEL;
    if (!total) total = NAME(total_weight)(weight, n);
    return NAME(softmax_loss_rows)(scores, y, weight, total, smoothing, dscores, n, c, loss);
}

/* --- evaluation
 * ------------------------------------------------------------------------------------------------------- */

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

/* IN scores (n, c), y (n,), weight (n,) or NULL; INOUT predicted (c,), set where a row's best class is; OUT *correct:
 * the weight of the rows whose best class is y, nan if a score is not finite. */
static void NAME(judge_scores)(const void *scores, const int64_t *y, const double *weight, uint8_t *predicted,
                               double *correct, idx n, idx c)
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
