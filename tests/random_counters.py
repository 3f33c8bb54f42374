"""Random programs with loops that end when the data say so, and that count: what is counted is read, compared, returned."""

import itertools

import numpy as np

import tapejit as tj

NUMBERS = [0.3, -0.2, 0.15, 0.4, 0.1, -0.35, 0.2]
HEADS = [
    ["while y > {tol}:"],
    ["while y > {tol} and n < {limit}:"],
    ["while n < {limit} and y > {tol}:"],
    ["while True:", "    if y < {tol}:", "        break"],
    ["while not y < {tol}:"],
    ["for i in range({limit}):", "    if y < {tol}:", "        break"],
    ["for i in range(2, {limit}, 3):", "    if y < {tol}:", "        break"],
    ["for i in range({limit}, 0, -1):", "    if y < {tol}:", "        break"],
    ["for i in itertools.count():", "    if y < {tol} or i > {limit}:", "        break"],
    ["for i in [*range({limit})]:", "    if y < {tol}:", "        break"],
]
COUNTS = ["n += 1", "n = n + 2", "n -= 1", "n += 1 + (m > 3)", "m += n", "n, m = n + 1, n"]
NUMBER = ["n", "i", "(n + 1)", "(2 * n + 3)", "0.1 * i", "1.0 / (n * n + 1)", "m", "(i * n)", "n % 3", "n // 4"]
NUMBER += ["NUMBERS[n % 7]", "float(n)", "min(n, 12)", "(1 if n > 11 else 2)", "abs(n - 9)", "half(n)", "len(seen)"]
NUMBER += ["(n > 10)", "k"]
CHANGES = [
    "z = 0.5 * z + y * {number}",
    "z = z + x[2] * {number}",
    "z = z + y / ({number} + 50)",
    "z = z * 0.9 + x[{place}]",
    "k = {number}",
    "z = z + tj.sin(y) * 0.01 * k",
    "if {number} > 8:\n    z = z + x[1]",
    "if n == 13:\n    z = z * 1.5",
    "if i % 5 == 0:\n    z = z - x[2]",
    "seen.append(1)",
    "box[0] += 1",
    "z = helped(z, y, {number})",
    "if z > 1000.0:\n    z = z * 0.001",
    "for j in range(3):\n    z = z + y * j",
]
AFTER = ["z", "z * {number}", "z + {number}", "z / ({number} + 40)", "z if n > 10 else -z", "z * (2.0 if i == 9 else 1.0)"]
PLACE = ["i % 8", "min(abs(n), 7)", "i", "7", "-1"]


def half(n):
    return n * 0.5


def helped(z, y, n):
    if n > 14:
        return z + y
    return 0.9 * z + y * n


class Program:
    """One program of a vector of 40 numbers; ``source`` shows it."""

    def __init__(self, seed):
        self.rng = np.random.default_rng([seed, 7])
        lines = ["def f(x):", "    y, z, n, m, i, k = x[0], x[2] * 1.0, 0, 3, 0, 2", "    seen, box = [], [0]"]
        lines += self.loop("    ")
        if self.rng.random() < 0.2:
            lines += ["    y = y + x[0]", *self.loop("    ")]
        if self.rng.random() < 0.15:
            lines = [*lines[:3], "    for r in range(2):", "        y = y + x[0]", *["    " + line for line in lines[3:]]]
        self.counts = self.rng.random() < 0.4
        value = self.one(AFTER).format(number=self.one(NUMBER))
        lines.append(f"    return {value}" + (", (n, {'i': i})" if self.counts else ""))
        self.source = "\n".join(lines)
        scope = {"tj": tj, "np": np, "itertools": itertools, "NUMBERS": NUMBERS, "half": half, "helped": helped}
        exec(compile(self.source, "<random counters>", "exec"), scope)
        self.function = scope["f"]

    def one(self, choices):
        return choices[self.rng.integers(len(choices))]

    def loop(self, indent):
        head = self.one(HEADS)
        tol, limit = self.one([0.01, 0.05]), self.one([15, 25, 40, 400])
        body = [f"y = y * x[1] * {self.one(['1.0', '0.97'])}", self.one(COUNTS)]
        for _ in range(self.rng.integers(0, 4)):
            body.append(self.one(CHANGES).format(number=self.one(NUMBER), place=self.one(PLACE)))
        if self.rng.random() < 0.5:
            self.rng.shuffle(body)
        body = [line for part in body for line in part.split("\n")]
        return [indent + line.format(tol=tol, limit=limit) for line in head] + [indent + "    " + line for line in body]
