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
    "prelu, slopes that are not the channels'": (RuntimeError, lambda: F.prelu(tj.ones(2, 8, 3), tj.ones(9))),
    "prelu, a matrix of slopes": (RuntimeError, lambda: F.prelu(tj.ones(2, 8, 3), tj.ones(2, 4))),
    "glu of an odd size": (RuntimeError, lambda: F.glu(PLANES)),
    "group_norm, groups of other sizes": (RuntimeError, lambda: F.group_norm(tj.ones(2, 7, 4), 2)),
    "layer_norm, a weight of another shape": (RuntimeError, lambda: F.layer_norm(PLANES, (3,), tj.ones(3, 1))),
    "embedding of -1": (IndexError, lambda: F.embedding(tj.tensor([-1]), PLANES[0])),
    "embedding beyond the rows": (IndexError, lambda: F.embedding(tj.tensor([3]), PLANES[0])),
    "embedding of floats": (RuntimeError, lambda: F.embedding(tj.tensor([1.0]), PLANES[0])),
    "embedding in a vector": (RuntimeError, lambda: F.embedding(tj.tensor([1]), tj.ones(3))),
    "conv1d, negative padding": (RuntimeError, lambda: F.conv1d(LINE, tj.ones(1, 1, 2), padding=-1)),
    "conv1d, a bias for other channels": (RuntimeError, lambda: F.conv1d(LINE, tj.ones(1, 1, 2), tj.ones(3))),
    "conv1d, same and a stride": (RuntimeError, lambda: F.conv1d(LINE, tj.ones(1, 1, 2), padding="same", stride=2)),
    "conv_transpose1d, negative output_padding": (
        RuntimeError, lambda: F.conv_transpose1d(LINE, tj.ones(1, 1, 2), output_padding=-1),
    ),
    "conv_transpose1d, output_padding of a stride": (
        RuntimeError, lambda: F.conv_transpose1d(LINE, tj.ones(1, 1, 2), output_padding=1),
    ),
    "pad cuts more than there is": (RuntimeError, lambda: F.pad(LINE, (-7, 0))),
    "max_pool1d of a number": (RuntimeError, lambda: F.max_pool1d(tj.tensor(1.0), 1)),
    "max_pool1d of no channels": (RuntimeError, lambda: F.max_pool1d(tj.ones(0, 10), 1)),
    "adaptive_avg_pool2d of a matrix": (ValueError, lambda: F.adaptive_avg_pool2d(tj.ones(2, 2), 2)),
    "adaptive_avg_pool2d to no sizes": (RuntimeError, lambda: F.adaptive_avg_pool2d(PLANES, ())),
    "triplet_margin_loss, negative margin": (
        ValueError, lambda: F.triplet_margin_loss(PLANES, PLANES, PLANES, margin=-1.0),
    ),
    "margin_ranking_loss, a matrix and a vector": (
        RuntimeError, lambda: F.margin_ranking_loss(PLANES[0], PLANES[0], tj.ones(3)),
    ),
    "rrelu, bounds the wrong way round": (RuntimeError, lambda: F.rrelu(X, 0.3, 0.1)),
    "minus a mask": (RuntimeError, lambda: -tj.tensor([True])),
    "a mask minus a mask": (RuntimeError, lambda: tj.tensor([True]) - tj.tensor([True])),
    "cov, negative frequencies": (RuntimeError, lambda: tj.cov(ROWS, fweights=-WHOLE)),
    "cov, negative weights": (RuntimeError, lambda: tj.cov(ROWS, aweights=-tj.ones(3))),
    "linspace of vectors": (RuntimeError, lambda: tj.linspace(tj.ones(2), tj.ones(2), 2)),
    "linspace in 1.0 steps": (TypeError, lambda: tj.linspace(0, 3, 1.0)),
    "logspace in 1.0 steps": (TypeError, lambda: tj.logspace(0, 3, 1.0)),
    "linspace in -1 steps": (RuntimeError, lambda: tj.linspace(0, 3, -1)),
    "arange away from the end": (RuntimeError, lambda: tj.arange(0, 3, -2)),
    "eye of a negative size": (RuntimeError, lambda: tj.eye(-1)),
    "shapes that cannot be broadcast": (RuntimeError, lambda: tj.ones(2) + tj.ones(3)),
    "shapes that cannot be broadcast, as NumPy has it": (ValueError, lambda: tj.ones(2) + tj.ones(3)),
    "where by numbers": (RuntimeError, lambda: tj.where(WHOLE, X[:3], X[:3])),
    "clamp without bounds": (RuntimeError, lambda: X.clamp()),
    "two sizes to be inferred": (RuntimeError, lambda: X.reshape(-1, -1)),
    "amax of nothing": (RuntimeError, lambda: tj.ones(0).amax()),
    "cat of nothing": (ValueError, lambda: tj.cat([])),
    "cat of None": (TypeError, lambda: tj.cat([X, None])),
    "roll by two, along one": (RuntimeError, lambda: PLANES.roll((1, 2), 0)),
    "hsplit of a number": (RuntimeError, lambda: tj.hsplit(tj.tensor(1.0), 1)),
    "cross of a matrix and a vector": (RuntimeError, lambda: tj.linalg.cross(tj.ones(2, 3), tj.ones(3))),
    "cholesky of what is not positive definite": (RuntimeError, lambda: tj.linalg.cholesky(-tj.eye(2))),
    "inverse of a singular matrix": (tj.linalg.LinAlgError, lambda: tj.linalg.inv(tj.zeros(2, 2))),
    "renorm by a negative norm": (RuntimeError, lambda: tj.ones(2, 2).renorm(-1.0, 0, 1.0)),
    "gather beyond the end": (RuntimeError, lambda: X.gather(0, tj.tensor([23]))),
    "gather by a mask": (RuntimeError, lambda: X.gather(0, tj.tensor([True]))),
    "index_select of -1": (IndexError, lambda: X.index_select(0, tj.tensor([-1]))),
    "index_select by floats": (RuntimeError, lambda: X.index_select(0, tj.tensor([1.0]))),
    "index_add at -1": (IndexError, lambda: X.index_add(0, tj.tensor([-1]), tj.ones(1))),
    "index_copy at -1": (IndexError, lambda: X.index_copy(0, tj.tensor([-1]), tj.ones(1))),
    "index_add by floats": (RuntimeError, lambda: X.index_add(0, tj.tensor([1.0]), tj.ones(1))),
    "index_add of another dtype": (RuntimeError, lambda: X.index_add(0, tj.tensor([1]), tj.ones(1).float())),
    "index_put of another dtype": (RuntimeError, lambda: X.index_put((tj.tensor([1]),), tj.ones(1).float())),
    "scatter of another dtype": (RuntimeError, lambda: X.scatter(0, tj.tensor([1]), tj.ones(1).float())),
    "scatter_add of another dtype": (RuntimeError, lambda: X.scatter_add(0, tj.tensor([1]), tj.ones(1).float())),
    "scatter_reduce of another dtype": (
        RuntimeError, lambda: X.scatter_reduce(0, tj.tensor([1]), tj.ones(1).float(), "sum"),
    ),
    "masked_scatter of another dtype": (RuntimeError, lambda: X.masked_scatter(X > 3, X.float())),
    "take by floats": (RuntimeError, lambda: tj.take(X, tj.tensor([1.0]))),
    "multinomial by whole numbers": (RuntimeError, lambda: tj.multinomial(WHOLE, 1)),
    "multinomial of no samples": (RuntimeError, lambda: tj.multinomial(X, 0)),
    "randint of no range": (RuntimeError, lambda: tj.randint(3, 3, (2,))),
    "normal_ of a negative deviation": (RuntimeError, lambda: tj.ones(2).normal_(0.0, -1.0)),
    "an expanded tensor in place": (RuntimeError, lambda: tj.ones(1).expand(4).add_(1.0)),
    "out= an expanded tensor": (RuntimeError, lambda: tj.mul(tj.ones(4), 2.0, out=tj.ones(1).expand(4))),
    "a window of a negative width": (ValueError, lambda: tj.signal.windows.gaussian(3, std=-1)),
    "sum of a list": (TypeError, lambda: tj.sum([1.0, 2.0])),
    "flip of a number": (TypeError, lambda: tj.flip(2.0, 0)),
    "max of a number": (TypeError, lambda: tj.max(2.0)),
    "a number in place": (TypeError, lambda: tj.sin_(2.0)),
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


