"""What a solver needs of a net. What a net that is no `Net` has is found out here, and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from sklearn_dl.nets.heads import Head, SoftmaxHead
from sklearn_dl.nets.net import Net, l2_penalty, loss_takes_weights, trains_on_head, trains_through_loss

__all__ = ["NetLike", "Trainee"]


class NetLike(Protocol):
    """What a net must have to be trained: parameters, and a loss with its gradients.

    Whatever else a `Net` has is used where it is there: ``backprop``, ``dtype``, ``input_shape``, ``num_classes``,
    ``statistics``, ``random_state``, ``head``; and with ``backprop``, whose loss is without a penalty, ``reg`` and
    ``weight_names``.
    """

    params: dict[str, np.ndarray]

    def loss(self, X: Any, y: Any = None) -> Any:
        """Return scores (N, num_classes), or with y the loss and the gradients by name."""
        ...


class Trainee:
    """A net as a solver sees it.

    Parameters
    ----------
    net : NetLike

    Attributes
    ----------
    dtype : dtype
        What minibatches are converted to.
    through_loss : bool
        Whether it is trained on what its ``loss`` returns, the penalty included, and not on ``backprop``.
    takes_weights : bool
        Whether samples may have weights in training.
    knows_loss : bool
        Whether its loss is that of its head.
    head : Head
        What takes targets and judges scores; a net without one has classes as targets.
    n_scores : int or None
    input_shape : tuple of int
        Empty if it does not tell.
    """

    def __init__(self, net: NetLike) -> None:
        self.net = net
        self.is_net = isinstance(net, Net)
        self.dtype = getattr(net, "dtype", np.result_type(*net.params.values(), np.float32))
        self.through_loss = trains_through_loss(net) if self.is_net else not hasattr(net, "backprop")
        self.takes_weights = not self.through_loss or loss_takes_weights(net)
        self.knows_loss = self.is_net and trains_on_head(net)
        self.n_scores: int | None = getattr(net, "num_classes", None)
        self.input_shape: tuple[int, ...] = getattr(net, "input_shape", ())

    @property
    def head(self) -> Head:
        """The net's head, as it is now."""
        head = getattr(self.net, "head", None)
        return head if isinstance(head, Head) else SoftmaxHead()

    @property
    def reg(self) -> float:
        """Strength of its penalty."""
        return getattr(self.net, "reg", 0.0)

    @property
    def penalized(self) -> Sequence[str]:
        """Names of the parameters whose penalty, and its gradient, the solver adds."""
        return () if self.through_loss else getattr(self.net, "weight_names", ())

    def penalty(self, squares: dict[str, float] | None = None) -> float:
        """Return the penalty that the solver adds; `squares` as `l2_penalty` takes them."""
        return l2_penalty(self.reg, self.net.params, self.penalized, squares)

    @property
    def takes_rows(self) -> bool:
        """Whether ``backprop`` takes a whole data set and the rows of a minibatch."""
        return self.is_net and self.net.takes_rows  # type: ignore[attr-defined]

    @property
    def backprop(self) -> Any:
        """Loss and gradients of a minibatch, for a caller that leaves zeros in the gradients zero."""
        if self.is_net and is_own(self.net, "backprop"):
            return self.net._backprop  # type: ignore[attr-defined]
        return self.net.backprop  # type: ignore[attr-defined]

    @property
    def varying_layers(self) -> tuple:
        """The layers that make the loss depend on minibatches or draws."""
        return getattr(self.net, "varying_layers", ())

    def check_takes_csr(self) -> None:
        """Raise TypeError for a `Net` that takes no sparse X."""
        if self.is_net:
            self.net.check_takes_csr()  # type: ignore[attr-defined]

    @property
    def statistics(self) -> dict[str, np.ndarray]:
        """Arrays that training changes beside the parameters."""
        return getattr(self.net, "statistics", {})

    @property
    def random_state(self) -> np.random.RandomState | None:
        """Where the net draws from."""
        return getattr(self.net, "random_state", None)


def _is_library_function(function):
    module = getattr(function, "__module__", None) or ""
    return module.startswith("sklearn_dl.") and not hasattr(function, "__wrapped__")


def is_own(thing, name):
    """Return whether a method is the library's, not a subclass's or one that was put in its place."""
    return name not in vars(thing) and _is_library_function(getattr(type(thing), name))
