"""The checks before a strip is recorded: how far statements' numbers go on evenly, and what passes have in common."""

from tapejit.nopython.cache import helper
from tapejit.nopython.memory import as_i64
from tapejit.nopython.stripvectors import uneven

LEAST = 16  # passes: fewer are recorded one by one
NARROW = 6  # the same of a row, where rows go together
PATIENCE = 1023  # the most passes that go by before strips are tried again
MOST_ROWS = 63  # the most rows


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
    """How far n statements' numbers, ``step`` bytes apart, can be told in three parts, each with numbers that go up evenly.

    Returns (how many; where the first part, a head, ends; what its numbers begin with and by how much they go up; the same
    of those behind it; where the last part, a tail, begins; the same of its numbers). Each part's numbers are told from
    element 0 on, where they would have begun. The head is the shorter of the parts that a line begins with.
    """
    first = as_i64(address)[0]
    end, delta = even_run(address, step, 0, n)
    if end == n:
        return n, 0, 0, 0, first, delta, n, 0, 0
    head, head_step = 0, 0
    if end == 2:  # two numbers always go up evenly
        end, delta = even_run(address, step, 1, n)
        head = 1
        if end == 3 and end < n:
            head_step = as_i64(address + step)[0] - first
            end, delta = even_run(address, step, 2, n)
            head = 2
    elif delta == 0 or end <= n // 2:
        head, head_step = end, delta
        end, delta = even_run(address, step, head, n)
    base = as_i64(address + step * head)[0] - delta * head
    if end == n:
        return n, head, first, head_step, base, delta, n, 0, 0
    tail = end
    end, tail_step = even_run(address, step, tail, n)
    if end < n:  # no edge: what stands there may be what passes write
        return tail, head, first, head_step, base, delta, tail, 0, 0
    last = as_i64(address + step * tail)[0] - tail_step * tail
    return n, head, first, head_step, base, delta, tail, last, tail_step


@helper
def is_even(address, step, base, delta, begin, end):
    """Whether the statements' numbers of elements ``begin`` to ``end`` are base + delta * k."""
    k = begin
    if step == 16:
        while k < min(end, 1) and as_i64(address + step * k)[0] == base + delta * k:
            k += 1
        k = uneven(address, base, delta, k, end) if k > 0 else k
    while k < end and as_i64(address + step * k)[0] == base + delta * k:
        k += 1
    return k >= end


@helper
def scan_rows(address, step, row, n, begin, head, head_step, base, delta, end, tail, tail_step, rows):
    """For how many of some rows, ``row`` bytes apart, the numbers go as along the first line, from equal step to equal step.

    Returns (how many, by how much the base, the head and the tail go up from row to row).
    """
    if rows < 2:
        return rows, 0, 0, 0
    second = address + row
    on, head_on, tail_on = 0, 0, 0
    if begin < end:
        on = as_i64(second + step * begin)[0] - base - delta * begin
    if begin > 0:
        head_on = as_i64(second)[0] - head
    if end < n:
        tail_on = as_i64(second + step * end)[0] - tail - tail_step * end
    k = 1
    while k < rows:
        at = address + row * k
        if not is_even(at, step, base + on * k, delta, begin, end):
            break
        if begin > 0 and not is_even(at, step, head + head_on * k, head_step, 0, begin):
            break
        if end < n and not is_even(at, step, tail + tail_on * k, tail_step, end, n):
            break
        k += 1
    return k, on, head_on, tail_on


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


@helper
def rows_apart(a, row_a, step_a, b, row_b, step_b, n, rows):
    """How many of some rows of n passes there are in which two accesses have no byte in common: all, or the first."""
    low_a, high_a = min(a, a + step_a * (n - 1)), max(a, a + step_a * (n - 1)) + 16
    low_b, high_b = min(b, b + step_b * (n - 1)), max(b, b + step_b * (n - 1)) + 16
    further_a, further_b = row_a * (rows - 1), row_b * (rows - 1)
    low_a, high_a = low_a + min(further_a, 0), high_a + max(further_a, 0)
    low_b, high_b = low_b + min(further_b, 0), high_b + max(further_b, 0)
    return rows if high_a <= low_b or high_b <= low_a else 1


@helper
def rows_before(read, row_read, step_read, store, row_store, step_store, n, rows):
    """How many of some rows there are before one that reads what an earlier row stored in the same array."""
    if rows_apart(read, row_read, step_read, store, row_store, step_store, n, rows) == rows:
        return rows
    if row_read != row_store or step_read not in (0, step_store) or step_store == 0:
        return 1
    least = 1 - n if step_read != 0 else 0
    for k in range(1, rows):  # what is read now was stored k rows earlier
        between = read + row_read * k - store
        if between % step_store == 0 and least <= between // step_store < n:
            return k
    return rows
