"""``vmap`` equals the stack of single calls: over all ops of the op table, values and derivatives, whatever is batched."""

import importlib
import itertools

import numpy as np
import pytest
from random_array_programs import Program as Random

import tapejit as tj
from tapejit.spec.table import BY_NAME, FUNCTIONS, OPS

SIZE = 3
NAMES = sorted(n for n in FUNCTIONS if n != "where")


def structured_cases():
    cases = importlib.import_module("test_structured_ops").CASES
    for name, listed in cases.items():
        for i, (f, shapes) in enumerate(listed):
            yield pytest.param(f, [np.zeros(s) for s in shapes], id=f"{name}-{i}")


def linalg_cases():
    for module in ("test_linalg_systems", "test_linalg_decompositions"):
        for name, (f, arrays) in importlib.import_module(module).FUNCTIONS.items():
            yield pytest.param(f, arrays, id=f"{module[12:]}-{name}")


def stacked(arrays, which, seed=0, scale=0.05):
    """Examples: the arrays that are batched moved a little, each example in its way; the axes."""
    rng = np.random.default_rng(seed)
    batches = [
        np.stack([a + scale * rng.normal(size=a.shape) for _ in range(SIZE)]) if chosen else a
        for a, chosen in zip(arrays, which, strict=True)
    ]
    return batches, tuple(0 if chosen else None for chosen in which)


def one_by_one(f, batches, axes):
    """The results of single calls, stacked."""
    found = []
    for i in range(SIZE):
        result = f(*(tj.tensor(x[i] if axis == 0 else x) for x, axis in zip(batches, axes, strict=True)))
        found.append(np.array(result.detach().numpy() if isinstance(result, tj.Tensor) else result))
    return np.stack(found)


def close(got, expected, **kwargs):
    got = got.detach().numpy() if isinstance(got, tj.Tensor) else np.asarray(got)
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, **{"rtol": 1e-9, "atol": 1e-9, **kwargs})


def weighted(f):
    """A scalar function that depends on every element of the result."""

    def g(*xs):
        out = f(*xs).to(tj.float64)
        weights = tj.tensor(np.linspace(0.5, 1.5, out.numel()).reshape(out.shape))
        return (out * weights).sum() + (out * out).sum() * 0.25

    return g


def check(f, arrays, derivatives=True, scale=0.05, **tolerance):
    """Every choice of batched operands: values, first and second derivatives, eagerly and as a program."""
    for which in itertools.product((True, False), repeat=len(arrays)):
        if not any(which):
            continue
        batches, axes = stacked(arrays, which, scale=scale)
        expected = one_by_one(f, batches, axes)
        close(tj.vmap(f, in_axes=axes, compile="never")(*batches), expected, **tolerance)
        if all(which):
            program = tj.vmap(f, in_axes=axes, compile="now")
            for _ in range(2):
                close(program(*batches), expected, **tolerance)
        if not derivatives:
            continue
        for k in range(len(arrays)):
            gradient = tj.grad(weighted(f), k)
            first = one_by_one(gradient, batches, axes)
            close(tj.vmap(gradient, in_axes=axes, compile="never")(*batches), first, **tolerance)
        second = tj.grad(lambda *xs: (tj.grad(weighted(f))(*xs) ** 2).sum())
        close(tj.vmap(second, in_axes=axes, compile="never")(*batches), one_by_one(second, batches, axes), **tolerance)


@pytest.mark.parametrize("name", NAMES)
def test_elementwise_ops(name):
    op = BY_NAME[name]
    rng = np.random.default_rng(1)
    shapes = [(2, 3), (3,), ()][: op.arity]
    arrays = [rng.uniform(*op.domain[j], size=s) * 0.9 for j, s in enumerate(shapes)]
    check(FUNCTIONS[name], arrays, scale=0.01)


def test_where_takes_batched_conditions():
    check(lambda x, y, z: tj.where(x > 0.1, y, z), [np.zeros((2, 3)), np.ones(3), np.ones((1, 1))], scale=0.2)


@pytest.mark.parametrize(("f", "arrays"), list(structured_cases()))
def test_structured_ops(f, arrays):
    check(f, [a + 1.0 for a in arrays], scale=0.3)


@pytest.mark.parametrize(("f", "arrays"), list(linalg_cases()))
def test_linear_algebra(f, arrays):
    check(f, arrays, scale=0.02, rtol=1e-6, atol=1e-7)


def test_every_op_has_a_rule():
    from tapejit.graph import batchlinalg, batchrules
    from tapejit.spec.structured import ROWS

    bases = {op.name for op in OPS if not op.elementwise and op.alias_of is None and op.code not in ROWS}
    assert bases <= {*batchrules.RULES, *batchlinalg.RULES}


