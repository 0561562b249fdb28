"""Compiled kernels: validated, C-contiguous arrays in, the caller's buffers out.

The layer functions of `sklearn_dl` are the public face of these kernels; nothing here is. Every kernel exists for
float32 and float64 and takes all of its real arrays in one of the two. Arrays must be C-contiguous NumPy arrays of
exactly the shapes below; anything else is a TypeError or ValueError that names the argument, raised before anything is
written. Outputs must not overlap inputs or each other unless said otherwise. ``n_threads`` is an upper limit: results
do not depend on it, to the last bit. All kernels release the GIL.

Legend: N samples, D inputs, M outputs, C channels, H W image size, F filters, HH WW filter size, HO WO output size,
G groups. Arrays are IN, but OUT where the name is out, d<input> or a statistic.

Products and convolutions, and the update rules, take denormal numbers for zero.

Affine (a row of `out` does not depend on the other rows of `x`, to the last bit but for the sign of a zero)::

    affine_forward(x (N, D), w (D, M), b (M,) or None, out (N, M), activation, n_threads)
    affine_backward_dx(dout (N, M), w (D, M), dx (N, D), n_threads)
    affine_backward_dw(x (N, D), dout (N, M), dw (D, M), db (M,) or None, n_threads)

The same for the rows `rows` (N,) intp of a CSR matrix: data (stored,), indices (stored,) and indptr of int32 or int64,
which are checked. touched (D + 2,) int64 and is_touched (D,) bool go from call to call: the rows of dw that are not
zero, their number first. Begin with a number of -1, and set it wherever something else writes to dw::

    csr_affine_forward(data, indices, indptr, rows, w (D, M), b (M,) or None, out (N, M), activation, n_threads)
    csr_affine_backward_dw(data, indices, indptr, rows, dout (N, M), dw, db or None, touched, is_touched, n_threads)

Convolution and pooling::

    conv_forward(x (N, C, H, W), w (F, C, HH, WW), b (F,) or None, out (N, F, HO, WO), stride, pad, n_threads,
                 activation=0)
    conv_backward_dx(dout (N, F, HO, WO), w, dx (N, C, H, W), stride, pad, n_threads)
    conv_backward_dw(x, dout, dw, db (F,) or None, stride, pad, n_threads)
    max_pool_forward(x (N, C, H, W), out (N, C, HO, WO), argmax (N, C, HO, WO) int32 or None, ph, pw, stride, n_threads)
    max_pool_backward(dout (N, C, HO, WO), argmax, dx (N, C, H, W), n_threads)

Convolution, relu and 2 x 2 max-pooling with stride 2 in one; PO = HO // 2, QO = WO // 2. argmax_cell is uint8: which
cell of the window won, row-major, or 4 where none was positive. relu_pool_backward gives the gradient of the
convolution's output, for conv_backward_dx::

    conv_relu_pool_forward(x, w, b or None, out (N, F, PO, QO), argmax_cell or None, stride, pad, n_threads)
    conv_relu_pool_backward_dw(x, dout (N, F, PO, QO), argmax_cell, dw, db or None, stride, pad, n_threads)
    relu_pool_backward(dout, argmax_cell, dconv (N, F, HO, WO), n_threads)

Elementwise, any shape::

    activation_forward(x, out, activation, n_threads)               out may be x
    activation_backward(dout, kept, dx, activation, n_threads)      dx may be dout or kept
    scale_by_mask(x, mask bool, scale, out, n_threads)   out = x * scale where mask, else 0; out may be x
    all_finite(x, n_threads) -> bool

``activations`` maps the names of the activation functions (identity, relu, leaky_relu, tanh, logistic, gelu, silu) to
their numbers, which kernels take; ``activation_backward_takes`` maps them to what ``kept`` is, 'output' or 'input'.

Normalization; statistics accumulate in double precision; sample_weight (N,) is float64 or None::

    batchnorm_forward(x (N, C) or (N, C, ...), gamma (C,), beta (C,), sample_weight, eps,
                      out, xhat, mean (C,), var (C,), inv_std (C,), n_threads)
    batchnorm_backward(dout, xhat, inv_std, gamma, sample_weight, dx, dgamma, dbeta, n_threads)    dx may be dout
    update_average(average, batch, momentum)    average = momentum * average + (1 - momentum) * batch; overwrites batch
    weight_shares(sample_weight (N,), shares (N,) float64)                              shares = weights over their sum
    batchnorm_test(x, gamma, beta, mean, var, eps, out, n_threads)                                 out may be x
    layernorm_forward(x (N, D), gamma (D,), beta (D,), eps, out, xhat, inv_std (N,), n_threads)
    layernorm_backward(dout, xhat, inv_std, gamma, dx, dgamma, dbeta, n_threads)                   dx may be dout
    groupnorm_forward(x (N, C, ...), gamma (C,), beta (C,), eps, out, xhat, inv_std (N, G), n_threads)
    groupnorm_backward(dout, xhat, inv_std (N, G), gamma, dx, dgamma, dbeta, n_threads)            dx may be dout

Losses, serial; y (N,) is int64, sample_weight (N,) is float64 or None, dscores may be scores. The loss is the weighted
sum over `total`, or if that is 0 over the sum of the weights::

    softmax_loss(scores (N, C), y, sample_weight, dscores or None, total=0, smoothing=0) -> float
    hinge_loss(scores (N, C), y, sample_weight, dscores or None, total=0) -> float
    judge_scores(scores, y, sample_weight, predicted (C,) bool) -> float       weight of the rows whose best class is y,
                                                                               nan if a score is not finite
    sum_of_weights(sample_weight (N,)) -> float
    softmax(scores, out)                                                       out may be scores
    log_softmax(scores, out)                                                   out may be scores

Losses of scores (N, K) with targets y (N, K), both of one dtype; `kind` is 'logistic', 'squared_error',
'absolute_error', 'huber' (whose quadratic part reaches to `width`) or 'poisson'::

    pointwise_loss(kind, scores, y, sample_weight, dscores or None, total=0, width=1) -> float
    judge_indicators(scores, y, sample_weight) -> float          weight of the rows whose scores are positive just where
                                                                 y is above 0.5, nan if a score is not finite
    judge_residuals(scores, y, sample_weight, take_exp, scale (K,) float64) -> float
                                                                 weighted sum of scale * (y - p) ** 2, where p is the
                                                                 score or its exp, nan if a score is not finite

A linear classifier's loss and gradients for rows of X (any, D) uint8/float32/float64, where linear_takes(w (D, C)):
those that softmax_loss of affine_forward gives::

    linear_softmax(X, indices (N,) intp, y, sample_weight, w, b (C,) or None, dscores (N, C), dw, db or None, n_threads,
                   total=0) -> float

Update rules, any shape, w and the state in place, with dw + reg * w as the gradient. They return the sum of squares of
the new w::

    sgd(w, dw, learning_rate, reg, n_threads)
    sgd_momentum(w, dw, velocity, learning_rate, momentum, reg, n_threads)
    nesterov(w, dw, velocity, learning_rate, momentum, reg, n_threads)
    adagrad(w, dw, cache, learning_rate, epsilon, reg, n_threads)
    rmsprop(w, dw, cache, learning_rate, decay_rate, epsilon, reg, n_threads)
    adam(w, dw, m, v, t, learning_rate, beta1, beta2, epsilon, reg, n_threads)
    adamw(w, dw, m, v, t, learning_rate, beta1, beta2, epsilon, decay, n_threads)    w shrinks; dw alone is the gradient
    clip_gradients([dw, …], most, n_threads) -> float    all scaled to a norm of `most` if it is larger; the norm before
    sum_of_squares(w, n_threads) -> float

Data::

    gather_rows(X (N, D) uint8/float32/float64, indices (B,) intp, out (B, D), mean (D,) or None, n_threads)
    gather_items(items (N,) int64/float64, indices (B,) intp, out (B,))

Draws, to the bits of RandomState's, from its bit generator, whose lock they hold meanwhile::

    draw_mask(bit_generator, keep_ratio, mask bool)      mask = random_sample(mask.shape) < keep_ratio
    shuffle_rows(bit_generator, rows (N,) intp)          as RandomState.shuffle

Recordings: ``Program`` keeps the calls of a training step and makes them again, without the GIL, for one minibatch
after the other. Code that does in a step what is no call of these must call ``spoil_recording()``.

Checks of arrays of any kind and stride, of which the first `written` must not overlap another::

    check_apart(arrays, names, written=1, may_be=-1)    the first may be that number `may_be`

Information: ``isa`` (in use), ``isas`` (this CPU could use), ``openmp`` and ``debug`` (bool: built with
OpenMP, with bounds checks), ``max_threads()``. The environment
variable ``SKLEARN_DL_ISA`` forces one of ``isas``.
"""

