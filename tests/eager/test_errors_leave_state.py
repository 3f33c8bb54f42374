"""After an error everything is as it was: values, gradients, flags, histories, the tape; and the next call works."""

import numpy as np
import pytest

import tapejit as tj
from tapejit.core import record as R
from tapejit.core import tape


class World:
    """A few tensors in every state, and what they looked like."""

    def __init__(self):
        self.x = tj.tensor([1.0, 2.0, 3.0], requires_grad=True)
        self.w = tj.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], requires_grad=True)
        self.single = tj.tensor([1.0, 2.0, 3.0], dtype=tj.float32, requires_grad=True)
        self.constant = tj.tensor([1.0, -1.0, 0.5])
        self.integers = tj.tensor([2, 0, 1])
        self.mask = tj.tensor([True, False, True])
        (self.x * 2).sum().backward()  # a gradient that must not change
        self.y = self.x * self.x
        self.scalar = (self.y * self.constant).sum()
        self.freed = (self.w * self.w).sum()
        self.freed.backward()
        self.w.grad = None
        self.changed = self.x * 3
        self.needs_changed = (self.changed * self.changed).sum()
        self.changed.add_(1.0)
        self.other_leaf = tj.tensor([1.0, 1.0], requires_grad=True)
        self.held = tj.tensor([1.0, 2.0], requires_grad=True)
        (self.held * self.held).sum().backward()
        self.needs_gradient = (self.held.grad * self.other_leaf).sum()
        (self.held * 3).sum().backward()  # adds to the gradient in place
        self.other = tj.tensor(1.0, requires_grad=True)

    def tensors(self):
        return {name: t for name, t in vars(self).items() if isinstance(t, tj.Tensor)}

    def picture(self):
        seen = {}
        for name, t in self.tensors().items():
            grad = None if t.grad is None else t.grad.tolist()
            node = t.grad_fn and t.grad_fn.name()
            seen[name] = (t.tolist(), t.dtype, t.requires_grad, t.is_leaf, grad, node, t.shape, t.stride())
        return seen


