"""Files of plain values and arrays: one file of arrays and JSON, written atomically, read without pickle.

A file is a zip archive of stored (uncompressed) members: ``header.json``, and one ``.npy`` file
for each array, so that ``np.load`` reads the weights where this package is not installed.
The header holds the format's version, the versions of the packages that wrote it, the tree of
everything that is no array, and a checksum.

Why not pickle: loading a pickle runs whatever code its author chose. Here the file can only
choose among the types listed under `write_archive`, and an array is allocated only after
its size has been compared with the bytes that are really there. Each array is read once, however often the tree refers
to it, so that reading takes memory and time in proportion to the file's size.
"""

import errno
import hashlib
import json
import math
import os
import re
import struct
import zipfile

import numpy as np
import sklearn

from sklearn_dl._atomic import check_regular, replacing, target_of
from sklearn_dl._version import __version__
from sklearn_dl.augmentation import AUGMENTATIONS
from sklearn_dl.schedules import SCHEDULES

__all__ = ["check_storable", "read", "read_archive", "tree_place", "write", "write_archive"]

# Objects that are stored by their fields. Their constructors check what they are given.
SETTINGS = {cls.__name__: cls for cls in (*SCHEDULES.values(), *AUGMENTATIONS.values())}

_FORMAT = "sklearn_dl"
_FORMAT_VERSION = 1
_HEADER = "header.json"
_MAX_DEPTH = 64
_MAX_DIMS = 32  # of NumPy 1
# Numbers of one hash make a dict slow, and anybody can choose such numbers: -1 and -2, or multiples of 2 ** 61 - 1.
_MAX_COLLISIONS = 100
_WRITER = re.compile(r"[\w.+-]{1,40}", re.ASCII)
_ARRAY_KINDS = "biufcU"
_DTYPE = re.compile(rf"[<>|][{_ARRAY_KINDS}][1-9]\d*")
_NPY_HEAD = re.compile(
    rb"\x93NUMPY\x01\x00..\{'descr': '(?P<dtype>[^']+)', "
    rb"'fortran_order': (?:True|False), 'shape': \((?P<shape>[\d, ]*)\), \} *\n",
    re.DOTALL,
)
_ACCEPTED = (
    "None, bool, int, float, str, NumPy scalars and dtypes (numeric, bool, str), "
    "np.random.RandomState (MT19937), arrays (numeric, bool, str, or objects that are str or "
    "numbers), schedules and augmentations of sklearn_dl, and dict, list and tuple of these; the keys "
    "of a dict are str or numbers"
)
_KEY_TYPES = (str, int, float, np.number, np.bool_)
# What zipfile, json, numpy and this module can raise for a file of unknown origin.
_DAMAGE = (
    zipfile.BadZipFile,
    struct.error,
    EOFError,
    LookupError,
    NotImplementedError,
    OverflowError,
    RuntimeError,
    TypeError,
    ValueError,
)


def tree_place(keys):
    return "tree" + "".join(f"[{key!r}]" for key in keys)


