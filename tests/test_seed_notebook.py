"""The walk through automatic differentiation that the project set out from, step by step and as its own cells."""

import ast
import contextlib
import io
import itertools
import re
import sys
from pathlib import Path

import numpy as np
import pytest

import tapejit
import tapejit as torch

NOTEBOOK = Path(__file__).resolve().parents[2] / "shared" / "seed" / "automatic_differentiation.txt"


def doubled_past_a_thousand(a):
    """Linear in ``a`` piece by piece: how often the loop runs, and which branch is taken, depends on its value."""
    b = a * 2
    while b.norm() < 1000:
        b = b * 2
    return b if b.sum() > 0 else 100 * b


def test_every_step():
    # A simple function, y = 2 x·x: its gradient is 4x.
    x = torch.arange(4.0)
    assert repr(x) == "tensor([0., 1., 2., 3.])"
    assert x.requires_grad_(True) is x
    assert x.grad is None
    y = 2 * torch.dot(x, x)
    assert repr(y) == "tensor(28., grad_fn=<MulBackward0>)"
    assert y.backward() is None
    assert repr(x.grad) == "tensor([ 0.,  4.,  8., 12.])"
    assert repr(x * 4 == x.grad) == "tensor([True, True, True, True])"

    # Gradients accumulate, so the buffer is reset in place before the next function.
    x.sum().backward()
    assert x.grad.tolist() == [1.0, 5.0, 9.0, 13.0]
    x.grad.zero_()
    x.sum().backward()
    assert repr(x.grad) == "tensor([1., 1., 1., 1.])"

    # A vector has no gradient of its own: weights are needed, and asking without them changes nothing.
    x.grad.zero_()
    y = x * x
    assert repr(y) == "tensor([0., 1., 4., 9.], grad_fn=<MulBackward0>)"
    with pytest.raises(RuntimeError, match="scalar"):
        y.backward()
    assert x.grad.tolist() == [0.0] * 4
    y.backward(gradient=torch.ones(len(y)))
    assert repr(x.grad) == "tensor([0., 2., 4., 6.])"

    # A detached value is a constant; what it was computed from still has its own gradient.
    x.grad.zero_()
    y = x * x
    u = y.detach()
    z = x * u
    assert not u.requires_grad
    z.sum().backward()
    assert repr(x.grad) == "tensor([0., 1., 4., 9.])"
    assert (x.grad == u).all()
    assert repr(z) == "tensor([ 0.,  1.,  8., 27.], grad_fn=<MulBackward0>)"
    x.grad.zero_()
    y.sum().backward()
    assert repr(x.grad) == "tensor([0., 2., 4., 6.])"
    assert repr(x.grad == 2 * x) == "tensor([True, True, True, True])"

    # A first and a second derivative of x³ at 2.
    x = torch.tensor(2.0, requires_grad=True)
    y = x**3
    y.backward(retain_graph=True)
    assert x.grad.item() == 12.0
    first = torch.autograd.grad(y, x, create_graph=True)[0]
    second = torch.autograd.grad(first, x)[0]
    assert f"{first.item()} {second.item()}" == "12.0 12.0"


@pytest.mark.parametrize("start", [1e-3, 0.37, 2.0, 300.0, 1e4, -0.01, -0.37, -2.0, -300.0, -1e4])
def test_gradient_follows_the_path_taken(start):
    a = torch.tensor(start, requires_grad=True)
    d = doubled_past_a_thousand(a)
    d.backward()
    expected = 2.0
    while abs(start) * expected < 1000:
        expected *= 2
    expected *= 1 if start > 0 else 100
    assert a.grad.item() == expected
    assert d.item() == expected * start
    assert d / a == a.grad
    assert re.fullmatch(r"tensor\(\d+\., grad_fn=<DivBackward0>\)", repr(d / a))


def test_gradient_follows_the_path_taken_at_a_random_input():
    torch.manual_seed(0)
    for _ in range(5):
        a = torch.randn(size=(), requires_grad=True)
        d = doubled_past_a_thousand(a)
        d.backward()
        np.testing.assert_allclose((d / a).item(), a.grad.item(), rtol=1e-14)


CELLS_IN_ORDER = [int(n) for n in "1 4 7 11 13 14 18 35 36 37 38 46 47 42 44 45 61".split()]
RANDOM_CELLS = {42, 44, 45}  # these show a random number: only the form of what they print is compared
CELL = re.compile(r"^In \[(\d+)\]:$", re.MULTILINE)
OUTPUT = re.compile(r"tensor\(|None$|\w+ derivative \(")
NUMBER = re.compile(r"-?\d+\.\d*(e[+-]\d+)?")


def parses(code):
    try:
        ast.parse(code)
    except SyntaxError:
        return False
    return True


def read_cells(text):
    """(number, code, printed lines) of each cell: code is what parses as Python up to the first line of output."""
    _, *pieces = CELL.split(text)
    for number, body in zip(pieces[::2], pieces[1::2], strict=True):
        blocks = [block for block in re.split(r"\n\s*\n", body.strip("\n")) if block.strip()]
        code = ""
        while blocks and not OUTPUT.match(blocks[0]) and parses(f"{code}\n\n{blocks[0]}"):
            code = f"{code}\n\n{blocks.pop(0)}"
        printed = itertools.takewhile(OUTPUT.match, "\n".join(blocks).splitlines())
        yield int(number), code, list(printed)


def run_cell(code, names):
    """Execute as a notebook does, and return the lines shown: what is printed, then the last expression's value."""
    statements = ast.parse(code).body
    last = statements.pop() if isinstance(statements[-1], ast.Expr) else None
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        exec(compile(ast.Module(statements, type_ignores=[]), "<cell>", "exec"), names)
        if last is not None:
            value = eval(compile(ast.Expression(last.value), "<cell>", "eval"), names)
            if value is not None:
                print(repr(value))
    return shown.getvalue().splitlines()


def test_cells_as_written(monkeypatch):
    if not NOTEBOOK.exists():
        pytest.skip(f"the notebook is not there: {NOTEBOOK}")
    monkeypatch.setitem(sys.modules, "torch", tapejit)
    tapejit.manual_seed(0)
    cells = list(read_cells(NOTEBOOK.read_text(encoding="utf-8")))
    assert [number for number, *_ in cells] == CELLS_IN_ORDER
    names = {}
    for number, code, expected in cells:
        shown = run_cell(code, names)
        if number in RANDOM_CELLS:
            shown, expected = ([NUMBER.sub("#", line) for line in lines] for lines in (shown, expected))
        assert shown == expected, f"cell {number}:\n{code}"
        if number == 45:
            assert names["d"] / names["a"] == names["a"].grad
    assert expected[-1].endswith(": 12.0")
