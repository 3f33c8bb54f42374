"""backward, autograd.grad and what they leave behind, with PyTorch's meanings."""

import numpy as np
import pytest
from oracle import check_grad

import tapejit as tj


def leaf(values, **options):
    return tj.tensor(values, requires_grad=True, **options)


# --- backward ---------------------------------------------------------------------------------------------------------


def test_gradients_accumulate_over_calls():
    x = leaf([1.0, 2.0, 3.0])
    (x * x).sum().backward()
    assert x.grad.tolist() == [2.0, 4.0, 6.0]
    (3 * x).sum().backward()
    assert x.grad.tolist() == [5.0, 7.0, 9.0]


def test_accumulation_is_in_place_and_reset_by_none():
    x = leaf([1.0, 2.0])
    (x * x).sum().backward()
    kept = x.grad
    (x * x).sum().backward()
    assert x.grad is kept or np.shares_memory(x.grad.numpy(), kept.numpy())
    assert kept.tolist() == [4.0, 8.0]
    x.grad = None
    (x * x).sum().backward()
    assert x.grad.tolist() == [2.0, 4.0]
    assert kept.tolist() == [4.0, 8.0]


def test_a_value_used_several_times_collects_every_path():
    x = leaf(3.0)
    y = x * x
    z = y * x + y + x
    z.backward()
    assert x.grad.item() == 3 * 9 + 2 * 3 + 1


def test_only_leaves_collect_gradients():
    x = leaf([1.0, 2.0])
    y = x * 3
    constant = tj.tensor([5.0, 5.0])
    (y * constant).sum().backward()
    assert x.grad.tolist() == [15.0, 15.0]
    assert constant.grad is None


def test_leaf_as_its_own_output():
    x = leaf(2.0)
    x.backward()
    assert x.grad.item() == 1.0
    x.backward()  # a leaf has no graph to free
    assert x.grad.item() == 2.0


def test_backward_keeps_the_shape_and_dtype_of_the_leaf():
    x = leaf([[1.0, 2.0], [3.0, 4.0]], dtype=tj.float32)
    b = leaf([1.0, 1.0], dtype=tj.float32)
    (x * b).sum().backward()
    assert x.grad.dtype == tj.float32
    assert tuple(x.grad.shape) == (2, 2)
    assert b.grad.tolist() == [4.0, 6.0]
    assert not x.grad.requires_grad


def test_backward_on_a_vector_needs_a_gradient():
    x = leaf([1.0, 2.0])
    y = x * x
    with pytest.raises(RuntimeError, match="scalar"):
        y.backward()
    assert x.grad is None
    y.backward(tj.tensor([1.0, 10.0]))  # the failed call left the graph usable
    assert x.grad.tolist() == [2.0, 40.0]


def test_one_element_of_any_shape_counts_as_scalar():
    x = leaf([[3.0]])
    (x * x).backward()
    assert x.grad.tolist() == [[6.0]]


def test_gradient_argument_must_have_the_shape_of_the_output():
    x = leaf([1.0, 2.0])
    y = x * x
    with pytest.raises(RuntimeError, match="shape"):
        y.backward(tj.ones(3))
    with pytest.raises(RuntimeError, match="shape"):
        y.backward(tj.tensor(1.0))
    assert x.grad is None
    y.backward(gradient=tj.ones(2))
    assert x.grad.tolist() == [2.0, 4.0]


def test_backward_without_any_gradient_to_compute():
    x = tj.tensor([1.0, 2.0])
    with pytest.raises(RuntimeError, match="grad"):
        x.sum().backward()
    with pytest.raises(RuntimeError, match="grad"):
        leaf(1.0).detach().backward()


def test_a_long_chain_does_not_recurse():
    x = leaf(1.0)
    y = x
    for _ in range(20_000):
        y = y + x
    y.backward()
    assert x.grad.item() == 20_001


# --- freed graphs -----------------------------------------------------------------------------------------------------


def test_second_backward_through_a_freed_graph():
    x = leaf([1.0, 2.0])
    y = (x * x).sum()
    y.backward()
    with pytest.raises(RuntimeError, match="retain_graph"):
        y.backward()
    assert x.grad.tolist() == [2.0, 4.0]
    assert y.item() == 5.0  # the value outlives the graph
    (3 * x).sum().backward()  # and the leaf is ready for the next one
    assert x.grad.tolist() == [5.0, 7.0]


def test_a_failed_backward_changes_no_gradient():
    x, w = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    freed = x * x
    freed.sum().backward()
    x.grad = None
    total = (w * w).sum() + freed.sum()
    with pytest.raises(RuntimeError, match="retain_graph"):
        total.backward()
    assert x.grad is None
    assert w.grad is None


