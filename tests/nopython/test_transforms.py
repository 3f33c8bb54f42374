"""Interfaces: arguments of every kind, every transform, nesting, calls from compiled code."""

import math

import numpy as np
import pytest
from finite_differences import differences
from numba import njit

from tapejit import nopython


def product(a, b):
    return a * math.sin(b) + b**2


def rosenbrock(x):
    s = 0.0
    for i in range(len(x) - 1):
        s += 100.0 * (x[i + 1] - x[i] ** 2) ** 2 + (1.0 - x[i]) ** 2
    return s


def rosenbrock_hessian(x):
    from scipy.optimize import rosen_hess

    return rosen_hess(x)


@pytest.mark.parametrize("mode", ["auto", "tape", "dual"])
def test_scalar_arguments(mode):
    g = nopython.value_and_grad(product, argnums=(0, 1), mode=mode)
    value, (da, db) = g(1.5, 2.0)
    assert isinstance(da, float)
    assert isinstance(value, float)
    assert value == pytest.approx(1.5 * math.sin(2.0) + 4.0)
    assert (da, db) == pytest.approx((math.sin(2.0), 1.5 * math.cos(2.0) + 4.0))
    assert nopython.grad(product, argnums=1, mode=mode)(1.5, 2.0) == pytest.approx(db)


@pytest.mark.parametrize("mode", ["tape", "dual"])
def test_arrays_tuples_and_passive_arguments(mode):
    def f(state, data, n, flag=True):
        a, (b, c) = state
        s = 0.0
        for i in range(n):
            s += a[i, 0] * b[i] * data[i] * c
        return s if flag else -s

    a, b, c, data = np.arange(6.0).reshape(3, 2), np.array([1.0, 2.0, 3.0]), 0.5, np.array([2.0, 1.0, 4.0])
    value, (ga, (gb, gc)) = nopython.value_and_grad(f, mode=mode)((a, (b, c)), data, 3)
    assert value == pytest.approx(c * np.sum(a[:, 0] * b * data))
    assert ga == pytest.approx(np.stack([b * data * c, np.zeros(3)], axis=1))
    assert gb == pytest.approx(a[:, 0] * data * c)
    assert gc == pytest.approx(np.sum(a[:, 0] * b * data))


@pytest.mark.parametrize("mode", ["tape", "dual"])
def test_float32_stays_float32(mode):
    def f(x):
        s = x[0]
        for v in x:
            s = s + v * v
        return s

    x = np.array([1.0, 2.0, 3.0], dtype=np.float32)
    value, gradient = nopython.value_and_grad(f, mode=mode)(x)
    assert gradient.dtype == np.float32
    assert gradient == pytest.approx(np.array([3.0, 4.0, 6.0]))
    assert value == pytest.approx(15.0)


def test_strided_and_two_dimensional_arguments():
    def f(x):
        return np.sum(x * x * x)

    x = np.arange(12.0).reshape(3, 4)[:, ::2]
    assert nopython.grad(f)(x) == pytest.approx(3 * x**2)


def test_jvp_of_numbers_arrays_and_tuples():
    x, v = np.array([0.3, 0.5, -0.2]), np.array([1.0, -2.0, 0.5])
    _, tangent = nopython.jvp(rosenbrock)(x, v)
    assert tangent == pytest.approx(differences(rosenbrock, x) @ v)

    def several(x, y):
        return x * y, x[0] + y

    (p, q), (dp, dq) = nopython.jvp(several, argnums=(0, 1))(x, 2.0, (v, 1.0))
    assert dp == pytest.approx(v * 2.0 + x)
    assert dq == pytest.approx(v[0] + 1.0)
    assert p == pytest.approx(x * 2.0)
    assert q == pytest.approx(x[0] + 2.0)


def test_jacobian():
    def f(x, a):
        y = np.zeros((2, 2))
        for i in range(2):
            for j in range(2):
                y[i, j] = x[i] * x[j + 1] * a
        return y

    x = np.array([2.0, 3.0, 5.0])
    value, (jx, ja) = nopython.jacobian(f, argnums=(0, 1))(x, 0.5)
    assert (value.shape, jx.shape, ja.shape) == ((2, 2), (2, 2, 3), (2, 2))
    expected = np.zeros((2, 2, 3))
    for i in range(2):
        for j in range(2):
            expected[i, j, i] += x[j + 1] * 0.5
            expected[i, j, j + 1] += x[i] * 0.5
    assert jx == pytest.approx(expected)
    assert ja == pytest.approx(value / 0.5)


def project(c, x, w):
    """Two numbers from an array, an array and a number; as a tuple."""
    t = c[0] * x[0] + c[1] * x[1] + math.sin(c[2] * x[2])
    if t > 0.0:
        p, q = x[0] / (1.0 + t * t), x[1] * t
    else:
        p, q = x[0] * t, x[1] / (1.0 + t * t)
    return w * (p * c[3] + c[4]), w * q * math.exp(c[5])


