"""Glue between NumPy and the C kernels: check, release the GIL, call. See `sklearn_dl._ext` for the list of kernels.

Arguments are plain ndarrays checked by inline C code. No typed memoryviews: acquiring one costs about a microsecond,
and a training step of a small net makes some forty calls with up to ten arrays each. All checks come before the first write, and
every array is checked for dtype, order, writability, shape, and for overlap between what is written and anything else: the
kernels trust their arguments.
"""

import os
from contextlib import ExitStack

cimport numpy as cnp
from cpython.pycapsule cimport PyCapsule_GetPointer
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stddef cimport ptrdiff_t
from libc.stdlib cimport calloc, free
from libc.stdint cimport int32_t, int64_t, intptr_t, uint8_t

cnp.import_array()

cdef extern from "runtime.h" nogil:
    ctypedef ptrdiff_t idx
    ctypedef struct sdl_conv:
        idx n, c, h, w, f, hh, ww, ho, wo, stride, pad
    ctypedef struct sdl_kernels:
        pass
    ctypedef struct sdl_table:
        const char *name
        sdl_kernels f32
        sdl_kernels f64
    const sdl_table *sdl_find_table(const char *)
    const sdl_table *sdl_available_table(int)
    int sdl_openmp()
    int sdl_debug()
    void sdl_check_index(Py_ssize_t i, Py_ssize_t n)
    int sdl_max_threads()
    int SDL_WRONG_LABEL, SDL_WRONG_ROW, SDL_WRONG_COLUMN, SDL_WRONG_PIXEL, SDL_WRONG_TOUCHED
    int LOGISTIC, SQUARED_ERROR, ABSOLUTE_ERROR, HUBER, POISSON


cdef extern from "Python.h":
    const Py_ssize_t PY_SSIZE_T_MAX


cdef extern from "record.h" nogil:
    int SDL_MOST_OUTPUTS
    ctypedef union sdl_cell:
        void *p
        idx i
        double d
    ctypedef struct sdl_op:
        const char *name
        int output_number
        sdl_cell *args
    ctypedef struct sdl_program:
        sdl_op *ops
        idx n_ops, rows_below, first_update, n_outputs
        idx *outputs
        int failed
        void *owner
    ctypedef struct sdl_run:
        idx steps
        const intptr_t *rows
        idx batch
        const double *rates
        double count
        double *numbers
        const double *squares
        idx n_squares
        double reg, seconds
        int n_threads
    ctypedef struct sdl_pass:
        sdl_program *program
        sdl_run run
        int validates
    ctypedef struct sdl_score:
        int number, weight
        double total, sign, offset, tie
        int above_zero
    ctypedef struct sdl_watch:
        double tol, best
        idx patience, without_gain
        int by_score
    ctypedef struct sdl_copy:
        void *to
        const void *_from "from"
        size_t bytes
    ctypedef struct sdl_array:
        const sdl_kernels *kernels
        const void *values
        idx size
    ctypedef struct sdl_epochs:
        idx epochs
        sdl_pass *passes
        idx n_passes, n_training, updates, width
        const double *rates
        double count
        double *numbers
        double *seconds
        const sdl_kernels *kernels
        void *generator
        const intptr_t *rows
        intptr_t *order
        idx n_rows
        const double *squares
        idx n_squares, n_penalized
        double reg
        const sdl_array *statistics
        idx n_statistics
        sdl_score score
        double best
        const sdl_copy *copies
        idx n_copies
        sdl_watch watch
        double most_seconds
        int n_threads
    void sdl_record(sdl_program *)
    sdl_program *sdl_recording()
    int sdl_vary_rows(sdl_program *, const void *)
    int sdl_replay(sdl_program *, const sdl_run *, idx *, int *)
    int sdl_replay_epochs(const sdl_epochs *, idx *, idx *, int *)
    void sdl_clear(sdl_program *)

include "kernel_calls.pxi"

cdef extern from *:
    """
    #define X(name, takes, cost) #name,
    static const char *const sdl_activation_names[] = { SDL_EACH_ACTIVATION(X) };
    #undef X
    #define X(name, takes, cost) #takes,
    static const char *const sdl_activation_takes[] = { SDL_EACH_ACTIVATION(X) };
    #undef X
    """
    const char *const *sdl_activation_names
    const char *const *sdl_activation_takes
    int SDL_ACTIVATIONS

cdef extern from *:
    """
    /* The number in SDL_EACH_SOURCE of an array's type, -1 if it has none. */
    static int sdl_source_of(PyArrayObject *a)
    {
        char kind = PyArray_DESCR(a)->kind;
        idx size = PyArray_ITEMSIZE(a);
    #define X(type, its_kind, FROM) \\
        if (kind == its_kind && size == (idx)sizeof(type)) return SDL_SOURCE_##type;
        SDL_EACH_SOURCE(X)
    #undef X
        return -1;
    }
    """
    int sdl_source_of(cnp.ndarray)

cdef class Program


# --- information ------------------------------------------------------------------------------------------------------


cdef const sdl_table *table = NULL


def _choose():
    """Return (name of the instruction set in use, names of all that this CPU can use)."""
    global table
    cdef int i = 0
    names = []
    while sdl_available_table(i) != NULL:
        table = sdl_available_table(i)
        names.append(table.name.decode())
        i += 1
    forced = os.environ.get("SKLEARN_DL_ISA", "")
    if forced:
        table = sdl_find_table(forced.encode())
        if table == NULL:
            raise ImportError(
                f"SKLEARN_DL_ISA must be one of {names} with this build on this CPU, got {forced!r}."
            )
    return table.name.decode(), tuple(names)


isa, isas = _choose()
openmp = bool(sdl_openmp())
debug = bool(sdl_debug())


activations = {sdl_activation_names[i].decode(): i for i in range(SDL_ACTIVATIONS)}
activation_backward_takes = {name: sdl_activation_takes[i].decode() for name, i in activations.items()}


def check_index(Py_ssize_t i, Py_ssize_t n):
    """Do what debug builds do where a kernel computes an index i into n elements: end the process if it is outside."""
    sdl_check_index(i, n)


def max_threads():
    """Return OpenMP's limit on threads; 1 without OpenMP."""
    return sdl_max_threads()


# --- checks -----------------------------------------------------------------------------------------------------------


cdef inline const sdl_kernels *kernels(int dtype) noexcept nogil:
    return &table.f32 if dtype == cnp.NPY_FLOAT else &table.f64


cdef inline int real_dtype(cnp.ndarray a, str name) except -1:
    """Return the type number of float32 or float64; it decides that of all other real arguments."""
    cdef int dtype = cnp.PyArray_TYPE(a)
    if dtype != cnp.NPY_FLOAT and dtype != cnp.NPY_DOUBLE:
        raise TypeError(f"{name} must be float32 or float64, got {a.dtype}.")
    return dtype


cdef inline bint is_of_type(cnp.ndarray a, int dtype) noexcept:
    """Return whether a holds items of a type, by whichever of its names: long and long long may both be int64."""
    return cnp.PyArray_TYPE(a) == dtype or cnp.PyArray_EquivTypenums(cnp.PyArray_TYPE(a), dtype)


cdef int raise_bad_array(cnp.ndarray a, str name, int dtype, int ndim) except -1:
    """Say what is wrong with an array that `require` does not accept."""
    if not is_of_type(a, dtype) or cnp.PyArray_ISBYTESWAPPED(a):
        raise TypeError(f"{name} must be {cnp.PyArray_DescrFromType(dtype)}, got {a.dtype!r}.")
    if ndim >= 0 and cnp.PyArray_NDIM(a) != ndim:
        raise ValueError(f"{name} must have {ndim} axes, got shape {_shape(a)}.")
    if not cnp.PyArray_ISCARRAY_RO(a):
        raise ValueError(f"{name} must be C-contiguous and aligned.")
    raise ValueError(f"{name} must be writeable.")


cdef inline int require(cnp.ndarray a, str name, int dtype, int ndim, bint written=False) except -1:
    """Check an array's dtype, number of axes (any if -1), order, and that it can be written if it will be."""
    if (
        not is_of_type(a, dtype)
        or (ndim >= 0 and cnp.PyArray_NDIM(a) != ndim)
        or not (cnp.PyArray_ISCARRAY(a) if written else cnp.PyArray_ISCARRAY_RO(a))
    ):
        raise_bad_array(a, name, dtype, ndim)
    return 0


cdef tuple _shape(cnp.ndarray a):
    return tuple([cnp.PyArray_DIM(a, i) for i in range(cnp.PyArray_NDIM(a))])


cdef inline int axis(cnp.ndarray a, str name, int i, idx size) except -1:
    """Check the length of one axis."""
    if cnp.PyArray_DIM(a, i) != size:
        raise ValueError(f"{name} must have length {size} along axis {i}, got shape {_shape(a)}.")
    return 0


cdef inline int vector(cnp.ndarray a, str name, int dtype, idx size, bint written=False) except -1:
    """Check a one-dimensional array; None passes."""
    if a is not None:
        require(a, name, dtype, 1, written)
        axis(a, name, 0, size)
    return 0


cdef inline int matrix(cnp.ndarray a, str name, int dtype, idx rows, idx columns, bint written=False) except -1:
    """Check a two-dimensional array."""
    require(a, name, dtype, 2, written)
    axis(a, name, 0, rows)
    axis(a, name, 1, columns)
    return 0


cdef inline int check_same_shape(
    cnp.ndarray a, str name, int dtype, cnp.ndarray b, str other, bint written=False
) except -1:
    """Check that a has b's shape."""
    require(a, name, dtype, cnp.PyArray_NDIM(b), written)
    if not cnp.PyArray_SAMESHAPE(a, b):
        raise ValueError(f"{name} must have the shape of {other}, {_shape(b)}, got {_shape(a)}.")
    return 0


cdef inline bint overlap(cnp.ndarray a, cnp.ndarray b) noexcept:
    cdef char *p = <char *>cnp.PyArray_DATA(a)
    cdef char *q = <char *>cnp.PyArray_DATA(b)
    cdef idx p_size = cnp.PyArray_NBYTES(a), q_size = cnp.PyArray_NBYTES(b), way
    if q_size and not cnp.PyArray_IS_C_CONTIGUOUS(b):  # rows that are apart: all from the first to the last of them
        way = (cnp.PyArray_DIM(b, 0) - 1) * cnp.PyArray_STRIDE(b, 0)
        q_size = abs(way) + cnp.PyArray_DIM(b, 1) * cnp.PyArray_ITEMSIZE(b)
        q += min(way, 0)
    return p_size and q_size and p < q + q_size and q < p + p_size


cdef void find_ends(cnp.ndarray a, char **low, char **high) noexcept:
    """Set where the first byte of any array is, and where the one after the last."""
    cdef idx span
    cdef int i
    low[0] = high[0] = <char *>cnp.PyArray_DATA(a)
    if cnp.PyArray_SIZE(a):
        high[0] += cnp.PyArray_ITEMSIZE(a)
        for i in range(cnp.PyArray_NDIM(a)):
            span = (cnp.PyArray_DIM(a, i) - 1) * cnp.PyArray_STRIDE(a, i)
            if span < 0:
                low[0] += span
            else:
                high[0] += span


