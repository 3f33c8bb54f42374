"""Functions of arrays: on active arrays ours is the form that is compiled, with the conventions of the whole package."""

import numpy as np
import pytest
from numba import njit, typeof
from numba.core import compiler, ir, types
from numba.core.registry import cpu_target

from tapejit import nopython
from tapejit.nopython.alloc import allocators
from tapejit.nopython.exchange import FUNCTIONS, METHODS, direct
from tapejit.nopython.passes import Rewrite
from tapejit.nopython.scalars import ARITHMETIC, PREDICATES, arity_of
from tapejit.nopython.types import Dual, Tape

NAN = np.nan
ACTIVE = [Tape(types.float64), Dual(types.float64, 2), Tape(Dual(types.float64, 1))]
TWO = (np.vdot, np.outer, np.dot, np.linalg.solve, np.linalg.lstsq, np.kron, np.convolve, np.cross, np.searchsorted)
MATRICES = (
    np.trace,
    np.kron,
    np.cov,
    *(f for f in FUNCTIONS if f.__module__ == "numpy.linalg" and f is not np.linalg.norm),
)


def arguments(function, scalar):
    """Types of arguments that the function is called with, the first one active."""
    array = types.Array(scalar, 2 if function in MATRICES else 1, "C")
    if function is np.where:
        return types.Array(types.boolean, 1, "C"), array, types.float64
    if function in (np.clip, "clip"):
        return array, types.float64, types.float64
    if function is np.interp:
        return scalar, array, array
    if function in (np.percentile, np.quantile):
        return array, types.float64
    if function is np.linalg.matrix_power:
        return array, types.int64
    if function is np.linspace:
        return scalar, types.float64, types.int64
    if function is np.trapezoid:
        return (array,)
    return (array, array) if function in (*TWO, "dot") else (array,)


@pytest.mark.parametrize("scalar", ACTIVE, ids=str)
@pytest.mark.parametrize("entry", [*FUNCTIONS, *METHODS], ids=lambda entry: getattr(entry, "__name__", entry))
def test_our_form_is_taken_for_active_arguments(entry, scalar):
    stand_in = FUNCTIONS.get(entry) or METHODS[entry]
    context = cpu_target.typing_context
    context.refresh()
    args = arguments(entry, scalar)
    templates = context.resolve_value_type(stand_in).templates
    passive = [t for t in templates if t.__name__ == "Passive"]
    assert len(passive) == 1
    assert passive[0](context).generic(args, {}) is None, "Numba's own form is never taken"
    typers = [t.typer for t in templates if t.__name__ == "Direct"]
    assert len(templates) == 1 + 2 * len(typers), (
        "one of each two finds a function, the other an implementation"
    )
    assert all(typer.__module__.startswith("tapejit.nopython") for typer in typers)
    assert any(typer(*args) for typer in typers)


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
def test_every_way_to_name_a_function_is_exchanged(function):
    module = "np.linalg." if function.__module__ == "numpy.linalg" else "np."
    namespace = {"np": np, "own": function}
    exec(f"def by_module(x):\n    return {module}{function.__name__}(x)", namespace)
    exec("def by_name(x):\n    return own(x)", namespace)
    for name in ("by_module", "by_name"):
        assert FUNCTIONS[function] in exchanged(namespace[name])


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_exchanged(method):
    namespace = {}
    exec(f"def f(x):\n    y = x\n    return y.{method}()", namespace)
    assert METHODS[method] in exchanged(namespace["f"])


def exchanged(f):
    """The global values that a function refers to once it is rewritten."""
    func_ir = compiler.run_frontend(f)
    rewrite = Rewrite(func_ir, allocators(ACTIVE[0]))
    found = []
    for block in func_ir.blocks.values():
        for inst in block.body:
            for new in rewrite.instruction(block, inst):
                if isinstance(new, ir.Assign) and isinstance(new.value, ir.Global):
                    found.append(new.value.value)
    return found


def extremes(x):
    y = x.copy()
    y.sort()
    return (
        np.max(x),
        np.amin(x),
        x.max(),
        x.min(axis=0),
        np.ptp(x),
        np.sort(x)[1],
        y[1],
        x[np.argsort(x)[1]],
        x[x.argmax()],
        x[np.argmin(x)],
    )


THIRD = [1 / 3, 1 / 3, 1 / 3]


@pytest.mark.parametrize("mode", ["tape", "dual"])
def test_ties_are_shared_and_nan_is_neither_lost_nor_sorted_in_between(mode):
    j = nopython.jacobian(extremes, mode=mode)
    value, rows = j(np.array([2.0, 2.0, 2.0]))
    assert list(value) == [2.0] * 4 + [0.0] + [2.0] * 5
    assert rows[:4] == pytest.approx(np.array([THIRD] * 4))
    assert rows[4].tolist() == [0.0, 0.0, 0.0]
    assert rows[5:].tolist() == [[0, 1, 0], [0, 1, 0], [0, 1, 0], [1, 0, 0], [1, 0, 0]]
    value, rows = j(np.array([3.0, 3.0, 1.0]))
    assert rows[[0, 2]].tolist() == [[0.5, 0.5, 0.0], [0.5, 0.5, 0.0]]
    value, rows = j(np.array([1.0, NAN, 2.0]))
    assert np.array_equal(value, [NAN, NAN, NAN, NAN, NAN, 2.0, 2.0, 2.0, NAN, NAN], equal_nan=True)
    assert rows[:4].tolist() == [[0, 1, 0]] * 4
    assert rows[5:].tolist() == [[0, 0, 1], [0, 0, 1], [0, 0, 1], [0, 1, 0], [0, 1, 0]]
    value, rows = j(np.array([np.inf, np.inf, 1.0]))
    assert value[0] == np.inf
    assert rows[0].tolist() == [0.5, 0.5, 0.0]