class _Encoder:
    """Turn a tree into JSON values; arrays and generators are collected on the side.

    Objects that occur twice are stored once, so that a generator shared by two attributes is
    still shared after loading, as with pickle.
    """

    def __init__(self, place):
        self.place = place
        self.arrays = {}  # member name -> array
        self.random_states = []
        self._seen = {}  # id -> JSON value

    def encode(self, node, keys=()):
        """Return the JSON value of `node`; `keys` leads to it from the root."""
        kind = type(node)
        if node is None or kind is bool or kind is str:
            return node
        if kind is int:
            # Decimal digits beyond 4300 are refused by Python itself.
            return node if -(2**63) <= node < 2**63 else {"int": hex(node)}
        if kind is float:
            return node if math.isfinite(node) else {"float": struct.pack(">d", node).hex()}
        if kind in (list, tuple, dict):
            return self._container(node, keys)
        if kind in (np.ndarray, np.memmap):
            return self._array(node, keys)
        if kind is np.str_:
            return {"str": str(node)}
        if isinstance(node, np.generic) and _is_plain(node.dtype):
            return {"scalar": [node.dtype.str, node.tobytes().hex()]}
        if isinstance(node, np.dtype) and _is_plain(node):
            return {"dtype": node.str}
        if kind is type and issubclass(node, np.generic) and _is_plain(np.dtype(node)):
            return {"type": np.dtype(node).str}
        if node is float:
            return {"type": "float"}
        if kind is np.random.RandomState:
            return self._random_state(node, keys)
        if SETTINGS.get(kind.__name__) is kind:
            return {"setting": [kind.__name__, self.encode(dict(vars(node)), keys)]}
        raise self._unsupported(node, keys)

    def _unsupported(self, node, keys, *, found=None):
        found = found or f"{node!r:.80} of type {type(node).__name__}"
        return TypeError(f"{self.place(keys)} cannot be saved: {found}. Accepted are {_ACCEPTED}.")

    def _container(self, node, keys):
        if len(keys) >= _MAX_DEPTH:
            raise ValueError(
                f"{self.place(keys[:3])}... is nested more than {_MAX_DEPTH} levels deep, "
                "or contains itself; it cannot be saved."
            )
        if type(node) is not dict:
            values = [self.encode(value, (*keys, i)) for i, value in enumerate(node)]
            return values if type(node) is list else {"tuple": values}
        pairs = []
        for key, value in node.items():
            if not isinstance(key, _KEY_TYPES):
                raise self._unsupported(node, keys, found=f"the dict has the key {key!r} of type {type(key).__name__}")
            pairs.append([self.encode(key, (*keys, key)), self.encode(value, (*keys, key))])
        return {"dict": pairs}

    def _array(self, array, keys):
        if array.dtype.kind == "O":
            return self._objects(array, keys)
        if not _is_plain(array.dtype):
            raise self._unsupported(array, keys, found=f"an array of dtype {array.dtype}")
        if id(array) not in self._seen:
            stem = ".".join(re.sub(r"\W+", "_", str(key), flags=re.ASCII) for key in keys)[:100]
            name = f"{stem or 'array'}.npy"
            if name in self.arrays:
                name = f"{stem}.{len(self.arrays)}.npy"
            self.arrays[name] = array
            self._seen[id(array)] = {"array": len(self.arrays) - 1}
        return self._seen[id(array)]

    def _objects(self, array, keys):
        for item in array.flat:
            if not (item is None or isinstance(item, _KEY_TYPES)):
                raise self._unsupported(array, keys, found=f"an array of objects with {item!r:.80} in it")
        items = [self.encode(item, (*keys, i)) for i, item in enumerate(array.ravel().tolist())]
        return {"objects": [list(array.shape), items]}

    def _random_state(self, random_state, keys):
        if id(random_state) not in self._seen:
            state = random_state.get_state(legacy=False)
            if state["bit_generator"] != "MT19937":
                raise self._unsupported(random_state, keys, found=f"a RandomState on {state['bit_generator']}")
            self.random_states.append(
                {
                    "key": state["state"]["key"].astype("<u4").tobytes().hex(),
                    "pos": int(state["state"]["pos"]),
                    "has_gauss": int(state["has_gauss"]),
                    "gauss": struct.pack(">d", state["gauss"]).hex(),
                }
            )
            self._seen[id(random_state)] = {"random_state": len(self.random_states) - 1}
        return self._seen[id(random_state)]


def _is_plain(dtype):
    return dtype.kind in _ARRAY_KINDS and dtype.itemsize > 0


def _read_dtype(text):
    # np.dtype("i4,O") and the like would let a file choose any dtype.
    if not _DTYPE.fullmatch(text):
        raise ValueError(f"unknown dtype {text!r:.80}.")
    return np.dtype(text)


def _read_float(text):
    return struct.unpack(">d", bytes.fromhex(text))[0]


def _read_scalar(value):
    descr, data = value
    dtype, data = _read_dtype(descr), bytes.fromhex(data)
    if dtype.itemsize != len(data):
        raise ValueError(f"a scalar of {dtype} has {len(data)} bytes.")
    array = np.frombuffer(data, dtype)
    _check_items(array)
    return array[0]


