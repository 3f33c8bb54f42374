"""Programs for HIPS autograd: its transforms, optimisers, primitives and SciPy functions under the same names."""

import numpy
import pytest
import scipy.integrate
import scipy.signal
import scipy.stats
from oracle import check_grad

import tapejit as tj
import tapejit.numpy as np
import tapejit.scipy.stats.multivariate_normal as mvn
from tapejit import elementwise_grad, grad, hessian_vector_product, misc
from tapejit.extend import defvjp, primitive
from tapejit.misc.fixed_points import fixed_point
from tapejit.misc.flatten import flatten, flatten_func
from tapejit.misc.optimizers import adam, rmsprop, sgd
from tapejit.scipy.integrate import odeint
from tapejit.scipy.signal import convolve
from tapejit.test_util import check_grads
from tapejit.tracer import Node, trace

X = numpy.array([0.3, -1.2, 2.0])


def test_transforms():
    def f(x, y):
        return np.sum(np.sin(x) * y)

    numpy.testing.assert_allclose(grad(f, argnum=1)(X, X), numpy.sin(X))
    for space in (tj, misc):
        numpy.testing.assert_allclose(space.elementwise_grad(np.tanh)(X), 1 - numpy.tanh(X) ** 2)
        product = space.hessian_vector_product(f)(X, X, numpy.ones(3))
        numpy.testing.assert_allclose(product, -numpy.sin(X) * X, rtol=1e-12)
        numpy.testing.assert_allclose(space.value_and_grad(f)(X, X)[1], numpy.cos(X) * X)
    assert elementwise_grad(np.tanh).__name__ != ""
    assert hessian_vector_product(f, 1)(X, X, numpy.ones(3)).tolist() == [0.0, 0.0, 0.0]


def test_misc_runs_the_function_anew():
    random = numpy.random.RandomState(0)
    expected = numpy.random.RandomState(0).randn(2, 3)
    g = misc.grad(lambda x: np.sum(x * random.randn(3)))
    numpy.testing.assert_array_equal([g(X), g(X)], expected)


def test_flatten():
    tree = {"w": numpy.arange(6.0).reshape(2, 3), "b": [1.5, (numpy.ones(2),)]}
    vector, unflatten = flatten(tree)
    assert isinstance(vector, numpy.ndarray)
    assert vector.size == 9
    again = unflatten(vector * 2)
    assert again["b"][1][0].tolist() == [2.0, 2.0]
    numpy.testing.assert_array_equal(again["w"], 2 * tree["w"])
    flat, _, start = flatten_func(lambda t, k: {"out": t["w"] * k}, tree)
    assert flat(start, 3.0).tolist() == [0.0, 3.0, 6.0, 9.0, 12.0, 15.0]
    numpy.testing.assert_allclose(grad(lambda v: np.sum(flatten(unflatten(v))[0] ** 2))(vector), 2 * vector)
    assert flatten([])[0].size == 0


@pytest.mark.parametrize(("optimizer", "step"), [(sgd, 0.1), (rmsprop, 0.05), (adam, 0.05)])
def test_optimizers(optimizer, step):
    seen = []
    g = grad(lambda p, i: np.sum((p["a"] - 1.0) ** 2) + (p["b"] + 2.0) ** 2)
    start = {"a": numpy.zeros(3), "b": 0.5}
    found = optimizer(g, start, lambda x, i, g: seen.append((i, g["b"])), num_iters=400, step_size=step)
    numpy.testing.assert_allclose(found["a"], numpy.ones(3), atol=0.06)
    assert abs(found["b"] + 2.0) < 0.06
    assert seen[0] == (0, 5.0)
    assert len(seen) == 400
    assert start["b"] == 0.5


