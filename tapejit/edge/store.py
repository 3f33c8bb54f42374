"""Files of machine code that are found again by their name, which says what is in them.

A file is a header (a mark, the length and a digest of what follows) and the contents. It is written under a temporary name
and renamed, so that processes that start together cannot read a half-written one; there is no index that they could
disagree about. A file that is not what its header says is removed and made again, so nothing but whole contents reaches LLVM,
which ends the process over a wrong byte. Where nothing can be written, work goes on without files.
"""

import contextlib
import functools
import hashlib
import itertools
import os
import tempfile
import uuid
import warnings
from pathlib import Path

from tapejit.edge.numba import AppDirs, config

PACKAGE = Path(__file__).resolve().parents[1]
_calls = itertools.count()
_MARK = b"tapejit 1\n"
_DIGEST = 16
_HEADER = len(_MARK) + 8 + _DIGEST
_UNUSABLE = (
    "tapejit found no place where it can keep compiled code, so each process compiles it anew: set the environment variable "
    "NUMBA_CACHE_DIR to a folder that can be written"
)


@functools.cache
def folder() -> str | None:
    """NUMBA_CACHE_DIR if set, else the package's ``__pycache__``, else the user's cache; None if none is writable."""
    place = hashlib.sha1(str(PACKAGE).encode()).hexdigest()[:12]
    candidates = [PACKAGE / "__pycache__", Path(AppDirs(appname="tapejit", appauthor=False).user_cache_dir) / place]
    if config.CACHE_DIR:
        candidates.insert(0, Path(config.CACHE_DIR) / f"tapejit_{place}")
    for candidate in candidates:
        try:
            os.makedirs(candidate, exist_ok=True)
            tempfile.TemporaryFile(dir=candidate).close()
        except OSError:
            continue
        return str(candidate)
    warnings.warn(_UNUSABLE, RuntimeWarning, stacklevel=2)
    return None


def read(name: str) -> bytes | None:
    """The contents of a file, None if there is none that is whole."""
    if folder() is None:
        return None
    path = os.path.join(folder(), name)
    try:
        with open(path, "rb") as file:
            whole = file.read()
    except OSError:
        return None
    contents = whole[_HEADER:]
    if whole[:_HEADER] == _header(contents):
        return contents
    discard(name)
    return None


def write(name: str, contents: bytes) -> None:
    """Keep contents for the next process; a full or read-only disk costs it the time to compile, nothing else."""
    if folder() is None:
        return
    path = os.path.join(folder(), name)
    temporary = f"{path}.{uuid.uuid4().hex[:12]}"
    try:
        with open(temporary, "wb") as file:
            file.write(_header(contents))
            file.write(contents)
        os.replace(temporary, path)
    except OSError:
        _remove(temporary)


def discard(name: str) -> None:
    """Remove a file that cannot be used."""
    if folder() is not None:
        _remove(os.path.join(folder(), name))


def touch(name: str) -> None:
    """Note that a file was used, for ``bound``."""
    with contextlib.suppress(OSError):
        os.utime(os.path.join(folder(), name))


def bound(beginning: str, most: int) -> None:
    """Remove files whose names begin so, the longest unused first, until all of them take at most ``most`` bytes.

    It is looked at once for every 64 calls in a process, the first among them, and leaves a quarter of the room free.
    """
    if next(_calls) % 64 or folder() is None:
        return
    found = []
    with contextlib.suppress(OSError), os.scandir(folder()) as files:
        for file in files:
            if file.name.startswith(beginning):
                with contextlib.suppress(OSError):  # another process has removed it
                    status = file.stat()
                    found.append((status.st_mtime, status.st_size, file.path))
    total = sum(size for _, size, _ in found)
    if total <= most:
        return
    for _, size, path in sorted(found):
        _remove(path)
        total -= size
        if total <= most * 3 // 4:
            return


def _header(contents):
    digest = hashlib.blake2b(contents, digest_size=_DIGEST).digest()
    return _MARK + len(contents).to_bytes(8, "little") + digest


def _remove(path):
    try:
        os.unlink(path)
    except OSError:
        return  # it is gone, or not ours to remove