def _check_items(array):
    """Raise ValueError for bytes that are no bool, and no character: what NumPy makes of them is undefined."""
    if array.dtype.kind == "b" and (array.view(np.uint8) > 1).any():
        raise ValueError("an array of bool holds other bytes than 0 and 1.")
    if array.dtype.kind == "U" and array.size:
        flat = array.ravel(order="K")
        codes = flat.view(np.dtype(np.uint32).newbyteorder(flat.dtype.byteorder))
        if codes.max() > 0x10FFFF:
            raise ValueError("an array of str holds what is no character.")


def _check_shape(shape):
    """Raise ValueError unless this can be the shape of an array; before the sizes are multiplied."""
    if len(shape) > _MAX_DIMS or not all(type(n) is int and 0 <= n < 2**63 for n in shape):
        raise ValueError(f"an array cannot have the shape {shape!r:.80}.")


def _read_random_state(state):
    key = np.frombuffer(bytes.fromhex(state["key"]), "<u4")
    pos, has_gauss, gauss = state["pos"], state["has_gauss"], _read_float(state["gauss"])
    # NumPy takes `pos` unchecked and would read beyond the key's end.
    integers = type(pos) is int and type(has_gauss) is int
    if not (integers and key.shape == (624,) and 0 <= pos <= 624 and has_gauss in (0, 1) and math.isfinite(gauss)):
        raise ValueError("the state of a random generator is impossible.")
    random_state = np.random.RandomState(0)
    random_state.set_state(("MT19937", key, pos, has_gauss, gauss))
    return random_state


class _Decoder:
    """Decode what :class:`_Encoder` wrote; anything else is a ValueError."""

    def __init__(self, arrays, random_states):
        self.arrays = arrays
        self.random_states = random_states

    def decode(self, node, depth=0):
        """Return the value that the JSON value `node` stands for, `depth` containers below the root."""
        if node is None or isinstance(node, bool | int | float | str):
            return node
        if depth > _MAX_DEPTH:
            raise ValueError(f"it is nested more than {_MAX_DEPTH} levels deep.")
        if isinstance(node, list):
            return [self.decode(value, depth + 1) for value in node]
        [(tag, value)] = node.items()
        match tag:
            case "dict":
                return self._dict(value, depth + 1)
            case "tuple":
                return tuple([self.decode(item, depth + 1) for item in value])
            case "array":
                return self.arrays[value]
            case "objects":
                return self._objects(value)
            case "random_state":
                return self.random_states[value]
            case "int":
                return int(value, 16)
            case "float":
                return _read_float(value)
            case "str":
                return np.str_(value)
            case "scalar":
                return _read_scalar(value)
            case "dtype":
                return _read_dtype(value)
            case "type":
                return float if value == "float" else _read_dtype(value).type
            case "setting":
                name, fields = value
                return SETTINGS[name](**self.decode(fields, depth))
        raise ValueError(f"unknown tag {tag!r:.80}.")

    def _dict(self, pairs, depth):
        keys = [self.decode(key, depth) for key, _ in pairs]
        if not all(isinstance(key, _KEY_TYPES) for key in keys):
            raise ValueError("the keys of a dict must be str or numbers.")
        if len(keys) - len(set(map(hash, keys))) > _MAX_COLLISIONS:
            raise ValueError("too many keys of a dict have one hash.")
        values = {key: self.decode(item, depth) for key, (_, item) in zip(keys, pairs, strict=True)}
        if len(values) < len(keys):
            raise ValueError("two keys of a dict are equal.")
        return values

    def _objects(self, value):
        shape, items = value
        _check_shape(shape)
        if math.prod(shape) != len(items):
            raise ValueError(f"{len(items)} objects do not fill an array of shape {shape!r:.80}.")
        array = np.empty(len(items), dtype=object)
        for i, item in enumerate(items):
            array[i] = item = self.decode(item)
            if not (item is None or isinstance(item, _KEY_TYPES)):
                raise ValueError("an array of objects may hold str and numbers only.")
        return array.reshape(shape)


def _dump(value):
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode("ascii")


