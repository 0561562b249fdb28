/* Losses that compare each score with a target of its own: scores and targets (n, k), the loss of a sample is the sum
 * over its k outputs. Serial, as the losses of labels are. A further one is a member of `pointwise` and a branch of
 * point_lanes.
 *
 * With d = score - target:
 *   LOGISTIC        log(1 + exp(score)) - target * score       sigmoid and cross-entropy, targets in [0, 1]
 *   SQUARED_ERROR   d * d / 2
 *   ABSOLUTE_ERROR  |d|                                        its gradient at d = 0 is 0
 *   HUBER           d * d / 2, or width * (|d| - width / 2) where |d| > width
 *   POISSON         exp(score) - target * score                the score is the logarithm of the mean */

/* Elements whose shares of the loss are worked out at a time. */
#define POINT_BLOCK 128

/* exp(-|x|) of each lane. */
INLINE vec NAME(exp_of_negative)(vec x) { return NAME(exp_lanes)(NAME(blend)((ivec)(x > 0), -x, x)); }

INLINE void NAME(to_doubles)(vec v, double *to)
{
    real lanes[VL];
    NAME(store)(lanes, v);
    for (idx l = 0; l < VL; l++) to[l] = lanes[l];
}

/* loss (VL,) of VL scores with their targets; returns the gradient. */
INLINE vec NAME(point_lanes)(int kind, double width, vec s, vec y, double *loss)
{
    vec d = s - y, none = { 0 };
    double wide[VL], target[VL];
    NAME(to_doubles)(s, wide);
    NAME(to_doubles)(y, target);
    if (kind == LOGISTIC) {
        /* log(1 + exp(s)) - y * s = max(s, 0) - y * s + log(1 + e), with e = exp(-|s|); and log(1 + e) from the
         * logarithm of the rounded sum, with the rounding put right. */
        vec e = NAME(exp_of_negative)(s);
        double exponential[VL], sum[VL];
        NAME(to_doubles)(e, exponential);
        for (idx l = 0; l < VL; l++) sum[l] = 1 + exponential[l];
        memcpy(loss, sum, sizeof sum);
        NAME(log_lanes)(loss);
        for (idx l = 0; l < VL; l++) {
            loss[l] += (exponential[l] - (sum[l] - 1)) / sum[l];
            loss[l] += (wide[l] > 0 ? wide[l] : 0) - target[l] * wide[l];
        }
        return NAME(blend)((ivec)(s > 0), none + 1, e) / (1 + e) - y;
    }
    if (kind == POISSON) {
        vec mean = NAME(vector_exp)(s);
        double expected[VL];
        NAME(to_doubles)(mean, expected);
        for (idx l = 0; l < VL; l++) /* not infinity less infinity, which is nan */
            loss[l] = expected[l] - NAME(finite_loss)(target[l] * wide[l]);
        return mean - y;
    }
    for (idx l = 0; l < VL; l++) wide[l] -= target[l]; /* float scores may be too far apart for a float */
    if (kind == SQUARED_ERROR) {
        for (idx l = 0; l < VL; l++) loss[l] = 0.5 * wide[l] * wide[l];
        return d;
    }
    for (idx l = 0; l < VL; l++) loss[l] = fabs(wide[l]);
    if (kind == ABSOLUTE_ERROR) return NAME(blend)((ivec)(d > 0), none + 1, NAME(blend)((ivec)(d < 0), none - 1, d));
    /* HUBER */
    for (idx l = 0; l < VL; l++) {
        double inner = loss[l] > width ? width : loss[l];
        loss[l] = inner * (loss[l] - 0.5 * inner);
    }
    vec most = none + (real)width;
    d = NAME(blend)((ivec)(d > most), most, d);
    return NAME(blend)((ivec)(d < -most), -most, d);
}

/* VL elements, of which `count` are there; d or NULL. Adds share * loss of each to sums (VL,). What is not there has no
 * share. */
INLINE void NAME(point_vector)(int kind, double width, const real *s, const real *y, const double *share, idx count,
                               real *d, double *sums)
{
    real scores[VL] = { 0 }, targets[VL] = { 0 }, gradient[VL];
    double loss[VL], shares[VL] = { 0 };
    if (count < VL) {
        for (idx l = 0; l < count; l++) scores[l] = s[l], targets[l] = y[l], shares[l] = share[l];
        s = scores, y = targets, share = shares;
    }
    vec g = NAME(point_lanes)(kind, width, NAME(load)(s), NAME(load)(y), loss);
    for (idx l = 0; l < VL; l++) sums[l] += share[l] * NAME(finite_loss)(loss[l]);
    if (!d) return;
    NAME(store)(gradient, g);
    for (idx l = 0; l < VL; l++) gradient[l] *= (real)share[l];
    if (count < VL)
        memcpy(d, gradient, count * sizeof(real));
    else
        NAME(store)(d, NAME(load)(gradient));
}

