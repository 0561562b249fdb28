/* The table of function pointers through which the glue calls the kernels of the chosen instruction set. kernels.def states them.
 * Functions that return int return 0, or -1 on failure (out of memory unless said otherwise).
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

/* Which cell of a 2 x 2 window won, row-major; or that its maximum was not positive, so that relu passes no gradient. */
enum { DEAD = 4 };

#include "kernel_table.h"

typedef struct {
    const char *name;
    sdl_kernels f32, f64;
} sdl_table;

#endif
