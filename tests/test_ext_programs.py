"""Programs and epochs of recorded kernel calls: in what order they may be used, by whom, and what they keep."""

import copy
import gc
import pickle
import threading

import numpy as np
import pytest

from sklearn_dl import _ext
from sklearn_dl.training import _program

from ._recorded import NETS, solver_of

ROWS = np.arange(4)


def evaluation(generator=None):
    """Return a program that gathers labels and returns their loss; the generator, if there is one, is drawn from."""
    program, y = _ext.Program(), np.arange(8) % 3
    with program:
        labels = np.zeros(4, np.int64)
        if generator is not None:
            _ext.draw_mask(generator, 0.5, np.zeros(4, bool))
        _ext.gather_items(y, ROWS, labels)
        _ext.softmax_loss(np.zeros((4, 3)), labels, None, None)
    return program


def updates():
    """Return a program of updates of one parameter, that parameter and where the sum of its squares goes."""
    program, w, squares = evaluation(), np.ones(5), np.zeros(1)
    with program.updates():
        _ext.sgd(w, np.ones(5), 0.1, 0.0, 1)
    program.finish(ROWS, [w], squares, 1)
    return program, w, squares


def finished(generator=None):
    program = evaluation(generator)
    program.finish(ROWS)
    return program


def run(program, steps=1):
    return program.run(np.tile(ROWS, steps), np.zeros((1, steps)), np.full(steps, 0.1))


def test_a_program_is_recorded_then_finished_then_run():
    program = evaluation()
    with pytest.raises(RuntimeError, match="must be finished before it is run"):
        run(program)
    with program, pytest.raises(RuntimeError, match="finish must follow a recording, once"):
        program.finish(ROWS)
    program.finish(ROWS)
    with pytest.raises(RuntimeError, match="finish must follow a recording, once"):
        program.finish(ROWS)
    with pytest.raises(RuntimeError, match="must not be continued after finish"), program:
        pass
    assert run(program, 3) == (3, True)


def test_params_need_a_place_for_their_squares():
    program, w = evaluation(), np.ones(3)
    with program.updates():
        _ext.sgd(w, np.ones(3), 0.1, 0.0, 1)
    with pytest.raises(ValueError, match="squares must be given"):
        program.finish(ROWS, [w])


def test_a_param_whose_kernel_returns_no_number_has_no_update():
    program, w = evaluation(), np.ones(3)
    with program.updates():
        _ext.update_average(w, np.ones(3), 0.5)
    with pytest.raises(ValueError, match=r"params\[0\] has no recorded update"):
        program.finish(ROWS, [w], np.zeros(1))


def test_finish_after_one_that_failed():
    program, y, sums = _ext.Program(), np.arange(8) % 3, []
    with program:
        for _ in range(40):  # more than the first piece of memory for their places holds
            labels = np.zeros(4, np.int64)
            _ext.gather_items(y, ROWS, labels)
            sums.append(labels)
        _ext.softmax_loss(np.zeros((4, 3)), labels, None, None)
    for _ in range(3):
        with pytest.raises(ValueError, match=r"params\[0\] has no recorded update"):
            program.finish(ROWS, [np.ones(3)], np.zeros(1))
    program.finish(ROWS)
    assert program.run(ROWS[::-1].copy(), np.zeros((1, 1))) == (1, True)
    for labels in sums:
        np.testing.assert_array_equal(labels, y[3::-1])


class Interrupting:
    """A bit generator that has something called while its lock is taken."""

    def __init__(self):
        self.generator = np.random.MT19937(0)
        self.capsule = self.generator.capsule
        self.lock, self.calls = self, []

    def __enter__(self):
        for call in self.calls:
            call()

    def __exit__(self, *error):
        pass


def test_one_run_of_a_program_at_a_time():
    generator, caught = Interrupting(), []
    program = finished(generator)
    trained, _, _ = updates()
    epochs = _ext.Epochs(ROWS, None, [(trained, 1)], [(program, ROWS, 1, False)], [])

    def also(call):
        with pytest.raises(RuntimeError, match="a program must not be recorded or run by two threads at once"):
            call()
        caught.append(call)

    def run_epochs():
        return epochs.run(np.full((1, 1), 0.1), 1, 0.0, 0.0, 1.0, 1)

    generator.calls = [lambda: also(lambda: run(program))]
    assert run(program) == (1, True)
    # An epoch takes all its programs, those that draw nothing included.
    generator.calls += [lambda: also(run_epochs), lambda: also(lambda: run(trained))]
    assert run_epochs()[2] == 1
    assert len(caught) == 4
    # Whatever happens in a run, the next one can be made.
    generator.calls = [lambda: 1 / 0]
    for call in (lambda: run(program), run_epochs):
        with pytest.raises(ZeroDivisionError):
            call()
    generator.calls = []
    assert run(program) == (1, True)
    assert run_epochs()[2] == 1


