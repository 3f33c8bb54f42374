"""Random programs that run in all three ways in: numbers, vectors, loops, branches, ``while``, every decision in the result.

A program is written once, over names that each way in binds to its own functions: ``sin`` of a number, ``vsin`` of a vector.
``code`` collects the decisions, so that a program that decides otherwise has another value.

    python tests/three_ways.py 0 10000 --compiled 20 --nopython 100  # seeds; every how many as machine code, in nopython mode

All other programs are replayed by the interpreter of recordings, a twentieth of the time that compiling one takes.
Smaller ones, a hundred of which are compiled together: ``program_families``.
"""

import argparse
import math
import random
import sys

import numpy as np
from numba import njit

import tapejit as tj
from tapejit import nopython
from tapejit.replay import background

SIZE = 6
JOINED = f"def joined(z):\n    return program(z[:{SIZE}], z[{SIZE}])\n"  # one argument, for second derivatives
EAGER = {f"{v}{n}": getattr(tj, n) for n in ("sin", "cos", "tanh", "exp", "sqrt", "atan") for v in ("", "v")}
EAGER |= {"larger": tj.maximum, "smaller": tj.minimum, "total": tj.sum, "where": tj.where, "dot": tj.dot}
COMPILED = {n: getattr(math, n) for n in ("sin", "cos", "tanh", "exp", "sqrt", "atan")}
COMPILED |= {f"v{n}": getattr(np, n) for n in ("sin", "cos", "tanh", "exp", "sqrt")} | {"vatan": np.arctan}
COMPILED |= {"larger": max, "smaller": min, "total": np.sum, "where": np.where, "dot": np.dot}


