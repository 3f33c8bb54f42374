"""Every elementwise op of the op table: values, first and second derivatives, broadcasting, strides, special values.

The cases are generated from the table: an op is tested as soon as it has an entry there. ``REFERENCE`` says the same
function once more in HIPS/autograd's NumPy, which gives values and gradients that share nothing with the op's rules.
"""

import math

import autograd.numpy as anp
import numpy as np
import pytest
from autograd import elementwise_grad
from autograd.scipy import special
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import check_grad

import tapejit as tj
from tapejit.spec.table import OPS

APART_BY_FILE = ("tapejit.spec.special", "tapejit.spec.incomplete")  # tested in test_special.py, against SciPy
ELEMENTWISE = [
    op for op in OPS if op.elementwise and op.code and op.alias_of is None and op.value.__module__ not in APART_BY_FILE
]
SEVERAL = [op for op in ELEMENTWISE if op.arity > 1]
INF, NAN = math.inf, math.nan
SHAPES = [(), (1,), (5,), (2, 3), (0,)]
PAIRS = [((3, 1), (1, 4)), ((2, 3), (3,)), ((), (3,)), ((2, 1), (0,)), ((1, 2, 2), (3, 1, 1))]
HUGE = 100_003

REFERENCE = {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "div": lambda x, y: x / y,
    "neg": lambda x: -x,
    "pow": lambda x, y: x**y,
    "square": lambda x: x * x,
    "cube": lambda x: x * x * x,
    "reciprocal": lambda x: 1 / x,
    "remainder": anp.remainder,
    "fmod": lambda x, y: anp.sign(x) * anp.remainder(anp.abs(x), anp.abs(y)),
    "logaddexp": anp.logaddexp,
    "abs": anp.abs,
    "sign": anp.sign,
    "floor": anp.floor,
    "ceil": anp.ceil,
    "trunc": anp.trunc,
    "round": anp.rint,
    "maximum": anp.maximum,
    "minimum": anp.minimum,
    "clamp_min": anp.maximum,
    "clamp_max": anp.minimum,
    "where": anp.where,
    "exp": anp.exp,
    "exp2": anp.exp2,
    "expm1": anp.expm1,
    "log": anp.log,
    "log1p": anp.log1p,
    "log2": anp.log2,
    "log10": anp.log10,
    "sqrt": anp.sqrt,
    "rsqrt": lambda x: 1 / anp.sqrt(x),
    "cbrt": lambda x: anp.sign(x) * anp.abs(x) ** (1 / 3),
    "sin": anp.sin,
    "cos": anp.cos,
    "tan": anp.tan,
    "asin": anp.arcsin,
    "acos": anp.arccos,
    "atan": anp.arctan,
    "atan2": anp.arctan2,
    "sinh": anp.sinh,
    "cosh": anp.cosh,
    "tanh": anp.tanh,
    "asinh": anp.arcsinh,
    "acosh": anp.arccosh,
    "atanh": anp.arctanh,
    "sigmoid": special.expit,
    "softplus": lambda x: anp.logaddexp(0.0, x),
    "silu": lambda x: x * special.expit(x),
    "gelu": lambda x: 0.5 * x * special.erfc(-x / math.sqrt(2)),
    "relu": lambda x: anp.maximum(x, 0.0),
    "erf": special.erf,
    "erfc": special.erfc,
    "hypot": lambda x, y: anp.sqrt(x * x + y * y),
    "_chain": lambda x, y: x * y,
    "_chain_div": lambda x, y: x / y,
    "_floordiv": lambda x, y: np.floor(x / y),
}
REMAINDERS = {"remainder", "fmod"}
STEPS = {"sign", "floor", "ceil", "trunc", "round", "_floordiv"}  # piecewise constant: the gradient is zero


def each(ops):
    return pytest.mark.parametrize("op", ops, ids=lambda op: op.name)


def function(op):
    return getattr(tj, op.name)


