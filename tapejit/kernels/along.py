"""Kernels along one dimension: cumulative sums, extrema, softmax (see ``structured``); the plan is (outer, length, inner)."""

import numpy as np

from tapejit.core.record import PLAN
from tapejit.edge import vecmath
from tapejit.edge.jit import inner
from tapejit.edge.raw import as_f64 as P
from tapejit.edge.raw import as_i64, copy_bytes

SIZE = 8  # bytes of an element; rebound with P


@inner
def three(record):
    plan = as_i64(as_i64(record)[PLAN >> 3])
    return plan[0], plan[1], plan[2]


def cumsum_forward(record, out, x, y, z):
    outer, length, inner = three(record)
    for o in range(outer):
        for i in range(inner):
            total = 0.0
            for k in range(length):
                at = (o * length + k) * inner + i
                total += P(x)[at]
                P(out)[at] = total


def cumsum_reverse(record, g, x, y, z, out, target, accumulate):
    outer, length, inner = three(record)
    for o in range(outer):
        for i in range(inner):
            total = 0.0
            for k in range(length - 1, -1, -1):
                at = (o * length + k) * inner + i
                total += P(g)[at]
                P(target)[at] = total + (P(target)[at] if accumulate else 0)


def amax_forward(record, out, x, y, z):
    extreme(record, out, x, 1)


def amin_forward(record, out, x, y, z):
    extreme(record, out, x, -1)


@inner
def extreme(record, out, x, sign):
    outer, length, inner = three(record)
    for o in range(outer):
        if inner == 1:
            P(out)[o] = row_extreme(P(x + o * length * SIZE), length, sign)
            continue
        best = P(out + o * inner * SIZE)
        copy_bytes(out + o * inner * SIZE, x + o * length * inner * SIZE, inner * SIZE)
        for k in range(1, length):
            row = P(x + (o * length + k) * inner * SIZE)
            for i in range(inner):
                v = row[i]
                best[i] = v if sign * v > sign * best[i] or v != v else best[i]


_BLOCK = 1024  # numbers that are looked at twice, while they are near


@inner
def row_extreme(p, n, sign):
    """The largest number of a row, of their negatives if ``sign`` is -1; NaN if there is one."""
    best = p[0]
    for start in range(0, n, _BLOCK):
        end = min(start + _BLOCK, n)
        if nans(p, start, end) != 0:
            return np.nan
        other = largest(p, start, end) if sign > 0 else smallest(p, start, end)
        if sign * other > sign * best:
            best = other
    return best


@inner
def nans(p, start, end):
    found = 0
    for i in range(start, end):
        found += p[i] != p[i]
    return found


@inner(fastmath={"nnan", "nsz", "reassoc"})
def largest(p, start, end):
    best = p[start]
    for i in range(start, end):
        best = max(best, p[i])
    return best


@inner(fastmath={"nnan", "nsz", "reassoc"})
def smallest(p, start, end):
    best = p[start]
    for i in range(start, end):
        best = min(best, p[i])
    return best


def extreme_reverse(record, g, x, y, z, out, target, accumulate):
    outer, length, inner = three(record)
    for o in range(outer):
        for i in range(inner):
            best = P(out)[o * inner + i]
            ties = 0
            for k in range(length):
                v = P(x)[(o * length + k) * inner + i]
                ties += v == best or (v != v and best != best)
            share = P(g)[o * inner + i] / max(ties, 1)
            for k in range(length):
                at = (o * length + k) * inner + i
                v = P(x)[at]
                part = share if v == best or (v != v and best != best) else 0
                P(target)[at] = part + (P(target)[at] if accumulate else 0)




# Softmax and its kin; rows of a softmax are long or many, so exp runs over whole rows and vectorises when inner is 1


@inner
def row_max(x, start, length, inner):
    if inner == 1:
        return row_extreme(P(x + start * SIZE), length, 1)
    best = P(x)[start]
    for k in range(1, length):
        v = P(x)[start + k * inner]
        if v > best or v != v:
            best = v
    return best


@inner(fastmath={"reassoc", "nsz", "contract"})
def row_exp_sum(x, start, length, inner, shift):
    total = 0.0
    for k in range(length):
        total += vecmath.exp(P(x)[start + k * inner] - shift)
    return total


@inner(fastmath={"reassoc", "nsz", "contract"})
def row_dot(x, y, start, length, inner):
    total = 0.0
    for k in range(length):
        v = P(x)[start + k * inner]
        total += v * P(y)[start + k * inner] if v != 0 else 0
    return total


@inner(fastmath={"reassoc", "nsz", "contract"})
def row_total(x, start, length, inner):
    total = 0.0
    for k in range(length):
        total += P(x)[start + k * inner]
    return total


def logsumexp_forward(record, out, x, y, z):
    outer, length, inner = three(record)
    for o in range(outer):
        for i in range(inner):
            start = o * length * inner + i
            best = row_max(x, start, length, inner)
            if np.isinf(best):
                P(out)[o * inner + i] = best
            else:
                P(out)[o * inner + i] = best + np.log(row_exp_sum(x, start, length, inner, best))


def logsumexp_reverse(record, g, x, y, z, out, target, accumulate):
    outer, length, inner = three(record)
    for o in range(outer):
        for i in range(inner):
            u = P(g)[o * inner + i]
            total = P(out)[o * inner + i]
            for k in range(length):
                at = (o * length + k) * inner + i
                part = u * vecmath.exp(P(x)[at] - total) if u != 0 else 0
                P(target)[at] = part + (P(target)[at] if accumulate else 0)


def softmax_forward(record, out, x, y, z):
    outer, length, inner = three(record)
    for o in range(outer):
        for i in range(inner):
            start = o * length * inner + i
            best = row_max(x, start, length, inner)
            for k in range(length):
                at = start + k * inner
                P(out)[at] = vecmath.exp(P(x)[at] - best)
            scale = 1 / row_total(out, start, length, inner)
            for k in range(length):
                P(out)[start + k * inner] *= scale


def softmax_reverse(record, g, x, y, z, out, target, accumulate):
    outer, length, inner = three(record)
    for o in range(outer):
        for i in range(inner):
            start = o * length * inner + i
            mean = row_dot(g, out, start, length, inner)
            for k in range(length):
                at = start + k * inner
                off = P(g)[at] - mean
                part = P(out)[at] * off if off != 0 else 0
                P(target)[at] = part + (P(target)[at] if accumulate else 0)


def log_softmax_forward(record, out, x, y, z):
    outer, length, inner = three(record)
    for o in range(outer):
        for i in range(inner):
            start = o * length * inner + i
            best = row_max(x, start, length, inner)
            total = best + np.log(row_exp_sum(x, start, length, inner, best))
            for k in range(length):
                at = start + k * inner
                P(out)[at] = P(x)[at] - total


def log_softmax_reverse(record, g, x, y, z, out, target, accumulate):
    outer, length, inner = three(record)
    for o in range(outer):
        for i in range(inner):
            start = o * length * inner + i
            total = row_total(g, start, length, inner)
            for k in range(length):
                at = start + k * inner
                part = P(g)[at] - (vecmath.exp(P(out)[at]) * total if total != 0 else 0)
                P(target)[at] = part + (P(target)[at] if accumulate else 0)


KERNELS = {
    "cumsum": (cumsum_forward, cumsum_reverse),
    "amax": (amax_forward, extreme_reverse),
    "amin": (amin_forward, extreme_reverse),
    "logsumexp": (logsumexp_forward, logsumexp_reverse),
    "softmax": (softmax_forward, softmax_reverse),
    "log_softmax": (log_softmax_forward, log_softmax_reverse),
}
