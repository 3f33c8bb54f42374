"""Values that leave a differentiated function as plain numbers or arrays: an error with the line, never a zero gradient."""

import math
import statistics
import warnings

import numpy as np
import pytest

import tapejit as tj

X = np.array([1.0, 2.0, 3.0])


def black_scholes(p):
    spot, strike, sigma = p[0], p[1], p[2]
    d = (math.log(spot / strike) + 0.5 * sigma**2) / sigma
    return spot * 0.5 * (1 + math.erf(d / math.sqrt(2)))


def fill(t):
    out = np.zeros(3)
    for i in range(3):
        out[i] = t[i] ** 2
    return out.sum()


def fill_all(t):
    out = np.zeros(3)
    out[:] = t
    return out.sum()


LEAVING = {
    "math": (black_scholes, r"math\.log\(\).*tj\.log"),
    "item of an array": (fill, r"assigning into a NumPy array.*tj\.stack"),
    "array": (fill_all, r"assigning into a NumPy array.*tj\.stack"),
    "float": (lambda t: float(t[0]) * 2, r"float\(\).*keep the tensor"),
    "item": (lambda t: t[0].item() * 2, r"item\(\).*keep the tensor"),
    "tolist": (lambda t: sum(t.tolist()), r"tolist\(\)"),
    "numpy": (lambda t: t.numpy().sum(), r"numpy\(\)"),
    "np.asarray": (lambda t: np.asarray(t).sum(), r"np\.asarray\(\).*tj\.stack"),
    "np.array of a list": (lambda t: np.array([t[0], t[1]]).sum(), r"np\.array\(\).*tj\.stack"),
    "tensor of a list": (lambda t: tj.tensor([t[0], t[1]]).sum(), r"tensor\(\).*tj\.stack"),
    "tensor of a tensor": (lambda t: tj.tensor(t).sum(), r"tensor\(\).*clone"),
    "statistics": (lambda t: statistics.fmean(t), r"statistics\.fmean\(\)"),
    "fsum": (lambda t: math.fsum(t), r"math\.fsum\(\).*tj\.stack"),
    "fabs": (lambda t: math.fabs(t[0]), r"math\.fabs\(\).*tj\.abs"),
    "complex": (lambda t: complex(t[0]).real, r"complex\(\)"),
}

TRANSFORMS = {
    "value_and_grad": tj.value_and_grad,
    "grad": tj.grad,
    "eager": lambda f: tj.grad(f, compile="never"),
    "hessian": tj.hessian,
    "jacrev": tj.jacrev,
    "jacfwd": tj.jacfwd,
    "hvp": lambda f: lambda x: tj.hvp(f)(x, x),
    "jvp": lambda f: lambda x: tj.jvp(f, (x,), (x,)),
    "vjp": lambda f: lambda x: tj.vjp(f, x)[1](1.0),
    "grad of jit": lambda f: tj.grad(tj.jit(f)),
}


@pytest.mark.parametrize("name", LEAVING)
def test_a_value_that_leaves_is_an_error_with_its_line_and_what_to_use(name):
    function, message = LEAVING[name]
    with pytest.raises(RuntimeError, match=message) as error:
        tj.value_and_grad(function)(X)
    first = function.__code__.co_firstlineno
    lines = {f"{__file__}:{first + k}" for k in range(5)}
    assert any(line in str(error.value) for line in lines)
    assert "detach()" in str(error.value)


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("name", ["math", "item of an array", "float", "tensor of a list"])
def test_every_transform_refuses_it(transform, name):
    function, message = LEAVING[name]
    with pytest.raises(RuntimeError, match=message):
        TRANSFORMS[transform](function)(X)


STAYING = {
    "comparison": (lambda t: (2 * t).sum() if t[0] < 3 and t[1] else t.sum(), [2.0, 2.0, 2.0]),
    "int": (lambda t: (t * int(t[1])).sum(), [2.0, 2.0, 2.0]),
    "floor": (lambda t: (t * math.floor(t[1] + 0.5)).sum(), [2.0, 2.0, 2.0]),
    "ceil": (lambda t: (t * math.ceil(t[1] + 0.5)).sum(), [3.0, 3.0, 3.0]),
    "trunc": (lambda t: (t * math.trunc(t[1] + 0.5)).sum(), [2.0, 2.0, 2.0]),
    "detach": (lambda t: (t * float(t[1].detach())).sum(), [2.0, 2.0, 2.0]),
    "detached item": (lambda t: (t * t[1].detach().item()).sum(), [2.0, 2.0, 2.0]),
    "text": (lambda t: (f"{t[0]:.2f} {t}", (3 * t).sum())[1], [3.0, 3.0, 3.0]),
}


@pytest.mark.parametrize("name", STAYING)
def test_what_steers_or_is_detached_stays_free(name):
    function, expected = STAYING[name]
    for policy in "auto", "never":
        np.testing.assert_allclose(tj.grad(function, compile=policy)(X), expected)


def test_no_grad_says_that_it_is_meant():
    def f(t):
        with tj.no_grad():
            scale = float(t[1])
        return (t * scale).sum()

    np.testing.assert_allclose(tj.grad(f)(X), [2.0, 2.0, 2.0])


def test_jit_alone_lets_values_go():
    f = tj.jit(lambda t: float(t[0]) * 2 + math.exp(t[1]))
    for _ in range(3):
        assert f(X) == 2 + math.exp(2.0)


def test_eager_warns_once_per_place():
    t = tj.tensor([1.0, 2.0, 3.0], requires_grad=True)
    out = np.zeros(3)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(3):
            math.exp(t[0])
        float(t[0])
        out[0] = t[0]
        t[0].item(), t.tolist(), f"{t[0]:.2f}", bool(t[0] < 3), int(t[0]), float(t[0].detach())
        with tj.no_grad():
            float(t[1])
    assert [w.filename for w in caught] == [__file__] * 3
    assert ["math.exp" in str(w.message) for w in caught] == [True, False, False]
    assert all("detach()" in str(w.message) for w in caught)
    assert caught[1].lineno == caught[0].lineno + 1
