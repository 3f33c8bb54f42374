"""Sums, means and maxima of rows of an embedding, bag by bag."""

import numpy as np

import tapejit as tj
from tapejit.nn import init
from tapejit.nn.module import Module
from tapejit.nn.parameter import Parameter


def _bags(input, offsets, include_last_offset):
    """(all numbers in a row, where each bag begins, where it ends)."""
    if input.ndim == 2:
        if offsets is not None:
            raise ValueError("embedding_bag() of (bags, numbers) takes no offsets")
        ends = np.arange(input.shape[0] + 1) * input.shape[1]
        return input.reshape(-1), ends[:-1], ends[1:]
    if input.ndim != 1 or offsets is None:
        raise ValueError(f"embedding_bag() takes (bags, numbers), or numbers and offsets; got shape {tuple(input.shape)}")
    starts = np.asarray(offsets.numpy() if isinstance(offsets, tj.Tensor) else offsets, np.int64)
    if include_last_offset:
        return input, starts[:-1], starts[1:]
    return input, starts, np.append(starts[1:], len(input))


def embedding_bag(
    input, weight, offsets=None, max_norm=None, norm_type=2.0, scale_grad_by_freq=False, mode="mean", sparse=False,
    per_sample_weights=None, include_last_offset=False, padding_idx=None,
):  # fmt: skip
    """The sum, mean or largest of the rows of ``weight`` that each bag names: (bags, columns), zeros for an empty bag.

    Args:
        input: (bags, numbers), or the numbers of all bags in a row, each beginning at its offset.
        per_sample_weights: factors of the rows, of the input's shape, for "sum".
        padding_idx: a number that does not count.

    Raises:
        ValueError: for another mode, or weights with another than "sum".
        NotImplementedError: for ``max_norm`` and ``scale_grad_by_freq``.
    """
    if max_norm is not None or scale_grad_by_freq:
        raise NotImplementedError("embedding_bag() has no max_norm and no scale_grad_by_freq")
    if mode not in ("sum", "mean", "max") or (per_sample_weights is not None and mode != "sum"):
        raise ValueError(f'mode is "sum", "mean" or "max", with per_sample_weights "sum"; got {mode!r}')
    numbers, starts, ends = _bags(input, offsets, include_last_offset)
    bag = np.repeat(np.arange(len(starts)), ends - starts)
    counts = np.ones(len(bag), bool)
    if padding_idx is not None:
        counts = numbers.numpy() != padding_idx % weight.shape[0]
    kept = tj.tensor(np.flatnonzero(counts))
    rows = weight[numbers[kept]]
    if per_sample_weights is not None:
        rows = rows * per_sample_weights.reshape(-1)[kept].unsqueeze(1)
    bag = bag[counts]
    if mode == "max":
        parts = [np.flatnonzero(bag == k) for k in range(len(starts))]
        zeros = tj.zeros(weight.shape[1], dtype=weight.dtype)
        return tj.stack([rows[tj.tensor(part)].max(0)[0] if len(part) else zeros for part in parts])
    total = tj.zeros(len(starts), weight.shape[1], dtype=weight.dtype).index_add(0, tj.tensor(bag), rows)
    if mode == "sum":
        return total
    sizes = np.maximum(np.bincount(bag, minlength=len(starts)), 1)
    return total / tj.tensor(sizes, dtype=weight.dtype).unsqueeze(1)


class EmbeddingBag(Module):
    """``functional.embedding_bag`` with a (num_embeddings, embedding_dim) weight, normal at first."""

    def __init__(
        self, num_embeddings, embedding_dim, max_norm=None, norm_type=2.0, scale_grad_by_freq=False, mode="mean", sparse=False,
        _weight=None, include_last_offset=False, padding_idx=None, device=None, dtype=None,
    ):  # fmt: skip
        super().__init__()
        self.num_embeddings, self.embedding_dim, self.mode = num_embeddings, embedding_dim, mode
        self.include_last_offset, self.padding_idx = include_last_offset, padding_idx
        self.max_norm, self.scale_grad_by_freq = max_norm, scale_grad_by_freq
        start = init.normal_(tj.empty(num_embeddings, embedding_dim, dtype=dtype)) if _weight is None else _weight
        self.weight = Parameter(start)
        if padding_idx is not None and _weight is None:
            with tj.no_grad():
                self.weight[padding_idx] = 0.0

    def forward(self, input, offsets=None, per_sample_weights=None):
        return embedding_bag(
            input, self.weight, offsets, self.max_norm, 2.0, self.scale_grad_by_freq, self.mode, False, per_sample_weights,
            self.include_last_offset, self.padding_idx,
        )  # fmt: skip

    def extra_repr(self):
        return f"{self.num_embeddings}, {self.embedding_dim}, mode={self.mode!r}"
