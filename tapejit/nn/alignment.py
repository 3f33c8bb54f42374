"""Connectionist temporal classification (Graves and others, 2006): the loss of sequences whose alignment is not known."""

import numpy as np

import tapejit as tj
from tapejit.nn.loss import reduced
from tapejit.nn.module import Module

_NEVER = -1e30  # the logarithm of a probability of 0, with which sums stay finite


def _lengths(x):
    return np.atleast_1d(np.asarray(x.numpy() if isinstance(x, tj.Tensor) else x)).astype(np.int64)


def _labels(targets, lengths, blank):
    """The targets of each sequence with blanks around every label: (N, 2 * longest + 1) numbers."""
    targets = np.asarray(targets.numpy() if isinstance(targets, tj.Tensor) else targets)
    found = np.full((len(lengths), 2 * int(lengths.max(initial=0)) + 1), blank, np.int64)
    start = 0
    for row, count in enumerate(lengths.tolist()):
        own = targets[row, :count] if targets.ndim == 2 else targets[start : start + count]
        found[row, 1 : 2 * count : 2] = own
        start += count
    return found


def ctc_loss(log_probs, targets, input_lengths, target_lengths, blank=0, reduction="mean", zero_infinity=False):
    """-log of the probability of the targets, summed over all their alignments with the input.

    Args:
        log_probs: (time, N, classes), or (time, classes) of one sequence; logarithms, as ``log_softmax`` gives.
        targets: (N, longest) whole numbers, or all of them one after the other.
        input_lengths, target_lengths: how much of each counts.
        reduction: "mean" divides each loss by its target's length first.
        zero_infinity: losses of targets that cannot be aligned, which are inf, count as 0.

    Raises:
        RuntimeError: for lengths beyond the inputs.
    """
    single = log_probs.ndim == 2
    x = log_probs.unsqueeze(1) if single else log_probs
    steps, n = x.shape[0], x.shape[1]
    times, counts = _lengths(input_lengths), _lengths(target_lengths)
    if len(times) != n or len(counts) != n or times.max(initial=0) > steps or times.min(initial=0) < 0:
        shape = tuple(log_probs.shape)
        raise RuntimeError(f"ctc_loss() of shape {shape} takes {n} lengths up to {steps}, got {times.tolist()}")
    if single and isinstance(targets, tj.Tensor) and targets.ndim == 1:
        targets = targets.unsqueeze(0)
    labels = _labels(targets, counts, blank)
    width = labels.shape[1]
    skips = np.zeros(labels.shape, bool)
    skips[:, 2:] = (labels[:, 2:] != blank) & (labels[:, 2:] != labels[:, :-2])
    skips = tj.tensor(skips)
    scores = tj.gather(x, 2, tj.tensor(labels).unsqueeze(0).expand(steps, n, width))
    start = np.full((n, width), _NEVER)
    start[:, 0] = 0.0
    start[counts > 0, 1:2] = 0.0
    never = tj.full((n, 2), _NEVER, dtype=x.dtype)
    alpha = tj.tensor(start, dtype=x.dtype)
    for t in range(steps):
        moved = alpha
        if t:
            one = tj.cat([never[:, :1], alpha[:, :-1]], 1)
            two = tj.cat([never, alpha], 1)[:, :width]
            moved = tj.logsumexp(tj.stack([alpha, one, tj.where(skips, two, _NEVER)]), 0)
        alpha = tj.where(tj.tensor(t < times).unsqueeze(1), tj.clamp(moved + scores[t], min=2 * _NEVER), alpha)
    last = tj.tensor(2 * counts).unsqueeze(1)
    before = tj.tensor(np.maximum(2 * counts - 1, 0)).unsqueeze(1)
    ends = [tj.gather(alpha, 1, last), tj.where(tj.tensor(counts > 0).unsqueeze(1), tj.gather(alpha, 1, before), _NEVER)]
    found = -tj.logsumexp(tj.cat(ends, 1), 1)
    impossible = found > -0.5 * _NEVER
    found = tj.where(impossible, 0.0 if zero_infinity else tj.inf, found)
    if reduction == "mean":
        return (found / tj.tensor(np.maximum(counts, 1), dtype=x.dtype)).mean()
    return reduced(found[0] if single else found, reduction)


class CTCLoss(Module):
    """See ``functional.ctc_loss``."""

    def __init__(self, blank=0, reduction="mean", zero_infinity=False):
        super().__init__()
        self.blank, self.reduction, self.zero_infinity = blank, reduction, zero_infinity

    def forward(self, log_probs, targets, input_lengths, target_lengths):
        options = self.blank, self.reduction, self.zero_infinity
        return ctc_loss(log_probs, targets, input_lengths, target_lengths, *options)
