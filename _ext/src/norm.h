/* Normalization: out = gamma * xhat + beta, xhat = (x - mean) * inv_std, inv_std = 1 / sqrt(var + eps), variance
 * biased.
 *
 * batchnorm   x (N, D): statistics of each column, cut among threads by columns;
 *             x (N, C, S): of each channel over images and pixels, cut by channels;
 * layernorm   x (N, D): of each row, cut by rows;
 * groupnorm   x (N, C, S): of C / G channels of each image, cut by image and group.
 *
 * The variance is the mean square of x - mean, in a second pass: E[x^2] - E[x]^2 has no digit left for pixels of mean
 * 120 and spread 1. x - mean is formed in double for the same reason. Backward (Ioffe & Szegedy 2015, simplified):
 *
 *     dx = inv_std * (g - mean(g) - xhat * mean(g * xhat)),  g = gamma * dout,
 *
 * where means are over what the statistics were taken of, weighted as they were. */

/* 1 / sqrt(var + eps); nan of a variance that is not finite, for which 0 would make all values of x alike without a
 * trace. */
INLINE double NAME(inverse_std)(double var, double eps) { return var < INFINITY ? 1 / sqrt(var + eps) : NAN; }

/* xhat, out = normalized x, scaled by gamma and shifted by beta: one run of n with one statistic and one gamma. */
INLINE void NAME(normalize_run)(const real *x, double mean, double inv_std, real gamma, real beta, idx n,
                                real *restrict xhat, real *restrict out)
{
    for (idx i = 0; i < n; i++) {
        real h = (real)((x[i] - mean) * inv_std);
        xhat[i] = h;
        out[i] = gamma * h + beta;
    }
}

/* dx = scale * dout - shift - slope * xhat over one run. dx may be dout. */
INLINE void NAME(combine_run)(const real *dout, const real *xhat, real scale, real shift, real slope, idx n, real *dx)
{
    for (idx i = 0; i < n; i++) dx[i] = scale * dout[i] - shift - slope * xhat[i];
}

/* --- batchnorm -------------------------------------------------------------------------------------------------------
 */

/* Columns [j, j + cols) of x (n, d). */
static void NAME(batchnorm_columns)(const real *x, const real *gamma, const real *beta, const double *weight,
                                    double total, double eps, idx n, idx d, idx cols, real *restrict out,
                                    real *restrict xhat, double *restrict mean, double *restrict var)
{
    double inv_std[COLUMN_BLOCK];
    NAME(block_sums)(x, weight, n, d, cols, mean);
    for (idx j = 0; j < cols; j++) mean[j] /= total, var[j] = 0;
    const real *row = x;
    for (idx i = 0; i < n; i++, row += d) {
        double w = weight ? weight[i] : 1;
        for (idx j = 0; j < cols; j++) var[j] += w * (row[j] - mean[j]) * (row[j] - mean[j]);
    }
    for (idx j = 0; j < cols; j++) var[j] /= total, inv_std[j] = NAME(inverse_std)(var[j], eps);
    for (idx i = 0; i < n; i++, x += d, xhat += d, out += d)
        for (idx j = 0; j < cols; j++) {
            real h = (real)((x[j] - mean[j]) * inv_std[j]);
            xhat[j] = h;
            out[j] = gamma[j] * h + beta[j];
        }
}

/* One channel: runs of s, one per image, `step` apart. */
static void NAME(batchnorm_channel)(const real *x, real gamma, real beta, const double *weight, double total,
                                    double eps, idx n, idx s, idx step, real *out, real *xhat, double *mean,
                                    double *var)
{
    double sum = 0, squares = 0;
    for (idx i = 0; i < n; i++) sum += (weight ? weight[i] : 1) * NAME(run_sum)(x + i * step, s);
    *mean = sum / (total * s);
    for (idx i = 0; i < n; i++) squares += (weight ? weight[i] : 1) * NAME(run_squares)(x + i * step, s, *mean);
    *var = squares / (total * s);
    for (idx i = 0; i < n; i++)
        NAME(normalize_run)(x + i * step, *mean, NAME(inverse_std)(*var, eps), gamma, beta, s, xhat + i * step,
                            out + i * step);
}

