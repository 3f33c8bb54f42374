"""Losses, as functions and as modules, with PyTorch's formulas and reductions."""

import math

import tapejit as tj
from tapejit.core.refusals import ArgumentError
from tapejit.nn.activation import log_softmax, logsigmoid
from tapejit.nn.module import Module


def reduced(x, reduction):
    """The mean, the sum, or each ("none")."""
    if reduction == "mean":
        return x.mean()
    if reduction == "sum":
        return x.sum()
    if reduction != "none":
        raise ValueError(f'{reduction!r} is not a valid value for reduction: "mean", "sum" or "none"')
    return x


def _weighted(x, weight, reduction):
    """With weights, "mean" still divides by the number of elements."""
    return reduced(x if weight is None else x * weight, reduction)


def _fits(what, input, target):
    if tuple(input.shape) != tuple(target.shape):
        raise ArgumentError(f"{what}: the target has shape {tuple(target.shape)}, the input {tuple(input.shape)}; not the same")


def mse_loss(input, target, reduction="mean"):
    """(x - y)^2"""
    d = input - target
    return reduced(d * d, reduction)


def l1_loss(input, target, reduction="mean"):
    """|x - y|"""
    return reduced((input - target).abs(), reduction)


def smooth_l1_loss(input, target, reduction="mean", beta=1.0):
    """(x - y)^2 / (2 beta) up to a difference of ``beta``, |x - y| - beta / 2 above."""
    d = (input - target).abs()
    return reduced(d if beta == 0 else tj.where(d < beta, 0.5 * d * d / beta, d - 0.5 * beta), reduction)


def huber_loss(input, target, reduction="mean", delta=1.0):
    """(x - y)^2 / 2 up to a difference of ``delta``, delta * (|x - y| - delta / 2) above."""
    if delta <= 0:
        raise RuntimeError(f"huber_loss: delta must be above 0, got {delta}")
    d = (input - target).abs()
    return reduced(tj.where(d <= delta, 0.5 * d * d, delta * (d - 0.5 * delta)), reduction)


def nll_loss(input, target, weight=None, ignore_index=-100, reduction="mean"):
    """-x[target] for log probabilities (batch, classes, ...) and integers (batch, ...); "mean" divides by the weights' sum."""
    return _of_classes(input, target, weight, ignore_index, reduction, 0.0)


def _of_classes(logs, target, weight, ignore_index, reduction, smoothing):
    dim = 0 if logs.ndim == 1 else 1
    classes = logs.shape[dim]
    expected = tuple(n for d, n in enumerate(logs.shape) if d != dim)
    if tuple(target.shape) != expected:
        raise ArgumentError(f"the target of an input {tuple(logs.shape)} has the shape {expected}, got {tuple(target.shape)}")
    ignored = target == ignore_index
    safe = tj.where(ignored, tj.zeros_like(target), target)
    picked = -tj.gather(logs, dim, safe.unsqueeze(dim)).squeeze(dim)
    kept = 1.0 - ignored.to(logs.dtype)
    share = kept if weight is None else kept * weight[safe]
    losses = picked * share
    if smoothing:
        flat = -logs if weight is None else -logs * weight.reshape(-1, *(1,) * (logs.ndim - dim - 1))
        losses = (1 - smoothing) * losses + smoothing / classes * (flat.sum(dim) * kept)
    return losses.sum() / share.sum() if reduction == "mean" else reduced(losses, reduction)


