"""Sampling by grids, alignment, bags, decoders, padding: known values, and PyTorch's where it is installed."""

import itertools
import warnings

import numpy as np
import pytest
from oracle import check_grad

import tapejit as tj
from tapejit import nn
from tapejit.nn import functional as F

RNG = np.random.default_rng(0)


def brute_force_ctc(log_probs, target, blank=0):
    """The negative logarithm of the summed probabilities of every path that collapses to the target."""
    total, (steps, classes) = 0.0, log_probs.shape
    for path in itertools.product(range(classes), repeat=steps):
        collapsed = [k for j, k in enumerate(path) if (j == 0 or k != path[j - 1]) and k != blank]
        if collapsed == list(target):
            total += np.exp(sum(log_probs[t, k] for t, k in enumerate(path)))
    return -np.log(total)


@pytest.mark.parametrize("target", [[1], [1, 2], [2, 2], [], [1, 2, 1]])
def test_ctc_loss_is_the_sum_over_all_paths(target):
    scores = RNG.normal(size=(5, 3))
    log_probs = scores - np.log(np.exp(scores).sum(1, keepdims=True))
    targets = tj.tensor(np.array([[*target, *[0] * (3 - len(target))]]))
    found = F.ctc_loss(tj.tensor(log_probs).unsqueeze(1), targets, [5], [len(target)], reduction="sum")
    assert float(found) == pytest.approx(brute_force_ctc(log_probs, target), rel=1e-12)
    check_grad(lambda x: F.ctc_loss(tj.log_softmax(x, 1).unsqueeze(1), targets, [5], [len(target)], reduction="sum"), scores)


def test_ctc_loss_of_what_cannot_be_aligned():
    log_probs = tj.log_softmax(tj.tensor(RNG.normal(size=(2, 1, 3)), requires_grad=True), 2)
    targets = tj.tensor([[1, 1]])
    assert F.ctc_loss(log_probs, targets, [2], [2]).item() == np.inf
    assert F.ctc_loss(log_probs, targets, [2], [2], zero_infinity=True).item() == 0.0
    with pytest.raises(RuntimeError, match="lengths"):
        F.ctc_loss(log_probs, targets, [3], [2])


def test_a_grid_without_a_change_gives_the_input():
    for shape, theta in (((2, 3, 4, 5), np.eye(2, 3)), ((1, 2, 3, 4, 2), np.eye(3, 4))):
        x = tj.tensor(RNG.normal(size=shape))
        for align in (False, True):
            grid = F.affine_grid(tj.tensor(np.stack([theta] * shape[0])), shape, align)
            for mode in ("bilinear", "nearest") + (("bicubic",) if len(shape) == 4 else ()):
                found = F.grid_sample(x, grid, mode, "border", align)
                np.testing.assert_allclose(found.numpy(), x.numpy(), atol=1e-12)
    with pytest.raises(ValueError, match="mode"):
        F.grid_sample(x, grid, "cubic")


@pytest.mark.parametrize("padding_mode", ["zeros", "border", "reflection"])
def test_grid_sample_is_differentiated_in_both(padding_mode):
    x, grid = RNG.normal(size=(1, 2, 3, 4)), RNG.uniform(-1.3, 1.3, size=(1, 2, 2, 2))
    check_grad(lambda x, grid: F.grid_sample(x, grid, "bilinear", padding_mode), x, grid)


def test_bags():
    weight = tj.tensor(np.arange(12.0).reshape(4, 3), requires_grad=True)
    numbers, offsets = tj.tensor([0, 1, 3, 3]), tj.tensor([0, 2, 2])
    sums = F.embedding_bag(numbers, weight, offsets, mode="sum")
    assert sums.tolist() == [[3.0, 5.0, 7.0], [0.0, 0.0, 0.0], [18.0, 20.0, 22.0]]
    means = F.embedding_bag(numbers, weight, offsets, padding_idx=0)
    assert means.tolist() == [[3.0, 4.0, 5.0], [0.0, 0.0, 0.0], [9.0, 10.0, 11.0]]
    assert F.embedding_bag(numbers.reshape(2, 2), weight, mode="max")[1].tolist() == [9.0, 10.0, 11.0]
    sums.sum().backward()
    assert weight.grad[:, 0].tolist() == [1.0, 1.0, 0.0, 2.0]
    with pytest.raises(ValueError, match="offsets"):
        F.embedding_bag(numbers, weight)


def test_paddings():
    x = tj.tensor([[1.0, 2.0, 3.0]])
    assert nn.CircularPad1d((1, 2))(x).tolist() == [[3.0, 1.0, 2.0, 3.0, 1.0, 2.0]]
    assert F.pad(x, (-1, 1), "circular").tolist() == [[2.0, 3.0, 2.0]]
    assert nn.ConstantPad1d(1, 7.0)(x).tolist() == [[7.0, 1.0, 2.0, 3.0, 7.0]]
    assert nn.ReflectionPad1d((2, 0))(x).tolist() == [[3.0, 2.0, 1.0, 2.0, 3.0]]
    assert nn.ReplicationPad3d(1)(tj.ones(1, 1, 2, 2, 2)).shape == (1, 1, 4, 4, 4)