def _check_path(path):
    try:
        name = os.fspath(path)
    except TypeError:
        name = None
    if not isinstance(name, str):
        raise TypeError(f"path must be the name of a file (str or os.PathLike), got {path!r}.")
    if not name or "\0" in name:
        raise ValueError(f"path must be the name of a file, got {path!r}.")
    return name


def write(path, tree, place):
    target = target_of(_check_path(path))
    encoder = _Encoder(place)
    header = {
        "format": _FORMAT,
        "format_version": _FORMAT_VERSION,
        "versions": {
            "sklearn_dl": __version__,
            "numpy": np.__version__,
            "scikit-learn": sklearn.__version__,
        },
        "tree": encoder.encode(tree),
        "arrays": list(encoder.arrays),
        "random_states": encoder.random_states,
    }
    header["sha256"] = hashlib.sha256(_dump(header)).hexdigest()

    with replacing(target) as file:
        _write_members(file, header, encoder.arrays)


def _write_members(file, header, arrays):
    # ZipInfo's own date, 1980, keeps the bytes of a file a function of its contents.
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo(_HEADER), _dump(header))
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(name), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, version=(1, 0), allow_pickle=False)


def read(path):
    """Return the tree, and a phrase saying which version wrote it."""
    name = _check_path(path)
    check_regular(name)
    with open(name, "rb") as file:
        begin = file.read(4)
        if begin != b"PK\x03\x04":
            advice = " It seems to be a pickle: joblib.load or pickle.load read it, and run code from it." * (
                begin[:1] == b"\x80"
            )
            raise ValueError(f"{name!r} is not a file written by sklearn_dl.{advice}")
        try:
            with zipfile.ZipFile(file) as archive:
                members = _check_members(archive, os.fstat(file.fileno()).st_size)
                if _HEADER not in members:
                    raise ValueError(f"there is no {_HEADER} in it.")
                header = json.loads(archive.read(members[_HEADER]))
                writer = _check_header(header)
                if writer is not None:
                    return _decode_members(archive, members, header), writer
        except _DAMAGE as error:
            raise _damaged(name, error) from error
        except OSError as error:
            if error.errno != errno.EINVAL:  # zipfile was sent to a place before the file's beginning
                raise
            raise _damaged(name, error) from error
    raise ValueError(
        f"{name!r} has format version {header['format_version']!r:.20}, newer than the version "
        f"{_FORMAT_VERSION} that this sklearn_dl {__version__} reads; it was written by "
        f"{header.get('versions')!r:.200}. Update sklearn_dl."
    )


def _damaged(name, error):
    """Return the error for a file that cannot be read."""
    reason = f"{error}" if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
    return ValueError(f"{name!r} is damaged, or is not a file written by sklearn_dl: {reason:.500}")


def _check_members(archive, file_size):
    """Refuse whatever would make the contents larger than the file that holds them."""
    members = {info.filename: info for info in archive.infolist()}
    if len(members) != len(archive.infolist()):
        raise ValueError("two members have one name.")
    for info in members.values():
        if not 0 <= info.header_offset < file_size:
            raise ValueError(f"member {info.filename!r:.80} is not inside the file.")
        stored = info.compress_type == zipfile.ZIP_STORED and info.file_size == info.compress_size
        if not stored or info.flag_bits & 1:
            raise ValueError(f"member {info.filename!r:.80} is compressed or encrypted.")
    if sum(info.file_size for info in members.values()) > file_size:
        raise ValueError("its members are larger than the file.")
    return members


def _check_header(header):
    """Return a phrase naming the writer, None for a file of a later version of the format."""
    if not isinstance(header, dict) or header.get("format") != _FORMAT:
        raise ValueError("its header is that of something else.")
    version = header["format_version"]
    if type(version) is not int or version < 1:
        raise ValueError(f"its format_version is {version!r:.80}.")
    if version > _FORMAT_VERSION:
        return None
    rest = {key: value for key, value in header.items() if key != "sha256"}
    if header.get("sha256") != hashlib.sha256(_dump(rest)).hexdigest():
        raise ValueError("the checksum of its header does not match.")
    writer = header["versions"]["sklearn_dl"]
    if not _WRITER.fullmatch(writer):
        raise ValueError(f"its writer's version is {writer!r:.80}.")
    return f"written by sklearn_dl {writer}, this is {__version__}"


