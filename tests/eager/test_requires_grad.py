"""Who requires a gradient: leaves, results, detached values, and recording switched on and off."""

import pytest

import tapejit as tj


def leaf(values, **options):
    return tj.tensor(values, requires_grad=True, **options)


# --- detach and requires_grad -----------------------------------------------------------------------------------------


def test_detach_shares_memory_and_requires_nothing():
    x = leaf([1.0, 2.0])
    d = x.detach()
    assert not d.requires_grad
    assert d.is_leaf
    assert x.requires_grad
    with tj.no_grad():
        d[0] = 7.0
    assert x.tolist() == [7.0, 2.0]


def test_detach_in_place_makes_a_leaf():
    x = leaf([1.0, 2.0])
    y = x * x
    assert y.detach_() is y
    assert y.is_leaf
    assert not y.requires_grad
    assert y.grad_fn is None
    y.requires_grad_()
    (y * y).sum().backward()
    assert y.grad.tolist() == [2.0, 8.0]
    assert x.grad is None


def test_data_is_a_detached_view():
    x = leaf([1.0, 2.0])
    x.data[0] = 5.0
    assert x.tolist() == [5.0, 2.0]
    assert not x.data.requires_grad
    x.data = tj.tensor([8.0, 9.0])
    assert x.tolist() == [8.0, 9.0]
    assert x.requires_grad


def test_clone_copies_and_passes_the_gradient_on():
    x = leaf([1.0, 2.0])
    c = x.clone()
    assert c.requires_grad
    assert not c.is_leaf
    (c * tj.tensor([3.0, 5.0])).sum().backward()
    assert x.grad.tolist() == [3.0, 5.0]
    constant = tj.tensor([1.0])
    copy = constant.clone()
    copy[0] = 2.0
    assert constant.tolist() == [1.0]


def test_requires_grad_spreads_to_results():
    x, c = leaf([1.0]), tj.tensor([2.0])
    assert (x + c).requires_grad
    assert not (c + c).requires_grad
    assert not (x > c).requires_grad
    assert not x.argmax().requires_grad
    assert (x[0] * 2).requires_grad


def test_requires_grad_of_leaves_can_be_switched():
    x = tj.tensor([1.0, 2.0])
    assert not x.requires_grad
    x.requires_grad = True
    assert (x * 2).requires_grad
    assert x.requires_grad_(False) is x
    assert not (x * 2).requires_grad
    y = leaf([1.0]) * 2
    with pytest.raises(RuntimeError, match=r"(?i)leaf|leaves"):
        y.requires_grad_(False)


def test_only_floating_point_tensors_can_require_gradients():
    with pytest.raises(RuntimeError, match=r"(?i)float"):
        tj.tensor([1, 2], requires_grad=True)
    with pytest.raises(RuntimeError, match=r"(?i)float"):
        tj.arange(3).requires_grad_()
    with pytest.raises(RuntimeError, match=r"(?i)float"):
        tj.tensor([True]).requires_grad_()


def test_is_leaf():
    x = leaf([1.0])
    assert x.is_leaf
    assert tj.tensor([1.0]).is_leaf
    assert not (x * 1).is_leaf
    assert (tj.tensor([1.0]) * 1).is_leaf
    assert (x * 1).detach().is_leaf
    with tj.no_grad():
        assert (x * 1).is_leaf


