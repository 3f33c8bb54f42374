"""Strips on the tape: their layout, and their part of the reverse sweep.

A strip of n passes through one statement takes n statements' numbers. The passes may be several rows (see ``striprows``); then
strips of one loop share the numbers, those of a row for one after the other, so that they do not tell what rows went together.
Its place among the terms is

    coefficients  n for each coefficient that varies
    indices       at the end: words for each line of operands, then eight for the strip

Lines of one array that are rows of it, one at a fixed distance from the other, stand together in a *plane*, whose words are the
number of its lines, and whether they are joint: the same line, as many rows further as their members say. Behind them are
first the words of all lines, then those of all members.

A line is a row of elements that terms refer to, each at an offset of its own. Its words: what would be the statement of
its first element, the step from element to element, and the elements for which that does not hold: what would be the first
statement of those at the beginning, how many they are, the same of those at the end, the first of them, and the steps of
both; by how much these three statements go up from row to row; then the number of terms, its members. Each of them has six
words: its offset, where its coefficients are (0 if it has one for all passes), that one, how many rows behind the plane's
first line its own is, and one that is free.
The strip's: its first statement, by how much that goes up from row to row, passes in a row, the number of the words before,
all passes, the running sum it adds to (or -1), statements, its first term. The count of the strip's last statement is
``STRIP``. A strip that adds to a running sum takes one statement.
"""

import numpy as np

from tapejit.nopython.cache import helper
from tapejit.nopython.memory import as_f64, as_i32, read
from tapejit.nopython.statementtape import ADJOINTS, COEFFICIENTS, COUNTS, INDICES
from tapejit.nopython.stripplanes import FEW, FEW_VARYING, add_plane
from tapejit.nopython.stripvectors import (
    MEMBER,
    add_line,
    add_multiples,
    add_products,
    fetch_lines,
    set_to_zero,
    sum_of,
    sum_of_products,
)

