"""Random programs with loops, as Python source: states of numbers and vectors, what they read, decisions, arrays, nesting."""

import numpy as np

import tapejit as tj

DATA = np.random.default_rng(11).normal(size=(60, 3))
MATRIX = np.random.default_rng(12).normal(size=(3, 3)) * 0.4
NUMBERS = np.random.default_rng(13).normal(size=60).tolist()
ORDER = np.random.default_rng(14).permutation(60).tolist()
NUMBER = ["s", "r", "x[{t} % 20]", "x[1]", "x[19 - {t} % 20]", "NUMBERS[{t}]", "v[0]", "v.sum()", "0.5", "DATA[{t}, 1]", "d"]
VECTOR = ["v", "u", "DATA[{t}]", "x[:3]"]
VECTOR += ["x[{t} % 9 : {t} % 9 + 3]", "MATRIX @ v", "m @ u", "DATA[ORDER[{t}]]", "e", "v[0] * u"]
FUNCTIONS = ["tj.sin({})", "tj.tanh({})"]
FUNCTIONS += ["tj.exp(-{} * {} * 0.1)", "tj.sigmoid({})", "0.3 * {}", "tj.where({} > 0.2, {}, 0.1 * {})"]


class Program:
    """One program; ``function`` takes a vector of 20 numbers, ``source`` shows it."""

    def __init__(self, seed):
        self.rng = np.random.default_rng([seed, 99])
        lines = ["def f(x):", "    s, r, d = x[0], x[1] * 1.0, x[2] * x[3]", "    v, u, e = x[3:6], x[6:9] * 2.0, x[9:12]"]
        lines += ["    m, out, outs = x[:9].reshape(3, 3), [], []", "    z, w = tj.zeros(20), x * 0.5"]
        for _ in range(self.rng.integers(1, 3)):
            lines += self.loop("    ", "t", self.rng.integers(6, 14), True)
        lines += ["    total = s * r + (v * u).sum() + d + (e * e).sum() + (m * m).sum()"]
        lines += ["    total = total + (z * np.linspace(0, 1, 20)).sum() + (w * w).sum()"]
        lines += ["    if out:", "        total = total + (tj.stack(out) * np.linspace(0, 1, len(out))).sum()"]
        lines += ["    if outs:", "        total = total + (tj.cat(outs) ** 2).sum()", "    return total"]
        self.source = "\n".join(lines)
        scope = {"tj": tj, "np": np, "DATA": DATA, "MATRIX": MATRIX, "NUMBERS": NUMBERS, "ORDER": ORDER}
        exec(compile(self.source, "<random loop>", "exec"), scope)
        self.function = scope["f"]

    def one(self, choices):
        return choices[self.rng.integers(len(choices))]

    def term(self, choices, t):
        text = self.one(choices).format(t=t)
        function = self.one([*FUNCTIONS, "{}", "{}"])
        return function.format(*[text] * function.count("{}"))

    def loop(self, indent, t, count, may_nest):
        head = [f"{indent}for {t} in range({count}):", f"{indent}for {t} in range({count + 1}, 1, -1):"]
        lines = [self.one(head)]
        inner = indent + "    "
        for _ in range(self.rng.integers(1, 5)):
            lines += self.statement(inner, t)
        if may_nest and self.rng.random() < 0.3:
            lines += self.loop(inner, "k", self.rng.integers(4, 8), False)
        if self.rng.random() < 0.3:
            lines.append(f"{inner}{self.one(['out.append(s)', 'outs.append(v)', 'out.append(r * x[2])'])}")
        return lines

    def statement(self, indent, t):
        number, vector = self.term(NUMBER, t), self.term(VECTOR, t)
        return [indent + line for line in self.one([
            [f"s = 0.5 * s + {number}"],
            [f"r = tj.tanh(r * {number})"],
            [f"s, r = r, 0.4 * s + {number}"],
            [f"d = d + {number} * {self.term(NUMBER, t)}"],
            [f"v = 0.5 * v + {vector}"],
            [f"u = tj.sin(u * {vector})"],
            [f"v, u = u, 0.5 * v - {vector}"],
            [f"e = e + {vector} * {number}"],
            [f"m = 0.9 * m + 0.1 * ({vector})[:, None] * ({self.term(VECTOR, t)})"],
            [f"if {t} % 3 == 0:", f"    s = s * {number}"],
            ["if s > -50.0:", f"    r = 0.5 * r + {number}"],
            [f"s = s * 0.5 / (1.0 + {t})"],
            [f"z[{t}] = {number}"],
            [f"z[{t}] = 0.5 * z[{t} - 1] + {number}"],
            [f"w[{t}] = 0.5 * w[{t}] + {number}"],
            [f"w[{t} : {t} + 3] = 0.5 * {vector}"],
        ])]  # fmt: skip
