"""Code that a recorded function runs and that is replaced between calls: methods, properties, functions changed in place."""

import types
import warnings

import numpy as np
import pytest

import tapejit as tj
from tapejit.edge import codewords


class Base:
    scale = 2.0

    def method(self, x):
        return x * 2.0

    @property
    def value(self):
        return 2.0

    @staticmethod
    def static(x):
        return x * 2.0

    @classmethod
    def of_class(cls, x):
        return x * 2.0

    def __call__(self, x):
        return x * 2.0

    def __add__(self, x):
        return x * 2.0


class Layer(tj.nn.Module):
    def forward(self, x):
        return x * 2.0


def other(*arguments):
    return arguments[-1] * 5.0


def case(name, function, change):
    return pytest.param(function, change, id=name)


def set_on_class(name, value):
    return lambda kind, instance: setattr(kind, name, value)


def set_on_object(name, value):
    return lambda kind, instance: setattr(instance, name, value)


def in_place(kind, instance):
    kind.method.__code__ = other.__code__


CASES = [
    case("method", lambda o, x: o.method(x), set_on_class("method", other)),
    case("method of the object", lambda o, x: o.method(x), set_on_object("method", other)),
    case("method's code", lambda o, x: o.method(x), in_place),
    case("property", lambda o, x: x * o.value, set_on_class("value", property(lambda self: 5.0))),
    case("static method", lambda o, x: o.static(x), set_on_class("static", staticmethod(other))),
    case("class method", lambda o, x: o.of_class(x), set_on_class("of_class", classmethod(other))),
    case("call", lambda o, x: o(x), set_on_class("__call__", other)),
    case("operator", lambda o, x: o + x, set_on_class("__add__", other)),
    case("class attribute", lambda o, x: x * o.scale, set_on_class("scale", 5.0)),
]


@pytest.mark.parametrize("inherited", [False, True], ids=["own", "inherited"])
@pytest.mark.parametrize(("function", "change"), CASES)
def test_a_member_is_replaced(function, change, inherited):
    members = {k: _copied(v) for k, v in vars(Base).items() if k not in ("__dict__", "__weakref__")}
    base = type("Copy", (), members)
    kind = type("Derived", (base,), {}) if inherited else base
    instance = kind()
    g = tj.jit(lambda x: function(instance, x))
    x = np.ones(2)
    for _ in range(4):
        assert g(x)[0] == 2.0
    g.wait()
    g(x), g(x)
    change(kind, instance)
    assert g(x)[0] == 5.0
    assert g(x)[0] == 5.0


def _copied(member):
    """A member whose function nobody shares."""
    if isinstance(member, types.FunctionType):
        return types.FunctionType(member.__code__, member.__globals__, member.__name__)
    return member


def test_a_function_is_changed_in_place():
    def helper(x, k=2.0, *, more=0.0):
        return x * k + more

    def f(x):
        return helper(x)

    g = tj.jit(f)
    x = np.ones(2)

    def settled():
        for _ in range(4):
            g(x)
        g.wait()
        return [g(x)[0] for _ in range(3)]

    assert settled() == [2.0] * 3
    helper.__defaults__ = (3.0,)
    assert settled() == [3.0] * 3
    helper.__kwdefaults__ = {"more": 1.0}
    assert settled() == [4.0] * 3
    helper.__code__ = (lambda x, k, *, more: x * 7.0).__code__
    assert settled() == [7.0] * 3
    f.__code__ = (lambda x: helper(x) + 2.0 * x).__code__
    assert settled() == [9.0] * 3


def test_a_module_s_forward_is_replaced():
    layer, net = Layer(), tj.nn.Sequential(Layer(), Layer())
    g, h = tj.jit(lambda x: layer(x)), tj.jit(lambda x: net(x))
    x = np.ones(2)
    for _ in range(6):
        assert (g(x)[0], h(x)[0]) == (2.0, 4.0)
    layer.forward = net[1].forward = other
    assert (g(x)[0], h(x)[0]) == (5.0, 10.0)
    net[0] = tj.nn.Identity()
    assert h(x)[0] == 5.0


def test_parts_of_modules_are_replaced():
    net = tj.nn.Sequential(tj.nn.Linear(2, 2, bias=False), tj.nn.Identity())
    with tj.no_grad():
        net[0].weight.copy_(tj.eye(2))
    g = tj.jit(lambda x: net(x).detach() * 1.0)
    x = np.ones(2)
    for _ in range(6):
        assert float(g(x)[0]) == 1.0
    net[0].weight = tj.nn.Parameter(2.0 * tj.eye(2))
    assert float(g(x)[0]) == 2.0
    net[0].bias = tj.nn.Parameter(tj.ones(2))
    assert float(g(x)[0]) == 3.0
    net.append(tj.nn.ReLU())
    net[0].weight = tj.nn.Parameter(-2.0 * tj.eye(2))
    assert float(g(x)[0]) == 0.0


def test_counting_in_a_class_leads_to_no_new_recording():
    kind = type("Counted", (), {"method": lambda self, x: x * 2.0, "calls": 0})
    instance = kind()
    g = tj.jit(lambda x: instance.method(x))
    for _ in range(12):
        kind.calls += 1
        assert g(np.ones(2))[0] == 2.0
    assert g.calls["recorded"] == 1


