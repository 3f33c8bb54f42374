"""Tensors on disk: ``save`` writes any Python object with tensors in it, ``load`` reads it."""

import io
import os
import pathlib
import pickle

_ALLOWED = {
    "tapejit.eager.creation": ("rebuild",), "tapejit.core.dtypes": ("as_dtype",), "tapejit.core.layout": ("Size",),
    "collections": ("OrderedDict", "defaultdict", "deque"), "builtins": ("set", "frozenset", "slice", "complex", "bytearray"),
    "numpy": ("ndarray", "dtype"), "numpy.core.multiarray": ("_reconstruct", "scalar"),
    "numpy._core.multiarray": ("_reconstruct", "scalar"), "numpy._core.numeric": ("_frombuffer",), "_codecs": ("encode",),
}  # fmt: skip


class _OnlyData(pickle.Unpickler):
    """Makes tensors, arrays and containers, and calls nothing else."""

    def find_class(self, module, name):
        if name in _ALLOWED.get(module, ()):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(
            f"the file holds a {module}.{name}, which is more than data; if you trust its source: load(f, weights_only=False)"
        )


def save(obj, f) -> None:
    """Write an object to a file: its path, or what has ``write``. Tensors keep values, dtype and ``requires_grad``."""
    if isinstance(f, (str, os.PathLike)):
        with open(f, "wb") as file:
            pickle.dump(obj, file, protocol=5)
    else:
        pickle.dump(obj, f, protocol=5)


def load(f, map_location=None, *, weights_only=True):
    """Read what ``save`` wrote from a file: its path, or what has ``read``.

    Args:
        map_location: None or "cpu".
        weights_only: only data: tensors, arrays, numbers, text and containers of them. A pickle can run any code: switch it
            off for files that you trust.

    Raises:
        pickle.UnpicklingError: for a file with more than data.
    """
    data = pathlib.Path(f).read_bytes() if isinstance(f, (str, os.PathLike)) else f.read()
    return (_OnlyData if weights_only else pickle.Unpickler)(io.BytesIO(data)).load()
