"""Calls with other lengths where Python does something else at another length, or at one of the passes."""

import pytest
from length_cases import P, compare, name, series

import tapejit as tj


def limit(p, ys):
    a = p[0]
    for y in ys:
        a = a * p[1] + y
    return a * p[2] if len(ys) > 65 else a


def at_one_pass(p, ys):
    a = p[0]
    for i, y in enumerate(ys):
        a = a * p[1] + y
        if i == 64:
            a = a * 0.5
    return a


def before_the_end(p, ys):
    a = p[0]
    for i in range(len(ys)):
        a = a * p[1] + ys[i]
        if i == len(ys) - 2:
            a = a * 0.5
    return a


def every_third(p, ys):
    a = p[0]
    for i in range(len(ys)):
        a = a * p[1] + (ys[i] if i % 3 else 0.0)
    return a


def modulo(p, ys):
    a = p[0]
    for y in ys:
        a = a * p[1] + y
    return a * (len(ys) % 7)


def from_a_list(p, ys):
    rates = [1.0] * 65 + [0.9] * 5000
    a = p[0]
    for i in range(len(ys)):
        a = a * p[1] * rates[i] + ys[i]
    return a


def by_error(p, ys):
    a, rates = p[0], [1.0] * 65
    for i, y in enumerate(ys):
        try:
            a = a * p[1] * rates[i] + y
        except IndexError:
            a = a * 0.5
    return a


def by_text(p, ys):
    a = p[0]
    for i, y in enumerate(ys):
        a = a * p[1] + y * (0.5 if f"{i:03d}"[1] == "7" else 1.0)
    return a


def by_a_comprehension(p, ys):
    a = p[0]
    for y in [y * (1.0 if i < 65 else 0.5) for i, y in enumerate(ys)]:
        a = a * p[1] + y
    return a


def by_break(p, ys):
    a = p[0]
    for i, y in enumerate(ys):
        a = a * p[1] + y
        if i == 64:
            break
    return a


def a_mean_too(p, ys):
    a, centre = p[0], ys.mean()
    for y in ys:
        a = a * p[1] + (y - centre)
    return a


def a_mean_in_each(p, ys):
    a = p[0]
    for y in ys:
        a = a * p[1] + (y - ys.mean())
    return a


def a_sum_of_all(p, ys):
    a = p[0]
    for y in ys:
        a = a * p[1] + y
    return a + (ys * p[2]).sum()


def last_of_all(p, ys):
    a = p[0]
    for y in ys:
        a = a * p[1] + y
    return a * ys[-1] + ys[3]


def the_twelfth(p, ys):
    a = p[0]
    for y in ys:
        a = a * p[1] + y * ys[11]
    return a


def with_squares_of_counters(p, ys):
    a = p[0]
    for i, y in enumerate(ys):
        a = a * p[1] + y * (i * i % 5)
    return a


def along_two_thirds(p, ys):
    a = p[0]
    for i in range(0, len(ys), 3):
        a = a * p[1] + ys[i]
    return a


def half(p, ys):
    a = p[0]
    for i in range(len(ys) // 2):
        a = a * p[1] + ys[i]
    return a


def nested(p, ys):
    a = p[0]
    for i in range(len(ys)):
        for j in range(len(ys)):
            a = a * p[1] + ys[i] * ys[j]
    return a


def until(p, ys):
    a, i = p[0], 0
    while i < len(ys):
        a = a * p[1] + ys[i]
        i += 1
    return a


def last_counter(p, ys):
    a = p[0]
    for i, y in enumerate(ys):  # noqa: B007
        a = a * p[1] + y
    return a * (1.0 if i < 65 else 0.5)


def by_sign(p, ys):
    """A decision in each pass that the data make."""
    a = p[0]
    for y in ys:
        a = a * p[1] + (y if y > 0.2 else -y)
    return a


def until_large(p, ys):
    a = p[0]
    for y in ys:
        a = a + tj.abs(y) * p[1]
        if a > 40:
            break
    return a * p[2]


def windows(p, ys):
    a = p[0]
    for i in range(2, len(ys) - 2):
        a = a * p[1] + ys[i - 2] * ys[i + 2] + ys[i : i + 2].sum()
    return a


STEERED = [
    limit, at_one_pass, before_the_end, every_third, modulo, from_a_list, by_error, by_text, by_a_comprehension,
    by_break, a_mean_too, a_mean_in_each, a_sum_of_all, last_of_all, the_twelfth, with_squares_of_counters,
    along_two_thirds, half, until, last_counter, by_sign, until_large, windows,
]  # fmt: skip


@pytest.mark.parametrize("f", STEERED, ids=name)
def test_what_python_decides_by_a_length_is_not_left_out(f):
    compare(f, lambda n: (P, series(n)), (50, 57, 62, 75, 64, 65, 66, 67, 100, 20, 19, 12))


def test_loops_in_one_another():
    compare(nested, lambda n: (P, series(n)), (9, 10, 11, 12, 15))


@pytest.mark.parametrize("turn", [64, 65, 66])
@pytest.mark.parametrize("decide", [lambda n, t: n == t, lambda n, t: n >= t, lambda n, t: not n < t, lambda n, t: t <= n - 1])
def test_the_length_at_which_a_comparison_turns(decide, turn):
    def f(p, n):
        a = p[0]
        for _ in range(n):
            a = a * p[1] + p[2]
        return a * 0.5 if decide(n, turn) else a

    compare(f, lambda n: (P, n), (50, 55, 60, *range(62, 69), 80, 90))


@pytest.mark.parametrize("place", [0, 1, 2, 3, 5, 40, -1, -2, -3, -5])
def test_a_pass_that_differs(place):
    def f(p, ys):
        a = p[0]
        for i in range(len(ys)):
            a = a * p[1] + ys[i]
            if i == (place if place >= 0 else len(ys) + place):
                a = a * p[2]
        return a

    compare(f, lambda n: (P, series(n)), (50, 57, 62, 75, 39, 40, 41, 42, 8, 9, 10, 100))
