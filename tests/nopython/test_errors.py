"""What is not supported is refused with the construct, the line and a remedy; nothing is taken for a constant."""

import math

import numpy as np
import pytest
from numba import njit

from tapejit import nopython

WORK = np.zeros(3)
UNSUPPORTED = {}


def unsupported(names):
    def enter(f):
        UNSUPPORTED[f.__name__] = (f, names)
        return f

    return enter


@unsupported("inside the function")
def stores_into_passive_argument(x, work):
    work[0] = x[0] * 2.0
    return work[0]


@unsupported("inside the function")
def stores_into_linspace(x, work):
    w = np.linspace(0.0, 1.0, 3)
    w[1] = x[0]
    return w[1]


@unsupported("inside the function")
def adds_to_passive_array(x, work):
    work += x
    return work[0]


@unsupported("isinstance")
def asks_for_its_type(x, work):
    return x[0] if isinstance(x[0], float) else 2.0 * x[0]


@unsupported("print")
def prints(x, work):
    print(x[0])
    return x[0]


@unsupported("eigvals")
def eigenvalues(x, work):
    return np.linalg.eigvals(np.outer(x, x))[0].real


@unsupported("frexp")
def takes_apart(x, work):
    return math.frexp(x[0])[0]


@unsupported("fmod")
def fmod(x, work):
    return math.fmod(x[0], 2.0)


@unsupported("nextafter")
def takes_the_next(x, work):
    return np.nextafter(x[0], -1.0)


@unsupported("complex")
def makes_complex(x, work):
    return complex(x[0], 1.0).real


@unsupported("astype")
def casts_to_integers(x, work):
    return x.astype(np.int64)[0] * 1.0


@unsupported("fft")
def transforms(x, work):
    return np.fft.fft(x)[0].real


@unsupported("real")
def takes_real_part(x, work):
    return x[0].real


@unsupported("str")
def formats(x, work):
    return len(str(x[0])) * 1.0


@unsupported("arange")
def spaces(x, work):
    return np.arange(0.0, x[0], 0.1)[1]


@unsupported("different kinds")
def changes_kind(x, work):
    y = x[0]
    if work[0] > 0:
        y = x
    return y


@unsupported("return one number")
def returns_an_array(x, work):
    return x * 2.0


@unsupported("return one number")
def returns_nothing(x, work):
    x[0] = 1.0


@unsupported("return one number")
def returns_a_tuple(x, work):
    return x[0], x[1]


@njit
def _inner(x, work):
    work[1] = x[1]
    return work[1]


@unsupported("inside the function")
def in_a_callee(x, work):
    return _inner(x, work) * 2.0


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_is_refused(name):
    f, word = UNSUPPORTED[name]
    with pytest.raises(nopython.DifferentiationError) as caught:
        nopython.grad(f, mode="tape")(np.array([0.5, 1.0, 2.0]), np.zeros(3))
    message = str(caught.value)
    assert word in message, message
    assert "instead:" in message
    if word != "return one number":
        assert "test_errors.py:" in message, "the message names the user's line"


def test_the_message_reaches_compiled_code():
    g = nopython.grad(takes_apart, mode="tape")

    @njit
    def caller(x, work):
        return g(x, work)[0]

    with pytest.raises(Exception, match="frexp"):
        caller(np.ones(3), np.zeros(3))


def test_an_integer_array_is_refused():
    with pytest.raises(nopython.DifferentiationError, match="float"):
        nopython.grad(lambda n: n[0] * 1.0)(np.arange(3))


def test_arguments_of_the_transforms_are_checked():
    def f(x, y):
        return x * y

    with pytest.raises(ValueError, match="argnums"):
        nopython.grad(f, argnums=2)
    with pytest.raises(ValueError, match="argnums"):
        nopython.grad(f, argnums=(0, 0))
    with pytest.raises(ValueError, match="mode"):
        nopython.grad(f, mode="fast")
    with pytest.raises(TypeError, match="function"):
        nopython.grad(3)
    with pytest.raises(TypeError, match="ordinary arguments"):
        nopython.grad(lambda *args: args[0])
    with pytest.raises(ValueError, match="65536"):
        nopython.set_memory_limit(10)


def test_a_gradient_array_of_another_shape_is_refused():
    g = nopython.value_and_grad(lambda x: x[0] * x[1], mode="tape").into
    with pytest.raises(ValueError, match="shape"):
        g(np.ones(2), np.ones(3))
    out = np.zeros(2)
    assert g(np.array([2.0, 3.0]), out) == 6.0
    assert out.tolist() == [3.0, 2.0]
