"""Files that appear complete or not at all: written under another name, flushed to the disk, then renamed.

A process that is killed while it writes leaves its temporary file behind. The next write into the folder removes it: a
writer locks what it writes, and the system unlocks the files of a process that has ended, however it did.
"""

import contextlib
import os
import re
import secrets
import stat

try:
    import fcntl
except ImportError:  # no POSIX: then files of killed processes stay
    fcntl = None  # type: ignore[assignment]

__all__ = ["check_regular", "check_replaceable", "replacing", "target_of"]

_TEMPORARY = re.compile(r"\.sklearn_dl-[0-9a-f]{16}\.tmp")


def check_regular(path, name="path"):
    """Raise an error if a path is there and is no file.

    Parameters
    ----------
    path : str
    name : str, default='path'
        What errors call it.

    Raises
    ------
    OSError
        If it is a directory.
    ValueError
        If it is something else.
    """
    if os.path.isdir(path) or os.path.basename(path) == "":
        raise IsADirectoryError(f"{name} {path!r} is a directory; give the name of a file in it.")
    if os.path.exists(path) and not os.path.isfile(path):
        raise ValueError(f"{name} {path!r} is not a regular file.")


def target_of(path, name="path"):
    """Return the path of the file that a name stands for: a symbolic link stays, what it points to is replaced.

    Parameters
    ----------
    path : str
    name : str, default='path'
        What errors call it.

    Raises
    ------
    OSError, ValueError
        As `check_regular` does, and if it is write-protected, or there is no folder for it.
    """
    check_regular(path, name)
    target = os.path.realpath(path)
    folder = os.path.dirname(target)
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"{name} {path!r}: there is no folder {folder!r}.")
    if os.path.exists(target) and not os.access(target, os.W_OK):
        raise PermissionError(f"{name} {path!r} is write-protected.")
    return target


def check_replaceable(path, name="path"):
    """Raise what `replacing` would, as far as it is known beforehand, and remove what killed processes left.

    Parameters
    ----------
    path : str
    name : str, default='path'
        What errors call it.

    Raises
    ------
    OSError, ValueError
        As `target_of` does, and if no file can be made in the folder, or none of this name.
    """
    target = target_of(path, name)
    folder = os.path.dirname(target)
    _sweep(folder)
    try:
        with contextlib.suppress(FileNotFoundError):
            os.stat(target)  # an error if the name is too long, or a link goes round in a circle
        file = _open_temporary(folder)
    except OSError as error:
        raise type(error)(f"{name} {path!r} cannot be written: {error.strerror or error}.") from error
    with file:
        os.unlink(file.name)


@contextlib.contextmanager
def replacing(target):
    """Open a new file that takes the place of another once it is complete.

    Temporary files that killed processes left in its folder are removed.

    Parameters
    ----------
    target : str
        As `target_of` returns it. An existing file keeps its permission bits.

    Yields
    ------
    file : file object
        To write bytes to. After an error, the target is as it was, and no other file is left behind.
    """
    folder = os.path.dirname(target)
    _sweep(folder)
    file = _open_temporary(folder)
    try:
        with file:  # locked until it has its name
            if os.path.exists(target):
                os.chmod(file.name, stat.S_IMODE(os.stat(target).st_mode))
            yield file
            file.flush()
            os.fsync(file.fileno())
            if fcntl is None:
                file.close()  # Windows renames no file that is open
            os.replace(file.name, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(file.name)
        raise
    # Makes the new name survive a crash. Some file systems cannot do it; the contents are written by then.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _open_temporary(folder):
    """Return a new file, locked."""
    while True:
        # Not tempfile: a new file gets the permissions that open() gives, an old one keeps its own.
        file = open(os.path.join(folder, f".sklearn_dl-{secrets.token_hex(8)}.tmp"), "xb")  # noqa: SIM115
        if fcntl is not None:
            with contextlib.suppress(OSError):  # a file system without locks
                fcntl.flock(file, fcntl.LOCK_EX)
        if os.path.exists(file.name):  # else another process has swept it before it was locked
            return file
        file.close()


def _sweep(folder):
    """Remove temporary files of processes that have ended."""
    if fcntl is None:
        return
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        left = [entry.path for entry in entries if _TEMPORARY.fullmatch(entry.name)]
        for path in left:
            _remove_unlocked(path)


def _remove_unlocked(path):
    """Remove a regular file that no process has locked."""
    with contextlib.suppress(OSError):  # it is another user's, or gone by now
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # an error if it is locked
                os.unlink(path)
        finally:
            os.close(descriptor)
