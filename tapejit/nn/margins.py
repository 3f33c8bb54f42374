"""Losses of distances, margins and several labels at once, as functions and as modules."""

import tapejit as tj
from tapejit.nn.activation import logsigmoid
from tapejit.nn.dense import pairwise_distance
from tapejit.nn.loss import loss_module, reduced


def cosine_embedding_loss(input1, input2, target, margin=0.0, reduction="mean"):
    """1 - cos where the target is 1, max(0, cos - margin) where it is -1; 1e-12 is added to the squares of the lengths."""
    squares = [(x * x).sum(-1) + 1e-12 for x in (input1, input2)]
    cosine = (input1 * input2).sum(-1) / (squares[0] * squares[1]).sqrt()
    zero = tj.zeros_like(cosine)
    alike = tj.where(target == 1, 1.0 - cosine, zero)
    return reduced(alike + tj.where(target == -1, tj.relu(cosine - margin), zero), reduction)


def triplet_margin_loss(anchor, positive, negative, margin=1.0, p=2.0, eps=1e-6, swap=False, reduction="mean"):
    """max(0, d(anchor, positive) - d(anchor, negative) + margin) with p-norms along the last dimension.

    With ``swap`` the negative is compared with the nearer of anchor and positive.
    """

    def distance(x, y):
        return pairwise_distance(x, y, p, eps)

    return triplet_margin_with_distance_loss(
        anchor, positive, negative, distance_function=distance, margin=margin, swap=swap, reduction=reduction
    )


def triplet_margin_with_distance_loss(
    anchor, positive, negative, *, distance_function=None, margin=1.0, swap=False, reduction="mean"
):
    """``triplet_margin_loss`` with any distance."""
    if margin <= 0:
        raise ValueError(f"triplet_margin_loss: margin must be above 0, got {margin}")
    distance = distance_function or pairwise_distance
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = tj.minimum(far, distance(positive, negative))
    return reduced(tj.relu(near - far + margin), reduction)


def multi_margin_loss(input, target, p=1, margin=1.0, weight=None, reduction="mean"):
    """The mean over classes of max(0, margin - x[target] + x[k]) ** p for k other than the target, times its weight."""
    single = input.ndim < 2
    x, y = (input.reshape(1, -1), target.reshape(1)) if single else (input, target)
    if p not in (1, 2) or (weight is not None and weight.ndim != 1):
        raise ValueError(f"multi_margin_loss() takes p of 1 or 2 and a vector of weights, got p={p}")
    gaps = tj.relu(margin - tj.gather(x, 1, y.unsqueeze(1)) + x) ** p
    if weight is not None:
        gaps = gaps * weight[y].unsqueeze(1)
    others = tj.ones_like(x.detach()).scatter(1, y.unsqueeze(1), 0.0)
    found = (gaps * others).sum(1) / x.shape[1]
    return reduced(found[0] if single else found, reduction)


def multilabel_margin_loss(input, target, reduction="mean"):
    """The mean over classes of max(0, 1 - x[j] + x[k]), summed over the targets j (up to the first -1) and other classes k."""
    if input.shape != target.shape:
        raise RuntimeError(f"multilabel_margin_loss: the target has shape {target.shape}, the input {input.shape}")
    single = input.ndim < 2
    x, y = (input.reshape(1, -1), target.reshape(1, -1)) if single else (input, target)
    counts = (tj.cumsum((y < 0).long(), 1) == 0).to(x.dtype)
    places = tj.clamp(y, min=0)
    marked = tj.zeros_like(x.detach()).scatter_add(1, places, counts)
    others = (marked == 0).to(x.dtype)
    gaps = tj.relu(1.0 - tj.gather(x, 1, places).unsqueeze(2) + x.unsqueeze(1))
    found = (gaps * counts.unsqueeze(2) * others.unsqueeze(1)).sum((1, 2)) / x.shape[1]
    return reduced(found[0] if single else found, reduction)


def multilabel_soft_margin_loss(input, target, weight=None, reduction="mean"):
    """The mean over classes of -(y log sigmoid(x) + (1 - y) log sigmoid(-x))"""
    found = -(target * logsigmoid(input) + (1 - target) * logsigmoid(-input))
    if weight is not None:
        found = found * weight
    return reduced(found.mean(-1), reduction)


def pdist(input, p=2.0):
    """The p-norms of the differences of all pairs of rows i < j."""
    rows, columns = tj.triu_indices(input.shape[0], input.shape[0], 1)
    return tj.linalg.vector_norm(input[rows] - input[columns], ord=p, dim=-1)


CosineEmbeddingLoss = loss_module("CosineEmbeddingLoss", cosine_embedding_loss, margin=0.0, reduction="mean")
TripletMarginLoss = loss_module(
    "TripletMarginLoss", triplet_margin_loss, margin=1.0, p=2.0, eps=1e-6, swap=False, reduction="mean"
)
TripletMarginWithDistanceLoss = loss_module(
    "TripletMarginWithDistanceLoss",
    triplet_margin_with_distance_loss,
    distance_function=None,
    margin=1.0,
    swap=False,
    reduction="mean",
)
MultiMarginLoss = loss_module(
    "MultiMarginLoss", multi_margin_loss, ("weight",), p=1, margin=1.0, weight=None, reduction="mean"
)
MultiLabelMarginLoss = loss_module("MultiLabelMarginLoss", multilabel_margin_loss)
MultiLabelSoftMarginLoss = loss_module(
    "MultiLabelSoftMarginLoss", multilabel_soft_margin_loss, ("weight",), weight=None, reduction="mean"
)
