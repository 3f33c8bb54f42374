"""Where compiled kernels are kept between processes.

Numba's own locators look for a source file; kernels generated from the op table have none, and a jitted function of
this package depends on more than its own file. Both get one stamp: a hash of every source file of ``edge`` and ``kernels``.
"""

import functools
import hashlib
import os
import tempfile
from pathlib import Path

from tapejit.edge.numba import AppDirs, caching, config

PACKAGE = Path(__file__).resolve().parents[1]
ENGINE = (PACKAGE / "edge", PACKAGE / "kernels")  # the sources that decide what the engine's machine code is
GENERATED = "<tapejit "  # co_filename of generated code: "<tapejit NAME DIGEST>"


@functools.cache
def engine_stamp() -> str:
    """A digest of the engine's sources: a new engine never runs an old one's machine code."""
    digest = hashlib.blake2b(digest_size=16)
    for path in sorted(path for folder in ENGINE for path in folder.rglob("*.py")):
        digest.update(path.relative_to(PACKAGE).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


@functools.cache
def cache_folder() -> str | None:
    """NUMBA_CACHE_DIR if set, else the package's ``__pycache__``, else the user's cache; None if none is writable."""
    place = hashlib.sha1(str(PACKAGE).encode()).hexdigest()[:12]
    candidates = [PACKAGE / "__pycache__", Path(AppDirs(appname="tapejit", appauthor=False).user_cache_dir) / place]
    if config.CACHE_DIR:
        candidates.insert(0, Path(config.CACHE_DIR) / f"tapejit_{place}")
    for folder in candidates:
        try:
            os.makedirs(folder, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
        except OSError:
            continue
        return str(folder)
    return None


class TapejitCacheLocator(caching._CacheLocator):
    """Finds the cache of this package's jitted functions and generated kernels, and of nothing else."""

    def __init__(self, py_func, py_file):
        self._py_file = py_file
        generated = py_file.startswith(GENERATED)
        self._tag = py_file.rstrip(">").rsplit(" ", 1)[1] if generated else str(py_func.__code__.co_firstlineno)

    def get_cache_path(self):
        return cache_folder()

    def get_source_stamp(self):
        return engine_stamp()

    def get_disambiguator(self):
        return self._tag

    @classmethod
    def from_function(cls, py_func, py_file):
        ours = py_file.startswith(GENERATED) or any(map(Path(py_file).is_relative_to, ENGINE))
        return cls(py_func, py_file) if ours and cache_folder() else None


def install() -> None:
    """Put the locator before Numba's own (Numba 4807 and 10128: its file locator cannot see generated code)."""
    classes = caching.CacheImpl._locator_classes
    if TapejitCacheLocator not in classes:
        classes.insert(0, TapejitCacheLocator)


install()
