"""Assertions on tensors, under the names of ``torch.testing``."""

import numpy as np

from tapejit.eager.tensor import Tensor

_TOLERANCES = {np.dtype(np.float64): (1e-7, 1e-7), np.dtype(np.float32): (1.3e-6, 1e-5)}


def _array(x):
    return x.detach()._array() if isinstance(x, Tensor) else np.asarray(x)


def assert_close(actual, expected, *, rtol=None, atol=None, equal_nan=False, check_dtype=True, msg=None, **checks) -> None:
    """Assert that tensors, numbers, or containers of them agree to within ``atol + rtol * |expected|``.

    Args:
        rtol, atol: both or none; by default 1e-7 and 1e-7 in float64, 1.3e-6 and 1e-5 in float32, and equality of integers.
        check_dtype: whether dtypes must be the same.
        msg: the message instead of the one that says what differs, or a function of that.

    Raises:
        AssertionError: where they do not, with the largest differences.
        ValueError: if one of ``rtol`` and ``atol`` is given alone.
    """
    if (rtol is None) != (atol is None):
        raise ValueError("assert_close() takes rtol and atol together, or neither")
    if isinstance(expected, dict):
        assert set(actual) == set(expected), f"keys differ: {sorted(actual)} and {sorted(expected)}"
        pairs = [(actual[k], expected[k]) for k in expected]
    elif isinstance(expected, (tuple, list)):
        assert len(actual) == len(expected), f"lengths differ: {len(actual)} and {len(expected)}"
        pairs = list(zip(actual, expected, strict=True))
    else:
        wrong = _difference(_array(actual), _array(expected), rtol, atol, equal_nan, check_dtype)
        if wrong:
            raise AssertionError(msg(wrong) if callable(msg) else msg or wrong)
        return
    for a, e in pairs:
        assert_close(a, e, rtol=rtol, atol=atol, equal_nan=equal_nan, check_dtype=check_dtype, msg=msg)


def _difference(a, e, rtol, atol, equal_nan, check_dtype):
    """What differs, in words; None if nothing does."""
    if a.shape != e.shape:
        return f"shapes differ: {a.shape} and {e.shape}"
    if check_dtype and a.dtype != e.dtype:
        return f"dtypes differ: {a.dtype} and {e.dtype}"
    if rtol is None:
        rtol, atol = map(max, zip(*(_TOLERANCES.get(x.dtype, (0.0, 0.0)) for x in (a, e)), strict=True))
    close = np.isclose(a, e, rtol, atol, equal_nan)
    if close.all():
        return None
    apart = np.abs(a[~close].astype(float) - e[~close].astype(float)) if a.ndim else np.abs(float(a) - float(e))
    place = tuple(int(k) for k in np.argwhere(~close)[0]) if a.ndim else ()
    return (
        f"tensors are not close: {int((~close).sum())} of {close.size} elements differ, the first at {place}; the largest "
        f"difference is {np.max(apart)} (rtol {rtol}, atol {atol})"
    )


def assert_allclose(actual, expected, rtol=None, atol=None, equal_nan=True, msg="") -> None:
    """``assert_close`` without the comparison of dtypes."""
    assert_close(actual, expected, rtol=rtol, atol=atol, equal_nan=equal_nan, check_dtype=False, msg=msg or None)