cdef bint may_overlap(cnp.ndarray a, cnp.ndarray b) noexcept:
    """Return whether two arrays of any strides may share memory, as np.may_share_memory does."""
    cdef char *a_low
    cdef char *a_high
    cdef char *b_low
    cdef char *b_high
    find_ends(a, &a_low, &a_high)
    find_ends(b, &b_low, &b_high)
    return a_low < a_high and b_low < b_high and a_low < b_high and b_low < a_high


def check_apart(tuple arrays not None, tuple names not None, int written=1, int may_be=-1):
    """Raise ValueError if one of the first `written` arrays overlaps another; what is no array is passed over.

    The very first may be the array number `may_be` itself: begin where that begins.
    """
    cdef int i, j
    for i in range(written):
        if not isinstance(arrays[i], cnp.ndarray):
            continue
        for j in range(i + 1, len(arrays)):
            if not isinstance(arrays[j], cnp.ndarray) or not may_overlap(arrays[i], arrays[j]):
                continue
            if i == 0 and j == may_be and cnp.PyArray_DATA(arrays[i]) == cnp.PyArray_DATA(arrays[j]):
                continue
            raise ValueError(f"{names[i]} must not overlap {names[j]}.")


cdef int keep(tuple arrays) except -1:
    """Have the recording under way, if there is one, keep what its operations point to."""
    cdef sdl_program *recording = sdl_recording()
    if recording != NULL:
        (<Program>recording.owner).kept.append(arrays)
    return 0


cdef inline void spoil() noexcept:
    cdef sdl_program *recording = sdl_recording()
    if recording != NULL:
        (<Program>recording.owner).spoiled = True


cdef int check_no_overlap(tuple arrays, int outputs, str names, int may_be=-1, int may_be_2=-1) except -1:
    """Check, and keep for a recording, arrays: each of the first `outputs` arrays shares no memory with any other (None has none).

    The very first output may be exactly the array number `may_be` or `may_be_2`. `names` is only split for the message.
    """
    cdef int i, j
    cdef cnp.ndarray a, b
    for i in range(outputs):
        a = arrays[i]
        if a is None:
            continue
        for j in range(i + 1, len(arrays)):
            b = arrays[j]
            if b is None or not overlap(a, b):
                continue
            if i == 0 and (j == may_be or j == may_be_2) and cnp.PyArray_DATA(a) == cnp.PyArray_DATA(b):
                continue
            raise ValueError(f"{names.split()[i]} must not overlap {names.split()[j]}.")
    return keep(arrays)


cdef inline int threads(int n_threads) except -1:
    if n_threads < 1:
        raise ValueError(f"n_threads must be at least 1, got {n_threads}.")
    return n_threads


cdef inline int check_activation(int activation) except -1:
    if not 0 <= activation < SDL_ACTIVATIONS:
        raise ValueError(f"activation must be one of {activations}, got {activation}.")
    return 0


cdef inline int check_status(int status) except -1:
    if status == SDL_WRONG_LABEL:
        raise ValueError("y must hold classes that scores has columns for.")
    if status == SDL_WRONG_ROW:
        raise IndexError("rows must be rows of the data.")
    if status == SDL_WRONG_COLUMN:
        raise IndexError("indptr must rise from 0 to len(data), and indices must be columns of the matrix.")
    if status == SDL_WRONG_PIXEL:
        raise ValueError("argmax must hold indices into the planes of dx.")
    if status == SDL_WRONG_TOUCHED:
        raise IndexError("touched must hold -1, or how many rows of dw are not zero and which.")
    if status:
        raise MemoryError("not enough memory for the scratch space of a kernel.")
    return 0


cdef extern from *:
    """
    static CYTHON_INLINE void *sdl_data(PyArrayObject *a) { return (PyObject *)a == Py_None ? NULL : PyArray_DATA(a); }
    """
    void *data "sdl_data"(cnp.ndarray a) noexcept nogil


# --- affine -----------------------------------------------------------------------------------------------------------


def affine_forward(
    cnp.ndarray x not None, cnp.ndarray w not None, cnp.ndarray b, cnp.ndarray out not None, int activation,
    int n_threads
):
    """Write the activation of x @ w + b to out."""
    cdef int dtype = real_dtype(x, "x"), status
    require(x, "x", dtype, 2)
    require(w, "w", dtype, 2)
    cdef idx n = cnp.PyArray_DIM(x, 0), d = cnp.PyArray_DIM(x, 1), m = cnp.PyArray_DIM(w, 1)
    axis(w, "w", 0, d)
    vector(b, "b", dtype, m)
    matrix(out, "out", dtype, n, m, True)
    check_activation(activation)
    check_no_overlap((out, x, w, b), 1, "out x w b")
    threads(n_threads)
    with nogil:
        status = call_affine_forward(
            kernels(dtype), data(x), data(w), data(b), data(out), activation, n, d, m, n_threads
        )
    check_status(status)


def affine_backward_dx(cnp.ndarray dout not None, cnp.ndarray w not None, cnp.ndarray dx not None, int n_threads):
    """Write dout @ w.T to dx."""
    cdef int dtype = real_dtype(dout, "dout"), status
    require(dout, "dout", dtype, 2)
    require(w, "w", dtype, 2)
    cdef idx n = cnp.PyArray_DIM(dout, 0), m = cnp.PyArray_DIM(dout, 1), d = cnp.PyArray_DIM(w, 0)
    axis(w, "w", 1, m)
    matrix(dx, "dx", dtype, n, d, True)
    check_no_overlap((dx, dout, w), 1, "dx dout w")
    threads(n_threads)
    with nogil:
        status = call_affine_backward_dx(kernels(dtype), data(dout), data(w), data(dx), n, d, m, n_threads)
    check_status(status)


def affine_backward_dw(
    cnp.ndarray x not None, cnp.ndarray dout not None, cnp.ndarray dw not None, cnp.ndarray db, int n_threads
):
    """Write x.T @ dout to dw and the column sums of dout to db."""
    cdef int dtype = real_dtype(x, "x"), status
    require(x, "x", dtype, 2)
    require(dout, "dout", dtype, 2)
    cdef idx n = cnp.PyArray_DIM(x, 0), d = cnp.PyArray_DIM(x, 1), m = cnp.PyArray_DIM(dout, 1)
    axis(dout, "dout", 0, n)
    matrix(dw, "dw", dtype, d, m, True)
    vector(db, "db", dtype, m, True)
    check_no_overlap((dw, db, x, dout), 2, "dw db x dout")
    threads(n_threads)
    with nogil:
        status = call_affine_backward_dw(kernels(dtype), data(x), data(dout), data(dw), data(db), n, d, m, n_threads)
    check_status(status)


cdef int check_csr(cnp.ndarray values, cnp.ndarray indices, cnp.ndarray indptr, cnp.ndarray rows, int dtype) except -1:
    """Check the arrays of a CSR matrix, but not what they hold: that the kernels do; and `rows`, which are in range."""
    cdef int index = cnp.NPY_INT32 if is_of_type(indices, cnp.NPY_INT32) else cnp.NPY_INT64
    vector(values, "data", dtype, cnp.PyArray_SIZE(values))
    if not is_of_type(indices, index):
        raise TypeError(f"indices must be int32 or int64, got {indices.dtype}.")
    vector(indices, "indices", index, cnp.PyArray_SIZE(values))
    require(indptr, "indptr", index, 1)
    if cnp.PyArray_DIM(indptr, 0) < 1:
        raise ValueError("indptr must not be empty.")
    return check_indices(rows, cnp.PyArray_DIM(indptr, 0) - 1)


def csr_affine_forward(
    cnp.ndarray values not None, cnp.ndarray indices not None, cnp.ndarray indptr not None, cnp.ndarray rows not None,
    cnp.ndarray w not None, cnp.ndarray b, cnp.ndarray out not None, int activation, int n_threads
):
    """Write what affine_forward does of some rows of a CSR matrix to out."""
    cdef int dtype = real_dtype(w, "w"), status
    check_csr(values, indices, indptr, rows, dtype)
    require(w, "w", dtype, 2)
    cdef idx n = cnp.PyArray_DIM(rows, 0), d = cnp.PyArray_DIM(w, 0), m = cnp.PyArray_DIM(w, 1)
    vector(b, "b", dtype, m)
    matrix(out, "out", dtype, n, m, True)
    check_no_overlap((out, values, indices, indptr, rows, w, b), 1, "out data indices indptr rows w b")
    check_activation(activation)
    threads(n_threads)
    with nogil:
        status = call_csr_affine_forward(
            kernels(dtype), data(values), data(indices), data(indptr), cnp.PyArray_ITEMSIZE(indices), <const intptr_t
            *>data(rows), data(w), data(b), data(out), activation, n, cnp.PyArray_DIM(values, 0), d, m, n_threads
        )
    check_status(status)


def csr_affine_backward_dw(
    cnp.ndarray values not None, cnp.ndarray indices not None, cnp.ndarray indptr not None, cnp.ndarray rows not None,
    cnp.ndarray dout not None, cnp.ndarray dw not None, cnp.ndarray db, cnp.ndarray touched not None,
    cnp.ndarray is_touched not None, int n_threads
):
    """Write what affine_backward_dw does of some rows of a CSR matrix to dw and db."""
    cdef int dtype = real_dtype(dout, "dout"), status
    check_csr(values, indices, indptr, rows, dtype)
    cdef idx n = cnp.PyArray_DIM(rows, 0)
    require(dout, "dout", dtype, 2)
    axis(dout, "dout", 0, n)
    require(dw, "dw", dtype, 2, True)
    cdef idx d = cnp.PyArray_DIM(dw, 0), m = cnp.PyArray_DIM(dw, 1)
    axis(dout, "dout", 1, m)
    vector(db, "db", dtype, m, True)
    vector(touched, "touched", cnp.NPY_INT64, d + 2, True)
    vector(is_touched, "is_touched", cnp.NPY_BOOL, d, True)
    check_no_overlap((dw, db, touched, is_touched, values, indices, indptr, rows, dout), 4,
                     "dw db touched is_touched data indices indptr rows dout")
    threads(n_threads)
    with nogil:
        status = call_csr_affine_backward_dw(
            kernels(dtype), data(values), data(indices), data(indptr), cnp.PyArray_ITEMSIZE(indices), <const intptr_t
            *>data(rows), data(dout), data(dw), data(db), <int64_t *>data(touched), <uint8_t *>data(is_touched), n,
            cnp.PyArray_DIM(values, 0), d, m, n_threads
        )
    check_status(status)


# --- convolution and pooling ------------------------------------------------------------------------------------------


