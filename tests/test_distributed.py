"""Sums and ensembles on a cluster of two processes, one of which is killed."""

import collections
import os
import pickle
import signal
import sys
import threading
import time

import numpy as np
import pytest

import tapejit as tj
from tapejit.distributed import cluster, wires, worker

Pair = collections.namedtuple("Pair", "a b")
rng = np.random.default_rng(0)
X = rng.normal(size=(403, 5))
Y = (rng.uniform(size=403) < 0.5) * 1.0
W = rng.normal(size=5)


def loss(w, x, y):
    z = x @ w
    return (tj.softplus(z) - y * z).sum()


def parts(count):
    return [(X[k::count].copy(), Y[k::count].copy()) for k in range(count)]


def by_hand(w):
    z = X @ w
    return np.logaddexp(0, z).sum() - Y @ z, X.T @ (1 / (1 + np.exp(-z)) - Y)


@pytest.fixture(scope="module")
def client():
    distributed = pytest.importorskip("distributed")
    import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import a test
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as made:
        yield made
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


def pids(client):
    return sorted(client.run(os.getpid).values())


# Without a cluster


def test_without_dask_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    for call in (lambda: tj.distributed.sum_over(loss, parts(2)), lambda: tj.distributed.ensemble(loss)):
        with pytest.raises(ImportError, match=r"pip install 'tapejit\[dask\]'"):
            call()


def test_sums_are_taken_leaf_by_leaf():
    a = (1.0, [np.ones(2)], {"k": Pair(2.0, tj.ones(2))})
    number, (array,), rest = worker.added(a, a)
    assert number == 2.0
    np.testing.assert_array_equal(array, [2.0, 2.0])
    assert rest["k"].a == 4.0
    assert rest["k"].b.tolist() == [2.0, 2.0]
    for x, y in (((1.0,), (1.0, 2.0)), ("a", "b"), (None, None), ({"a": 1.0}, {"b": 1.0}), (1.0, (1.0,))):
        with pytest.raises(TypeError, match="adds numbers"):
            worker.added(x, y)
    with pytest.raises(ValueError, match="shapes"):
        worker.added(np.ones(2), np.ones(3))


def test_a_function_runs_as_machine_code_from_the_first_call():
    function = worker.Function(pickle.dumps(tj.value_and_grad(np.sum)))
    for n in (3, 3, 4):
        value, gradient = function(np.arange(float(n)))
        assert value == np.arange(n).sum()
        np.testing.assert_array_equal(gradient, np.ones(n))
        assert function.function.compiled
    assert pickle.loads(pickle.dumps(function))(np.ones(2))[0] == 2.0


def test_arrays_of_a_part_stand_in_aligned_memory_wherever_they_go():
    wire = np.zeros(8 * 12 + 3, np.uint8)[3:].view(np.float64).reshape(3, 4)
    wire[...] = np.arange(12.0).reshape(3, 4)
    tree = (wire, {"a": [wire.T, wire[:, 1]]}, Pair(np.zeros((0, 2)), 1.0), 2.0)
    for data in (worker.Data(tree), worker.Data(lambda: tree), pickle.loads(pickle.dumps(worker.Data(tree)))):
        first, inner, pair, number = data.args
        arrays = [first, *inner["a"], pair.a]
        for x, expected in zip(arrays, (wire, wire.T, wire[:, 1], np.zeros((0, 2))), strict=True):
            assert x.size == 0 or x.ctypes.data % 64 == 0
            assert x.flags.forc
            np.testing.assert_array_equal(x, expected)
        assert inner["a"][0].flags.f_contiguous
        assert (pair.b, number) == (1.0, 2.0)


# On two workers


def test_a_sum_over_parts_is_the_sum_over_all(client):
    total = tj.distributed.sum_over(tj.value_and_grad(loss), parts(5))
    for w in (W, -W, 2 * W):
        value, gradient = total(w)
        expected = by_hand(w)
        np.testing.assert_allclose(value, expected[0], rtol=1e-12)
        np.testing.assert_allclose(gradient, expected[1], rtol=1e-10)


def test_digits_are_those_of_the_tree_by_hand(client, monkeypatch):
    total = tj.distributed.sum_over(tj.value_and_grad(loss), parts(5), client=client)
    g = tj.value_and_grad(loss, compile="now")
    a, b, c, d, e = [g(W, *p) for p in parts(5) for _ in range(2)][1::2]
    expected = worker.added(worker.added(worker.added(a, b), worker.added(c, d)), e)
    for where in ("on the workers", "by the caller, now that they are known to be small", "on the workers again"):
        monkeypatch.setattr(cluster, "SMALL", 0 if where == "on the workers again" else 1 << 20)
        found = total(W)
        assert found[0] == expected[0], where
        assert (found[1] == expected[1]).all(), where


def test_data_may_be_loaded_where_it_is_used(client):
    total = tj.distributed.sum_over(tj.grad(loss), [lambda k=k: (X[k::2], Y[k::2]) for k in range(2)])
    np.testing.assert_allclose(total(W), by_hand(W)[1], rtol=1e-10)
    single = tj.distributed.sum_over(lambda x: {"n": len(x), "s": x.sum()}, [np.ones(3), np.ones(4)])
    assert single() == {"n": 7, "s": 7.0}


def test_an_ensemble_of_parameters(client):
    members = [W * k for k in range(5)]
    found = tj.distributed.ensemble(tj.grad(loss), X, Y)(members)
    assert len(found) == 5
    for w, gradient in zip(members, found, strict=True):
        np.testing.assert_allclose(gradient, by_hand(w)[1], rtol=1e-10)


