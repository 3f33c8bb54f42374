"""Random programs of loops in loops, as Python source: lists of numbers that pass after pass goes through, both ways."""

import numpy as np

import tapejit as tj

NUMBERS = np.random.default_rng(23).normal(size=(12, 24))
TERMS = [
    "u[{i}]",
    "u[{i} - 1]",
    "u[{i} + 1]",
    "w[{i} - 1]",
    "x[{i}]",
    "x[{t}]",
    "s",
    "r",
    "NUMBERS[{t}, {i}]",
    "NUMBERS[{t}, 0]",
]
TERMS += ["old[{i}]", "old[{i} - 1]", "x[2] * 0.3", "0.5"]
FUNCTIONS = [
    "{}",
    "{}",
    "{}",
    "tj.sin({})",
    "tj.tanh({})",
    "0.7 * {}",
    "{} / (1.5 + {i})",
    "({}) / (2.0 + {t})",
]
HEADS = [
    "range(1, {n} - 1)",
    "range({n} - 2, 0, -1)",
    "range(1, {n} - 1 - {t})",
    "range({t} + 1, {n} - 1)",
    "range(1, {n} - 1, 2)",
]


class Program:
    """One program; ``function`` takes a vector of 24 numbers, ``source`` shows it."""

    def __init__(self, seed):
        self.rng = rng = np.random.default_rng([seed, 7])
        n, passes = int(rng.integers(12, 22)), int(rng.integers(3, 7))
        start = self.one(
            ["[x[i] for i in range({n})]", "[x[0] * 0.1] * {n}", "[x[i] * x[1] for i in range({n})]"]
        )
        lines = [
            "def f(x):",
            "    s, r = x[0], x[1] * x[2]",
            f"    u = {start.format(n=n)}",
            "    w, old, out = list(u), list(u), []",
        ]
        lines += [f"    for t in range({passes}):"]
        lines += ["        w = [0.0 * x[0]] * len(u)"] if rng.random() < 0.5 else ["        w = list(w)"]
        for _ in range(rng.integers(1, 4)):
            lines += self.inner(n)
        lines += self.one(
            [
                ["        old, u = u, w"],
                ["        u = w"],
                ["        u, w = w, u"],
                ["        w[0] = w[0] + 0.1 * u[1]", "        u = w"],
            ]
        )
        lines += ["        out.append(s)"] if rng.random() < 0.3 else []
        if rng.random() < 0.2:
            lines += ["    u = [0.5 * (u[i] + u[i + 1]) for i in range(len(u) - 1)]"]
        lines += [
            "    total = s * r + sum(out, 0.0) * 0.2",
            "    for i in range(len(u)):",
            "        total = total + u[i] * (u[i] - 0.3)",
        ]
        lines += ["    return total + w[3] * old[4]"]
        self.source = "\n".join(lines)
        scope = {"tj": tj, "NUMBERS": NUMBERS}
        exec(compile(self.source, "<random nested loops>", "exec"), scope)
        self.function = scope["f"]

    def one(self, choices):
        return choices[self.rng.integers(len(choices))]

    def term(self):
        text = self.one(TERMS)
        return self.one(FUNCTIONS).replace("{}", text)

    def inner(self, n):
        lines = [f"        for i in {self.one(HEADS).format(n=n, t='t')}:"]
        for _ in range(self.rng.integers(1, 4)):
            a, b = self.term(), self.term()
            statement = self.one([
                f"w[i] = 0.4 * {a} + {b}",
                f"w[i] = tj.tanh({a} * {b})",
                f"u[i] = 0.5 * (u[i - 1] + u[i + 1]) * {a}",
                f"u[i] = 0.5 * u[i] + 0.2 * {a}",
                f"s = 0.6 * s + 0.1 * {a} * {b}",
                f"r = tj.sin(r * {a}) + {b}",
                f"s, r = r, 0.4 * s + {a}",
                f"w[i] = tj.log(1.0 + tj.exp({a})) - {b}",
            ])  # fmt: skip
            lines.append("            " + statement.format(i="i", t="t"))
        return lines


def check(seed):
    """Value, gradient and a second derivative of a program, compiled, as eager's."""
    program = Program(seed)
    rng = np.random.default_rng(seed)
    x, v = rng.uniform(0.2, 0.9, size=(2, 24))
    leaf = tj.tensor(x, requires_grad=True)
    y = program.function(leaf)
    y.backward()
    g = tj.value_and_grad(program.function, compile="now")
    for _ in range(2):
        value, slope = g(x)
        np.testing.assert_allclose(value, y.item(), rtol=1e-9, err_msg=program.source)
        np.testing.assert_allclose(slope, leaf.grad.numpy(), rtol=1e-7, atol=1e-9, err_msg=program.source)
    if seed % 4 == 0:
        second = tj.grad(lambda x: (tj.grad(program.function)(x) * v).sum(), compile="now")
        leaf = tj.tensor(x, requires_grad=True)
        (first,) = tj.autograd.grad(program.function(leaf), leaf, create_graph=True)
        (expected,) = tj.autograd.grad((first * v).sum(), leaf)
        expected = expected.numpy()
        np.testing.assert_allclose(
            second(x), expected, rtol=1e-6, atol=1e-7 * (1 + np.abs(expected).max()), err_msg=program.source
        )
    return program, g