_project = njit(project)


def project_array(c, x, w):
    out = np.zeros(2)
    out[0], out[1] = _project(c, x, w)
    return out


PROJECTION = np.linspace(0.2, 1.1, 6), np.array([0.5, -0.3, 0.8]), 0.7


def projection_differences():
    c, x, w = PROJECTION
    columns = []
    for row in range(2):
        columns.append((
            differences(lambda v, row=row: project(v, x, w)[row], c),
            differences(lambda v, row=row: project(c, v, w)[row], x),
            differences(lambda v, row=row: project(c, x, v[0])[row], np.array([w]))[0],
        ))  # fmt: skip
    return tuple(np.array(part) for part in zip(*columns, strict=True))


@pytest.mark.parametrize("options", [{"mode": "tape"}, {"mode": "dual"}, {"mode": "dual", "lanes": 16},
                                     {"mode": "dual", "lanes": 3}])  # fmt: skip
@pytest.mark.parametrize("f", [project, project_array])
def test_jacobian_of_several_arguments(f, options):
    """Results as tuples and arrays, in both modes, in lanes that do and do not divide the inputs; and into given arrays."""
    j = nopython.jacobian(f, (0, 1, 2), **options)
    value, found = j(*PROJECTION)
    assert tuple(value) == pytest.approx(project(*PROJECTION), rel=1e-14)
    for part, expected in zip(found, projection_differences(), strict=True):
        assert part == pytest.approx(expected, rel=1e-7, abs=1e-9)
    block = np.full((2, 15), np.nan)
    outs = block[:, 1:7], block[:, 7:10], block[:, 11]
    assert tuple(j.into(*PROJECTION, outs)) == tuple(value)
    for out, part in zip(outs, found, strict=True):
        assert np.array_equal(out, part)
    assert np.isnan(block).sum() == 2 * 5, "nothing else is written"
    together = np.full((2, 10), np.nan)
    assert tuple(j.into(*PROJECTION, together)) == tuple(value)
    assert np.array_equal(together, np.hstack([found[0], found[1], found[2][:, None]]))
    with pytest.raises(ValueError, match="shape of the result"):
        j.into(*PROJECTION, np.zeros((2, 11)))


def test_jacobian_of_numbers_takes_dual_numbers():
    def polar(r, phi):
        return r * math.cos(phi), r * math.sin(phi), 3

    value, (by_r, by_phi) = nopython.jacobian(polar, (0, 1))(2.0, 0.5)
    assert value == pytest.approx((2 * math.cos(0.5), 2 * math.sin(0.5), 3))
    assert by_r == pytest.approx([math.cos(0.5), math.sin(0.5), 0.0])
    assert by_phi == pytest.approx([-2 * math.sin(0.5), 2 * math.cos(0.5), 0.0])


def test_jacobian_into_from_compiled_code():
    j = nopython.jacobian(project, (0, 1, 2), mode="dual")

    @njit
    def many(cs, x, w, blocks, dw):
        for k in range(len(cs)):
            j.into(cs[k], x, w, (blocks[k, :, :6], blocks[k, :, 6:9], dw[k]))

    c, x, w = PROJECTION
    cs = c + np.arange(5.0)[:, None] * 0.1
    blocks, dw = np.zeros((5, 2, 9)), np.zeros((5, 2))
    many(cs, x, w, blocks, dw)
    for k in range(5):
        _, (by_c, by_x, by_w) = nopython.jacobian(project, (0, 1, 2), mode="tape")(cs[k], x, w)
        assert blocks[k] == pytest.approx(np.hstack([by_c, by_x]), rel=1e-13)
        assert dw[k] == pytest.approx(by_w, rel=1e-13)


@pytest.mark.parametrize("mode", ["tape", "dual"])
def test_a_jacobian_can_be_differentiated(mode):
    """The gradient of a Jacobian's entry, against differences of it."""
    j = nopython.jacobian(project, (0, 1), mode=mode)

    def entry(c, x, w):
        value, (by_c, by_x) = j(c, x, w)
        return by_c[0, 2] * value[1] + by_x[1, 0] * by_c[1, 5]

    c, x, w = PROJECTION
    compiled = njit(entry)
    for outer in ("tape", "dual"):
        found = nopython.grad(entry, mode=outer)(c, x, w)
        assert found == pytest.approx(differences(lambda v: compiled(v, x, w), c), rel=1e-6, abs=1e-9)