def operands(op, shapes, dtype=np.float64, seed=0):
    """One array per operand, drawn from the op's domain; bools for a condition."""
    rng = np.random.default_rng([seed, op.code])
    arrays = []
    for j, shape in enumerate(shapes):
        low, high = op.domain[j]
        if op.condition and j == 0:
            arrays.append(rng.random(shape) < 0.5)
        else:
            arrays.append(np.asarray(rng.uniform(low, high, shape), dtype=dtype))
    return arrays


def shapes_for(op, shapes):
    """As many shapes as the op has operands, going round the ones given."""
    return [shapes[j % len(shapes)] for j in range(op.arity)]


def floats(op):
    """The positions of the operands that are numbers, not conditions."""
    return range(1 if op.condition else 0, op.arity)


def leaves(arrays):
    return [tj.tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays]


def gradients(op, arrays, **options):
    """The gradients of every float operand, as arrays, seeded with fixed weights."""
    tensors = leaves(arrays)
    out = function(op)(*tensors)
    weights = tj.tensor(np.linspace(0.5, 1.5, out.numel()).reshape(out.shape).astype(out.dtype.numpy))
    found = tj.autograd.grad(
        out, [t for t in tensors if t.requires_grad], weights, materialize_grads=True, **options
    )
    return [np.array(g.detach().numpy()) for g in found]




def test_every_op_has_a_reference():
    assert sorted(REFERENCE) == sorted(op.name for op in ELEMENTWISE)


# --- values -----------------------------------------------------------------------------------------------------------


@each(ELEMENTWISE)
def test_values(op):
    for shape in SHAPES:
        arrays = operands(op, [shape] * op.arity)
        out = function(op)(*map(tj.tensor, arrays))
        assert out.shape == shape
        assert out.dtype is tj.float64
        np.testing.assert_allclose(out.numpy(), REFERENCE[op.name](*arrays), rtol=2e-14, atol=1e-15)


@each(ELEMENTWISE)
def test_float32_values_are_those_of_float64_rounded(op):
    for shape in [(), (37,)]:
        arrays = operands(op, [shape] * op.arity, np.float32)
        out = function(op)(*map(tj.tensor, arrays))
        assert out.dtype is tj.float32
        wide = REFERENCE[op.name](*(a.astype(np.float64) if a.dtype.kind == "f" else a for a in arrays))
        np.testing.assert_allclose(out.numpy(), wide, rtol=2e-6, atol=1e-7)


@each(SEVERAL)
@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_broadcast_values(op, pair):
    arrays = operands(op, shapes_for(op, pair))
    expected = REFERENCE[op.name](*arrays)
    out = function(op)(*map(tj.tensor, arrays))
    assert out.shape == expected.shape
    np.testing.assert_allclose(out.numpy(), expected, rtol=2e-14, atol=1e-15)


SPECIAL = np.array([NAN, INF, -INF, 0.0, -0.0, 0.5, -0.5, 1.0, -1.0, 5e-324, 1e308, -1e308, 800.0, -800.0])
# Where the composed reference itself overflows or the op has a convention of its own
APART = {
    "hypot": np.hypot,
    "remainder": None,
    "fmod": None,
    "silu": None,
    "gelu": None,
    "_chain": lambda x, y: np.where(x == 0, 0, x * y),
    "_chain_div": lambda x, y: np.where(x == 0, 0, x / y),
    "_floordiv": np.floor_divide,
}


@each([op for op in ELEMENTWISE if op.arity == 1])
@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])
def test_special_values(op, dtype):
    reference = APART.get(op.name, REFERENCE[op.name])
    with np.errstate(all="ignore"):
        x = SPECIAL.astype(dtype)
        if reference is None:  # x * something that vanishes
            x = x[x != -INF]
            reference = REFERENCE[op.name]
        expected = np.asarray(reference(x.astype(np.float64))).astype(dtype)
    tolerance = {"rtol": 3e-6, "atol": 1e-44} if dtype == np.float32 else {"rtol": 1e-14, "atol": 1e-323}
    np.testing.assert_allclose(function(op)(tj.tensor(x)).numpy(), expected, **tolerance)


