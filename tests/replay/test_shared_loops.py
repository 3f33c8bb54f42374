"""Threads inside one call: the same digits for any number of them, whatever shape, and whoever else is at work."""

import os
import threading

import numpy as np
import pytest

import tapejit as tj
from tapejit.compile import codegen, shared
from tapejit.core import team, threads

rng = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def one_thread_again():
    yield
    tj.set_num_threads(1)


@pytest.fixture
def small_parts(monkeypatch, planned_anew):
    """Loops of some hundred elements are cut, too."""
    monkeypatch.setattr(shared, "PART", 20.0)
    monkeypatch.setattr(shared, "NARROWEST", 4)
    cuts = []
    find = shared.cut_of

    def noted(*loop):
        cuts.append(find(*loop))
        return cuts[-1]

    monkeypatch.setattr(codegen, "cut_of", noted)
    return cuts


def same_for_all(f, *arrays):
    """The value and gradient of f: the same for 1, 2 and 3 threads, and close to eager's."""
    g = tj.value_and_grad(f, argnums=tuple(range(len(arrays))), compile="now")
    g(*arrays)  # recorded
    found = []
    for count in (1, 2, 3, 1):
        tj.set_num_threads(count)
        value, slopes = g(*arrays)
        found.append([np.asarray(value), *slopes])
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            assert a.tobytes() == b.tobytes()
    leaves = [tj.tensor(x, requires_grad=True) for x in arrays]
    f(*leaves).backward()
    for slope, leaf in zip(found[0][1:], leaves, strict=True):
        rough = 1e-4 if slope.dtype == np.float32 else 1e-10
        np.testing.assert_allclose(slope, leaf.grad.numpy(), rtol=rough, atol=rough)


FUNCTIONS = {
    "sum": lambda x: tj.exp(x).sum(),
    "mean of squares": lambda x: (x * x).mean(),
    "largest and smallest": lambda x: tj.amax(x * 2) + tj.amin(x * x),
    "first axis": lambda x: (tj.exp(x).sum(0) ** 2).sum(),
    "last axis": lambda x: (tj.exp(x).sum(-1) ** 2).sum(),
    "neighbours": lambda x: (tj.exp(x[1:]) * x[:-1]).sum(),
    "columns": lambda x: (x[..., 0] * tj.sin(x[..., -1])).sum() + x.sum(),
    "rows minus their means": lambda x: ((x - x.mean(-1, keepdim=True)) ** 3).sum(),
    "windows that overlap": lambda x: (tj.sin(x).reshape(-1).unfold(0, 3, 1) ** 2).sum(),
    "flipped": lambda x: (tj.flip(tj.sin(x), (0,)) * x).sum(),
}


@pytest.mark.parametrize("shape", [(700,), (3, 500), (500, 3), (4, 5, 60)])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_results_do_not_depend_on_the_number_of_threads(name, shape, small_parts):
    same_for_all(FUNCTIONS[name], rng.normal(size=shape))
    assert any(small_parts)


def test_single_precision_is_summed_in_double(small_parts):
    same_for_all(lambda x: tj.exp(x).sum() + (x[1:] * x[:-1]).sum(), rng.normal(size=900).astype(np.float32))
    assert any(small_parts)


def test_broadcast_operands_get_the_sum_of_all_parts(small_parts):
    x, y, z = (rng.normal(size=shape) for shape in ((60, 40), (40,), (60, 1)))
    same_for_all(lambda x, y, z: (tj.exp(x * y) * z).sum(), x, y, z)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_goes_through_parts(bad, small_parts):
    x = rng.normal(size=800)
    x[[0, 399, 799]] = bad
    g = tj.value_and_grad(lambda x: tj.amax(x) + x.sum(), compile="now")
    for count in (1, 1, 2):
        tj.set_num_threads(count)
        value = g(x)[0]
        assert np.array_equal(value, x.max() + x.sum(), equal_nan=True)


