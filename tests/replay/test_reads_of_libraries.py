"""What code that is not watched line by line reads of an object from outside: tables, buffers, mappings of other libraries."""

import array
import collections
import configparser
import contextvars
import ctypes
import functools
import operator
import os
import types
import weakref

import numpy as np
import pytest
import scipy.interpolate
import scipy.sparse

import tapejit as tj

X = np.array([1.5])


class Dotted(dict):
    __getattr__, __setattr__ = dict.__getitem__, dict.__setitem__


class Computed:
    def __init__(self):
        self.parts = {"k": 2.0}

    def __getattr__(self, name):
        return self.__dict__["parts"][name]


class Described:
    class Value:
        def __get__(self, owner, kind=None):
            return owner.__dict__.get("_k", 2.0)

    k = Value()


def _item(d, key="k"):
    return (lambda x: x * d[key]), functools.partial(operator.setitem, d, key)


def _parser():
    settings = configparser.ConfigParser()
    settings["a"] = {"k": "2.0"}
    return lambda x: x * settings.getfloat("a", "k"), lambda v: settings.set("a", "k", str(v))


def _environment():
    os.environ["TAPEJIT_TEST_K"] = "2.0"
    set_it = lambda v: os.environ.__setitem__("TAPEJIT_TEST_K", str(v))  # noqa: E731
    return lambda x: x * float(os.environ["TAPEJIT_TEST_K"]), set_it


def _outer(inner, d):
    return (lambda x: x * d["k"]), functools.partial(operator.setitem, inner, "k")


def _bytes(view=False):
    held = bytearray(b"\x02")
    seen = memoryview(held) if view else held
    return (lambda x: x * seen[0]), lambda v: held.__setitem__(0, int(v))


def _number():
    k = ctypes.c_double(2.0)
    return (lambda x: x * k.value), lambda v: setattr(k, "value", v)


def _sparse():
    A = scipy.sparse.csr_matrix(np.array([[2.0]]))
    return (lambda x: x * A.toarray()[0]), lambda v: A.data.__setitem__(0, v)


def _spline():
    s = scipy.interpolate.CubicSpline([0, 1, 2], [2.0, 2.0, 2.0])
    return (lambda x: x * float(s(0.5))), lambda v: np.copyto(s.c, scipy.interpolate.CubicSpline([0, 1, 2], [v] * 3).c)


def _attribute(read, m, name="k"):
    return (lambda x: x * read(m)), lambda v: setattr(m, name, v)


def _partial():
    kept = [2.0]
    return functools.partial(lambda x, m=None: x * m[0], m=kept), lambda v: kept.__setitem__(0, v)


def _weak():
    m = Described()
    m._k = 2.0
    seen = weakref.ref(m)
    return (lambda x: x * seen()._k), lambda v: setattr(m, "_k", v)


def _globals():
    globals()["_K"] = 2.0
    return (lambda x: x * globals()["_K"]), lambda v: globals().__setitem__("_K", v)


def _absent_global():
    globals().pop("_ABSENT", None)

    def f(x):
        try:
            return x * _ABSENT
        except NameError:
            return x * 2.0

    return f, lambda v: globals().__setitem__("_ABSENT", v)


def _absent_attribute():
    m = types.SimpleNamespace()

    def f(x):
        try:
            return x * m.k
        except AttributeError:
            return x * 2.0

    return f, lambda v: setattr(m, "k", v)


def _with_pandas(make, read, change):
    def case():
        pd = pytest.importorskip("pandas")
        table = make(pd)
        return (lambda x: x * read(table)), lambda v: change(table, v)

    return case


def _frame(pd):
    return pd.DataFrame({"a": [2.0, 2.0], "s": ["p", "q"]})


CASES = {
    "UserDict": lambda: _item(collections.UserDict(k=2.0)),
    "ChainMap": lambda: (lambda d: _outer(d, collections.ChainMap({}, d)))({"k": 2.0}),
    "mapping proxy": lambda: (lambda d: _outer(d, types.MappingProxyType(d)))({"k": 2.0}),
    "array": lambda: _item(array.array("d", [2.0]), 0),
    "array to NumPy": lambda: (lambda a: (lambda x: x * np.asarray(a), lambda v: a.__setitem__(0, v)))(array.array("d", [2.0])),
    "bytearray": _bytes,
    "memoryview": lambda: _bytes(True),
    "c_double": _number,
    "C array": lambda: _item((ctypes.c_double * 2)(2.0, 2.0), 0),
    "ConfigParser": _parser,
    "environment": _environment,
    "sparse matrix": _sparse,
    "spline": _spline,
    "attrgetter": lambda: _attribute(operator.attrgetter("k"), types.SimpleNamespace(k=2.0)),
    "dict with attributes": lambda: _attribute(lambda m: m.k, Dotted(k=2.0)),
    "__getattr__": lambda: (lambda m: (lambda x: x * m.k, lambda v: m.parts.__setitem__("k", v)))(Computed()),
    "descriptor, absent": lambda: _attribute(lambda m: m.k, Described(), "_k"),
    "getattr with a default": lambda: _attribute(lambda m: getattr(m, "k", 2.0), types.SimpleNamespace(other=1)),
    "absent attribute": _absent_attribute,
    "absent global": _absent_global,
    "globals()": _globals,
    "keyword of a partial": _partial,
    "weak reference": _weak,
    "column": _with_pandas(_frame, lambda t: t["a"].values[0], lambda t, v: t.__setitem__("a", v)),
    "cell": _with_pandas(_frame, lambda t: t.a.to_numpy()[0], lambda t, v: t.loc.__setitem__((0, "a"), v)),
    "mean": _with_pandas(_frame, lambda t: t.a.mean(), lambda t, v: t.__setitem__("a", v)),
    "rows": _with_pandas(_frame, lambda t: next(t.itertuples()).a, lambda t, v: t.__setitem__("a", v)),
    "groups": _with_pandas(_frame, lambda t: t.groupby("s").a.sum()["p"], lambda t, v: t.loc.__setitem__((0, "a"), v)),
    "series": _with_pandas(lambda pd: pd.Series([2.0], ["k"]), lambda t: t["k"], lambda t, v: t.__setitem__("k", v)),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("calls", [1, 3])
def test_a_change_is_seen(name, calls):
    function, change = CASES[name]()
    g = tj.value_and_grad(lambda x: function(x).sum(), compile="now" if calls > 1 else "auto")
    for _ in range(calls):
        assert g(X) == (3.0, [2.0])
    change(7.0)
    for _ in range(2):
        assert g(X) == (10.5, [7.0])
    assert g.calls["recorded"] == 2


def test_what_changes_nothing_is_not_recorded_again():
    pd = pytest.importorskip("pandas")
    table = _frame(pd)
    g = tj.value_and_grad(lambda x: (x * table["a"].to_numpy()).sum())
    for _ in range(50):
        assert g(X)[0] == 6.0
        assert table["a"].mean() == 2.0
        assert len(table[table.s == "p"]) == 1
    assert g.calls["recorded"] <= 3


def test_a_context_variable_is_refused():
    k = contextvars.ContextVar("k", default=2.0)
    with pytest.raises(RuntimeError, match=r"k\.get\(\) gives what its context holds"):
        tj.jit(lambda x: x * k.get())(1.0)
