"""What a recorded function reads from outside is watched, however it gets there; what differs at every call is refused."""

import collections
import datetime
import functools
import pathlib
import random
import sys
import time
import types

import numpy as np
import pytest

import tapejit as tj

X = np.array([1.0, 2.0])


class Settings:
    n = 1.0
    __slots__ = ("slot",)


class Layer:
    k = 2.0

    def __init__(self, w):
        self.w = w
        self.parts = {"inner": [w, [w]], "other": 0.0}

    def apply(self, x):
        return x * self.w

    @property
    def twice(self):
        return 2 * self.w


class Net:
    scale = 1.0

    def __init__(self):
        self.cfg = {"lam": 1.0, "deep": {"mu": 1.0}}
        self.sub = Layer(1.0)
        self.layers = [Layer(1.0), Layer(2.0)]
        self.table = {"a": Layer(3.0)}

    def pick(self):
        return self.sub

    def helper(self, x):
        return x * self.sub.w

    @classmethod
    def of_class(cls, x):
        return x * cls.scale


net, key, place = Net(), "lam", 1
deep = [[1.0, 2.0], {"a": (3.0, [4.0])}]
many = [float(k) for k in range(300)]
queue = collections.deque([1.0, 2.0])
module = types.ModuleType("settings_of_the_user")
module.rate = 1.0
factor = 1.0


def helper(x):
    return x * factor


def fresh():
    global net, deep, many, factor
    net, deep, many, factor = Net(), [[1.0, 2.0], {"a": (3.0, [4.0])}], [float(k) for k in range(300)], 1.0
    Settings.n = Net.scale = Layer.k = module.rate = 1.0
    queue[0] = 1.0


def put(x, name, value):
    return lambda: setattr(x() if callable(x) and not isinstance(x, type) else x, name, value)


def put_item(x, name, value):
    return lambda: x().__setitem__(name, value)


def in_comprehension(x):
    return sum([layer.w for layer in net.layers]) * x


def in_loop(x):
    for layer in net.layers:
        x = x * layer.w
    return x


def in_zip(x):
    for layer, k in zip(net.layers, range(2), strict=True):
        x = x * (layer.w + k)
    return x


def by_alias(x):
    chosen = net.sub
    return chosen.w * x


def by_result(x):
    return x * net.pick().w


def by_nested_function(x):
    lam = net.cfg

    def inner(y):
        return y * lam["lam"] * net.sub.w

    return inner(x)


READS = {
    "class attribute": (lambda x: x * Settings.n, put(Settings, "n", 10.0)),
    "item of a dict attribute": (lambda x: x * net.cfg["lam"], put_item(lambda: net.cfg, "lam", 10.0)),
    "item by variable": (lambda x: x * net.cfg[key], put_item(lambda: net.cfg, "lam", 10.0)),
    "nested item": (lambda x: x * net.cfg["deep"]["mu"], put_item(lambda: net.cfg["deep"], "mu", 10.0)),
    "dict replaced": (lambda x: x * net.cfg["lam"], put(lambda: net, "cfg", {"lam": 10.0})),
    "attribute in a method": (lambda x: net.helper(x), put(lambda: net.sub, "w", 10.0)),
    "attribute chain": (lambda x: x * net.sub.w, put(lambda: net, "sub", Layer(10.0))),
    "class attribute of an instance": (lambda x: x * net.sub.k, put(Layer, "k", 10.0)),
    "class attribute shadowed": (lambda x: x * net.sub.k, put(lambda: net.sub, "k", 10.0)),
    "class attribute by cls": (lambda x: net.of_class(x), put(Net, "scale", 10.0)),
    "property": (lambda x: x * net.sub.twice, put(lambda: net.sub, "w", 10.0)),
    "object in a list": (lambda x: x * net.layers[place].w, put(lambda: net.layers[1], "w", 10.0)),
    "list item by variable": (lambda x: x * deep[0][place], put_item(lambda: deep[0], 1, 10.0)),
    "list in a tuple in a dict": (lambda x: x * deep[1]["a"][1][0], put_item(lambda: deep[1]["a"][1], 0, 10.0)),
    "long list": (lambda x: x * sum(many), put_item(lambda: many, 250, 1e4)),
    "deque": (lambda x: x * queue[0], put_item(lambda: queue, 0, 10.0)),
    "module": (lambda x: x * module.rate, put(lambda: module, "rate", 10.0)),
    "global of a helper": (lambda x: helper(x), lambda: globals().__setitem__("factor", 10.0)),
    "helper in a dict": (lambda x: {"h": helper}["h"](x), lambda: globals().__setitem__("factor", 10.0)),
    "comprehension": (in_comprehension, put(lambda: net.layers[1], "w", 10.0)),
    "loop": (in_loop, put(lambda: net.layers[1], "w", 10.0)),
    "zip": (in_zip, put(lambda: net.layers[1], "w", 10.0)),
    "alias": (by_alias, put(lambda: net.sub, "w", 10.0)),
    "result of a method": (by_result, put(lambda: net.sub, "w", 10.0)),
    "nested function": (by_nested_function, put(lambda: net.sub, "w", 10.0)),
    "nested function, item": (by_nested_function, put_item(lambda: net.cfg, "lam", 10.0)),
    "getattr": (lambda x: x * getattr(net.sub, "w"), put(lambda: net.sub, "w", 10.0)),  # noqa: B009
    "get": (lambda x: x * net.cfg.get("lam", 0.0), put_item(lambda: net.cfg, "lam", 10.0)),
    "values": (lambda x: x * next(iter(net.table.values())).w, put(lambda: net.table["a"], "w", 10.0)),
    "partial": (functools.partial(lambda n, x: x * n.sub.w, None), None),
}
del READS["partial"]