def test_retain_graph_allows_as_many_calls_as_wanted():
    x = leaf([1.0, 2.0])
    y = (x * x).sum()
    for _ in range(3):
        y.backward(retain_graph=True)
    y.backward()
    assert x.grad.tolist() == [8.0, 16.0]
    with pytest.raises(RuntimeError, match="retain_graph"):
        y.backward()


def test_backward_frees_only_what_it_reaches():
    x = leaf([1.0, 2.0, 3.0])
    y = x * x
    z = x * y.detach()
    z.sum().backward()
    assert x.grad.tolist() == [1.0, 4.0, 9.0]
    x.grad.zero_()
    y.sum().backward()
    assert x.grad.tolist() == [2.0, 4.0, 6.0]


def test_shared_part_is_freed_by_the_first_of_two_outputs():
    x = leaf([1.0, 2.0])
    shared = x * x
    first, second = (shared * 2).sum(), (shared * 3).sum()
    first.backward()
    with pytest.raises(RuntimeError, match="retain_graph"):
        second.backward()
    assert x.grad.tolist() == [4.0, 8.0]


def test_two_outputs_of_one_retained_graph():
    x = leaf([1.0, 2.0])
    shared = x * x
    first, second = (shared * 2).sum(), (shared * 3).sum()
    first.backward(retain_graph=True)
    second.backward()
    assert x.grad.tolist() == [10.0, 20.0]


def test_a_value_of_a_freed_graph_still_serves_as_a_constant():
    x = leaf([1.0, 2.0])
    y = x * x
    y.sum().backward()
    w = leaf([1.0, 1.0])
    (w * y.detach()).sum().backward()
    assert w.grad.tolist() == [1.0, 4.0]


# --- create_graph and higher derivatives ------------------------------------------------------------------------------


def test_backward_with_create_graph():
    x = leaf(2.0)
    (x**3).backward(create_graph=True)
    assert x.grad.item() == 12.0
    assert x.grad.requires_grad
    first, x.grad = x.grad, None
    first.backward()
    assert x.grad.item() == 12.0


def test_derivatives_of_every_order():
    x = leaf(2.0)
    y = x**4
    for expected in (32.0, 48.0, 48.0, 24.0):
        (y,) = tj.autograd.grad(y, x, create_graph=True)
        np.testing.assert_allclose(y.item(), expected)


def test_create_graph_keeps_the_graph():
    x = leaf(2.0)
    y = x * x * x
    (first,) = tj.autograd.grad(y, x, create_graph=True)
    (again,) = tj.autograd.grad(y, x)
    assert first.item() == again.item() == 12.0


def test_without_create_graph_a_gradient_is_a_constant():
    x = leaf(2.0)
    (first,) = tj.autograd.grad(x**3, x)
    assert not first.requires_grad
    with pytest.raises(RuntimeError, match="grad"):
        tj.autograd.grad(first, x)


def test_second_derivative_through_the_seed():
    x, weights = leaf([1.0, 2.0]), leaf([3.0, 5.0])
    (first,) = tj.autograd.grad(x * x, x, grad_outputs=weights, create_graph=True)
    first.sum().backward()
    assert weights.grad.tolist() == [2.0, 4.0]
    assert x.grad.tolist() == [6.0, 10.0]


def test_hessian_row_by_row():
    def f(x):
        return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()

    x = leaf([0.5, -1.0, 2.0])
    (g,) = tj.autograd.grad(f(x), x, create_graph=True)
    rows = [tj.autograd.grad(g[k], x, retain_graph=True)[0].numpy() for k in range(3)]
    a, b, c = 0.5, -1.0, 2.0
    expected = [
        [1200 * a * a - 400 * b + 2, -400 * a, 0],
        [-400 * a, 202 + 1200 * b * b - 400 * c, -400 * b],
        [0, -400 * b, 200],
    ]
    np.testing.assert_allclose(np.stack(rows), expected, rtol=1e-13)


def test_mixed_expression_against_finite_differences():
    rng = np.random.default_rng(3)
    check_grad(
        lambda x, w, b: tj.log_softmax(tj.tanh(x @ w) + b, dim=1) ** 2,
        rng.normal(size=(3, 2)),
        rng.normal(size=(2, 4)),
        rng.normal(size=4),
    )


# --- autograd.grad and inputs= ----------------------------------------------------------------------------------------


def test_grad_returns_a_tuple_and_leaves_grad_alone():
    x, y = leaf([1.0, 2.0]), leaf(3.0)
    found = tj.autograd.grad((x * y).sum(), [x, y])
    assert isinstance(found, tuple)
    assert [g.tolist() for g in found] == [[3.0, 3.0], 3.0]
    assert x.grad is None
    assert y.grad is None


def test_grad_with_respect_to_an_intermediate():
    x = leaf(2.0)
    y = x * x
    z = y * y
    (dy,) = tj.autograd.grad(z, y, retain_graph=True)
    assert dy.item() == 8.0
    assert tj.autograd.grad(z, [x, y])[0].item() == 32.0


