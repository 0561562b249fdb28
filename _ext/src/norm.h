/* Normalisation: out = gamma * xhat + beta, xhat = (x - mean) * inv_std, inv_std = 1 / sqrt(var + eps), biased variance.
 *
 * batchnorm   x (N, D): statistics of each column, cut among threads by columns;
 *             x (N, C, S): of each channel over images and pixels, cut by channels;
 * layernorm   x (N, D): of each row; groupnorm x (N, C, S): of C / G channels of each image; both cut by rows of statistics.
 *
 * The variance is the mean square of x - mean, in a second pass: E[x^2] - E[x]^2 lost all digits for pixels of mean 120 and
 * spread 1. x - mean is formed in double for the same reason. Backward (Ioffe & Szegedy 2015, simplified):
 *     dx = inv_std * (g - mean(g) - xhat * mean(g * xhat)),  g = gamma * dout,
 * where means are over what the statistics were taken of, weighted as they were. */

/* xhat, out = normalised x, scaled by gamma and shifted by beta: one run of n with one statistic and one gamma. */
INLINE void NAME(normalize_run)(const real *x, double mean, double inv_std, real gamma, real beta, idx n, real *restrict xhat,
                                real *restrict out)
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

INLINE double NAME(total_weight)(const double *weight, idx n)
{
    double total = 0;
    for (idx i = 0; i < n; i++) total += weight ? weight[i] : 1;
    return total;
}

/* --- batchnorm ------------------------------------------------------------------------------------------------------- */

/* Columns [j, j + cols) of x (n, d). */
static void NAME(batchnorm_columns)(const real *x, const real *gamma, const real *beta, const double *weight, double total,
                                    double eps, idx n, idx d, idx cols, real *restrict out, real *restrict xhat,
                                    double *restrict mean, double *restrict var)
{
    double inv_std[COLUMN_BLOCK];
    NAME(block_sums)(x, weight, n, d, cols, mean);
    for (idx j = 0; j < cols; j++) mean[j] /= total, var[j] = 0;
    const real *row = x;
    for (idx i = 0; i < n; i++, row += d) {
        double w = weight ? weight[i] : 1;
        for (idx j = 0; j < cols; j++) var[j] += w * (row[j] - mean[j]) * (row[j] - mean[j]);
    }
    for (idx j = 0; j < cols; j++) var[j] /= total, inv_std[j] = 1 / sqrt(var[j] + eps);
    for (idx i = 0; i < n; i++, x += d, xhat += d, out += d)
        for (idx j = 0; j < cols; j++) {
            real h = (real)((x[j] - mean[j]) * inv_std[j]);
            xhat[j] = h;
            out[j] = gamma[j] * h + beta[j];
        }
}

/* One channel: runs of s, one per image, `step` apart. */
static void NAME(batchnorm_channel)(const real *x, real gamma, real beta, const double *weight, double total, double eps, idx n,
                                    idx s, idx step, real *out, real *xhat, double *mean, double *var)
{
    double sum = 0, squares = 0;
    for (idx i = 0; i < n; i++) sum += (weight ? weight[i] : 1) * NAME(run_sum)(x + i * step, s);
    *mean = sum / (total * s);
    for (idx i = 0; i < n; i++) squares += (weight ? weight[i] : 1) * NAME(run_squares)(x + i * step, s, *mean);
    *var = squares / (total * s);
    for (idx i = 0; i < n; i++)
        NAME(normalize_run)(x + i * step, *mean, 1 / sqrt(*var + eps), gamma, beta, s, xhat + i * step, out + i * step);
}

/* IN x (n, c, s), gamma, beta (c,), weight (n,) or NULL; OUT out, xhat (n, c, s), mean, var, inv_std (c,). */
static void NAME(batchnorm_forward)(const void *x_, const void *gamma_, const void *beta_, const double *weight, double eps,
                                    void *out_, void *xhat_, void *mean_, void *var_, void *inv_std_, idx n, idx c, idx s,
                                    int n_threads)
{
    const real *x = x_, *gamma = gamma_, *beta = beta_;
    real *out = out_, *xhat = xhat_, *mean = mean_, *var = var_, *inv_std = inv_std_;
    double total = NAME(total_weight)(weight, n);
    idx block = s == 1 ? COLUMN_BLOCK : 1;
    SDL_EACH_SPAN(sdl_threads(n_threads, (double)n * c * s), c, block, lo, hi)
        for (idx j = lo; j < hi; j += block) {
            double means[COLUMN_BLOCK], vars[COLUMN_BLOCK];
            idx cols = MIN(block, hi - j);
            if (s == 1)
                NAME(batchnorm_columns)(x + j, gamma + j, beta + j, weight, total, eps, n, c, cols, out + j, xhat + j, means, vars);
            else
                NAME(batchnorm_channel)(x + j * s, gamma[j], beta[j], weight, total, eps, n, s, c * s, out + j * s, xhat + j * s,
                                        means, vars);
            for (idx l = 0; l < cols; l++) {
                mean[j + l] = (real)means[l];
                var[j + l] = (real)vars[l];
                inv_std[j + l] = (real)(1 / sqrt(vars[l] + eps));
            }
        }
}

