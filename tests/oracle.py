"""The one oracle for derivatives: compare what the tape says with central finite differences.

    from oracle import check_grad
    check_grad(lambda x, y: tj.tanh(x) * y, np.array([0.1, 0.2]), np.array([1.0, -3.0]))

Each check contracts the result with fixed random weights, so a result of any shape becomes one number whose
gradient depends on every entry. The second order does the same once more with the first gradients.
"""

import numpy as np

import tapejit as tj

# The gradient is checked in the inputs' own precision; the finite differences always run in float64.
TOLERANCES = {
    np.dtype(np.float64): {"rtol": 1e-6, "atol": 1e-7},
    np.dtype(np.float32): {"rtol": 2e-3, "atol": 2e-3},
}
STEP = 1e-5  # relative to max(1, |x|); truncation and rounding both stay near 1e-10


def check_grad(f, *arrays, order=2, rtol=None, atol=None, step=STEP, seed=0):
    """Assert that the derivatives of ``f`` at ``arrays`` agree with central finite differences.

    Arguments:
        f: takes one tensor per array and returns one floating-point tensor of any shape.
        arrays: NumPy arrays (or numbers) of any shape. Only float64 and float32 arrays are differentiated;
            integer and bool arrays reach ``f`` as plain tensors. A non-contiguous array keeps its strides (it is
            taken over by ``from_numpy``); any other becomes a fresh tensor. Keep them small: a check costs two
            calls of ``f`` per element and order.
        order: 1 checks gradients, 2 also checks gradients of gradients (through ``create_graph=True``).
        rtol, atol: tolerances in place of those for the arrays' precision.
        step: finite-difference step, relative to ``max(1, |x|)``. Points closer than this to a kink or to the
            edge of the domain cannot be checked.
        seed: picks the random weights.

    Checked besides the numbers: ``autograd.grad`` and ``backward`` agree, each gradient has its input's shape
    and dtype, and the inputs are left as they were. An input that ``f`` does not use counts as gradient zero.

    Raises:
        AssertionError: with the order and the position of the input in its message.
    """
    arrays = [np.asarray(a) for a in arrays]
    active = [i for i, a in enumerate(arrays) if a.dtype.kind == "f"]
    if not active:
        raise ValueError("check_grad needs at least one floating-point array")
    low = min((arrays[i].dtype for i in active), key=lambda d: d.itemsize)
    tolerance = {
        "rtol": TOLERANCES[low]["rtol"] if rtol is None else rtol,
        "atol": TOLERANCES[low]["atol"] if atol is None else atol,
    }
    wide = [a.astype(np.float64) if i in active else a for i, a in enumerate(arrays)]
    before = [a.copy() for a in arrays]

    rng = np.random.default_rng(seed)
    with tj.no_grad():
        result = f(*(_leaf(a) for a in arrays))
    weights = rng.uniform(0.5, 1.5, tuple(result.shape)) * rng.choice([-1.0, 1.0], tuple(result.shape))
    directions = {i: rng.uniform(0.5, 1.5, arrays[i].shape) for i in active}

    def value(points):
        """The weighted sum of the result, a Python float."""
        with tj.no_grad():
            return float((_numpy(f(*(_leaf(p) for p in points))) * weights).sum())

    def slope(points):
        """The first gradients' sum along the fixed directions, a Python float."""
        gradients = _gradients(f, points, active, weights)
        return float(sum((g * directions[i]).sum() for i, g in gradients.items()))

    first = _gradients(f, arrays, active, weights)
    _compare(1, first, _differences(value, wide, active, step), arrays, tolerance)
    _compare(1, _backward(f, arrays, active, weights), first, arrays, tolerance)
    if order >= 2:
        second = _second_gradients(f, arrays, active, weights, directions)
        _compare(2, second, _differences(slope, wide, active, step), arrays, tolerance)
    for i, (now, then) in enumerate(zip(arrays, before, strict=True)):
        np.testing.assert_array_equal(now, then, err_msg=f"input {i} was changed by the check")


def _leaf(array, requires_grad=False):
    strided = array.ndim > 0 and not array.flags.c_contiguous and min(array.strides) >= 0
    t = tj.from_numpy(array) if strided else tj.tensor(array)
    return t.requires_grad_() if requires_grad else t


def _numpy(t):
    return np.asarray(t.detach().numpy())


def _leaves(arrays, active):
    return [_leaf(a, requires_grad=i in active) for i, a in enumerate(arrays)]


def _cotangent(result, weights):
    return tj.tensor(np.asarray(weights, dtype=_numpy(result).dtype))


def _gradients(f, arrays, active, weights):
    """{position: gradient as an array} by ``autograd.grad``."""
    leaves = _leaves(arrays, active)
    result = f(*leaves)
    if not result.requires_grad:
        return {i: np.zeros(arrays[i].shape) for i in active}
    found = tj.autograd.grad(
        result, [leaves[i] for i in active], grad_outputs=_cotangent(result, weights), allow_unused=True
    )
    return _as_arrays(found, arrays, active)


def _backward(f, arrays, active, weights):
    """{position: gradient as an array} by ``backward`` and ``.grad``."""
    leaves = _leaves(arrays, active)
    result = f(*leaves)
    if result.requires_grad:
        result.backward(_cotangent(result, weights))
    return _as_arrays([leaves[i].grad for i in active], arrays, active)


def _second_gradients(f, arrays, active, weights, directions):
    """{position: gradient of the first gradients' sum along the directions} by ``create_graph``."""
    leaves = _leaves(arrays, active)
    inputs = [leaves[i] for i in active]
    result = f(*leaves)
    total = None
    if result.requires_grad:
        first = tj.autograd.grad(
            result, inputs, grad_outputs=_cotangent(result, weights), create_graph=True, allow_unused=True
        )
        for i, g in zip(active, first, strict=True):
            if g is not None and g.requires_grad:
                term = (g * tj.tensor(directions[i].astype(_numpy(g).dtype))).sum()
                total = term if total is None else total + term
    if total is None:  # constant gradients: f is linear in its inputs
        return {i: np.zeros(arrays[i].shape) for i in active}
    return _as_arrays(tj.autograd.grad(total, inputs, allow_unused=True), arrays, active)


def _as_arrays(gradients, arrays, active):
    out = {}
    for i, g in zip(active, gradients, strict=True):
        out[i] = np.zeros(arrays[i].shape) if g is None else _numpy(g)
        assert out[i].shape == arrays[i].shape, (
            f"gradient of input {i} has shape {out[i].shape}, not {arrays[i].shape}"
        )
        if g is not None:
            assert out[i].dtype == arrays[i].dtype, (
                f"gradient of input {i} is {out[i].dtype}, not {arrays[i].dtype}"
            )
    return out


def _differences(value, arrays, active, step):
    """{position: central differences of ``value`` with respect to every element}."""
    out = {}
    for i in active:
        out[i] = np.empty(arrays[i].shape)
        for index in np.ndindex(arrays[i].shape):
            h = step * max(1.0, abs(float(arrays[i][index])))
            ends = []
            for sign in (1.0, -1.0):
                moved = arrays[i].copy(order="K")
                moved[index] += sign * h
                ends.append((moved[index], value([*arrays[:i], moved, *arrays[i + 1 :]])))
            (x1, v1), (x0, v0) = ends
            out[i][index] = (v1 - v0) / (x1 - x0)
    return out


def _compare(order, got, expected, arrays, tolerance):
    for i, g in got.items():
        np.testing.assert_allclose(
            g, expected[i], err_msg=f"order {order}, input {i} of shape {arrays[i].shape}", **tolerance
        )