try:
    from sklearn_dl._ext._kernels import (
        Epochs,
        Program,
        activation_backward,
        activation_backward_takes,
        activation_forward,
        activations,
        adagrad,
        adam,
        adamw,
        affine_backward_dw,
        affine_backward_dx,
        affine_forward,
        all_finite,
        batchnorm_backward,
        batchnorm_forward,
        batchnorm_test,
        check_apart,
        clip_gradients,
        conv_backward_dw,
        conv_backward_dx,
        conv_forward,
        conv_relu_pool_backward_dw,
        conv_relu_pool_forward,
        csr_affine_backward_dw,
        csr_affine_forward,
        debug,
        draw_mask,
        gather_items,
        gather_rows,
        groupnorm_backward,
        groupnorm_forward,
        hinge_loss,
        isa,
        isas,
        judge_indicators,
        judge_residuals,
        judge_scores,
        layernorm_backward,
        layernorm_forward,
        linear_softmax,
        linear_takes,
        log_softmax,
        max_pool_backward,
        max_pool_forward,
        max_threads,
        nesterov,
        openmp,
        pointwise_loss,
        relu_pool_backward,
        rmsprop,
        scale_by_mask,
        sgd,
        sgd_momentum,
        shuffle_rows,
        softmax,
        softmax_loss,
        spoil_recording,
        sum_of_squares,
        sum_of_weights,
        update_average,
        weight_shares,
    )