@each([op for op in SEVERAL if not op.condition])
def test_special_pairs(op):
    reference = APART.get(op.name, REFERENCE[op.name])
    if reference is None:
        reference, points = getattr(np, op.name), SPECIAL[[0, 3, 5, 6, 7, 8, 12, 13]]
    else:
        points = SPECIAL
    x, y = (a.ravel() for a in np.meshgrid(points, points))
    if op.name in REMAINDERS:  # division by zero and -0.0 as NumPy has them
        x, y = x[y != 0], y[y != 0]
    with np.errstate(all="ignore"):
        expected = reference(x, y)
    np.testing.assert_allclose(function(op)(tj.tensor(x), tj.tensor(y)).numpy(), expected, rtol=1e-14)


# Through a NaN input, some operand's gradient may still be a number: where it does not depend on the values, where an
# order decides, where the result is constant.
NAN_GRADIENT_IS_A_NUMBER = {"_floordiv", "add", "sub", "neg", "where", "relu", "sign", "floor", "ceil", "trunc", "round"}
NAN_GRADIENT_IS_A_NUMBER |= {"maximum", "minimum", "clamp_min", "clamp_max"}


@each([op for op in ELEMENTWISE if op.name not in NAN_GRADIENT_IS_A_NUMBER])
def test_nan_goes_into_the_gradient(op):
    arrays = operands(op, [(2,)] * op.arity)
    for array in arrays:
        array[0] = NAN
    for g in gradients(op, arrays)[:1] if op.name in REMAINDERS else gradients(op, arrays):
        if op.name not in REMAINDERS:
            assert np.isnan(g[0])
        assert np.isfinite(g[1])


@each([op for op in ELEMENTWISE if op.name in NAN_GRADIENT_IS_A_NUMBER])
def test_nan_in_one_element_leaves_the_others_alone(op):
    arrays = operands(op, [(3,)] * op.arity)
    clean = gradients(op, arrays)
    for array in arrays[1 if op.condition else 0 :]:
        array[1] = NAN
    for g, expected in zip(gradients(op, arrays), clean, strict=True):
        np.testing.assert_array_equal(g[[0, 2]], expected[[0, 2]])


# --- derivatives ------------------------------------------------------------------------------------------------------


@each(ELEMENTWISE)
def test_derivatives(op):
    for shape in SHAPES:
        check_grad(function(op), *operands(op, [shape] * op.arity))


@each(ELEMENTWISE)
def test_float32_derivatives(op):
    for shape in [(), (3,)]:
        check_grad(function(op), *operands(op, [shape] * op.arity, np.float32))


@each(SEVERAL)
@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_broadcast_derivatives(op, pair):
    check_grad(function(op), *operands(op, shapes_for(op, pair)))
    check_grad(function(op), *operands(op, shapes_for(op, pair[::-1])), order=1)


@each(SEVERAL)
def test_derivatives_with_a_number_as_operand(op):
    for dtype in (np.float64, np.float32):
        arrays = operands(op, [(2, 2)] * op.arity, dtype)
        for j in floats(op):
            number = float(arrays[j].flat[0])
            rest = [a for i, a in enumerate(arrays) if i != j]

            def f(*tensors, j=j, number=number):
                return function(op)(*tensors[:j], number, *tensors[j:])

            if op.condition:
                condition, rest = tj.tensor(rest[0]), rest[1:]
                check_grad(lambda t, f=f, condition=condition: f(condition, t), *rest)
            else:
                check_grad(f, *rest)
            out = f(*map(tj.tensor, arrays[:j] + arrays[j + 1 :]))
            assert out.dtype.numpy == dtype
            expected = REFERENCE[op.name](*arrays[:j], np.asarray(number, dtype), *arrays[j + 1 :])
            np.testing.assert_allclose(out.numpy(), expected, rtol=1e-14 if dtype == np.float64 else 2e-6, atol=1e-7)


def strided(array, how):
    """The same elements behind other strides."""
    if how == "transposed":
        return np.ascontiguousarray(array.T).T
    if how == "sliced":
        wide = np.zeros((array.shape[0], 2 * array.shape[1]), array.dtype)
        wide[:, ::2] = array
        return wide[:, ::2]
    return np.broadcast_to(array[:1], array.shape)