def test_jacobian_is_checked():
    j = nopython.jacobian(project, (0, 1, 2))
    c, x, w = PROJECTION
    for _ in range(2):
        with pytest.raises(ValueError, match="shape of the result"):
            j.into(c, x, w, (np.zeros((2, 6)), np.zeros((2, 2)), np.zeros(2)))
        with pytest.raises(ValueError, match="shape of the result"):
            j.into(c, x, w, (np.zeros((3, 6)), np.zeros((2, 3)), np.zeros(2)))
    with pytest.raises(ValueError, match="lanes"):
        nopython.jacobian(project, lanes=17)
    with pytest.raises(nopython.DifferentiationError, match="items as arguments"):
        nopython.jacobian(lambda p: (p[0], p[1]))((1.0, 2.0))
    with pytest.raises(nopython.DifferentiationError, match="tuple of numbers"):
        nopython.jacobian(lambda x: (x, x[0]))(np.ones(2))
    with pytest.raises(nopython.DifferentiationError, match="value_and_grad"):
        nopython.jacobian(lambda x: x[0])(np.ones(2))


def test_hessian_and_product():
    x = np.linspace(-1, 1, 7)
    v = np.cos(np.arange(7.0))
    value, gradient, hessian = nopython.hessian(rosenbrock)(x)
    assert hessian == pytest.approx(rosenbrock_hessian(x), rel=1e-12)
    assert gradient == pytest.approx(differences(rosenbrock, x), rel=1e-6)
    assert value == pytest.approx(rosenbrock(x))
    assert nopython.hvp(rosenbrock)(x, v) == pytest.approx(rosenbrock_hessian(x) @ v, rel=1e-12)
    assert nopython.hvp(product, argnums=(0, 1))(1.5, 2.0, (1.0, 0.0)) == pytest.approx((0.0, math.cos(2.0)))


def cube_sine(a):
    return a * a * a * math.sin(a)


def third_derivative(a):
    return 6 * math.sin(a) + 18 * a * math.cos(a) - 9 * a * a * math.sin(a) - a**3 * math.cos(a)


@pytest.mark.parametrize("modes", [("tape",) * 3, ("dual",) * 3, ("tape", "dual", "tape")])
def test_nested_gradients(modes):
    g = cube_sine
    for mode in modes:
        g = nopython.grad(g, mode=mode)
    assert g(0.7) == pytest.approx(third_derivative(0.7), rel=1e-12)


def test_a_gradient_inside_a_differentiated_function():
    inner = nopython.grad(lambda y, x: y * y * x, mode="tape")

    def f(x):  # 2 (x + 1) x^2: the inner derivative must not see the outer one
        return inner(x + 1.0, x) * x

    assert nopython.grad(f, mode="tape")(3.0) == pytest.approx(6 * 9 + 4 * 3.0)

    def passive_inner(x):
        return inner(2.0, x) + inner(1.0, 5.0) * x

    assert nopython.grad(passive_inner, mode="tape")(3.0) == pytest.approx(4.0 + 10.0)


def test_gradient_of_a_gradient_norm():
    g = nopython.grad(rosenbrock)

    def norm(x):
        return np.sum(g(x) ** 2)

    x = np.array([0.1, 0.4, -0.3])
    exact = 2 * rosenbrock_hessian(x) @ differences(rosenbrock, x)
    assert nopython.grad(norm)(x) == pytest.approx(exact, rel=1e-6)


def test_called_from_compiled_code_as_global_and_closure():
    g = nopython.value_and_grad(rosenbrock)

    @njit
    def descend(x, steps):
        x = x.copy()
        out = np.empty_like(x)
        for _ in range(steps):
            g.into(x, out)
            x -= 1e-3 * out
        return g(x)

    value, gradient = descend(np.array([0.0, 0.0, 0.0]), 50)
    assert value < rosenbrock(np.zeros(3))
    assert gradient.shape == (3,)


def test_keywords_and_defaults():
    g = nopython.grad(lambda x, scale=3.0: x * x * scale)
    assert g(2.0) == pytest.approx(12.0)
    assert g(2.0, scale=1.0) == pytest.approx(4.0)
    assert g(x=2.0, scale=2.0) == pytest.approx(8.0)


def test_into_with_several_arguments():
    g = nopython.value_and_grad(product, argnums=(0, 1)).into
    da, db = np.zeros(1), np.zeros(1)
    g(1.5, 2.0, (da, db))
    assert (da[0], db[0]) == pytest.approx((math.sin(2.0), 1.5 * math.cos(2.0) + 4.0))


def test_names_of_parameters_do_not_matter():
    def f(inner, out, tape, np, v):
        return inner * out + tape * np * v

    assert nopython.grad(f, argnums=(0, 4))(2.0, 3.0, 4.0, 5.0, 6.0) == (3.0, 20.0)
    assert nopython.hvp(f, argnums=(0, 1))(2.0, 3.0, 4.0, 5.0, 6.0, (1.0, 0.0)) == (0.0, 1.0)