def test_grad_of_an_output_with_respect_to_itself():
    x = leaf(2.0)
    y = x * x
    assert tj.autograd.grad(y, y)[0].item() == 1.0


def test_grad_of_an_unused_input():
    x, unused = leaf(2.0), leaf(1.0)
    y = x * x
    with pytest.raises(RuntimeError, match=r"(?i)unused"):
        tj.autograd.grad(y, [x, unused])
    y = x * x
    found = tj.autograd.grad(y, [x, unused], allow_unused=True)
    assert found[0].item() == 4.0
    assert found[1] is None


def test_grad_of_an_input_without_requires_grad():
    x, constant = leaf(2.0), tj.tensor(1.0)
    with pytest.raises(RuntimeError, match="grad"):
        tj.autograd.grad(x * constant, [constant])


def test_grad_with_grad_outputs():
    x = leaf([1.0, 2.0, 3.0])
    (g,) = tj.autograd.grad(x * x, x, grad_outputs=tj.tensor([1.0, 0.0, -1.0]))
    assert g.tolist() == [2.0, 0.0, -6.0]
    with pytest.raises(RuntimeError, match="scalar"):
        tj.autograd.grad(x * x, x)
    with pytest.raises(RuntimeError, match="shape"):
        tj.autograd.grad(x * x, x, grad_outputs=tj.ones(2))


def test_grad_of_several_outputs_adds_up():
    x = leaf([1.0, 2.0])
    a, b = (x * x).sum(), x * 3
    (g,) = tj.autograd.grad([a, b], x, grad_outputs=[None, tj.tensor([1.0, 10.0])])
    assert g.tolist() == [5.0, 34.0]


def test_grad_frees_the_graph_unless_retained():
    x = leaf(2.0)
    y = x * x
    tj.autograd.grad(y, x, retain_graph=True)
    tj.autograd.grad(y, x)
    with pytest.raises(RuntimeError, match="retain_graph"):
        tj.autograd.grad(y, x)


def test_backward_inputs_limits_where_gradients_go():
    x, w = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    (x * w).sum().backward(inputs=[x])
    assert x.grad.tolist() == [3.0, 4.0]
    assert w.grad is None
    with pytest.raises(RuntimeError, match=r"(?i)empty"):
        (x * w).sum().backward(inputs=[])


# --- retain_grad ------------------------------------------------------------------------------------------------------


def test_retain_grad_keeps_the_gradient_of_an_intermediate():
    x = leaf([1.0, 2.0])
    y = x * x
    y.retain_grad()
    (3 * y).sum().backward()
    assert y.grad.tolist() == [3.0, 3.0]
    assert x.grad.tolist() == [6.0, 12.0]


def test_retain_grad_needs_requires_grad_and_does_nothing_to_leaves():
    x = leaf([1.0])
    x.retain_grad()
    (x * 2).sum().backward()
    assert x.grad.tolist() == [2.0]
    with pytest.raises(RuntimeError, match="requires_grad"):
        tj.tensor([1.0]).retain_grad()


# --- .grad ------------------------------------------------------------------------------------------------------------


def test_grad_can_be_set():
    x = leaf([1.0, 2.0])
    x.grad = tj.tensor([10.0, 20.0])
    (x * x).sum().backward()
    assert x.grad.tolist() == [12.0, 24.0]
    x.grad = None
    assert x.grad is None


def test_grad_must_fit():
    x = leaf([1.0, 2.0])
    with pytest.raises(RuntimeError, match=r"shape|size"):
        x.grad = tj.ones(3)
    with pytest.raises(RuntimeError, match="type"):
        x.grad = tj.ones(2, dtype=tj.float32)
    with pytest.raises(TypeError):
        x.grad = [1.0, 2.0]
    with pytest.raises(RuntimeError, match=r"own|itself"):
        x.grad = x
    assert x.grad is None


def test_grad_belongs_to_the_leaf_alone():
    x = leaf([1.0, 2.0])
    y = x.detach().requires_grad_()
    (x * 2).sum().backward()
    assert y.grad is None
    (y * 3).sum().backward()
    assert x.grad.tolist() == [2.0, 2.0]
    assert y.grad.tolist() == [3.0, 3.0]


def test_gradients_of_different_leaves_do_not_share_memory():
    x, w = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    (x + w).sum().backward()
    x.grad.zero_()
    assert w.grad.tolist() == [1.0, 1.0]


def test_the_seed_is_not_changed_by_accumulation():
    x = leaf([1.0, 2.0])
    seed = tj.tensor([1.0, 1.0])
    for _ in range(3):
        (x + 0).backward(seed)
    assert x.grad.tolist() == [3.0, 3.0]
    assert seed.tolist() == [1.0, 1.0]