@each(ELEMENTWISE)
@pytest.mark.parametrize("how", ["transposed", "sliced", "expanded"])
def test_non_contiguous_operands(op, how):
    arrays = operands(op, [(2, 3)] * op.arity)
    mixed = [strided(a, how) if j % 2 == 0 else a for j, a in enumerate(arrays)]
    everywhere = [strided(a, how) for a in arrays]
    for case in (mixed, everywhere):
        out = function(op)(*map(tj.from_numpy, case))
        np.testing.assert_allclose(out.numpy(), REFERENCE[op.name](*case), rtol=2e-14, atol=1e-15)
        check_grad(function(op), *case)


@each(ELEMENTWISE)
def test_non_contiguous_tensors_computed_on_the_tape(op):
    arrays = operands(op, [(2, 3)] * op.arity)

    def f(*tensors):
        return function(op)(*(t.T.clone().T if t.is_floating_point() else t for t in tensors))

    def h(*tensors):
        return function(op)(*(t[:, ::2] for t in tensors))

    check_grad(f, *arrays)
    check_grad(h, *arrays)


@each(ELEMENTWISE)
def test_long_arrays(op):
    arrays = operands(op, [(HUGE,)] * op.arity)
    tensors = leaves(arrays)
    out = function(op)(*tensors)
    np.testing.assert_allclose(out.detach().numpy(), REFERENCE[op.name](*arrays), rtol=1e-13, atol=1e-15)
    out.backward(tj.ones_like(out))
    for j in floats(op):
        found = tensors[j].grad.numpy()
        if op.name in STEPS:
            assert not found.any()
            continue
        expected = elementwise_grad(REFERENCE[op.name], j)(*arrays)
        np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-13)


@each(ELEMENTWISE)
def test_reverse_kernels_agree_with_the_rules_on_tensors(op):
    cases = [[(4,)] * op.arity]
    if op.arity > 1:
        cases.append(shapes_for(op, [(3, 1), (1, 4)]))
    for shapes in cases:
        for dtype, rtol in ((np.float64, 1e-13), (np.float32, 1e-5)):
            arrays = operands(op, shapes, dtype, seed=3)
            by_kernel = gradients(op, arrays)
            by_rule = gradients(op, arrays, create_graph=True)
            for a, b in zip(by_kernel, by_rule, strict=True):
                assert a.dtype == b.dtype == dtype
                np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol)


@each([op for op in ELEMENTWISE if op.ufunc is None and not op.condition])
def test_integers_become_the_default_float(op):
    x = tj.ones(3, dtype=tj.int64) * 2
    out = function(op)(*[x] * op.arity)
    assert out.dtype is tj.float64
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(out.numpy(), REFERENCE[op.name](*[np.full(3, 2.0)] * op.arity), rtol=1e-14)


@each([op for op in ELEMENTWISE if op.ufunc is not None])
def test_integers_stay_integers_where_numpy_has_a_meaning(op):
    x = tj.tensor([3, 1, 2])
    out = function(op)(*[x] * op.arity)
    assert out.dtype is tj.int64
    np.testing.assert_array_equal(out.numpy(), op.ufunc(*[np.array([3, 1, 2])] * op.arity))


# --- kinks and ties ---------------------------------------------------------------------------------------------------

