"""Strips on the tape: their layout, the checks before one is recorded, and their part of the reverse sweep.

A strip of n passes through one statement takes n statements' numbers. Its place among the terms is

    coefficients  n for each coefficient that varies
    indices       at the end: words for each line of operands, then five for the strip

A line is a row of elements that terms refer to, each at an offset of its own. Its words: what would be the statement of
its first element, the step from element to element, and the elements for which that does not hold: the statement of those
at the beginning, how many they are, the statement of those at the end, the first of them; then the number of terms, and for
each four words: its offset, where its coefficients are (0 if it has one for all passes), and that one.
The strip's: the number of the lines' words, passes, the running sum it adds to (or -1), statements, its first term. The
count of the strip's last statement is ``STRIP``. A strip that adds to a running sum takes one statement.
"""

import numpy as np

from tapejit.nopython.cache import helper
from tapejit.nopython.memory import as_f64, as_i32, as_i64, read
from tapejit.nopython.statementtape import ADJOINTS, COEFFICIENTS, COUNTS, INDICES
from tapejit.nopython.stripvectors import (
    FEW,
    MEMBER,
    add_constants,
    add_line,
    add_multiples,
    add_products,
    fetch_lines,
    set_to_zero,
    sum_of,
    sum_of_products,
    uneven,
)

LEAST = 16  # passes: fewer are recorded one by one
LINE = 7  # words of a line without its terms
PATIENCE = 1023  # the most passes that go by before strips are tried again


@helper
def even_run(address, step, k, n):
    """(where the statements' numbers that go up evenly from element ``k`` on end, by how much), of n, ``step`` bytes apart."""
    first = as_i64(address + step * k)[0]
    if k + 1 >= n:
        return n, 0
    delta = as_i64(address + step * (k + 1))[0] - first
    base = first - delta * k
    k += 2
    if step == 16:
        k = uneven(address, base, delta, k, n)
    while k < n and as_i64(address + step * k)[0] == base + delta * k:
        k += 1
    return k, delta


@helper
def scan_line(address, step, n):
    """How far n statements' numbers, ``step`` bytes apart, can be told in three parts.

    Returns (how many, the end of a head of equal numbers, its number, what the numbers that go up evenly behind it would
    have begun with, by how much they go up, where a tail of equal numbers begins, its number).
    """
    first = as_i64(address)[0]
    end, delta = even_run(address, step, 0, n)
    if end == n:
        return n, 0, 0, first, delta, n, 0
    head = 0
    if delta == 0:
        head = end
    elif end == 2:
        head = 1
    if head > 0:
        end, delta = even_run(address, step, head, n)
    base = as_i64(address + step * head)[0] - delta * head
    if end == n:
        return n, head, first, base, delta, n, 0
    tail = end
    last = as_i64(address + step * tail)[0]
    while end < n and as_i64(address + step * end)[0] == last:
        end += 1
    if end < n:  # no edge: what stands there may be what passes write
        return tail, head, first, base, delta, tail, 0
    return end, head, first, base, delta, tail, last


@helper
def keep_apart(a, step_a, b, step_b, n):
    """Whether two accesses, each to 16 bytes at every step, have no byte in common."""
    low_a, high_a = min(a, a + step_a * (n - 1)), max(a, a + step_a * (n - 1)) + 16
    low_b, high_b = min(b, b + step_b * (n - 1)), max(b, b + step_b * (n - 1)) + 16
    return high_a <= low_b or high_b <= low_a


@helper
def passes_before(read, step_read, store, step_store, n, first):
    """How many of n passes there are before one that reads what an earlier pass stored.

    ``first`` if a pass itself reads before it stores.
    """
    if keep_apart(read, step_read, store, step_store, n):
        return n
    if step_store == 0 or step_read not in (0, step_store):
        return 0
    if (read - store) % step_store != 0:
        return n
    ahead = (read - store) // step_store
    if step_read == 0:  # pass ``ahead`` stores what all read
        return min(n, ahead + (first != 0)) if ahead >= 0 else n
    if ahead == 0:
        return n if first != 0 else 0
    return n if ahead > 0 else min(n, -ahead)


@helper(fastmath={"contract"}, inline="always")
def _slope(seed, coefficient):
    """A coefficient for an adjoint: one that is zero adds nothing, even where the slope is infinite."""
    return coefficient if seed != 0.0 else 0.0


