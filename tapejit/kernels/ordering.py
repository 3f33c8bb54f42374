"""Kernels that put the elements of lines in order (see ``structured``); the plan is (outer, length, inner)."""

from tapejit.edge.jit import inner
from tapejit.edge.raw import as_f64 as P
from tapejit.kernels.along import three

SIZE = 8  # bytes of an element; rebound with P


def ascending_forward(record, out, x, y, z):
    order(record, out, x, 1)


def descending_forward(record, out, x, y, z):
    order(record, out, x, -1)


@inner
def order(record, out, x, sign):
    """Write the places of each line's elements in order, by a heap sort of the places where they stand.

    Equal elements keep their order: the place decides between them. NaN counts as larger than any number.
    """
    outer, length, step = three(record)
    for o in range(outer):
        for i in range(step):
            at = o * length * step + i
            for k in range(length):
                P(out)[at + k * step] = k
            for k in range(length // 2 - 1, -1, -1):
                sift(out, x, sign, at, step, k, length)
            for end in range(length - 1, 0, -1):
                first = P(out)[at]
                P(out)[at] = P(out)[at + end * step]
                P(out)[at + end * step] = first
                sift(out, x, sign, at, step, 0, end)


@inner
def sift(out, x, sign, at, step, k, end):
    """Let place k sink until none of the two below it comes later in the order."""
    place = P(out)[at + k * step]
    while 2 * k + 1 < end:
        child = 2 * k + 1
        if child + 1 < end and before(x, sign, at, step, P(out)[at + child * step], P(out)[at + (child + 1) * step]):
            child += 1
        if not before(x, sign, at, step, place, P(out)[at + child * step]):
            break
        P(out)[at + k * step] = P(out)[at + child * step]
        k = child
    P(out)[at + k * step] = place


@inner
def before(x, sign, at, step, i, j):
    """Whether element i of a line comes before element j."""
    a, b = P(x)[at + int(i) * step], P(x)[at + int(j) * step]
    if a != a or b != b:
        if a != a and b != b:
            return i < j
        return (a == a) if sign > 0 else (a != a)
    return sign * a < sign * b or (a == b and i < j)


KERNELS = {
    "ascending": (ascending_forward, None),
    "descending": (descending_forward, None),
}