KINKS = [
    ("abs", lambda x: tj.abs(x), 0.0, 0.0),
    ("abs at -0", lambda x: tj.abs(x), -0.0, 0.0),
    ("sign", lambda x: tj.sign(x), 0.0, 0.0),
    ("sign away", lambda x: tj.sign(x), 2.0, 0.0),
    ("relu", lambda x: tj.relu(x), 0.0, 0.0),
    ("floor", lambda x: tj.floor(x), 1.0, 0.0),
    ("round", lambda x: tj.round(x), 0.5, 0.0),
    ("maximum tie", lambda x: tj.maximum(x, tj.tensor(1.0)), 1.0, 0.5),
    ("maximum tie, second", lambda x: tj.maximum(tj.tensor(1.0), x), 1.0, 0.5),
    ("maximum number", lambda x: tj.maximum(x, 1.0), 1.0, 0.5),
    ("minimum tie", lambda x: tj.minimum(x, tj.tensor(1.0)), 1.0, 0.5),
    ("minimum tie, second", lambda x: tj.minimum(tj.tensor(1.0), x), 1.0, 0.5),
    ("maximum with itself", lambda x: tj.maximum(x, x), 3.0, 1.0),
    ("clamp at min", lambda x: tj.clamp(x, min=1.0), 1.0, 1.0),
    ("clamp at max", lambda x: tj.clamp(x, max=1.0), 1.0, 1.0),
    ("clamp below", lambda x: tj.clamp(x, 1.0, 2.0), 0.5, 0.0),
    ("clamp inside", lambda x: tj.clamp(x, 1.0, 2.0), 1.5, 1.0),
    ("clamp above", lambda x: tj.clamp(x, 1.0, 2.0), 2.5, 0.0),
    ("pow 0**2", lambda x: x**2, 0.0, 0.0),
    ("pow 0**1", lambda x: x**1, 0.0, 1.0),
    ("pow 0**0", lambda x: tj.pow(x, tj.tensor(0.0)), 0.0, 0.0),
    ("pow exponent at base 0", lambda x: tj.pow(tj.tensor(0.0), x), 2.0, 0.0),
    ("pow negative base", lambda x: tj.pow(x, tj.tensor(3.0)), -2.0, 12.0),
    ("sqrt", lambda x: tj.sqrt(x), 0.0, INF),
    ("hypot at the origin", lambda x: tj.hypot(x, tj.tensor(0.0)), 0.0, 0.0),
    ("hypot at the axis", lambda x: tj.hypot(x, tj.tensor(2.0)), 0.0, 0.0),
    ("where, not chosen", lambda x: tj.where(x > 0, 1 / x, x), 0.0, 1.0),
]


@pytest.mark.parametrize(("f", "at", "expected"), [case[1:] for case in KINKS], ids=[case[0] for case in KINKS])
def test_kinks_and_ties(f, at, expected):
    x = tj.tensor(at, requires_grad=True)
    f(x).backward()
    np.testing.assert_array_equal(float(x.grad), expected)
    x = tj.tensor(at, requires_grad=True)
    (g,) = tj.autograd.grad(f(x), x, create_graph=True, materialize_grads=True)
    np.testing.assert_array_equal(g.item(), expected)


# --- compositions -----------------------------------------------------------------------------------------------------


def test_float32_stays_float32_with_numbers():
    x = tj.tensor([0.1, 0.2], dtype=tj.float32, requires_grad=True)
    y = ((2 * x + 1) / 3 - 0.1) ** 2.5 * math.pi
    assert y.dtype is tj.float32
    y.sum().backward()
    assert x.grad.dtype is tj.float32
    exact = math.pi * 2.5 * ((2 * np.float64([0.1, 0.2]) + 1) / 3 - 0.1) ** 1.5 * 2 / 3
    np.testing.assert_allclose(x.grad.numpy(), exact, rtol=1e-6)


def test_a_float32_leaf_in_float64_work():
    x = tj.tensor([0.5, 2.0], dtype=tj.float32, requires_grad=True)
    y = x * tj.tensor([3.0, 4.0])
    assert y.dtype is tj.float64
    y.sum().backward()
    assert x.grad.dtype is tj.float32
    assert x.grad.tolist() == [3.0, 4.0]


@pytest.mark.parametrize("name", ["add", "sub", "mul", "div", "maximum", "hypot"])
def test_one_tensor_as_both_operands(name):
    check_grad(lambda x: getattr(tj, name)(x, x * 1.5), np.array([0.7, 1.3]))
    check_grad(lambda x: getattr(tj, name)(x, x), np.array([0.7, 1.3]))


