"""Random programs by the thousand: families whose members share one function compiled in nopython mode.

Compiling is nearly all of what a random program costs. A family (``Family``) is one function with five places, at each of which
an integer chooses among four random statements: a program is the five integers, so a hundred programs cost two compilations in
nopython mode, their values, decisions and derivatives are still their own. Eager code and recordings see one program each: the
integers are constants of theirs.

    python tests/program_families.py 20000 10000  # the programs 20000 to 29999, of the families 200 to 299

Every program is tried where it was recorded, nearby (the machine code at other values), and where operands tie.
"""

import argparse
import itertools
import random
import sys
import time

import numpy as np
from numba import njit
from three_ways import COMPILED, EAGER, SIZE, Writer

import tapejit as tj
from tapejit import nopython

MEMBERS = 100  # programs of a family
PLACES = 5
CHOICES = 4
WITHIN = ("value", 1e-11, 1e-15), ("gradient", 1e-7, 1e-9), ("product with the Hessian", 1e-6, 1e-8)


class Family(Writer):
    """The source of a family, and the choices that make its programs."""

    def __init__(self, seed):
        self.random = random.Random(f"family {seed}")
        self.seed = seed
        self.lines = ["def program(x, y, c):", "    s = y * 1.0", "    code = 1.0", "    v = x * 1.0", "    a = x[0] * y"]
        for place in range(PLACES):
            self.place(place)
        self.lines.append("    return s + code + 0.1 * a + 0.01 * total(v * x)")
        self.source = "\n".join(self.lines) + "\n"
        everything = list(itertools.product(range(CHOICES), repeat=PLACES))
        self.members = self.random.sample(everything, MEMBERS)

    def place(self, place):
        """One place: its four statements, alone or all of them in a loop or a branch."""
        depth, index = 1, None
        around = self.random.choice(["", "", "", "for", "if"])
        if around == "for":
            index = f"i{len(self.lines)}"
            self.put(1, f"for {index} in range(1, {self.random.randint(2, 3)}):")
        elif around == "if":
            self.put(1, f"if {self.condition(None)}:")
            self.put(2, "code = code * 0.5 + 0.3")
        depth += around != ""
        for choice in range(CHOICES):
            self.put(depth, f"{'el' * (choice > 0)}if c[{place}] == {choice}:")
            self.statement(depth + 1, index)

    def loop_ends(self):
        return 2, 3

    def functions(self):
        """The program over tensors and the one in nopython mode: functions of x, y and the choices."""
        found = []
        for names in (EAGER, COMPILED):
            namespace = dict(names)
            exec(compile(self.source, f"<family {self.seed}>", "exec"), namespace)
            found.append(namespace["program"])
        return found[0], njit(found[1])


def points(number):
    """Anywhere; close by; among few values, so that operands tie; and the first again, by then another path's."""
    rng = np.random.default_rng(number)
    x, y = rng.normal(size=SIZE), float(rng.normal())
    ties = rng.choice([-1.0, -0.5, 0.0, 0.5, 1.0], size=SIZE + 1)
    yield x, y
    yield x + 1e-3 * rng.normal(size=SIZE), y + 1e-3 * float(rng.normal())
    yield ties[:SIZE], float(ties[SIZE])
    yield x, y


def together(f):
    """Value, gradient and product with the Hessian as one function."""

    def everything(x, y, dx, dy):
        (value, gradient), (_, product) = tj.jvp(tj.value_and_grad(f, (0, 1)), (x, y), (dx, dy))
        return value, gradient, product

    return everything


def apart(f, compile):
    """The same of two functions."""
    first = tj.value_and_grad(f, (0, 1), compile=compile)
    second = tj.hvp(lambda z: f(*z), compile=compile)

    def everything(x, y, dx, dy):
        return *first(x, y), second((x, y), (dx, dy))

    return everything


def flat(found):
    value, first, second = found
    parts = (value,), first, second
    return [np.concatenate([np.ravel(np.asarray(p, dtype=float)) for p in part]) for part in parts]


class Ways:
    """A family in its three ways; in nopython mode compiled once, at the first program."""

    def __init__(self, seed):
        self.family = Family(seed)
        self.eager, native = self.family.functions()
        self.first, self.second = nopython.value_and_grad(native, (0, 1)), nopython.hvp(native, (0, 1))
        self.cpu = dict.fromkeys(("eager", "replay", "nopython"), 0.0)

    def call(self, way, function, *arguments):
        start = time.process_time()
        found = function(*arguments)
        self.cpu[way] += time.process_time() - start
        return flat(found)

    def check(self, member):
        """Raises AssertionError where value, decisions or derivatives of a member differ."""
        choices = self.family.members[member]
        program = lambda x, y: self.eager(x, y, choices)  # noqa: E731
        c = np.array(choices)
        eager = apart(program, "never")
        replay = apart(program, "now") if member % 4 == 0 else tj.jit(together(program), compile="now")
        native = lambda x, y, dx, dy: (*self.first(x, y, c), self.second(x, y, c, (dx, dy)))  # noqa: E731
        direction = np.random.default_rng(member).normal(size=SIZE + 1)
        for place, (x, y) in enumerate(points(self.family.seed * MEMBERS + member)):
            arguments = x, y, direction[:SIZE], direction[SIZE]
            expected = self.call("eager", eager, *arguments)
            for way, function in (("replay", replay), ("nopython", native)):
                found = self.call(way, function, *arguments)
                for a, b, (what, rtol, atol) in zip(found, expected, WITHIN, strict=True):
                    message = f"{what}, {way}, point {place}, choices {choices}\n{self.family.source}"
                    np.testing.assert_allclose(a, b, rtol=rtol, atol=atol, err_msg=message)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("first", type=int)
    parser.add_argument("count", type=int)
    arguments = parser.parse_args()
    ran = failed = 0
    ways = None
    for number in range(arguments.first, arguments.first + arguments.count):
        seed, member = divmod(number, MEMBERS)
        if ways is None or ways.family.seed != seed:
            ways = Ways(seed)
        ran += 1
        try:
            ways.check(member)
        except Exception as error:
            failed += 1
            print(f"program {number}: {type(error).__name__}: {str(error)[:4000]}", flush=True)
        if member == MEMBERS - 1:
            cpu = {way: round(seconds / MEMBERS, 3) for way, seconds in ways.cpu.items()}
            print(f"before program {number + 1}: {ran} tried, {failed} failed, CPU seconds a program {cpu}", flush=True)
    print(f"{ran} tried, {failed} failed")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
