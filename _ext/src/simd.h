/* What depends on the instruction set and the compiler, and on nothing else.
 *
 * GCC vector extensions, not intrinsics: one text serves SSE2, AVX2, AVX-512 and NEON, and gcc and clang turn it into
 * the same instructions. SDL_MR x SDL_NV is the register tile of the matrix kernels: MR rows of NV vectors in as many
 * accumulators as the register file holds beside NV operands and one broadcast.
 */
#ifndef SDL_SIMD_H
#define SDL_SIMD_H

#include <string.h>

#include "runtime.h"

#if !defined(__GNUC__)
#error "the kernels need GNU C vector extensions: gcc or clang"
#endif

/* IN_REGISTER(v) has a vector loaded once, not anew for each use: gcc takes loads for free, but a core does two a
 * cycle. */
#if defined(SDL_VEC_BYTES) /* forced, to test one instruction set's tiling on another */
#define IN_REGISTER(v) ((void)0)
#elif defined(__AVX512F__)
#define IN_REGISTER(v) __asm__("" : "+v"(v))
#elif defined(__x86_64__)
#define IN_REGISTER(v) __asm__("" : "+x"(v))
#elif defined(__aarch64__)
#define IN_REGISTER(v) __asm__("" : "+w"(v))
#else
#define IN_REGISTER(v) ((void)0)
#endif

#if defined(SDL_VEC_BYTES)
#elif defined(__AVX512F__)
#define SDL_VEC_BYTES 64
#elif defined(__AVX2__)
#define SDL_VEC_BYTES 32
#else
#define SDL_VEC_BYTES 16
#endif

#if SDL_VEC_BYTES == 64
#define SDL_MR 12
#elif defined(__aarch64__)
#define SDL_MR 8
#else
#define SDL_MR 6
#endif
#define SDL_NV 2

#define INLINE static inline __attribute__((always_inline))
#define SPAN static __attribute__((noinline)) /* the part of a kernel that one thread runs */
#define NOINLINE static __attribute__((noinline))
#define restrict __restrict__
#ifdef __clang__
#define UNROLL(...) _Pragma("unroll") for (__VA_ARGS__)
#else
#define UNROLL(...) _Pragma("GCC unroll 16") for (__VA_ARGS__)
#endif

/* Ask for a cache line that will be read, or written, soon; any address will do, even one past an array. */
#define PREFETCH(address) __builtin_prefetch(address, 0)
#define PREFETCH_L2(address) __builtin_prefetch(address, 0, 2)
#define PREFETCH_WRITE(address) __builtin_prefetch(address, 1)

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define CEIL_DIV(a, b) (((a) + (b) - 1) / (b))
#define ROUND_UP(a, b) (CEIL_DIV(a, b) * (b))

