"""Calls in other forms than the door knows, and containers that a function reads: answered natively too."""

import numpy as np
import pytest
from door_calls import by_door, ready, squares

import tapejit as tj


class _Named(dict):
    pass


def _put(x, key, value):
    x[key] = value


_CHANGES = {
    "element": (list, lambda x: _put(x, 1, 7.0)),
    "an equal number": (list, lambda x: _put(x, 1, float("2.0"))),
    "longer": (list, lambda x: x.append(7.0)),
    "shorter": (list, list.pop),
    "empty": (list, list.clear),
    "turned": (list, list.reverse),
    "replaced in full": (list, lambda x: x.__setitem__(slice(None), [4.0, 5.0, 6.0])),
    "value": (dict, lambda x: _put(x, "b", 7.0)),
    "equal value": (dict, lambda x: _put(x, "b", float("2.0"))),
    "another key": (dict, lambda x: _put(x, f"{len(x)}d", x.popitem()[1])),
    "turned keys": (dict, lambda x: _put(x, "a", x.pop("a"))),
    "more keys": (dict, lambda x: x.update(d=7.0)),
    "no keys": (dict, dict.clear),
    "value of a named dict": (_Named, lambda x: _put(x, "b", 7.0)),
    "a list of a list": (lambda x: [[x[0]], x], lambda x: _put(x[0], 0, 7.0)),
}


def _read(container):
    """A number of all that a container holds, in its order."""
    if isinstance(container, dict):
        return sum((k + 1) * (v + len(name)) for k, (name, v) in enumerate(container.items()))
    return sum((k + 1) * (_read(v) if isinstance(v, list) else v) for k, v in enumerate(container))


@pytest.mark.parametrize("change", _CHANGES)
def test_containers_are_read_again_when_they_hold_something_else(change):
    make, alter = _CHANGES[change]
    held = make({"a": 1.0, "b": 2.0, "c": 3.0} if make in (dict, _Named) else [1.0, 2.0, 3.0])
    g = ready(lambda x: squares(x) * _read(held), np.ones(2))
    g(np.ones(2))
    assert (g if make is _Named else lambda x: by_door(g, x))(np.ones(2))[0] == 2 * _read(held)
    for _ in range(3):
        alter(held)
        for _ in range(3):
            assert g(np.ones(2))[0] == 2 * _read(held)


def test_a_container_that_holds_what_it_did_is_looked_at_in_native_code():
    numbers = [float(k) for k in range(1000)]
    settings = {str(k): k for k in range(40)}
    g = ready(lambda x: squares(x) * sum(numbers) * settings.get("3"), np.ones(2))
    signature = next(iter(g._signatures.values()))
    assert not signature.block._watch.runs
    assert by_door(g, np.ones(2))[0] == 2 * sum(numbers) * 3


class TestOtherForms:
    """Calls that the door answers once arguments stand by their places, arrays in C order."""

    def test_arguments_with_names(self):
        def f(x, k, s=1.0):
            return squares(x) * k + s

        g = ready(f, np.ones(2), 2.0, 3.0)
        before = dict(g._counts)
        for value, gradient in (
            g(np.ones(2), k=2.0, s=3.0),
            g(np.ones(2), s=3.0, k=2.0),
            g(x=np.ones(2), k=2.0, s=3.0),
        ):
            assert value == 7.0
            np.testing.assert_array_equal(gradient, [4.0, 4.0])
        assert before == g._counts
        assert g(np.ones(2), k=2.0)[0] == 5.0  # a default is left to the function
        assert g(np.ones(2), 1.0, s=2.0)[0] == 4.0
        assert len(g._signatures) == 2

    @pytest.mark.parametrize(
        ("args", "kwargs", "says"),
        [((), {"k": 2.0}, "argnums=0"), ((1.0,), {"x": 2.0}, "multiple"), ((1.0,), {"z": 2.0}, "unexpected")],
    )
    def test_names_that_do_not_fit(self, args, kwargs, says):
        g = ready(lambda x, k=1.0: x * k, 1.0)
        with pytest.raises(TypeError, match=says):
            g(*args, **kwargs)
        assert g(3.0, k=2.0) == (6.0, 2.0)

    def test_names_of_methods_and_names_alone(self):
        class Model:
            w = 2.0

            @tj.value_and_grad
            def loss(self, x, *, k=1.0):
                return squares(x) * self.w * k

            @tj.grad
            def slope(self, x, k):
                return squares(x) * self.w * k

        m = Model()
        for _ in range(3):
            assert m.loss(np.ones(2), k=3.0)[0] == 12.0
            np.testing.assert_array_equal(m.slope(np.ones(2), k=3.0), [12.0, 12.0])
            np.testing.assert_array_equal(m.slope(k=3.0, x=np.ones(2)), [12.0, 12.0])

    def test_vmap_maps_what_has_a_name(self):
        g = tj.vmap(lambda x, k: x * k, in_axes=(0,), compile="now")
        for _ in range(3):
            np.testing.assert_array_equal(g(np.ones(2), k=np.array([2.0, 3.0])), [2.0, 3.0])

    @pytest.mark.parametrize("other", [np.asfortranarray, lambda a: a[::-1], lambda a: np.repeat(a, 2, 1)[:, ::2]])
    def test_arrays_in_other_orders(self, other):
        x = other(np.arange(6.0).reshape(2, 3))
        g = ready(lambda x, w: (x * x * w).sum(), np.ones((2, 3)), np.ones((2, 3)))
        before = dict(g._counts)
        for _ in range(3):
            value, gradient = g(x, np.ones((2, 3)))
            assert value == 55.0
            np.testing.assert_array_equal(gradient, 2 * x)
        assert before == g._counts
        assert not x.flags.c_contiguous


@pytest.mark.parametrize(
    "g",
    [
        tj.jit(lambda x: (x[:, None] * x).T, compile="now"),
        tj.jacfwd(lambda x: tj.stack([x[k] * x[k + 1] for k in range(x.shape[0] - 1)]), compile="now"),
        tj.jacrev(lambda x: tj.sin(x[:, None] * x).T, compile="now"),
    ],
    ids=["jit", "jacfwd", "jacrev"],
)
def test_results_are_in_c_order_from_the_first_call_on(g):
    x = np.arange(40.0)
    first, second = g(x), g(x)
    assert first.flags.c_contiguous
    assert second.flags.c_contiguous
    np.testing.assert_array_equal(first, second)
