"""Loops along a length in which something remembers how often it was asked: what it says in a later pass, nobody has seen."""

import itertools

import numpy as np
import pytest
from length_cases import P, compare, name, series

TURNING = 50, 57, 62, 75, 64, 65, 66, 67, 100, 20, 19, 12  # lengths around those at which it says something else
RATES = [1.0] * 65 + [0.5] * 5000


class Schedule:
    """Says something else from the 66th time on."""

    def __init__(self):
        self.calls = 0

    def __call__(self):
        self.calls += 1
        return 1.0 if self.calls <= 65 else 0.5

    @property
    def rate(self):
        return self()

    def __mul__(self, other):
        return other * self()

    __rmul__ = __mul__


class Truth:
    """Is true 65 times."""

    def __init__(self):
        self.calls = 0

    def __bool__(self):
        self.calls += 1
        return self.calls <= 65

    def __len__(self):
        return 1 + bool(self)

    def __float__(self):
        return 1.0 + bool(self)

    def __gt__(self, other):
        return bool(self)

    def __neg__(self):
        return 1.0 if self else 0.5

    def __contains__(self, x):
        return bool(self)


SCHEDULE, TRUTH = Schedule(), Truth()


def reset():
    SCHEDULE.calls = TRUTH.calls = 0
    return 1.0


FORM = """
def f(p, ys):
    a = p[0] * reset()
    {before}
    for y in ys:
        {each}
        a = a * p[1] + {term}
    return a
"""
CASES = {  # what stands before the loop, in each pass, and the term that is added in it
    "a number that is counted": ("k = 0", "k = k + 1", "y * (1.0 if k <= 65 else 0.5)"),
    "a list that grows": ("seen = []", "seen.append(y)", "y * (1.0 if len(seen) < 65 else 0.5)"),
    "an iterator": ("rates = iter(RATES)", "", "y * next(rates)"),
    "an object that is called": ("schedule = Schedule()", "", "y * schedule()"),
    "a property": ("schedule = Schedule()", "", "y * schedule.rate"),
    "an operator": ("schedule = Schedule()", "", "schedule * y"),
    "a global object": ("", "", "SCHEDULE * y"),
    "a global object on the right": ("", "", "y * SCHEDULE"),
    "the truth of an object": ("", "", "(y if TRUTH else 0.5 * y)"),
    "that it is not true": ("", "", "(0.5 * y if not TRUTH else y)"),
    "the length of an object": ("", "", "y * len(TRUTH)"),
    "an object as a number": ("", "", "y * float(TRUTH)"),
    "the order of an object": ("", "", "(y if TRUTH > 0 else 0.5 * y)"),
    "the sign of an object": ("", "", "y * -TRUTH"),
    "what an object contains": ("", "", "(y if 1 in TRUTH else 0.5 * y)"),
    "a number in a dict": ("seen = {'n': 0}", "seen['n'] += 1", "y * (1.0 if seen['n'] <= 65 else 0.5)"),
    "a number in an array": ("seen = np.zeros(1)", "seen += 1.0", "y * (1.0 if seen[0] <= 65 else 0.5)"),
    "an array of two names": ("again = seen = np.zeros(1)", "again += 1.0", "y * (1.0 if seen[0] <= 65 else 0.5)"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_remembers_is_asked_in_every_pass(case):
    before, each, term = CASES[case]
    space = {"np": np, "reset": reset, "RATES": RATES, "Schedule": Schedule, "SCHEDULE": SCHEDULE, "TRUTH": TRUTH}
    exec(FORM.format(before=before, each=each, term=term), space)
    compare(space["f"], lambda n: (P, series(n)), TURNING)


def by_an_inner_iterator(p, ys):
    a, rates = p[0], iter(RATES)
    for y in ys:
        for rate in rates:
            a = a * p[1] + y * rate
            break
    return a


def by_endless_count(p, ys):
    a, count = p[0], itertools.count()
    for y in ys:
        for k in count:
            a = a * p[1] + y * (1.0 if k < 65 else 0.5)
            break
    return a


def by_a_ufunc_of_python(p, ys):
    calls = []

    def rate(x):
        calls.append(1)
        return 1.0 if len(calls) <= 65 else 0.5

    made = np.frompyfunc(rate, 1, 1)
    a = p[0]
    for y in ys:
        a = a * p[1] + y * float(made(1.0))
    return a


def by_a_closure(p, ys):
    calls = 0

    def rate():
        nonlocal calls
        calls += 1
        return 1.0 if calls <= 65 else 0.5

    a = p[0]
    for y in ys:
        a = a * p[1] + y * rate()
    return a


def by_a_default(p, ys):
    def rate(calls=[]):  # noqa: B006
        calls.append(1)
        return 1.0 if len(calls) <= 65 else 0.5

    a = p[0]
    for y in ys:
        a = a * p[1] + y * rate()
    return a


OTHERS = [by_an_inner_iterator, by_endless_count, by_a_ufunc_of_python, by_a_closure, by_a_default]


@pytest.mark.parametrize("f", OTHERS, ids=name)
def test_what_remembers_in_other_functions(f):
    compare(f, lambda n: (P, series(n)), TURNING)