/* Columns (where s is 1, a block at a time) or channels [lo, hi). */
SPAN void NAME(batchnorm_forward_span)(const real *x, const real *gamma, const real *beta, const double *weight,
                                       double eps, real *out, real *xhat, real *mean, real *var, real *inv_std, idx n,
                                       idx c, idx s, idx lo, idx hi)
{
    double means[COLUMN_BLOCK], vars[COLUMN_BLOCK], total = NAME(total_weight)(weight, n);
    idx block = s == 1 ? COLUMN_BLOCK : 1;
    for (idx j = lo; j < hi; j += block) {
        idx cols = MIN(block, hi - j);
        if (s == 1)
            NAME(batchnorm_columns)(x + j, gamma + j, beta + j, weight, total, eps, n, c, cols, out + j, xhat + j,
                                    means, vars);
        else
            NAME(batchnorm_channel)(x + j * s, gamma[j], beta[j], weight, total, eps, n, s, c * s, out + j * s,
                                    xhat + j * s, means, vars);
        for (idx l = 0; l < cols; l++) {
            mean[j + l] = (real)means[l];
            var[j + l] = (real)vars[l];
            inv_std[j + l] = (real)NAME(inverse_std)(vars[l], eps);
        }
    }
}

/* IN x (n, c, s), gamma, beta (c,), weight (n,) or NULL; OUT out, xhat (n, c, s), mean, var, inv_std (c,). */
static void NAME(batchnorm_forward)(const void *x, const void *gamma, const void *beta, const double *weight,
                                    double eps, void *out, void *xhat, void *mean, void *var, void *inv_std, idx n,
                                    idx c, idx s, int n_threads)
{
    n_threads = sdl_threads(n_threads, (double)n * c * s);
    SDL_SPANS(
        n_threads, c, s == 1 ? COLUMN_BLOCK : 1, lo, hi,
        NAME(batchnorm_forward_span)(x, gamma, beta, weight, eps, out, xhat, mean, var, inv_std, n, c, s, lo, hi));
}

SPAN void NAME(batchnorm_backward_span)(const real *dout, const real *xhat, const real *inv_std, const real *gamma,
                                        const double *weight, real *dx, real *dgamma, real *dbeta, idx n, idx c, idx s,
                                        idx lo, idx hi)
{
    double total = NAME(total_weight)(weight, n) * s;
    idx block = s == 1 ? COLUMN_BLOCK : 1;
    for (idx j = lo; j < hi; j += block) {
        double sums[COLUMN_BLOCK] = { 0 }, dots[COLUMN_BLOCK] = { 0 };
        real scale[COLUMN_BLOCK], shift[COLUMN_BLOCK], slope[COLUMN_BLOCK];
        idx cols = MIN(block, hi - j);
        if (s == 1)
            NAME(block_dots)(dout + j, xhat + j, n, c, cols, sums, dots);
        else
            for (idx i = 0; i < n; i++)
                NAME(run_dot)(dout + (i * c + j) * s, xhat + (i * c + j) * s, NULL, s, sums, dots);
        for (idx l = 0; l < cols; l++) {
            double factor = (double)gamma[j + l] * inv_std[j + l];
            dbeta[j + l] = (real)sums[l];
            dgamma[j + l] = (real)dots[l];
            scale[l] = (real)factor;
            shift[l] = (real)(factor * sums[l] / total);
            slope[l] = (real)(factor * dots[l] / total);
        }
        for (idx i = 0; i < n; i++) {
            real w = weight ? (real)weight[i] : 1;
            idx at = (i * c + j) * s;
            if (s == 1)
                for (idx l = 0; l < cols; l++)
                    dx[at + l] = scale[l] * dout[at + l] - w * (shift[l] + slope[l] * xhat[at + l]);
            else
                NAME(combine_run)(dout + at, xhat + at, scale[0], w * shift[0], w * slope[0], s, dx + at);
        }
    }
}

/* IN dout, xhat (n, c, s), inv_std, gamma (c,), weight (n,) or NULL; OUT dx (may be dout), dgamma, dbeta (c,). */
static void NAME(batchnorm_backward)(const void *dout, const void *xhat, const void *inv_std, const void *gamma,
                                     const double *weight, void *dx, void *dgamma, void *dbeta, idx n, idx c, idx s,
                                     int n_threads)
{
    n_threads = sdl_threads(n_threads, (double)n * c * s);
    SDL_SPANS(n_threads, c, s == 1 ? COLUMN_BLOCK : 1, lo, hi,
              NAME(batchnorm_backward_span)(dout, xhat, inv_std, gamma, weight, dx, dgamma, dbeta, n, c, s, lo, hi));
}

SPAN void NAME(batchnorm_test_span)(const real *x, const real *beta, const real *mean, const double *scale, real *out,
                                    idx c, idx s, idx lo, idx hi)
{
    x += lo * c * s;
    out += lo * c * s;
    for (idx i = lo; i < hi; i++)
        if (s == 1) {
            for (idx j = 0; j < c; j++) out[j] = (real)(((double)x[j] - mean[j]) * scale[j] + beta[j]);
            x += c, out += c;
        } else {
            for (idx j = 0; j < c; j++, x += s, out += s)
                for (idx l = 0; l < s; l++) out[l] = (real)(((double)x[l] - mean[j]) * scale[j] + beta[j]);
        }
}

