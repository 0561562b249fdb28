/* Max-pooling, x (N, C, H, W) as planes (N * C) of H x W; out planes of HO x WO.
 *
 * Forward remembers where each maximum was (index into the plane), so backward neither searches again nor needs x or
 * out, and windows may overlap or leave cells out. The first maximum of a window wins; a NaN beats every number. Planes
 * are cut among threads. The common window, 2 x 2 with stride 2, goes a vector at a time. */

/* Whether b displaces the best so far. */
#define BEATS(b, best) (!((b) <= (best)) && (best) == (best))

/* One output: the maximum of a ph x pw window whose corner is x; *at is its index relative to the corner. */
INLINE real NAME(window_max)(const real *x, idx w, idx ph, idx pw, idx *at)
{
    real best = x[0];
    *at = 0;
    for (idx i = 0; i < ph; i++)
        for (idx j = 0; j < pw; j++) {
            real v = x[i * w + j];
            int beats = BEATS(v, best);
            best = beats ? v : best;
            *at = beats ? i * w + j : *at;
        }
    return best;
}

typedef int32_t NAME(narrow_index)
    __attribute__((vector_size(SDL_VEC_BYTES / sizeof(real) * 4), aligned(4), may_alias));

/* Take (v, where) in the lanes where v beats the best. */
INLINE void NAME(keep_best)(vec v, ivec where, vec *best, ivec *at)
{
    ivec beats = (ivec) ~(ivec)(v <= *best) & (ivec)(*best == *best);
    *best = NAME(blend)(beats, v, *best);
    *at = (where & beats) | (*at & ~beats);
}

/* Outputs [0, VL) of a row of 2 x 2 windows; `first` is the index of x in its plane. */
INLINE void NAME(pool_2x2)(const real *x, idx w, idx first, real *out, int32_t *argmax)
{
    ivec ramp;
    for (idx l = 0; l < VL; l++) ramp[l] = (integer)(first + 2 * l);
    vec a = NAME(load)(x), b = NAME(load)(x + VL), c = NAME(load)(x + w), d = NAME(load)(x + w + VL);
    vec best = SHUFFLE(a, b, EVEN_LANES);
    ivec at = ramp;
    NAME(keep_best)(SHUFFLE(a, b, ODD_LANES), ramp + 1, &best, &at);
    NAME(keep_best)(SHUFFLE(c, d, EVEN_LANES), ramp + (integer)w, &best, &at);
    NAME(keep_best)(SHUFFLE(c, d, ODD_LANES), ramp + (integer)(w + 1), &best, &at);
    NAME(store)(out, best);
    if (argmax) *(NAME(narrow_index) *)argmax = __builtin_convertvector(at, NAME(narrow_index));
}

SPAN void NAME(pool_planes)(const real *x, real *out, int32_t *argmax, idx h, idx w, idx ho, idx wo, idx ph, idx pw,
                            idx stride, idx lo, idx hi)
{
    idx vectors = ph == 2 && pw == 2 && stride == 2 ? wo / VL * VL : 0;
    SDL_ASSERT((ho - 1) * stride + ph <= h && (wo - 1) * stride + pw <= w);
    for (idx p = lo; p < hi; p++)
        for (idx oy = 0; oy < ho; oy++) {
            const real *plane = x + p * h * w;
            idx row = (p * ho + oy) * wo, corner = oy * stride * w;
            for (idx ox = 0; ox < vectors; ox += VL)
                NAME(pool_2x2)(plane + corner + 2 * ox, w, corner + 2 * ox, out + row + ox,
                               argmax ? argmax + row + ox : NULL);
            for (idx ox = vectors; ox < wo; ox++) {
                idx at;
                out[row + ox] = NAME(window_max)(plane + corner + ox * stride, w, ph, pw, &at);
                if (argmax) argmax[row + ox] = (int32_t)(corner + ox * stride + at);
            }
        }
}

/* IN x (planes, h, w); OUT out (planes, ho, wo), argmax (the same shape) or NULL. */
static void NAME(max_pool_forward)(const void *x, void *out, int32_t *argmax, idx planes, idx h, idx w, idx ho, idx wo,
                                   idx ph, idx pw, idx stride, int n_threads)
{
    n_threads = sdl_threads(n_threads, (double)planes * ho * wo * ph * pw / 2);
    SDL_SPANS(n_threads, planes, 1, lo, hi, NAME(pool_planes)(x, out, argmax, h, w, ho, wo, ph, pw, stride, lo, hi));
}

/* SDL_WRONG_PIXEL unless argmax [lo, hi) are pixels of a plane. */
SPAN int NAME(check_argmax)(const int32_t *argmax, idx area, idx lo, idx hi)
{
    uint32_t most = 0; /* what is below zero is large as well */
    for (idx i = lo; i < hi; i++) most = MAX(most, (uint32_t)argmax[i]);
    return lo < hi && most >= (uint64_t)MIN(area, (idx)1 << 31) ? SDL_WRONG_PIXEL : SDL_OK;
}

