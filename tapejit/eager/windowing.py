"""Windows for spectra, under the names of ``torch.signal.windows``: vectors of weights, symmetric or periodic."""

import math

import numpy as np
from scipy.special import i0

from tapejit.core import dtypes
from tapejit.eager.creation import finish
from tapejit.eager.dispatch import from_array
from tapejit.eager.keywords import placed


def _window(function):
    """A window of ``function(k, last, **parameters)`` for the numbers k from 0 to ``last``."""

    @placed
    def window(M: int, *, sym=True, dtype=None, requires_grad=False, **parameters):
        dtype = dtypes.get_default_dtype() if dtype is None else dtypes.as_dtype(dtype)
        if M < 0 or not dtype.is_floating_point:
            raise ValueError(f"{function.__name__}() takes a length of at least 0 and a float dtype, got {M} and {dtype}")
        for name, value in parameters.items():
            _check(function.__name__, name, value, sym)
        k, last = np.arange(M, dtype=np.float64), max(M - 1 if sym else M, 1)
        values = function(k, last, **parameters) if M > 1 else np.ones(M) * function(np.zeros(M) + 0.5, 1, **parameters) ** 0
        return finish(from_array(np.asarray(values, dtype=np.float64), dtype), requires_grad)

    window.__name__ = window.__qualname__ = function.__name__
    window.__doc__ = f"{function.__doc__} ``M`` weights; symmetric, or with ``sym=False`` periodic."
    return window


def _check(window, name, value, sym):
    if (name == "beta" and value < 0) or (name in ("tau", "std") and value <= 0):
        raise ValueError(f"{window}() takes a {name} {'of at least' if name == 'beta' else 'above'} 0, got {value}")
    if name == "center" and value is not None and sym:
        raise ValueError(f"{window}() is centred if it is symmetric: give center with sym=False")
    if name == "a" and not len(value):
        raise ValueError(f"{window}() takes at least one weight")


def _cosines(k, last, weights):
    return sum(a * np.cos(2 * math.pi * j * k / last) * (-1) ** j for j, a in enumerate(weights))


@_window
def general_cosine(k, last, a=(0.5, 0.5)):
    """A sum of cosines with weights ``a``, every second one negative."""
    return _cosines(k, last, a)


@_window
def general_hamming(k, last, alpha=0.54):
    """alpha - (1 - alpha) * cos."""
    return _cosines(k, last, (alpha, 1 - alpha))


@_window
def hamming(k, last, alpha=0.54):
    """The Hamming window."""
    return _cosines(k, last, (alpha, 1 - alpha))


@_window
def hann(k, last):
    """The Hann window, a raised cosine."""
    return _cosines(k, last, (0.5, 0.5))


@_window
def blackman(k, last):
    """The Blackman window."""
    return _cosines(k, last, (0.42, 0.5, 0.08))


@_window
def nuttall(k, last):
    """The window of Nuttall with four terms."""
    return _cosines(k, last, (0.3635819, 0.4891775, 0.1365995, 0.0106411))


@_window
def bartlett(k, last):
    """The triangle that ends at 0."""
    return 1 - np.abs(2 * k / last - 1)


@_window
def cosine(k, last):
    """Half a period of a sine."""
    return np.sin(math.pi * (k + 0.5) / (last + 1))


@_window
def exponential(k, last, center=None, tau=1.0):
    """exp(-|k - center| / tau)."""
    return np.exp(-np.abs(k - (last / 2 if center is None else center)) / tau)


@_window
def gaussian(k, last, std=1.0):
    """exp(-((k - center) / std)**2 / 2)."""
    return np.exp(-(((k - last / 2) / std) ** 2) / 2)


@_window
def kaiser(k, last, beta=12.0):
    """The Kaiser window of a shape ``beta``."""
    return i0(beta * np.sqrt(np.maximum(1 - (2 * k / last - 1) ** 2, 0))) / i0(beta)


def _older(function, **names):
    """PyTorch's older form of a window: periodic by default, with its own names of parameters."""

    @placed
    def window(window_length: int, periodic=True, *args, dtype=None, requires_grad=False, **given):
        given.update(zip(names, args, strict=False))
        given = {names[name]: value for name, value in given.items()}
        return function(window_length, sym=not periodic, dtype=dtype, requires_grad=requires_grad, **given)

    window.__name__ = window.__qualname__ = f"{function.__name__}_window"
    window.__doc__ = f"``signal.windows.{function.__name__}``, periodic unless ``periodic=False``."
    return window


hann_window, blackman_window, bartlett_window = map(_older, (hann, blackman, bartlett))
hamming_window, kaiser_window = _older(hamming, alpha="alpha"), _older(kaiser, beta="beta")
