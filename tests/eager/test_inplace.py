"""Changes in place: what they return, what is differentiated, and what backward no longer allows."""

import numpy as np
import pytest

import tapejit as tj


def leaf(values, **options):
    return tj.tensor(values, requires_grad=True, **options)


def test_in_place_forms_return_the_tensor_itself():
    x = tj.tensor([1.0, 2.0])
    y = x
    x += 1
    x *= 2
    x -= 1
    x /= 2
    assert x is y
    assert x.tolist() == [1.5, 2.5]
    assert x.add_(1) is x
    assert x.mul_(2).sub_(1).div_(2).tolist() == [2.0, 3.0]
    assert x.zero_() is x
    assert x.fill_(3.0).tolist() == [3.0, 3.0]


def test_leaf_in_place_is_an_error_while_recording():
    x = leaf([1.0, 2.0])
    with pytest.raises(RuntimeError, match=r"(?i)leaf"):
        x += 1
    with pytest.raises(RuntimeError, match=r"(?i)leaf"):
        x.zero_()
    with pytest.raises(RuntimeError, match=r"(?i)leaf"):
        x[0] = 3.0
    assert x.tolist() == [1.0, 2.0]


def test_leaf_in_place_under_no_grad_is_the_update_loop():
    x = leaf([1.0, 2.0])
    (x * x).sum().backward()
    with tj.no_grad():
        x -= 0.25 * x.grad
        x.grad.zero_()
    assert x.is_leaf
    assert x.requires_grad
    assert x.tolist() == [0.5, 1.0]
    (x * x).sum().backward()
    assert x.grad.tolist() == [1.0, 2.0]


def test_in_place_on_an_intermediate_is_differentiated():
    x = leaf([1.0, 2.0])
    y = x * 3
    y += 1
    y *= x
    assert y.tolist() == [4.0, 14.0]
    y.sum().backward()
    assert x.grad.tolist() == [7.0, 13.0]


def test_in_place_on_a_constant_takes_up_the_gradient():
    x = leaf([1.0, 2.0])
    buffer = tj.zeros(2)
    buffer += x * x
    assert buffer.requires_grad
    assert not buffer.is_leaf
    buffer.sum().backward()
    assert x.grad.tolist() == [2.0, 4.0]


def test_changing_a_value_that_backward_needs_is_an_error():
    x = leaf([1.0, 2.0])
    y = x * 2
    z = y * y  # keeps y
    y += 1
    with pytest.raises(RuntimeError, match=r"(?i)in.?place"):
        z.sum().backward()
    assert x.grad is None


def test_changing_a_result_that_backward_needs_is_an_error():
    x = leaf([1.0, 2.0])
    y = x.exp()  # keeps its own result
    y += 1
    with pytest.raises(RuntimeError, match=r"(?i)in.?place"):
        y.sum().backward()


def test_changing_a_leaf_that_backward_needs_is_an_error():
    x, w = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    y = (x * w).sum()
    with tj.no_grad():
        w *= 2
    with pytest.raises(RuntimeError, match=r"(?i)in.?place"):
        y.backward()


def test_changing_a_constant_that_backward_needs_is_an_error():
    x, c = leaf([1.0, 2.0]), tj.tensor([3.0, 4.0])
    y = (x * c).sum()
    c += 1
    with pytest.raises(RuntimeError, match=r"(?i)in.?place"):
        y.backward()


def test_changing_through_a_view_is_noticed():
    x = leaf([1.0, 2.0, 3.0])
    y = x * 2
    z = y * y
    part = y[:1]
    part += 1
    with pytest.raises(RuntimeError, match=r"(?i)in.?place"):
        z.sum().backward()


def test_changing_through_detach_is_noticed():
    x = leaf([1.0, 2.0])
    y = x * x
    x.detach().zero_()
    with pytest.raises(RuntimeError, match=r"(?i)in.?place"):
        y.sum().backward()


def test_changing_a_value_that_backward_does_not_need_is_allowed():
    x = leaf([1.0, 2.0])
    y = x * 2  # the product with a number does not need y, nor does the sum
    z = y + 1
    y *= 5
    z.sum().backward()
    assert x.grad.tolist() == [2.0, 2.0]
    x.grad = None
    a = x.exp()
    b = a + 1
    b *= 3  # exp needs a, which is unchanged
    b.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 3 * np.exp([1.0, 2.0]))


def test_changing_and_still_using_both_old_graph_and_new_value():
    x = leaf([1.0, 2.0])
    y = x + 0
    y *= 2
    y *= y  # the factors are kept before the change
    with pytest.raises(RuntimeError, match=r"(?i)in.?place"):
        y.sum().backward()


def test_versions_count_changes():
    x = tj.tensor([1.0, 2.0])
    before = x._version
    x += 1
    x[0] = 3.0
    assert x._version == before + 2
    assert x.detach()._version == x._version
    assert x[:1]._version == x._version


def test_in_place_on_a_view_reaches_the_base_and_its_gradient():
    x = leaf([1.0, 2.0, 3.0])
    y = x * 1
    part = y[1:]
    part *= 10
    assert y.tolist() == [1.0, 20.0, 30.0]
    y.sum().backward()
    assert x.grad.tolist() == [1.0, 10.0, 10.0]


def test_in_place_cannot_change_shape_or_kind():
    x = tj.tensor([1.0, 2.0])
    with pytest.raises(RuntimeError, match=r"shape|size"):
        x += tj.ones(3, 2)
    whole = tj.tensor([1, 2])
    with pytest.raises(RuntimeError, match=r"(?i)type|cast"):
        whole += 0.5
    assert whole.tolist() == [1, 2]
