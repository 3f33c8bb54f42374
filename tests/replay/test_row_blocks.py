"""Products with one large matrix and what is between them, a block of rows at a time: right, and the same for any threads."""

import numpy as np
import pytest
from oracle import check_grad

import tapejit as tj
from tapejit.compile import linker, machine, rowblocks
from tapejit.compile.steps import Blocks

rng = np.random.default_rng(0)
ROWS = 203  # no multiple of a block
X = rng.normal(size=(ROWS, 5))
Y = (rng.random(ROWS) < 0.5) * 1.0
LABELS = np.eye(3)[rng.integers(3, size=ROWS)]


@pytest.fixture(autouse=True)
def one_thread_again():
    yield
    tj.set_num_threads(1)


@pytest.fixture
def blocks(monkeypatch, planned_anew):
    """Small matrices are cut, too; the blocks that were made."""
    monkeypatch.setattr(rowblocks, "LARGE", 1)
    monkeypatch.setattr(rowblocks, "BLOCK", 150)
    monkeypatch.setattr(rowblocks, "PART", 200)
    found = []
    gather = rowblocks.gathered

    def noted(planner, steps):
        steps = gather(planner, steps)
        found.extend(s for s in steps if isinstance(s, Blocks))
        return steps

    monkeypatch.setattr(machine, "gathered", noted)
    return found


def softplus(z):
    return tj.logaddexp(z * 0, z)


def cross_entropy(z, labels):
    m = z.detach().amax(-1, keepdim=True)
    return (tj.log(tj.exp(z - m).sum(-1)) + m[:, 0] - (z * labels).sum(-1)).mean()


def logistic(w, x):
    z = x @ w
    return (softplus(z) - Y * z).sum()


def ridge(w, x):
    return ((x @ w - Y) ** 2).mean() + 0.3 * (w * w).sum()


def weighted(w, x):
    r = Y - x @ w
    return (r * r * tj.exp(-x[:, 0] * w[1])).sum()


def neural(w, x):
    h = tj.tanh(x @ tj.outer(w, w[:4]) + w[0])
    return ((h @ w[:4] - Y) ** 2).sum()


def softmax(w, x):
    return cross_entropy(x @ tj.outer(w, w[:3]) + w[2:], LABELS)


def as_in_a_layer(w, x):
    return cross_entropy(tj.nn.functional.linear(x, tj.outer(w[:3], w), w[:3]), LABELS)


def two_products(w, x):
    return (tj.sin(x @ w) * tj.cos(x @ (w * w))).sum()


def largest(w, x):
    z = x @ w
    return (z * z).sum() + z.amax() - z.amin()


def from_the_left(w, x):
    return (tj.sigmoid(w @ x.T) * Y).sum()


def through_the_middle(w, x):
    z = x @ w
    return ((z - z.mean()) ** 2).sum()


def two_rows(w, x):
    r = Y - x @ w
    return (r * r).sum() + r[3] * r[7]


FUNCTIONS = [logistic, ridge, weighted, neural, softmax, as_in_a_layer, two_products, from_the_left]
WHOLE = [largest, through_the_middle, two_rows]  # something of all rows is needed before the second product


def compiled(f, argnums=0):
    return tj.value_and_grad(f, argnums=argnums, compile="now")