# what fails: (the exception, the call)
ERRORS = {
    "shapes that do not broadcast": ((ValueError, RuntimeError), lambda s: s.x * tj.ones(2)),
    "shapes of where": ((ValueError, RuntimeError), lambda s: tj.where(s.mask, s.x, tj.ones(2))),
    "an operand that is no number": (TypeError, lambda s: s.x * "two"),
    "a complex loss": (RuntimeError, lambda s: (s.x * 2j).backward()),
    "an order of complex numbers": (RuntimeError, lambda s: s.x * 2j < 1),
    "a function of a list": (TypeError, lambda s: tj.exp([1.0])),
    "matmul shapes": (RuntimeError, lambda s: s.w @ s.w),
    "matmul dtypes": (RuntimeError, lambda s: s.w @ s.single),
    "dot of matrices": (RuntimeError, lambda s: tj.dot(s.w, s.w)),
    "an axis that is not there": (IndexError, lambda s: s.x.sum(3)),
    "an axis of softmax": (IndexError, lambda s: s.x.softmax(2)),
    "amax over nothing": ((RuntimeError, IndexError), lambda s: s.x[:0].amax()),
    "reshape": (RuntimeError, lambda s: s.x.reshape(2, 2)),
    "view over strides": (RuntimeError, lambda s: s.w.T.view(6)),
    "expand": (RuntimeError, lambda s: s.x.expand(2, 2)),
    "permute": (RuntimeError, lambda s: s.w.permute(0, 0)),
    "cat": (RuntimeError, lambda s: tj.cat((s.w, s.x))),
    "stack": (RuntimeError, lambda s: tj.stack((s.w, s.x))),
    "an index out of range": (IndexError, lambda s: s.x[3]),
    "too many indices": (IndexError, lambda s: s.x[0, 0]),
    "an array index out of range": (IndexError, lambda s: s.x[tj.tensor([0, 3])]),
    "a mask of another length": (IndexError, lambda s: s.x[tj.tensor([True, False])]),
    "a float index": (IndexError, lambda s: s.x[tj.tensor([0.0])]),
    "a step of zero": (ValueError, lambda s: s.x[::0]),
    "gather out of range": ((IndexError, RuntimeError), lambda s: s.x.gather(0, tj.tensor([5]))),
    "backward of a vector": (RuntimeError, lambda s: s.y.backward()),
    "backward with a gradient of another shape": (RuntimeError, lambda s: s.y.backward(tj.ones(2))),
    "backward without a graph": (RuntimeError, lambda s: s.constant.sum().backward()),
    "backward of integers": (RuntimeError, lambda s: s.integers.sum().backward()),
    "a freed graph": (RuntimeError, lambda s: s.freed.backward()),
    "a freed graph below a new one": (RuntimeError, lambda s: (s.freed * 2 + s.scalar).backward()),
    "a freed graph, create_graph": (RuntimeError, lambda s: s.freed.backward(create_graph=True)),
    "a freed graph, grad": (RuntimeError, lambda s: tj.autograd.grad(s.freed, s.w)),
    "a changed value": (RuntimeError, lambda s: s.needs_changed.backward()),
    "a changed value, with others": (RuntimeError, lambda s: (s.scalar + s.needs_changed).backward()),
    "a changed value, create_graph": (RuntimeError, lambda s: s.needs_changed.backward(create_graph=True)),
    "a changed value, grad": (RuntimeError, lambda s: tj.autograd.grad(s.needs_changed, s.x)),
    "a gradient that a later backward added to": (RuntimeError, lambda s: s.needs_gradient.backward()),
    "an unused input": (RuntimeError, lambda s: tj.autograd.grad(s.scalar, (s.x, s.other))),
    "an unused input, create_graph": (RuntimeError, lambda s: tj.autograd.grad(s.scalar, (s.x, s.other), create_graph=True)),
    "an input without gradient": (RuntimeError, lambda s: tj.autograd.grad(s.scalar, (s.x, s.constant))),
    "an output without graph": (RuntimeError, lambda s: tj.autograd.grad(s.constant.sum(), s.x)),
    "grad of a vector": (RuntimeError, lambda s: tj.autograd.grad(s.y, s.x)),
    "too many grad_outputs": (RuntimeError, lambda s: tj.autograd.grad(s.scalar, s.x, (tj.tensor(1.0), tj.tensor(1.0)))),
    "backward with no inputs": (RuntimeError, lambda s: s.scalar.backward(inputs=[])),
    "one of two outputs fails": (RuntimeError, lambda s: tj.autograd.backward((s.scalar, s.freed))),
    "in-place on a leaf": (RuntimeError, lambda s: s.x.add_(1.0)),
    "in-place operator on a leaf": (RuntimeError, lambda s: s.x.__imul__(2.0)),
    "in-place on a view of a leaf": (RuntimeError, lambda s: s.x[1:].mul_(2.0)),
    "assignment into a leaf": (RuntimeError, lambda s: s.x.__setitem__(0, 5.0)),
    "in-place that does not fit": ((RuntimeError, ValueError), lambda s: s.constant.add_(s.w)),
    "in-place to a wider dtype": (RuntimeError, lambda s: s.integers.add_(0.5)),
    "in-place with shapes that do not broadcast": ((RuntimeError, ValueError), lambda s: s.changed.mul_(tj.ones(2))),
    "assignment that does not fit": ((RuntimeError, ValueError), lambda s: s.constant.__setitem__(slice(0, 2), tj.ones(3))),
    "recorded assignment that does not fit": (
        (RuntimeError, ValueError),
        lambda s: s.changed.__setitem__(slice(0, 2), s.x),
    ),
    "assignment out of range": (IndexError, lambda s: s.changed.__setitem__(7, 1.0)),
    "item of several elements": (RuntimeError, lambda s: s.x.item()),
    "truth of several elements": (RuntimeError, lambda s: bool(s.x)),
    "numpy of a tensor with a graph": (RuntimeError, lambda s: s.y.numpy()),
    "len of a scalar": (TypeError, lambda s: len(s.scalar)),
    "iteration over a scalar": (TypeError, lambda s: list(s.scalar)),
    "integers that require grad": (RuntimeError, lambda s: s.integers.requires_grad_()),
    "a computed tensor that stops requiring grad": (RuntimeError, lambda s: s.y.requires_grad_(False)),
    "retain_grad without grad": (RuntimeError, lambda s: s.constant.retain_grad()),
    "a gradient of another shape": (RuntimeError, lambda s: setattr(s.x, "grad", tj.ones(2))),
    "a gradient of another dtype": (RuntimeError, lambda s: setattr(s.x, "grad", tj.ones(3, dtype=tj.float32))),
    "a gradient that is no tensor": (TypeError, lambda s: setattr(s.x, "grad", [1.0, 2.0, 3.0])),
    "data of another shape": (RuntimeError, lambda s: setattr(s.x, "data", tj.ones(2))),
    "data that is no number": ((TypeError, ValueError), lambda s: tj.tensor(["one"])),
    "a ragged list": ((TypeError, ValueError), lambda s: tj.tensor([[1.0], [1.0, 2.0]])),
    "integers to a negative power": (RuntimeError, lambda s: s.integers**-1),
    "a condition that is no bool": ((TypeError, RuntimeError), lambda s: tj.where(s.x, s.x, s.x)),
    "a dtype that is not supported": (TypeError, lambda s: s.x.to("complex128")),
    "clamp without bounds": ((ValueError, RuntimeError), lambda s: s.x.clamp()),
    "split sizes": (RuntimeError, lambda s: s.x.split([1, 1])),
}


