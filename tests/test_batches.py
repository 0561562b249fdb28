"""Batches of rows: each row once and in order, with the time that each batch took."""

import time

import numpy as np
import pytest

from sklearn_dl.training.batches import batches


@pytest.mark.parametrize(("n_rows", "sizes"), [(0, []), (1, [1]), (4, [4]), (5, [4, 1]), (8, [4, 4]), (11, [4, 4, 3])])
def test_each_row_is_in_one_batch(n_rows, sizes):
    rows = np.arange(n_rows)
    found = [rows[part] for part in batches(n_rows, 4)]
    assert [len(batch) for batch in found] == sizes
    np.testing.assert_array_equal(np.concatenate([rows[:0], *found]), rows)


def test_a_tuner_notes_what_each_batch_took():
    class Tuner:
        def __init__(self):
            self.notes = []

        def note(self, began, n_samples):
            self.notes.append((began, time.perf_counter(), n_samples))

    tuner, inside = Tuner(), []
    for part in batches(7, 3, tuner):
        assert len(tuner.notes) == len(inside)
        inside.append((time.perf_counter(), part.stop - part.start))
    assert [n for _, _, n in tuner.notes] == [n for _, n in inside] == [3, 3, 1]
    assert all(began <= moment <= ended for (began, ended, _), (moment, _) in zip(tuner.notes, inside, strict=True))