/* IN x (n, c, s), gamma, beta, mean, var (c,); OUT out (may be x). */
static int NAME(batchnorm_test)(const void *x, const void *gamma_, const void *beta, const void *mean, const void *var_,
                                double eps, void *out, idx n, idx c, idx s, int n_threads)
{
    const real *gamma = gamma_, *var = var_;
    double *scale = sdl_scratch(SDL_SLOT_SHARED, c * sizeof(double));
    if (!scale) return -1;
    for (idx j = 0; j < c; j++) scale[j] = gamma[j] / sqrt(var[j] + eps);
    n_threads = sdl_threads(n_threads, (double)n * c * s / 2);
    SDL_SPANS(n_threads, n, 1, lo, hi, NAME(batchnorm_test_span)(x, beta, mean, scale, out, c, s, lo, hi));
    return 0;
}

/* --- layernorm -------------------------------------------------------------------------------------------------------
 */

SPAN void NAME(layernorm_forward_span)(const real *x, const real *gamma, const real *beta, double eps,
                                       real *restrict out, real *restrict xhat, real *inv_stds, idx d, idx lo, idx hi)
{
    for (idx i = lo; i < hi; i++) {
        const real *row = x + i * d;
        double mean = NAME(run_sum)(row, d) / d;
        double inv_std = NAME(inverse_std)(NAME(run_squares)(row, d, mean) / d, eps);
        inv_stds[i] = (real)inv_std;
        for (idx j = 0; j < d; j++) {
            real h = (real)((row[j] - mean) * inv_std);
            xhat[i * d + j] = h;
            out[i * d + j] = gamma[j] * h + beta[j];
        }
    }
}

/* IN x (n, d), gamma, beta (d,); OUT out, xhat (n, d), inv_std (n,). */
static void NAME(layernorm_forward)(const void *x, const void *gamma, const void *beta, double eps, void *out,
                                    void *xhat, void *inv_std, idx n, idx d, int n_threads)
{
    n_threads = sdl_threads(n_threads, (double)n * d);
    SDL_SPANS(n_threads, n, 1, lo, hi,
              NAME(layernorm_forward_span)(x, gamma, beta, eps, out, xhat, inv_std, d, lo, hi));
}

SPAN void NAME(layernorm_columns_span)(const real *dout, const real *xhat, real *dgamma, real *dbeta, idx n, idx d,
                                       idx lo, idx hi)
{
    for (idx j = lo; j < hi; j += COLUMN_BLOCK) {
        double sums[COLUMN_BLOCK], dots[COLUMN_BLOCK];
        idx cols = MIN(COLUMN_BLOCK, hi - j);
        NAME(block_dots)(dout + j, xhat + j, n, d, cols, sums, dots);
        for (idx l = 0; l < cols; l++) dbeta[j + l] = (real)sums[l], dgamma[j + l] = (real)dots[l];
    }
}

SPAN void NAME(layernorm_rows_span)(const real *dout, const real *xhat, const real *inv_std, const real *gamma,
                                    real *dx, idx d, idx lo, idx hi)
{
    for (idx i = lo; i < hi; i++) {
        double sum = 0, dot = 0;
        NAME(run_dot)(dout + i * d, xhat + i * d, gamma, d, &sum, &dot);
        real scale = inv_std[i], shift = (real)(sum / d), slope = (real)(dot / d);
        for (idx j = i * d; j < (i + 1) * d; j++)
            dx[j] = scale * (gamma[j - i * d] * dout[j] - shift - slope * xhat[j]);
    }
}

/* IN dout, xhat (n, d), inv_std (n,), gamma (d,); OUT dx (may be dout), dgamma, dbeta (d,). */
static void NAME(layernorm_backward)(const void *dout, const void *xhat, const void *inv_std, const void *gamma,
                                     void *dx, void *dgamma, void *dbeta, idx n, idx d, int n_threads)
{
    n_threads = sdl_threads(n_threads, (double)n * d / 2);
    SDL_SPANS(n_threads, d, COLUMN_BLOCK, lo, hi,
              NAME(layernorm_columns_span)(dout, xhat, dgamma, dbeta, n, d, lo, hi));
    SDL_SPANS(n_threads, n, 1, lo, hi, NAME(layernorm_rows_span)(dout, xhat, inv_std, gamma, dx, d, lo, hi));
}

/* --- groupnorm: g groups of c / g channels
 * ----------------------------------------------------------------------------- */