@pytest.mark.parametrize("name", READS)
def test_what_is_read_is_watched(name):
    fresh()
    function, change = READS[name]

    def f(x):
        return (function(x) ** 2).sum()

    def expected():
        return float(sum(np.asarray(function(X)) ** 2))

    replayed = tj.value_and_grad(f, compile="now")
    for _ in range(3):
        assert replayed(X)[0] == pytest.approx(expected())
    calls = replayed.calls["recorded"]
    before = expected()
    assert calls == 1
    change()
    assert expected() != before
    for _ in range(2):
        assert replayed(X)[0] == pytest.approx(expected())
    fresh()


def test_what_another_path_reads_is_watched_too():
    fresh()
    g = tj.jit(lambda x: x * net.cfg["lam"] if x > 0 else x * net.sub.w)
    for _ in range(3):
        assert (g(1.0), g(-1.0)) == (1.0, -1.0)
    net.sub.w = 5.0
    assert (g(1.0), g(-1.0)) == (1.0, -5.0)


def test_a_function_that_changes_what_it_reads_is_right_and_says_so_in_the_end():
    holder = types.SimpleNamespace(count=0.0)

    def f(x):
        holder.count += 1.0
        return x * holder.count

    g = tj.jit(f)
    with pytest.warns(UserWarning, match=r"reads \(.*\) is rebound at nearly every call"):
        results = [g(1.0) for _ in range(100)]
    assert results == [float(k) for k in range(1, 101)]


generator = np.random.default_rng(0)
python_generator = random.Random(0)
random_normal = np.random.standard_normal

REFUSED = {
    "np.random": (lambda x: x * np.random.rand(), "random number"),  # noqa: NPY002
    "generator": (lambda x: x * generator.normal(), "random number"),
    "new generator": (lambda x: x * np.random.default_rng().normal(), "random number"),
    "random": (lambda x: x * random.random(), "random number"),
    "random.uniform": (lambda x: x * random.uniform(0, 1), "random number"),
    "random.Random": (lambda x: x * python_generator.random(), "random number"),
    "alias": (lambda x: x * random_normal(), "random number"),
    "time": (lambda x: x * time.time(), "the time"),
    "perf_counter": (lambda x: x * time.perf_counter(), "the time"),
    "now": (lambda x: x * datetime.datetime.now().timestamp(), "the time"),
    "open": (lambda x: x * len(open(__file__).read()), "file"),  # noqa: SIM115
    "pathlib": (lambda x: x * len(pathlib.Path(__file__).read_text()), "file"),
    "np.loadtxt": (lambda x: x * np.loadtxt([]).size, "file"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_differs_at_every_call_is_refused_with_the_line(name):
    function, kind = REFUSED[name]
    line = f"{__file__}:{function.__code__.co_firstlineno}"
    with pytest.raises(RuntimeError, match=kind) as error:
        tj.grad(lambda x: function(x).sum())(X)
    assert line in str(error.value)
    assert sys.gettrace() is None or not hasattr(sys.gettrace(), "__self__")


def test_static_allows_it():
    for allowed in (True, time, time.time, "time.time", (np.random, "time.time")):
        f = tj.jit(lambda x: x * time.time(), static=allowed)
        first = f(1.0)
        assert [f(1.0) for _ in range(3)] == [first] * 3
    tj.jit(lambda x: x * generator.normal(), static=generator)(1.0)


def test_a_seeded_generator_made_inside_is_fine():
    f = tj.jit(lambda x: (x * np.random.default_rng(3).normal(size=2)).sum())
    expected = (X * np.random.default_rng(3).normal(size=2)).sum()
    for _ in range(3):
        assert f(X) == pytest.approx(expected)


def test_an_iterator_from_outside_is_refused():
    numbers = iter([1.0, 2.0])
    with pytest.raises(RuntimeError, match="iterator"):
        tj.jit(lambda x: x * next(numbers))(1.0)


def test_a_name_looked_up_in_a_library_does_not_watch_all_of_it():
    def watched(f):
        g = tj.value_and_grad(f, compile="now")
        g(1.0)
        (signature,) = g._signatures.values()
        places = signature.captures.places if signature.captures else []
        return [value for *_, value, snapshot in places if snapshot is not None]

    assert not watched(lambda x: getattr(tj, "exp")(x) + getattr(np, "pi"))  # noqa: B009
    assert any(x is vars(net) for x in watched(lambda x: getattr(net, "scale") * x))  # noqa: B009 - all of the user's object