def test_the_first_steps_of_adam():
    g = grad(lambda x, i: np.sum(x**2))
    found = adam(g, X, num_iters=3, step_size=0.1)
    x, m, v = X.copy(), 0.0, 0.0
    for i in range(3):
        m, v = 0.9 * m + 0.1 * 2 * x, 0.999 * v + 0.001 * (2 * x) ** 2
        x = x - 0.1 * (m / (1 - 0.9 ** (i + 1))) / (numpy.sqrt(v / (1 - 0.999 ** (i + 1))) + 1e-8)
    numpy.testing.assert_allclose(found, x, rtol=1e-12)


def test_primitive():
    seen = []

    @primitive
    def logsumexp(x):
        """Numerically stable log(sum(exp(x)))"""
        seen.append(type(x))
        top = numpy.max(x)
        return top + numpy.log(numpy.sum(numpy.exp(x - top)))

    defvjp(logsumexp, lambda ans, x: lambda g: np.full(x.shape, g) * np.exp(x - np.full(x.shape, ans)))
    softmax = numpy.exp(X) / numpy.exp(X).sum()
    numpy.testing.assert_allclose(grad(lambda x: logsumexp(2.0 * x))(X / 2), 2 * softmax)
    assert set(seen) == {numpy.ndarray}
    check_grads(lambda x: logsumexp(x), X, order=2)
    assert logsumexp(X) == pytest.approx(numpy.log(numpy.exp(X).sum()))


def test_primitive_of_several_arguments():
    @primitive
    def f(x, y, k):
        return x * numpy.sin(y) * k

    defvjp(f, lambda ans, x, y, k: lambda g: g * np.cos(y) * x * k, None, argnums=[1, 2])
    x = tj.tensor(X, requires_grad=True)
    y = tj.tensor(X, requires_grad=True)
    f(x, y, 3).sum().backward()
    numpy.testing.assert_allclose(y.grad.numpy(), 3 * X * numpy.cos(X))
    assert x.grad is None


def test_check_grads():
    check_grads(np.tanh, X)
    check_grads(lambda x, y: np.sum(x * y), order=1)(X, X)
    with pytest.raises(tj.autograd.GradcheckError):
        check_grads(lambda x: x * x.detach(), X, order=1)


def test_fixed_point():
    def newton(a):
        return lambda x: 0.5 * (x + a / x)

    def root(a):
        return fixed_point(newton, a, 1.0, lambda x, y: abs(x - y), 1e-6)

    assert float(root(2.0)) == pytest.approx(2**0.5)
    assert misc.grad(root)(2.0) == pytest.approx(0.5 / 2**0.5)


def test_odeint():
    def f(y, t, a):
        return np.array([y[1], -a * y[0]])

    t = numpy.linspace(0.0, 2.0, 5)
    found = odeint(f, numpy.array([1.0, 0.0]), t, (2.0,))
    expected = scipy.integrate.odeint(lambda y, t, a: [y[1], -a * y[0]], [1.0, 0.0], t, (2.0,))
    numpy.testing.assert_allclose(numpy.asarray(found), expected, atol=1e-6)
    check_grad(lambda a: odeint(f, numpy.array([1.0, 0.0]), t, (a,))[-1], numpy.array(2.0), order=1, rtol=1e-5)


@pytest.mark.parametrize("mode", ["full", "valid"])
def test_convolve(mode):
    rng = numpy.random.default_rng(0)
    a, b = rng.normal(size=(5, 6)), rng.normal(size=(2, 3))
    numpy.testing.assert_allclose(convolve(a, b, mode=mode).numpy(), scipy.signal.convolve(a, b, mode), rtol=1e-12)
    a, b = rng.normal(size=(2, 3, 5, 4)), rng.normal(size=(3, 6, 2, 2))
    found = convolve(a, b, axes=([2, 3], [2, 3]), dot_axes=([1], [0]), mode=mode)
    expected = [[sum(scipy.signal.convolve(x[c], b[c, k], mode) for c in range(3)) for k in range(6)] for x in a]
    numpy.testing.assert_allclose(found.numpy(), expected, rtol=1e-11)
    check_grad(lambda a, b: convolve(a, b, mode=mode), a[0, 0, :3, :3], b[0, 0])
    with pytest.raises(NotImplementedError, match="modes"):
        convolve(a[0, 0, 0], b[0, 0, 0], mode="same")


