/* All kernels for one instruction set: float, then double, then the table. Compiled once per instruction set, with
 * SDL_ISA its name; everything is static but the table, so that the linker cannot mix the sets. */
#include <float.h>
#include <math.h>
#include <stdbool.h>

#include <numpy/random/bitgen.h>

#include "simd.h"

#define LOW_2 0, 2
#define LOW_4 0, 4, 1, 5
#define LOW_8 0, 8, 1, 9, 2, 10, 3, 11
#define LOW_16 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define HIGH_2 1, 3
#define HIGH_4 2, 6, 3, 7
#define HIGH_8 4, 12, 5, 13, 6, 14, 7, 15
#define HIGH_16 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#define EVEN_2 0, 2
#define EVEN_4 0, 2, 4, 6
#define EVEN_8 0, 2, 4, 6, 8, 10, 12, 14
#define EVEN_16 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30
#define ODD_2 1, 3
#define ODD_4 1, 3, 5, 7
#define ODD_8 1, 3, 5, 7, 9, 11, 13, 15
#define ODD_16 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31

#define PASTE_(a, b) a##b
#define PASTE(a, b) PASTE_(a, b)
#define STRING_(a) #a
#define STRING(a) STRING_(a)

#if SDL_VEC_BYTES == 64
#define FLOAT_LANES 16
#define DOUBLE_LANES 8
#elif SDL_VEC_BYTES == 32
#define FLOAT_LANES 8
#define DOUBLE_LANES 4
#else
#define FLOAT_LANES 4
#define DOUBLE_LANES 2
#endif

/* Accumulators of the sparse products (matmul/sparse.h, conv/pooled.h). */
#define NONZERO_TILE 12

#define LOW_INTERLEAVED PASTE(LOW_, LANES)
#define HIGH_INTERLEAVED PASTE(HIGH_, LANES)
#define EVEN_LANES PASTE(EVEN_, LANES)
#define ODD_LANES PASTE(ODD_, LANES)

#define real float
#define integer int32_t
#define natural uint32_t
#define vec vec_f32
#define ivec ivec_f32
#define LANES FLOAT_LANES
#define NAME(f) f##_f32
#define exp_f32 expf
#define sqrt_f32 sqrtf
#define SINGLE
#include "bodies.h"
#undef SINGLE
#undef real
#undef integer
#undef natural
#undef vec
#undef ivec
#undef LANES
#undef NAME

#define real double
#define integer int64_t
#define natural uint64_t
#define vec vec_f64
#define ivec ivec_f64
#define LANES DOUBLE_LANES
#define NAME(f) f##_f64
#define exp_f64 exp
#define sqrt_f64 sqrt
#include "bodies.h"

const sdl_table PASTE(sdl_table_,
                      SDL_ISA) = { .name = STRING(SDL_ISA), .f32 = SDL_KERNELS(f32), .f64 = SDL_KERNELS(f64) };
