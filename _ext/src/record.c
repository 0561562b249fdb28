#include "record.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static __thread sdl_program *recording;

void sdl_record(sdl_program *program) { recording = program; }

sdl_program *sdl_recording(void) { return recording; }

/* `items` with room for one more of `size` bytes, or NULL. */
static void *with_room(void *items, idx n, idx *capacity, size_t size)
{
    if (n < *capacity) return items;
    idx larger = *capacity ? 2 * *capacity : 16;
    void *moved = realloc(items, larger * size);
    if (moved) *capacity = larger;
    return moved;
}

sdl_op *sdl_append(const sdl_kernels *kernels, const char *name, int (*again)(sdl_op *, int), int n_arguments)
{
    sdl_program *p = recording;
    if (!p || p->failed) return NULL;
    sdl_op *ops = with_room(p->ops, p->n_ops, &p->capacity, sizeof *ops);
    if (!ops) {
        p->failed = 1;
        return NULL;
    }
    p->ops = ops;
    sdl_op *op = &ops[p->n_ops++];
    *op = (sdl_op){ .again = again,
                    .kernels = kernels,
                    .name = name,
                    .n_arguments = n_arguments,
                    .rate = -1,
                    .count = -1,
                    .output_number = -1 };
    return op;
}

int sdl_vary_rows(sdl_program *p, const void *rows)
{
    idx capacity = 0;
    p->n_rows = 0;
    for (idx i = 0; i < p->n_ops; i++)
        for (int a = 0; a < p->ops[i].n_arguments; a++) {
            if (!(p->ops[i].rows >> a & 1) || p->ops[i].args[a].p != rows) continue;
            sdl_place *places = with_room(p->rows, p->n_rows, &capacity, sizeof *places);
            if (!places) return -1;
            p->rows = places;
            places[p->n_rows++] = (sdl_place){ i, a };
        }
    return 0;
}

/* Give the operations what this step has of its own. Returns SDL_OK or SDL_WRONG_ROW. */
static int prepare(sdl_program *p, const sdl_run *run, idx step)
{
    const intptr_t *rows = run->rows + step * run->batch;
    for (idx i = 0; i < run->batch; i++)
        if (rows[i] < 0 || rows[i] >= p->rows_below) return SDL_WRONG_ROW;
    for (idx i = 0; i < p->n_rows; i++) p->ops[p->rows[i].op].args[p->rows[i].argument].p = (void *)rows;
    for (idx i = 0; i < p->n_outputs; i++) {
        sdl_op *op = &p->ops[p->outputs[i]];
        op->args[op->output_number].p = run->numbers + i * run->steps + step;
    }
    for (idx i = p->first_update; i < p->n_ops; i++) {
        sdl_op *op = &p->ops[i];
        if (op->rate >= 0) op->args[op->rate].d = run->rates[step];
        if (op->count >= 0) op->args[op->count].d = run->count + (double)step;
    }
    return SDL_OK;
}

static int make(sdl_program *p, idx from, idx to, int n_threads)
{
    int status = 0;
    for (idx i = from; i < to && !status; i++) status = p->ops[i].again(&p->ops[i], n_threads);
    return status;
}

/* Added up as Net.penalty adds: no sum of the two is to be one rounding. */
static double penalty(const sdl_run *run)
{
    if (!run->reg) return 0; /* also where the sum is infinite */
    double sum = 0;
    for (idx i = 0; i < run->n_squares; i++) sum += run->squares[i];
    volatile double product = 0.5 * run->reg * sum;
    return product;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + 1e-9 * t.tv_nsec;
}

int sdl_replay(sdl_program *p, const sdl_run *run, idx *done, int *finite)
{
    double end = now() + run->seconds;
    int status = 0;
    *finite = 1;
    for (*done = 0; *done < run->steps && *finite && (*done == 0 || now() < end);) {
        idx step = *done;
        status = prepare(p, run, step);
        if (!status) status = make(p, 0, p->first_update, run->n_threads);
        if (status) break;
        *done += 1;
        if (p->first_update < p->n_ops) {
            run->numbers[step] += penalty(run);
            *finite = isfinite(run->numbers[step]);
            if (!*finite) break;
        }
        status = make(p, p->first_update, p->n_ops, run->n_threads);
        if (status) break;
    }
    return status;
}

/* Make the updates of an epoch. */
static int train_epoch(const sdl_epochs *e, idx epoch, idx *updates, int *finite)
{
    double *numbers = e->numbers + epoch * e->width;
    for (idx i = 0; i < e->n_training && *finite; i++) {
        sdl_run run = e->passes[i].run;
        run.rates = e->rates + epoch * e->updates + *updates;
        run.count = e->count + (double)(epoch * e->updates + *updates);
        run.numbers = numbers + *updates;
        run.squares = e->squares;
        run.n_squares = e->n_penalized;
        run.reg = e->reg;
        run.seconds = INFINITY;
        run.n_threads = e->n_threads;
        idx done = 0;
        int status = sdl_replay(e->passes[i].program, &run, &done, finite);
        *updates += done;
        if (status) return status;
    }
    return SDL_OK;
}

