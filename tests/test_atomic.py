"""Files that appear complete or not at all, and what killed processes leave behind."""

import multiprocessing
import os
import resource
import signal
import stat
import time

import pytest

from sklearn_dl import TwoLayerNet, _atomic
from sklearn_dl._atomic import check_replaceable, replacing


def left(folder):
    return sorted(path.name for path in folder.iterdir() if path.name.endswith(".tmp"))


def write_half(path, ready):
    with replacing(str(path)) as file:
        file.write(b"half")
        file.flush()
        ready.set()
        time.sleep(60)


@pytest.fixture
def writer(tmp_path):
    """Return a process that has written half of a file."""
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    process = context.Process(target=write_half, args=(tmp_path / "file", ready))
    process.start()
    assert ready.wait(10)
    yield process
    process.kill()
    process.join()


def test_files_of_killed_processes_are_removed_by_the_next_save(writer, tmp_path):
    os.kill(writer.pid, signal.SIGKILL)
    writer.join()
    assert len(left(tmp_path)) == 1
    TwoLayerNet().save(tmp_path / "another")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["another"]


def test_files_of_killed_processes_are_removed_by_a_fit_that_writes_nothing(writer, tmp_path):
    net = TwoLayerNet(num_epochs=1, tol=None, random_state=0, checkpoint=tmp_path / "another")
    net.fit([[0.0], [1.0]] * 20, [0, 1] * 20)
    os.kill(writer.pid, signal.SIGKILL)
    writer.join()
    assert len(left(tmp_path)) == 1
    net.fit([[0.0], [1.0]] * 20, [0, 1] * 20)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["another"]


def test_those_of_a_process_that_lives_stay(writer, tmp_path):
    with replacing(str(tmp_path / "file")) as file:
        file.write(b"whole")
    assert len(left(tmp_path)) == 1
    assert (tmp_path / "file").read_bytes() == b"whole"


def test_those_of_other_threads_stay(tmp_path):
    with replacing(str(tmp_path / "first")) as first:
        with replacing(str(tmp_path / "second")) as second:
            second.write(b"2")
        first.write(b"1")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"first": b"1", "second": b"2"}


def test_only_temporary_files_are_removed(tmp_path):
    names = [".sklearn_dl-notes.tmp", "sklearn_dl-0123456789abcdef.tmp", ".sklearn_dl-0123456789abcdef.tmp.bak"]
    for name in names:
        (tmp_path / name).write_text("")
    target = tmp_path / "elsewhere"
    target.write_text("kept")
    (tmp_path / ".sklearn_dl-0123456789abcdef.tmp").symlink_to(target)
    os.mkfifo(tmp_path / ".sklearn_dl-0123456789abcde0.tmp")
    (tmp_path / ".sklearn_dl-0123456789abcde1.tmp").mkdir()
    before = sorted(path.name for path in tmp_path.iterdir())
    with replacing(str(tmp_path / "file")) as file:
        file.write(b"x")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*before, "file"])


def test_a_writer_whose_file_was_swept_before_it_was_locked_takes_another(tmp_path, monkeypatch):
    flock, swept = _atomic.fcntl.flock, []

    class Sweeper:
        LOCK_EX, LOCK_NB = _atomic.fcntl.LOCK_EX, _atomic.fcntl.LOCK_NB

        @staticmethod
        def flock(file, operation):
            if not swept:
                swept.append(file.name)
                os.unlink(file.name)
            flock(file, operation)

    monkeypatch.setattr(_atomic, "fcntl", Sweeper)
    with replacing(str(tmp_path / "file")) as file:
        file.write(b"x")
        assert file.name != swept[0]
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("broken", ["none", "no locks"])
def test_without_locks_files_are_written_all_the_same(broken, tmp_path, monkeypatch):
    class NoLocks:
        LOCK_EX = LOCK_NB = 0

        @staticmethod
        def flock(file, operation):
            raise OSError("no locks here")

    monkeypatch.setattr(_atomic, "fcntl", None if broken == "none" else NoLocks)
    (tmp_path / ".sklearn_dl-0123456789abcdef.tmp").write_text("of somebody")
    with replacing(str(tmp_path / "file")) as file:
        file.write(b"x")
    assert len(left(tmp_path)) == 1


def test_after_an_error_nothing_has_changed(tmp_path):
    (tmp_path / "file").write_text("before")

    def write():
        with replacing(str(tmp_path / "file")) as file:
            file.write(b"after")
            raise ArithmeticError

    with pytest.raises(ArithmeticError):
        write()
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"file": "before"}


def test_a_disk_that_is_full_leaves_the_last_file(tmp_path):
    """The system refuses a byte more, in each place of the file in turn."""
    net = TwoLayerNet(hidden_dim=8, num_epochs=1, tol=None, random_state=0).fit([[0.0], [1.0]] * 20, [0, 1] * 20)
    path = tmp_path / "net"
    net.save(path)
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    for size in range(0, len(before), 511):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
        try:
            with pytest.raises(OSError, match="File too large"):
                net.save(path)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert [path.name for path in tmp_path.iterdir()] == ["net"]
    assert path.read_bytes() == before


def test_a_look_beforehand_leaves_nothing(tmp_path):
    check_replaceable(str(tmp_path / "file"))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(OSError, match="checkpoint '/proc/file' cannot be written: "):
        check_replaceable("/proc/file", "checkpoint")


def test_contents_are_on_the_disk_before_the_name_and_then_the_name_is(tmp_path, monkeypatch):
    """Else a crash of the machine may leave an empty file under the name of a good one."""
    path, done, fsync, replace = tmp_path / "file", [], os.fsync, os.replace

    def flush(descriptor):
        found = os.fstat(descriptor)
        done.append("folder" if stat.S_ISDIR(found.st_mode) else found.st_size)
        fsync(descriptor)

    def rename(source, target):
        done.append((os.path.dirname(source), target))
        replace(source, target)

    path.write_bytes(b"before")
    monkeypatch.setattr(os, "fsync", flush)
    monkeypatch.setattr(os, "replace", rename)
    with replacing(str(path)) as file:
        file.write(b"after it")
        assert path.read_bytes() == b"before"
    assert done == [8, (str(tmp_path), str(path)), "folder"]
    assert path.read_bytes() == b"after it"