def adjoints_and_marks():
    """What a sweep that stopped half-way would leave behind: both must be zero."""
    n = len(tape.main)
    return int(np.count_nonzero(tape.main.adjoints[:n])), int(np.count_nonzero(tape.main.records["flags"][:n] & R.CAPTURE))


def live_bytes():
    tape.main.reclaim()
    tape.main.reclaim()
    return int(tape.main.header[R.H_BYTES])


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_changes_nothing(name):
    kind, call = ERRORS[name]
    world = World()
    before = world.picture()
    with pytest.raises(kind) as caught:
        call(world)
    assert len(str(caught.value)) > 15, "the message says nothing"
    assert world.picture() == before
    assert adjoints_and_marks() == (0, 0)
    assert tj.is_grad_enabled()


@pytest.mark.parametrize("name", ERRORS)
def test_after_an_error_the_next_calls_work(name):
    kind, call = ERRORS[name]
    world = World()
    with pytest.raises(kind):
        call(world)
    world.scalar.backward()
    a, c = np.array([1.0, 2.0, 3.0]), np.array([1.0, -1.0, 0.5])
    np.testing.assert_allclose(world.x.grad.numpy(), 2 + 2 * a * c)
    (world.w @ world.x).sum().backward()
    assert world.w.grad.tolist() == [[1.0, 2.0, 3.0]] * 2
    np.testing.assert_allclose(world.x.grad.numpy(), 2 + 2 * a * c + [5.0, 7.0, 9.0])
    (g,) = tj.autograd.grad((world.single**3).sum(), world.single, create_graph=True)
    g.sum().backward()
    assert world.single.grad.tolist() == [6.0, 12.0, 18.0]


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_leaks_nothing(name):
    kind, call = ERRORS[name]
    world = World()

    def fail():
        with pytest.raises(kind):
            call(world)

    fail()
    records, values = len(tape.main), live_bytes()
    records = len(tape.main)
    for _ in range(5):
        fail()
    assert live_bytes() <= values
    assert len(tape.main) <= records


def test_an_error_inside_no_grad_restores_the_mode():
    with pytest.raises(RuntimeError), tj.no_grad():
        tj.ones(2) @ tj.ones(3)
    assert tj.is_grad_enabled()

    @tj.no_grad()
    def fail():
        raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert tj.is_grad_enabled()


def test_a_failed_backward_can_be_repaired():
    x = tj.tensor([1.0, 2.0], requires_grad=True)
    y = x * 3
    saved = y.detach().clone()
    z = (y * y).sum()
    y.add_(1.0)
    with pytest.raises(RuntimeError, match="modified"):
        z.backward()
    assert x.grad is None
    (saved * x).sum().backward()
    assert x.grad.tolist() == [3.0, 6.0]
