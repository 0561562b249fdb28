#include "runtime.h"
#include "simd.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#ifdef _OPENMP
#include <omp.h>
#endif

int sdl_debug(void)
{
#ifdef SDL_DEBUG
    return 1;
#else
    return 0;
#endif
}

/* What debug builds do with an index i of n, so that a test can see that they do it. */
void sdl_check_index(ptrdiff_t i, ptrdiff_t n)
{
    SDL_ASSERT(i >= 0 && i < n);
    (void)i, (void)n;
}

int sdl_openmp(void)
{
#ifdef _OPENMP
    return 1;
#else
    return 0;
#endif
}

int sdl_max_threads(void)
{
#ifdef _OPENMP
    return omp_get_max_threads();
#else
    return 1;
#endif
}

typedef struct {
    void *data[SDL_SLOTS];
    size_t bytes[SDL_SLOTS];
} scratch_cache;

static pthread_key_t cache_key;
static pthread_once_t cache_once = PTHREAD_ONCE_INIT;

static void free_cache(void *cache)
{
    scratch_cache *c = cache;
    for (int slot = 0; slot < SDL_SLOTS; slot++) free(c->data[slot]);
    free(c);
}

static int key_failed;

static void make_key(void) { key_failed = pthread_key_create(&cache_key, free_cache); }

void *sdl_scratch(int slot, size_t bytes)
{
    pthread_once(&cache_once, make_key);
    if (key_failed) return NULL;
    scratch_cache *c = pthread_getspecific(cache_key);
    if (!c) {
        c = calloc(1, sizeof *c);
        if (!c || pthread_setspecific(cache_key, c)) {
            free(c);
            return NULL;
        }
    }
#ifdef SDL_DEBUG
    c->bytes[slot] = 0; /* a fresh buffer of the exact size, so that a sanitizer sees its ends */
#endif
    if (c->bytes[slot] < bytes || !c->data[slot]) {
        size_t rounded = bytes ? bytes : 1;
        free(c->data[slot]);
        c->bytes[slot] = 0;
        if (posix_memalign(&c->data[slot], 64, rounded)) {
            c->data[slot] = NULL;
            return NULL;
        }
        c->bytes[slot] = rounded;
#ifdef SDL_DEBUG
        memset(c->data[slot], 0xff, rounded); /* nan, so that tests see what is read before it is written */
#endif
    }
    return c->data[slot];
}

extern const sdl_table sdl_table_baseline, sdl_table_avx2, sdl_table_avx512;

const sdl_table *sdl_available_table(int i)
{
    const sdl_table *tables[3];
    int n = 0;
    tables[n++] = &sdl_table_baseline;
#if defined(SDL_HAVE_AVX2) || defined(SDL_HAVE_AVX512)
    __builtin_cpu_init();
#endif
#ifdef SDL_HAVE_AVX2
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) tables[n++] = &sdl_table_avx2;
#endif
#ifdef SDL_HAVE_AVX512
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw")
        && __builtin_cpu_supports("avx512vl"))
        tables[n++] = &sdl_table_avx512;
#endif
    return i < n ? tables[i] : NULL;
}

const sdl_table *sdl_find_table(const char *name)
{
    const sdl_table *table;
    for (int i = 0; (table = sdl_available_table(i)); i++)
        if (!strcmp(table->name, name)) return table;
    return NULL;
}