def cross_entropy(input, target, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    """-log(softmax(x))[target] of (batch, classes, ...); the target: integers (batch, ...), or probabilities like the input."""
    dim = 0 if input.ndim == 1 else 1
    logs = log_softmax(input, dim)
    if not target.is_floating_point():
        return _of_classes(logs, target, weight, ignore_index, reduction, label_smoothing)
    _fits("cross_entropy", input, target)
    if label_smoothing:
        target = target * (1 - label_smoothing) + label_smoothing / input.shape[dim]
    if weight is not None:
        logs = logs * weight.reshape(-1, *(1,) * (input.ndim - dim - 1))
    losses = -(logs * target).sum(dim)
    return losses.sum() / max(input.numel() // input.shape[dim], 1) if reduction == "mean" else reduced(losses, reduction)


def binary_cross_entropy(input, target, weight=None, reduction="mean"):
    """-(y log x + (1 - y) log(1 - x)), logarithms not below -100."""
    _fits("binary_cross_entropy", input, target)
    target = tj.as_tensor(target)
    first, second = tj.clamp(tj.log(input), min=-100.0), tj.clamp(tj.log1p(-input), min=-100.0)
    return _weighted(-(target * first + (1 - target) * second), weight, reduction)


def binary_cross_entropy_with_logits(input, target, weight=None, reduction="mean", pos_weight=None):
    """``binary_cross_entropy`` of sigmoid(x), without overflow; ``pos_weight`` weighs the first term."""
    _fits("binary_cross_entropy_with_logits", input, target)
    target = tj.as_tensor(target)
    rest = -logsigmoid(input)
    if pos_weight is not None:
        rest = rest * ((pos_weight - 1) * target + 1)
    return _weighted((1 - target) * input + rest, weight, reduction)


def kl_div(input, target, reduction="mean", log_target=False):
    """y (log y - x) for log probabilities x; "batchmean" divides the sum by the batch's size."""
    target = tj.as_tensor(target)
    if log_target:
        losses = tj.exp(target) * (target - input)
    else:
        positive = target > 0
        logs = tj.log(tj.where(positive, target, tj.ones_like(target)))
        losses = tj.where(positive, target * logs, 0 * target) - target * input
    if reduction == "batchmean":
        return losses.sum() / input.shape[0]
    return reduced(losses, reduction)


def poisson_nll_loss(input, target, log_input=True, full=False, eps=1e-8, reduction="mean"):
    """exp(x) - y x for a logarithm x of the rate, or x - y log(x + eps); ``full`` adds Stirling's term."""
    target = tj.as_tensor(target)
    losses = tj.exp(input) - target * input if log_input else input - target * tj.log(input + eps)
    if full:
        large = tj.where(target > 1, target, tj.ones_like(target))
        term = large * tj.log(large) - large + 0.5 * tj.log(2 * math.pi * large)
        losses = losses + tj.where(target > 1, term, 0 * target)
    return reduced(losses, reduction)


def gaussian_nll_loss(input, target, var, full=False, eps=1e-6, reduction="mean"):
    """(log v + (x - y)^2 / v) / 2 for a variance v of at least ``eps``, one per element, or one per row (input.shape[:-1])."""
    var = var if isinstance(var, tj.Tensor) else tj.full_like(input, var)
    if var.shape != input.shape and var.shape == input.shape[:-1]:
        var = var.unsqueeze(-1)
    with tj.no_grad():
        lift = tj.clamp(var, min=eps) - var
    var = var + lift
    losses = 0.5 * (tj.log(var) + (input - target) ** 2 / var)
    return reduced(losses + 0.5 * math.log(2 * math.pi) if full else losses, reduction)


def hinge_embedding_loss(input, target, margin=1.0, reduction="mean"):
    """x where y is 1, max(0, margin - x) where it is -1, and their sum elsewhere."""
    target = tj.as_tensor(target)
    zero = tj.zeros_like(input)
    found = tj.where(target != 1, tj.relu(margin - input), zero) + tj.where(target != -1, input, zero)
    return reduced(found, reduction)


def soft_margin_loss(input, target, reduction="mean"):
    """log(1 + exp(-y x))"""
    return reduced(tj.softplus(-target * input), reduction)


def margin_ranking_loss(input1, input2, target, margin=0.0, reduction="mean"):
    """max(0, -y (x1 - x2) + margin)"""
    if not input1.ndim == input2.ndim == target.ndim:
        raise RuntimeError(f"margin_ranking_loss: the dimensions differ, {input1.ndim}, {input2.ndim} and {target.ndim}")
    return reduced(tj.relu(-target * (input1 - input2) + margin), reduction)


class _Loss(Module):
    """A module that calls a function with its options."""

    _function, _options, _buffers_of = None, {}, ()

    def __init__(self, *args, **kwargs):
        super().__init__()
        values = dict(self._options)
        values.update(zip(values, args, strict=False))
        if kwargs.keys() - values.keys() or len(args) > len(values):
            raise TypeError(f"{type(self).__name__}() takes {', '.join(values)}")
        values.update(kwargs)
        for name, value in values.items():
            if name in self._buffers_of:
                self.register_buffer(name, value)
            else:
                setattr(self, name, value)

    def forward(self, *args):
        return type(self)._function(*args, **{name: getattr(self, name) for name in self._options})


def loss_module(name, function, buffers=(), **options):
    """The class of modules of a loss with its options and their defaults; ``buffers`` names those that are tensors."""
    options = {**options, "reduction": "mean"} if "reduction" not in options else options
    body = {"_function": staticmethod(function), "_options": options, "_buffers_of": buffers}
    return type(name, (_Loss,), {**body, "__doc__": function.__doc__, "__module__": __name__})


MSELoss = loss_module("MSELoss", mse_loss)
L1Loss = loss_module("L1Loss", l1_loss)
SmoothL1Loss = loss_module("SmoothL1Loss", smooth_l1_loss, reduction="mean", beta=1.0)
HuberLoss = loss_module("HuberLoss", huber_loss, reduction="mean", delta=1.0)
NLLLoss = loss_module("NLLLoss", nll_loss, ("weight",), weight=None, ignore_index=-100, reduction="mean")
CrossEntropyLoss = loss_module(
    "CrossEntropyLoss", cross_entropy, ("weight",), weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0
)
BCELoss = loss_module("BCELoss", binary_cross_entropy, ("weight",), weight=None, reduction="mean")
BCEWithLogitsLoss = loss_module(
    "BCEWithLogitsLoss",
    binary_cross_entropy_with_logits,
    ("weight", "pos_weight"),
    weight=None,
    reduction="mean",
    pos_weight=None,
)
KLDivLoss = loss_module("KLDivLoss", kl_div, reduction="mean", log_target=False)
PoissonNLLLoss = loss_module("PoissonNLLLoss", poisson_nll_loss, log_input=True, full=False, eps=1e-8, reduction="mean")
GaussianNLLLoss = loss_module("GaussianNLLLoss", gaussian_nll_loss, full=False, eps=1e-6, reduction="mean")
HingeEmbeddingLoss = loss_module("HingeEmbeddingLoss", hinge_embedding_loss, margin=1.0, reduction="mean")
SoftMarginLoss = loss_module("SoftMarginLoss", soft_margin_loss)
MarginRankingLoss = loss_module("MarginRankingLoss", margin_ranking_loss, margin=0.0, reduction="mean")