SPAN void NAME(groupnorm_forward_span)(const real *x, const real *gamma, const real *beta, double eps, real *out,
                                       real *xhat, real *inv_stds, idx c, idx s, idx g, idx lo, idx hi)
{
    idx channels = c / g, size = channels * s;
    for (idx group = lo; group < hi; group++) {
        double mean = NAME(run_sum)(x + group * size, size) / size;
        double inv_std = NAME(inverse_std)(NAME(run_squares)(x + group * size, size, mean) / size, eps);
        inv_stds[group] = (real)inv_std;
        for (idx plane = group * channels; plane < (group + 1) * channels; plane++)
            NAME(normalize_run)(x + plane * s, mean, inv_std, gamma[plane % c], beta[plane % c], s, xhat + plane * s,
                                out + plane * s);
    }
}

/* IN x (n, c, s), gamma, beta (c,); OUT out, xhat (n, c, s), inv_std (n, g). */
static void NAME(groupnorm_forward)(const void *x, const void *gamma, const void *beta, double eps, void *out,
                                    void *xhat, void *inv_std, idx n, idx c, idx s, idx g, int n_threads)
{
    n_threads = sdl_threads(n_threads, (double)n * c * s);
    SDL_SPANS(n_threads, n * g, 1, lo, hi,
              NAME(groupnorm_forward_span)(x, gamma, beta, eps, out, xhat, inv_std, c, s, g, lo, hi));
}

/* dx of groups [lo, hi); sums and dots (n, c) of each of their planes. */
SPAN void NAME(groupnorm_backward_span)(const real *dout, const real *xhat, const real *inv_std, const real *gamma,
                                        real *dx, double *sums, double *dots, idx c, idx s, idx g, idx lo, idx hi)
{
    idx channels = c / g, size = channels * s;
    for (idx group = lo; group < hi; group++) {
        double sum = 0, dot = 0, factor = inv_std[group];
        for (idx plane = group * channels; plane < (group + 1) * channels; plane++) {
            sums[plane] = dots[plane] = 0;
            NAME(run_dot)(dout + plane * s, xhat + plane * s, NULL, s, sums + plane, dots + plane);
            sum += gamma[plane % c] * sums[plane];
            dot += gamma[plane % c] * dots[plane];
        }
        for (idx plane = group * channels; plane < (group + 1) * channels; plane++)
            NAME(combine_run)(dout + plane * s, xhat + plane * s, (real)(factor * gamma[plane % c]),
                              (real)(factor * sum / size), (real)(factor * dot / size), s, dx + plane * s);
    }
}

/* IN dout, xhat (n, c, s), inv_std (n, g), gamma (c,); OUT dx (may be dout), dgamma, dbeta (c,). */
static int NAME(groupnorm_backward)(const void *dout, const void *xhat, const void *inv_std, const void *gamma,
                                    void *dx, void *dgamma_, void *dbeta_, idx n, idx c, idx s, idx g, int n_threads)
{
    real *dgamma = dgamma_, *dbeta = dbeta_;
    double *sums = sdl_scratch(SDL_SLOT_SHARED, 2 * n * c * sizeof(double)), *dots = sums + n * c;
    if (!sums) return -1;
    n_threads = sdl_threads(n_threads, (double)n * c * s);
    SDL_SPANS(n_threads, n * g, 1, lo, hi,
              NAME(groupnorm_backward_span)(dout, xhat, inv_std, gamma, dx, sums, dots, c, s, g, lo, hi));
    for (idx channel = 0; channel < c; channel++) {
        double sum = 0, dot = 0;
        for (idx i = 0; i < n; i++) sum += sums[i * c + channel], dot += dots[i * c + channel];
        dbeta[channel] = (real)sum;
        dgamma[channel] = (real)dot;
    }
    return 0;
}

/* --- running statistics
 * ----------------------------------------------------------------------------------------------- */

SPAN void NAME(scale)(real *x, real by, idx size)
{
    for (idx i = 0; i < size; i++) x[i] *= by;
}

SPAN void NAME(add)(real *to, const real *x, idx size)
{
    for (idx i = 0; i < size; i++) to[i] += x[i];
}

/* INOUT average = momentum * average + (1 - momentum) * batch (size,), which is overwritten. In three passes, so that
 * the compiler rounds products before it adds: the numbers of any instruction set are the same. */
static void NAME(update_average)(void *average, void *batch, double momentum, idx size)
{
    NAME(scale)(batch, (real)(1 - momentum), size);
    NAME(scale)(average, (real)momentum, size);
    NAME(add)(average, batch, size);
}

/* IN weight (n,); OUT shares (n,) = weight over its sum, in double. */
static void NAME(weight_shares)(const double *weight, void *shares, idx n)
{
    double total = NAME(total_weight)(weight, n);
    for (idx i = 0; i < n; i++) ((double *)shares)[i] = weight[i] / total;
}
