/* Sums that the other kernels are made of. All accumulate in double, lane by lane in a fixed order: for float32 data
 * that is exact enough to forget about, for float64 data the lanes are a blocked sum. */

/* WL doubles fill a register; the vectors of `real` they come from may be half a register. (A whole one, of twice WL
 * floats, is converted lane by lane by gcc.) */
#define WL ((idx)(SDL_VEC_BYTES / sizeof(double)))

typedef double NAME(wide) __attribute__((vector_size(SDL_VEC_BYTES)));
typedef real NAME(part)
    __attribute__((vector_size(SDL_VEC_BYTES / sizeof(double) * sizeof(real)), aligned(sizeof(real)), may_alias));

INLINE NAME(wide) NAME(load_wide)(const real *p) { return __builtin_convertvector(*(const NAME(part) *)p, NAME(wide)); }

INLINE double NAME(wide_sum)(NAME(wide) v)
{
    double lanes[SDL_VEC_BYTES / sizeof(double)];
    memcpy(lanes, &v, sizeof lanes);
    for (idx half = WL / 2; half; half /= 2)
        for (idx i = 0; i < half; i++) lanes[i] += lanes[i + half];
    return lanes[0];
}

/* Accumulators in flight, enough to hide the latency of an addition. */
#define CHAINS 4

/* Sum of (x - mean)^2 if squared, else of x - mean. */
INLINE double NAME(run_deviation)(const real *x, idx n, double mean, int squared)
{
    NAME(wide) sums[CHAINS] = { { 0 } };
    idx i = 0;
    for (; i + CHAINS * WL <= n; i += CHAINS * WL) {
        UNROLL(idx c = 0; c < CHAINS; c++) {
            NAME(wide) d = NAME(load_wide)(x + i + c * WL) - mean;
            sums[c] += squared ? d * d : d;
        }
    }
    double sum = NAME(wide_sum)((sums[0] + sums[1]) + (sums[2] + sums[3]));
    for (; i < n; i++) {
        double d = x[i] - mean;
        sum += squared ? d * d : d;
    }
    return sum;
}

static double NAME(run_sum)(const real *x, idx n) { return NAME(run_deviation)(x, n, 0, 0); }

static double NAME(run_squares)(const real *x, idx n, double mean) { return NAME(run_deviation)(x, n, mean, 1); }

/* *sum += sum of x, *dot += sum of x * y, both times gamma (n,) if there is one. */
INLINE void NAME(run_dot)(const real *x, const real *y, const real *gamma, idx n, double *sum, double *dot)
{
    NAME(wide) sums[CHAINS] = { { 0 } }, dots[CHAINS] = { { 0 } };
    idx i = 0;
    for (; i + CHAINS * WL <= n; i += CHAINS * WL) {
        UNROLL(idx c = 0; c < CHAINS; c++) {
            idx at = i + c * WL;
            NAME(wide) xi = NAME(load_wide)(x + at);
            if (gamma) xi *= NAME(load_wide)(gamma + at);
            sums[c] += xi;
            dots[c] += xi * NAME(load_wide)(y + at);
        }
    }
    *sum += NAME(wide_sum)((sums[0] + sums[1]) + (sums[2] + sums[3]));
    *dot += NAME(wide_sum)((dots[0] + dots[1]) + (dots[2] + dots[3]));
    for (; i < n; i++) {
        double xi = gamma ? (double)x[i] * gamma[i] : x[i];
        *sum += xi;
        *dot += xi * y[i];
    }
}

/* --- down the columns of a matrix, COLUMN_BLOCK at a time so that the accumulators stay in L1 -----------------------
 */

#define COLUMN_BLOCK 64

/* sums (cols,) = sum over rows of weight[row] (1 if NULL) * x[row][j], x (n, d) from its column of interest on. */
static void NAME(block_sums)(const real *x, const double *weight, idx n, idx d, idx cols, double *restrict sums)
{
    for (idx j = 0; j < cols; j++) sums[j] = 0;
    for (idx i = 0; i < n; i++, x += d) {
        double w = weight ? weight[i] : 1;
        for (idx j = 0; j < cols; j++) sums[j] += w * x[j];
    }
}

/* sums, dots (cols,) = column sums of x and of x * y. */
static void NAME(block_dots)(const real *x, const real *y, idx n, idx d, idx cols, double *restrict sums,
                             double *restrict dots)
{
    for (idx j = 0; j < cols; j++) sums[j] = dots[j] = 0;
    for (idx i = 0; i < n; i++, x += d, y += d)
        for (idx j = 0; j < cols; j++) {
            sums[j] += x[j];
            dots[j] += (double)x[j] * y[j];
        }
}

SPAN void NAME(sum_columns)(const real *x, real *sums, idx n, idx d, idx lo, idx hi)
{
    double block[COLUMN_BLOCK];
    for (idx j = lo; j < hi; j += COLUMN_BLOCK) {
        idx cols = MIN(COLUMN_BLOCK, hi - j);
        NAME(block_sums)(x + j, NULL, n, d, cols, block);
        for (idx l = 0; l < cols; l++) sums[j + l] = (real)block[l];
    }
}

/* IN x (n, d); OUT sums (d,). */
static void NAME(column_sums)(const real *x, real *sums, idx n, idx d, int n_threads)
{
    SDL_SPANS(sdl_threads(n_threads, (double)n * d / 4), d, COLUMN_BLOCK, lo, hi,
              NAME(sum_columns)(x, sums, n, d, lo, hi));
}

/* Sum of n weights, all one if NULL. */
INLINE double NAME(total_weight)(const double *weight, idx n)
{
    double total = 0;
    for (idx i = 0; i < n; i++) total += weight ? weight[i] : 1;
    return total;
}
