"""Watcher: the interface through which others follow and end training."""


class Watcher:
    """Looks on while a `Solver` trains. Subclasses override what they care for.

    An error that a watcher raises ends the training, as any other error does.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_dl.nets import FullyConnected
    >>> from sklearn_dl.solver import Solver, Watcher
    >>> class UntilGoodEnough(Watcher):
    ...     def on_epoch_end(self, solver):
    ...         return solver.train_acc_history[-1] > 0.8
    >>> X, y = load_digits(return_X_y=True)
    >>> net = FullyConnected([50], 64, 10, weight_scale="he", random_state=0)
    >>> options = {"update_rule": "adam", "num_epochs": 50, "verbose": False, "random_state": 0}
    >>> solver = Solver(net, {"X_train": X, "y_train": y}, watchers=[UntilGoodEnough()], **options)
    >>> solver.train()
    >>> solver.epoch < 50, solver.train_acc_history[-1] > 0.8
    (True, True)
    """

    @property
    def each_update(self):
        """Whether `on_update` must run after each update, one by one: if the class has one of its own.

        A subclass may set it to False. The solver then makes updates without Python between them where it can, and runs
        `on_update` every few hundredths of a second, after one update or several.
        """
        return type(self).on_update is not Watcher.on_update

    def on_train_begin(self, solver):
        """Run before the first epoch; the accuracies before training are recorded.

        Parameters
        ----------
        solver : Solver
            The one that trains.
        """

    def on_epoch_begin(self, solver):
        """Run before the first update of an epoch.

        Parameters
        ----------
        solver : Solver
            The one that trains.
        """

    def on_update(self, solver):
        """Run after each update, in the innermost loop: be quick.

        Parameters
        ----------
        solver : Solver
            The one that trains.
        """

    def on_epoch_end(self, solver):
        """Run after each epoch, which is recorded.

        Parameters
        ----------
        solver : Solver
            The one that trains.

        Returns
        -------
        stop : bool or None
            Whether training is to end.
        """

    def close(self):
        """Run when no epoch is left, and after an error."""

    def on_train_end(self, solver):
        """Run last, unless there was an error; the net holds its best validation weights.

        Parameters
        ----------
        solver : Solver
            The one that has trained.
        """
