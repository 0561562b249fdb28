"""The libraries, each trained in the way that its users would call fast.

Every class has the same four methods:

``prepare(row)``
    Makes the net of the row with its first weights.
``losses(count)``
    Trains the prepared net for `count` steps in the order of the data; returns the loss of each
    minibatch, penalty included, before its step. For comparison, not for timing.
``steps(count)``
    Trains for `count` minibatches in random order. This is what is timed.
``predict(count)``
    Predicts the classes of the first `count` samples. The nets of sklearn_dl leave it to the
    estimators.

All hold the data in memory as float rows, draw a fresh order for each epoch, and add the penalty to
the weights' gradient but not to the biases'. The training set is cut to whole minibatches, so that
a step is always `batch` samples and JAX compiles once. sklearn_dl keeps its losses and takes
accuracies as it always does; the bare loops of PyTorch and JAX do not even read theirs.
"""

import math
from functools import lru_cache

import numpy as np
from _rows import SEED
from _workers import memory
from scipy.special import log_softmax

PREDICT_BATCH = 250


@lru_cache(maxsize=1)
def _load(data):
    """Return the data; libraries in one process share it, none writes to it."""
    return data.load()


class Peer:
    """A library: what its process is called, how it is called in tables, and the data it is given.

    Parameters
    ----------
    data : DataSpec
    threads : int
    """

    library = ""
    label = ""

    def __init__(self, data, threads):
        self.threads = threads
        self.all_X, self.all_y = _load(data)
        # Pixels that are stored as uint8 are trained on as float32.
        self.dtype = np.dtype("float32" if data.dtype == "uint8" else data.dtype)

    @staticmethod
    def supports(row):
        """Return whether the library has this net."""
        return True

    def prepare(self, row):
        """Take the row and the data it is trained on; subclasses then make the net."""
        self.row = row
        usable = len(self.all_y) - len(self.all_y) % row.batch
        self.X = self.all_X[:usable]
        if self.X.shape[1:] != row.sample_shape:
            self.X = self.X.reshape(-1, *row.sample_shape)
        self.y = self.all_y[:usable]
        self.rng = np.random.RandomState(SEED)

    def minibatches(self, count):
        """Yield the rows of `count` minibatches; each epoch is a fresh random order."""
        batch = self.row.batch
        done = 0
        while done < count:
            order = self.rng.permutation(len(self.X))
            for start in range(0, min(len(order), (count - done) * batch), batch):
                yield order[start : start + batch]
                done += 1

    def in_order(self, count):
        """Yield the first `count` minibatches in the order of the data."""
        batch = self.row.batch
        for start in range(0, count * batch, batch):
            yield np.arange(start, start + batch)

    def repeat(self, method, rows, count):
        """Predict so many rows with a method, so many times."""
        predict = getattr(self, method)
        for _ in range(count):
            predict(rows)

    def memory(self):
        """Return (bytes this process holds, the most since the last call), or None."""
        return memory()


class Estimator(Peer):
    """sklearn_dl through its estimators: a whole `fit`, set-up and accuracies included."""

    library = "sklearn_dl"
    label = "sklearn_dl fit"

    def __init__(self, data, threads):
        import sklearn_dl

        super().__init__(data, threads)
        self.sklearn_dl = sklearn_dl

    def prepare(self, row):
        """Make the estimator whose net is the row's."""
        super().prepare(row)
        own = {}
        if row.filters:
            cls = self.sklearn_dl.ThreeLayerConvNet
            own = {
                "num_filters": row.filters,
                "filter_size": row.filter_size,
                "hidden_dim": row.hidden[0],
            }
        elif not row.hidden:
            cls = self.sklearn_dl.Softmax
        elif len(row.hidden) == 1:
            cls, own = self.sklearn_dl.TwoLayerNet, {"hidden_dim": row.hidden[0]}
        else:
            cls, own = self.sklearn_dl.FullyConnectedNet, {"hidden_dims": row.hidden}
        self.estimator = cls(
            learning_rate=row.learning_rate,
            reg=row.reg if row.hidden else row.reg / 2,  # Softmax's penalty lacks the half
            batch_size=row.batch,
            update_rule=row.rule,
            weight_scale=row.weight_scale,
            dtype=self.dtype.name,
            random_state=SEED,
            **own,
        )

    def losses(self, count):
        self.estimator.set_params(num_iters=count, shuffle=False)
        return self.estimator.fit(self.X, self.y).loss_history_

    def steps(self, count):
        self.estimator.set_params(num_iters=count, shuffle=True)
        self.estimator.fit(self.X, self.y)

    def keep_first_weights(self):
        """Fit without moving the weights."""
        self.estimator.set_params(num_iters=1, learning_rate=0.0, reg=0.0)
        self.estimator.fit(self.X, self.y)

    def predict(self, count):
        return self.estimator.predict(self.X[:count])