SPAN void NAME(spread_planes)(const real *dout, const int32_t *argmax, real *dx, idx area, idx outputs, idx lo, idx hi)
{
    memset(dx + lo * area, 0, (hi - lo) * area * sizeof(real));
    for (idx p = lo; p < hi; p++)
        for (idx i = p * outputs; i < (p + 1) * outputs; i++) dx[p * area + argmax[i]] += dout[i];
}

/* IN dout (planes, outputs), argmax (the same shape); OUT dx (planes, area). Returns SDL_WRONG_PIXEL, and has written
 * nothing, unless all of argmax are in [0, area). */
static int NAME(max_pool_backward)(const void *dout, const int32_t *argmax, void *dx, idx planes, idx area, idx outputs,
                                   int n_threads)
{
    int failed = 0, few = sdl_threads(n_threads, (double)planes * outputs / 4);
    SDL_SPANS(few, planes * outputs, ELEMENT_BLOCK, lo, hi,
              sdl_note(&failed, NAME(check_argmax)(argmax, area, lo, hi)));
    if (failed) return failed;
    n_threads = sdl_threads(n_threads, (double)planes * (outputs + area / 8.));
    SDL_SPANS(n_threads, planes, 1, lo, hi, NAME(spread_planes)(dout, argmax, dx, area, outputs, lo, hi));
    return SDL_OK;
}

/* --- on a strip of convolution outputs (see conv/taps.h)
 * ------------------------------------------------------------------ */

typedef uint8_t NAME(bytes) __attribute__((vector_size(SDL_VEC_BYTES / sizeof(real)), aligned(1), may_alias));

/* Relu, then 2 x 2 pooling with stride 2: x (rows, cols), rows even, cols a multiple of 2 VL; out and argmax_cell (or
 * NULL), (rows / 2, cols / 2), which say which of the four won, or DEAD. */
static void NAME(pool_rows)(const real *x, idx rows, idx cols, real *out, uint8_t *argmax_cell)
{
    for (idx y = 0; y < rows; y += 2, x += 2 * cols)
        for (idx l = 0; l < cols; l += 2 * VL, out += VL) {
            vec a = NAME(clip)(NAME(load)(x + l)), b = NAME(clip)(NAME(load)(x + l + VL));
            vec c = NAME(clip)(NAME(load)(x + cols + l)), d = NAME(clip)(NAME(load)(x + cols + l + VL));
            vec best = SHUFFLE(a, b, EVEN_LANES);
            ivec at = { 0 };
            NAME(keep_best)(SHUFFLE(a, b, ODD_LANES), (ivec){ 0 } + 1, &best, &at);
            NAME(keep_best)(SHUFFLE(c, d, EVEN_LANES), (ivec){ 0 } + 2, &best, &at);
            NAME(keep_best)(SHUFFLE(c, d, ODD_LANES), (ivec){ 0 } + 3, &best, &at);
            NAME(store)(out, best);
            if (!argmax_cell) continue;
            ivec positive = (ivec)(best > 0);
            *(NAME(bytes) *)argmax_cell =
                __builtin_convertvector((at & positive) | (((ivec){ 0 } + DEAD) & ~positive), NAME(bytes));
            argmax_cell += VL;
        }
}

/* 2 x 2 pooling with stride 2 of a strip after relu: strip (rows, cols, nv vectors), rows and cols even, becomes
 * (rows / 2, cols / 2, nv vectors) in place; argmax_cell, of that size, says which of the four won, or DEAD. */
static void NAME(pool_strip)(real *strip, idx rows, idx cols, idx nv, real *argmax_cell)
{
    idx right = nv * VL, down = cols * right;
    real *out = strip;
    for (idx y = 0; y < rows; y += 2)
        for (idx x = 0; x < cols; x += 2)
            for (idx v = 0; v < nv; v++, out += VL, argmax_cell += VL) {
                const real *from = strip + y * down + x * right + v * VL;
                vec best = NAME(load)(from), at = { 0 };
                UNROLL(int i = 1; i < 4; i++) {
                    vec other = NAME(load)(from + i % 2 * right + i / 2 * down);
                    ivec beats = (ivec) ~(ivec)(other <= best) & (ivec)(best == best);
                    best = NAME(blend)(beats, other, best);
                    at = NAME(blend)(beats, (vec){ 0 } + (real)i, at);
                }
                NAME(store)(argmax_cell, NAME(blend)((ivec)(best > 0), at, (vec){ 0 } + (real)DEAD));
                NAME(store)(out, best);
            }
}