/* Whether squares of parameters and statistics are finite. */
static int stays_finite(const sdl_epochs *e)
{
    double sum = 0;
    for (idx i = 0; i < e->n_squares; i++) sum += e->squares[i];
    if (!isfinite(sum)) return 0;
    for (idx i = 0; i < e->n_statistics; i++) {
        const sdl_array *a = &e->statistics[i];
        if (!a->kernels->all_finite(a->values, a->size, e->n_threads)) return 0;
    }
    return 1;
}

/* Make the evaluations of an epoch. *finite: whether all that they judged was; sums: of the numbers that validate. */
static int evaluate_epoch(const sdl_epochs *e, idx epoch, int *finite, double *sums)
{
    double *numbers = e->numbers + epoch * e->width + e->updates;
    for (int i = 0; i < SDL_MOST_OUTPUTS; i++) sums[i] = 0;
    for (idx i = e->n_training; i < e->n_passes; i++) {
        const sdl_pass *pass = &e->passes[i];
        sdl_run run = pass->run;
        run.numbers = numbers;
        run.seconds = INFINITY;
        run.n_threads = e->n_threads;
        idx done = 0;
        int all = 1;
        int status = sdl_replay(pass->program, &run, &done, &all);
        if (status) return status;
        for (idx step = 0; step < run.steps; step++)
            if (isnan(numbers[step])) *finite = 0;
        for (idx output = 0; output < pass->program->n_outputs; output++, numbers += run.steps)
            for (idx step = 0; step < run.steps && pass->validates; step++) sums[output] += numbers[step];
    }
    return SDL_OK;
}

/* The score of an epoch, added up as Solver does. */
static double score_of(const sdl_epochs *e, const double *sums)
{
    const sdl_score *s = &e->score;
    return s->offset + s->sign * (sums[s->number] / (s->weight < 0 ? s->total : sums[s->weight]));
}

/* Copy the weights of an epoch that is not worse than the best one; decided as Solver does. */
static void keep_the_best(const sdl_epochs *e, double score, double *best)
{
    if (score < *best - e->score.tie || (e->score.above_zero && score == 0)) return;
    if (score > *best) *best = score;
    for (idx i = 0; i < e->n_copies; i++) memcpy(e->copies[i].to, e->copies[i].from, e->copies[i].bytes);
}

/* The mean loss of an epoch's updates, `numbers`, added up as Solver does: no sum of the two is to be one rounding. */
static double mean_loss(const sdl_epochs *e, const double *numbers)
{
    double sum = 0;
    for (idx i = 0; i < e->n_training; i++)
        for (idx step = 0; step < e->passes[i].run.steps; step++) {
            volatile double product = *numbers++ * (double)e->passes[i].run.batch;
            sum += product;
        }
    return sum / (double)e->n_rows;
}

/* Whether epochs are to end with one of this score; decided as Solver does. */
static int gains_no_more(sdl_watch *watch, double score)
{
    watch->without_gain = score > watch->best + watch->tol ? 0 : watch->without_gain + 1;
    if (score > watch->best) watch->best = score;
    return watch->without_gain > watch->patience;
}

int sdl_replay_epochs(const sdl_epochs *e, idx *done, idx *updates, int *finite)
{
    double began = now(), seconds = 0, best = e->best, score = 0;
    sdl_watch watch = e->watch;
    *done = *updates = 0;
    *finite = 1;
    int ends = 0;
    while (!ends && *done < e->epochs && (*done == 0 || seconds < e->most_seconds)) {
        if (e->generator) {
            memcpy(e->order, e->rows, e->n_rows * sizeof *e->order);
            e->kernels->shuffle_rows(e->generator, e->order, e->n_rows);
        }
        int scored = 1, status = train_epoch(e, *done, updates, finite);
        double sums[SDL_MOST_OUTPUTS];
        if (status || !*finite || !stays_finite(e)) return status;
        status = evaluate_epoch(e, *done, &scored, sums);
        if (status || !scored) return status;
        if (e->n_copies) {
            score = score_of(e, sums);
            keep_the_best(e, score, &best);
        }
        if (watch.patience >= 0)
            ends = gains_no_more(&watch, watch.by_score ? score : -mean_loss(e, e->numbers + *done * e->width));
        seconds = now() - began;
        e->seconds[*done] = seconds;
        *done += 1;
        *updates = 0;
    }
    return SDL_OK;
}

void sdl_clear(sdl_program *p)
{
    free(p->ops);
    free(p->rows);
    memset(p, 0, sizeof *p);
}