class NetAndSolver(Peer):
    """sklearn_dl without scikit-learn: a net and a Solver."""

    library = "sklearn_dl"
    label = "sklearn_dl Solver"

    def __init__(self, data, threads):
        from sklearn_dl import nets, solver

        super().__init__(data, threads)
        self.nets, self.Solver = nets, solver.Solver

    def prepare(self, row):
        """Make the net, its weights drawn by sklearn_dl itself."""
        super().prepare(row)
        shared = {
            "num_classes": row.classes,
            "reg": row.reg,
            "weight_scale": row.weight_scale,
            "dtype": self.dtype,
            "random_state": SEED,
        }
        if row.filters:
            self.net = self.nets.ThreeLayerConv(row.image, row.filters, row.filter_size, row.hidden[0], **shared)
        else:
            self.net = self.nets.FullyConnected(row.hidden, row.sample_shape[0], **shared)
        self.solver = self._solver(shuffle=True)

    def _solver(self, shuffle):
        return self.Solver(
            self.net,
            {"X_train": self.X, "y_train": self.y},
            update_rule=self.row.rule,
            optim_config={"learning_rate": self.row.learning_rate},
            batch_size=self.row.batch,
            num_iters=0,
            shuffle=shuffle,
            verbose=False,
            random_state=SEED,
        )

    def losses(self, count):
        solver = self._solver(shuffle=False)
        solver.num_iters = count
        solver.train()
        return solver.loss_history

    def steps(self, count):
        self.solver.num_iters = self.solver.num_updates + count
        self.solver.train()


class Torch(Peer):
    """PyTorch's usual loop, eager, without a DataLoader, which takes rows one by one.

    The memory format channels_last was tried for the convolutional nets, and is slower.
    """

    library = "torch"
    label = "PyTorch"
    fused = None

    def __init__(self, data, threads):
        import _torch_nets
        import torch

        super().__init__(data, threads)
        torch.set_num_threads(threads)
        self.torch, self.nets = torch, _torch_nets

    def prepare(self, row):
        """Make the module and its optimizer."""
        torch = self.torch
        super().prepare(row)
        self.module = self.nets.make_module(row, row.first_params(self.dtype))
        weights = [p for p in self.module.parameters() if p.ndim > 1]
        biases = [p for p in self.module.parameters() if p.ndim == 1]
        groups = [{"params": weights, "weight_decay": row.reg}, {"params": biases}]
        rule = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[row.rule]
        self.optimizer = rule(groups, lr=row.learning_rate, fused=self.fused)
        self.tensor_X = torch.from_numpy(self.X)
        self.tensor_y = torch.from_numpy(self.y)

    def _step(self, rows):
        torch = self.torch
        rows = torch.from_numpy(rows)
        X = self.tensor_X.index_select(0, rows)
        if X.dtype == torch.uint8:
            X = X.float()
        y = self.tensor_y.index_select(0, rows)
        self.optimizer.zero_grad(set_to_none=True)
        loss = torch.nn.functional.cross_entropy(self.module(X), y)
        loss.backward()
        self.optimizer.step()
        return loss

    def losses(self, count):
        losses = []
        for rows in self.in_order(count):
            penalty = self.nets.penalty(self.module, self.row.reg)
            losses.append(self._step(rows).item() + penalty)
        return losses

    def steps(self, count):
        for rows in self.minibatches(count):
            self._step(rows)

    def predict(self, count):
        with self.torch.inference_mode():
            parts = self.tensor_X[:count].split(PREDICT_BATCH)
            return self.torch.cat([self.module(part).argmax(1) for part in parts]).numpy()

    def predict_at_once(self, count):
        """Predict all samples as one batch."""
        with self.torch.inference_mode():
            return self.module(self.tensor_X[:count]).argmax(1).numpy()


class TorchFused(Torch):
    """PyTorch with the optimizers that update all in one pass."""

    label = "PyTorch fused"
    fused = True