def test_a_recording_is_closed_by_the_thread_that_has_opened_it():
    program, errors = _ext.Program(), []

    def close():
        try:
            program.__exit__(None, None, None)
        except RuntimeError as error:
            errors.append(error)

    with program:
        thread = threading.Thread(target=close)
        thread.start()
        thread.join()
        _ext.sum_of_squares(np.ones(3), 1)
    assert "by the thread that has opened it" in str(errors[0])
    assert program.names == ["sum_of_squares"]
    _ext.sum_of_squares(np.ones(3), 1)
    assert len(program.names) == 1


def test_two_threads_do_not_record_one_program():
    program, errors = _ext.Program(), []

    def record():
        try:
            with program:
                pass
        except RuntimeError as error:
            errors.append(error)

    with program:
        thread = threading.Thread(target=record)
        thread.start()
        thread.join()
    assert "two threads at once" in str(errors[0])


def test_what_a_program_points_to_lives_as_long_as_it():
    program, w, squares = updates()
    params, statistics = [w], [np.ones(2)]
    kept, best = w.copy(), finished()
    copies = [(kept, w)]
    epochs = _ext.Epochs(
        ROWS.copy(),
        np.random.MT19937(0),
        [(program, 1)],
        [(best, ROWS.copy(), 1, True)],
        statistics,
        (0, -1, 4.0, -1.0, 0.0, 0.0, False),
        copies,
    )
    # The caller's lists are the caller's.
    for given in (params, statistics, copies):
        given.clear()
    del program, best, squares
    gc.collect()
    junk = [np.full(n, np.nan) for n in range(1, 50)]
    *_, done, rest, finite = epochs.run(np.full((2, 1), 0.1), 1, 0.0, -np.inf, 1.0, 1)
    assert (done, rest, finite, len(junk)) == (2, 0, True, 49)
    np.testing.assert_array_equal(w, np.full(5, 1 - 0.1) - 0.1 - 0.1)  # one of them while it was recorded
    np.testing.assert_array_equal(kept, w)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickle.dumps])
def test_programs_are_not_copied(copied):
    program, _, _ = updates()
    for held in (program, _ext.Epochs(ROWS, None, [(program, 1)], [], [])):
        with pytest.raises(TypeError):
            copied(held)


def test_epochs_of_programs_that_do_not_fit():
    program, _, _ = updates()
    training = [(program, 1)]
    score = (0, -1, 4.0, 1.0, 0.0, 0.0, False)
    for unfinished in (evaluation(), None):
        for passes in ([(unfinished, 1)], []), (training, [(unfinished, ROWS, 1, True)]):
            with pytest.raises(ValueError, match="all programs of an epoch must be finished"):
                _ext.Epochs(ROWS, None, *passes, [])
    for steps in (0, -1, 2, 2**61, 2**62):  # times four rows: 0 in 64 bits
        with pytest.raises(ValueError, match="rows must hold"):
            _ext.Epochs(ROWS, None, [(program, steps)], [], [])
    plain = evaluation()
    plain.finish(ROWS, [], np.zeros(0))
    with pytest.raises(ValueError, match="a program of updates must have some"):
        _ext.Epochs(ROWS, None, [(plain, 1)], [], [])
    with pytest.raises(ValueError, match="a program of evaluations must have no updates"):
        _ext.Epochs(ROWS, None, training, [(program, ROWS, 1, True)], [])
    with pytest.raises(ValueError, match="a score must be made of"):
        _ext.Epochs(ROWS, None, training, [(finished(), ROWS, 1, False)], [], score, [])
    room = np.zeros(9)
    with pytest.raises(ValueError, match="to must not overlap from"):
        _ext.Epochs(ROWS, None, training, [(finished(), ROWS, 1, True)], [], score, [(room[:5], room[4:])])


def test_solvers_in_threads_are_those_of_one_thread():
    """Solvers that train at the same time are not in each other's way."""
    assert _program.enabled
    options = {"num_epochs": 30, "weighted": True, "validated": True}
    names = ["dropout", "deep", "conv", "dropout"]

    def train(i, results):
        solver = solver_of(NETS[names[i]](), random_state=i, **options)
        solver.train()
        results[i] = {name: w.tobytes() for name, w in solver.net.params.items()}

    expected, results = {}, {}
    for i in range(len(names)):
        train(i, expected)
    threads = [threading.Thread(target=train, args=(i, results)) for i in range(len(names))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert results == expected
