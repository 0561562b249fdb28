import io
import os
import pickle
import socket
import tarfile
import threading
import time
from contextlib import suppress
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from sklearn.utils import Bunch

from sklearn_dl import datasets
from sklearn_dl.datasets import RemoteFile, cifar10_splits, fetch_cifar10, load_cifar10

from . import _cifar10
from ._cifar10 import BATCHES, NAMES, array, dictionary, integers, string

cifar10_dir = _cifar10.cifar10_dir
WRITERS = {"python": _cifar10.write_python, "binary": _cifar10.write_binary}


@pytest.fixture(scope="module")
def batches():
    return _cifar10.make_images()


@pytest.fixture(params=WRITERS)
def folder(request, tmp_path, batches):
    return WRITERS[request.param](tmp_path, batches)


@pytest.fixture
def python_folder(tmp_path, batches):
    return _cifar10.write_python(tmp_path, batches)


@pytest.fixture
def bunch(python_folder):
    return load_cifar10(python_folder)


# --- load_cifar10 ------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["folder", "parent", "str"])
def test_load_returns_what_was_written(folder, batches, where):
    path = {"folder": folder, "parent": folder.parent, "str": str(folder)}[where]
    data = load_cifar10(path)
    *train, (test_rows, test_labels) = batches
    rows, labels = (np.concatenate(part) for part in zip(*train, strict=True))
    for name, expected in {
        "X_train": rows.reshape(-1, 3, 32, 32),
        "y_train": labels,
        "X_test": test_rows.reshape(-1, 3, 32, 32),
        "y_test": test_labels,
    }.items():
        np.testing.assert_array_equal(data[name], expected)
        assert data[name].dtype == (np.uint8 if name.startswith("X") else np.int64)
        assert data[name].flags.c_contiguous
        assert data[name].flags.writeable
    assert list(data.target_names) == NAMES
    assert data.target_names[data.y_test[0]] in NAMES
    assert "CIFAR-10" in data.DESCR
    for got, name in zip(load_cifar10(path, return_X_y=True), ["X_train", "y_train", "X_test", "y_test"], strict=True):
        np.testing.assert_array_equal(got, data[name])


def test_load_expands_the_home_folder(python_folder, monkeypatch):
    monkeypatch.setenv("HOME", str(python_folder.parent))
    assert len(load_cifar10("~/cifar-10-batches-py").X_test) == 7


def test_load_accepts_a_renamed_folder(folder):
    assert len(load_cifar10(folder.rename(folder.parent / "mine")).X_test) == 7


@pytest.mark.parametrize("module", [b"numpy.core.multiarray", b"numpy._core.multiarray"])
def test_load_reads_arrays_of_old_and_new_numpy(python_folder, batches, module):
    rows, labels = batches[0]
    content = dictionary(labels=integers(labels), data=array(rows, module=module))
    (python_folder / "data_batch_1").write_bytes(content)
    np.testing.assert_array_equal(load_cifar10(python_folder).X_train[:12].reshape(12, -1), rows)


@pytest.mark.parametrize("order", ["C", "F"])
def test_load_reads_what_python_3_pickled(python_folder, batches, order):
    rows, labels = batches[0]
    content = {"data": np.array(rows, order=order), "labels": labels.tolist()}
    (python_folder / "data_batch_1").write_bytes(pickle.dumps(content, protocol=4))
    (python_folder / "batches.meta").write_bytes(pickle.dumps({"label_names": NAMES}))
    data = load_cifar10(python_folder)
    np.testing.assert_array_equal(data.X_train[:12].reshape(12, -1), rows)
    assert list(data.target_names) == NAMES


