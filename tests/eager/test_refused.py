"""What PyTorch refuses is refused by the same class of error, where a number would look like an answer."""

import pytest

import tapejit as tj
from tapejit.nn import functional as F

X, LINE, PLANES = tj.arange(10.0), tj.ones(1, 1, 6), tj.ones(3, 3, 3)
WHOLE, ROWS = tj.tensor([1, 2, 3]), tj.tensor([[1.0, 2.0, 4.0], [0.0, 1.0, 5.0]])
REFUSED = {
    "narrow starts behind the end": (IndexError, lambda: X.narrow(0, 11, 0)),
    "narrow starts before the beginning": (IndexError, lambda: X.narrow(0, -11, 0)),
    "narrow is too long": (RuntimeError, lambda: X.narrow(0, 8, 3)),
    "narrow is too long, from the end": (RuntimeError, lambda: X.narrow(0, -2, 3)),
    "narrow has a negative length": (RuntimeError, lambda: X.narrow(0, 0, -1)),
    "tril of a vector": (RuntimeError, lambda: X.tril()),
    "triu of a vector": (RuntimeError, lambda: tj.triu(X)),
    "cov, too few weights": (RuntimeError, lambda: tj.cov(ROWS, fweights=tj.tensor([1]))),
    "cov, a matrix of weights": (RuntimeError, lambda: tj.cov(ROWS, aweights=tj.ones(3, 3))),
    "cov, frequencies that are no whole numbers": (RuntimeError, lambda: tj.cov(ROWS, fweights=tj.ones(3))),
    "gradient along a dimension twice": (RuntimeError, lambda: tj.gradient(tj.ones(3, 3), dim=(1, -1))),
    "isclose, negative rtol": (RuntimeError, lambda: tj.isclose(X, X, rtol=-0.1)),
    "isclose, negative atol": (RuntimeError, lambda: tj.isclose(X, X, atol=-0.1)),
    "conv1d, negative dilation": (RuntimeError, lambda: F.conv1d(LINE, tj.ones(1, 1, 2), dilation=-1)),
    "conv1d, negative stride": (RuntimeError, lambda: F.conv1d(LINE, tj.ones(1, 1, 2), stride=-1)),
    "conv1d, stride 0": (RuntimeError, lambda: F.conv1d(LINE, tj.ones(1, 1, 2), stride=0)),
    "conv2d, dilation 0": (RuntimeError, lambda: F.conv2d(tj.ones(1, 1, 4, 4), tj.ones(1, 1, 2, 2), dilation=(1, 0))),
    "unfold, negative dilation": (RuntimeError, lambda: F.unfold(tj.ones(1, 1, 4, 4), 2, dilation=-1)),
    "avg_pool1d, negative padding": (RuntimeError, lambda: F.avg_pool1d(LINE, 2, padding=-1)),
    "max_pool1d, dilation 0": (RuntimeError, lambda: F.max_pool1d(LINE, 1, dilation=0)),
    "max_pool1d, negative stride": (RuntimeError, lambda: F.max_pool1d(LINE, 2, -1, ceil_mode=True)),
    "avg_pool2d, divisor 0": (RuntimeError, lambda: F.avg_pool2d(PLANES, 2, divisor_override=0)),
    "rms_norm of other dimensions": (RuntimeError, lambda: F.rms_norm(tj.ones(2, 2, 3), (2, 2))),
    "rms_norm of no dimension": (RuntimeError, lambda: F.rms_norm(PLANES, ())),
    "huber_loss, delta 0": (RuntimeError, lambda: F.huber_loss(X, X + 1, delta=0)),
    "huber_loss, negative delta": (RuntimeError, lambda: F.huber_loss(X, X + 1, delta=-1)),
    "hardtanh, bounds the wrong way round": (ValueError, lambda: F.hardtanh(X, 0.5, -0.5)),
    "softshrink, negative": (RuntimeError, lambda: F.softshrink(X, -0.5)),
    "one_hot beyond the classes": (RuntimeError, lambda: F.one_hot(tj.tensor([3]), 2)),
    "one_hot of a negative": (RuntimeError, lambda: F.one_hot(tj.tensor([-1]), 2)),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_has_no_meaning_is_refused(case):
    kind, call = REFUSED[case]
    with pytest.raises(kind):
        call()


def test_narrow_counts_from_the_end():
    x = tj.arange(5.0, requires_grad=True)
    assert x.narrow(0, -3, 2).tolist() == [2.0, 3.0]
    assert x.narrow(0, -2, 2).tolist() == [3.0, 4.0]
    assert x.narrow(0, 5, 0).shape == (0,)
    x.narrow(0, tj.tensor(-2), 2).sum().backward()
    assert x.grad.tolist() == [0.0, 0.0, 0.0, 1.0, 1.0]


def test_cov_of_weighted_observations():
    """As of the observations written as often as they count."""
    often = tj.cov(tj.tensor([[1.0, 2.0, 2.0, 4.0, 4.0, 4.0], [0.0, 1.0, 1.0, 5.0, 5.0, 5.0]]))
    assert tj.allclose(tj.cov(ROWS, fweights=WHOLE), often)
    assert tj.cov(tj.tensor(3.0), correction=0, fweights=tj.tensor(2)).item() == 0.0
