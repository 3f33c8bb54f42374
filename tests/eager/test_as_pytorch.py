"""Small things that are as in PyTorch; the expected values are what it gives."""

import pytest

import tapejit as tj


def test_take_along_dim_broadcasts_and_flattens():
    x = tj.arange(6.0).reshape(2, 3)
    assert tj.take_along_dim(x, tj.tensor([[0], [2]]), 1).tolist() == [[0.0], [5.0]]
    assert tj.take_along_dim(x, tj.tensor([[0, 2]]), 1).tolist() == [[0.0, 2.0], [3.0, 5.0]]
    assert tj.take_along_dim(x[:1], tj.tensor([[0], [2]]), 1).tolist() == [[0.0], [2.0]]
    assert tj.take_along_dim(x, tj.tensor([4, 0])).tolist() == [4.0, 0.0]
    x.requires_grad_()
    tj.take_along_dim(x, tj.tensor([[0, 2]]), 1).sum().backward()
    assert x.grad.tolist() == [[1.0, 0.0, 1.0], [1.0, 0.0, 1.0]]
    with pytest.raises(RuntimeError, match="dimensions"):
        tj.take_along_dim(x, tj.tensor([0]), 1)


def test_correction_none_is_one():
    x = tj.tensor([1.0, 2.0, 4.0])
    assert x.var(correction=None).item() == x.var().item()
    assert x.std(correction=None).item() == x.std().item()


def test_in_place_results_are_cast_down_between_float_types():
    x = tj.ones(2, dtype=tj.float32)
    assert x.add_(tj.tensor([1.0, 2.0])).tolist() == [2.0, 3.0]
    x += tj.ones(2)
    assert x.dtype is tj.float32
    y = tj.tensor([1.0, 2.0], requires_grad=True)
    z = x * 1
    z.mul_(y)
    z.sum().backward()
    assert z.dtype is tj.float32
    assert y.grad.tolist() == [3.0, 4.0]
    assert y.grad.dtype is tj.float64
    with pytest.raises(RuntimeError, match="dtype"):
        tj.arange(2).add_(tj.ones(2))


def test_tensors_of_tensors():
    assert tj.tensor([tj.tensor(1.0), tj.tensor(2.0)]).tolist() == [1.0, 2.0]


def test_format():
    assert f"{tj.tensor(1.5):.3f}" == "1.500"
    assert f"{tj.tensor([1.5])}" == "tensor([1.5000])"
    with pytest.raises(TypeError, match="dimensions"):
        f"{tj.tensor([1.5]):.3f}"


def test_the_count_of_nonzeros_and_products_of_nothing_have_gradients_of_zero():
    x = tj.tensor([1.0, 0.0, float("nan")], requires_grad=True)
    y = x.norm(p=0)
    y.backward()
    assert y.item() == 2.0
    assert x.grad.tolist() == [0.0, 0.0, 0.0]
    for shape, dim in (((0,), None), ((2, 0), 1), ((2, 0), 0), ((0, 3), None)):
        x = tj.ones(*shape).requires_grad_()
        y = x.prod() if dim is None else x.prod(dim)
        assert y.tolist() == ([1.0, 1.0] if dim == 1 else [] if dim == 0 else 1.0)
        y.sum().backward()
        assert x.grad.shape == shape
