"""In place on another thread's tensor: its memory may be changed, but no graph may lie on two tapes."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import tapejit as tj


def in_thread(function, *args):
    """The result of a function run in a new thread, or its exception raised here."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function, *args).result(timeout=60)


def sgd_step(w):
    w.sub_(0.1 * w.grad)


def test_a_step_on_another_threads_leaf_is_refused_or_right():
    w = tj.tensor([1.0, 1.0], requires_grad=True)
    (w * w).sum().backward()
    with pytest.raises(RuntimeError):
        in_thread(sgd_step, w)
    assert w.tolist() == [1.0, 1.0]
    in_thread(tj.no_grad(sgd_step), w)
    assert w.tolist() == [0.8, 0.8]
    w.grad = None
    (w * w).sum().backward()
    assert w.grad.tolist() == [1.6, 1.6]


IN_PLACE = {
    "method": lambda x: x.mul_(3.0),
    "operator": lambda x: x.__iadd__(1.0),
    "by a tensor": lambda x: x.sub_(tj.ones(2) * 2),
    "operator by a tensor": lambda x: x.__imul__(tj.ones(2) * 2),
    "on a view": lambda x: x[1:].mul_(3.0),
    "number": lambda x: x.__setitem__(0, 7.0),
    "slice": lambda x: x.__setitem__(slice(1, 2), tj.zeros(1)),
    "indices": lambda x: x.__setitem__(tj.tensor([1, 0]), 4.0),
    "mask": lambda x: x.__setitem__(x > 0, tj.tensor([5.0, 6.0])),
    "fill_": lambda x: x.fill_(2.0),
    "zero_": lambda x: x.zero_(),
    "copy_": lambda x: x.copy_(tj.tensor([8.0, 9.0])),
    "data": lambda x: setattr(x, "data", tj.tensor([8.0, 9.0])),
}


@pytest.mark.parametrize("form", IN_PLACE)
def test_a_constant_changed_in_another_thread(form):
    here, there = tj.tensor([1.0, 2.0]), tj.tensor([1.0, 2.0])
    others = [tj.full((2,), float(i)) for i in range(50)]
    in_thread(lambda: [tj.ones(2) * i for i in range(7)])
    IN_PLACE[form](here)
    in_thread(IN_PLACE[form], there)
    assert there.tolist() == here.tolist()
    assert [o.tolist() for o in others] == [[float(i)] * 2 for i in range(50)]


@pytest.mark.parametrize("form", IN_PLACE)
def test_a_graph_notices_a_change_from_another_thread(form):
    w = tj.tensor([3.0, 4.0], requires_grad=True)
    x = tj.tensor([1.0, 2.0])
    y = (w * x).sum()
    in_thread(IN_PLACE[form], x)
    with pytest.raises(RuntimeError, match="modified"):
        y.backward()


@pytest.mark.parametrize("form", [f for f in IN_PLACE if f != "data"])
def test_a_result_of_another_thread_is_not_changed_in_place(form):
    w = tj.tensor([1.0, 2.0], requires_grad=True)
    y = w * 3
    with pytest.raises(RuntimeError, match="thread"):
        in_thread(IN_PLACE[form], y)
    assert y.tolist() == [3.0, 6.0]
    y.sum().backward()
    assert w.grad.tolist() == [3.0, 3.0]


ONTO_OWN = {
    "method": lambda x, o: x.mul_(o),
    "operator": lambda x, o: x.__iadd__(o),
    "assignment": lambda x, o: x.__setitem__(slice(0, 2), o),
    "indices": lambda x, o: x.__setitem__(tj.tensor([1, 0]), o),
    "copy_": lambda x, o: x.copy_(o),
}


@pytest.mark.parametrize("form", ONTO_OWN)
@pytest.mark.parametrize("mine", ["constant", "computed", "shared"])
def test_a_graph_of_another_thread_does_not_enter_in_place(form, mine):
    w = tj.tensor([1.0, 2.0], requires_grad=True)
    make = {"constant": lambda: tj.ones(2), "computed": lambda: tj.ones(2, requires_grad=True) * 2}
    shared = tj.ones(2)

    def work():
        x = make.get(mine, lambda: shared)()
        before = x.tolist()
        with pytest.raises(RuntimeError, match="thread"):
            ONTO_OWN[form](x, w)
        return x.tolist() == before

    assert in_thread(work)


def test_detach_in_place_is_for_the_own_thread():
    w = tj.tensor([1.0, 2.0], requires_grad=True)
    y = w * 3
    with pytest.raises(RuntimeError, match="thread"):
        in_thread(y.detach_)
    y.sum().backward()
    assert w.grad.tolist() == [3.0, 3.0]


@pytest.mark.parametrize(
    "first",
    [
        lambda: in_thread(lambda: tj.full((2, 2), 5.0)),
        lambda: tj.tensor([[5.0, 6.0], [7.0, 8.0]]).T,
        lambda: tj.full((2, 2), 5.0, requires_grad=True) * 1,
        lambda: tj.full((2, 2), 5.0),
    ],
    ids=["of another thread", "strided", "with a history", "plain"],
)
def test_a_gradient_set_by_the_user_is_added_to(first):
    x = tj.ones(2, 2, requires_grad=True)
    x.grad = first()
    before = x.grad.detach().numpy().copy()
    for i in range(1, 4):
        (x * 10).sum().backward()
        np.testing.assert_array_equal(x.grad.detach().numpy(), before + 10 * i)


def test_seeds_and_outputs_of_other_threads():
    w = tj.ones(2, requires_grad=True)
    strided = in_thread(lambda: (tj.ones(4, 2) * 5).T[:, 1])
    (w * 3).backward(strided)
    assert w.grad.tolist() == [15.0, 15.0]
    assert tj.autograd.grad(w * 3, w, in_thread(lambda: tj.ones(2) * 2))[0].tolist() == [6.0, 6.0]
    with pytest.raises(RuntimeError, match="thread"):
        tj.autograd.backward([w.sum(), in_thread(lambda: tj.ones(2, requires_grad=True).sum())])
    with pytest.raises(RuntimeError, match="thread"):
        tj.autograd.grad(w.sum(), in_thread(lambda: tj.ones(2, requires_grad=True)))