def test_what_an_embedding_refuses_is_refused_in_replay():
    weight = tj.arange(6.0).reshape(3, 2)
    for rows in (lambda k, w: F.embedding(k, w).sum(), lambda k, w: w.index_select(0, k).sum()):
        f = tj.jit(rows, compile="now")
        for k in ([0, 2], [1, 1], [2, 0]):
            assert f(tj.tensor(k), weight).item() == weight[k].sum().item()
        for _ in range(2):
            with pytest.raises(IndexError):
                f(tj.tensor([0, -1]), weight)
            with pytest.raises(IndexError):
                f(tj.tensor([0, 3]), weight)
        assert f(tj.tensor([0, 2]), weight).item() == weight[[0, 2]].sum().item()


def test_what_is_written_over_an_operand_is_worked_out_before():
    """``out`` and in-place changes that share memory with an operand: as NumPy has it, whatever the order of the elements."""
    expected = [0.0, 1.0, 3.0, 5.0]
    x = tj.arange(4.0)
    assert x[1:].add_(x[:3]) is not None
    assert x.tolist() == expected
    x = tj.arange(4.0)
    tj.add(x[:3], x[1:], out=x[1:])
    assert x.tolist() == [0.0, 1.0, 3.0, 5.0]
    x = tj.arange(4.0)
    x[1:] = x[:3]
    assert x.tolist() == [0.0, 0.0, 1.0, 2.0]
    x = tj.arange(4.0)
    tj.cumsum(x[:3], 0, out=x[1:])
    assert x.tolist() == [0.0, 0.0, 1.0, 3.0]