def test_loops_over_time_are_shared_within_each_pass(small_parts):
    def f(x):
        for _ in range(40):
            x = x + 0.01 * tj.sin(x) * x.mean()
        return (x * x).sum()

    same_for_all(f, rng.normal(size=600))
    assert any(small_parts)


def test_decisions_are_eagers_for_any_number(small_parts):
    def f(x):
        total = tj.exp(x).sum()
        return (x * total).sum() if total > 100 else (x - total).sum()

    g = tj.grad(f, compile="now")
    for count in (1, 2):
        tj.set_num_threads(count)
        for shift in (0.0, -9.0):
            x = rng.normal(size=700) + shift
            leaf = tj.tensor(x, requires_grad=True)
            f(leaf).backward()
            np.testing.assert_allclose(g(x), leaf.grad.numpy(), rtol=1e-12)


def test_large_arrays_are_shared_and_small_ones_are_not(monkeypatch, planned_anew):
    cuts = []
    find = shared.cut_of

    def noted(*loop):
        cuts.append(find(*loop))
        return cuts[-1]

    monkeypatch.setattr(codegen, "cut_of", noted)
    tj.grad(lambda x: tj.exp(x).sum(), compile="now")(np.zeros(2000))
    assert not any(cuts)
    tj.grad(lambda x: tj.exp(x).sum(), compile="now")(np.zeros(300_000))
    assert any(cuts)


def test_callers_in_several_threads_get_the_same_digits(small_parts):
    g = tj.value_and_grad(lambda x: (tj.exp(x).sum(0) ** 2).sum(), compile="now")
    x = rng.normal(size=(400, 20))
    g(x)
    value, slope = g(x)
    tj.set_num_threads(2)
    wrong = []

    def call():
        for _ in range(300):
            v, s = g(x)
            if v != value or s.tobytes() != slope.tobytes():
                wrong.append(v)

    callers = [threading.Thread(target=call) for _ in range(3)]
    for t in callers:
        t.start()
    for t in callers:
        t.join()
    assert not wrong


def test_batches_side_by_side_do_not_share_again(small_parts):
    f = tj.vmap(tj.grad(lambda x: tj.exp(x).sum()), threads=2, compile="now")
    x = rng.normal(size=(8, 500))
    tj.set_num_threads(2)
    for _ in range(3):
        np.testing.assert_allclose(f(x), np.exp(x), rtol=1e-14)
    assert threads.team.words[team.TAKEN] == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_child_begins_with_one_thread(small_parts):
    g = tj.value_and_grad(lambda x: tj.exp(x).sum(), compile="now")
    x = rng.normal(size=700)
    tj.set_num_threads(2)
    g(x)
    value = g(x)[0]
    child = os.fork()
    if child == 0:
        good = tj.get_num_threads() == 1 and g(x)[0] == value
        tj.set_num_threads(2)
        os._exit(0 if good and g(x)[0] == value else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert tj.get_num_threads() == 2
    assert g(x)[0] == value


def test_there_is_no_thread_before_one_is_asked_for():
    another = threads._Team()
    before = threading.active_count()
    another.resize(1)
    assert threading.active_count() == before
    another.resize(3)
    assert threading.active_count() == before + 2
    another.resize(2)
    another.resize(3)
    assert threading.active_count() == before + 2


@pytest.mark.parametrize("bad", [0, -1, 257])
def test_a_number_of_threads_out_of_range_is_refused(bad):
    with pytest.raises(ValueError, match=f"256, got {bad}"):
        tj.set_num_threads(bad)
    assert tj.get_num_threads() == 1


@pytest.mark.parametrize("bad", [True, 2.0, "2", None])
def test_what_is_no_whole_number_of_threads_is_refused(bad):
    with pytest.raises(TypeError, match="whole number"):
        tj.set_num_threads(bad)


def test_the_number_of_threads_is_what_it_was_set_to():
    assert tj.get_num_threads() == 1
    tj.set_num_threads(np.int64(2))
    assert tj.get_num_threads() == 2
