"""What notebooks show."""

import numpy as np

import tapejit as tj


def test_tensors():
    text = tj.tensor([[1.0, 2.5], [3.0, 4.0]], requires_grad=True)._repr_html_()
    assert text.count("<td") == 4
    assert ">2.5</td>" in text
    assert "shape (2, 2), tapejit.float64, requires_grad" in text
    assert "grad_fn=ExpBackward0" in tj.ones(2, requires_grad=True).exp()._repr_html_()
    assert tj.arange(1000)._repr_html_().count("<td") == 11
    assert "[0, ...] is shown" in tj.ones(2, 3, 4)._repr_html_()
    assert "<td" not in tj.ones(0)._repr_html_()
    assert ">True</td>" in (tj.ones(2) > 0)._repr_html_()
    assert ">7</td>" in tj.tensor(7)._repr_html_()


def test_functions():
    g = tj.value_and_grad(lambda x: (x * x).sum(), compile="now")
    assert "no calls yet" in g._repr_html_()
    for _ in range(3):
        g(np.ones(3))
    text = g._repr_html_()
    assert "1 recorded" in text
    assert ">True</td>" in text
    assert "&lt;" in text
    assert "<lambda>" not in text