PLANE = 2  # words of a plane without its lines
LINE = 12  # words of a line without its terms
OWN = 8  # words of a strip without its lines


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
        constant &= words[at + MEMBER * k + 1] == 0 and np.isfinite(constants[k * (MEMBER // 2)])
    return constant


@helper
def sweep_strip(tape, k, p):
    """Sweep the strip that ends with statement ``k`` and before term ``p``; its first term."""
    adjoints, coefficients = read(tape, ADJOINTS, 0), read(tape, COEFFICIENTS, 0)
    indices = read(tape, INDICES, 0)
    words = as_i32(indices)
    start, total, n, length, width = words[p - 1], words[p - 3], words[p - 4], words[p - 5], words[p - 6]
    first, further = words[p - 8], words[p - 7]
    fetch_lines(indices + 4 * start, 6)  # the strip's before
    fetch_lines(read(tape, COUNTS, 0) + 4 * k, 1)
    at = p - OWN - length
    if total >= 0:
        a = as_f64(adjoints)
        seed = a[total]
        a[k] = 0.0
        if seed != 0.0:
            sweep_sum(adjoints, coefficients, indices, at, p - OWN, n, total, seed)
        return start
    rows = n // width
    while at < p - OWN:
        lines, joint = words[at], words[at + 1] != 0
        at += PLANE
        member = at + LINE * lines
        if joint and rows > 1:
            member = sweep_plane(adjoints, coefficients, indices, at, lines, first, further, width, rows)
        else:
            for _ in range(lines):
                for row in range(rows):
                    seeds = adjoints + 8 * (first + further * row)
                    sweep_line(adjoints, coefficients, indices, at, member, row, width, seeds, -1, 0.0)
                member += MEMBER * words[at + LINE - 1]
                at += LINE
        at = member
    if further == width:  # those of later statements are zero
        set_to_zero(adjoints + 8 * first, n)
    else:
        for row in range(rows):
            set_to_zero(adjoints + 8 * (first + further * row), width)
    return start


@helper
def sweep_sum(adjoints, coefficients, indices, at, end, n, total, seed):
    """The lines of a strip that adds to a sum, whose words stand from ``at`` to ``end``."""
    words = as_i32(indices)
    while at < end:
        lines = words[at]
        at += PLANE
        member = at + LINE * lines
        for _ in range(lines):
            count = words[at + 11]
            alone = count == 1 and words[member] == 0 and words[at + 3] == 0 and words[at + 5] >= n
            if alone and words[at + 1] == 1:
                place = words[member + 1]
                c = coefficients + 8 * place if place != 0 else indices + 4 * (member + 2)
                add_multiples(adjoints + 8 * words[at], seed, c, n, place != 0)
            else:
                sweep_line(adjoints, coefficients, indices, at, member, 0, n, 0, total, seed)
            member += MEMBER * count
            at += LINE
        at = member


@helper
def sweep_plane(adjoints, coefficients, indices, at, lines, first, further, n, rows):
    """Rows of n passes and the terms along a plane's lines, whose words stand from ``at`` on; where the plane's words end."""
    words = as_i32(indices)
    member = at + LINE * lines
    base, step, begin, end, on = words[at], words[at + 1], words[at + 3], words[at + 5], words[at + 8]
    count = 0
    for k in range(lines):
        count += words[at + LINE * (k + 1) - 1]
    behind = member + MEMBER * count
    depth = words[behind - 2]  # the last line's row
    active = base != 0 or step != 0 or on != 0
    together = active and step == 1 and rows > depth
    if together:
        constant = are_constant(indices, member, count)
        if on == n and further == n and begin == 0 and end == n and depth == 0:  # rows without a gap between them
            offset = 0
            for k in range(count):
                offset += abs(words[member + MEMBER * k])
            if offset == 0:
                end, n, rows = end * rows, n * rows, 1
        done, few = 0, FEW if constant else FEW_VARYING
        target, seeds = adjoints + 8 * (base + on * depth), adjoints + 8 * (first + further * depth)
        c = coefficients + 8 * n * depth
        while done < count:
            some, members = min(few, count - done), indices + 4 * (member + MEMBER * done)
            add_plane(target, 8 * on, seeds, 8 * further, c, members, some, begin, end, n, rows - depth, constant)
            done += some
    if rows == 1:
        return behind
    for _ in range(lines):
        row = words[member + 4]
        ends = words[at + 2] != 0 or words[at + 4] != 0 or words[at + 9] != 0 or words[at + 10] != 0
        for r in range(rows):
            seeds = adjoints + 8 * (first + further * r)
            if not together or r < depth - row or r >= rows - row:
                sweep_line(adjoints, coefficients, indices, at, member, r, n, seeds, -1, 0.0)
            elif ends:
                sweep_ends(adjoints, coefficients, indices, at, member, r, n, seeds, -1, 0.0)
        member += MEMBER * words[at + LINE - 1]
        at += LINE
    return member


@helper
def sweep_line(adjoints, coefficients, indices, at, member, row, n, seeds, total, seed):
    """A row of n passes and the terms along one line, whose words stand at ``at``, and those of its members at ``member``."""
    words, own = as_i32(indices), coefficients + 8 * n * row
    base, step, begin, end, count = words[at], words[at + 1], words[at + 3], words[at + 5], words[at + 11]
    base += row * words[at + 8]
    active = base != 0 or step != 0  # or they are constants
    constant = total < 0 and are_constant(indices, member, count)
    together = active and step == 1 and (count > 1 or constant)
    first, members, target = member, indices + 4 * member, adjoints + 8 * base
    if together and constant and count <= FEW:
        add_plane(target, 0, seeds, 0, own, members, count, begin, end, n, 1, True)
    elif together:
        add_line(target, seeds, own, members, count, begin, end, n, total >= 0, seed)
    if active and not together:
        for _ in range(count):
            offset, place = words[member], words[member + 1]
            varies = place != 0
            low, high = min(max(begin - offset, 0), n), min(max(end - offset, 0), n)
            c = own + 8 * (place + low) if varies else indices + 4 * (member + 2)
            target = adjoints + 8 * (base + step * (low + offset))
            add_passes(target, step, seeds + 8 * low, c, high - low, varies, total >= 0, seed)
            member += MEMBER
    sweep_ends(adjoints, coefficients, indices, at, first, row, n, seeds, total, seed)


@helper
def sweep_ends(adjoints, coefficients, indices, at, member, row, n, seeds, total, seed):
    """The same for the elements at both ends that have a statement of their own."""
    words = as_i32(indices)
    head, begin, tail, end = words[at + 2], words[at + 3], words[at + 4], words[at + 5]
    head_step, tail_step = words[at + 6], words[at + 7]
    head += row * words[at + 9]
    tail += row * words[at + 10]
    if head == 0 and tail == 0 and head_step == 0 and tail_step == 0:
        return
    coefficients = coefficients + 8 * n * row
    for _ in range(words[at + 11]):
        offset, place = words[member], words[member + 1]
        varies = place != 0
        low, high = min(max(begin - offset, 0), n), min(max(end - offset, 0), n)
        c = coefficients + 8 * place if varies else indices + 4 * (member + 2)
        if low > 0 and (head != 0 or head_step != 0):
            target = adjoints + 8 * (head + head_step * offset)
            add_passes(target, head_step, seeds, c, low, varies, total >= 0, seed)
        if high < n and (tail != 0 or tail_step != 0):
            target, c_high = adjoints + 8 * (tail + tail_step * (offset + high)), c + 8 * high if varies else c
            add_passes(target, tail_step, seeds + 8 * high, c_high, n - high, varies, total >= 0, seed)
        member += MEMBER
