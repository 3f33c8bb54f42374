"""What a newcomer is told: wrong arguments, and tracebacks that end at his own line."""

import traceback

import numpy as np
import pytest

import tapejit as tj

X = np.array([1.0, 2.0])


def square(x):
    return (x * x).sum()


def test_arrays_of_other_libraries_are_refused_with_what_to_pass():
    class Tensor:
        __module__ = "torch"

        def numpy(self):
            return X

    class Frame(Tensor):
        __module__ = "polars.dataframe"

    with pytest.raises(TypeError, match=r"a torch Tensor.*x\.detach\(\)\.numpy\(\)"):
        tj.grad(square)(Tensor())
    with pytest.raises(TypeError, match=r"a polars Frame.*x\.to_numpy\(\)"):
        tj.jit(square)({"column": Frame()})


@pytest.mark.parametrize("transform", [tj.grad, tj.value_and_grad, tj.hessian, tj.jacrev])
@pytest.mark.parametrize("argument", [True, "x", None])
def test_what_cannot_be_differentiated_is_refused(transform, argument):
    with pytest.raises(TypeError, match=f"argument 0 is a {type(argument).__name__}.*floats or arrays"):
        transform(lambda x: 2.0)(argument)


def wrong_shapes(x):
    y = tj.ones(3)
    return (x @ y).sum()


def wrong_name(x):
    return x.no_such_method()


@pytest.mark.parametrize("transform", [tj.jit, tj.value_and_grad, tj.hessian, tj.jacfwd, lambda f: tj.jit(tj.grad(f))])
@pytest.mark.parametrize("function", [wrong_shapes, wrong_name])
@pytest.mark.parametrize("policy", ["auto", "never"])
def test_a_traceback_is_short_and_ends_at_the_user_s_line(transform, function, policy):
    made = transform(function)
    made.policy = policy
    with pytest.raises((RuntimeError, AttributeError)) as error:
        made(X)
    assert traceback.extract_tb(error.value.__traceback__)[-1].filename == __file__
    assert len("".join(traceback.format_exception(error.value)).splitlines()) <= 30


def test_the_whole_traceback_is_to_be_had(monkeypatch):
    monkeypatch.setenv("TAPEJIT_TRACEBACK", "full")
    with pytest.raises(RuntimeError) as error:
        tj.grad(wrong_shapes)(X)
    assert "linalg" in traceback.extract_tb(error.value.__traceback__)[-1].filename


def test_public_names():
    names = dir(tj)
    assert {"grad", "tensor", "Tensor", "autograd", "nopython"} <= set(names)
    assert not {"dispatch", "tape", "replay", "kernels", "FUNCTIONS", "functional"} & set(names)
    assert not {name for name in names if name.startswith("_")} - {"__version__"}
    assert dir(tj.nopython) == tj.nopython.__all__


def _in_scipy():
    import scipy.integrate
    import scipy.optimize
    import scipy.stats

    return {
        "scipy.stats.norm.cdf": lambda x: scipy.stats.norm.cdf(x).sum(),
        "implicit.root": lambda x: scipy.optimize.brentq(lambda r: r * r - x[0], 0, 10),
        "implicit.odeint": lambda x: scipy.integrate.solve_ivp(lambda t, y: -x[0] * y, (0, 1), [1.0]).y[0, -1],
        "tapejit's functions": lambda x: scipy.integrate.quad(lambda r: r * x[0], 0, 1)[0],
    }


@pytest.mark.parametrize("instead", _in_scipy())
def test_what_leaves_into_scipy_says_so_at_the_users_line(instead):
    function = _in_scipy()[instead]
    with pytest.raises(RuntimeError, match=instead) as error:
        tj.grad(function)(np.array([2.0, 3.0]))
    assert f"{__file__}:{function.__code__.co_firstlineno}" in str(error.value)
    assert traceback.extract_tb(error.value.__traceback__)[-1].filename == __file__


def test_warnings_stand_at_the_users_line():
    seen = np.array([2.0, "a"], dtype=object)
    g = tj.jit(lambda x: x * seen[0])
    with pytest.warns(UserWarning, match="runs eagerly") as record:
        g(1.0)
    assert record[0].filename == __file__


def test_tensors_of_pytorch_among_the_operands_are_named():
    class Tensor:
        __module__ = "torch"

        def numpy(self):
            return X

    for f in (lambda x: x * Tensor(), lambda x: Tensor() + x, lambda x: x > Tensor(), lambda x: tj.maximum(x, Tensor())):
        with pytest.raises(TypeError, match="torch Tensor"):
            tj.jit(f)(X)


def test_functions_of_pytorch_say_what_there_is_instead():
    torch = pytest.importorskip("torch")
    with pytest.raises(TypeError, match=r"torch\.exp\(\) is given a tensor of tapejit: use tj\.exp.*test_messages\.py"):
        tj.grad(lambda x: torch.exp(x).sum())(X)
    with pytest.raises(TypeError, match=r"an operand is a torch Tensor.*x\.detach\(\)\.numpy\(\)"):
        tj.grad(lambda x: (torch.ones(2) * x).sum())(X)


def test_argnums_that_is_nothing_of_the_kind():
    with pytest.raises(TypeError, match=r"argnums=1\.0 is neither a number, nor a name"):
        tj.grad(square, argnums=1.0)


def test_what_numpy_names_otherwise_says_so():
    M = np.arange(6.0).reshape(2, 3)
    for f, words in (
        (lambda x: x.max(axis=1).sum(), r"\.values, or amax"),
        (lambda x: x.min(1)[:, None].sum(), r"\.values, or take amax"),
        (lambda x: x.sum() / x.size, r"x\.numel\(\)"),
    ):
        with pytest.raises((AttributeError, TypeError), match=words):
            tj.grad(f)(M)
    found = tj.tensor(M).max(1)
    assert found[0] is found.values
    assert not hasattr(found, "sum")