def test_distributions_as_modules():
    cov = numpy.array([[2.0, 0.3, 0.0], [0.3, 1.0, 0.1], [0.0, 0.1, 0.5]])
    expected = scipy.stats.multivariate_normal.logpdf(X, numpy.zeros(3), cov)
    assert float(mvn.logpdf(X, numpy.zeros(3), cov)) == pytest.approx(expected)
    assert float(tj.scipy.stats.multivariate_normal.pdf(X, numpy.zeros(3), cov)) == pytest.approx(numpy.exp(expected))


def test_shapes_are_numbers_and_lists_are_arrays():
    size = np.prod((2, 3))
    start = size
    size += np.prod([4], dtype=int)
    assert (start, size) == (6, 10)
    assert isinstance(np.prod((2.0, 3.0)), tj.Tensor)
    assert np.sum((1, 2)) == 3
    x = tj.tensor([1.0, 2.0], requires_grad=True)
    assert tuple(np.atleast_2d([x[0], x[1]]).shape) == (1, 2)
    assert [a.ndim for a in np.atleast_1d(1.0, x)] == [1, 1]
    full = np.full((2, 2), x)
    full.sum().backward()
    assert x.grad.tolist() == [2.0, 2.0]
    assert np.full(3, 2.0, dtype=tj.float32).dtype is tj.float32


def test_a_tensor_that_is_no_number():
    with pytest.raises(TypeError, match="one element"):
        float(tj.ones(3))
    with pytest.raises(RuntimeError, match="one element"):
        tj.ones(3).item()


def test_logsumexp_of_an_array():
    assert float(tj.scipy.special.logsumexp(X)) == pytest.approx(numpy.log(numpy.exp(X).sum()))


def _shared_sum(x):
    s = np.sum(x)
    t = s
    s += 1.0
    s *= 2.0
    return s * t


def _shared_argument(x):
    y = x
    y += 1.0
    y **= 2
    return x * y


@pytest.mark.parametrize("grad", [tj.grad, misc.grad])
def test_numbers_do_not_change_under_augmented_assignment(grad):
    """What NumPy gives as a number is rebound by ``s += 1``; a tensor of PyTorch's kind changes where it is."""
    for _ in range(3):
        numpy.testing.assert_allclose(grad(_shared_sum)(X), numpy.full(3, 2 * (2 * X.sum() + 1)))
        assert grad(_shared_argument)(2.0) == pytest.approx(3 * 4 + 4 * 2 + 1)
    parts = numpy.sum(tj.tensor(X)), np.max(X), np.add.reduce(X), np.linalg.norm(X), np.sqrt(np.dot(X, X))
    for s in parts:
        t, before = s, float(s)
        s -= 1.0
        s /= 2.0
        assert float(t) == before
    whole = 0 + np.prod((np.prod((2.0, 3.0), dtype=int), 4))  # whole numbers, as of a shape
    start, whole_before = whole, int(whole)
    whole += np.prod((5,))
    assert (int(start), int(whole)) == (whole_before, whole_before + 5) == (24, 29)
    for s in (tj.tensor(2.0), tj.tensor(X).sum(), np.reshape(np.array([1.0]), ())):
        t, before = s, float(s)
        s += 1.0
        assert t is s
        assert float(t) == before + 1.0


def test_gradients_of_tensors_without_gradients_are_such():
    x = np.linspace(-1.0, 1.0, 3)
    for found in (misc.elementwise_grad(np.sin)(x), misc.grad(lambda x: np.sum(x**3))(x)):
        assert isinstance(found, tj.Tensor)
        assert not found.requires_grad
    inner = misc.grad(lambda y: misc.grad(lambda x: x * x * y)(3.0))
    assert inner(tj.tensor(2.0)).item() == inner(2.0) == 6.0
    t = tj.tensor(2.0, requires_grad=True)
    misc.grad(lambda x: x**3)(t).backward()
    assert t.grad.item() == 12.0