/* Debug builds check every computed index at the loop that computes it; release builds check nothing. */
#ifdef SDL_DEBUG
#include <stdio.h>
#include <stdlib.h>
#define SDL_ASSERT(condition)                                                                        \
    do {                                                                                             \
        if (!(condition)) {                                                                          \
            fprintf(stderr, "%s:%d: kernel assertion failed: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                                                 \
        }                                                                                            \
    } while (0)
#else
#define SDL_ASSERT(condition) ((void)0)
#endif

/* First element of part `i` when `total` is cut into `parts` at multiples of `block`. */
INLINE idx sdl_edge(idx total, idx block, int i, int parts)
{
    return MIN(total, CEIL_DIV(total, block) * i / parts * block);
}

/* Number of threads for `work` nanoseconds (roughly, of one thread), so that each gets enough to pay for waking it. */
INLINE int sdl_threads(int n_threads, double work)
{
    const double grain = 15e3;
    if (n_threads <= 1 || work < 2 * grain) return 1;
    return work / grain < n_threads ? (int)(work / grain) : n_threads;
}

/* SDL_TEAM makes its call in each thread; sdl_barrier, which all of them must reach, waits there for the others. One
 * thread makes the call itself: libgomp takes 0.2 to 0.5 microseconds to set up a region even of one, as long as a
 * small layer computes. */
#ifdef _OPENMP
#include <omp.h>
#define SDL_TEAM(n_threads, thread, threads, ...)                                   \
    do {                                                                            \
        int sdl_n = n_threads;                                                      \
        if (sdl_n == 1) {                                                           \
            int thread = 0, threads = 1;                                            \
            __VA_ARGS__;                                                            \
        } else {                                                                    \
            _Pragma("omp parallel num_threads(sdl_n)")                              \
            {                                                                       \
                int thread = omp_get_thread_num(), threads = omp_get_num_threads(); \
                __VA_ARGS__;                                                        \
            }                                                                       \
        }                                                                           \
    } while (0)
#else
#define SDL_TEAM(n_threads, thread, threads, ...) \
    do {                                          \
        int thread = 0, threads = 1;              \
        (void)(n_threads);                        \
        __VA_ARGS__;                              \
    } while (0)
#endif

INLINE void sdl_barrier(int threads)
{
    (void)threads;
#ifdef _OPENMP
    if (threads > 1) {
        _Pragma("omp barrier")
    }
#endif
}

/* SDL_SPANS makes the call that ends it in each thread, with [lo, hi) the thread's part of `total`, cut at multiples of
 * `block` so that its vectorized loops begin at the same elements whatever the number of threads. The call must be to a
 * function that is not inlined: then there is one copy of its arithmetic. */
#define SDL_SPANS(n_threads, total, block, lo, hi, ...)                \
    do {                                                               \
        idx sdl_total = total;                                         \
        SDL_TEAM(n_threads, sdl_i, sdl_parts, {                        \
            idx lo = sdl_edge(sdl_total, block, sdl_i, sdl_parts);     \
            idx hi = sdl_edge(sdl_total, block, sdl_i + 1, sdl_parts); \
            if (sdl_parts == 1 || lo < hi) __VA_ARGS__;                \
        });                                                            \
    } while (0)

/* Denormals. Adam's first moment of a weight that gets no gradient shrinks by a tenth a step and is denormal for good
 * after some 800; the update then took an AMD Zen 3 half as long again, and other cores are known to mind more.
 * SDL_FLUSHED makes its call, to a function that is not inlined, with denormals taken for zero, and restores the
 * thread's mode after. */
#if defined(__x86_64__)
#define SDL_GET_MODE() __builtin_ia32_stmxcsr()
#define SDL_SET_MODE(mode) __builtin_ia32_ldmxcsr(mode)
#define SDL_FLUSH_BITS 0x8040u /* FTZ and DAZ */
typedef unsigned sdl_mode;
#elif defined(__aarch64__)
#define SDL_GET_MODE()                                  \
    ({                                                  \
        uint64_t sdl_m;                                 \
        __asm__ volatile("mrs %0, fpcr" : "=r"(sdl_m)); \
        sdl_m;                                          \
    })
#define SDL_SET_MODE(mode) __asm__ volatile("msr fpcr, %0" : : "r"(mode))
#define SDL_FLUSH_BITS (UINT64_C(1) << 24) /* FZ */
typedef uint64_t sdl_mode;
#else
#define SDL_GET_MODE() 0
#define SDL_SET_MODE(mode) ((void)(mode))
#define SDL_FLUSH_BITS 0
typedef int sdl_mode;
#endif

#define SDL_FLUSHED(...)                           \
    do {                                           \
        sdl_mode sdl_before = SDL_GET_MODE();      \
        SDL_SET_MODE(sdl_before | SDL_FLUSH_BITS); \
        __VA_ARGS__;                               \
        SDL_SET_MODE(sdl_before);                  \
    } while (0)

/* For calls in SDL_SPANS that may fail. */
INLINE void sdl_note(int *failed, int status)
{
    if (status) __atomic_store_n(failed, status, __ATOMIC_RELAXED);
}

#endif