@njit
def root(a):
    y = 1.0
    for _ in range(60):
        y = 0.5 * (y + a / y)
    return y


@nopython.rule(root)
def _root_partial(a):
    return 0.5 / root(a)


@pytest.mark.parametrize("mode", ["tape", "dual"])
def test_rule(mode):
    def f(x):
        return root(x * x + 1.0) * x

    x = 0.7
    assert nopython.grad(f, mode=mode)(x) == pytest.approx(math.hypot(x, 1) + x * x / math.hypot(x, 1))
    second = nopython.grad(nopython.grad(f, mode=mode), mode=mode)(x)
    assert second == pytest.approx(x * (2 * x * x + 3) / (x * x + 1) ** 1.5)


@njit
def scaled_square(x, k):
    return k * np.sum(x * x)


@nopython.rule(scaled_square)
def _scaled_square_partials(x, k):
    return 2.0 * k * x, np.sum(x * x)


def test_rule_with_arrays():
    def f(x):
        return scaled_square(x, x[1]) * x[0]

    x = np.array([1.0, 2.0, 3.0])
    assert nopython.grad(f)(x) == pytest.approx(differences(f, x), rel=1e-7)


def test_rules_are_checked():
    with pytest.raises(TypeError, match="@njit"):
        nopython.rule(math.sin)
    h = njit(lambda x: x * x)
    nopython.grad(h)
    with pytest.raises(TypeError, match="before this rule"):
        nopython.rule(h)


def test_stop_gradient():
    def f(x):
        return x[0] * nopython.stop_gradient(x[0]) + np.sum(nopython.stop_gradient(x) * x)

    assert nopython.grad(f)(np.array([2.0, 3.0])) == pytest.approx(np.array([4.0, 3.0]))
    assert nopython.stop_gradient(3.0) == 3.0


def test_hessian_in_several_arguments():
    def f(x, a, m):
        return (x * x).sum() * a + a * a * m[0, 1] * x[0] + m[1, 0] ** 3

    x, m = np.array([1.0, 2.0]), np.array([[1.0, 2.0], [3.0, 4.0]])
    value, gradient, blocks = nopython.hessian(f, argnums=("x", "a", "m"))(x, 2.0, m)
    assert value == f(x, 2.0, m)
    for found, expected in zip(gradient, nopython.grad(f, argnums=(0, 1, 2))(x, 2.0, m), strict=True):
        assert found == pytest.approx(expected)
    shapes = [(2,), (), (2, 2)]
    assert [[np.shape(b) for b in row] for row in blocks] == [[p + q for q in shapes] for p in shapes]
    xx, xa, xm, am = np.diag([4.0, 4.0]), [10.0, 4.0], np.zeros((2, 2, 2)), np.zeros((2, 2))
    xm[0, 0, 1], am[0, 1] = 4.0, 4.0
    assert blocks[0][0] == pytest.approx(xx)
    assert blocks[0][1] == pytest.approx(xa)
    assert blocks[1][0] == pytest.approx(xa)
    assert blocks[0][2] == pytest.approx(xm)
    assert blocks[1][1] == pytest.approx(4.0)
    assert blocks[1][2] == pytest.approx(am)
    assert blocks[2][2][1, 0, 1, 0] == 18.0


def test_a_jacobian_from_compiled_code_goes_forward_for_few_numbers():
    j = nopython.jacobian(lambda x: x * np.sum(x))

    @njit
    def both(x, out):
        return j(x)[1], j.into(x, out)

    for n in (0, 3, 16, 17, 40):
        x, out = np.arange(1.0, n + 1), np.empty((n, n))
        found, value = both(x, out)
        assert value == pytest.approx(x * x.sum())
        assert found == pytest.approx(np.eye(n) * x.sum() + x[:, None])
        assert found == pytest.approx(out)


def test_a_jacobian_in_a_small_array_goes_forward():
    def residuals(p, t):
        return p[0] * np.exp(-p[1] * t)

    p, t = np.array([1.0, 2.0]), np.linspace(0.0, 1.0, 7)
    j, by_tape = nopython.jacobian(residuals), nopython.jacobian(residuals, mode="tape")
    for n in (2, 30):  # the sizes of the first call decide how, and all sizes are right
        q = np.linspace(1.0, 2.0, n)
        assert j(q, t)[1] == pytest.approx(by_tape(q, t)[1])
    (compiled,) = j.overloads.values()
    assert "jacobian" in compiled.fndesc.qualname
    forward = nopython.jacobian(residuals)
    assert forward._compiler.choose(j.signatures[0], (p, t)) is not forward._compiler.choose(
        j.signatures[0], ()
    )