@pytest.mark.parametrize("seed", range(40))
def test_random_programs(seed):
    random = Random(1000 + seed)
    arrays = random.arguments()
    batches, axes = stacked(arrays, [(True, True), (True, False), (False, True)][seed % 3])
    f, g = random.function, tj.grad(random.function)
    close(tj.vmap(f, axes, compile="now")(*batches), one_by_one(f, batches, axes), err_msg=random.source)
    close(tj.vmap(g, axes, compile="now")(*batches), one_by_one(g, batches, axes), rtol=1e-7, err_msg=random.source)


# Composition


def f(x, w):
    return tj.tanh(x * w).sum() * x[0]


@pytest.mark.parametrize(("f", "arrays"), [*structured_cases(), *linalg_cases()])
def test_an_empty_batch_of_every_op(f, arrays):
    ones = [np.ones((1, *a.shape)) + (np.eye(*a.shape[-2:]) if a.ndim > 1 else 0.0) for a in arrays]
    one = tj.vmap(f, compile="never")(*ones)
    none = tj.vmap(f, compile="never")(*(np.zeros((0, *a.shape)) for a in arrays))
    assert np.shape(none) == (0, *np.shape(one)[1:])


X = np.random.default_rng(0).normal(size=(5, 3))
W = np.array([0.3, -1.2, 0.8])


def test_closures_are_the_same_for_all_examples_and_get_gradients():
    expected = tj.grad(lambda w: sum((f(tj.tensor(x), w) for x in X), 0.0))(W)
    close(tj.grad(lambda w: tj.vmap(lambda x: f(x, w))(X).sum())(W), expected)
    w = tj.tensor(W, requires_grad=True)
    tj.vmap(lambda x: f(x, w))(tj.tensor(X)).sum().backward()
    close(w.grad, expected)


def test_eager_tensors_keep_their_history_through_vmap():
    x = tj.tensor(X, requires_grad=True)
    (tj.vmap(f, (0, None))(x, tj.tensor(W)) ** 2).sum().backward()
    close(x.grad, np.stack([tj.grad(lambda v: f(v, tj.tensor(W)) ** 2)(v) for v in X]))


def test_hessians_of_each_example_and_grad_of_vmap_of_grad():
    hessians = tj.vmap(tj.hessian(f), (0, None))(X, W)
    close(hessians, np.stack([tj.hessian(f)(x, W) for x in X]), rtol=1e-8)
    outer = tj.grad(lambda w: (tj.vmap(tj.grad(f), (0, None))(X, w) ** 2).sum())
    expected = tj.grad(lambda w: sum(((tj.grad(f)(tj.tensor(x), w) ** 2).sum() for x in X), 0.0))
    close(outer(W), expected(W))


def test_vmap_in_vmap():
    table = tj.vmap(tj.vmap(f, (None, 0)), (0, None))(X, np.stack([W, 2 * W]))
    close(table, np.array([[float(f(tj.tensor(x), tj.tensor(w))) for w in (W, 2 * W)] for x in X]))
    inner = tj.vmap(lambda x: tj.vmap(lambda a: a * x.sum())(x))
    close(inner(X), X * X.sum(1, keepdims=True))


def test_jit_of_vmap_compiles_once_for_all_batch_sizes_of_one_kind():
    g = tj.jit(tj.vmap(f, (0, None)), compile="now")
    for _ in range(3):
        close(g(X, W), np.array([float(f(tj.tensor(x), tj.tensor(W))) for x in X]))
    assert g.calls["eager"] == 0
    records = []
    for n in (5, 500):
        h = tj.vmap(tj.grad(f), (0, None), compile="now")
        h(np.ones((n, 3)), W)
        records.append(h._last.latest().frozen.records)
    assert records[0] == records[1]


def test_axes_and_trees():
    def g(p, y):
        return {"a": p["u"] * y, "b": (p["v"].sum() + y, p["u"])}

    p = {"u": X.T.copy(), "v": W}
    out = tj.vmap(g, ({"u": 1, "v": None}, 0), {"a": 1, "b": (0, -1)})(p, X)
    close(out["a"], (X * X).T)
    close(out["b"][0], W.sum() + X)
    close(out["b"][1], X.T)
    close(tj.vmap(lambda x, y: x + y)(X, y=X), 2 * X)
    close(tj.vmap(lambda x, n: x**n, (0, None))(X, 2), X**2)
    close(tj.vmap(lambda x: tj.ones(2))(X), np.ones((5, 2)))
    close(tj.vmap(lambda x: tj.ones(2), out_axes=None)(X), np.ones(2))
    close(tj.vmap(lambda x: 3.0)(X), np.full(5, 3.0))
    close(tj.vmap(lambda x: x)(X), X)
    close(tj.vmap(in_axes=1)(lambda x: x.sum())(X), X.sum(0))