def test_histories_are_there_where_they_are_wanted():
    """The outermost transform of arrays gives values, by the compiled sweep; inside of others it is differentiated further."""
    def cube(x):
        return np.sum(x**3)

    def slope(x):
        return np.sum(misc.grad(cube)(x) * x)

    numpy.testing.assert_allclose(misc.grad(slope)(X), 9 * X**2)
    never = tj.grad(cube, compile="never")
    numpy.testing.assert_allclose(tj.grad(lambda x: never(x).sum(), compile="never")(X), 6 * X)
    t = tj.tensor(X, requires_grad=True)
    never(t).sum().backward()
    numpy.testing.assert_allclose(t.grad.numpy(), 6 * X)
    w = tj.tensor(2.0, requires_grad=True)
    never_of_captured = tj.grad(lambda x: (w * x**2).sum(), compile="never")
    never_of_captured(tj.tensor(X)).sum().backward()
    assert w.grad.item() == pytest.approx(2 * X.sum())
    before = w * 3.0  # a history from outside outlives the sweep
    numpy.testing.assert_allclose(tj.grad(lambda x: (before * x).sum(), compile="never")(X), [6.0, 6.0, 6.0])
    before.backward()
    assert w.grad.item() == pytest.approx(2 * X.sum() + 3)

    class Model:
        @misc.grad
        def of_object(x):
            return np.sum(x**2)

    numpy.testing.assert_allclose(Model.of_object(X), 2 * X)


class Step(Node):
    """A node that writes itself down in the list of its root."""

    def __init__(self, value, fun, args, kwargs, parent_argnums, parents):
        self.steps = parents[0].steps
        self.number = len(self.steps)
        names = [repr(x) if isinstance(x, float) else x.tolist() for x in args]
        for place, parent in zip(parent_argnums, parents, strict=True):
            names[place] = f"v{parent.number}"
        self.steps.append(f"{fun.__name__}({', '.join(map(str, names))})")
        self.value = value

    def initialize_root(self, x):
        self.steps, self.number, self.value = ["start"], 0, x


def _mean_of_sines(x):
    y = np.sin(x + x)
    return (y + y) / 2


def test_traces():
    value, node = trace(root := Step.new_root(1.23), _mean_of_sines, 1.23)
    assert value == node.value == numpy.sin(2.46)
    assert root.steps == ["start", "add(v0, v0)", "sin(v1)", "add(v2, v2)", "div(v3, 2.0)"]
    value, node = trace(root := Step.new_root(1.0), grad(_mean_of_sines), 1.0)
    numpy.testing.assert_allclose(value, 2 * numpy.cos(2.0))
    assert node.value == value
    assert any(step.startswith("cos(") for step in root.steps)
    value, node = trace(Step.new_root(X), lambda x: np.sum(x * numpy.arange(3.0)), X)
    assert value == X @ numpy.arange(3.0)


def test_traces_that_lead_nowhere():
    with pytest.warns(UserWarning, match="does not depend"):
        assert trace(Step.new_root(1.0), lambda x: 3.0, 1.0) == (3.0, None)
    with pytest.raises(ZeroDivisionError):
        trace(Step.new_root(1.0), lambda x: x / (1 // 0), 1.0)
    with pytest.raises(NotImplementedError, match="initialize_root"):
        Node.new_root(1.0)
    with pytest.raises(NotImplementedError, match="parent_argnums"):
        trace(object.__new__(Node), np.sin, 1.0)
    x = tj.tensor(2.0, requires_grad=True)  # the tape of the thread is as it was
    (x * x).backward()
    assert x.grad == 4.0