class Call:
    """Pickles as a call."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


def by_name(module, name, argument):
    """Pickle a call of something that need not be importable here."""
    return b"\x80\x02c%b\n%b\n%b\x85R." % (module, name, string(argument))


@pytest.mark.parametrize("file", ["data_batch_2", "batches.meta"])
@pytest.mark.parametrize(
    "make",
    [
        lambda marker: pickle.dumps(Call(os.system, f"touch {marker}"), protocol=2),
        lambda marker: pickle.dumps({"data": Call(os.system, f"touch {marker}")}, protocol=4),
        lambda marker: pickle.dumps(Call(eval, f"open({str(marker)!r}, 'w')"), protocol=2),
        lambda marker: pickle.dumps(Call(Path.touch, marker)),
        lambda marker: pickle.dumps(Call(np.savetxt, str(marker), [1])),
        lambda marker: pickle.dumps(Call(np.memmap, str(marker), "uint8", "w+", 0, 9)),
        lambda marker: by_name(b"os", b"mkdir", str(marker).encode()),
        lambda marker: by_name(b"__builtin__", b"eval", b"open(%r, 'w')" % str(marker)),
        lambda marker: by_name(b"numpy", b"save", str(marker).encode()),
        lambda marker: by_name(b"numpy.testing._private.utils", b"runstring", b"open(%r, 'w')" % str(marker)),
        lambda marker: by_name(b"numpy.core.multiarray", b"fromfile", str(marker).encode()),
        # Attributes of what is allowed are not.
        lambda marker: b"\x80\x04\x8c\x05numpy\x8c\x11ndarray.__class__\x93.",
    ],
)
def test_load_executes_nothing(python_folder, tmp_path, file, make):
    marker = tmp_path / "executed"
    (python_folder / file).write_bytes(make(marker))
    with pytest.raises(ValueError, match=rf"{file}: not of CIFAR-10, or damaged: it asks for"):
        load_cifar10(python_folder)
    assert not marker.exists()


GLOBAL_DTYPE = b"cnumpy\ndtype\n"
ROWS = np.zeros((12, 3072), np.uint8)
LABELS = integers([0] * 12)
BAD_PYTHON = {
    "missing": (None, "missing"),
    "empty": (b"", "damaged"),
    "no pickle": (b"\x1f\x8b\x08\x00 not a pickle", "damaged"),
    "truncated": (_cifar10.batch(ROWS, [0] * 12)[:-5000], "damaged"),
    "no dict": (pickle.dumps([1, 2]), "holds a list, not a dict"),
    "no data": (dictionary(labels=LABELS), "has no 'data'"),
    "CIFAR-100": (dictionary(fine_labels=LABELS, data=array(ROWS)), "no 'labels', only .*fine"),
    "data no array": (dictionary(labels=LABELS, data=LABELS), "data must be an array"),
    "data a bare name": (dictionary(labels=LABELS, data=GLOBAL_DTYPE), "data must be an array"),
    "data a dtype": (
        dictionary(labels=LABELS, data=GLOBAL_DTYPE + string(b"u1") + b"\x85R"),
        "data must be an array",
    ),
    "dtype of no type": (
        dictionary(labels=LABELS, data=array(ROWS, dtype=b"\xff")),
        "data must be an array",
    ),
    "float64": (pickle.dumps({"data": np.zeros((2, 3072)), "labels": [0, 0]}, 4), "uint8.*'f8'"),
    "objects": (
        pickle.dumps({"data": np.full((1, 3072), None), "labels": [0]}, 4),
        "uint8, got dtype 'O8'",
    ),
    "shape": (
        dictionary(labels=LABELS, data=array(ROWS, shape=(12, 1024))),
        r"\(n_images, 3072\), got \(12, 1024\)",
    ),
    "images": (
        dictionary(labels=LABELS, data=array(ROWS, shape=(12, 3, 1024))),
        "must have the shape",
    ),
    "no images": (dictionary(labels=LABELS, data=array(ROWS, shape=(0, 3072))), "shape"),
    "negative": (dictionary(labels=LABELS, data=array(ROWS, shape=(-12, 3072))), "shape"),
    "too few bytes": (
        dictionary(labels=LABELS, data=array(ROWS, shape=(2**30, 3072))),
        "must hold .* bytes",
    ),
    "label 10": (_cifar10.batch(ROWS, [0] * 11 + [10]), "from 0 to 9, got values from 0 to 10"),
    "label -1": (_cifar10.batch(ROWS, [0] * 11 + [-1]), "from 0 to 9, got values from -1"),
    "huge label": (pickle.dumps({"data": ROWS, "labels": [0] * 11 + [2**99]}, 4), "from 0 to 9"),
    "float label": (pickle.dumps({"data": ROWS, "labels": [0.0] * 12}, 4), "list of integers"),
    "one label": (dictionary(labels=b"K\x01", data=array(ROWS)), "labels must be a list"),
    "too few labels": (_cifar10.batch(ROWS, [0] * 11), "12 images but 11 labels"),
    "other length": (_cifar10.batch(ROWS[:5], [0] * 5), "5 images, data_batch_1 holds 12"),
}


@pytest.mark.parametrize("case", BAD_PYTHON)
def test_load_names_a_bad_python_batch(python_folder, case):
    content, message = BAD_PYTHON[case]
    file = python_folder / "data_batch_4"
    file.unlink() if content is None else file.write_bytes(content)
    error = FileNotFoundError if content is None else ValueError
    with pytest.raises(error, match=f"data_batch_4: .*{message}"):
        load_cifar10(python_folder)


RECORD = bytes([3]) + bytes(3072)
BAD_BINARY = {
    "missing": (None, "missing"),
    "empty": (b"", "holds 0 bytes"),
    "truncated": (RECORD * 12 + RECORD[:-1], "not a whole number of records of 3073"),
    "one label too large": (RECORD * 11 + b"\x0a" + bytes(3072), "from 0 to 9, got .* 3 to 10"),
    "other length": (RECORD * 11, "11 images, data_batch_1.bin holds 12"),
}


@pytest.mark.parametrize("case", BAD_BINARY)
def test_load_names_a_bad_binary_batch(tmp_path, batches, case):
    content, message = BAD_BINARY[case]
    file = _cifar10.write_binary(tmp_path, batches) / "data_batch_4.bin"
    file.unlink() if content is None else file.write_bytes(content)
    error = FileNotFoundError if content is None else ValueError
    with pytest.raises(error, match=f"data_batch_4.bin: .*{message}"):
        load_cifar10(tmp_path)


@pytest.mark.parametrize(
    ("writer", "content", "message"),
    [
        ("python", dictionary(other=LABELS), "no 'label_names'"),
        ("python", dictionary(label_names=LABELS), "list of strings"),
        ("python", pickle.dumps({"label_names": ["cat"]}), "name 10 classes, got 1"),
        ("binary", b"cat\ndog\n", "name 10 classes, got 2"),
    ],
)
def test_load_names_bad_class_names(tmp_path, batches, writer, content, message):
    folder = WRITERS[writer](tmp_path, batches)
    meta = next(folder.glob("batches.meta*"))
    meta.write_bytes(content)
    with pytest.raises(ValueError, match=f"{meta.name}: .*{message}"):
        load_cifar10(folder)


def test_load_misses_the_files_of_an_empty_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=f"No CIFAR-10 in {tmp_path}"):
        load_cifar10(tmp_path)
    (tmp_path / "cifar-10-batches-bin").mkdir()
    with pytest.raises(FileNotFoundError, match=r"cifar-10-batches-bin/data_batch_1.bin: missing"):
        load_cifar10(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"path does not exist: .*nowhere"):
        load_cifar10(tmp_path / "nowhere")
    (tmp_path / "archive").touch()
    with pytest.raises(ValueError, match=r"path must be a folder .*archive"):
        load_cifar10(tmp_path / "archive")


@pytest.mark.parametrize(
    ("function", "args", "kwargs", "error", "message"),
    [
        (load_cifar10, [3], {}, TypeError, "path must be .*got 3"),
        (load_cifar10, [None], {}, TypeError, "path must be .*got None"),
        (load_cifar10, ["."], {"return_X_y": 1}, TypeError, "return_X_y must be .*got 1"),
        (fetch_cifar10, [3], {}, TypeError, "data_home must be .*got 3"),
        (fetch_cifar10, [], {"download_if_missing": "no"}, TypeError, "download_if_m.*'no'"),
        (fetch_cifar10, [], {"return_X_y": None}, TypeError, "return_X_y must be .*None"),
        (fetch_cifar10, [], {"n_retries": -1}, ValueError, "n_retries == -1, must be >= 0"),
        (fetch_cifar10, [], {"n_retries": 1.5}, TypeError, "n_retries must be .*int"),
        (fetch_cifar10, [], {"delay": -0.5}, ValueError, "delay == -0.5, must be >= 0"),
        (fetch_cifar10, [], {"delay": "1"}, TypeError, "delay must be"),
        (fetch_cifar10, [], {"timeout": 0}, ValueError, "timeout == 0, must be > 0"),
        (cifar10_splits, [3], {}, TypeError, "path_or_bunch must be a dict.*got 3"),
        (cifar10_splits, [{"X_train": 1}], {}, ValueError, "path_or_bunch must hold 'y_train'"),
        (cifar10_splits, [], {"num_training": 0}, ValueError, "num_training == 0, must be >= 1"),
        (cifar10_splits, [], {"num_validation": -1}, ValueError, "num_validation == -1"),
        (cifar10_splits, [], {"num_test": 1.0}, TypeError, "num_test must be"),
        (cifar10_splits, [], {"subtract_mean": 1}, TypeError, "subtract_mean must be .*got 1"),
        (cifar10_splits, [], {"dtype": np.uint8}, ValueError, "dtype must be .*uint8"),
        (cifar10_splits, [], {"dtype": "half"}, ValueError, "dtype must be .*'half'"),
    ],
)
def test_bad_arguments_are_named(function, args, kwargs, error, message):
    with pytest.raises(error, match=message):
        function(*args, **kwargs)


# --- fetch_cifar10 -----------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def home(tmp_path_factory, monkeypatch):
    """Keep every test away from the user's data, and local requests away from a proxy."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(home))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return home


