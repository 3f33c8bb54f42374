"""Tensors as text, in PyTorch's form.

One format is chosen for the whole array (integer-valued, fixed or scientific), from the entries that will be
shown; entries are padded to the widest finite one, rows are broken at the line width, and facts that the
numbers do not show (dtype, gradient function) follow as suffixes.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass
class PrintOptions:
    """The present settings; ``set_printoptions`` says what each means."""

    precision: int = 4
    threshold: float = 1000
    edgeitems: int = 3
    linewidth: int = 80
    sci_mode: bool | None = None


PROFILES = {
    "default": {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80},
    "short": {"precision": 2, "threshold": 1000, "edgeitems": 2, "linewidth": 80},
    "full": {"precision": 4, "threshold": float("inf"), "edgeitems": 3, "linewidth": 80},
}
PREFIX = "tensor("
ELLIPSIS = "..."

# Scientific form is used when the largest magnitude passes SCI_LARGEST, when the ratio of largest to smallest
# passes SCI_RATIO, or, among numbers that are not all integers, when the smallest is below SCI_SMALLEST.
SCI_LARGEST, SCI_RATIO, SCI_SMALLEST = 1e8, 1e3, 1e-4

_options = PrintOptions()


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Set how tensors are printed.

    Arguments:
        precision: digits after the decimal point (4 at first).
        threshold: arrays with more elements than this are summarised (1000 at first).
        edgeitems: entries shown at each end of a summarised dimension (3 at first).
        linewidth: characters per line (80 at first).
        profile: a named set of the four above, "default", "short" or "full"; the other arguments override it.
        sci_mode: True or False forces scientific form on or off; None, also when not given, leaves it to the
            values.

    Raises:
        ValueError: for an unknown profile.
    """
    chosen = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems, "linewidth": linewidth}
    changes = {name: value for name, value in chosen.items() if value is not None}
    if profile is not None:
        if profile not in PROFILES:
            raise ValueError(f"unknown profile {profile!r}; choose one of {', '.join(map(repr, PROFILES))}")
        changes = PROFILES[profile] | changes
    for name, value in changes.items():
        setattr(_options, name, value)
    _options.sci_mode = sci_mode


def needs_dtype(array: np.ndarray, default_float: np.dtype | type = np.float64) -> bool:
    """Whether the printed form must name the dtype: when the numbers alone would be read back as another."""
    if array.dtype == default_float:
        return False
    return array.size == 0 or array.dtype not in (np.int64, np.bool_)


def format_tensor(
    array: np.ndarray,
    *,
    dtype_suffix: str | None = None,
    grad_fn: str | None = None,
    requires_grad: bool = False,
) -> str:
    """The printed form of a tensor that holds ``array``.

    Arguments:
        array: bool, integer or floating-point values of any shape.
        dtype_suffix: text for ``dtype=...``, such as "tapejit.float32"; None leaves it out (``needs_dtype``).
        grad_fn: text for ``grad_fn=...``, with its angle brackets, such as "<MulBackward0>".
        requires_grad: adds ``requires_grad=True`` when there is no ``grad_fn``.
    """
    suffixes = []
    if array.size == 0:
        body = "[]"
        if array.ndim != 1:
            suffixes.append(f"size={_format_shape(array.shape)}")
    else:
        summarise = array.size > _options.threshold
        shown = _edges(array) if summarise else array
        body = _format_block(array, ElementFormat(shown), len(PREFIX), summarise)
    if dtype_suffix is not None:
        suffixes.append(f"dtype={dtype_suffix}")
    if grad_fn is not None:
        suffixes.append(f"grad_fn={grad_fn}")
    elif requires_grad:
        suffixes.append("requires_grad=True")
    return _append_suffixes(PREFIX + body, suffixes)


def _format_shape(shape: tuple[int, ...]) -> str:
    return f"({', '.join(map(str, shape))})"