class Skorch(Peer):
    """The same PyTorch module under skorch, with skorch's own DataLoader and history."""

    library = "torch"
    label = "skorch"

    def __init__(self, data, threads):
        import _torch_nets
        import skorch
        import torch

        super().__init__(data, threads)
        torch.set_num_threads(threads)
        self.skorch, self.torch, self.nets = skorch, torch, _torch_nets

    def prepare(self, row):
        """Make an initialized NeuralNetClassifier that holds the first weights."""
        super().prepare(row)
        nn, optim = self.torch.nn, self.torch.optim
        self.net = self.skorch.NeuralNetClassifier(
            self.nets.make_module(row, row.first_params(self.dtype)),
            criterion=nn.CrossEntropyLoss,
            optimizer={"sgd": optim.SGD, "adam": optim.Adam}[row.rule],
            lr=row.learning_rate,
            optimizer__param_groups=[("*weight", {"weight_decay": row.reg})],
            batch_size=row.batch,
            max_epochs=1,
            train_split=None,
            iterator_train__shuffle=True,
            verbose=0,
        ).initialize()

    def losses(self, count):
        losses = []
        for rows in self.in_order(count):
            penalty = self.nets.penalty(self.net.module_, self.row.reg)
            self.net.partial_fit(self.X[rows], self.y[rows])
            losses.append(self.net.history[-1, "train_loss"] + penalty)
        return losses

    def steps(self, count):
        for part in epochs(count, self.row.batch, len(self.X)):
            self.net.partial_fit(self.X[:part], self.y[:part])

    def predict(self, count):
        return self.net.predict(self.X[:count])


class MLP(Peer):
    """scikit-learn's MLPClassifier, an epoch a call of `partial_fit`.

    Its shuffling and its solvers are its own. Its penalty is alpha over the size of the minibatch,
    so alpha is batch times reg; Adam's epsilon stands outside of its bias correction, which shows
    in the last digits of a loss. The losses are taken from its weights, because its own are of
    clipped probabilities.
    """

    library = "sklearn"
    label = "MLPClassifier"

    @staticmethod
    def supports(row):
        """Return whether the net is fully connected."""
        return not row.filters

    def __init__(self, data, threads):
        from sklearn.neural_network import MLPClassifier

        super().__init__(data, threads)
        self.MLPClassifier = MLPClassifier

    def prepare(self, row):
        """Make the classifier, and give it the first weights in place of those it has drawn."""
        super().prepare(row)
        self.mlp = self.MLPClassifier(
            row.hidden,
            solver=row.rule,
            alpha=row.reg * row.batch,
            batch_size=row.batch,
            learning_rate_init=row.learning_rate,
            momentum=0,
            nesterovs_momentum=False,
            random_state=SEED,
        )
        self.mlp.partial_fit(self.X[: row.batch], self.y[: row.batch], classes=np.arange(row.classes))
        params = row.first_params(self.dtype)
        self.mlp.coefs_ = [w for w, _ in params]
        self.mlp.intercepts_ = [b for _, b in params]
        del self.mlp._optimizer

    def losses(self, count):
        losses = []
        for rows in self.in_order(count):
            losses.append(self._loss(self.X[rows], self.y[rows]))
            self.mlp.partial_fit(self.X[rows], self.y[rows])
        return losses

    def _loss(self, X, y):
        *hidden, last = zip(self.mlp.coefs_, self.mlp.intercepts_, strict=True)
        for w, b in hidden:
            X = np.maximum(X @ w + b, 0)
        logs = log_softmax(X @ last[0] + last[1], axis=1)
        penalty = 0.5 * self.row.reg * sum(np.square(w).sum() for w in self.mlp.coefs_)
        return -logs[np.arange(len(y)), y].mean() + penalty

    def steps(self, count):
        for part in epochs(count, self.row.batch, len(self.y)):
            self.mlp.partial_fit(self.X[:part], self.y[:part])

    def predict(self, count):
        return self.mlp.predict(self.X[:count])


def epochs(count, batch, size):
    """Yield how many samples to visit in each of the epochs that make `count` minibatches."""
    left = count * batch
    while left > 0:
        yield min(left, size)
        left -= size


class Jax(Peer):
    """JAX: gather, gradients and update in one compiled step, its buffers donated.

    The layout NHWC was tried for the convolutional nets, and is no faster.
    """

    library = "jax"
    label = "JAX"

    def __init__(self, data, threads):
        import jax

        super().__init__(data, threads)
        jax.config.update("jax_enable_x64", self.dtype == np.float64)
        self.jax = jax

    def prepare(self, row):
        """Put the data and the first weights into JAX's arrays."""
        super().prepare(row)
        self.step, self.scores = jax_functions(row)
        self.params = self.jax.device_put(row.first_params(self.dtype))
        zeros = self.jax.tree.map(np.zeros_like, row.first_params(self.dtype))
        moments = [self.jax.device_put(zeros), self.jax.tree.map(np.copy, zeros)]
        self.state = (0, *self.jax.device_put(moments)) if row.rule == "adam" else ()
        self.device_X = self.jax.device_put(self.X)
        self.device_y = self.jax.device_put(self.y.astype(np.int32))

    def _step(self, rows):
        self.params, self.state, loss = self.step(
            self.params, self.state, self.device_X, self.device_y, rows.astype(np.int32)
        )
        return loss

    def losses(self, count):
        losses = []
        for rows in self.in_order(count):
            penalty = 0.5 * self.row.reg * sum(float((w * w).sum()) for w, _ in self.params)
            losses.append(float(self._step(rows)) + penalty)
        return losses

    def steps(self, count):
        for rows in self.minibatches(count):
            loss = self._step(rows)
        loss.block_until_ready()

    def predict(self, count):
        if count <= PREDICT_BATCH:
            return np.asarray(self.scores(self.params, self.X[:count]).argmax(1))
        parts = range(0, count, PREDICT_BATCH)
        return np.concatenate([self.scores(self.params, self.X[k : k + PREDICT_BATCH]).argmax(1) for k in parts])


