/* The gradient step of a linear classifier in one pass over its minibatch: scores, softmax loss, dw.
 *
 * One by one, gather and these three read the minibatch from memory and three times from L3, which takes longer than
 * the arithmetic. Here each thread has a span of the features and of the rows of w and dw, and takes a few samples at a
 * time through all of it while they stay in its L2; the samples after them are asked for meanwhile. Threads meet once
 * per block of samples, when each has its segments' part of the scores. The loss is of a few numbers, and every thread
 * computes it for itself.
 *
 * The sums are those of affine_forward, softmax_loss and affine_backward_dw, in the same order: to the bit. */

#define STEP_SAMPLES (4 * STREAM_SAMPLES) /* in a block, at most */
#define STEP_BYTES (256 << 10) /* of them in a thread, unless the fewest are more */

typedef struct {
    const char *source; /* (any, d), rows `stride` bytes apart */
    int type, item_size; /* of SDL_EACH_SOURCE */
    idx stride;
    const intptr_t *indices;
    const int64_t *y;
    const double *weight;
    double total;
    const real *w, *b;
    real *dscores, *dw;
    double *loss;
    idx n, d, m, segment, tiles; /* tiles: reals in those of a block of samples */
    real *partial; /* (2 for blocks in turn, segments, tiles) */
    int failed;
} NAME(linear);

/* Feature k of a sample, of the last if there are not so many. */
INLINE const char *NAME(linear_at)(const NAME(linear) *p, idx sample, idx k)
{
    return p->source + p->indices[MIN(sample, p->n - 1)] * p->stride + k * p->item_size;
}

/* What to ask for while a block is worked on: feature k of a sample to come; of another type than `real`, what is at
 * hand. */
INLINE const real *NAME(linear_ahead)(const NAME(linear) *p, idx sample, idx k, const real *at_hand)
{
    return p->type == PASTE(SDL_SOURCE_, real) ? (const real *)NAME(linear_at)(p, sample, k) : at_hand;
}

/* tiles = the sums over segments in [lo, hi) of samples x, wt (segments, m, segment); asks for every other of the next
 * samples, from `next` on. */
SPAN void NAME(linear_scores)(const NAME(linear) *p, const real *const *x, idx rows, idx next, idx lo, idx hi,
                              const real *wt, real *tiles)
{
    for (idx k = lo; k < hi; k += p->segment, wt += p->m * p->segment, tiles += p->tiles)
        for (idx i = 0; i < rows; i += 2) {
            const real *ahead[2] = { NAME(linear_ahead)(p, next + i, k, x[i] + k), x[i] + k };
            NAME(dot_segments)(x + i, k, MIN(2, rows - i), wt, p->segment, MIN(p->segment, hi - k), p->m,
                               tiles + i / 2 * NAME(dot_tiles)(p->m), 1, ahead);
        }
}

/* scores (rows, m) of a block, from all segments' tiles. */
SPAN void NAME(linear_join)(const NAME(linear) *p, idx rows, const real *tiles, real *scores)
{
    real sums[STEP_SAMPLES / 2 * DOT_TILES * DOT_TILE];
    for (idx i = 0; i < p->tiles; i += VL) {
        vec sum = NAME(load)(tiles + i);
        for (idx s = 1; s * p->segment < p->d; s++) sum += NAME(load)(tiles + s * p->tiles + i);
        NAME(store)(sums + i, sum);
    }
    NAME(dot_untile)(sums, p->b, SDL_ACTIVATION_identity, scores, rows, p->m);
}

/* sums (inputs / STREAM_INPUTS, m, STREAM_INPUTS) += dscores.T @ x, of features [lo, hi); asks for up to
 * half of the next samples, which linear_scores does not. */
SPAN void NAME(linear_dw)(const NAME(linear) *p, const real *const *x, idx rows, idx next, idx lo, idx hi,
                          const real *dscores, real *sums)
{
    for (idx k = lo; k < hi; k += STREAM_INPUTS)
        for (idx i = 0; i < rows; i += STREAM_SAMPLES) {
            const real *ahead[STREAM_OUTPUTS / 2];
            for (idx j = 0; j < STREAM_OUTPUTS / 2; j++)
                ahead[j] = 2 * j < STREAM_SAMPLES ? NAME(linear_ahead)(p, next + i + 2 * j + 1, k, x[i] + k) : x[i] + k;
            NAME(stream_outputs)(MIN(STREAM_SAMPLES, rows - i), x + i, k, dscores + i * p->m, p->m,
                                 MIN(STREAM_INPUTS, hi - k), sums + (k - lo) * p->m, ahead);
        }
}

