/* The table of function pointers through which the glue calls the kernels of the chosen instruction set. kernels.def
 * states them. Functions that may fail return SDL_OK or another status.
 */
#ifndef SDL_KERNELS_H
#define SDL_KERNELS_H

#include <stddef.h>
#include <stdint.h>

typedef ptrdiff_t idx;

/* Sizes of one convolution: x (n, c, h, w), w (f, c, hh, ww), out (n, f, ho, wo). */
typedef struct {
    idx n, c, h, w, f, hh, ww, ho, wo, stride, pad;
} sdl_conv;

/* What a kernel, or a run of recorded ones, ends with. */
enum {
    SDL_OK = 0,
    SDL_NO_MEMORY = -1,
    SDL_WRONG_LABEL = -2,
    SDL_WRONG_ROW = -3,
    SDL_WRONG_COLUMN = -4,
    SDL_WRONG_PIXEL = -5,
    SDL_WRONG_TOUCHED = -6
};

/* Which cell of a 2 x 2 window won, row-major; or that its maximum was not positive, so that relu passes no gradient.
 */
enum { DEAD = 4 };

/* The activation functions: name, what of it backward takes, and nanoseconds a byte, roughly. Where the gradient is a
 * function of the output, the input need not be kept. relu comes after identity: a flag is a number of this table, too.
 * Slope of leaky_relu below zero: 0.01. gelu: x times the normal distribution function; silu: x times the logistic one.
 */
#define SDL_EACH_ACTIVATION(X)   \
    X(identity, output, .0625)   \
    X(relu, output, .0625)       \
    X(leaky_relu, output, .0625) \
    X(tanh, output, .25)         \
    X(logistic, output, .25)     \
    X(gelu, input, .4)           \
    X(silu, input, .25)

#define X(name, takes, cost) SDL_ACTIVATION_##name,
enum { SDL_EACH_ACTIVATION(X) SDL_ACTIVATIONS };
#undef X

/* The losses of pointwise.h. */
enum pointwise { LOGISTIC, SQUARED_ERROR, ABSOLUTE_ERROR, HUBER, POISSON };

/* The types that rows of X are converted from: name in C, NumPy's kind of it, and how gather.h reads one. */
typedef struct {
    uint8_t byte; /* any but 0 is true */
} sdl_bool;
typedef struct {
    uint16_t bits;
} sdl_half;
typedef long double sdl_long_double;

#define SDL_EACH_SOURCE(X)        \
    X(sdl_bool, 'b', FROM_BOOL)   \
    X(uint8_t, 'u', FROM_NUMBER)  \
    X(uint16_t, 'u', FROM_NUMBER) \
    X(uint32_t, 'u', FROM_NUMBER) \
    X(uint64_t, 'u', FROM_NUMBER) \
    X(int8_t, 'i', FROM_NUMBER)   \
    X(int16_t, 'i', FROM_NUMBER)  \
    X(int32_t, 'i', FROM_NUMBER)  \
    X(int64_t, 'i', FROM_NUMBER)  \
    X(sdl_half, 'f', FROM_HALF)   \
    X(float, 'f', FROM_NUMBER)    \
    X(double, 'f', FROM_NUMBER)   \
    X(sdl_long_double, 'f', FROM_NUMBER)

#define X(type, kind, FROM) SDL_SOURCE_##type,
enum { SDL_EACH_SOURCE(X) SDL_SOURCES };
#undef X

#include "kernel_table.h"

typedef struct {
    const char *name;
    sdl_kernels f32, f64;
} sdl_table;

#endif