# --- grad_fn ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "f"),
    [
        ("AddBackward0", lambda x: x + x),
        ("AddBackward0", lambda x: x + 1),
        ("AddBackward0", lambda x: 1 + x),
        ("SubBackward0", lambda x: x - x),
        ("MulBackward0", lambda x: 2 * x),
        ("DivBackward0", lambda x: x / x),
        ("NegBackward0", lambda x: -x),
        ("PowBackward0", lambda x: x**2),
        ("ExpBackward0", lambda x: x.exp()),
        ("LogBackward0", lambda x: x.log()),
        ("SinBackward0", lambda x: x.sin()),
        ("TanhBackward0", lambda x: x.tanh()),
        ("ReluBackward0", lambda x: x.relu()),
        ("SigmoidBackward0", lambda x: x.sigmoid()),
        ("SqrtBackward0", lambda x: x.sqrt()),
        ("AbsBackward0", lambda x: x.abs()),
        ("SumBackward0", lambda x: x.sum()),
        ("SumBackward1", lambda x: x.sum(dim=0)),
        ("MeanBackward0", lambda x: x.mean()),
        ("DotBackward0", lambda x: x @ x),
        ("DotBackward0", lambda x: tj.dot(x, x)),
        ("MmBackward0", lambda x: x.reshape(1, 2) @ x.reshape(2, 1)),
        ("MvBackward0", lambda x: tj.ones(2, 2) @ x),
        ("SliceBackward0", lambda x: x[:1]),
        ("SelectBackward0", lambda x: x[0]),
        ("CloneBackward0", lambda x: x.clone()),
        ("CatBackward0", lambda x: tj.cat([x, x])),
        ("StackBackward0", lambda x: tj.stack([x, x])),
    ],
)
def test_grad_fn_has_pytorch_s_name(name, f):
    y = f(leaf([1.0, 2.0]))
    assert y.grad_fn.name() == name
    assert type(y.grad_fn).__name__ == name or name in repr(y.grad_fn)
    assert f"grad_fn=<{name}>" in repr(y)


def test_grad_fn_is_none_without_a_graph():
    x = leaf([1.0])
    assert x.grad_fn is None
    assert (tj.tensor([1.0]) * 2).grad_fn is None
    with tj.no_grad():
        assert (x * 2).grad_fn is None


# --- recording on and off ---------------------------------------------------------------------------------------------


def test_no_grad_and_enable_grad_nest():
    x = leaf([1.0])
    assert tj.is_grad_enabled()
    with tj.no_grad():
        assert not tj.is_grad_enabled()
        assert not (x * 2).requires_grad
        with tj.enable_grad():
            assert tj.is_grad_enabled()
            assert (x * 2).requires_grad
            with tj.no_grad():
                assert not (x * 2).requires_grad
        assert not tj.is_grad_enabled()
    assert (x * 2).requires_grad


def test_recording_is_restored_after_an_exception():
    with pytest.raises(ZeroDivisionError), tj.no_grad():
        raise ZeroDivisionError
    assert tj.is_grad_enabled()


def test_no_grad_and_enable_grad_as_decorators():
    x = leaf([1.0])

    @tj.no_grad()
    def without(t):
        """Doubles."""
        return t * 2

    @tj.enable_grad()
    def recorded(t):
        return t * 2

    assert without.__doc__ == "Doubles."
    assert not without(x).requires_grad
    assert tj.is_grad_enabled()
    with tj.no_grad():
        assert recorded(x).requires_grad
    assert tj.no_grad(lambda t: t * 2)(x).requires_grad is False  # without brackets too


def test_set_grad_enabled_as_function_and_context():
    x = leaf([1.0])
    with tj.set_grad_enabled(False):
        assert not (x * 2).requires_grad
        with tj.set_grad_enabled(True):
            assert (x * 2).requires_grad
    assert tj.is_grad_enabled()
    try:
        tj.set_grad_enabled(False)
        assert not tj.is_grad_enabled()
        assert not (x * 2).requires_grad
    finally:
        tj.set_grad_enabled(True)
    assert (x * 2).requires_grad


def test_leaves_made_under_no_grad_may_require_gradients():
    with tj.no_grad():
        x = leaf([1.0, 2.0])
    assert x.requires_grad
    (x * x).sum().backward()
    assert x.grad.tolist() == [2.0, 4.0]


def test_values_made_under_no_grad_are_constants():
    x = leaf([1.0, 2.0])
    with tj.no_grad():
        c = x * x
    (c * x).sum().backward()
    assert x.grad.tolist() == [1.0, 4.0]
