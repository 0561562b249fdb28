/* Looks at random moments whether another thread holds the GIL: takes it, and notes how long that took. Compiled and
 * called by _gil.py; needs no header of Python's. */

#include <math.h>
#include <time.h>

void *PyEval_SaveThread(void);
void PyEval_RestoreThread(void *state);

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + 1e-9 * t.tv_nsec;
}

/* A number in (0, 1), by Knuth's MMIX generator. */
static double draw(unsigned long long *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return ((*state >> 11) + 0.5) / 9007199254740992.;
}

/* OUT waits (most,): seconds for which each look waited. Until *done, with the GIL when called and after. The time
 * between looks is exponential, so that what the other threads do cannot keep step with it. Returns their number. */
long sdl_look(const volatile int *done, double mean_gap, double *waits, long most)
{
    unsigned long long state = 1;
    long n = 0;
    void *thread = PyEval_SaveThread();
    while (n < most && !*done) {
        double gap = -mean_gap * log(draw(&state));
        struct timespec pause = { (time_t)gap, (long)(1e9 * (gap - (time_t)gap)) };
        nanosleep(&pause, NULL);
        double began = now();
        PyEval_RestoreThread(thread);
        waits[n++] = now() - began;
        thread = PyEval_SaveThread();
    }
    PyEval_RestoreThread(thread);
    return n;
}

/* Compute for so many seconds; called without the GIL, and never takes it. */
void sdl_spin(double seconds)
{
    for (double end = now() + seconds; now() < end;) {
    }
}