class Server:
    """What `fetch_cifar10` meets at its address: one answer a request, the last one repeated.

    An answer is the body, how many of its bytes are sent, and the status.
    """

    def __init__(self, monkeypatch):
        self.answers, self.n_requests, self.meanwhile = [], 0, lambda: None
        self.monkeypatch = monkeypatch
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                body, sent, status = server.answers[min(server.n_requests, len(server.answers) - 1)]
                server.n_requests += 1
                server.meanwhile()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[:sent])

            def log_message(self, *args):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.01,))
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.http.server_port}/cifar-10-python.tar.gz"

    def serve(self, body, *answers, checksum=None):
        """Answer with these (sent, status), in the end with the whole body."""
        self.answers = [(body, sent, status) for sent, status in answers] or [(body, None, 200)]
        remote = RemoteFile(self.url, checksum or sha256(body).hexdigest())
        self.monkeypatch.setattr(datasets, "CIFAR10", remote)

    def close(self):
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


@pytest.fixture
def server(monkeypatch):
    server = Server(monkeypatch)
    yield server
    server.close()


def pack(folder, *extra, skip=()):
    """Return a tar.gz of the folder; extra are (name, type, link) of members that follow."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        tar.add(folder, folder.name, filter=lambda m: None if Path(m.name).name in skip else m)
        for name, kind, link in extra:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, link
            member.size = 4 if kind == tarfile.REGTYPE else 0
            tar.addfile(member, io.BytesIO(b"evil"))
    return buffer.getvalue()


@pytest.fixture
def archive(python_folder):
    return pack(python_folder, ("cifar-10-batches-py/readme.html", tarfile.REGTYPE, ""))


def test_fetch_downloads_once(server, archive, home, python_folder):
    server.serve(archive)
    first = fetch_cifar10()
    assert sorted(os.listdir(home)) == ["cifar-10-batches-py"]
    assert sorted(os.listdir(home / "cifar-10-batches-py")) == sorted([*BATCHES, "batches.meta"])
    X_train, y_train, X_test, y_test = fetch_cifar10(download_if_missing=False, return_X_y=True)
    assert server.n_requests == 1
    written = load_cifar10(python_folder)
    for data in (first, Bunch(X_train=X_train, y_train=y_train, X_test=X_test, y_test=y_test)):
        for name in ("X_train", "y_train", "X_test", "y_test"):
            np.testing.assert_array_equal(data[name], written[name])


def test_fetch_makes_data_home(server, archive, tmp_path):
    server.serve(archive)
    fetch_cifar10(tmp_path / "new" / "place")
    assert (tmp_path / "new" / "place" / "cifar-10-batches-py" / "test_batch").is_file()


def test_fetch_without_download(server, home):
    with pytest.raises(FileNotFoundError, match="download_if_missing is False"):
        fetch_cifar10(download_if_missing=False)
    assert server.n_requests == 0
    assert os.listdir(home) == []


@pytest.mark.parametrize("answer", [(1000, 200), (0, 500), (0, 503)])
def test_fetch_tries_again(server, archive, answer):
    server.serve(archive, answer, answer, (None, 200))
    with pytest.warns(UserWarning, match="trying again") as warned:
        assert len(fetch_cifar10(delay=0).X_test) == 7
    assert server.n_requests == 3
    assert len(warned) == 2


def test_fetch_waits_between_tries(server, archive, monkeypatch):
    naps = []
    monkeypatch.setattr(datasets.time, "sleep", naps.append)
    server.serve(archive, (10, 200), (None, 200))
    with pytest.warns(UserWarning, match=r"broke after 10 of \d+ bytes"):
        fetch_cifar10(delay=2.5)
    assert naps == [2.5]


@pytest.fixture
def untouched(home):
    """Fail if what the user has in data_home is not there, and nothing else, after the test."""
    (home / "cifar-10-python.tar.gz").write_text("the user's")
    (home / "iris").mkdir()
    yield home
    assert sorted(os.listdir(home)) == ["cifar-10-python.tar.gz", "iris"]
    assert (home / "cifar-10-python.tar.gz").read_text() == "the user's"


@pytest.mark.filterwarnings("ignore:.*trying again")
@pytest.mark.parametrize(
    ("answer", "n_requests", "message"),
    [
        ((1000, 200), 3, r"broke after 1000 of \d+ bytes"),
        ((0, 500), 3, "500"),
        ((0, 404), 1, "404"),
        ((0, 403), 1, "403"),
    ],
)
def test_fetch_gives_up(server, archive, untouched, answer, n_requests, message):
    server.serve(archive, answer)
    with pytest.raises(OSError, match=f"Could not download {server.url}: .*{message}"):
        fetch_cifar10(n_retries=2, delay=0)
    assert server.n_requests == n_requests


def serve_bytes(monkeypatch, pieces, *, pause=0.0, length=None, size=None):
    """Answer one request with these pieces, the connection closed after them; return the thread that does."""
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/a.tar.gz"
    monkeypatch.setattr(datasets, "CIFAR10", RemoteFile(url, "0" * 64, size))

    def answer():
        with listener, listener.accept()[0] as connection, suppress(OSError):
            connection.recv(2**16)
            header = b"" if length is None else b"Content-Length: " + length + b"\r\n"
            connection.sendall(b"HTTP/1.1 200 OK\r\n" + header + b"\r\n")
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(pause)

    thread = threading.Thread(target=answer)
    thread.start()
    return thread


def test_fetch_ends_at_the_known_size(untouched, monkeypatch):
    sent = []
    pieces = (sent.append(1) or bytes(2**16) for _ in range(10_000))
    thread = serve_bytes(monkeypatch, pieces, size=100_000)
    with pytest.raises(OSError, match="larger than 100000 bytes"):
        fetch_cifar10(n_retries=0)
    thread.join()
    assert len(sent) < 500  # of 655 MB, those that were in buffers


@pytest.mark.parametrize("length", [b"100", b"-1", b"x", b"9" * 5000, None])
def test_fetch_goes_by_the_known_size_whatever_the_server_says(untouched, monkeypatch, length):
    thread = serve_bytes(monkeypatch, [bytes(80)], length=length, size=90)
    with pytest.raises(OSError, match=r"80 of 90 bytes|80 bytes read"):
        fetch_cifar10(n_retries=0)
    thread.join()


def test_fetch_ends_in_time(untouched, monkeypatch):
    thread = serve_bytes(monkeypatch, [b"x"] * 200, pause=0.02, size=1000)
    began = time.monotonic()
    with pytest.raises(OSError, match=r"in 0\.3 seconds, which is the timeout"):
        fetch_cifar10(n_retries=0, timeout=0.3)
    assert time.monotonic() - began < 3
    thread.join()


def test_fetch_does_not_wait_for_a_server_that_is_silent(untouched, monkeypatch):
    thread = serve_bytes(monkeypatch, [b"x"], pause=1.0, size=1000)
    with pytest.raises(OSError, match="timed out"):
        fetch_cifar10(n_retries=0, timeout=0.2)
    thread.join()


def test_fetch_without_a_server(archive, untouched, monkeypatch):
    monkeypatch.setattr(datasets, "CIFAR10", RemoteFile("http://127.0.0.1:1/x", ""))
    with pytest.raises(OSError, match="Could not download"):
        fetch_cifar10(n_retries=0)


def test_fetch_refuses_a_wrong_checksum_before_opening(server, archive, untouched, monkeypatch):
    monkeypatch.setattr(datasets, "_unpack", pytest.fail)
    server.serve(archive, checksum="00" * 32)
    with pytest.raises(OSError, match=f"SHA-256 is {sha256(archive).hexdigest()}, not 0000"):
        fetch_cifar10()


IN_FOLDER = "cifar-10-batches-py/"


@pytest.mark.parametrize(
    ("member", "link", "kind"),
    [
        ("../evil", "", tarfile.REGTYPE),
        (IN_FOLDER + "../../evil", "", tarfile.REGTYPE),
        ("/tmp/evil", "", tarfile.REGTYPE),
        ("evil", "", tarfile.REGTYPE),
        ("../cifar-10-batches-py/test_batch", "", tarfile.REGTYPE),
        (IN_FOLDER + "deep/test_batch", "", tarfile.REGTYPE),
        (IN_FOLDER + "evil", "", tarfile.DIRTYPE),
        (IN_FOLDER + "link", "/etc/passwd", tarfile.SYMTYPE),
        (IN_FOLDER + "test_batch", "/etc/passwd", tarfile.SYMTYPE),
        (IN_FOLDER + "test_batch", "/etc/passwd", tarfile.LNKTYPE),
        (IN_FOLDER + "test_batch", "", tarfile.FIFOTYPE),
        (IN_FOLDER + "test_batch", "", tarfile.CHRTYPE),
    ],
)
def test_fetch_refuses_a_malicious_archive(server, python_folder, untouched, member, link, kind):
    skip = () if kind == tarfile.REGTYPE else {"test_batch"}
    server.serve(pack(python_folder, (member, kind, link), skip=skip))
    with pytest.raises(ValueError, match=f"cannot be unpacked: it holds '{member}'"):
        fetch_cifar10()
    assert not list(untouched.parent.rglob("evil"))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda archive, folder: b"<html>",
        lambda archive, folder: archive[: len(archive) // 2],
        lambda archive, folder: archive[:3000] + bytes(500) + archive[3500:],
        lambda archive, folder: pack(folder, skip={"data_batch_3"}),
    ],
    ids=["no archive", "half", "damaged", "incomplete"],
)
def test_fetch_refuses_a_broken_archive(server, archive, python_folder, untouched, spoil):
    server.serve(spoil(archive, python_folder))
    with pytest.raises(ValueError, match="archive of CIFAR-10 cannot be unpacked"):
        fetch_cifar10()


def test_fetch_does_not_overwrite_what_is_there(server, archive, home):
    mine = home / "cifar-10-batches-py" / "test_batch"
    mine.parent.mkdir()
    mine.write_text("mine")
    server.serve(archive)
    with pytest.raises(FileNotFoundError, match="data_batch_1: missing"):
        fetch_cifar10()
    assert mine.read_text() == "mine"
    assert server.n_requests == 0


def test_fetch_yields_to_a_faster_process(server, archive, home, batches):
    server.serve(archive)
    server.meanwhile = lambda: _cifar10.write_python(home, batches)
    assert len(fetch_cifar10().X_test) == 7
    assert os.listdir(home) == ["cifar-10-batches-py"]


def test_fetch_leaves_nothing_when_it_cannot_move(server, archive, untouched, monkeypatch):
    def rename(self, target):
        raise PermissionError("no")

    monkeypatch.setattr(Path, "rename", rename)
    server.serve(archive)
    with pytest.raises(PermissionError):
        fetch_cifar10()


def test_address_is_the_official_one():
    assert datasets.CIFAR10.url == "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
    assert len(bytes.fromhex(datasets.CIFAR10.sha256)) == 32


# --- cifar10_splits ----------------------------------------------------------------------------

SMALL = {"num_training": 49, "num_validation": 11, "num_test": 5}


@pytest.mark.parametrize("subtract_mean", [True, False])
def test_splits_follow_the_convention(bunch, dtype, subtract_mean):
    splits = cifar10_splits(bunch, **SMALL, subtract_mean=subtract_mean, dtype=dtype)
    mean = bunch.X_train[:49].mean(axis=0)
    np.testing.assert_allclose(splits.pop("mean_image"), mean, rtol=1e-6)
    expected = {"train": slice(0, 49), "val": slice(49, 60), "test": slice(0, 5)}
    assert sorted(splits) == sorted(f"{letter}_{part}" for letter in "Xy" for part in expected)
    for part, images in expected.items():
        source = "test" if part == "test" else "train"
        X = bunch[f"X_{source}"][images] - subtract_mean * mean
        np.testing.assert_allclose(splits[f"X_{part}"], X, atol=1e-4 if dtype == np.float32 else 0)
        np.testing.assert_array_equal(splits[f"y_{part}"], bunch[f"y_{source}"][images])
        assert splits[f"X_{part}"].dtype == dtype
        assert splits[f"X_{part}"].flags.c_contiguous
        assert splits[f"y_{part}"].dtype == np.int64
        assert not np.shares_memory(splits[f"y_{part}"], bunch[f"y_{source}"])


def test_splits_take_a_folder_a_dict_or_data_home(python_folder, bunch, home):
    given = {name: bunch[name].copy() for name in ("X_train", "y_train", "X_test", "y_test")}
    of_dict = cifar10_splits(given, **SMALL)
    of_folder = cifar10_splits(python_folder, **SMALL)
    python_folder.rename(home / python_folder.name)
    of_home = cifar10_splits(**SMALL)
    for name, values in of_folder.items():
        np.testing.assert_array_equal(of_dict[name], values)
        np.testing.assert_array_equal(of_home[name], values)
    for name, values in given.items():
        np.testing.assert_array_equal(values, bunch[name])


def test_splits_may_leave_out_validation_and_test(bunch):
    splits = cifar10_splits(bunch, num_training=60, num_validation=0, num_test=0)
    assert splits["X_val"].shape == splits["X_test"].shape == (0, 3, 32, 32)
    assert splits["y_val"].shape == splits["y_test"].shape == (0,)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_training": 50}, "num_training=50 and num_validation=11 need 61 .*the data has 60"),
        ({"num_validation": 12}, "num_training=49 and num_validation=12 need 61"),
        ({"num_test": 8}, "num_test=8 needs more test images than the 7"),
        ({"X_train": np.zeros((60, 3072))}, r"\['X_train'\] must hold images .*\(60, 3072\)"),
        ({"X_test": np.full((7, 3, 32, 32), "a")}, r"\['X_test'\] must hold images .*<U1"),
        ({"X_test": np.zeros((7, 3, 8, 8))}, r"one shape, got \(3, 32, 32\) and \(3, 8, 8\)"),
        ({"y_train": np.zeros(59, int)}, r"\['y_train'\] must hold 60 integers, got .*\(59,\)"),
        ({"y_test": np.zeros(7)}, r"\['y_test'\] must hold 7 integers, got .* of float64"),
    ],
)
def test_splits_name_bad_data(bunch, changes, message):
    numbers = {**SMALL, **{k: v for k, v in changes.items() if k in SMALL}}
    data = {**bunch, **{k: v for k, v in changes.items() if k not in SMALL}}
    with pytest.raises(ValueError, match=message):
        cifar10_splits(data, **numbers)


# --- the real one ------------------------------------------------------------------------------


def test_real_cifar10(cifar10_dir):
    data = load_cifar10(cifar10_dir)
    assert data.X_train.shape == (50_000, 3, 32, 32)
    assert list(data.target_names) == NAMES
    assert [NAMES[k] for k in data.y_train[:5]] == ["frog", "truck", "truck", "deer", "automobile"]
    np.testing.assert_array_equal(np.bincount(data.y_train), 5000)
    # The published mean colour, which tells red from blue.
    colour = data.X_train.mean(axis=(0, 2, 3))
    np.testing.assert_allclose(colour, [125.3, 123.0, 113.9], atol=0.5)

    splits = cifar10_splits(data)
    assert splits["X_train"].shape == (49_000, 3, 32, 32)
    assert splits["X_train"].dtype == np.float32
    assert abs(splits["X_train"].mean(axis=0, dtype=np.float64)).max() < 1e-4
    image = data.X_train[49_000] - splits["mean_image"]
    np.testing.assert_array_equal(splits["X_val"][0], image)
    assert len(splits["y_val"]) == len(splits["y_test"]) == 1000
