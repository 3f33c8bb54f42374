"""The table of docs/conventions.md, row by row: value, gradient and second derivatives, eager and replayed."""

import pathlib

import numpy as np
import pytest

import tapejit as tj

PAGE = pathlib.Path(__file__).parent.parent / "docs" / "conventions.md"
NAMES = {"nan": np.nan, "inf": np.inf}


def numbers(text):
    return np.array([float(n) for n in text.split(",")])


def rows():
    for line in PAGE.read_text().splitlines() if PAGE.exists() else ():
        cells = [c.strip() for c in line.strip("|").split("|")]
        if line.startswith("| `"):
            code, at = cells[0].strip("`"), cells[2].strip("`")
            yield pytest.param(code, eval(at, NAMES), *map(numbers, cells[3:]), id=f"{code} at {at}")


def function(code):
    compiled = compile(code, "conventions", "eval")
    return lambda x: eval(compiled, {**vars(tj), "x": x})


@pytest.mark.parametrize(("code", "at", "value", "gradient", "second"), list(rows()))
def test_convention(code, at, value, gradient, second):
    f = function(code)
    x = tj.tensor(at, requires_grad=True)
    y = f(x)
    np.testing.assert_array_equal(y.item(), value[0])
    if y.requires_grad:
        (first,) = tj.autograd.grad(y, x, retain_graph=True, materialize_grads=True)
        np.testing.assert_allclose(first.numpy(), gradient)
        (first,) = tj.autograd.grad(y, x, create_graph=True, materialize_grads=True)
        np.testing.assert_allclose(first.detach().numpy(), gradient)
        for i, expected in enumerate(second):
            if first.requires_grad:
                (row,) = tj.autograd.grad(first[i], x, retain_graph=True, materialize_grads=True)
                np.testing.assert_allclose(row.numpy()[i], expected)
    g = tj.value_and_grad(f, compile="now")
    h = tj.hessian(f, compile="now")
    g(np.full(len(at), 0.5))  # another path, perhaps
    for _ in range(2):
        v, first = g(np.array(at))
        np.testing.assert_array_equal(v, value[0])
        np.testing.assert_allclose(first, gradient)
        np.testing.assert_allclose(np.diag(h(np.array(at))), second)


def test_the_hessian_of_a_squared_norm_at_zero():
    for f in (lambda x: tj.norm(x) ** 2, lambda x: (tj.norm(x, dim=0) ** 2).sum()):
        np.testing.assert_array_equal(tj.hessian(f)(np.zeros(3)), 2 * np.eye(3))
        np.testing.assert_allclose(tj.hessian(f)(np.array([1.0, -2.0, 0.5])), 2 * np.eye(3), atol=1e-14)
    x = tj.tensor([3.0, 4.0], requires_grad=True)
    length = x.norm()
    both = tj.autograd.grad(length**2, (length, x), create_graph=True)
    assert both[0].item() == 10.0
    assert both[1].tolist() == [6.0, 8.0]


def test_the_mixed_derivative_of_a_masked_product_is_kept():
    # The adjoint is 0 at w = 0, yet its derivative in w is that of the function.
    w, x = tj.tensor(0.0, requires_grad=True), tj.tensor(2.0, requires_grad=True)
    (dx,) = tj.autograd.grad(w * tj.log(x), x, create_graph=True)
    assert dx.item() == 0.0
    assert tj.autograd.grad(dx, w)[0].item() == 0.5


def test_a_row_of_nothing_in_softmax_adds_nothing():
    x = tj.tensor([[-np.inf, -np.inf], [1.0, 1.0]], requires_grad=True)
    for function in (tj.softmax, tj.log_softmax):
        x.grad = None
        y = tj.where(tj.tensor([[False], [True]]), function(x, 1), 0.0)
        (y * tj.tensor([1.0, 3.0])).sum().backward()
        assert x.grad[0].tolist() == [0.0, 0.0]
        assert np.isfinite(x.grad.numpy()).all()