/* IN dout, xhat (n, c, s), inv_std, gamma (c,), weight (n,) or NULL; OUT dx (may be dout), dgamma, dbeta (c,). */
static void NAME(batchnorm_backward)(const void *dout_, const void *xhat_, const void *inv_std_, const void *gamma_,
                                     const double *weight, void *dx_, void *dgamma_, void *dbeta_, idx n, idx c, idx s,
                                     int n_threads)
{
    const real *dout = dout_, *xhat = xhat_, *inv_std = inv_std_, *gamma = gamma_;
    real *dx = dx_, *dgamma = dgamma_, *dbeta = dbeta_;
    double total = NAME(total_weight)(weight, n) * s;
    idx block = s == 1 ? COLUMN_BLOCK : 1;
    SDL_EACH_SPAN(sdl_threads(n_threads, (double)n * c * s), c, block, lo, hi)
        for (idx j = lo; j < hi; j += block) {
            double sums[COLUMN_BLOCK] = { 0 }, dots[COLUMN_BLOCK] = { 0 };
            idx cols = MIN(block, hi - j);
            if (s == 1)
                NAME(block_dots)(dout + j, xhat + j, n, c, cols, sums, dots);
            else
                for (idx i = 0; i < n; i++) NAME(run_dot)(dout + (i * c + j) * s, xhat + (i * c + j) * s, NULL, s, sums, dots);
            real scale[COLUMN_BLOCK], shift[COLUMN_BLOCK], slope[COLUMN_BLOCK];
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
                    for (idx l = 0; l < cols; l++) dx[at + l] = scale[l] * dout[at + l] - w * (shift[l] + slope[l] * xhat[at + l]);
                else
                    NAME(combine_run)(dout + at, xhat + at, scale[0], w * shift[0], w * slope[0], s, dx + at);
            }
        }
}

/* IN x (n, c, s), gamma, beta, mean, var (c,); OUT out (may be x). */
static int NAME(batchnorm_test)(const void *x_, const void *gamma_, const void *beta_, const void *mean_, const void *var_,
                                double eps, void *out_, idx n, idx c, idx s, int n_threads)
{
    const real *x = x_, *gamma = gamma_, *beta = beta_, *mean = mean_, *var = var_;
    real *out = out_;
    double *scale = sdl_scratch(SDL_SLOT_SHARED, c * sizeof(double));
    if (!scale) return -1;
    for (idx j = 0; j < c; j++) scale[j] = gamma[j] / sqrt(var[j] + eps);
    SDL_EACH_SPAN(sdl_threads(n_threads, (double)n * c * s / 2), n, 1, lo, hi)
        for (idx i = lo; i < hi; i++) {
            const real *from = x + i * c * s;
            real *to = out + i * c * s;
            if (s == 1)
                for (idx j = 0; j < c; j++) to[j] = (real)(((double)from[j] - mean[j]) * scale[j] + beta[j]);
            else
                for (idx j = 0; j < c; j++, from += s, to += s)
                    for (idx l = 0; l < s; l++) to[l] = (real)(((double)from[l] - mean[j]) * scale[j] + beta[j]);
        }
    return 0;
}

/* --- layernorm ------------------------------------------------------------------------------------------------------- */

/* IN x (n, d), gamma, beta (d,); OUT out, xhat (n, d), inv_std (n,). */
static void NAME(layernorm_forward)(const void *x_, const void *gamma_, const void *beta_, double eps, void *out_, void *xhat_,
                                    void *inv_std_, idx n, idx d, int n_threads)
{
    const real *gamma = gamma_, *beta = beta_;
    real *inv_stds = inv_std_;
    SDL_EACH_SPAN(sdl_threads(n_threads, (double)n * d), n, 1, lo, hi)
        for (idx i = lo; i < hi; i++) {
            const real *x = (const real *)x_ + i * d;
            real *restrict xhat = (real *)xhat_ + i * d, *restrict out = (real *)out_ + i * d;
            double mean = NAME(run_sum)(x, d) / d;
            double inv_std = 1 / sqrt(NAME(run_squares)(x, d, mean) / d + eps);
            inv_stds[i] = (real)inv_std;
            for (idx j = 0; j < d; j++) {
                real h = (real)((x[j] - mean) * inv_std);
                xhat[j] = h;
                out[j] = gamma[j] * h + beta[j];
            }
        }
}