class JaxScan(Jax):
    """JAX with the steps of an epoch in one `lax.scan`: one dispatch an epoch, its buffers donated."""

    label = "JAX scan"

    def _scan(self, rows):
        """Train on minibatches, rows (steps, batch); return their losses."""
        rows = rows.astype(np.int32)
        self.params, self.state, losses = self.step.epoch(self.params, self.state, self.device_X, self.device_y, rows)
        return losses

    def losses(self, count):
        rows = np.stack(list(self.in_order(count)))
        if self.row.reg:  # the penalty is of the weights before each step
            return super().losses(count)
        return np.asarray(self._scan(rows)).tolist()

    def steps(self, count):
        per_epoch = len(self.X) // self.row.batch
        for _ in range(count // per_epoch):
            losses = self._scan(self.rng.permutation(len(self.X)).reshape(per_epoch, -1))
        if count >= per_epoch:
            losses.block_until_ready()
        if count % per_epoch:  # another number of steps would have to be compiled
            super().steps(count % per_epoch)


def jax_functions(row):
    """Return (training step, scores) of the row's net, both compiled; the step's `epoch` is a scan of it."""
    import jax
    import jax.numpy as jnp

    def scores(params, X):
        if row.filters:
            (w, b), *params = params
            X = jax.lax.conv_general_dilated(X, w, (1, 1), "SAME") + b[:, None, None]
            X = jax.nn.relu(X)
            X = jax.lax.reduce_window(X, -jnp.inf, jax.lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")
            X = X.reshape(len(X), -1)
        for w, b in params[:-1]:
            X = jax.nn.relu(X @ w + b)
        w, b = params[-1]
        return X @ w + b

    def data_loss(params, X, y):
        logs = jax.nn.log_softmax(scores(params, X))
        return -jnp.take_along_axis(logs, y[:, None], 1).mean()

    def adam(params, grads, state):
        t, m, v = state
        t = t + 1
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, grads)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, grads)
        rate = row.learning_rate / (1 - 0.9**t)
        root = jnp.sqrt(1 - 0.999**t)
        params = jax.tree.map(
            lambda p, m, v: p - (rate * m / (jnp.sqrt(v) / root + 1e-8)).astype(p.dtype),
            params,
            m,
            v,
        )
        return params, (t, m, v)

    def step(params, state, X, y, rows):
        X = X[rows]
        if X.dtype == jnp.uint8:
            X = X.astype(jnp.float32)
        loss, grads = jax.value_and_grad(data_loss)(params, X, y[rows])
        if row.reg:
            grads = [(dw + row.reg * w, db) for (dw, db), (w, _) in zip(grads, params, strict=True)]
        if row.rule == "adam":
            params, state = adam(params, grads, state)
        else:
            params = jax.tree.map(lambda p, g: p - row.learning_rate * g, params, grads)
        return params, state, loss

    def epoch(params, state, X, y, rows):
        def one(carry, rows):
            params, state, loss = step(*carry, X, y, rows)
            return (params, state), loss

        (params, state), losses = jax.lax.scan(one, (params, state), rows)
        return params, state, losses

    def compiled_step(*arguments):
        return jitted_step(*arguments)

    jitted_step = jax.jit(step, donate_argnums=(0, 1))
    compiled_step.epoch = jax.jit(epoch, donate_argnums=(0, 1))
    return compiled_step, jax.jit(scores)


class Gemm:
    """NumPy's product of two square matrices: the rate that shares of the machine are taken of.

    Parameters
    ----------
    dtype : str
    size : int
        Rows and columns.
    """

    library = "numpy"

    def __init__(self, dtype, size):
        rng = np.random.RandomState(SEED)
        self.a, self.b = (rng.standard_normal((size, size)).astype(dtype) for _ in range(2))
        self.out = np.empty_like(self.a)

    def steps(self, count):
        """Multiply `count` times."""
        for _ in range(count):
            np.matmul(self.a, self.b, out=self.out)

    def flops(self):
        """Return the arithmetic of one product."""
        return 2 * math.prod(self.a.shape) * self.a.shape[1]


# In the order of the tables. The first two are ours.
PEERS = (Estimator, NetAndSolver, Torch, TorchFused, Jax, JaxScan, MLP, Skorch)
OURS = (Estimator, NetAndSolver)
