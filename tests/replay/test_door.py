"""The native way into replayed functions: it takes and gives what the general way does, and leaves nothing behind."""

import gc
import sys
import threading
import weakref
from collections import namedtuple

import numpy as np
import pytest
from door_calls import by_door, ready, squares

import tapejit as tj
from tapejit.edge import capi


def test_the_interpreter_is_as_expected():
    assert capi.layouts_hold()


class TestArguments:
    def test_nested_containers(self):
        tree = {"a": np.array([1.0, 2.0]), "b": [2.0, (np.full(2, 3.0), np.float64(0.5))]}
        g = ready(lambda p: (p["a"] * p["b"][1][0]).sum() * p["b"][0] + p["b"][1][1], tree)
        tree = {"a": np.array([2.0, 5.0]), "b": [3.0, (np.full(2, 7.0), 0.25)]}
        value, gradient = by_door(g, tree)
        assert value == 3 * 7 * 7 + 0.25
        np.testing.assert_array_equal(gradient["a"], [21.0, 21.0])
        assert gradient["b"][0] == 49.0
        np.testing.assert_array_equal(gradient["b"][1][0], [6.0, 15.0])
        assert gradient["b"][1][1] == 1.0
        assert [type(gradient), type(gradient["b"]), type(gradient["b"][1])] == [dict, list, tuple]

    def test_numbers_of_every_kind(self):
        g = ready(lambda a: a**3, 2.0)
        for a in (3.0, np.float64(3.0), 3):
            assert by_door(g, a) == (27.0, 27.0)
        assert g(10**400 // 10**399) == (1000.0, 300.0)
        with pytest.raises(OverflowError):
            g(10**400)

    def test_static_values_are_compared(self):
        f = lambda x, n, mode: (x**n).sum() * (2 if mode == "twice" else 1)  # noqa: E731
        g = ready(f, np.ones(2), 3, "twice", static_argnums=(1, 2))
        x = np.array([1.0, 2.0])
        assert by_door(g, x, 3, "".join(["tw", "ice"]))[0] == 18.0
        assert g(x, 2, "twice")[0] == 10.0
        assert g(x, 3, "once")[0] == 9.0
        assert g(x, 3.0, "once")[0] == 9.0

    def test_shapes_and_dtypes_that_alternate(self):
        xs = [np.arange(float(n)) for n in (2, 3, 5)] + [np.ones((2, 2)), np.float32([1, 2])]
        g = tj.value_and_grad(squares, compile="now")
        for _ in range(2):
            for x in xs:
                g(x)
        for x in xs:
            value, gradient = by_door(g, x)
            assert value == (x * x).sum()
            np.testing.assert_array_equal(gradient, 2 * x)
            assert gradient.dtype == x.dtype

    @pytest.mark.parametrize(
        "x",
        [np.arange(6.0)[::2], np.arange(3.0).astype(">f8"), np.arange(3.0).view(np.recarray), np.arange(3)],
        ids=["strided", "other byte order", "subclass", "integers"],
    )
    def test_unusual_arrays_go_the_general_way(self, x):
        g = ready(squares, np.ones(3))
        value, gradient = g(x)
        assert value == (x * x).sum()
        np.testing.assert_array_equal(gradient, 2 * x)

    def test_keywords_and_wrong_calls(self):
        g = ready(lambda x, scale=1.0: (x * x).sum() * scale, np.ones(2), 2.0)
        assert g(np.ones(2), scale=3.0)[0] == 6.0
        for call in (lambda: g(), lambda: g(1.0, 2.0, 3.0), lambda: g.into(), lambda: g.into(np.ones(2), out=np.ones(2))):
            with pytest.raises((TypeError, ValueError)):
                call()

    def test_results_of_every_kind(self):
        Pair = namedtuple("Pair", "left right")

        class Name(dict):
            pass

        g = tj.jit(lambda x: [Pair(x * 2, (x.sum(), "label")), Name(a=x + 1), (), {"b": [x.sum()]}], compile="now")
        x = np.ones(3)
        g(x), g(x)
        pair, mapping, empty, inner = by_door(g, x * 2)
        assert type(pair) is Pair
        np.testing.assert_array_equal(pair.left, [4.0, 4.0, 4.0])
        assert pair.right == (6.0, "label")
        assert type(mapping) is Name
        np.testing.assert_array_equal(mapping["a"], [3.0, 3.0, 3.0])
        assert (empty, inner) == ((), {"b": [6.0]})

    def test_many_numbers(self):
        g = ready(lambda *a: sum(k * x * x for k, x in enumerate(a)), *np.ones(40).tolist(), argnums=tuple(range(40)))
        value, gradient = by_door(g, *range(40))
        assert value == sum(k**3 for k in range(40))
        assert gradient == tuple(2.0 * k * k for k in range(40))


class TestResults:
    def test_arrays_in_use_are_never_written_again(self):
        g = ready(squares, np.ones(4))
        rng = np.random.default_rng(0)
        xs = rng.standard_normal((50, 4))
        kept = []
        for k, x in enumerate(xs):
            gradient = by_door(g, x)[1]
            kept.append(gradient if k % 3 else gradient[1:])
        for k, (x, gradient) in enumerate(zip(xs, kept, strict=True)):
            np.testing.assert_array_equal(gradient, 2 * x if k % 3 else 2 * x[1:])

    def test_arrays_out_of_use_serve_again(self):
        g = ready(squares, np.ones(4))
        addresses = set()
        for _ in range(20):
            _, gradient = by_door(g, np.ones(4))
            addresses.add(gradient.__array_interface__["data"][0])
        assert len(addresses) <= 2

    @pytest.mark.parametrize(
        "change",
        [
            lambda a: setattr(a, "shape", (2, 2)),
            lambda a: setattr(a, "dtype", np.int64),
            lambda a: a.setflags(write=False),
            lambda a: a.resize(7, refcheck=False),
        ],
        ids=["shape", "dtype", "write", "resize"],
    )
    @pytest.mark.filterwarnings("ignore::DeprecationWarning")
    def test_an_array_changed_by_its_user_does_not_serve_again(self, change):
        g = ready(squares, np.ones(4))
        for _ in range(3):
            _, gradient = by_door(g, np.ones(4))
            change(gradient)
            del gradient
            _, gradient = by_door(g, np.arange(4.0))
            np.testing.assert_array_equal(gradient, 2 * np.arange(4.0))
            assert gradient.flags.writeable
            assert gradient.dtype == np.float64

    def test_a_weakly_referenced_array_does_not_serve_again(self):
        g = ready(squares, np.ones(4))
        reference = weakref.ref(by_door(g, np.ones(4))[1])
        gradient = by_door(g, np.arange(4.0))[1]
        assert reference() is not gradient

    def test_nothing_is_left_behind(self):
        x, name, tree = np.ones(4), "a", {"a": np.ones(4)}
        g, h = ready(squares, x), ready(lambda p: squares(p["a"]), tree)
        gradient = g(x)[1]
        out = np.empty(4)
        mine = x, tree["a"], tree, gradient
        everybodys = gradient.dtype, float, tuple, name, None  # others hold and drop them too

        def references(calls):
            for _ in range(calls):
                g(x), h(tree), g.into(x, out)
            gc.collect()
            return [sys.getrefcount(t) for t in mine], [sys.getrefcount(t) for t in everybodys]

        before, shared_before = references(10)
        after, shared_after = references(5000)
        assert after == before
        assert all(b - a < 2000 for a, b in zip(shared_before, shared_after, strict=True))
        assert sys.getrefcount(out) == 2  # the cell and the argument

    def test_a_dropped_function_frees_its_arrays(self):
        g = ready(squares, np.ones(4))
        dropped = weakref.ref(g)
        gradient = g(np.ones(4))[1]
        references = sys.getrefcount(gradient)
        del g
        gc.collect()
        assert dropped() is None
        assert sys.getrefcount(gradient) < references
        np.testing.assert_array_equal(gradient, 2 * np.ones(4))


class TestInto:
    def test_arrays_that_overlap(self):
        g = ready(squares, np.ones(4))
        memory = np.arange(12.0)
        for start in (0, 2, 4, 8):
            memory[:] = np.arange(12.0)
            value, gradient = g.into(memory[4:8], memory[start : start + 4])
            assert value == sum(k * k for k in range(4, 8))
            np.testing.assert_array_equal(gradient, [8.0, 10.0, 12.0, 14.0])

    def test_a_captured_array_may_be_the_target(self):
        weights = np.array([1.0, 2.0, 3.0])
        g = ready(lambda x: (x * x * weights).sum() + (weights * x).flip(0).sum(), np.ones(3))
        for _ in range(3):
            expected = tj.value_and_grad(lambda x: (x * x * weights).sum() + (weights * x).flip(0).sum())(np.ones(3))
            value, gradient = g.into(np.ones(3), weights)
            assert value == expected[0]
            assert gradient is weights
            np.testing.assert_array_equal(weights, expected[1])

    def test_several_arrays_and_bad_ones(self):
        g = ready(lambda x, y: (x * y).sum(), np.ones(3), np.ones(3), argnums=(0, 1))
        x, y, out = np.arange(3.0), np.ones(3), [np.empty(3), np.empty(3)]
        _, (dx, dy) = g.into(x, y, out)
        assert (dx is out[0], dy is out[1]) == (True, True)
        np.testing.assert_array_equal(out, [y, x])
        fixed = np.zeros(3)
        fixed.setflags(write=False)
        for bad in ([np.empty(3)], np.empty(3), [np.empty(3), np.empty(2)], [np.empty(3), fixed]):
            with pytest.raises(ValueError, match=r"out=|read-only"):
                g.into(x, y, bad)
        same = np.empty(3)
        g.into(x, y, [same, same])  # the last one wins, as in two assignments
        np.testing.assert_array_equal(same, x)


class TestPaths:
    def test_other_paths_are_reached(self):
        def f(a):
            while a < 100:
                a = a * 2
            return a if a < 150 else 10 * a

        g = tj.value_and_grad(f, compile="now")
        inputs = [0.7, 3.0, 60.0, 99.0, 120.0, 1e3]
        for a in inputs:
            for b in inputs:
                g(a), g(b), g(a), g(b)
        for a in inputs[::-1] + inputs[::2]:
            scale = 1.0
            while a * scale < 100:
                scale *= 2
            scale *= 1 if a * scale < 150 else 10
            assert by_door(g, a) == (a * scale, scale)

    def test_programs_that_lead_to_one_another_in_a_circle(self):
        def f(x):
            if x[0] > 0:
                return (x * x).sum()
            return (x * int(x[1])).sum()

        g = tj.value_and_grad(f, compile="now")
        z = np.array([1.0, 9.0])
        ways = [np.array([-1.0, n + 0.5]) for n in (1, 2, 3)]
        for a in (z, *ways, *ways, z, *ways[::-1], *ways):
            g(a)
        g(z), g(z)
        a = np.array([-1.0, 7.5])  # a number that no program knows, where the last one used is apart from the circle
        assert g(a)[0] == 7 * 6.5
        assert g(a)[0] == 7 * 6.5

    def test_rebound_values_are_seen(self):
        factor = 2.0
        numbers = [1.0]
        holder = type("Holder", (), {})()
        holder.weight = 1.0
        g = ready(lambda x: squares(x) * factor * numbers[0] * holder.weight, np.ones(2))
        assert by_door(g, np.ones(2))[0] == 4.0
        factor = 3.0
        assert g(np.ones(2))[0] == 6.0
        numbers[0] = 2.0
        assert g(np.ones(2))[0] == 12.0
        holder.weight = 0.5
        assert g(np.ones(2))[0] == 6.0
        g(np.ones(2))
        factor = 3 * 1.0  # an equal number
        assert g(np.ones(2))[0] == 6.0
        assert by_door(g, np.ones(2))[0] == 6.0

    def test_a_comparison_that_calls_the_function_again(self):
        class Mode:
            def __init__(self, depth):
                self.depth = depth

            def __hash__(self):
                return 1

            def __eq__(self, other):
                if self.depth:
                    self.depth -= 1
                    inner.append(g(np.ones(self.depth + 3), Mode(0))[0])
                return True

        inner = []
        g = ready(lambda x, mode: squares(x), np.ones(2), Mode(0), static_argnums=1)
        assert g(np.ones(2), Mode(3))[0] == 2.0
        assert inner

    def test_a_comparison_that_fails(self):
        class Mode:
            def __hash__(self):
                return 1

            def __eq__(self, other):
                raise KeyError("mine")

        g = ready(lambda x, mode: squares(x), np.ones(2), mode := Mode(), static_argnums=1)
        assert by_door(g, np.ones(2), mode)[0] == 2.0
        with pytest.raises(KeyError, match="mine"):
            g(np.ones(2), Mode())

    def test_rebinding_while_other_threads_run(self):
        weight = np.ones(30_000)
        g = tj.value_and_grad(lambda x: (x * x * weight).sum(), compile="now")
        x = np.ones(30_000)
        wrong = []

        def work():
            for _ in range(200):
                value, gradient = g(x)
                if value % 30_000 or gradient[0] != gradient[-1]:
                    wrong.append(value)

        threads = [threading.Thread(target=work) for _ in range(3)]
        for t in threads:
            t.start()
        for k in range(20):
            weight = np.full(30_000, k + 1.0)
        for t in threads:
            t.join()
        assert not wrong


class TestPythonCodeWhileReading:
    """Comparisons, lookups and attributes run Python code, which may take away what is being read."""

    @pytest.mark.parametrize("kind", [list, dict])
    def test_a_comparison_that_empties_the_container(self, kind):
        class Mode:
            def __init__(self, act=None):
                self.act = act

            def __hash__(self):
                return 1

            def __eq__(self, other):
                for mode in (self, other):
                    if mode.act:
                        mode.act()
                return True

        def pair(a, b):
            return [a, [b]] if kind is list else {"a": a, "b": {"c": b}}

        def f(p, mode):
            a, b = (p[0], p[1][0]) if kind is list else (p["a"], p["b"]["c"])
            return (a * a).sum() + (b * b).sum()

        g = ready(f, pair(np.ones(1000), np.ones(1000)), Mode(), static_argnums=1)
        for _ in range(50):
            p, waste = pair(np.full(1000, 2.0), np.full(1000, 3.0)), []

            def act(p=p, waste=waste):
                p.clear()
                waste.extend(np.full(1000, float(k)) for k in range(5))

            assert g(p, Mode(act))[0] == 13_000.0
            assert not p

    def test_keys_whose_comparison_empties_the_dict(self):
        class Key:
            act = None

            def __init__(self, name):
                self.name = name

            def __hash__(self):
                return 7

            def __eq__(self, other):
                if Key.act:
                    Key.act()
                return self.name == other.name

        first, second = Key("a"), Key("b")
        g = ready(lambda p: (p[first] * p[second]).sum(), {first: np.ones(1000), second: np.ones(1000)})
        for _ in range(50):
            p, waste = {Key("a"): np.full(1000, 2.0), Key("b"): np.full(1000, 3.0)}, []

            def act(p=p, waste=waste):
                Key.act = None
                p.clear()
                waste.extend(np.full(1000, float(k)) for k in range(5))

            Key.act = act
            with pytest.raises((KeyError, RuntimeError)):
                g(p)
            Key.act = None

    def test_a_comparison_that_drops_the_signatures(self):
        class Mode:
            def __init__(self, act=None):
                self.act = act

            def __hash__(self):
                return 1

            def __eq__(self, other):
                for mode in (self, other):
                    act, mode.act = mode.act, None
                    if act:
                        act()
                return mode is None

        g = ready(lambda x, mode: squares(x), np.ones(2), Mode(), static_argnums=1)
        for k in range(3):
            g(np.ones(3 + k), Mode()), g(np.ones(3 + k), Mode())

        def drop_all():
            for key in list(g._signatures):
                g._drop(key)
            gc.collect()

        assert g(np.ones(2), Mode(drop_all))[0] == 2.0

    def test_callbacks_of_results_that_call_again(self):
        g = ready(squares, np.ones(4))
        depth, references = [0], []

        def called(_):
            if depth[0] < 6:
                depth[0] += 1
                gradient = g(np.arange(4.0))[1]
                np.testing.assert_array_equal(gradient, 2 * np.arange(4.0))
                references.append(weakref.ref(gradient, called))
                del gradient
                depth[0] -= 1

        for _ in range(300):
            gradient = g(np.ones(4))[1]
            np.testing.assert_array_equal(gradient, np.full(4, 2.0))
            references.append(weakref.ref(gradient, called))
            del gradient

    @pytest.mark.parametrize("watched", [False, True])
    def test_items_that_another_thread_replaces(self, watched):
        weights = [1.0, 1.0]  # whose elements are compared in Python at each call

        def f(p):
            scale = weights[0] if watched else 1.0
            return (p["a"][0] * p["a"][1]).sum() * scale

        g = ready(f, {"a": [np.ones(3), np.ones(3)]})
        p = {"a": [np.full(3, 2.0), np.full(3, 3.0)]}
        stop, wrong = threading.Event(), []

        def replace():
            while not stop.is_set():
                p["a"][0] = np.full(3, 2.0)
                p["a"] = [np.full(3, 2.0), np.full(3, 3.0)]

        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        thread = threading.Thread(target=replace)
        thread.start()
        try:
            for _ in range(4000):
                value, gradient = g(p)
                if value != 18.0 or gradient["a"][0].tolist() != [3.0] * 3:
                    wrong.append(value)
        finally:
            stop.set()
            thread.join()
            sys.setswitchinterval(interval)
        assert not wrong

    def test_watched_places_that_another_thread_renews(self):
        weights = [1.0, 2.0]
        g = ready(lambda x: squares(x) * weights[0], np.ones(3))
        stop, wrong = threading.Event(), []

        def renew():
            while not stop.is_set():
                for signature in list(g._signatures.values()):
                    if signature.block is not None:
                        signature.block.watch(signature.captures)

        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        thread = threading.Thread(target=renew)
        thread.start()
        try:
            wrong = [v for v in (g(np.ones(3))[0] for _ in range(4000)) if v != 3.0]
        finally:
            stop.set()
            thread.join()
            sys.setswitchinterval(interval)
        assert not wrong
