/* The table of function pointers through which the glue calls the kernels of the chosen instruction set.
 *
 * Arrays are `void *`, so that one struct serves float and double; the kernels' first lines give them their type. Arrays are
 * C-contiguous, sizes consistent, and outputs overlap no input unless the kernel says so: the glue has checked all of that.
 * Functions that return int return 0, or -1 on failure (out of memory unless said otherwise). What each argument is, IN or
 * OUT, stands with the definition.
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

typedef struct {
    int (*affine_forward)(const void *x, const void *w, const void *b, void *out, int relu, idx n, idx d, idx m,
                          int n_threads);
    int (*affine_backward_dx)(const void *dout, const void *w, void *dx, idx n, idx d, idx m, int n_threads);
    int (*affine_backward_dw)(const void *x, const void *dout, void *dw, void *db, idx n, idx d, idx m, int n_threads);
    int (*conv_forward)(const void *x, const void *w, const void *b, void *out, const sdl_conv *s, int n_threads);
    int (*conv_backward_dx)(const void *dout, const void *w, void *dx, const sdl_conv *s, int n_threads);
    int (*conv_backward_dw)(const void *x, const void *dout, void *dw, void *db, const sdl_conv *s, int n_threads);
    int (*conv_relu_pool_forward)(const void *x, const void *w, const void *b, void *out, uint8_t *winners, const sdl_conv *s,
                                  int n_threads);
    int (*conv_relu_pool_backward_dw)(const void *x, const void *dout, const uint8_t *winners, void *dw, void *db,
                                      const sdl_conv *s, int n_threads);
    void (*relu_pool_backward)(const void *dout, const uint8_t *winners, void *dconv, idx planes, idx ho, idx wo,
                               int n_threads);
    void (*max_pool_forward)(const void *x, void *out, int32_t *argmax, idx planes, idx h, idx w, idx ho, idx wo, idx ph,
                             idx pw, idx stride, int n_threads);
    int (*max_pool_backward)(const void *dout, const int32_t *argmax, void *dx, idx planes, idx area, idx outputs,
                             int n_threads);
    void (*relu_forward)(const void *x, void *out, idx size, int n_threads);
    void (*relu_backward)(const void *dout, const void *x, void *dx, idx size, int n_threads);
    void (*scale_by_mask)(const void *x, const uint8_t *mask, double scale, void *out, idx size, int n_threads);
    void (*batchnorm_forward)(const void *x, const void *gamma, const void *beta, const double *weight, double eps, void *out,
                              void *xhat, void *mean, void *var, void *inv_std, idx n, idx c, idx s, int n_threads);
    void (*batchnorm_backward)(const void *dout, const void *xhat, const void *inv_std, const void *gamma, const double *weight,
                               void *dx, void *dgamma, void *dbeta, idx n, idx c, idx s, int n_threads);
    int (*batchnorm_test)(const void *x, const void *gamma, const void *beta, const void *mean, const void *var, double eps,
                          void *out, idx n, idx c, idx s, int n_threads);
    void (*layernorm_forward)(const void *x, const void *gamma, const void *beta, double eps, void *out, void *xhat,
                              void *inv_std, idx n, idx d, int n_threads);
    void (*layernorm_backward)(const void *dout, const void *xhat, const void *inv_std, const void *gamma, void *dx,
                               void *dgamma, void *dbeta, idx n, idx d, int n_threads);
    void (*groupnorm_forward)(const void *x, const void *gamma, const void *beta, double eps, void *out, void *xhat,
                              void *inv_std, idx n, idx c, idx s, idx g, int n_threads);
    int (*groupnorm_backward)(const void *dout, const void *xhat, const void *inv_std, const void *gamma, void *dx,
                              void *dgamma, void *dbeta, idx n, idx c, idx s, idx g, int n_threads);
    void (*softmax)(const void *scores, void *out, int take_log, idx n, idx c);
    double (*softmax_loss)(const void *scores, const int64_t *y, const double *weight, double total, void *dscores, idx n, idx c);
    int (*linear_takes)(idx d, idx m);
    int (*linear_softmax)(const void *source, int item_size, const intptr_t *indices, const int64_t *y, const double *weight,
                          double total, const void *w, const void *b, void *dscores, void *dw, void *db, double *loss, idx n,
                          idx d, idx m, int n_threads);
    int (*sgd)(void *w, const void *dw, double lr, double reg, idx size, double *result, int n_threads);
    int (*sgd_momentum)(void *w, const void *dw, void *velocity, double lr, double momentum, double reg, idx size,
                        double *result, int n_threads);
    int (*adagrad)(void *w, const void *dw, void *cache, double lr, double epsilon, double reg, idx size, double *result,
                   int n_threads);
    int (*rmsprop)(void *w, const void *dw, void *cache, double lr, double decay, double epsilon, double reg, idx size,
                   double *result, int n_threads);
    int (*adam)(void *w, const void *dw, void *m, void *v, double t, double lr, double beta1, double beta2, double epsilon,
                double reg, idx size, double *result, int n_threads);
    int (*all_finite)(const void *x, idx size, int n_threads);
    int (*sum_of_squares)(const void *w, idx size, double *result, int n_threads);
    void (*gather_rows)(const void *x, int item_size, const intptr_t *indices, const void *mean, void *out, idx rows, idx d,
                        int n_threads);
} sdl_kernels;

typedef struct {
    const char *name;
    sdl_kernels f32, f64;
} sdl_table;

#endif
