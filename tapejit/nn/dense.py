"""Layers without windows: Linear, Bilinear, Embedding, Dropout, Flatten, Identity, similarity."""

import math

import numpy as np

import tapejit as tj
from tapejit.eager.indexing import chosen
from tapejit.nn import init
from tapejit.nn.module import Module
from tapejit.nn.parameter import Parameter


def linear(input, weight, bias=None):
    """x @ weight.T + bias"""
    y = input @ weight.T
    return y if bias is None else y + bias


def bilinear(input1, input2, weight, bias=None):
    """x1 @ weight[k] @ x2 + bias[k] for each k."""
    y = ((input1.unsqueeze(-2).unsqueeze(-2) @ weight).squeeze(-2) * input2.unsqueeze(-2)).sum(-1)
    return y if bias is None else y + bias


def embedding(input, weight, padding_idx=None, max_norm=None, norm_type=2.0, scale_grad_by_freq=False, sparse=False):
    """Rows of ``weight`` by integers; the row ``padding_idx`` gets no gradient.

    Raises:
        RuntimeError: if ``weight`` is no matrix.
        IndexError: for other indices than integers from 0 up to the number of rows.
        NotImplementedError: for ``max_norm`` and ``scale_grad_by_freq``; ``sparse`` makes no difference.
    """
    if max_norm is not None or scale_grad_by_freq:
        raise NotImplementedError("embedding() has no max_norm and no scale_grad_by_freq")
    if weight.ndim != 2:
        raise RuntimeError(f"embedding() takes a matrix as weight, got shape {tuple(weight.shape)}")
    rows = chosen(weight, input, "embedding")
    if padding_idx is None:
        return rows
    padding_idx %= weight.shape[0]
    return tj.where((input == padding_idx).unsqueeze(-1), rows.detach(), rows)


def one_hot(tensor, num_classes=-1):
    """Integers from 0 as rows with a one, ``num_classes`` long; by default as long as the largest needs.

    Raises:
        RuntimeError: if one is negative, or not below ``num_classes``.
    """
    count = num_classes
    if count == -1:
        count = int(tensor.max()) + 1 if tensor.numel() else 0
    if ((tensor < 0) | (tensor >= count)).any():
        raise RuntimeError(
            f"one_hot() takes integers from 0 to {count - 1} here (num_classes={num_classes}), "
            f"got {int(tensor.min())} to {int(tensor.max())}"
        )
    return (tensor.unsqueeze(-1) == tj.arange(count)).to(tj.int64)


def dropout(input, p=0.5, training=True, inplace=False):
    """Elements are zero with probability p, the others are divided by 1 - p; nothing happens when not training."""
    check_probability(p)
    if not training or p == 0:
        return input
    if p == 1:
        return input * 0.0
    with tj.no_grad():
        mask = (tj.rand(*input.shape) >= p).to(input.dtype) / (1 - p)
    return input * mask


def dropped_channels(input, p, training, dims):
    check_probability(p)
    if not training or p == 0:
        return input
    lead = tuple(input.shape[: input.ndim - dims])
    with tj.no_grad():
        mask = (tj.rand(*lead, *(1,) * dims) >= p).to(input.dtype) / (1 - p) if p < 1 else tj.zeros(*lead, *(1,) * dims)
    return input * mask


def dropout1d(input, p=0.5, training=True, inplace=False):
    """``dropout`` of whole channels of (..., channels, length)."""
    return dropped_channels(input, p, training, 1)


def dropout2d(input, p=0.5, training=True, inplace=False):
    """``dropout`` of whole channels of (..., channels, height, width)."""
    return dropped_channels(input, p, training, 2)


def check_probability(p):
    if not 0 <= p <= 1:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")


def cosine_similarity(x1, x2, dim=1, eps=1e-8):
    """x1 . x2 over the product of their lengths, each at least ``eps``."""
    x1, x2 = tj.broadcast_tensors(x1, x2)
    lengths = [tj.clamp((x * x).sum(dim).sqrt(), min=eps) for x in (x1, x2)]
    return (x1 * x2).sum(dim) / (lengths[0] * lengths[1])


def pairwise_distance(x1, x2, p=2.0, eps=1e-6, keepdim=False):
    """The p-norm of ``x1 - x2 + eps`` along the last dimension."""
    d = x1 - x2 + eps
    if p == 2:
        return (d * d).sum(-1, keepdim=keepdim).sqrt()
    return (d.abs() ** p).sum(-1, keepdim=keepdim) ** (1 / p)


def scaled_dot_product_attention(
    query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False
):  # fmt: skip
    """softmax(q @ k.T * scale + mask) @ v over the last two dimensions; a bool mask says what may be looked at.

    With ``enable_gqa`` keys and values may have fewer heads (dimension -3), each for several of the queries.
    """
    if enable_gqa:
        times = query.shape[-3] // key.shape[-3]
        key, value = (x.repeat_interleave(times, -3) for x in (key, value))
    scores = query @ key.transpose(-2, -1) * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)
    if is_causal:
        if attn_mask is not None:
            raise ValueError("give attn_mask or is_causal, not both")
        attn_mask = tj.from_numpy(np.tri(query.shape[-2], key.shape[-2], dtype=bool))
    if attn_mask is not None:
        if attn_mask.dtype is tj.bool:
            scores = tj.where(attn_mask, scores, tj.full_like(scores, -math.inf))
        else:
            scores = scores + attn_mask
    return dropout(tj.softmax(scores, -1), dropout_p) @ value