/* IN dout, xhat (n, d), inv_std (n,), gamma (d,); OUT dx (may be dout), dgamma, dbeta (d,). */
static void NAME(layernorm_backward)(const void *dout_, const void *xhat_, const void *inv_std_, const void *gamma_, void *dx_,
                                     void *dgamma_, void *dbeta_, idx n, idx d, int n_threads)
{
    const real *inv_std = inv_std_, *gamma = gamma_;
    real *dgamma = dgamma_, *dbeta = dbeta_;
    n_threads = sdl_threads(n_threads, (double)n * d / 2);
    SDL_EACH_SPAN(n_threads, d, COLUMN_BLOCK, lo, hi)
        for (idx j = lo; j < hi; j += COLUMN_BLOCK) {
            double sums[COLUMN_BLOCK], dots[COLUMN_BLOCK];
            idx cols = MIN(COLUMN_BLOCK, hi - j);
            NAME(block_dots)((const real *)dout_ + j, (const real *)xhat_ + j, n, d, cols, sums, dots);
            for (idx l = 0; l < cols; l++) dbeta[j + l] = (real)sums[l], dgamma[j + l] = (real)dots[l];
        }
    SDL_EACH_SPAN(n_threads, n, 1, lo, hi)
        for (idx i = lo; i < hi; i++) {
            const real *dout = (const real *)dout_ + i * d, *xhat = (const real *)xhat_ + i * d;
            real *dx = (real *)dx_ + i * d;
            double sum = 0, dot = 0;
            NAME(run_dot)(dout, xhat, gamma, d, &sum, &dot);
            real shift = (real)(sum / d), slope = (real)(dot / d);
            for (idx j = 0; j < d; j++) dx[j] = inv_std[i] * (gamma[j] * dout[j] - shift - slope * xhat[j]);
        }
}

/* --- groupnorm: g groups of c / g channels ----------------------------------------------------------------------------- */

/* IN x (n, c, s), gamma, beta (c,); OUT out, xhat (n, c, s), inv_std (n, g). */
static void NAME(groupnorm_forward)(const void *x_, const void *gamma_, const void *beta_, double eps, void *out_, void *xhat_,
                                    void *inv_std_, idx n, idx c, idx s, idx g, int n_threads)
{
    const real *x = x_, *gamma = gamma_, *beta = beta_;
    real *out = out_, *xhat = xhat_, *inv_stds = inv_std_;
    idx channels = c / g, size = channels * s;
    SDL_EACH_SPAN(sdl_threads(n_threads, (double)n * c * s), n * g, 1, lo, hi)
        for (idx group = lo; group < hi; group++) {
            double mean = NAME(run_sum)(x + group * size, size) / size;
            double inv_std = 1 / sqrt(NAME(run_squares)(x + group * size, size, mean) / size + eps);
            inv_stds[group] = (real)inv_std;
            for (idx l = 0; l < channels; l++) {
                idx at = group * size + l * s, channel = group % g * channels + l;
                NAME(normalize_run)(x + at, mean, inv_std, gamma[channel], beta[channel], s, xhat + at, out + at);
            }
        }
}

/* IN dout, xhat (n, c, s), inv_std (n, g), gamma (c,); OUT dx (may be dout), dgamma, dbeta (c,). */
static int NAME(groupnorm_backward)(const void *dout_, const void *xhat_, const void *inv_std_, const void *gamma_, void *dx_,
                                    void *dgamma_, void *dbeta_, idx n, idx c, idx s, idx g, int n_threads)
{
    const real *dout = dout_, *xhat = xhat_, *inv_std = inv_std_, *gamma = gamma_;
    real *dx = dx_, *dgamma = dgamma_, *dbeta = dbeta_;
    idx channels = c / g, size = channels * s;
    double *sums = sdl_scratch(SDL_SLOT_SHARED, 2 * n * c * sizeof(double)); /* of each plane (n, c), then the dots */
    if (!sums) return -1;
    double *dots = sums + n * c;
    SDL_EACH_SPAN(sdl_threads(n_threads, (double)n * c * s), n * g, 1, lo, hi)
        for (idx group = lo; group < hi; group++) {
            double sum = 0, dot = 0;
            for (idx l = 0; l < channels; l++) {
                idx plane = group * channels + l;
                sums[plane] = dots[plane] = 0;
                NAME(run_dot)(dout + plane * s, xhat + plane * s, NULL, s, sums + plane, dots + plane);
                sum += gamma[plane % c] * sums[plane];
                dot += gamma[plane % c] * dots[plane];
            }
            double factor = inv_std[group];
            for (idx l = 0; l < channels; l++) {
                idx plane = group * channels + l;
                NAME(combine_run)(dout + plane * s, xhat + plane * s, (real)(factor * gamma[plane % c]),
                                  (real)(factor * sum / size), (real)(factor * dot / size), s, dx + plane * s);
            }
        }
    for (idx channel = 0; channel < c; channel++) {
        double sum = 0, dot = 0;
        for (idx i = 0; i < n; i++) sum += sums[i * c + channel], dot += dots[i * c + channel];
        dbeta[channel] = (real)sum;
        dgamma[channel] = (real)dot;
    }
    return 0;
}
