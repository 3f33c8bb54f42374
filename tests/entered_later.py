"""Ops and a primitive that enter the tables at run time: each is used in every way in.

``test_entered_later`` runs this file in a process of its own, since what is entered stays.
"""

import sys

import numpy as np
import pytest

import tapejit as tj
from tapejit.core import tape as tapes
from tapejit.core.record import PLAN, N
from tapejit.eager.dispatch import emit
from tapejit.eager.linalg.checks import emitted
from tapejit.eager.views import contiguous
from tapejit.edge.raw import as_f64 as P
from tapejit.edge.raw import as_i64
from tapejit.kernels import library
from tapejit.nopython import solving
from tapejit.nopython.matrixops import matrix_op
from tapejit.nopython.twins import active_function
from tapejit.spec.elementwise import chain
from tapejit.spec.expr import m
from tapejit.spec.linalg import stated
from tapejit.spec.matrixwords import turned
from tapejit.spec.primitives import FUNCTION, primitive
from tapejit.spec.table import elementwise, joint, structured
from tapejit.spec.vocabulary import ops, supply

# A primitive: one row. Its code is a function of values, in operators and the functions of ``vecmath``.
primitive("bell", 1, FUNCTION, 8, lambda x: 1 / (1 + x * x), body=lambda x: 1.0 / (x * x + 1.0))


# An elementwise op, here of that primitive: one entry.
@elementwise(dx=lambda g, x, out: chain(g, -2.0 * x * out * out))
def witch(x):
    """1 / (1 + x^2), the witch of Agnesi"""
    return m.bell(x)


@elementwise(dx=lambda g, y: chain(g, y * y), dy=lambda g, x, y: chain(g, 2.0 * x * y))
def by_square(x, y):
    """x * y^2"""
    return x * y * y


# A structured op: kernels, an entry with the rule, and the public function.
def slopes_forward(record, out, x, y, z):
    for i in range(as_i64(record)[N >> 3]):
        P(out)[i] = P(x)[i] * (i + 1)


def slopes_reverse(record, g, x, y, z, out, target, accumulate):
    for i in range(as_i64(record)[N >> 3]):
        P(target)[i] = P(g)[i] * (i + 1) + (P(target)[i] if accumulate else 0)


SLOPES = structured("slopes", needs=((),), rules=(lambda r, g, x, y, z, out: ops.slopes(g),))
library.attach("slopes", slopes_forward, slopes_reverse)


def slopes(x):
    """Element i times i + 1."""
    return emit(SLOPES, x._layout.packed, contiguous(x))


supply(slopes=slopes)

# An op of seven operands: the kernel finds the addresses of those from the third on at z.
def seven_forward(record, out, x, y, z):
    for i in range(as_i64(record)[N >> 3]):
        P(out)[i] = P(x)[i] * P(y)[i]
        for j in range(5):
            P(out)[i] += (j + 1) * P(as_i64(z)[j])[i] ** 2


def _seven_rule(r, g, x, y, *others):
    return g * y, g * x, *(2.0 * k * g * t for k, t in enumerate(others[:-1], 1))


SEVEN = joint("seven", arity=7, needs=("x", "y", "z"), rule=_seven_rule)
library.attach("seven", seven_forward)


def seven(x, y, *further):
    """x * y + 1 * z^2 + 2 * u^2 + ..."""
    return emit(SEVEN, x._layout.packed, *map(contiguous, (x, y, *further)))


# A function of matrices: its derivatives as statements, which tensors and compiled arrays share, and an entry for each.
def gram_pull(saved, cotangents):
    (a,) = saved
    return (a @ (cotangents[0] + turned(cotangents[0])),)


def gram_push(saved, tangents):
    (a,) = saved
    moved = turned(a) @ tangents[0]
    return (moved + turned(moved),)


def gram_forward(record, out, x, y, z):
    p = as_i64(as_i64(record)[PLAN >> 3])
    m, n = p[0], p[1]
    for i in range(n):
        for j in range(n):
            P(out)[i * n + j] = 0.0
            for k in range(m):
                P(out)[i * n + j] += P(x)[k * n + i] * P(x)[k * n + j]


GRAM = stated("gram", gram_pull, gram_push, saved=lambda r, x, y, z, out: (x,), needs=("x",))
library.attach("gram", gram_forward)


def gram(x):
    """x.T @ x"""
    return emitted(GRAM, (x,), tuple(x.shape), ((x.shape[-1],) * 2,))[0]


