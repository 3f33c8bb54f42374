"""Strips on the tape: their layout, the checks before one is recorded, and their part of the reverse sweep.

A strip of n passes through one statement takes n statements' numbers. Its place among the terms is

    coefficients  the address of ``sweep_strip``, then n for each coefficient that varies, one for each other term
    indices       at the end: four words for each term, then five for the strip

A term's words: the first operand's statement, the step from pass to pass, where its coefficients are, whether they vary.
The strip's: terms, passes, the running sum it adds to (or -1), statements, its first term. The count of the strip's last
statement is ``CALL`` (see ``tape``). A strip that adds to a running sum takes one statement.
"""

from tapejit.nopython.cache import helper
from tapejit.nopython.memory import as_f64, as_i32, as_i64, read
from tapejit.nopython.statementtape import ADJOINTS, COEFFICIENTS, INDICES

LEAST = 16  # passes: fewer are recorded one by one
PATIENCE = 1023  # the most passes that go by before strips are tried again


@helper
def run_length(address, step, n):
    """(how many of n statements' numbers, ``step`` bytes apart, go up evenly; the first; by how much)."""
    first = as_i64(address)[0]
    if n < 2:
        return n, first, 0
    delta = as_i64(address + step)[0] - first
    k = 2
    if step == 16:
        numbers = as_i64(address)
        while k + 16 <= n:
            uneven = 0
            for j in range(16):
                uneven |= numbers[2 * (k + j)] - first - delta * (k + j)
            if uneven != 0:
                break
            k += 16
    while k < n and as_i64(address + step * k)[0] == first + delta * k:
        k += 1
    return k, first, delta


@helper
def keep_apart(a, step_a, b, step_b, n):
    """Whether two accesses, each to 16 bytes at every step, have no byte in common."""
    low_a, high_a = min(a, a + step_a * (n - 1)), max(a, a + step_a * (n - 1)) + 16
    low_b, high_b = min(b, b + step_b * (n - 1)), max(b, b + step_b * (n - 1)) + 16
    return high_a <= low_b or high_b <= low_a


@helper
def reads_before(read, step_read, store, step_store, n, first):
    """Whether no pass reads what an earlier pass stored; ``first`` if a pass itself reads before it stores."""
    if keep_apart(read, step_read, store, step_store, n):
        return True
    if step_read != step_store or step_store == 0:
        return False
    ahead = read - store
    if ahead % step_store != 0:
        return True
    ahead //= step_store
    return ahead > 0 or ahead <= -n or (ahead == 0 and first != 0)


@helper(fastmath={"contract", "reassoc"}, inline="always")
def _slope(seed, coefficient):
    """A coefficient for an adjoint: one that is zero adds nothing, even where the slope is infinite."""
    return coefficient if seed != 0.0 else 0.0


@helper(fastmath={"contract", "reassoc"})
def add_strip(target, step, seeds, coefficients, n, varies):
    """target[step * j] += seeds[j] * coefficients[j], for arrays at given addresses."""
    t, a, c = as_f64(target), as_f64(seeds), as_f64(coefficients)
    if step == 1:
        if varies:
            for j in range(n):
                t[j] = t[j] + a[j] * _slope(a[j], c[j])
        else:
            factor = c[0]
            for j in range(n):
                t[j] = t[j] + a[j] * factor
    elif step == 0:
        total = 0.0
        if varies:
            for j in range(n):
                total += a[j] * _slope(a[j], c[j])
        else:
            for j in range(n):
                total += a[j]
            total *= c[0]
        t[0] = t[0] + total
    else:
        for j in range(n):
            t[step * j] = t[step * j] + a[j] * _slope(a[j], c[j] if varies else c[0])


@helper(fastmath={"contract", "reassoc"})
def add_strip_of_sum(target, step, seed, coefficients, n, varies):
    """The same with one seed for all passes."""
    if seed == 0.0:
        return
    t, c = as_f64(target), as_f64(coefficients)
    if step == 1:
        if varies:
            for j in range(n):
                t[j] = t[j] + seed * c[j]
        else:
            constant = seed * c[0]
            for j in range(n):
                t[j] = t[j] + constant
    elif step == 0:
        total = 0.0
        if varies:
            for j in range(n):
                total += c[j]
        else:
            total = n * c[0]
        t[0] = t[0] + total * seed
    else:
        for j in range(n):
            t[step * j] = t[step * j] + seed * (c[j] if varies else c[0])


@helper
def sweep_strip(tape, k, p):
    """Sweep the strip that ends with statement ``k`` and before term ``p``; its first term."""
    adjoints, coefficients = read(tape, ADJOINTS, 0), read(tape, COEFFICIENTS, 0)
    words = as_i32(read(tape, INDICES, 0))
    start, total, n, terms = words[p - 1], words[p - 3], words[p - 4], words[p - 5]
    a = as_f64(adjoints)
    first = k if total >= 0 else k - n + 1
    seed = a[total] if total >= 0 else 0.0
    if total >= 0:
        a[k] = 0.0
    for t in range(terms):
        at = p - 5 - 4 * (terms - t)
        base, step, place, varies = words[at], words[at + 1], words[at + 2], words[at + 3]
        if base == 0 and step == 0:
            continue  # constants
        target, c = adjoints + 8 * base, coefficients + 8 * place
        if total >= 0:
            add_strip_of_sum(target, step, seed, c, n, varies != 0)
        else:
            add_strip(target, step, adjoints + 8 * first, c, n, varies != 0)
    if total < 0:
        for j in range(first, k + 1):
            a[j] = 0.0
    return start