@pytest.mark.parametrize("f", FUNCTIONS + WHOLE)
def test_blocks_give_eagers_gradient_and_the_same_digits_for_any_number_of_threads(f, blocks):
    w = rng.normal(size=5)
    g = compiled(f)
    g(w, X)
    found = []
    for count in (1, 2, 3):
        tj.set_num_threads(count)
        found.append(g(w, X))
    assert bool(blocks) == (f not in WHOLE)
    assert all(b.parts > 1 for b in blocks)
    for value, slope in found[1:]:
        assert np.asarray(value).tobytes() == np.asarray(found[0][0]).tobytes()
        assert slope.tobytes() == found[0][1].tobytes()
    leaf = tj.tensor(w, requires_grad=True)
    loss = f(leaf, tj.tensor(X))
    loss.backward()
    np.testing.assert_allclose(found[0][0], loss.item(), rtol=1e-12)
    np.testing.assert_allclose(found[0][1], leaf.grad.numpy(), rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("f", FUNCTIONS)
def test_gradients_with_respect_to_the_matrix_too(f, blocks):
    w = rng.normal(size=5)
    g = compiled(f, (0, 1))
    value, (dw, dx) = g(w, X)[0], g(w, X)[1]
    leaves = tj.tensor(w, requires_grad=True), tj.tensor(X, requires_grad=True)
    loss = f(*leaves)
    loss.backward()
    np.testing.assert_allclose(value, loss.item(), rtol=1e-12)
    np.testing.assert_allclose(dw, leaves[0].grad.numpy(), rtol=1e-10, atol=1e-11)
    np.testing.assert_allclose(dx, leaves[1].grad.numpy(), rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("f", [logistic, neural, softmax])
def test_second_derivatives_are_those_of_finite_differences(f, blocks):
    check_grad(lambda w: f(w, tj.asarray(X)), rng.normal(size=5), order=2)
    w = rng.normal(size=5)
    h = tj.hessian(f, compile="now")
    step = 1e-6 * np.eye(5)
    slopes = [(tj.grad(f)(w + e, X) - tj.grad(f)(w - e, X)) / 2e-6 for e in step]
    np.testing.assert_allclose(h(w, X), np.array(slopes), rtol=1e-5, atol=1e-5)


def test_a_product_with_the_hessian_reads_the_matrix_in_blocks(blocks):
    w, v = rng.normal(size=(2, 5))
    h = tj.hvp(lambda w: logistic(w, tj.asarray(X)), compile="now")
    h(w, v)
    s = 1 / (1 + np.exp(-X @ w))
    np.testing.assert_allclose(h(w, v), X.T @ (s * (1 - s) * (X @ v)), rtol=1e-10)
    assert blocks


def test_single_precision(blocks):
    w = rng.normal(size=5).astype(np.float32)
    g = compiled(lambda w, x: ((x @ w) ** 2).sum())
    x = X.astype(np.float32)
    g(w, x)
    value, slope = g(w, x)
    assert blocks
    assert slope.dtype == np.float32
    np.testing.assert_allclose(value, ((x @ w) ** 2).sum(), rtol=1e-5)
    np.testing.assert_allclose(slope, 2 * x.T @ (x @ w), rtol=1e-4)


def test_values_of_the_rows_are_those_of_the_whole_product(blocks):
    """They are results as well, and BLAS works out eight rows at a time either way."""
    w = rng.normal(size=5)

    def f(w, x):
        z = x @ w
        return (z * z).sum(), z

    g = tj.value_and_grad(f, has_aux=True, compile="now")
    g(w, X)
    (_, z), slope = g(w, X)
    assert blocks
    assert z.tobytes() == (tj.tensor(X) @ tj.tensor(w)).numpy().tobytes()
    np.testing.assert_allclose(slope, 2 * X.T @ z, rtol=1e-12)


@pytest.mark.parametrize("x", [np.asfortranarray(X), X[:, ::-1], X[::-1], np.repeat(X, 2, 1)[:, ::2]], ids="fbru")
def test_a_captured_matrix_of_any_order_of_memory(x, blocks):
    w = rng.normal(size=5)
    g = compiled(lambda w: logistic(w, tj.asarray(x)))
    g(w)
    np.testing.assert_allclose(g(w)[1], x.T @ (1 / (1 + np.exp(-x @ w)) - Y), rtol=1e-10)


def test_a_part_of_the_rows(blocks):
    w = rng.normal(size=5)
    g = compiled(lambda w, x: ((x[3:91] @ w) ** 2).sum())
    g(w, X)
    np.testing.assert_allclose(g(w, X)[1], 2 * X[3:91].T @ (X[3:91] @ w), rtol=1e-10)
    assert blocks


def test_a_decision_is_taken_on_eagers_sum(blocks):
    """What Python looks at is not added up in another order."""
    w = rng.normal(size=5)
    threshold = float(((tj.tensor(X) @ tj.tensor(w)) ** 2).sum().item())

    def f(w, x):
        loss = ((x @ w) ** 2).sum()
        return loss * 2 if loss <= threshold else loss * 3

    g = compiled(f)
    for _ in range(3):
        value, slope = g(w, X)
        np.testing.assert_allclose(value, 2 * threshold, rtol=1e-13)
        np.testing.assert_allclose(slope, 4 * X.T @ (X @ w), rtol=1e-10)


def test_small_matrices_and_thick_products_are_left_whole(planned_anew, monkeypatch):
    made = []
    gather = rowblocks.gathered
    monkeypatch.setattr(machine, "gathered", lambda *plan: made.append(gather(*plan)) or made[-1])
    compiled(logistic)(rng.normal(size=5), X)
    wide, weights = rng.normal(size=(4096, 96)), rng.normal(size=(96, 96))
    compiled(lambda w, x: ((x @ w) ** 2).sum())(weights, wide)
    assert made
    assert not any(isinstance(step, Blocks) for steps in made for step in steps)


def test_blocks_are_shown_with_their_steps():
    x, w = rng.normal(size=(4096, 64)), rng.normal(size=64)
    g = compiled(lambda w, x: ((x @ w) ** 2).sum())
    g(w, x)
    g(w, x)
    assert "of 4096 rows, in 4 parts" in g.lower()
    assert "step 0.2: matmul" in g.lower()


def test_a_program_kept_on_disk_finds_its_kernels_again(monkeypatch):
    x, w = rng.normal(size=(4096, 64)), rng.normal(size=64)
    monkeypatch.setattr(linker, "WORTH_KEEPING", 0.0)
    slopes = []
    for k in range(2):
        if k:
            monkeypatch.setattr(machine.Machine, "_made", None)
        g = compiled(lambda w, x: ((x @ w) ** 3).sum())
        g(w, x)
        slopes.append(g(w, x)[1])
    assert slopes[0].tobytes() == slopes[1].tobytes()
    np.testing.assert_allclose(slopes[0], 3 * x.T @ (x @ w) ** 2, rtol=1e-9)