class Identity(Module):
    """What it is given."""

    def __init__(self, *args, **kwargs):
        super().__init__()

    def forward(self, input):
        return input


class Linear(Module):
    """x @ weight.T + bias; weight (out_features, in_features), uniform in +-1/sqrt(in_features) at first."""

    def __init__(self, in_features, out_features, bias=True, device=None, dtype=None):
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.weight = Parameter(tj.empty(out_features, in_features, dtype=dtype))
        self.register_parameter("bias", Parameter(tj.empty(out_features, dtype=dtype)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self):
        """Draw the parameters anew."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.in_features) if self.in_features > 0 else 0
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input):
        return linear(input, self.weight, self.bias)

    def extra_repr(self):
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class Bilinear(Module):
    """x1 @ weight[k] @ x2 + bias[k]."""

    def __init__(self, in1_features, in2_features, out_features, bias=True, device=None, dtype=None):
        super().__init__()
        self.in1_features, self.in2_features, self.out_features = in1_features, in2_features, out_features
        bound = 1 / math.sqrt(in1_features)
        self.weight = Parameter(init.uniform_(tj.empty(out_features, in1_features, in2_features, dtype=dtype), -bound, bound))
        start = init.uniform_(tj.empty(out_features, dtype=dtype), -bound, bound) if bias else None
        self.register_parameter("bias", None if start is None else Parameter(start))

    def forward(self, input1, input2):
        return bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self):
        sizes = f"in1_features={self.in1_features}, in2_features={self.in2_features}, out_features={self.out_features}"
        return f"{sizes}, bias={self.bias is not None}"


class Embedding(Module):
    """Rows of a (num_embeddings, embedding_dim) weight by integers, normal at first."""

    def __init__(
        self, num_embeddings, embedding_dim, padding_idx=None, max_norm=None, norm_type=2.0, scale_grad_by_freq=False,
        sparse=False, _weight=None, device=None, dtype=None,
    ):  # fmt: skip
        super().__init__()
        self.max_norm, self.scale_grad_by_freq = max_norm, scale_grad_by_freq
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx = None if padding_idx is None else padding_idx % num_embeddings
        start = init.normal_(tj.empty(num_embeddings, embedding_dim, dtype=dtype)) if _weight is None else _weight
        self.weight = Parameter(start)
        if padding_idx is not None and _weight is None:
            with tj.no_grad():
                self.weight[self.padding_idx] = 0.0

    @classmethod
    def from_pretrained(cls, embeddings, freeze=True, padding_idx=None):
        """An embedding with given rows, which are not trained if ``freeze``."""
        made = cls(*embeddings.shape, padding_idx=padding_idx, dtype=embeddings.dtype)
        made.weight = Parameter(embeddings, requires_grad=not freeze)
        return made

    def forward(self, input):
        return embedding(input, self.weight, self.padding_idx, self.max_norm, 2.0, self.scale_grad_by_freq)

    def extra_repr(self):
        tail = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{tail}"


class Dropout(Module):
    """Elements are zero with probability p while training, the others are divided by 1 - p."""

    _function = staticmethod(dropout)

    def __init__(self, p=0.5, inplace=False):
        super().__init__()
        check_probability(p)
        self.p = p

    def forward(self, input):
        return self._function(input, self.p, self.training)

    def extra_repr(self):
        return f"p={self.p}, inplace=False"


class Dropout1d(Dropout):
    """Dropout of whole channels of (..., channels, length)."""

    _function = staticmethod(dropout1d)


class Dropout2d(Dropout):
    """Dropout of whole channels of (..., channels, height, width)."""

    _function = staticmethod(dropout2d)


class Flatten(Module):
    """Dimensions from ``start_dim`` to ``end_dim`` as one."""

    def __init__(self, start_dim=1, end_dim=-1):
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, input):
        return input.flatten(self.start_dim, self.end_dim)

    def extra_repr(self):
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """A dimension as several."""

    def __init__(self, dim, unflattened_size):
        super().__init__()
        self.dim, self.unflattened_size = dim, tuple(unflattened_size)

    def forward(self, input):
        d = self.dim % input.ndim
        return input.reshape(*input.shape[:d], *self.unflattened_size, *input.shape[d + 1 :])

    def extra_repr(self):
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"


class CosineSimilarity(Module):
    """See ``functional.cosine_similarity``."""

    def __init__(self, dim=1, eps=1e-8):
        super().__init__()
        self.dim, self.eps = dim, eps

    def forward(self, x1, x2):
        return cosine_similarity(x1, x2, self.dim, self.eps)