@helper(fastmath={"contract"})
def add_strip(target, step, seeds, coefficients, n, varies):
    """target[step * j] += seeds[j] * coefficients[j], for arrays at given addresses."""
    if step == 1:
        add_products(target, seeds, coefficients, n, varies)
        return
    t, a, c = as_f64(target), as_f64(seeds), as_f64(coefficients)
    if step == 0:
        if varies:
            t[0] = t[0] + sum_of_products(seeds, coefficients, n)
        else:
            total = sum_of(seeds, n)
            t[0] = t[0] + total * _slope(total, c[0])
    else:
        for j in range(n):
            t[step * j] = t[step * j] + a[j] * _slope(a[j], c[j] if varies else c[0])


@helper(fastmath={"contract"})
def add_strip_of_sum(target, step, seed, coefficients, n, varies):
    """The same with one seed for all passes."""
    if seed == 0.0:
        return
    if step == 1:
        add_multiples(target, seed, coefficients, n, varies)
        return
    t, c = as_f64(target), as_f64(coefficients)
    if step == 0:
        t[0] = t[0] + seed * (sum_of(coefficients, n) if varies else n * c[0])
    else:
        for j in range(n):
            t[step * j] = t[step * j] + seed * (c[j] if varies else c[0])


@helper
def add_passes(target, step, seeds, coefficients, n, varies, of_sum, seed):
    """Either of both."""
    if of_sum:
        add_strip_of_sum(target, step, seed, coefficients, n, varies)
    else:
        add_strip(target, step, seeds, coefficients, n, varies)


@helper
def are_constant(indices, at, count):
    """Whether all terms of a line have one finite coefficient each for all passes."""
    words, constants = as_i32(indices), as_f64(indices + 4 * at + 8)
    constant = True
    for k in range(count):
        constant &= words[at + MEMBER * k + 1] == 0 and np.isfinite(constants[k * MEMBER // 2])
    return constant


@helper
def sweep_strip(tape, k, p):
    """Sweep the strip that ends with statement ``k`` and before term ``p``; its first term."""
    adjoints, coefficients = read(tape, ADJOINTS, 0), read(tape, COEFFICIENTS, 0)
    indices = read(tape, INDICES, 0)
    words = as_i32(indices)
    start, total, n, length = words[p - 1], words[p - 3], words[p - 4], words[p - 5]
    a = as_f64(adjoints)
    first = k if total >= 0 else k - n + 1
    seed = a[total] if total >= 0 else 0.0
    if total >= 0:
        a[k] = 0.0
    seeds = adjoints + 8 * first
    fetch_lines(indices + 4 * start, 6)  # the strip's before
    fetch_lines(read(tape, COUNTS, 0) + 4 * first, 1)
    at = p - 5 - length
    while at < p - 5:
        base, step, head, begin = words[at], words[at + 1], words[at + 2], words[at + 3]
        tail, end, count = words[at + 4], words[at + 5], words[at + 6]
        at += LINE
        active = base != 0 or step != 0  # or they are constants
        constant = total < 0 and are_constant(indices, at, count)
        together = active and step == 1 and (count > 1 or constant)
        members, target = indices + 4 * at, adjoints + 8 * base
        if together and constant and count <= FEW:
            add_constants(target, seeds, members, count, begin, end, n)
        elif together:
            add_line(target, seeds, coefficients, members, count, begin, end, n, total >= 0, seed)
        for _ in range(count):
            offset, place = words[at], words[at + 1]
            at += MEMBER
            varies = place != 0
            c = coefficients + 8 * place if varies else indices + 4 * (at - 2)
            low, high = min(max(begin - offset, 0), n), min(max(end - offset, 0), n)
            if active and not together:
                target = adjoints + 8 * (base + step * (low + offset))
                c_low = c + 8 * low if varies else c
                add_passes(target, step, seeds + 8 * low, c_low, high - low, varies, total >= 0, seed)
            if head != 0 and low > 0:
                add_passes(adjoints + 8 * head, 0, seeds, c, low, varies, total >= 0, seed)
            if tail != 0 and high < n:
                c_high = c + 8 * high if varies else c
                target = adjoints + 8 * tail
                add_passes(target, 0, seeds + 8 * high, c_high, n - high, varies, total >= 0, seed)
    if total < 0:
        set_to_zero(seeds, n)  # those of later statements are zero
    return start