def test_integers_comparisons_and_indices():
    table = np.random.default_rng(3).normal(size=(4, 3))
    index = np.array([2, 0, -1, 3, 1])
    close(tj.vmap(lambda i: tj.tensor(table)[i.reshape(1)][0])(index), table[index])
    close(tj.vmap(lambda x, i: x[i])(X, np.array([[2, 0], [1, 1], [0, -1], [2, 2], [0, 1]])),
          np.take_along_axis(X, np.array([[2, 0], [1, 1], [0, 2], [2, 2], [0, 1]]), 1))  # fmt: skip
    close(tj.vmap(lambda x: x.argmax())(X), X.argmax(1))
    close(tj.vmap(lambda x: (x > 0).sum())(X), (X > 0).sum(1))
    close(tj.vmap(lambda x: tj.where((x > 1).any(), x, -x))(X), np.where((X > 1).any(1, keepdims=True), X, -X))
    close(tj.vmap(lambda x: x.sort().values)(X), np.sort(X, 1))
    close(tj.vmap(lambda x: x.max(0).values)(X), X.max(1))
    with pytest.raises(IndexError, match="out of range"):
        tj.vmap(lambda x, i: x[i.reshape(1)], compile="never")(X, np.array([0, 1, 2, 3, 0]))


def test_changes_in_place_inside():
    def g(x):
        y = x * 2
        y[1] = x.sum()
        y += x
        y[:2] *= 3.0
        z = tj.zeros(3)
        z[0] = y[1]
        return y + z

    close(tj.vmap(g)(X), one_by_one(g, [X], (0,)) if len(X) == SIZE else np.stack([g(tj.tensor(x)).numpy() for x in X]))
    close(tj.vmap(tj.grad(lambda x: (g(x) ** 2).sum()))(X), np.stack([tj.grad(lambda x: (g(x) ** 2).sum())(x) for x in X]))


# Decisions


def branching(x):
    if x.sum() > 0:
        return x * 2
    return x - 1


def test_decisions_that_agree_are_kept_as_guards():
    g = tj.vmap(branching, compile="now")
    low, high = -np.abs(X), np.abs(X)
    for x in (low, high, low, high):
        close(g(x), x * 2 if x is high else x - 1)
    assert g.calls["recorded"] == 2


def test_a_decision_that_differs_is_an_error_with_its_line():
    x = np.abs(X)
    x[3] *= -1
    for options in ({"compile": "never"}, {"compile": "now"}):
        with pytest.raises(RuntimeError, match=r"True for example 0, another for example 3.*tj\.where.*test_vmap\.py:\d+"):
            tj.jit(tj.vmap(branching), **options)(x)
    g = tj.jit(tj.vmap(branching), compile="now")
    g(np.abs(X))
    with pytest.raises(RuntimeError, match="differs within the batch"):
        g(x)
    close(g(np.abs(X)), np.abs(X) * 2)


def test_values_that_python_reads_must_agree():
    close(tj.vmap(lambda x: x * int(x[0]))(np.full((3, 2), 2.5)), np.full((3, 2), 5.0))
    with pytest.raises(RuntimeError, match="differs within the batch"):
        tj.jit(tj.vmap(lambda x: x * int(x[0])))(np.array([[1.5], [2.5]]))
    with pytest.raises(RuntimeError, match="other values than example 0"):
        tj.vmap(lambda x: x * x.numpy().sum())(X)


def test_decisions_of_a_closure_are_guards_of_the_program_outside():
    g = tj.jit(lambda w: tj.vmap(lambda x: x * 2 if w.sum() > 0 else x)(X).sum(), compile="now")
    for w in (W, -W, 3 + W, W):
        np.testing.assert_allclose(g(w), X.sum() * (2 if w.sum() > 0 else 1))


