/* Recordings: the kernel calls of a training step, or of an evaluation's, made again for every minibatch without
 * Python.
 *
 * While a recording is open on a thread, every sdl_call_... (kernel_calls.h, made by table.py) of that thread appends
 * an operation: how to make the call again, and its arguments. What differs from step to step is replaced in each: the
 * rows of the minibatch, the learning rate, the number of the step, and where numbers that calls return (the loss) are
 * written. Everything else stays: the same buffers, the same sizes. The arrays are kept alive by who records (Program
 * in _kernels.pyx).
 *
 * Unlike a call from Python, an operation checks neither shapes nor overlaps, which are those that it was recorded
 * with. What somebody may have written into arrays since then is checked where it would be an index: rows here, labels
 * in the losses.
 */
#ifndef SDL_RECORD_H
#define SDL_RECORD_H

#include "kernels.h"

typedef union {
    void *p;
    idx i;
    double d;
} sdl_cell;

typedef struct sdl_op sdl_op;
struct sdl_op {
    int (*again)(sdl_op *op, int n_threads);
    const sdl_kernels *kernels;
    const char *name;
    int n_arguments;
    unsigned rows; /* a bit for each argument that is the rows of a minibatch */
    int rate, count, output_number; /* the arguments that are learning rate, number of the step, output; or -1 */
    double number; /* where that is written, unless somebody wants it elsewhere */
    sdl_conv sizes;
    sdl_cell args[SDL_MOST_ARGUMENTS];
};

enum { SDL_MOST_OUTPUTS = 4 };

/* Argument `argument` of operation `op` points to a minibatch's rows. */
typedef struct {
    idx op, argument;
} sdl_place;

typedef struct {
    sdl_op *ops;
    idx n_ops, capacity;
    sdl_place *rows;
    idx n_rows;
    idx rows_below; /* rows of a minibatch must be in [0, rows_below) */
    idx first_update; /* operations from this one on are made only if the loss is finite */
    idx outputs[SDL_MOST_OUTPUTS]; /* operations before it whose numbers are wanted; before updates, the loss */
    idx n_outputs;
    int failed; /* out of memory */
    void *owner;
} sdl_program;

/* What a run of a program is given. */
typedef struct {
    idx steps;
    const intptr_t *rows; /* the first minibatch's; the others follow */
    idx batch; /* rows in a minibatch */
    const double *rates; /* (steps,) or NULL */
    double count; /* number of the first step */
    double *numbers; /* OUT (n_outputs, steps); a loss with its penalty */
    const double *squares; /* (n_squares,) sums of squares that the penalty is made of, as the last update left them */
    idx n_squares;
    double reg;
    double seconds; /* after these no further step is begun */
    int n_threads;
} sdl_run;

/* One program of an epoch, and its run there. `run.rows` point to the minibatches' rows, or into the epoch's order. */
typedef struct {
    sdl_program *program;
    sdl_run run; /* rates, count, numbers, penalty and time are the epoch's */
    int validates; /* whether its numbers make the epoch's score */
} sdl_pass;

/* The score of an epoch: offset + sign * number / weight, of the sums over all steps that validate. */
typedef struct {
    int number, weight; /* which numbers of a step; a weight of -1: total */
    double total, sign, offset;
    double tie; /* scores that are lower by no more are equal */
    int above_zero; /* no weights of a score of zero are kept */
} sdl_score;

/* When epochs end for want of gain: after more than `patience` in a row whose score is not above the best by more than
 * `tol`. The score is that of the evaluation, or less the mean loss of the updates. */
typedef struct {
    double tol, best;
    idx patience, without_gain; /* patience < 0: never */
    int by_score;
} sdl_watch;

typedef struct {
    void *to;
    const void *from;
    size_t bytes;
} sdl_copy;

typedef struct {
    const sdl_kernels *kernels;
    const void *values;
    idx size;
} sdl_array;

/* Whole epochs: a new order of the rows, minibatches with their updates, evaluations, copies of the best weights. */
typedef struct {
    idx epochs;
    sdl_pass *passes; /* first those with updates */
    idx n_passes, n_training;
    idx updates, width; /* updates and numbers of an epoch */
    const double *rates; /* (epochs, updates) */
    double count; /* number of the first update */
    double *numbers; /* OUT (epochs, width): pass after pass */
    double *seconds; /* OUT (epochs,) from the beginning to the end of each */
    const sdl_kernels *kernels;
    void *generator; /* shuffles the order; NULL: it stays */
    const intptr_t *rows; /* (n_rows,) the order to shuffle */
    intptr_t *order; /* (n_rows,) */
    idx n_rows;
    const double *squares; /* (n_squares,) of all parameters; those of n_penalized make the penalty */
    idx n_squares, n_penalized;
    double reg;
    const sdl_array *statistics; /* what else is to stay finite */
    idx n_statistics;
    sdl_score score;
    double best; /* the best score so far */
    const sdl_copy *copies; /* made after each epoch that is not worse; none of them: there is no score */
    idx n_copies;
    sdl_watch watch;
    double most_seconds; /* after these, no further epoch is begun */
    int n_threads;
} sdl_epochs;

/* Open or close (NULL) this thread's recording; the open one, or NULL. */
void sdl_record(sdl_program *program);
sdl_program *sdl_recording(void);

/* A new operation of the open recording, or NULL: there is none, or no memory for it. */
sdl_op *sdl_append(const sdl_kernels *kernels, const char *name, int (*again)(sdl_op *, int), int n_arguments);

/* Note which arguments are the minibatch's rows, `rows`. Returns 0, or -1 when out of memory. */
int sdl_vary_rows(sdl_program *program, const void *rows);

/* Make the steps; *done counts those whose numbers are known, and *finite says whether the last one's loss is a finite
 * number (else its update was not made). Returns SDL_OK, SDL_WRONG_ROW, or what a kernel failed with. */
int sdl_replay(sdl_program *program, const sdl_run *run, idx *done, int *finite);

/* Make epochs. *done counts the whole ones. Where what was learned or scored is not finite, the epoch ends there and
 * is not whole: *updates counts those of its updates whose losses are known, and *finite says whether the last one's
 * loss is a finite number. Returns as sdl_replay. */
int sdl_replay_epochs(const sdl_epochs *epochs, idx *done, idx *updates, int *finite);

void sdl_clear(sdl_program *program);

#endif