def _decode_members(archive, members, header):
    # As a list: a name that stands twice would be read twice.
    if sorted([_HEADER, *header["arrays"]]) != sorted(members):
        raise ValueError("its members are not those that the header lists.")
    decoder = _Decoder(
        [_read_array(archive, members[name]) for name in header["arrays"]],
        [_read_random_state(state) for state in header["random_states"]],
    )
    return decoder.decode(header["tree"])


def _read_array(archive, info):
    with archive.open(info) as member:
        # Stricter than NumPy's own parser, which evaluates a literal and knows older forms.
        magic = member.read(10)
        head = _NPY_HEAD.fullmatch(magic + member.read(int.from_bytes(magic[8:], "little")))
        if head is None:
            raise ValueError(f"member {info.filename!r} is not an array of numbers, bool or str.")
        shape = [int(n) for n in head["shape"].split(b",") if n.strip()]
        _check_shape(shape)
        size = math.prod(shape) * _read_dtype(head["dtype"].decode("ascii")).itemsize
        if member.tell() + size != info.file_size:
            raise ValueError(f"member {info.filename!r} does not have the size of its shape {tuple(shape)}.")
    with archive.open(info) as member:
        array = np.lib.format.read_array(member, allow_pickle=False)
        member.read()  # zipfile compares the CRC when it meets the end
    _check_items(array)
    return array


def check_storable(tree):
    """Raise what `write_archive` raises for a tree that it cannot store; nothing is written.

    Parameters
    ----------
    tree : object
    """
    _Encoder(tree_place).encode(tree)


def write_archive(path, tree):
    """Write a tree of plain values and arrays to one file, all or nothing.

    Parameters
    ----------
    path : str or os.PathLike
        Name of the file. An existing file is replaced, and keeps its permission bits.
    tree : object
        None, bool, int, float, str, NumPy scalars, dtypes and scalar types,
        `np.random.RandomState` (the legacy MT19937 generator), arrays (numeric, bool or str, or
        of objects that are str or numbers), schedules and augmentations of this package, or dict,
        list and tuple of these, up to 64 levels deep. The keys of a dict are str or numbers. Types
        are taken exactly: a named tuple or a masked array is refused, because it would come back as
        something else.

    Raises
    ------
    TypeError
        If `tree` holds anything else (the message says where), or `path` is no path. Nothing
        has been written then.
    OSError
        If the folder does not exist, `path` is a directory or write-protected, or writing fails.
        An existing file is untouched, and no other file is left behind.

    See Also
    --------
    read_archive : The way back.

    Notes
    -----
    The bytes go to a temporary file in the same folder, which is flushed to the disk and then
    renamed. An array that occurs at two places is stored once and shared again after reading.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> from sklearn_dl.persistence import read_archive, write_archive
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "checkpoint")
    ...     write_archive(path, {"epoch": 3, "W1": np.eye(2, dtype=np.float32)})
    ...     read_archive(path)
    {'epoch': 3, 'W1': array([[1., 0.],
           [0., 1.]], dtype=float32)}
    """
    write(path, tree, tree_place)


def read_archive(path):
    """Read the tree that :func:`write_archive` wrote; no code from the file is run.

    Parameters
    ----------
    path : str or os.PathLike
        Name of the file.

    Returns
    -------
    tree : object
        The values with the types, dtypes and bits that were written.

    Raises
    ------
    ValueError
        If the file is damaged, cut short, from a newer version of the format, or not written by
        this package. The message names the file and the reason.
    OSError
        If there is no such file, or it is a directory.

    Examples
    --------
    >>> from sklearn_dl.persistence import read_archive
    >>> read_archive("no-such-file")
    Traceback (most recent call last):
        ...
    FileNotFoundError: [Errno 2] No such file or directory: 'no-such-file'
    """
    return read(path)[0]
