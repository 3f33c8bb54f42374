"""Operators as C functions: what they answer, what they leave to Python, and what they hold."""

import gc
import inspect
import pickle
import sys
import threading

import numpy as np
import pytest

import tapejit as tj
from tapejit.core import tape as tapes
from tapejit.core.record import MASK
from tapejit.eager import frameless
from tapejit.eager.tensor import Tensor
from tapejit.spec.table import OPS

X = [0.5, -1.5, 2.0]
OPERATORS = [
    "__add__", "__sub__", "__mul__", "__truediv__", "__pow__", "__mod__",
    "__radd__", "__rsub__", "__rmul__", "__rtruediv__", "__rpow__", "__rmod__",
]  # fmt: skip
OPERANDS = [2.0, 3, -1, 0.5, True, np.float64(2.0), np.float32(1.5), 2**60, float("inf"), float("nan")]


def tensor():
    return tj.tensor(X).requires_grad_()


def outcome(function, *args):
    """The value and gradient of a call, or its error."""
    x = args[0]
    try:
        with np.errstate(all="ignore"):
            y = function(*args)
            if y is NotImplemented:
                return y
            y.sum().backward()
    except Exception as error:
        return type(error), str(error)
    return type(y), y.detach().numpy().tobytes(), y.grad_fn.name(), x.grad.numpy().tobytes()


@pytest.mark.parametrize("name", OPERATORS)
def test_an_operator_does_what_its_function_does(name):
    operator = getattr(Tensor, name)
    assert type(operator) is frameless.Operator
    others = [*OPERANDS, 10**400, "text", None, 1j, [1.0, 2.0, 3.0], np.array([1.0, 2.0, 3.0]), tj.tensor(1.5)]
    others += [tj.tensor([1.0, 2.0, 3.0]), tj.tensor([[1.0], [2.0]]), tj.tensor([1, 2, 3]), tj.tensor([1.0, 2.0, 3.0]).float()]
    for other in others:
        assert outcome(operator, tensor(), other) == outcome(operator._otherwise, tensor(), other), other


def test_numbers_that_stand_for_ops_of_their_own():
    for number, name in ((2, "square"), (2.0, "square"), (3, "cube"), (0.5, "sqrt"), (-1, "reciprocal"), (2.5, "pow")):
        y = abs(tensor()) ** number
        assert OPS[tapes.main.ops[y._r & MASK]].name == name


def test_calls_of_other_forms():
    x = tensor()
    assert Tensor.__mul__(x, 2.0).tolist() == x.__mul__(2.0).tolist() == [1.0, -3.0, 4.0]
    with pytest.raises(TypeError):
        x.__mul__()
    with pytest.raises(TypeError):
        x.__mul__(1.0, 2.0)
    with pytest.raises(TypeError):
        x.__mul__(wrong=1.0)
    with pytest.raises(AttributeError):
        Tensor.__mul__(3.0, x)
    assert x.__mul__(other=2.0).tolist() == [1.0, -3.0, 4.0]
    assert str(inspect.signature(Tensor.__mul__)) == "(self, other)"
    assert pickle.loads(pickle.dumps(x)).tolist() == X


def test_nothing_is_kept():
    x, y = tensor(), tensor()
    layout, counts = x._layout, []
    for _ in range(4):
        for _ in range(2_000):
            _ = tj.sin(x * y + 2.0 - 1 / x) ** 2
        gc.collect()
        tapes.main.reclaim()
        counts.append((sys.getrefcount(layout), sys.getrefcount(Tensor), len(tapes.main)))
    assert counts[1] == counts[2] == counts[3]


def test_a_collection_may_come_at_any_operation():
    """Its callback computes and reclaims: records move while an operation is under way."""
    x, made = tensor(), []

    def callback(phase, info):
        if phase == "stop":
            made.append(x * float(len(made)))
            tapes.current().reclaim()

    before = gc.get_threshold()
    gc.callbacks.append(callback)
    gc.set_threshold(3)
    try:
        kept = [(k, x * float(k) + 1.0) for k in range(300)]
    finally:
        gc.callbacks.remove(callback)
        gc.set_threshold(*before)
    assert len(made) > 20
    for k, y in (*((k, y - 1.0) for k, y in kept), *enumerate(made)):
        assert y.tolist() == pytest.approx([k * v for v in X])
    total = sum(y.sum() for _, y in kept)
    total.backward()
    assert x.grad.tolist() == [sum(range(300))] * 3


def test_other_threads_have_their_own_tape():
    results = []

    def work():
        x = tensor()
        y = (2.0 * x * x + x).sum()
        y.backward()
        results.append((y._tape() is not tapes.main, x.grad.tolist()))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [(True, [3.0, -5.0, 9.0])] * 3


def test_without_c_functions_python_answers(monkeypatch):
    operator = frameless.Operator(frameless.two, Tensor.__mul__._block[frameless.CODE], Tensor.__mul__._otherwise)
    monkeypatch.setattr(frameless, "call_natively", lambda *_: None)
    python = frameless.Operator(frameless.two, Tensor.__mul__._block[frameless.CODE], Tensor.__mul__._otherwise)
    for each in (operator, python):
        for other in (2.0, 3, tensor()):
            assert outcome(each, tensor(), other) == outcome(Tensor.__mul__, tensor(), other)
    frameless._operators[-2:] = []