def _append_suffixes(text: str, suffixes: list[str]) -> str:
    """Add ", suffix" for each, on a new line where the last one has no room, and the closing bracket."""
    column = len(text) - text.rfind("\n") + 1  # a line stays below the width, with its closing bracket
    for suffix in suffixes:
        if column + len(suffix) + 2 > _options.linewidth:
            text += ",\n" + " " * len(PREFIX) + suffix
            column = len(PREFIX) + len(suffix)
        else:
            text += ", " + suffix
            column += len(suffix) + 2
    return text + ")"


def _edges(array: np.ndarray) -> np.ndarray:
    """The entries that a summary shows, as one smaller array."""
    n = _options.edgeitems
    for axis, size in enumerate(array.shape):
        if size > 2 * n:
            array = array.take([*range(n), *range(size - n, size)], axis=axis)
    return array


def _format_block(array: np.ndarray, element: "ElementFormat", indent: int, summarise: bool) -> str:
    """The bracketed text of ``array``, its continuation lines indented to stand behind the bracket."""
    if array.ndim == 0:
        return element(array.item())
    n = _options.edgeitems
    cut = summarise and len(array) > 2 * n
    head, tail = (array[:n], array[len(array) - n :]) if cut else (array, array[:0])
    if array.ndim == 1:
        texts = [element(v) for v in head.tolist()]
        if cut:
            texts += [" " + ELLIPSIS, *(element(v) for v in tail.tolist())]
        per_line = max(1, (_options.linewidth - indent) // (element.width + 2))
        texts = [", ".join(texts[k : k + per_line]) for k in range(0, len(texts), per_line)]
    else:
        texts = [_format_block(block, element, indent + 1, summarise) for block in head]
        if cut:
            texts += [ELLIPSIS, *(_format_block(block, element, indent + 1, summarise) for block in tail)]
    newlines = "\n" * max(1, array.ndim - 1)
    return "[" + f",{newlines}{' ' * (indent + 1)}".join(texts) + "]"


class ElementFormat:
    """The one format of all entries of an array, chosen from its values; entries are padded to ``width``."""

    def __init__(self, array: np.ndarray):
        if array.dtype.kind == "c":
            sized = array.ravel()
            self.text = _complex_text(array)
        elif array.dtype.kind == "f":
            sized = np.unique(array[np.isfinite(array) & (array != 0)].astype(np.float64))
            self.text = _float_text(np.abs(sized))
        else:
            sized = array.ravel()
            self.text = str
        self.width = max((len(self.text(v)) for v in sized.tolist()), default=1)

    def __call__(self, value: bool | int | float) -> str:
        return self.text(value).rjust(self.width)


def _complex_text(array: np.ndarray) -> Callable[[complex], str]:
    """How to write complex numbers: each part in the one format of its kind, the sign of the second between them."""
    real, imag = ElementFormat(array.real), ElementFormat(array.imag)

    def text(value):
        second = imag(value.imag).lstrip()
        return f"{real(value.real)}{'' if second[0] == '-' else '+'}{second}j"

    return text


def _float_text(magnitudes: np.ndarray) -> Callable[[float], str]:
    """How to write the floats whose finite, non-zero magnitudes are given."""
    digits = _options.precision
    if magnitudes.size == 0:
        return _whole_text
    largest, smallest = float(magnitudes.max()), float(magnitudes.min())
    whole = bool((magnitudes == np.floor(magnitudes)).all())
    scientific = _options.sci_mode
    if scientific is None:
        scientific = (
            largest > SCI_LARGEST or largest / smallest > SCI_RATIO or (smallest < SCI_SMALLEST and not whole)
        )
    if scientific:
        return lambda value: f"{value:.{digits}e}"
    return _whole_text if whole else lambda value: f"{value:.{digits}f}"


def _whole_text(value: float) -> str:
    """An integer-valued float: a bare point in place of the digits; nan and inf get none."""
    return f"{value:.0f}." if np.isfinite(value) else str(value)