def test_attributes_of_captured_tensors():
    w, v = tj.ones(2), tj.tensor([1.0, 2.0], requires_grad=True)
    asks = tj.jit(lambda x: x * 3.0 if w.requires_grad else x)
    reads = tj.jit(lambda x: x if v.grad is None else x * v.grad)
    x = np.ones(2)
    for _ in range(6):
        assert (asks(x)[0], reads(x)[0]) == (1.0, 1.0)
    w.requires_grad_()
    (v * 4.0).sum().backward()
    assert (asks(x)[0], reads(x)[0]) == (3.0, 4.0)
    v.grad = tj.full((2,), 6.0)
    assert reads(x)[0] == 6.0
    v.grad = None
    assert reads(x)[0] == 1.0


def test_the_default_dtype_and_the_grad_mode():
    makes = tj.jit(lambda x: x.sum() * tj.ones(2))
    x = tj.ones(3, dtype=tj.float32)
    for _ in range(4):
        assert makes(x).dtype is tj.float64
    tj.set_default_dtype(tj.float32)
    try:
        assert makes(x).dtype is tj.float32
    finally:
        tj.set_default_dtype(tj.float64)
    assert makes(x).dtype is tj.float64
    asks = tj.jit(lambda x: x if tj.is_grad_enabled() else x * 2.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(4):
            assert asks(np.ones(1))[0] == 1.0
            with tj.no_grad():
                assert asks(np.ones(1))[0] == 2.0
    sets = tj.jit(lambda x: _under_no_grad(x))
    for _ in range(4):
        assert sets(np.ones(1))[0] == 2.0
    assert sets.calls["eager"] == 0


@tj.no_grad()
def _under_no_grad(x):
    return x * (1.0 if tj.is_grad_enabled() else 2.0)


def test_where_cpython_keeps_these():
    assert all(codewords.of_function(name) is not None for name in ("__code__", "__defaults__", "__kwdefaults__"))

    class A:
        pass

    class B(A):
        pass

    before = codewords.version(B)
    assert before == codewords.version(B) > 0
    A.mark = 1
    assert codewords.version(B) != before


act, operation, backend = tj.sin, np.sin, np


def rebind(name, value):
    return lambda: globals().__setitem__(name, value)


class Holder:
    pass


def holder(**values):
    made = Holder()
    vars(made).update(values)
    return made


h = holder(f=tj.sin, u=np.sin)
norm = tj.nn.LayerNorm(2, elementwise_affine=False)
leaky = tj.nn.Sequential(tj.nn.LeakyReLU(0.1))
normal = tj.distributions.Normal(0.0, 1.0)


@pytest.mark.parametrize(
    ("f", "change"),
    [
        case("a global", lambda x: act(x), rebind("act", tj.cos)),
        case("a global of NumPy's", lambda x: operation(x), rebind("operation", np.cos)),
        case("a module", lambda x: backend.tanh(x), rebind("backend", holder(tanh=tj.exp))),
        case("an attribute", lambda x: h.f(x), lambda: setattr(h, "f", tj.cos)),
        case("an attribute of NumPy's", lambda x: h.u(x), lambda: setattr(h, "u", np.cos)),
        case("a layer's number", lambda x: norm(x), lambda: setattr(norm, "eps", 0.5)),
        case("a number of a layer's part", lambda x: leaky(-x), lambda: setattr(leaky[0], "negative_slope", 2.0)),
        case("a distribution's", lambda x: normal.log_prob(x), lambda: setattr(normal, "scale", tj.tensor(3.0))),
    ],
)
def test_functions_of_libraries_and_attributes_of_ours(f, change):
    g, x = tj.jit(f), np.array([0.5, 1.5])
    before = f(tj.tensor(x)).tolist()
    for _ in range(4):
        assert g(x).tolist() == pytest.approx(before)
    g.wait()
    g(x), g(x)
    change()
    after = f(tj.tensor(x)).tolist()
    assert after != pytest.approx(before)
    assert g(x).tolist() == pytest.approx(after)
    assert g(x).tolist() == pytest.approx(after)


def test_what_is_one_program_for_all_lengths_notices_too():
    w = tj.ones(())

    def weighted(ys):
        m = 0.0
        for y in ys:
            m = m * 0.5 + y * w
        return m

    def made(ys):
        m = tj.zeros(())
        for y in ys:
            m = m * 0.5 + y
        return m * tj.ones(1)

    def settled(function, kind):
        g = tj.jit(function)
        for n in (20, 30, 40, 50):
            g(kind(n))
            g.wait()
        assert g.calls["recorded"] == 3
        return g

    g = settled(weighted, np.ones)
    w.requires_grad_()
    g(np.ones(60)).backward()
    assert w.grad.item() == pytest.approx(2.0)
    g = settled(made, lambda n: tj.ones(n, dtype=tj.float32))
    tj.set_default_dtype(tj.float32)
    try:
        assert g(tj.ones(60, dtype=tj.float32)).dtype is tj.float32
    finally:
        tj.set_default_dtype(tj.float64)
