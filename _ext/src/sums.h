/* Sums that the other kernels are made of. All accumulate in double, lane by lane in a fixed order: for float32 data that
 * is exact enough to forget about, for float64 data the lanes are a blocked sum. */

typedef double NAME(wide) __attribute__((vector_size(SDL_VEC_BYTES / sizeof(real) * sizeof(double))));

#define WIDE(v) __builtin_convertvector(v, NAME(wide))

INLINE double NAME(wide_sum)(NAME(wide) v)
{
    double lanes[SDL_VEC_BYTES / sizeof(real)];
    memcpy(lanes, &v, sizeof lanes);
    for (idx half = VL / 2; half; half /= 2)
        for (idx i = 0; i < half; i++) lanes[i] += lanes[i + half];
    return lanes[0];
}

/* Sum of x (n,). */
static double NAME(run_sum)(const real *x, idx n)
{
    NAME(wide) a = { 0 }, b = { 0 };
    idx i = 0;
    for (; i + 2 * VL <= n; i += 2 * VL) {
        a += WIDE(NAME(load)(x + i));
        b += WIDE(NAME(load)(x + i + VL));
    }
    double sum = NAME(wide_sum)(a + b);
    for (; i < n; i++) sum += x[i];
    return sum;
}

/* Sum of (x - mean)^2. */
static double NAME(run_squares)(const real *x, idx n, double mean)
{
    NAME(wide) a = { 0 }, b = { 0 };
    idx i = 0;
    for (; i + 2 * VL <= n; i += 2 * VL) {
        NAME(wide) da = WIDE(NAME(load)(x + i)) - mean, db = WIDE(NAME(load)(x + i + VL)) - mean;
        a += da * da;
        b += db * db;
    }
    double sum = NAME(wide_sum)(a + b);
    for (; i < n; i++) sum += (x[i] - mean) * (x[i] - mean);
    return sum;
}

/* *sum += sum of x, *dot += sum of x * y, both times gamma (n,) if there is one. */
INLINE void NAME(run_dot)(const real *x, const real *y, const real *gamma, idx n, double *sum, double *dot)
{
    NAME(wide) s = { 0 }, d = { 0 };
    idx i = 0;
    for (; i + VL <= n; i += VL) {
        NAME(wide) xi = WIDE(NAME(load)(x + i));
        if (gamma) xi *= WIDE(NAME(load)(gamma + i));
        s += xi;
        d += xi * WIDE(NAME(load)(y + i));
    }
    *sum += NAME(wide_sum)(s);
    *dot += NAME(wide_sum)(d);
    for (; i < n; i++) {
        double xi = gamma ? (double)x[i] * gamma[i] : x[i];
        *sum += xi;
        *dot += xi * y[i];
    }
}

/* --- down the columns of a matrix, COLUMN_BLOCK at a time so that the accumulators stay in L1 ----------------------- */

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
static void NAME(block_dots)(const real *x, const real *y, idx n, idx d, idx cols, double *restrict sums, double *restrict dots)
{
    for (idx j = 0; j < cols; j++) sums[j] = dots[j] = 0;
    for (idx i = 0; i < n; i++, x += d, y += d)
        for (idx j = 0; j < cols; j++) {
            sums[j] += x[j];
            dots[j] += (double)x[j] * y[j];
        }
}

/* IN x (n, d); OUT sums (d,). */
static void NAME(column_sums)(const real *x, real *sums, idx n, idx d, int n_threads)
{
    SDL_EACH_SPAN(sdl_threads(n_threads, (double)n * d / 4), d, COLUMN_BLOCK, lo, hi)
        for (idx j = lo; j < hi; j += COLUMN_BLOCK) {
            double block[COLUMN_BLOCK];
            idx cols = MIN(COLUMN_BLOCK, hi - j);
            NAME(block_sums)(x + j, NULL, n, d, cols, block);
            for (idx l = 0; l < cols; l++) sums[j + l] = (real)block[l];
        }
}