cdef int conv_sizes(sdl_conv *s, int dtype, cnp.ndarray x, str x_name, bint x_written, cnp.ndarray w, str w_name,
                    bint w_written, cnp.ndarray out, str out_name, bint out_written, cnp.ndarray b, str b_name,
                    bint b_written, idx stride, idx pad, int pool=1) except -1:
    """Check the arrays of a convolution, whichever of them are outputs, and fill in its sizes."""
    require(x, x_name, dtype, 4, x_written)
    require(w, w_name, dtype, 4, w_written)
    require(out, out_name, dtype, 4, out_written)
    if stride < 1:
        raise ValueError(f"stride must be at least 1, got {stride}.")
    if pad < 0:
        raise ValueError(f"pad must be at least 0, got {pad}.")
    s.n, s.c, s.h, s.w = (cnp.PyArray_DIM(x, 0), cnp.PyArray_DIM(x, 1), cnp.PyArray_DIM(x, 2), cnp.PyArray_DIM(x, 3))
    s.f, s.hh, s.ww = cnp.PyArray_DIM(w, 0), cnp.PyArray_DIM(w, 2), cnp.PyArray_DIM(w, 3)
    axis(w, w_name, 1, s.c)
    if s.c < 1:
        raise ValueError(f"{x_name} must have at least one channel, got shape {_shape(x)}.")
    if s.hh < 1 or s.ww < 1 or pad > (<idx>1 << 40) or s.hh > s.h + 2 * pad or s.ww > s.w + 2 * pad:
        raise ValueError(f"{w_name}'s filters, {_shape(w)[2:]}, must fit into the padded image, "
                         f"{_shape(x)[2:]} with pad {pad}.")
    # A stride beyond the padded image is all the same, but for sizes that overflow.
    stride = min(stride, max(s.h, s.w) + 2 * pad)
    if <double>max(s.c, s.f) * (s.h + 2 * pad) * (s.w + 2 * pad + stride) > <double>(<idx>1 << 48):
        raise ValueError(f"pad must leave an image that fits into memory, got {pad}.")
    s.stride, s.pad = stride, pad
    s.ho, s.wo = (s.h + 2 * pad - s.hh) // stride + 1, (s.w + 2 * pad - s.ww) // stride + 1
    axis(out, out_name, 0, s.n)
    axis(out, out_name, 1, s.f)
    axis(out, out_name, 2, s.ho // pool)
    axis(out, out_name, 3, s.wo // pool)
    vector(b, b_name, dtype, s.f, b_written)
    return 0


def conv_forward(
    cnp.ndarray x not None, cnp.ndarray w not None, cnp.ndarray b, cnp.ndarray out not None, idx stride, idx pad,
    int n_threads, int activation=0
):
    """Write the activation of the cross-correlation of x with w, plus b, to out."""
    cdef int dtype = real_dtype(x, "x"), status
    cdef sdl_conv s
    conv_sizes(&s, dtype, x, "x", False, w, "w", False, out, "out", True, b, "b", False, stride, pad)
    check_activation(activation)
    check_no_overlap((out, x, w, b), 1, "out x w b")
    threads(n_threads)
    with nogil:
        status = call_conv_forward(kernels(dtype), data(x), data(w), data(b), data(out), activation, &s, n_threads)
    check_status(status)


def conv_backward_dx(
    cnp.ndarray dout not None, cnp.ndarray w not None, cnp.ndarray dx not None, idx stride, idx pad, int n_threads
):
    """Write the gradient with respect to the images to dx."""
    cdef int dtype = real_dtype(dout, "dout"), status
    cdef sdl_conv s
    conv_sizes(&s, dtype, dx, "dx", True, w, "w", False, dout, "dout", False, None, "", False, stride, pad)
    check_no_overlap((dx, dout, w), 1, "dx dout w")
    threads(n_threads)
    with nogil:
        status = call_conv_backward_dx(kernels(dtype), data(dout), data(w), data(dx), &s, n_threads)
    check_status(status)


def conv_backward_dw(
    cnp.ndarray x not None, cnp.ndarray dout not None, cnp.ndarray dw not None, cnp.ndarray db, idx stride, idx pad,
    int n_threads
):
    """Write the gradients with respect to filters and bias to dw and db."""
    cdef int dtype = real_dtype(x, "x"), status
    cdef sdl_conv s
    conv_sizes(&s, dtype, x, "x", False, dw, "dw", True, dout, "dout", False, db, "db", True, stride, pad)
    check_no_overlap((dw, db, x, dout), 2, "dw db x dout")
    threads(n_threads)
    with nogil:
        status = call_conv_backward_dw(kernels(dtype), data(x), data(dout), data(dw), data(db), &s, n_threads)
    check_status(status)


def conv_relu_pool_forward(
    cnp.ndarray x not None, cnp.ndarray w not None, cnp.ndarray b, cnp.ndarray out not None, cnp.ndarray argmax_cell, idx stride,
    idx pad, int n_threads
):
    """Write the 2 x 2 maxima of relu(convolution) to out, and which cell won (4: none was positive) to argmax_cell."""
    cdef int dtype = real_dtype(x, "x"), status
    cdef sdl_conv s
    conv_sizes(&s, dtype, x, "x", False, w, "w", False, out, "out", True, b, "b", False, stride, pad, 2)
    if argmax_cell is not None:
        check_same_shape(argmax_cell, "argmax_cell", cnp.NPY_UINT8, out, "out", True)
    check_no_overlap((out, argmax_cell, x, w, b), 2, "out argmax_cell x w b")
    threads(n_threads)
    with nogil:
        status = call_conv_relu_pool_forward(
            kernels(dtype), data(x), data(w), data(b), data(out), <uint8_t *>data(argmax_cell), &s, n_threads
        )
    check_status(status)


def conv_relu_pool_backward_dw(
    cnp.ndarray x not None, cnp.ndarray dout not None, cnp.ndarray argmax_cell not None, cnp.ndarray dw not None, cnp.ndarray db,
    idx stride, idx pad, int n_threads
):
    """Write the gradients with respect to filters and bias to dw and db."""
    cdef int dtype = real_dtype(x, "x"), status
    cdef sdl_conv s
    conv_sizes(&s, dtype, x, "x", False, dw, "dw", True, dout, "dout", False, db, "db", True, stride, pad, 2)
    check_same_shape(argmax_cell, "argmax_cell", cnp.NPY_UINT8, dout, "dout")
    check_no_overlap((dw, db, x, dout, argmax_cell), 2, "dw db x dout argmax_cell")
    threads(n_threads)
    with nogil:
        status = call_conv_relu_pool_backward_dw(
            kernels(dtype), data(x), data(dout), <const uint8_t *>data(argmax_cell), data(dw), data(db), &s, n_threads
        )
    check_status(status)


def relu_pool_backward(
    cnp.ndarray dout not None, cnp.ndarray argmax_cell not None, cnp.ndarray dconv not None, int n_threads
):
    """Write the gradient with respect to the convolution's output to dconv."""
    cdef int dtype = real_dtype(dout, "dout")
    require(dout, "dout", dtype, 4)
    check_same_shape(argmax_cell, "argmax_cell", cnp.NPY_UINT8, dout, "dout")
    require(dconv, "dconv", dtype, 4, True)
    cdef idx n = cnp.PyArray_DIM(dconv, 0), c = cnp.PyArray_DIM(dconv, 1)
    cdef idx ho = cnp.PyArray_DIM(dconv, 2), wo = cnp.PyArray_DIM(dconv, 3)
    axis(dout, "dout", 0, n)
    axis(dout, "dout", 1, c)
    axis(dout, "dout", 2, ho // 2)
    axis(dout, "dout", 3, wo // 2)
    check_no_overlap((dconv, dout, argmax_cell), 1, "dconv dout argmax_cell")
    threads(n_threads)
    with nogil:
        call_relu_pool_backward(
            kernels(dtype), data(dout), <const uint8_t *>data(argmax_cell), data(dconv), n * c, ho, wo, n_threads
        )


def max_pool_forward(
    cnp.ndarray x not None, cnp.ndarray out not None, cnp.ndarray argmax, idx ph, idx pw, idx stride, int n_threads
):
    """Write the maxima of the windows to out and where they are, as indices into the H * W plane, to argmax."""
    cdef int dtype = real_dtype(x, "x")
    require(x, "x", dtype, 4)
    require(out, "out", dtype, 4, True)
    cdef idx n = cnp.PyArray_DIM(x, 0), c = cnp.PyArray_DIM(x, 1), h = cnp.PyArray_DIM(x, 2), w = cnp.PyArray_DIM(x, 3)
    cdef idx ho, wo
    if ph < 1 or pw < 1 or stride < 1:
        raise ValueError(f"ph, pw and stride must be at least 1, got {ph}, {pw}, {stride}.")
    if ph > h or pw > w:
        raise ValueError(f"the window, {ph} x {pw}, must fit into the image, {h} x {w}.")
    if h * w > 0x7fffffff:
        raise ValueError(f"x must have at most 2**31 - 1 pixels in a plane, got {h} x {w}.")
    ho, wo = (h - ph) // stride + 1, (w - pw) // stride + 1
    axis(out, "out", 0, n)
    axis(out, "out", 1, c)
    axis(out, "out", 2, ho)
    axis(out, "out", 3, wo)
    if argmax is not None:
        check_same_shape(argmax, "argmax", cnp.NPY_INT32, out, "out", True)
    check_no_overlap((out, argmax, x), 2, "out argmax x")
    threads(n_threads)
    with nogil:
        call_max_pool_forward(
            kernels(dtype), data(x), data(out), <int32_t *>data(argmax), n * c, h, w, ho, wo, ph, pw, stride,
            n_threads
        )


def max_pool_backward(cnp.ndarray dout not None, cnp.ndarray argmax not None, cnp.ndarray dx not None, int n_threads):
    """Write dout, added up where argmax says, to dx, and zero elsewhere."""
    cdef int dtype = real_dtype(dout, "dout"), status
    require(dout, "dout", dtype, 4)
    check_same_shape(argmax, "argmax", cnp.NPY_INT32, dout, "dout")
    require(dx, "dx", dtype, 4, True)
    cdef idx n = cnp.PyArray_DIM(dout, 0), c = cnp.PyArray_DIM(dout, 1)
    cdef idx area = cnp.PyArray_DIM(dx, 2) * cnp.PyArray_DIM(dx, 3)
    cdef idx outputs = cnp.PyArray_DIM(dout, 2) * cnp.PyArray_DIM(dout, 3)
    axis(dx, "dx", 0, n)
    axis(dx, "dx", 1, c)
    check_no_overlap((dx, dout, argmax), 1, "dx dout argmax")
    threads(n_threads)
    with nogil:
        status = call_max_pool_backward(
            kernels(dtype), data(dout), <const int32_t *>data(argmax), data(dx), n * c, area, outputs, n_threads
        )
    check_status(status)


# --- elementwise ------------------------------------------------------------------------------------------------------


def activation_forward(cnp.ndarray x not None, cnp.ndarray out not None, int activation, int n_threads):
    """Write the activation of x to out."""
    cdef int dtype = real_dtype(x, "x")
    require(x, "x", dtype, -1)
    check_same_shape(out, "out", dtype, x, "x", True)
    check_activation(activation)
    check_no_overlap((out, x), 1, "out x", 1)
    threads(n_threads)
    cdef idx size = cnp.PyArray_SIZE(x)
    with nogil:
        call_activation_forward(kernels(dtype), data(x), data(out), activation, size, n_threads)


def activation_backward(
    cnp.ndarray dout not None, cnp.ndarray kept not None, cnp.ndarray dx not None, int activation, int n_threads
):
    """Write the gradient with respect to the activation's input to dx."""
    cdef int dtype = real_dtype(dout, "dout")
    require(dout, "dout", dtype, -1)
    check_same_shape(kept, "kept", dtype, dout, "dout")
    check_same_shape(dx, "dx", dtype, dout, "dout", True)
    check_activation(activation)
    check_no_overlap((dx, dout, kept), 1, "dx dout kept", 1, 2)
    threads(n_threads)
    cdef idx size = cnp.PyArray_SIZE(dout)
    with nogil:
        call_activation_backward(kernels(dtype), data(dout), data(kept), data(dx), activation, size, n_threads)


def scale_by_mask(
    cnp.ndarray x not None, cnp.ndarray mask not None, double scale, cnp.ndarray out not None, int n_threads
):
    """Write x * scale where the mask is set, and zero elsewhere, to out."""
    cdef int dtype = real_dtype(x, "x")
    require(x, "x", dtype, -1)
    check_same_shape(mask, "mask", cnp.NPY_BOOL, x, "x")
    check_same_shape(out, "out", dtype, x, "x", True)
    check_no_overlap((out, x, mask), 1, "out x mask", 1)
    threads(n_threads)
    cdef idx size = cnp.PyArray_SIZE(x)
    with nogil:
        call_scale_by_mask(kernels(dtype), data(x), <const uint8_t *>data(mask), scale, data(out), size, n_threads)


def all_finite(cnp.ndarray x not None, int n_threads):
    """Return whether x holds neither nan nor infinity.

    A step that asks is not recorded: it may depend on the answer.
    """
    spoil()
    cdef int dtype = real_dtype(x, "x"), finite
    require(x, "x", dtype, -1)
    threads(n_threads)
    cdef idx size = cnp.PyArray_SIZE(x)
    with nogil:
        finite = call_all_finite(kernels(dtype), data(x), size, n_threads)
    return finite != 0


# --- normalization ----------------------------------------------------------------------------------------------------


cdef idx channel_axes(cnp.ndarray x, str name, int dtype, idx *n, idx *c) except -1:
    """Check an array (N, C, ...) and return S, the product of its other axes."""
    require(x, name, dtype, -1)
    if cnp.PyArray_NDIM(x) < 2:
        raise ValueError(f"{name} must have at least 2 axes, got shape {_shape(x)}.")
    n[0], c[0] = cnp.PyArray_DIM(x, 0), cnp.PyArray_DIM(x, 1)
    cdef idx s = 1
    for i in range(2, cnp.PyArray_NDIM(x)):
        s *= cnp.PyArray_DIM(x, i)
    if not n[0] or not c[0] or not s:
        raise ValueError(f"{name} must not be empty, got shape {_shape(x)}.")
    return s


cdef int check_weight(cnp.ndarray weight, idx n) except -1:
    """Check weights (N,): float64, finite, not negative, not all zero. None passes."""
    cdef double total = 0, w
    cdef idx i
    if weight is None:
        return 0
    vector(weight, "sample_weight", cnp.NPY_DOUBLE, n)
    for i in range(n):
        w = (<double *>cnp.PyArray_DATA(weight))[i]
        if not w >= 0:
            raise ValueError(f"sample_weight must not be negative or nan, got {w}.")
        total += w
    if not 0 < total < float("inf"):
        raise ValueError(f"sample_weight must have a positive finite sum, got {total}.")
    return 0


def batchnorm_forward(
    cnp.ndarray x not None, cnp.ndarray gamma not None, cnp.ndarray beta not None, cnp.ndarray sample_weight, double eps,
    cnp.ndarray out not None, cnp.ndarray xhat not None, cnp.ndarray mean not None, cnp.ndarray var not None,
    cnp.ndarray inv_std not None, int n_threads
):
    """Normalize each channel over the batch."""
    cdef int dtype = real_dtype(x, "x")
    cdef idx n, c, s = channel_axes(x, "x", dtype, &n, &c)
    vector(gamma, "gamma", dtype, c)
    vector(beta, "beta", dtype, c)
    check_weight(sample_weight, n)
    check_same_shape(out, "out", dtype, x, "x", True)
    check_same_shape(xhat, "xhat", dtype, x, "x", True)
    vector(mean, "mean", dtype, c, True)
    vector(var, "var", dtype, c, True)
    vector(inv_std, "inv_std", dtype, c, True)
    check_no_overlap((out, xhat, mean, var, inv_std, x, gamma, beta, sample_weight), 5,
          "out xhat mean var inv_std x gamma beta sample_weight")
    threads(n_threads)
    with nogil:
        call_batchnorm_forward(
            kernels(dtype), data(x), data(gamma), data(beta), <const double *>data(sample_weight), eps, data(out),
            data(xhat), data(mean), data(var), data(inv_std), n, c, s, n_threads
        )


def batchnorm_backward(
    cnp.ndarray dout not None, cnp.ndarray xhat not None, cnp.ndarray inv_std not None, cnp.ndarray gamma not None,
    cnp.ndarray sample_weight, cnp.ndarray dx not None, cnp.ndarray dgamma not None, cnp.ndarray dbeta not None,
    int n_threads
):
    """Gradients of batchnorm_forward."""
    cdef int dtype = real_dtype(dout, "dout")
    cdef idx n, c, s = channel_axes(dout, "dout", dtype, &n, &c)
    check_same_shape(xhat, "xhat", dtype, dout, "dout")
    vector(inv_std, "inv_std", dtype, c)
    vector(gamma, "gamma", dtype, c)
    check_weight(sample_weight, n)
    check_same_shape(dx, "dx", dtype, dout, "dout", True)
    vector(dgamma, "dgamma", dtype, c, True)
    vector(dbeta, "dbeta", dtype, c, True)
    check_no_overlap((dx, dgamma, dbeta, dout, xhat, inv_std, gamma, sample_weight), 3,
          "dx dgamma dbeta dout xhat inv_std gamma sample_weight", 3)
    threads(n_threads)
    with nogil:
        call_batchnorm_backward(
            kernels(dtype), data(dout), data(xhat), data(inv_std), data(gamma), <const double *>data(sample_weight),
            data(dx), data(dgamma), data(dbeta), n, c, s, n_threads
        )


def update_average(cnp.ndarray average not None, cnp.ndarray batch not None, double momentum):
    """Write momentum * average + (1 - momentum) * batch to average; overwrite batch."""
    cdef int dtype = real_dtype(average, "average")
    require(average, "average", dtype, -1, True)
    check_same_shape(batch, "batch", dtype, average, "average", True)
    check_no_overlap((average, batch), 2, "average batch")
    with nogil:
        call_update_average(kernels(dtype), data(average), data(batch), momentum, cnp.PyArray_SIZE(average))


def weight_shares(cnp.ndarray sample_weight not None, cnp.ndarray shares not None):
    """Write the weights over their sum to shares."""
    require(sample_weight, "sample_weight", cnp.NPY_DOUBLE, 1)
    cdef idx n = cnp.PyArray_DIM(sample_weight, 0)
    check_weight(sample_weight, n)
    vector(shares, "shares", cnp.NPY_DOUBLE, n, True)
    check_no_overlap((shares, sample_weight), 1, "shares sample_weight")
    with nogil:
        call_weight_shares(&table.f64, <const double *>data(sample_weight), data(shares), n)


def batchnorm_test(
    cnp.ndarray x not None, cnp.ndarray gamma not None, cnp.ndarray beta not None, cnp.ndarray mean not None,
    cnp.ndarray var not None, double eps, cnp.ndarray out not None, int n_threads
):
    """Normalize each channel by given statistics."""
    cdef int dtype = real_dtype(x, "x"), status
    cdef idx n, c, s = channel_axes(x, "x", dtype, &n, &c)
    vector(gamma, "gamma", dtype, c)
    vector(beta, "beta", dtype, c)
    vector(mean, "mean", dtype, c)
    vector(var, "var", dtype, c)
    check_same_shape(out, "out", dtype, x, "x", True)
    check_no_overlap((out, x, gamma, beta, mean, var), 1, "out x gamma beta mean var", 1)
    threads(n_threads)
    with nogil:
        status = call_batchnorm_test(
            kernels(dtype), data(x), data(gamma), data(beta), data(mean), data(var), eps, data(out), n, c, s,
            n_threads
        )
    check_status(status)


def layernorm_forward(
    cnp.ndarray x not None, cnp.ndarray gamma not None, cnp.ndarray beta not None, double eps, cnp.ndarray out not None,
    cnp.ndarray xhat not None, cnp.ndarray inv_std not None, int n_threads
):
    """Normalize each row."""
    cdef int dtype = real_dtype(x, "x")
    require(x, "x", dtype, 2)
    cdef idx n = cnp.PyArray_DIM(x, 0), d = cnp.PyArray_DIM(x, 1)
    vector(gamma, "gamma", dtype, d)
    vector(beta, "beta", dtype, d)
    check_same_shape(out, "out", dtype, x, "x", True)
    check_same_shape(xhat, "xhat", dtype, x, "x", True)
    vector(inv_std, "inv_std", dtype, n, True)
    check_no_overlap((out, xhat, inv_std, x, gamma, beta), 3, "out xhat inv_std x gamma beta")
    threads(n_threads)
    with nogil:
        call_layernorm_forward(
            kernels(dtype), data(x), data(gamma), data(beta), eps, data(out), data(xhat), data(inv_std), n, d,
            n_threads
        )


def layernorm_backward(
    cnp.ndarray dout not None, cnp.ndarray xhat not None, cnp.ndarray inv_std not None, cnp.ndarray gamma not None,
    cnp.ndarray dx not None, cnp.ndarray dgamma not None, cnp.ndarray dbeta not None, int n_threads
):
    """Gradients of layernorm_forward."""
    cdef int dtype = real_dtype(dout, "dout")
    require(dout, "dout", dtype, 2)
    cdef idx n = cnp.PyArray_DIM(dout, 0), d = cnp.PyArray_DIM(dout, 1)
    check_same_shape(xhat, "xhat", dtype, dout, "dout")
    vector(inv_std, "inv_std", dtype, n)
    vector(gamma, "gamma", dtype, d)
    check_same_shape(dx, "dx", dtype, dout, "dout", True)
    vector(dgamma, "dgamma", dtype, d, True)
    vector(dbeta, "dbeta", dtype, d, True)
    check_no_overlap((dx, dgamma, dbeta, dout, xhat, inv_std, gamma), 3, "dx dgamma dbeta dout xhat inv_std gamma", 3)
    threads(n_threads)
    with nogil:
        call_layernorm_backward(
            kernels(dtype), data(dout), data(xhat), data(inv_std), data(gamma), data(dx), data(dgamma), data(dbeta),
            n, d, n_threads
        )


cdef idx groups(cnp.ndarray inv_std, int dtype, idx n, idx c, bint written) except -1:
    """Check inv_std (N, G) and return G."""
    require(inv_std, "inv_std", dtype, 2, written)
    axis(inv_std, "inv_std", 0, n)
    cdef idx g = cnp.PyArray_DIM(inv_std, 1)
    if g < 1 or c % g:
        raise ValueError(f"inv_std must have as many columns as there are groups, a divisor of {c}, got {g}.")
    return g


def groupnorm_forward(
    cnp.ndarray x not None, cnp.ndarray gamma not None, cnp.ndarray beta not None, double eps, cnp.ndarray out not None,
    cnp.ndarray xhat not None, cnp.ndarray inv_std not None, int n_threads
):
    """Normalize each group of channels of each image."""
    cdef int dtype = real_dtype(x, "x")
    cdef idx n, c, s = channel_axes(x, "x", dtype, &n, &c)
    vector(gamma, "gamma", dtype, c)
    vector(beta, "beta", dtype, c)
    check_same_shape(out, "out", dtype, x, "x", True)
    check_same_shape(xhat, "xhat", dtype, x, "x", True)
    cdef idx g = groups(inv_std, dtype, n, c, True)
    check_no_overlap((out, xhat, inv_std, x, gamma, beta), 3, "out xhat inv_std x gamma beta")
    threads(n_threads)
    with nogil:
        call_groupnorm_forward(
            kernels(dtype), data(x), data(gamma), data(beta), eps, data(out), data(xhat), data(inv_std), n, c, s, g,
            n_threads
        )


def groupnorm_backward(
    cnp.ndarray dout not None, cnp.ndarray xhat not None, cnp.ndarray inv_std not None, cnp.ndarray gamma not None,
    cnp.ndarray dx not None, cnp.ndarray dgamma not None, cnp.ndarray dbeta not None, int n_threads
):
    """Gradients of groupnorm_forward."""
    cdef int dtype = real_dtype(dout, "dout"), status
    cdef idx n, c, s = channel_axes(dout, "dout", dtype, &n, &c)
    check_same_shape(xhat, "xhat", dtype, dout, "dout")
    cdef idx g = groups(inv_std, dtype, n, c, False)
    vector(gamma, "gamma", dtype, c)
    check_same_shape(dx, "dx", dtype, dout, "dout", True)
    vector(dgamma, "dgamma", dtype, c, True)
    vector(dbeta, "dbeta", dtype, c, True)
    check_no_overlap((dx, dgamma, dbeta, dout, xhat, inv_std, gamma), 3, "dx dgamma dbeta dout xhat inv_std gamma", 3)
    threads(n_threads)
    with nogil:
        status = call_groupnorm_backward(
            kernels(dtype), data(dout), data(xhat), data(inv_std), data(gamma), data(dx), data(dgamma), data(dbeta),
            n, c, s, g, n_threads
        )
    check_status(status)


# --- losses -----------------------------------------------------------------------------------------------------------


cdef int check_scores(cnp.ndarray scores, int dtype) except -1:
    require(scores, "scores", dtype, 2)
    if cnp.PyArray_DIM(scores, 1) < 1:
        raise ValueError(f"scores must have at least one column, got shape {_shape(scores)}.")
    return 0


cdef int check_labels(cnp.ndarray y, idx n, idx c) except -1:
    """Check labels (N,): int64 in [0, C)."""
    cdef idx i
    cdef int64_t label
    vector(y, "y", cnp.NPY_INT64, n)
    for i in range(n):
        label = (<int64_t *>cnp.PyArray_DATA(y))[i]
        if label < 0 or label >= c:
            raise ValueError(f"y must be in [0, {c}), got {label}.")
    return 0


cdef int check_total(double total) except -1:
    if not 0 <= total < float("inf"):
        raise ValueError(f"total must be positive and finite, or 0 for the sum of the weights, got {total}.")
    return 0


cdef int check_loss(cnp.ndarray scores, int dtype, cnp.ndarray y, cnp.ndarray sample_weight, double total,
                    cnp.ndarray dscores) except -1:
    """Check the arguments that all losses of scores have, but for y's dtype and shape."""
    check_scores(scores, dtype)
    if cnp.PyArray_DIM(scores, 0) == 0:
        raise ValueError("scores must not be empty.")
    check_weight(sample_weight, cnp.PyArray_DIM(scores, 0))
    check_total(total)
    if dscores is not None:
        check_same_shape(dscores, "dscores", dtype, scores, "scores", True)
    return check_no_overlap((dscores, scores, y, sample_weight), 1, "dscores scores y sample_weight", 1)


def softmax_loss(
    cnp.ndarray scores not None, cnp.ndarray y not None, cnp.ndarray sample_weight, cnp.ndarray dscores, double total=0,
    double smoothing=0
):
    """Return the weighted sum of the cross-entropies of softmax(scores) over total, its gradient in dscores."""
    cdef int dtype = real_dtype(scores, "scores")
    cdef double loss
    check_scores(scores, dtype)
    cdef idx n = cnp.PyArray_DIM(scores, 0), c = cnp.PyArray_DIM(scores, 1)
    check_labels(y, n, c)
    check_loss(scores, dtype, y, sample_weight, total, dscores)
    if not 0 <= smoothing <= 1:
        raise ValueError(f"smoothing must be in [0, 1], got {smoothing}.")
    with nogil:
        status = call_softmax_loss(
            kernels(dtype), data(scores), <const int64_t *>data(y), <const double *>data(sample_weight), total,
            smoothing, data(dscores), &loss, n, c
        )
    check_status(status)
    return loss


def hinge_loss(
    cnp.ndarray scores not None, cnp.ndarray y not None, cnp.ndarray sample_weight, cnp.ndarray dscores, double total=0
):
    """Return the weighted sum of the multiclass hinge losses over total, its gradient in dscores."""
    cdef int dtype = real_dtype(scores, "scores")
    cdef double loss
    check_scores(scores, dtype)
    cdef idx n = cnp.PyArray_DIM(scores, 0), c = cnp.PyArray_DIM(scores, 1)
    check_labels(y, n, c)
    check_loss(scores, dtype, y, sample_weight, total, dscores)
    with nogil:
        status = call_hinge_loss(
            kernels(dtype), data(scores), <const int64_t *>data(y), <const double *>data(sample_weight), total,
            data(dscores), &loss, n, c
        )
    check_status(status)
    return loss


# The losses that pointwise_loss knows, by name.
_POINTWISE = {
    "logistic": LOGISTIC,
    "squared_error": SQUARED_ERROR,
    "absolute_error": ABSOLUTE_ERROR,
    "huber": HUBER,
    "poisson": POISSON,
}


def pointwise_loss(
    str kind not None, cnp.ndarray scores not None, cnp.ndarray y not None, cnp.ndarray sample_weight,
    cnp.ndarray dscores, double total=0, double width=1
):
    """Return the weighted sum over total of the losses of each score against its target, its gradient in dscores."""
    cdef int dtype = real_dtype(scores, "scores"), which
    cdef double loss
    if kind not in _POINTWISE:
        raise ValueError(f"kind must be one of {', '.join(map(repr, _POINTWISE))}, got {kind!r}.")
    which = _POINTWISE[kind]
    check_scores(scores, dtype)
    check_same_shape(y, "y", dtype, scores, "scores")
    check_loss(scores, dtype, y, sample_weight, total, dscores)
    if not 0 < width < float("inf"):
        raise ValueError(f"width must be positive and finite, got {width}.")
    cdef idx n = cnp.PyArray_DIM(scores, 0), k = cnp.PyArray_DIM(scores, 1)
    with nogil:
        call_pointwise_loss(
            kernels(dtype), which, width, data(scores), data(y), <const double *>data(sample_weight), total,
            data(dscores), &loss, n, k
        )
    return loss


def judge_scores(
    cnp.ndarray scores not None, cnp.ndarray y not None, cnp.ndarray sample_weight, cnp.ndarray predicted not None
):
    """Return the weight of the rows whose best class is y, nan if a score is not finite; set the best classes' predicted."""
    cdef int dtype = real_dtype(scores, "scores")
    cdef double correct = 0
    check_scores(scores, dtype)
    cdef idx n = cnp.PyArray_DIM(scores, 0), c = cnp.PyArray_DIM(scores, 1)
    vector(y, "y", cnp.NPY_INT64, n)
    check_weight(sample_weight, n)
    vector(predicted, "predicted", cnp.NPY_BOOL, c, True)
    check_no_overlap((predicted, scores, y, sample_weight), 1, "predicted scores y sample_weight")
    with nogil:
        call_judge_scores(
            kernels(dtype), data(scores), <const int64_t *>data(y), <const double *>data(sample_weight),
            <uint8_t *>data(predicted), &correct, n, c
        )
    return correct


def judge_indicators(cnp.ndarray scores not None, cnp.ndarray y not None, cnp.ndarray sample_weight):
    """Return the weight of the rows whose scores are positive just where y is above a half; nan if one is not finite."""
    cdef int dtype = real_dtype(scores, "scores")
    cdef double correct = 0
    check_scores(scores, dtype)
    check_same_shape(y, "y", dtype, scores, "scores")
    cdef idx n = cnp.PyArray_DIM(scores, 0), k = cnp.PyArray_DIM(scores, 1)
    check_weight(sample_weight, n)
    keep((scores, y, sample_weight))
    with nogil:
        call_judge_indicators(
            kernels(dtype), data(scores), data(y), <const double *>data(sample_weight), &correct, n, k
        )
    return correct


def judge_residuals(
    cnp.ndarray scores not None, cnp.ndarray y not None, cnp.ndarray sample_weight, bint take_exp,
    cnp.ndarray scale not None
):
    """Return the weighted sum of the squared residuals of all outputs, times scale; nan if a score is not finite."""
    cdef int dtype = real_dtype(scores, "scores")
    cdef double residual = 0
    check_scores(scores, dtype)
    check_same_shape(y, "y", dtype, scores, "scores")
    cdef idx n = cnp.PyArray_DIM(scores, 0), k = cnp.PyArray_DIM(scores, 1)
    check_weight(sample_weight, n)
    vector(scale, "scale", cnp.NPY_DOUBLE, k)
    keep((scores, y, sample_weight, scale))
    with nogil:
        call_judge_residuals(
            kernels(dtype), data(scores), data(y), <const double *>data(sample_weight), take_exp, data(scale),
            &residual, n, k
        )
    return residual


def sum_of_weights(cnp.ndarray sample_weight not None):
    """Return the sum of the weights, added one by one."""
    cdef double total = 0
    require(sample_weight, "sample_weight", cnp.NPY_DOUBLE, 1)
    keep((sample_weight,))
    with nogil:
        call_sum_of_weights(&table.f64, <const double *>data(sample_weight), &total, cnp.PyArray_DIM(sample_weight, 0))
    return total


cdef int run_softmax(cnp.ndarray scores, cnp.ndarray out, bint take_log) except -1:
    cdef int dtype = real_dtype(scores, "scores")
    check_scores(scores, dtype)
    check_same_shape(out, "out", dtype, scores, "scores", True)
    check_no_overlap((out, scores), 1, "out scores", 1)
    cdef idx n = cnp.PyArray_DIM(scores, 0), c = cnp.PyArray_DIM(scores, 1)
    with nogil:
        call_softmax(kernels(dtype), data(scores), data(out), take_log, n, c)
    return 0


def softmax(cnp.ndarray scores not None, cnp.ndarray out not None):
    """Write the softmax of each row to out."""
    run_softmax(scores, out, False)


def log_softmax(cnp.ndarray scores not None, cnp.ndarray out not None):
    """Write the logarithm of the softmax of each row to out."""
    run_softmax(scores, out, True)


# --- update rules -----------------------------------------------------------------------------------------------------


cdef idx check_update(cnp.ndarray w, int dtype, cnp.ndarray dw, cnp.ndarray state=None, str state_name=None,
                      cnp.ndarray state_2=None, str state_2_name=None) except -1:
    """Check w, its gradient and the state of a rule; return the number of weights."""
    require(w, "w", dtype, -1, True)
    check_same_shape(dw, "dw", dtype, w, "w")
    if state is not None:
        check_same_shape(state, state_name, dtype, w, "w", True)
    if state_2 is not None:
        check_same_shape(state_2, state_2_name, dtype, w, "w", True)
    check_no_overlap((w, state, state_2, dw), 3, "w state state_2 dw")
    return cnp.PyArray_SIZE(w)


def sgd(cnp.ndarray w not None, cnp.ndarray dw not None, double learning_rate, double reg, int n_threads):
    """Step in place; return the sum of squares of the new w."""
    cdef int dtype = real_dtype(w, "w"), status
    cdef double result = 0
    cdef idx size = check_update(w, dtype, dw)
    threads(n_threads)
    with nogil:
        status = call_sgd(kernels(dtype), data(w), data(dw), learning_rate, reg, size, &result, n_threads)
    check_status(status)
    return result


def sgd_momentum(
    cnp.ndarray w not None, cnp.ndarray dw not None, cnp.ndarray velocity not None, double learning_rate, double momentum,
    double reg, int n_threads
):
    """Step in place; return the sum of squares of the new w."""
    cdef int dtype = real_dtype(w, "w"), status
    cdef double result = 0
    cdef idx size = check_update(w, dtype, dw, velocity, "velocity")
    threads(n_threads)
    with nogil:
        status = call_sgd_momentum(
            kernels(dtype), data(w), data(dw), data(velocity), learning_rate, momentum, reg, size, &result, n_threads
        )
    check_status(status)
    return result


def nesterov(
    cnp.ndarray w not None, cnp.ndarray dw not None, cnp.ndarray velocity not None, double learning_rate, double momentum,
    double reg, int n_threads
):
    """Step in place; return the sum of squares of the new w."""
    cdef int dtype = real_dtype(w, "w"), status
    cdef double result = 0
    cdef idx size = check_update(w, dtype, dw, velocity, "velocity")
    threads(n_threads)
    with nogil:
        status = call_nesterov(
            kernels(dtype), data(w), data(dw), data(velocity), learning_rate, momentum, reg, size, &result, n_threads
        )
    check_status(status)
    return result


def adagrad(
    cnp.ndarray w not None, cnp.ndarray dw not None, cnp.ndarray cache not None, double learning_rate, double epsilon,
    double reg, int n_threads
):
    """Step in place; return the sum of squares of the new w."""
    cdef int dtype = real_dtype(w, "w"), status
    cdef double result = 0
    cdef idx size = check_update(w, dtype, dw, cache, "cache")
    threads(n_threads)
    with nogil:
        status = call_adagrad(
            kernels(dtype), data(w), data(dw), data(cache), learning_rate, epsilon, reg, size, &result, n_threads
        )
    check_status(status)
    return result


def rmsprop(
    cnp.ndarray w not None, cnp.ndarray dw not None, cnp.ndarray cache not None, double learning_rate, double decay_rate,
    double epsilon, double reg, int n_threads
):
    """Step in place; return the sum of squares of the new w."""
    cdef int dtype = real_dtype(w, "w"), status
    cdef double result = 0
    cdef idx size = check_update(w, dtype, dw, cache, "cache")
    threads(n_threads)
    with nogil:
        status = call_rmsprop(
            kernels(dtype), data(w), data(dw), data(cache), learning_rate, decay_rate, epsilon, reg, size, &result,
            n_threads
        )
    check_status(status)
    return result


cdef int check_adam(double t, double beta1, double beta2) except -1:
    if not t >= 1:
        raise ValueError(f"t must be at least 1, got {t}.")
    if not (0 <= beta1 < 1 and 0 <= beta2 < 1):
        raise ValueError(f"beta1 and beta2 must be in [0, 1), got {beta1} and {beta2}.")
    return 0


def adam(
    cnp.ndarray w not None, cnp.ndarray dw not None, cnp.ndarray m not None, cnp.ndarray v not None, double t,
    double learning_rate, double beta1, double beta2, double epsilon, double reg, int n_threads
):
    """Step number t (from 1) in place; return the sum of squares of the new w."""
    cdef int dtype = real_dtype(w, "w"), status
    cdef double result = 0
    check_adam(t, beta1, beta2)
    cdef idx size = check_update(w, dtype, dw, m, "m", v, "v")
    threads(n_threads)
    with nogil:
        status = call_adam(
            kernels(dtype), data(w), data(dw), data(m), data(v), t, learning_rate, beta1, beta2, epsilon, reg, size,
            &result, n_threads
        )
    check_status(status)
    return result


def adamw(
    cnp.ndarray w not None, cnp.ndarray dw not None, cnp.ndarray m not None, cnp.ndarray v not None, double t,
    double learning_rate, double beta1, double beta2, double epsilon, double decay, int n_threads
):
    """Step number t (from 1) in place, w multiplied by 1 - learning_rate * decay; return the sum of squares of the new w."""
    cdef int dtype = real_dtype(w, "w"), status
    cdef double result = 0
    check_adam(t, beta1, beta2)
    cdef idx size = check_update(w, dtype, dw, m, "m", v, "v")
    threads(n_threads)
    with nogil:
        status = call_adamw(
            kernels(dtype), data(w), data(dw), data(m), data(v), t, learning_rate, beta1, beta2, epsilon, decay, size,
            &result, n_threads
        )
    check_status(status)
    return result


def clip_gradients(list gradients not None, double most, int n_threads):
    """Scale arrays in place to a norm of `most` together, where it is larger and finite; return what it was."""
    cdef idx i, j, n = len(gradients)
    cdef int dtype, status
    cdef double norm = 0
    cdef cnp.ndarray gradient, table
    cdef cnp.npy_intp[2] shape = [2, n]
    cdef idx *cells
    if not n:
        return 0.0
    if not most >= 0:
        raise ValueError(f"most must be at least 0, got {most}.")
    threads(n_threads)
    for i in range(n):
        if not isinstance(gradients[i], cnp.ndarray):
            raise TypeError(f"gradients[{i}] must be an array, got {type(gradients[i]).__name__}.")
    dtype = real_dtype(gradients[0], "gradients[0]")
    table = cnp.PyArray_SimpleNew(2, shape, cnp.NPY_INTP)
    cells = <idx *>data(table)
    for i in range(n):
        gradient = gradients[i]
        require(gradient, f"gradients[{i}]", dtype, -1, True)
        for j in range(i):
            if overlap(gradient, gradients[j]):
                raise ValueError(f"gradients[{i}] must not overlap gradients[{j}].")
        cells[i], cells[n + i] = <idx>data(gradient), cnp.PyArray_SIZE(gradient)
    keep((table, *gradients))
    with nogil:
        status = call_clip_gradients(kernels(dtype), data(table), n, most, &norm, n_threads)
    check_status(status)
    return norm


def sum_of_squares(cnp.ndarray w not None, int n_threads):
    """Return the sum of squares of w."""
    cdef int dtype = real_dtype(w, "w"), status
    cdef double result = 0
    require(w, "w", dtype, -1)
    threads(n_threads)
    keep((w,))
    cdef idx size = cnp.PyArray_SIZE(w)
    with nogil:
        status = call_sum_of_squares(kernels(dtype), data(w), size, &result, n_threads)
    check_status(status)
    return result


# --- data -------------------------------------------------------------------------------------------------------------


cdef int check_indices(cnp.ndarray indices, idx n) except -1:
    """Check indices (rows,): intp in [0, n)."""
    cdef idx i
    cdef sdl_program *recording = sdl_recording()
    if recording != NULL and n < recording.rows_below:
        recording.rows_below = n
    require(indices, "indices", cnp.NPY_INTP, 1)
    cdef const intptr_t *index = <const intptr_t *>data(indices)
    for i in range(cnp.PyArray_DIM(indices, 0)):
        if index[i] < 0 or index[i] >= n:
            raise IndexError(f"indices must be in [0, {n}), got {index[i]}.")
    return 0


cdef int check_source(cnp.ndarray X, cnp.ndarray indices) except -1:
    """Check what rows are gathered from: X (any, D), numbers side by side, its rows apart or not; indices (rows,) in range.

    Return the number of X's type.
    """
    cdef int type = sdl_source_of(X)
    if type < 0 or cnp.PyArray_ISBYTESWAPPED(X):
        raise TypeError(f"X must hold real numbers in this machine's byte order, got {X.dtype!r}.")
    if cnp.PyArray_NDIM(X) != 2:
        raise ValueError(f"X must have 2 axes, got shape {_shape(X)}.")
    if (cnp.PyArray_DIM(X, 1) > 1 and cnp.PyArray_STRIDE(X, 1) != cnp.PyArray_ITEMSIZE(X)) or not cnp.PyArray_ISALIGNED(X):
        raise ValueError("X must be aligned and have the numbers of a row side by side.")
    check_indices(indices, cnp.PyArray_DIM(X, 0))
    return type


def gather_rows(
    cnp.ndarray X not None, cnp.ndarray indices not None, cnp.ndarray out not None, cnp.ndarray mean, int n_threads
):
    """Write the rows of X that indices name, converted and less the mean, to out."""
    cdef int dtype = real_dtype(out, "out"), type = check_source(X, indices)
    cdef idx d = cnp.PyArray_DIM(X, 1), rows = cnp.PyArray_DIM(indices, 0), stride = cnp.PyArray_STRIDE(X, 0)
    matrix(out, "out", dtype, rows, d, True)
    vector(mean, "mean", dtype, d)
    check_no_overlap((out, X, indices, mean), 1, "out X indices mean")
    threads(n_threads)
    cdef const intptr_t *index = <const intptr_t *>data(indices)
    with nogil:
        call_gather_rows(kernels(dtype), data(X), type, stride, index, data(mean), data(out), rows, d, n_threads)


def gather_items(cnp.ndarray items not None, cnp.ndarray indices not None, cnp.ndarray out not None):
    """Write the items (labels or weights) that indices name to out."""
    cdef int dtype = cnp.NPY_DOUBLE if is_of_type(items, cnp.NPY_DOUBLE) else cnp.NPY_INT64
    if not is_of_type(items, dtype):
        raise TypeError(f"items must be int64 or float64, got {items.dtype}.")
    require(items, "items", dtype, 1)
    check_indices(indices, cnp.PyArray_DIM(items, 0))
    cdef idx rows = cnp.PyArray_DIM(indices, 0)
    vector(out, "out", dtype, rows, True)
    check_no_overlap((out, items, indices), 1, "out items indices")
    with nogil:
        call_gather_items(&table.f64, data(items), <const intptr_t *>data(indices), data(out), rows)


# --- draws ------------------------------------------------------------------------------------------------------------


cdef void *generator_of(object bit_generator) except NULL:
    """Return NumPy's C interface of a bit generator, which a recording under way keeps."""
    cdef sdl_program *recording = sdl_recording()
    if recording != NULL and bit_generator not in (<Program>recording.owner).generators:
        (<Program>recording.owner).generators.append(bit_generator)
    return PyCapsule_GetPointer(bit_generator.capsule, "BitGenerator")


def draw_mask(bit_generator, double keep_ratio, cnp.ndarray mask not None):
    """Write RandomState(bit_generator).random_sample(mask.shape) < keep_ratio to mask."""
    require(mask, "mask", cnp.NPY_BOOL, -1, True)
    cdef void *generator = generator_of(bit_generator)
    cdef idx size = cnp.PyArray_SIZE(mask)
    keep((mask,))
    with bit_generator.lock, nogil:
        call_draw_mask(&table.f64, generator, keep_ratio, <uint8_t *>data(mask), size)


def shuffle_rows(bit_generator, cnp.ndarray rows not None):
    """Do what RandomState(bit_generator).shuffle does to rows."""
    require(rows, "rows", cnp.NPY_INTP, 1, True)
    cdef void *generator = generator_of(bit_generator)
    cdef idx n = cnp.PyArray_DIM(rows, 0)
    keep((rows,))
    with bit_generator.lock, nogil:
        call_shuffle_rows(&table.f64, generator, <intptr_t *>data(rows), n)


# --- a linear classifier ----------------------------------------------------------------------------------------------


def linear_takes(cnp.ndarray w not None):
    """Return whether `linear_softmax` takes weights of this shape and dtype: those of a few classes."""
    cdef int dtype = real_dtype(w, "w")
    require(w, "w", dtype, 2)
    return bool(call_linear_takes(kernels(dtype), cnp.PyArray_DIM(w, 0), cnp.PyArray_DIM(w, 1)))


def linear_softmax(
    cnp.ndarray X not None, cnp.ndarray indices not None, cnp.ndarray y not None, cnp.ndarray sample_weight,
    cnp.ndarray w not None, cnp.ndarray b, cnp.ndarray dscores not None, cnp.ndarray dw not None, cnp.ndarray db, int n_threads,
    double total=0
):
    """Return softmax_loss of x @ w + b for the rows x of X that indices name; gradients of scores, w and b to the outputs."""
    cdef int dtype = real_dtype(w, "w"), status, type = check_source(X, indices)
    cdef double loss = 0
    require(w, "w", dtype, 2)
    cdef idx n = cnp.PyArray_DIM(indices, 0), d = cnp.PyArray_DIM(w, 0), m = cnp.PyArray_DIM(w, 1)
    if not call_linear_takes(kernels(dtype), d, m):
        raise ValueError(f"w must have a shape that linear_takes, got {_shape(w)}.")
    axis(X, "X", 1, d)
    if n == 0:
        raise ValueError("indices must not be empty.")
    vector(b, "b", dtype, m)
    check_labels(y, n, m)
    check_weight(sample_weight, n)
    check_total(total)
    matrix(dscores, "dscores", dtype, n, m, True)
    matrix(dw, "dw", dtype, d, m, True)
    vector(db, "db", dtype, m, True)
    check_no_overlap((dscores, dw, db, X, indices, y, sample_weight, w, b), 3, "dscores dw db X indices y sample_weight w b")
    threads(n_threads)
    with nogil:
        status = call_linear_softmax(
            kernels(dtype), data(X), type, cnp.PyArray_STRIDE(X, 0), <const intptr_t *>data(indices), <const int64_t
            *>data(y), <const double *>data(sample_weight), total, data(w), data(b), data(dscores), data(dw), data(db),
            &loss, n, d, m, n_threads
        )
    check_status(status)
    return loss


# --- recordings -------------------------------------------------------------------------------------------------------


def spoil_recording():
    """Mark the recording under way, if there is one: the step does what is no kernel call."""
    spoil()


cdef class Program:
    """The kernel calls of a training step, or of an evaluation's, made again for minibatch after minibatch without the GIL.

    ``with program:`` records what this thread calls, of a training step up to the gradients; ``with program.updates():``
    the updates. `finish` says what differs from step to step; `run` makes steps. One thread at a time can record or run
    it: both write into its operations without the GIL.
    """

    cdef sdl_program program
    cdef list kept, generators
    cdef readonly bint spoiled
    cdef bint finished, busy
    cdef cnp.ndarray squares
    cdef idx batch, n_penalized

    def __cinit__(self):
        self.program.owner = <void *>self
        self.program.first_update, self.program.rows_below = -1, PY_SSIZE_T_MAX
        self.kept, self.generators = [], []

    def __dealloc__(self):
        sdl_clear(&self.program)

    def __enter__(self):
        if sdl_recording() != NULL:
            raise RuntimeError("a recording is under way in this thread.")
        if self.finished:
            raise RuntimeError("a recording must not be continued after finish.")
        claim([self])
        sdl_record(&self.program)
        Py_INCREF(self)  # the thread's pointer to it must not outlive it
        return self

    def __exit__(self, *error):
        if sdl_recording() != &self.program:
            raise RuntimeError("a recording must be closed by the thread that has opened it.")
        sdl_record(NULL)
        release([self])
        Py_DECREF(self)

    def updates(self):
        """Have what is recorded from now on wait, in a run, for a loss that is a finite number; return the program."""
        self.program.first_update = self.program.n_ops
        return self

    @property
    def names(self):
        """Names of the kernels called, in their order."""
        return [self.program.ops[i].name.decode() for i in range(self.program.n_ops)]

    @property
    def n_numbers(self):
        """How many numbers the calls of a step return."""
        return self.program.n_outputs

    def finish(self, cnp.ndarray rows not None, list params=None, cnp.ndarray squares=None, idx n_penalized=0):
        """Say which array held the minibatch's rows and, of a step with updates, what the penalty is made of.

        Parameters
        ----------
        rows : ndarray of intp of shape (batch,)
        params : list of ndarray, default=None
            The parameters, those with a penalty first.
        squares : ndarray of float64 of shape (len(params),), default=None
            Where their updates leave the sums of their squares.
        n_penalized : int, default=0
            How many parameters have a penalty.
        """
        cdef idx i
        cdef list given = list(params or [])
        if self.finished or self.busy:
            raise RuntimeError("finish must follow a recording, once.")
        require(rows, "rows", cnp.NPY_INTP, 1)
        if given and squares is None:
            raise ValueError("squares must be given with params.")
        vector(squares, "squares", cnp.NPY_DOUBLE, len(given), True)
        if self.program.first_update < 0:
            self.program.first_update = self.program.n_ops
        if not 0 <= n_penalized <= len(given):
            raise ValueError(f"n_penalized must be from 0 to {len(given)}, got {n_penalized}.")
        self.batch, self.squares, self.n_penalized = cnp.PyArray_DIM(rows, 0), squares, n_penalized
        self.kept.append(given)
        if self.program.failed or sdl_vary_rows(&self.program, data(rows)):
            raise MemoryError("not enough memory for a recording.")
        outputs = [i for i in range(self.program.first_update) if self.program.ops[i].output_number >= 0]
        most = 1 if self.program.first_update < self.program.n_ops else SDL_MOST_OUTPUTS
        if not 0 < len(outputs) <= most:
            raise ValueError(f"a step must return 1 to {most} numbers, the recorded one returns {len(outputs)}.")
        self.program.n_outputs = len(outputs)
        for i in range(len(outputs)):
            self.program.outputs[i] = outputs[i]
        for i in range(len(given)):
            self.put_squares(given[i], i)
        self.finished = True

    cdef int put_squares(self, cnp.ndarray param, idx place) except -1:
        """Have the update of a parameter leave the sum of its squares at a place of `squares`."""
        cdef sdl_op *op
        cdef idx i
        cdef int output
        for i in range(self.program.first_update, self.program.n_ops):
            op = &self.program.ops[i]
            if op.args[0].p == data(param) and op.output_number >= 0:
                output = op.output_number
                op.args[output].p = <double *>data(self.squares) + place
                return 0
        raise ValueError(f"params[{place}] has no recorded update.")

    def run(
        self, cnp.ndarray rows not None, cnp.ndarray numbers not None, cnp.ndarray rates=None, double count=0,
        double reg=0, double seconds=1e9, int n_threads=1
    ):
        """Make steps until the time is up or a loss is not finite.

        Parameters
        ----------
        rows : ndarray of intp of shape (at least steps * batch,)
            Rows of the minibatches, one after the other.
        numbers : ndarray of float64 of shape (numbers that the calls of a step return, steps)
            Where these go. The one of a step with updates is its loss, to which 0.5 * reg * (sum of squares) is added.
        rates : ndarray of float64 of shape (steps,), default=None
            Learning rates, where there are updates.
        count : float, default=0
            Number of the first update, from 1.
        reg : float, default=0
        seconds : float
            No step is begun after so many, but for the first.
        n_threads : int, default=1

        Returns
        -------
        done : int
            Of how many steps the numbers were written.
        finite : bool
            Whether all losses are finite. If not, the last one's update was not made.

        Raises
        ------
        IndexError, ValueError
            If rows are not rows of the data, or labels not classes: what the arrays hold may have changed since recording.
        """
        cdef sdl_run run
        cdef idx n_done = 0
        cdef int finite = 1, status
        if not self.finished:
            raise RuntimeError("a recording must be finished before it is run.")
        require(numbers, "numbers", cnp.NPY_DOUBLE, 2, True)
        axis(numbers, "numbers", 0, self.program.n_outputs)
        run.steps = cnp.PyArray_DIM(numbers, 1)
        require(rows, "rows", cnp.NPY_INTP, 1)
        if cnp.PyArray_DIM(rows, 0) < run.steps * self.batch:
            raise ValueError(f"rows must hold {run.steps} x {self.batch}, got {cnp.PyArray_DIM(rows, 0)}.")
        if rates is None and self.program.first_update < self.program.n_ops:
            raise ValueError("rates must be given, as the recorded step has updates.")
        vector(rates, "rates", cnp.NPY_DOUBLE, run.steps)
        run.rows, run.batch = <const intptr_t *>data(rows), self.batch
        run.rates, run.count, run.numbers = <const double *>data(rates), count, <double *>data(numbers)
        run.squares = <const double *>data(self.squares)
        run.n_squares = self.n_penalized
        run.reg, run.seconds, run.n_threads = reg, seconds, threads(n_threads)
        claim([self])
        try:
            with locked(self.generators):
                with nogil:
                    status = sdl_replay(&self.program, &run, &n_done, &finite)
        finally:
            release([self])
        check_status(status)
        return n_done, finite != 0


cdef int claim(list programs) except -1:
    """Take programs for this thread, or raise RuntimeError if another one has one of them."""
    cdef Program program
    for program in programs:
        if program.busy:
            raise RuntimeError("a program must not be recorded or run by two threads at once.")
    for program in programs:
        program.busy = True
    return 0


cdef int release(list programs) except -1:
    cdef Program program
    for program in programs:
        program.busy = False
    return 0


def locked(generators):
    """Return a context in which nobody else draws from these bit generators."""
    stack = ExitStack()
    with stack:
        # In one order, or two runs could wait for each other.
        for generator in sorted({id(generator): generator for generator in generators}.values(), key=id):
            stack.enter_context(generator.lock)
        return stack.pop_all()


cdef class Epochs:
    """Whole epochs of recorded programs, one after the other without the GIL.

    Parameters
    ----------
    rows : ndarray of intp of shape (n,)
        The rows to train on.
    bit_generator : BitGenerator or None
        That of the RandomState which shuffles them before each epoch, as its `permutation` does. None: they stay.
    training : list of tuple (Program, int)
        Programs of steps with updates, and how many steps of each make an epoch of these rows.
    evaluations : list of tuple (Program, ndarray of intp, int, bool)
        Programs without updates, the rows of their steps, how many these are, and whether they make the score.
    statistics : list of ndarray
        Arrays of float32 or float64 that updates write, but for the parameters.
    score : tuple (number, weight, total, sign, offset, tie, above_zero) or None
        Scores are offset + sign * sum of a number / sum of another (of total, where its place is -1). None: none.
    copies : list of tuple (ndarray, ndarray)
        Pairs (to, from): copied after each epoch whose score is not lower than the best one's by more than the tie
        and, if it has to be above zero, not zero.
    """

    cdef list programs, arrays_kept, generators
    cdef cnp.ndarray rows, order, squares
    cdef sdl_pass passes[8]
    cdef sdl_array *statistics
    cdef sdl_copy *copies
    cdef sdl_epochs epochs

    def __cinit__(
        self,
        cnp.ndarray rows not None,
        bit_generator,
        list training,
        list evaluations,
        list statistics,
        tuple score=None,
        list copies=None,
    ):
        cdef Program program
        cdef idx steps, used = 0
        require(rows, "rows", cnp.NPY_INTP, 1)
        if not training or len(training) + len(evaluations) > 8:
            raise ValueError("an epoch must have a program of updates, and no more than eight in all.")
        self.rows, self.order, self.generators = rows, rows.copy(), []
        self.programs, self.arrays_kept = [], []
        self.epochs.kernels, self.epochs.passes, self.epochs.n_training = &table.f64, self.passes, len(training)
        self.epochs.generator = NULL
        if bit_generator is not None:
            self.epochs.generator = generator_of(bit_generator)
            self.generators.append(bit_generator)
        for program, steps in training:
            self.append(program, self.order[used:], steps, False)
            if program.squares is None or program.program.first_update == program.program.n_ops:
                raise ValueError("a program of updates must have some and must leave the squares of the parameters.")
            if self.squares is not None and program.squares is not self.squares:
                raise ValueError("all programs of updates must leave the squares at one place.")
            self.squares = program.squares
            self.epochs.n_penalized = program.n_penalized
            self.epochs.updates += steps
            used += steps * program.batch
        for program, its_rows, steps, validates in evaluations:
            self.append(program, its_rows, steps, validates)
            if program.program.first_update < program.program.n_ops:
                raise ValueError("a program of evaluations must have no updates.")
        self.epochs.rows, self.epochs.order = <const intptr_t *>data(rows), <intptr_t *>data(self.order)
        self.epochs.n_rows = cnp.PyArray_DIM(rows, 0)
        self.epochs.squares = <const double *>data(self.squares)
        self.epochs.n_squares = cnp.PyArray_DIM(self.squares, 0)
        self.check_finite(statistics)
        if score is not None:
            self.keep_the_best(score, copies)

    def __dealloc__(self):
        free(self.statistics)
        free(self.copies)

    cdef int append(self, Program program, cnp.ndarray rows, idx steps, bint validates) except -1:
        cdef sdl_pass *new = &self.passes[self.epochs.n_passes]
        if program is None or not program.finished:
            raise ValueError("all programs of an epoch must be finished.")
        require(rows, "rows", cnp.NPY_INTP, 1)
        if steps < 1 or program.batch < 1 or cnp.PyArray_DIM(rows, 0) // program.batch < steps:
            raise ValueError(f"rows must hold {steps} x {program.batch}, at least one, got {cnp.PyArray_DIM(rows, 0)}.")
        new.program, new.validates = &program.program, validates
        new.run.rows, new.run.batch, new.run.steps = <const intptr_t *>data(rows), program.batch, steps
        self.generators += program.generators
        self.programs.append(program)
        self.arrays_kept.append(rows)
        self.epochs.n_passes += 1
        self.epochs.width += steps * program.program.n_outputs
        return 0

    cdef int check_finite(self, list statistics) except -1:
        """Have each epoch end with a look at these arrays."""
        cdef cnp.ndarray array
        cdef idx i
        self.arrays_kept += statistics
        self.statistics = <sdl_array *>calloc(len(statistics) + 1, sizeof(sdl_array))
        if self.statistics == NULL:
            raise MemoryError("not enough memory for a list of arrays.")
        for i, array in enumerate(statistics):
            require(array, "statistics", real_dtype(array, "statistics"), -1)
            self.statistics[i].kernels = kernels(cnp.PyArray_TYPE(array))
            self.statistics[i].values, self.statistics[i].size = data(array), cnp.PyArray_SIZE(array)
        self.epochs.statistics, self.epochs.n_statistics = self.statistics, len(statistics)
        return 0

    cdef int keep_the_best(self, tuple score, list copies) except -1:
        """Have each epoch that is not worse than the best one end with copies of arrays."""
        cdef cnp.ndarray to, source
        cdef sdl_score *s = &self.epochs.score
        cdef idx i
        s.number, s.weight, s.total, s.sign, s.offset, s.tie, s.above_zero = score
        validating = [
            self.passes[i].program.n_outputs for i in range(self.epochs.n_passes) if self.passes[i].validates
        ]
        if not validating or not 0 <= s.number < min(validating) or not -1 <= s.weight < min(validating):
            raise ValueError(f"a score must be made of numbers that all validating programs return, got {score}.")
        self.copies = <sdl_copy *>calloc(len(copies) + 1, sizeof(sdl_copy))
        if self.copies == NULL:
            raise MemoryError("not enough memory for a list of arrays.")
        for i, (to, source) in enumerate(copies):
            require(source, "from", real_dtype(source, "from"), -1)
            check_same_shape(to, "to", cnp.PyArray_TYPE(source), source, "from", True)
            if overlap(to, source):
                raise ValueError("to must not overlap from.")
            self.arrays_kept += (to, source)
            self.copies[i].to, self.copies[i]._from = data(to), data(source)
            self.copies[i].bytes = cnp.PyArray_NBYTES(source)
        self.epochs.copies, self.epochs.n_copies = self.copies, len(copies)
        return 0

    def run(
        self, cnp.ndarray rates not None, double count, double reg, double best, double seconds, int n_threads,
        tuple watch=None
    ):
        """Make epochs until the time is up, numbers are not finite, or there is no more gain.

        Parameters
        ----------
        rates : ndarray of float64 of shape (epochs, updates of an epoch)
            Learning rates.
        count : float
            Number of the first update, from 1.
        reg : float
        best : float
            The best score so far.
        seconds : float
            No epoch is begun after so many, but for the first.
        n_threads : int
        watch : tuple (tol, best, patience, without_gain, by_score) or None
            The last epoch is one after which more than `patience` in a row, of which there were `without_gain` before,
            had no score above the best one by more than `tol`. by_score: that which `copies` depend on; else less the
            mean loss of the updates. None: never.

        Returns
        -------
        numbers : ndarray of shape (epochs, numbers of an epoch)
            Losses of the updates, then the numbers of each evaluation, of shape (numbers of a step, steps).
        ended : ndarray of shape (epochs,)
            Seconds from the beginning to each epoch's end.
        done : int
            How many epochs are whole.
        updates : int
            How many losses of the next one are known: more than none if what was learned or scored is not finite.
        finite : bool
            Whether the last of these is. If not, its update was not made.

        Raises
        ------
        IndexError, ValueError
            As `Program.run`.
        """
        cdef sdl_epochs *epochs = &self.epochs
        cdef sdl_watch *w
        cdef idx done = 0, updates = 0
        cdef int finite = 1, status
        require(rates, "rates", cnp.NPY_DOUBLE, 2)
        axis(rates, "rates", 1, epochs.updates)
        threads(n_threads)
        cdef idx n = cnp.PyArray_DIM(rates, 0)
        cdef cnp.ndarray numbers = cnp.PyArray_EMPTY(2, [n, epochs.width], cnp.NPY_DOUBLE, 0)
        cdef cnp.ndarray ended = cnp.PyArray_EMPTY(1, [n], cnp.NPY_DOUBLE, 0)
        claim(self.programs)
        try:
            epochs.epochs, epochs.count, epochs.reg, epochs.best = n, count, reg, best
            epochs.rates, epochs.most_seconds, epochs.n_threads = <const double *>data(rates), seconds, n_threads
            epochs.numbers, epochs.seconds = <double *>data(numbers), <double *>data(ended)
            epochs.watch.patience = -1
            if watch is not None:
                w = &epochs.watch
                w.tol, w.best, w.patience, w.without_gain, w.by_score = watch
                if w.by_score and epochs.n_copies == 0:
                    raise ValueError("there is no score to watch.")
            with locked(self.generators):
                with nogil:
                    status = sdl_replay_epochs(epochs, &done, &updates, &finite)
        finally:
            release(self.programs)
        check_status(status)
        return numbers, ended, done, updates, finite != 0