def test_bad_axes_say_what_does_not_fit():
    for call, message in [
        (lambda: tj.vmap(f)(X, W), r"different sizes: 5 in argument 0 \(axis 0\), 3 in argument 1 \(axis 0\)"),
        (lambda: tj.vmap(f, (0,))(X, W), "in_axes has 1 entries for 2"),
        (lambda: tj.vmap(f, (2, None))(X, W), r"argument 0 of shape \(5, 3\) has no axis 2"),
        (lambda: tj.vmap(f, (0, 0))(X, 2.0), "argument 1 is a number"),
        (lambda: tj.vmap(f, (None, None))(X, W), "no argument has a batch axis"),
        (lambda: tj.vmap(f, ((0, 0), None))(X, W), "do not match argument 0"),
        (lambda: tj.vmap(lambda x: x, out_axes=None)(X), "differs from example to example"),
        (lambda: tj.vmap(lambda x: x, out_axes=3)(X), "no place for a batch at axis 3"),
        (lambda: tj.vmap(lambda x: (x, x), out_axes=(0, 0, 0))(X), "do not match the result"),
    ]:
        with pytest.raises(ValueError, match=message):
            call()


def test_random_numbers_inside_are_refused():
    with pytest.raises(RuntimeError, match="random number"):
        tj.vmap(lambda x: x * tj.rand(3))(X)


def test_errors_leave_nothing_behind():
    def broken(x):
        y = x * 2
        raise KeyError(y.shape)

    for _ in range(3):
        with pytest.raises(KeyError):
            tj.vmap(broken, compile="never")(X)
    x = tj.tensor(W, requires_grad=True)
    (x * 2).sum().backward()
    close(x.grad, np.full(3, 2.0))


class Exp(tj.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        y = x.exp()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, g):
        return 2 * g * ctx.saved_tensors[0]  # not the true one: it must be this that is used


def test_functions_whose_derivative_the_user_states():
    def f(x):
        return (Exp.apply(x) * x).sum()

    expected = np.exp(X) * (1 + 2 * X)
    close(tj.vmap(f)(X), (np.exp(X) * X).sum(1))
    close(tj.vmap(tj.grad(f))(X), expected)
    close(tj.vmap(tj.grad(f), compile="never")(X), expected)
    with pytest.raises(NotImplementedError, match=r"vmap\(grad\(f\)\)"):
        tj.grad(lambda x: tj.vmap(f)(x).sum())(X)
    x = np.linspace(-1, 1, 12)
    for mode in ("forward", "reverse"):
        for compile in ("never", "now"):
            close(tj.jacobian(Exp.apply, mode=mode, compile=compile)(x), np.diag(2 * np.exp(x)))
            twice = tj.jacobian(tj.grad(f), mode=mode, compile=compile)(x)
            close(twice, np.diag(np.exp(x) * (4 + 4 * x)))


def test_each_example_has_its_own_index():
    rng = np.random.default_rng(0)
    x, w, labels = rng.normal(size=(4, 3)), rng.normal(size=(3, 3)), np.array([2, 0, -1, 1])

    def entropy(w, x, label):
        scores = w @ x
        return tj.logsumexp(scores, 0) - scores[label]

    def written(x, i):
        y = x * 2.0
        y[i] = y.sum() * x[0]
        return y

    for compile in ("now", "never"):
        options = {"in_axes": (None, 0, 0), "compile": compile}
        close(tj.vmap(tj.grad(entropy), **options)(w, x, labels), np.stack(
            [tj.grad(entropy, compile="never")(w, x[e], labels[e]) for e in range(4)]
        ))  # fmt: skip
        options = {"in_axes": (None, 0), "compile": compile}
        close(tj.vmap(lambda x, i: x[1:, i], **options)(x, labels), np.stack([x[1:, i] for i in labels]))
        expected = [written(tj.tensor(row), int(i)).numpy() for row, i in zip(x, labels, strict=True)]
        close(tj.vmap(written, compile=compile)(x, labels), np.stack(expected))
        gradient = tj.grad(lambda x, i: (written(x, i) ** 2).sum())
        expected = [tj.grad(lambda r, i=int(i): (written(r, i) ** 2).sum(), compile="never")(row)
                    for row, i in zip(x, labels, strict=True)]  # fmt: skip
        close(tj.vmap(gradient, compile=compile)(x, labels), np.stack(expected))
    with pytest.raises(IndexError):
        tj.vmap(lambda x, i: x[i])(x, np.array([0, 1, 2, 3]))


@pytest.mark.parametrize("compile", ["now", "never"])
def test_leaves_and_backward_inside_of_an_example(compile):
    def by_hand(x):
        z = x.detach().requires_grad_()
        (z * z * x[0].detach()).sum().backward()
        return z.grad * x

    def asked_for(x):
        z = x.detach().requires_grad_()
        return tj.autograd.grad((z * z * z).sum(), z)[0] + x

    x = np.arange(1.0, 7.0).reshape(2, 3)
    close(tj.vmap(by_hand, compile=compile)(x), 2 * x * x[:, :1] * x)
    close(tj.vmap(asked_for, compile=compile)(x), 3 * x * x + x)