except ModuleNotFoundError as error:
    raise ImportError(
        "sklearn_dl's compiled kernels are missing. Build them with `pip install .` (or, in a checkout, "
        "`pip install --no-build-isolation -e .`); this needs gcc or clang."
    ) from error

__all__ = [
    "Epochs",
    "Program",
    "activation_backward",
    "activation_backward_takes",
    "activation_forward",
    "activations",
    "adagrad",
    "adam",
    "adamw",
    "affine_backward_dw",
    "affine_backward_dx",
    "affine_forward",
    "all_finite",
    "batchnorm_backward",
    "batchnorm_forward",
    "batchnorm_test",
    "check_apart",
    "clip_gradients",
    "conv_backward_dw",
    "conv_backward_dx",
    "conv_forward",
    "conv_relu_pool_backward_dw",
    "conv_relu_pool_forward",
    "csr_affine_backward_dw",
    "csr_affine_forward",
    "debug",
    "draw_mask",
    "gather_items",
    "gather_rows",
    "groupnorm_backward",
    "groupnorm_forward",
    "hinge_loss",
    "isa",
    "isas",
    "judge_indicators",
    "judge_residuals",
    "judge_scores",
    "layernorm_backward",
    "layernorm_forward",
    "linear_softmax",
    "linear_takes",
    "log_softmax",
    "max_pool_backward",
    "max_pool_forward",
    "max_threads",
    "nesterov",
    "openmp",
    "pointwise_loss",
    "relu_pool_backward",
    "rmsprop",
    "scale_by_mask",
    "sgd",
    "sgd_momentum",
    "shuffle_rows",
    "softmax",
    "softmax_loss",
    "spoil_recording",
    "sum_of_squares",
    "sum_of_weights",
    "update_average",
    "weight_shares",
]