def test_dropouts_keep_mean_and_variance():
    tj.manual_seed(0)
    x = tj.randn(200, 200)
    y = F.alpha_dropout(x, 0.3, True)
    assert abs(float(y.mean())) < 0.03
    assert abs(float(y.var()) - 1) < 0.05
    assert F.alpha_dropout(x, 0.3) is x
    hard = F.gumbel_softmax(x[:5], hard=True)
    assert hard.sum(1).tolist() == pytest.approx([1.0] * 5)
    slopes = (F.rrelu(-tj.ones(1000), training=True) * -1).numpy()
    assert slopes.min() >= 1 / 8
    assert slopes.max() <= 1 / 3


def test_gaussian_loss_with_a_variance_per_row():
    x, y, var = tj.tensor(RNG.normal(size=(3, 3))), tj.zeros(3, 3), tj.tensor([0.5, 1.0, 2.0])
    expected = 0.5 * (np.log(var.numpy())[:, None] + x.numpy() ** 2 / var.numpy()[:, None])
    np.testing.assert_allclose(F.gaussian_nll_loss(x, y, var, reduction="none").numpy(), expected)


def test_running_statistics_of_instances():
    x = RNG.normal(size=(4, 3, 5))
    mean, var = tj.zeros(3), tj.ones(3)
    F.instance_norm(tj.tensor(x), mean, var, momentum=0.5)
    np.testing.assert_allclose(mean.numpy(), 0.5 * x.mean((0, 2)))
    np.testing.assert_allclose(var.numpy(), 0.5 + 0.5 * x.var(2, ddof=1).mean(0))


def test_indices_of_adaptive_pooling():
    x = tj.tensor(RNG.normal(size=(2, 5, 7)))
    values, places = F.adaptive_max_pool2d(x, (2, 3), return_indices=True)
    np.testing.assert_array_equal(values.numpy(), F.adaptive_max_pool2d(x, (2, 3)).numpy())
    np.testing.assert_array_equal(x.reshape(2, 35).gather(1, places.reshape(2, 6)).numpy(), values.reshape(2, 6).numpy())


MODULES = {
    "Transformer": (lambda nn: nn.Transformer(8, 2, 1, 2, 16, 0.0), [(5, 2, 8), (3, 2, 8)]),
    "TransformerDecoderLayer": (lambda nn: nn.TransformerDecoderLayer(8, 2, 16, 0.0, norm_first=True), [(3, 2, 8), (5, 2, 8)]),
    "LocalResponseNorm": (lambda nn: nn.LocalResponseNorm(3), [(2, 5, 3, 3)]),
}


@pytest.mark.parametrize("name", MODULES)
def test_as_pytorch(name):
    torch = pytest.importorskip("torch")
    make, shapes = MODULES[name]
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs, ours = make(torch.nn).double(), make(nn)
    ours.load_state_dict({key: tj.tensor(value.numpy()) for key, value in theirs.state_dict().items()})
    arrays = [RNG.normal(size=shape) for shape in shapes]
    expected = theirs(*(torch.tensor(a, requires_grad=True) for a in arrays))
    inputs = [tj.tensor(a, requires_grad=True) for a in arrays]
    found = ours(*inputs)
    np.testing.assert_allclose(found.detach().numpy(), expected.detach().numpy(), atol=1e-12)
    weights = RNG.normal(size=found.shape)
    (expected * torch.tensor(weights)).sum().backward()
    (found * tj.tensor(weights)).sum().backward()
    gradients = {key: p.grad.numpy() for key, p in theirs.named_parameters()}
    assert gradients.keys() == {key for key, _ in ours.named_parameters()}
    for key, p in ours.named_parameters():
        np.testing.assert_allclose(p.grad.numpy(), gradients[key], atol=1e-10, err_msg=key)


def test_lazy_layers_become_what_they_stand_for():
    net = nn.Sequential(nn.LazyConv2d(4, 3, padding=1), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(2, bias=False))
    assert list(net.parameters()) == []
    assert net.eval()(tj.ones(3, 2, 5, 5)).shape == (3, 2)
    assert [type(layer).__name__ for layer in net] == ["Conv2d", "BatchNorm2d", "Flatten", "Linear"]
    assert [tuple(p.shape) for p in net.parameters()] == [(4, 2, 3, 3), (4,), (4,), (4,), (2, 100)]
    assert not net[1].training
    net(tj.ones(3, 2, 5, 5)).sum().backward()
    assert net[3].weight.grad is not None
