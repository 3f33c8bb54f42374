"""``tj.fft``: NumPy's values for every kind of length, and derivatives of both orders, eager and replayed."""

import numpy as np
import pytest
from oracle import check_grad

import tapejit as tj

LENGTHS = [*range(1, 65), 67, 74, 127, 163, 211, 331, 422, 1000, 4096, 65537]
RNG = np.random.default_rng(7)


def close(found, expected):
    found = found.numpy() if not isinstance(found, np.ndarray) else found
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13 * max(1e-300, np.abs(expected).max()))


@pytest.mark.parametrize("n", LENGTHS)
def test_values_are_numpys(n):
    z = RNG.standard_normal(n) + 1j * RNG.standard_normal(n)
    close(tj.fft.fft(z), np.fft.fft(z))
    close(tj.fft.ifft(tj.tensor(z)), np.fft.ifft(z))
    close(tj.fft.rfft(z.real.copy()), np.fft.rfft(z.real))
    close(tj.fft.irfft(z, n), np.fft.irfft(z, n))


@pytest.mark.parametrize("norm", [None, "backward", "ortho", "forward"])
@pytest.mark.parametrize("n", [None, 3, 8])
@pytest.mark.parametrize("dim", [0, 1, -1])
def test_lengths_dimensions_and_norms(norm, n, dim):
    z = RNG.standard_normal((5, 6)) + 1j * RNG.standard_normal((5, 6))
    for name in "fft ifft irfft".split():
        close(getattr(tj.fft, name)(tj.tensor(z), n, dim, norm), getattr(np.fft, name)(z, n, dim, norm))
        close(getattr(np.fft, name)(tj.tensor(z), n, axis=dim, norm=norm), getattr(np.fft, name)(z, n, dim, norm))
    close(tj.fft.rfft(z.real.copy(), n, dim, norm), np.fft.rfft(z.real, n, dim, norm))


@pytest.mark.parametrize("name", "fft2 ifft2 fftn ifftn rfft2 rfftn irfft2 irfftn".split())
def test_several_dimensions(name):
    z = RNG.standard_normal((3, 4, 6)) + 1j * RNG.standard_normal((3, 4, 6))
    z = z.real.copy() if name.startswith("r") else z
    close(getattr(tj.fft, name)(z), getattr(np.fft, name)(z))
    close(getattr(tj.fft, name)(z, (4, 5), (0, 2), "ortho"), getattr(np.fft, name)(z, (4, 5), (0, 2), "ortho"))
    close(getattr(np.fft, name)(tj.tensor(z), axes=(0, 1)), getattr(np.fft, name)(z, axes=(0, 1)))


@pytest.mark.parametrize("n", [1, 4, 7])
def test_frequencies_and_shifts(n):
    close(tj.fft.fftfreq(n, 0.5), np.fft.fftfreq(n, 0.5))
    close(tj.fft.rfftfreq(n, 0.5), np.fft.rfftfreq(n, 0.5))
    x = np.arange(2.0 * n).reshape(2, n)
    for dim in (None, 1, (0, 1)):
        close(tj.fft.fftshift(x, dim), np.fft.fftshift(x, dim))
        close(tj.fft.ifftshift(x + 1j, dim), np.fft.ifftshift(x + 1j, dim))
        close(np.fft.fftshift(tj.tensor(x), axes=dim), np.fft.fftshift(x, dim))


@pytest.mark.parametrize("n", [5, 6])
def test_derivatives_to_the_second_order(n):
    x, y = RNG.standard_normal(n), RNG.standard_normal(n)
    check_grad(lambda x: (tj.fft.rfft(x).abs() ** 3).sum(), x, rtol=1e-5, atol=1e-5)
    check_grad(lambda x, y: tj.fft.irfft(tj.complex(x, y), n + 1) ** 2, x, y)
    check_grad(lambda x, y: tj.view_as_real(tj.fft.fft(tj.complex(x, y)) ** 2), x, y, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("n", [128, 167])
def test_the_power_of_a_long_signal_replayed(n):
    g = tj.value_and_grad(lambda x: (np.fft.fft(x).abs() ** 2).sum(), compile="now")
    for _ in range(3):
        x = RNG.standard_normal(n)
        value, gradient = g(x)  # Parseval: n |x|^2
        np.testing.assert_allclose(value, n * (x * x).sum(), rtol=1e-12)
        np.testing.assert_allclose(gradient, 2 * n * x, rtol=1e-11, atol=1e-11 * n)


@pytest.mark.parametrize("norm", [None, "backward", "ortho", "forward"])
@pytest.mark.parametrize("n", [None, 4, 7])
def test_hermitian_signals(norm, n):
    """The transform of a signal given by its half, and its inverse, against NumPy's; in one dimension and in several."""
    rng = np.random.default_rng(0)
    z, x = rng.normal(size=(3, 4)) + 1j * rng.normal(size=(3, 4)), rng.normal(size=(3, 4))
    np.testing.assert_allclose(tj.fft.hfft(tj.tensor(z), n, 1, norm).numpy(), np.fft.hfft(z, n, 1, norm), atol=1e-13)
    np.testing.assert_allclose(tj.fft.ihfft(tj.tensor(x), n, 1, norm).numpy(), np.fft.ihfft(x, n, 1, norm), atol=1e-14)
    np.testing.assert_allclose(np.fft.hfft(tj.tensor(z), n, 1, norm).numpy(), np.fft.hfft(z, n, 1, norm), atol=1e-13)
    there = tj.fft.ihfftn(tj.tensor(x), norm=norm)
    np.testing.assert_allclose(there.numpy(), np.fft.ifft(np.fft.ihfft(x, norm=norm), axis=0, norm=norm), atol=1e-14)
    np.testing.assert_allclose(tj.fft.hfftn(there, norm=norm).numpy(), x, atol=1e-13)
    np.testing.assert_allclose(tj.fft.hfft2(tj.fft.ihfft2(tj.tensor(x), norm=norm), norm=norm).numpy(), x, atol=1e-13)


def test_derivatives_of_hermitian_transforms():
    rng = np.random.default_rng(1)
    check_grad(lambda a, b: tj.fft.hfft(tj.complex(a, b)), rng.normal(size=4), rng.normal(size=4))
    check_grad(lambda x: tj.view_as_real(tj.fft.ihfft(x)), rng.normal(size=5))