def test_third_derivatives():
    rng = np.random.default_rng(1)
    x = tj.tensor(rng.uniform(0.3, 0.8, 4), requires_grad=True)
    for name, third in {
        "sin": lambda x: -np.cos(x),
        "exp": np.exp,
        "log": lambda x: 2 / x**3,
        "tanh": lambda x: (4 * np.tanh(x) ** 2 - 2 * (1 - np.tanh(x) ** 2)) * (1 - np.tanh(x) ** 2),
        "square": lambda x: 0 * x,
        "cube": lambda x: 6 + 0 * x,
    }.items():
        y = getattr(tj, name)(x)
        for _ in range(3):
            (y,) = tj.autograd.grad(y.sum(), x, create_graph=True, materialize_grads=True)
            if not y.requires_grad:
                y = y + 0 * x
        np.testing.assert_allclose(y.detach().numpy(), third(x.detach().numpy()), rtol=1e-12, atol=1e-12, err_msg=name)


# --- any shapes -------------------------------------------------------------------------------------------------------


@st.composite
def broadcast_shapes(draw):
    """Two shapes that broadcast with each other, of up to four dimensions, sizes 0 to 3."""
    full = draw(st.lists(st.integers(0, 3), max_size=4))
    pair = []
    for _ in range(2):
        keep = draw(st.integers(0, len(full)))
        tail = full[len(full) - keep :]
        pair.append(tuple(1 if draw(st.booleans()) else size for size in tail))
    return pair


def plain(shape_pair, f, reference):
    rng = np.random.default_rng(len(str(shape_pair)))
    x, y = (rng.uniform(0.5, 1.5, shape) for shape in shape_pair)
    a, b = tj.tensor(x, requires_grad=True), tj.tensor(y, requires_grad=True)
    out = f(a, b)
    expected = reference(x, y)
    assert out.shape == expected.shape
    np.testing.assert_allclose(out.detach().numpy(), expected, rtol=1e-14)
    out.sum().backward()
    for t, j in ((a, 0), (b, 1)):
        partial = elementwise_grad(reference, j)(*np.broadcast_arrays(x, y)) if expected.size else np.zeros(expected.shape)
        lead = partial.ndim - t.ndim
        summed = partial.sum(axis=tuple(range(lead)))
        summed = summed.sum(axis=tuple(i for i, s in enumerate(t.shape) if s == 1), keepdims=True)
        np.testing.assert_allclose(t.grad.numpy(), summed.reshape(t.shape), rtol=1e-12, atol=1e-14)


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(broadcast_shapes())
def test_any_broadcast(pair):
    plain(pair, lambda x, y: x * y, lambda x, y: x * y)
    plain(pair, lambda x, y: x / y, lambda x, y: x / y)
    plain(pair, tj.atan2, anp.arctan2)


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(st.lists(st.integers(1, 3), min_size=1, max_size=4), st.data())
def test_any_strides(shape, data):
    order = data.draw(st.permutations(range(len(shape))))
    steps = [data.draw(st.integers(1, 3)) for _ in shape]
    wide = np.random.default_rng(0).uniform(0.5, 1.5, [s * step for s, step in zip(shape, steps, strict=True)])
    view = wide[tuple(slice(None, None, step) for step in steps)].transpose(order)
    x = tj.from_numpy(view).requires_grad_()
    y = tj.tensor(np.arange(1.0, view.size + 1).reshape(view.shape))
    (tj.sin(x) * y).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), np.cos(view) * y.numpy(), rtol=1e-13)
    (x.permute(*reversed(range(x.ndim))) ** 2).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), np.cos(view) * y.numpy() + 2 * view, rtol=1e-13)


@pytest.mark.parametrize("op", SEVERAL, ids=lambda op: op.name)
def test_shapes_that_do_not_broadcast(op):
    arrays = operands(op, shapes_for(op, [(2, 3), (4,)]))
    with pytest.raises((ValueError, RuntimeError), match=r"\(2, 3\).*\(4,\)|\(4,\).*\(2, 3\)"):
        function(op)(*map(tj.tensor, arrays))
