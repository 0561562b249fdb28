/* What the kernels and the glue share with the process: scratch memory, threads, the choice of instruction set.
 *
 * Scratch. A kernel that packs needs aligned memory of a few hundred kilobytes per thread. malloc gives blocks of
 * that size by mmap, and each call would pay page faults for them again. So each thread keeps its own few
 * buffers ("slots") for as long as it lives; they only grow. A slot is the kernel's until it returns; kernels never
 * call each other while holding the same slot.
 *
 * Threads. Work is cut by output, or else where the shapes say, so results do not depend on the number of threads, and
 * `sdl_threads` may lower it freely when there is too little work to pay for a parallel region (about 5 microseconds).
 */
#ifndef SDL_RUNTIME_H
#define SDL_RUNTIME_H

#include <stddef.h>
#include <stdint.h>

#include "kernels.h"

enum { SDL_SLOT_SHARED, SDL_SLOT_SHARED_2, SDL_SLOT_A, SDL_SLOT_B, SDL_SLOT_C, SDL_SLOTS };

/* This thread's buffer `slot`, 64-byte aligned, of at least `bytes`; NULL when out of memory. */
void *sdl_scratch(int slot, size_t bytes);

/* Table of an instruction set, or NULL: unknown, not built, or not supported by this CPU. */
const sdl_table *sdl_find_table(const char *name);

/* The i-th table in ascending order of preference that this CPU can run; NULL after the last. */
const sdl_table *sdl_available_table(int i);

int sdl_openmp(void);
int sdl_debug(void);
void sdl_check_index(ptrdiff_t i, ptrdiff_t n);
int sdl_max_threads(void);

#endif