/* One thread's part: features [lo, hi), whole segments of them, of all samples. */
static void NAME(linear_span)(NAME(linear) *p, int thread, int threads)
{
    idx segments = CEIL_DIV(p->d, p->segment), lo = sdl_edge(segments, 1, thread, threads) * p->segment,
        hi = MIN(p->d, sdl_edge(segments, 1, thread + 1, threads) * p->segment), span = ROUND_UP(hi - lo, p->segment),
        row = span + LINE, /* rows of a power of two apart would share sets of L1 */
        most = CEIL_DIV(segments, threads) * p->segment * (idx)sizeof(real), /* bytes of a sample in any thread */
        samples = MAX(1, MIN(STEP_SAMPLES, STEP_BYTES / most) / STREAM_SAMPLES) * STREAM_SAMPLES;
    /* Loads that cross cache lines cost more than a copy (NumPy's large arrays begin 16 bytes into a line). */
    int copy = p->type != PASTE(SDL_SOURCE_, real) || (intptr_t)p->source % SDL_VEC_BYTES || p->stride % SDL_VEC_BYTES;
    size_t sums_size = p->m * ROUND_UP(hi - lo, STREAM_INPUTS) * sizeof(real);
    real *wt = sdl_scratch(SDL_SLOT_B, p->m * span * sizeof(real)), *sums = sdl_scratch(SDL_SLOT_C, sums_size),
         *copies = sdl_scratch(SDL_SLOT_A, (copy ? samples : 1) * row * sizeof(real));
    if (!wt || !sums || !copies) sdl_note(&p->failed, -1);
    sdl_barrier(threads);
    if (__atomic_load_n(&p->failed, __ATOMIC_RELAXED)) return;
    NAME(dot_columns)(p->w + lo * p->m, wt, p->segment, hi - lo, p->m);
    memset(sums, 0, sums_size);
    real dscores[STEP_SAMPLES * STREAM_OUTPUTS];
    double loss = 0;
    for (idx first = 0, block = 0; first < p->n; first += samples, block++) {
        idx rows = MIN(samples, p->n - first), next = first + rows;
        real *tiles = p->partial + block % 2 * segments * p->tiles;
        const real *x[STEP_SAMPLES + 1]; /* so that each has its feature k at [k], also those that begin with lo */
        for (idx i = 0; i < rows; i++) {
            if (copy) NAME(convert)(NAME(linear_at)(p, first + i, lo), p->type, NULL, copies + i * row, hi - lo);
            x[i] = copy ? copies + i * row - lo : (const real *)NAME(linear_at)(p, first + i, 0);
        }
        SDL_FLUSHED(NAME(linear_scores)(p, x, rows, next, lo, hi, wt, tiles + lo / p->segment * p->tiles));
        sdl_barrier(threads);
        SDL_FLUSHED(NAME(linear_join)(p, rows, tiles, dscores));
        (void)NAME(softmax_loss_rows)(dscores, p->y + first, p->weight ? p->weight + first : NULL, p->total, 0, dscores,
                                      rows, p->m, &loss); /* needs no memory: there is a gradient */
        SDL_FLUSHED(NAME(linear_dw)(p, x, rows, next, lo, hi, dscores, sums));
        if (thread == 0) memcpy(p->dscores + first * p->m, dscores, rows * p->m * sizeof(real));
    }
    for (idx k = lo; k < hi; k += STREAM_INPUTS)
        NAME(transpose)(sums + (k - lo) * p->m, STREAM_INPUTS, p->dw + k * p->m, p->m, p->m,
                        MIN(STREAM_INPUTS, hi - k));
    if (thread == 0) *p->loss = loss;
}

/* Whether linear_softmax takes d features and m classes. */
static int NAME(linear_takes)(idx d, idx m) { return m > 1 && m <= STREAM_OUTPUTS && NAME(is_narrow)(m, d); }

/* IN source (any, d) as gather_rows takes it, indices (n,) in range, y (n,), weight (n,) or NULL, total that the
 * weighted losses are divided by, or 0 for the sum of the weights, w (d, m), b (m,) or NULL; OUT dscores (n, m), dw (d,
 * m), db (m,) or NULL, *loss. Returns SDL_WRONG_LABEL, and has written nothing, unless all of y are in [0, m). */
static int NAME(linear_softmax)(const void *source, int type, idx stride, const intptr_t *indices, const int64_t *y,
                                const double *weight, double total, const void *w, const void *b, void *dscores,
                                void *dw, void *db, double *loss, idx n, idx d, idx m, int n_threads)
{
    SDL_ASSERT(NAME(linear_takes)(d, m) && n > 0);
    if (!NAME(are_labels)(y, n, m)) return SDL_WRONG_LABEL;
    NAME(linear) p = { .source = source,
                       .type = type,
                       .item_size = NAME(source_sizes)[type],
                       .stride = stride,
                       .indices = indices,
                       .y = y,
                       .weight = weight,
                       .total = total ? total : NAME(total_weight)(weight, n),
                       .w = w,
                       .b = b,
                       .dscores = dscores,
                       .dw = dw,
                       .loss = loss,
                       .n = n,
                       .d = d,
                       .m = m,
                       .segment = NAME(dot_segment)(d, m),
                       .tiles = STEP_SAMPLES / 2 * NAME(dot_tiles)(m) };
    idx segments = CEIL_DIV(d, p.segment);
    p.partial = sdl_scratch(SDL_SLOT_SHARED, 2 * segments * p.tiles * sizeof(real));
    if (!p.partial) return -1;
    n_threads = (int)MIN(segments, sdl_threads(n_threads, (double)n * d * m / 16));
    SDL_TEAM(n_threads, thread, threads, NAME(linear_span)(&p, thread, threads));
    if (!p.failed && db) NAME(column_sums)(dscores, db, n, m, n_threads);
    return p.failed;
}