/* The loss of all; `kind` is a constant, so that each kind is compiled alone. */
INLINE double NAME(point_loss)(int kind, double width, const real *s, const real *y, const double *weight, double total,
                               real *d, idx n, idx k)
{
    double share[POINT_BLOCK], sums[VL] = { 0 };
    idx size = n * k, row = 0, column = 0; /* of the first element that has no share yet */
    if (!weight)
        for (idx i = 0; i < POINT_BLOCK; i++) share[i] = 1 / total;
    for (idx first = 0; first < size; first += POINT_BLOCK) {
        idx count = MIN(POINT_BLOCK, size - first);
        for (idx i = 0; weight && i < count; i++) {
            share[i] = weight[row] / total;
            if (++column == k) column = 0, row++;
        }
        for (idx i = 0; i < count; i += VL)
            NAME(point_vector)(kind, width, s + first + i, y + first + i, share + i, MIN(VL, count - i),
                               d ? d + first + i : NULL, sums);
        for (idx i = 0; weight && d && i < count; i++) /* an infinite gradient of no weight is none */
            if (share[i] == 0) d[first + i] = 0;
    }
    double loss = 0;
    for (idx l = 0; l < VL; l++) loss += sums[l];
    return NAME(finite_loss)(loss);
}

#define POINT_CASE(kind) \
    case kind: *loss = NAME(point_loss)(kind, width, scores, y, weight, total, dscores, n, k); break

/* IN kind, width (of HUBER), scores, y (n, k), weight (n,) or NULL; OUT dscores (n, k) or NULL (may be scores), *loss =
 * the weighted sum of the losses over `total`, or if that is 0 over the sum of the weights. */
static void NAME(pointwise_loss)(int kind, double width, const void *scores, const void *y, const double *weight,
                                 double total, void *dscores, double *loss, idx n, idx k)
{
    if (!total) total = NAME(total_weight)(weight, n);
    switch (kind) {
        POINT_CASE(LOGISTIC);
        POINT_CASE(SQUARED_ERROR);
        POINT_CASE(ABSOLUTE_ERROR);
        POINT_CASE(HUBER);
        POINT_CASE(POISSON);
    }
}

/* --- evaluation -----------------------------------------------------------------------------------------------------
 */

/* Whether all of n numbers are finite. */
INLINE int NAME(are_finite)(const real *x, idx n)
{
    real zeros = 0; /* nan after a product with what is not finite */
    for (idx i = 0; i < n; i++) zeros += x[i] * 0;
    return zeros == 0;
}

/* IN scores, y (n, k), weight (n,) or NULL; OUT *correct: the weight of the rows all of whose scores are positive where
 * the target is above a half and nowhere else; nan if a score is not finite. */
static void NAME(judge_indicators)(const void *scores, const void *y_, const double *weight, double *correct, idx n,
                                   idx k)
{
    const real *s = scores, *y = y_;
    *correct = 0;
    for (idx i = 0; i < n; i++, s += k, y += k) {
        idx wrong = 0;
        for (idx j = 0; j < k; j++) wrong += (s[j] > 0) != (y[j] > (real)0.5);
        if (!NAME(are_finite)(s, k))
            *correct = NAN;
        else if (!wrong)
            *correct += weight ? weight[i] : 1;
    }
}

/* IN scores, y (n, k), weight (n,) or NULL, take_exp: whether predictions are exp(scores), scale (k,) double; OUT
 * *residual: the weighted sum of scale * (y - prediction) ** 2 of all outputs, nan if a score is not finite. What has
 * no weight or scale counts nothing, be its square infinite. */
static void NAME(judge_residuals)(const void *scores, const void *y_, const double *weight, int take_exp,
                                  const void *scale_, double *residual, idx n, idx k)
{
    const real *s = scores, *y = y_;
    const double *scale = scale_;
    *residual = NAME(are_finite)(s, n * k) ? 0 : NAN;
    for (idx i = 0; i < n; i++, s += k, y += k) {
        double of_row = 0;
        for (idx first = 0; first < k; first += VL) {
            idx count = MIN(VL, k - first);
            real lanes[VL] = { 0 };
            memcpy(lanes, s + first, count * sizeof(real));
            if (take_exp) NAME(store)(lanes, NAME(vector_exp)(NAME(load)(lanes)));
            for (idx l = 0; l < count; l++) {
                double off = (double)y[first + l] - lanes[l];
                of_row += scale[first + l] == 0 ? 0 : scale[first + l] * (off * off);
            }
        }
        *residual += !weight ? of_row : weight[i] == 0 ? 0 : weight[i] * of_row;
    }
}