def kinks(x):
    d = x - x[0]
    return (
        np.sum(np.clip(x, 2.0, 3.0)),
        np.clip(x[0], 1.0, 2.0),
        np.sum(x.clip(None, 2.0)),
        np.linalg.norm(d),
        np.linalg.norm(d.reshape((3, 1))),
        np.std(x),
        x.std(),
        np.sum(x.reshape((3, 1)) * x, axis=1, keepdims=True)[1, 0],
        np.mean(x, axis=0, keepdims=True)[0],
        x.var() + np.prod(x),
    )


@pytest.mark.parametrize("mode", ["tape", "dual"])
def test_gradients_at_kinks(mode):
    j = nopython.jacobian(kinks, mode=mode)
    value, rows = j(np.array([2.0, 2.0, 2.0]))
    assert value == pytest.approx([6.0, 2.0, 6.0, 0.0, 0.0, 0.0, 0.0, 12.0, 2.0, 8.0])
    assert rows[0].tolist() == [1, 1, 1], "clip passes the gradient at its bound"
    assert rows[1].tolist() == [1, 0, 0]
    assert rows[2].tolist() == [1, 1, 1]
    assert not rows[3:7].any(), "norm and std are flat at zero"
    assert rows[7] == pytest.approx([2, 8, 2])
    assert rows[8] == pytest.approx(THIRD)
    assert rows[9] == pytest.approx([4, 4, 4])


@pytest.mark.parametrize(
    "f", [lambda x: np.std(x), lambda x: np.linalg.norm(x) ** 2 - np.linalg.norm(x)], ids=["std", "norm"]
)
def test_second_derivatives_at_zero_are_finite(f):
    value, gradient, hessian = nopython.hessian(f)(np.zeros(3))
    assert value == 0.0
    assert not gradient.any()
    assert np.isfinite(hessian).all()


def passive(x):
    n = np.array([[1, 2], [3, 4]])
    return x[0] * (np.arange(3).sum() + n.sum(axis=0)[1] + np.sort(np.array([2, 1]))[0] + n.max())


def test_arrays_of_plain_numbers_keep_numbas_forms():
    assert typeof(np.zeros(2)) == types.float64[::1]
    assert nopython.grad(passive)(np.ones(1)).tolist() == [3 + 6 + 1 + 4]


def test_a_form_that_there_is_not_is_refused():
    with pytest.raises(nopython.DifferentiationError, match=r"np\.diff"):
        nopython.grad(lambda x: np.diff(x, 2)[0])(np.ones(4))


def said_beforehand(fn, given):
    """The forms of an elementwise function that say the type of their result."""
    templates = cpu_target.typing_context.resolve_value_type(fn).templates
    forms = [t.typer(*given) for t in templates if t.__name__ == "Direct"]
    return [form for form in forms if isinstance(form, direct) and form.result is not None]


ELEMENTWISE = [f for f in {*ARITHMETIC, *PREDICATES} if getattr(f, "__module__", "") in ("numpy", "_operator")]


@pytest.mark.parametrize("scalar", ACTIVE[:2], ids=str)
def test_the_result_that_is_said_beforehand_is_that_of_the_compiled_function(scalar):
    context = cpu_target.typing_context
    context.refresh()
    matrix, row = types.Array(scalar, 2, "C"), types.Array(types.float32, 1, "A")
    others = [(row, matrix), (matrix, types.int64), (scalar, types.Array(types.int64, 3, "C"))]
    checked = 0
    for k, fn in enumerate(sorted(ELEMENTWISE, key=lambda f: f.__name__)):
        given = {1: (matrix,), 2: others[k % 3], 3: (matrix, row, matrix)}[arity_of(fn)]
        for form in said_beforehand(fn, given):
            compiled = form.dispatcher._numba_type_.get_call_type(context, given, {})
            assert compiled.return_type == form.result, fn
            checked += 1
    assert checked >= 50


def test_functions_of_operators_that_end_in_an_expression_are_not_compiled():
    @njit
    def f(x):
        return np.sum(np.arctan(x) * np.log1p(x) - x)

    assert nopython.grad(f)(np.ones(3)) == pytest.approx(np.log(2.0) / 2 + np.pi / 8 - 1.0)
    array = types.Array(Tape(types.float64), 1, "C")
    for fn in (np.arctan, np.log1p):
        (form,) = said_beforehand(fn, (array,))
        assert form.result == array
        assert not form.dispatcher.overloads