class Writer:
    """The source of one program, from a seed."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.lines = ["def program(x, y):", "    s = y * 1.0", "    code = 1.0", "    v = x * 1.0", "    a = x[0] * y"]
        self.count = 0
        for _ in range(self.random.randint(3, 8)):
            self.statement(1, None)
        self.lines.append("    return s + code + 0.1 * a + 0.01 * total(v * x)")
        self.source = "\n".join(self.lines) + "\n"

    def put(self, depth, text):
        self.lines.append("    " * depth + text)

    def number(self, index):
        places = [f"[{self.random.randrange(SIZE)}]"] + ([f"[{index}]", f"[{index} - 1]"] if index else [])
        place = self.random.choice(places)
        return self.random.choice(["s", "a", "y", f"x{place}", f"v{place}", f"{self.random.uniform(-2, 2):.2f}"])

    def expression(self, index):
        p, q = self.number(index), self.number(index)
        r = self.random.choice(["s", "a", "y"])
        return self.random.choice([
            f"{p} * {r}", f"{p} + {r}", f"{r} - {q}", f"{p} / (1.5 + {r} * {r})", f"sin({r} * {p})", f"cos({r} + {q})",
            f"exp(-{r} * {r}) + {p}", f"sqrt(1.0 + {r} * {r})", f"atan({r}) * {q}", f"larger({r}, {p} + {r} * 0.3)",
            f"smaller({r} * 0.5, {q} * {r})", f"abs({r} - {p})", f"({r} + 0.1) ** 2", f"{r} ** 3 * 0.1",
            "total(vsin(v))", "dot(x, v)", "total(v[1:] * v[:-1]) / 6.0",
        ])  # fmt: skip

    def vector(self):
        r = self.random.choice(["s", "a", "y"])
        return self.random.choice([
            "vtanh(v + x)", f"v * {r} - x", "vsin(v) * x", f"where(v > {r}, v * 0.5, x - v)", "vexp(-v * v) + x",
            "vsqrt(v * v + 1.0)", f"v / (1.0 + {r} * {r})", "where(x > 0.5, v, 1.0 - v)", "vatan(v * x)",
        ])  # fmt: skip

    def loop_ends(self):
        """How many passes a ``for`` and a ``while`` may have, at most."""
        return SIZE - 1, 5

    def condition(self, index):
        left = self.random.choice(["s", "a", "y", "total(v)"])
        return f"{left} {self.random.choice(['>', '<', '>=', '<='])} {self.number(index)}"

    def statement(self, depth, index):
        kind = self.random.choice("assign assign vector if for while".split() if depth < 3 else "assign vector".split())
        if kind == "assign":
            self.put(depth, f"{self.random.choice('sa')} = tanh({self.expression(index)})")
        elif kind == "vector":
            self.put(depth, f"v = {self.vector()}")
        elif kind == "if":
            self.put(depth, f"if {self.condition(index)}:")
            self.put(depth + 1, "code = code * 0.5 + 1.0")
            self.statement(depth + 1, index)
            self.put(depth, "else:")
            self.put(depth + 1, "code = code * 0.5")
            self.statement(depth + 1, index)
        elif kind == "for":
            name = f"i{len(self.lines)}"
            self.put(depth, f"for {name} in range(1, {self.random.randint(2, self.loop_ends()[0] + 1)}):")
            for _ in range(self.random.randint(1, 2)):
                self.statement(depth + 1, name)
        else:
            name = f"k{len(self.lines)}"
            self.put(depth, f"{name} = 0")
            self.put(depth, f"while {name} < {self.random.randint(1, self.loop_ends()[1])} and {self.condition(index)}:")
            self.put(depth + 1, f"{name} += 1")
            self.put(depth + 1, "code = code * 0.5 + 0.7")
            self.statement(depth + 1, index)


def bound(source, names, seed):
    namespace = dict(names)
    exec(compile(source + JOINED, f"<program {seed}>", "exec"), namespace)
    if names is COMPILED:
        namespace["program"] = njit(namespace["program"])
    return namespace["program"], namespace["joined"]


def points(seed, count):
    rng = np.random.default_rng(seed)
    for _ in range(count):
        yield rng.normal(size=SIZE), float(rng.normal())


def check(seed, compiled=True, policies=("auto", "now")):
    """Values, decisions, first and second derivatives of one program agree in all ways in."""
    source = Writer(seed).source
    f, joined = bound(source, EAGER, seed)
    eager = tj.value_and_grad(f, (0, 1), compile="never"), tj.hvp(joined, compile="never")
    others = [(tj.value_and_grad(f, (0, 1), compile=p), tj.hvp(joined, compile=p)) for p in policies]
    if compiled:
        f, joined = bound(source, COMPILED, seed)
        others.append((nopython.value_and_grad(f, (0, 1)), nopython.hvp(joined)))
    direction = np.random.default_rng(seed + 1).normal(size=SIZE + 1)
    for x, y in points(seed, 4):
        z = np.append(x, y)
        value, (dx, dy) = eager[0](x, y)
        product = eager[1](z, direction)
        for first, second in others:
            for _ in range(2):
                found, (gx, gy) = first(x, y)
                np.testing.assert_allclose(found, value, rtol=1e-11, err_msg=source)
                np.testing.assert_allclose(gx, dx, rtol=1e-7, atol=1e-9, err_msg=source)
                np.testing.assert_allclose(gy, dy, rtol=1e-7, atol=1e-9, err_msg=source)
                np.testing.assert_allclose(second(z, direction), product, rtol=1e-6, atol=1e-8, err_msg=source)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("first", type=int)
    parser.add_argument("count", type=int)
    parser.add_argument("--compiled", type=int, default=20, metavar="N", help="every Nth program as machine code too")
    parser.add_argument("--nopython", type=int, default=100, metavar="N", help="every Nth program in nopython mode too")
    arguments = parser.parse_args()
    background.submit = lambda *_: True  # what waits to be compiled is interpreted
    ran = dict.fromkeys(("interpreted", "compiled", "nopython", "failed"), 0)
    for seed in range(arguments.first, arguments.first + arguments.count):
        compiled, native = seed % arguments.compiled == 0, seed % arguments.nopython == 0
        ran["interpreted"] += 1
        ran["compiled"] += compiled
        ran["nopython"] += native
        try:
            check(seed, native, ("auto", "now") if compiled else ("auto",))
        except Exception as error:
            ran["failed"] += 1
            print(f"program {seed}: {type(error).__name__}: {str(error)[:1500]}", flush=True)
        if (seed + 1) % 500 == 0:
            print(f"before program {seed + 1}: {ran}", flush=True)
    print(ran)
    sys.exit(ran["failed"] > 0)


if __name__ == "__main__":
    main()