CASES = {  # name -> function of a tensor, the same of an array, its gradient, the diagonal of its Hessian
    "elementwise": (
        lambda x: tj.by_square(x, 3.0).sum() + tj.by_square(2.0, x).sum(),
        lambda a: (9 * a + 2 * a * a).sum(),
        lambda a: 9 + 4 * a,
        lambda a: 4 + 0 * a,
    ),
    "primitive": (
        lambda x: x.witch().sum(),
        lambda a: (1 / (1 + a * a)).sum(),
        lambda a: -2 * a / (1 + a * a) ** 2,
        lambda a: (6 * a * a - 2) / (1 + a * a) ** 3,
    ),
    "structured": (
        lambda x: (slopes(x) * x).sum(),
        lambda a: (a * a * np.arange(1, a.size + 1)).sum(),
        lambda a: 2 * a * np.arange(1, a.size + 1),
        lambda a: 2.0 * np.arange(1, a.size + 1),
    ),
    "seven operands": (
        lambda x: seven(x, x * 2, x * 3, x.sin(), x, x, -x).sum(),
        lambda a: (23 * a * a + 2 * np.sin(a) ** 2).sum(),
        lambda a: 46 * a + 2 * np.sin(2 * a),
        lambda a: 46 + 4 * np.cos(2 * a),
    ),
    "matrices": (
        lambda x: gram(x.reshape(-1, 1)).sum(),
        lambda a: (a * a).sum(),
        lambda a: 2 * a,
        lambda a: 2 + 0 * a,
    ),
}
AT = np.array([0.5, -1.25, 2.0, 0.1])


def close(got, expected, rtol=1e-12):
    np.testing.assert_allclose(got, expected, rtol=rtol)


def eager(f, value, gradient, second):
    for dtype, rtol in ((tj.float64, 1e-12), (tj.float32, 1e-5)):
        x = tj.tensor(AT, dtype=dtype, requires_grad=True)
        y = f(x)
        assert y.dtype is dtype
        close(y.item(), value(AT), rtol)
        (g,) = tj.autograd.grad(y, x, create_graph=True)
        close(g.tolist(), gradient(AT), rtol)
        g.sum().backward()
        close(x.grad.tolist(), second(AT), rtol)


def replay(f, value, gradient, second):
    twice = tj.value_and_grad(f, compile="now")
    for at in (AT, AT + 1):
        y, g = twice(at)
        close(y, value(at))
        close(g, gradient(at))
    assert twice.stats()["signatures"][0]["paths"][0]["compiled"]
    hessian = tj.hessian(f, compile="now")
    close(hessian(AT), np.diag(second(AT)))


def nopython(f, value, gradient, second):
    def loop(a):
        total = 0.0
        for i in range(a.size):
            total += tj.by_square(a[i], 3.0) + tj.by_square(2.0, a[i]) if linear else tj.witch(a[i])
        return total

    linear = f is CASES["elementwise"][0]
    for at in (AT, np.linspace(-1, 1, 40)):
        y, g = tj.nopython.value_and_grad(loop)(at)
        close(y, value(at))
        close(g, gradient(at))
    close(tj.nopython.hessian(loop)(AT)[2], np.diag(second(AT)), 1e-11)
    if not linear:
        y, g = tj.nopython.value_and_grad(lambda a: tj.witch(a).sum())(AT)
        close(y, value(AT))
        close(g, gradient(AT))


def nopython_matrices(f, value, gradient, second):
    own = solving.compiled({"gram_pull": gram_pull, "gram_push": gram_push})
    assert own.gram_pull.py_func.__code__ is gram_pull.__code__

    @active_function
    def forward(a):
        return (np.dot(a.T.copy(), a),), (a,)

    op = matrix_op("gram", 1, forward, own.gram_pull, own.gram_push, user="gram")

    def f(a):
        return np.sum(op(a.reshape((a.size, 1)))[0])

    for mode in ("tape", "dual"):
        y, g = tj.nopython.value_and_grad(f, mode=mode)(AT)
        close(y, value(AT))
        close(g, gradient(AT))
    close(tj.nopython.hvp(f)(AT, np.ones(AT.size)), second(AT))
    close(tj.func.jvp(CASES["matrices"][0], (AT,), (AT,))[1], gradient(AT) @ AT)


def reclaimed(f, value, gradient, second):
    """Operands of a record live as long as it needs them, and no longer."""
    tape = tapes.main
    before = len(tape)
    x = tj.tensor(AT, requires_grad=True)
    y = f(x)
    tape.reclaim()
    y.backward(retain_graph=True)
    close(x.grad.tolist(), gradient(AT))
    y.backward()
    close(x.grad.tolist(), 2 * gradient(AT))
    with pytest.raises(RuntimeError, match="a second time"):
        y.backward()
    del x, y
    tape.reclaim()
    tape.reclaim()  # the gradient goes after its leaf
    assert len(tape) <= before


def changed(f, value, gradient, second):
    """A saved operand that was changed in place since is noticed, whichever it is."""
    for j in range(7):
        x = [tj.tensor(AT, requires_grad=True) * 2.0 for _ in range(7)]
        y = seven(*x)
        x[j].mul_(3.0)
        with pytest.raises(RuntimeError, match="inplace operation"):
            y.sum().backward()


if __name__ == "__main__":
    ways = {f.__name__: f for f in (eager, replay, nopython, nopython_matrices, reclaimed, changed)}
    ways[sys.argv[1]](*CASES[sys.argv[2]])
