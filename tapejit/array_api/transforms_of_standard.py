"""The standard's extension ``fft``: the transforms of ``tapejit.fft`` with the standard's words for their arguments."""

from tapejit.eager.complexes import fourier
from tapejit.eager.devices import check_device

ONE = "fft ifft rfft irfft hfft ihfft".split()
SEVERAL = "fftn ifftn rfftn irfftn".split()
SHIFTS = "fftshift ifftshift".split()
FREQUENCIES = "fftfreq rfftfreq".split()


def _one(function):
    def transform(x, /, *, n=None, axis=-1, norm="backward"):
        return function(x, n, axis, norm)

    return transform


def _several(function):
    def transform(x, /, *, s=None, axes=None, norm="backward"):
        return function(x, s, axes, norm)

    return transform


def _shift(function):
    def shift(x, /, *, axes=None):
        return function(x, axes)

    return shift


def _frequencies(function):
    def frequencies(n, /, *, d=1.0, dtype=None, device=None):
        check_device(device)
        return function(n, d, dtype=dtype)

    return frequencies


def named() -> dict:
    """The functions by name."""
    found = {}
    for names, make in ((ONE, _one), (SEVERAL, _several), (SHIFTS, _shift), (FREQUENCIES, _frequencies)):
        for name in names:
            own = getattr(fourier, name)
            found[name] = make(own)
            found[name].__name__ = found[name].__qualname__ = name
            found[name].__doc__ = own.__doc__
    return found