def test_errors_arrive(client):
    def broken(x):
        raise KeyError("lost")

    with pytest.raises(KeyError, match="lost"):
        tj.distributed.sum_over(broken, [1.0, 2.0])()
    with pytest.raises(ValueError, match="at least one part"):
        tj.distributed.sum_over(loss, [])
    with pytest.raises(TypeError, match="takes a function"):
        tj.distributed.sum_over(3.0, [1.0])
    lock = threading.Lock()
    with pytest.raises(TypeError, match="cannot be sent"):
        tj.distributed.sum_over(lambda x: lock, [1.0])
    with pytest.raises(TypeError, match="adds numbers"):
        tj.distributed.sum_over(lambda x: None, [1.0, 2.0])()


def test_a_worker_that_died_between_calls_changes_no_digit(client):
    total = tj.distributed.sum_over(tj.value_and_grad(loss), parts(4))
    before = total(W)
    os.kill(pids(client)[0], signal.SIGKILL)
    for _ in range(3):
        after = total(W)
        assert after[0] == before[0]
        assert (after[1] == before[1]).all()
    client.wait_for_workers(2)


def test_a_worker_that_dies_within_a_call_changes_no_digit(client):
    def slowly(w, x, y):
        time.sleep(0.5)
        return x.T @ (1 / (1 + np.exp(-x @ w)) - y)

    total = tj.distributed.sum_over(slowly, parts(4))
    before = total(W)
    victim = pids(client)[1]
    killer = threading.Timer(0.7, os.kill, (victim, signal.SIGKILL))
    killer.start()
    after = total(W)
    killer.join()
    assert (after == before).all()
    client.wait_for_workers(2)
    assert victim not in pids(client)


def test_calls_go_to_the_workers_themselves_once_results_are_known_to_be_small(client, monkeypatch):
    total = tj.distributed.sum_over(tj.value_and_grad(loss), parts(5))
    before = [total(k * W) for k in range(3)]
    assert total._residents is not None
    monkeypatch.setattr(total, "of_each", None)  # no tasks
    for k in range(3):
        value, gradient = total(k * W)
        assert value == before[k][0]
        assert (gradient == before[k][1]).all()
    monkeypatch.undo()
    del total
    client.run(lambda: None)


def test_calls_go_through_the_scheduler_where_workers_cannot_be_reached(client, monkeypatch):
    total = tj.distributed.sum_over(tj.grad(loss), parts(5))
    by_wire = [total(k * W) for k in range(3)][-1]
    assert total._residents.wires

    def refused(*ends):
        raise ConnectionRefusedError

    monkeypatch.setattr(wires, "Wire", refused)
    other = tj.distributed.sum_over(tj.grad(loss), parts(5))
    by_scheduler = [other(k * W) for k in range(3)][-1]
    assert other._residents is not None
    assert other._residents.wires is None
    assert (by_wire == by_scheduler).all()


def test_a_worker_answers_only_who_knows_a_name(client):
    total = tj.distributed.sum_over(tj.grad(loss), parts(2))
    for _ in range(2):
        total(W)
    name, wire = next(iter(total._residents.wires.items()))
    host, port = wire._connection.getpeername()
    assert wires.Wire(host, port, name)
    for wrong in (name[:-1], "x" * (wires.LONGEST_NAME + 1)):
        with pytest.raises(OSError):
            wires.Wire(host, port, wrong)
    assert total(W) is not None


def test_large_arguments_go_by_wire_too(client):
    weights = np.random.default_rng(1).normal(size=300_000)
    total = tj.distributed.sum_over(lambda w, k: {"sum": (w * k).sum()}, [1.0, 2.0, 3.0, 4.0])
    for _ in range(3):
        found = total(weights)
    assert total._residents.wires
    assert found["sum"] == pytest.approx(10 * weights.sum())


def test_what_workers_keep_goes_with_the_function(client):
    def kept():
        from tapejit.distributed import residents

        return len(residents._here)

    total = tj.distributed.sum_over(tj.grad(loss), parts(4))
    for _ in range(3):
        total(W)
    assert sum(client.run(kept).values()) >= 2
    del total
    for _ in range(100):
        if not sum(client.run(kept).values()):
            break
        time.sleep(0.1)
    assert not sum(client.run(kept).values())


def test_a_worker_with_residents_dies(client):
    def slowly(w, x, y):
        time.sleep(0.2)
        return x.T @ (1 / (1 + np.exp(-x @ w)) - y)

    total = tj.distributed.sum_over(slowly, parts(4))
    before = [total(W) for _ in range(3)][-1]
    assert total._residents is not None
    os.kill(pids(client)[0], signal.SIGKILL)
    assert (total(W) == before).all()
    client.wait_for_workers(2)
    for _ in range(2):
        assert (total(W) == before).all()
    assert total._residents is not None
    killer = threading.Timer(0.1, os.kill, (pids(client)[1], signal.SIGKILL))
    killer.start()
    assert (total(W) == before).all()
    killer.join()
    client.wait_for_workers(2)


def test_errors_of_residents_arrive(client):
    def sometimes(w, x):
        if w > 2:
            raise KeyError("too large")
        return w * x

    total = tj.distributed.sum_over(sometimes, [1.0, 2.0, 3.0])
    for w in (1.0, 2.0, 2.0):
        assert total(w) == 6.0 * w
    with pytest.raises(KeyError, match="too large"):
        total(3.0)
    assert total(1.0) == 6.0
