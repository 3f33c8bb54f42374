"""Random functions with loops along a length, for tests that compare them with eager execution."""

import random

import numpy as np

import tapejit as tj

_HEADS = (
    ("for y in ys:", "y", None),
    ("for i, y in enumerate(ys):", "y", "i"),
    ("for y, z in zip(ys[1:], ys[:-1]):", "y * z", None),
    ("for y, z in zip(ys, zs):", "y + z[0] * z[1]", None),
    ("for i in range(len(ys)):", "ys[i]", "i"),
    ("for i in range(1, len(ys)):", "ys[i] * ys[i - 1]", "i"),
    ("for i in range(len(ys) - 1, -1, -1):", "ys[i]", "i"),
    ("for i in reversed(range(ys.shape[0])):", "zs[i, 1]", "i"),
    ("for i in range(n):", "0.3", "i"),
)


class Function:
    """A random function of parameters, two arrays as long, and that length as a number."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        lines = ["def f(p, ys, zs, n):", "    a, b, c = p[0], p[1] * 1.0, 0.0", "    first = p[2]"]
        for _ in range(self.random.choice((1, 1, 2))):
            lines += self._loop()
        last = self._among("a + b", "a * c + b", "a + first * b", "(a + b) / n", "a / len(ys) + c", "a * (n - 1) + b")
        self.text = "\n".join([*lines, f"    return {last} + p[0] * c", ""])
        space = {"tj": tj, "np": np}
        exec(self.text, space)
        self.function = space["f"]

    def _among(self, *choices):
        return self.random.choice(choices)

    def _loop(self):
        head, read, counter = self._among(*_HEADS)
        body = [self._statement(read, counter) for _ in range(self.random.randint(2, 4))]
        if self.random.random() < 0.4:
            body += [f"if {self._among('a > 0.1', 'b < a', 'c > -50.0')}:", f"    {self._statement(read, counter)}"]
        if counter and self.random.random() < 0.4:
            turn = self._among("i == 0", "i > 0", "i == 1", "i < len(ys) - 1", "i > 63", "i == n - 2", "i % 2 == 0")
            body += [f"if {turn}:", f"    {self._among('first = a', 'a = a * 0.9', 'c = c + b')}"]
        return [f"    {head}", *(f"        {line}" for line in body)]

    def _statement(self, read, counter):
        name = self._among("a", "b", "c")
        number = self._among("0.5", "0.7", "p[1]", "p[2]", *(["0.01 * i", "1 / (i + 1)", "i / n"] if counter else []))
        value = self._among(
            f"{name} * p[1] + {read} * {number}", f"0.5 * {name} + 0.3 * tj.sin(a + {read})", f"tj.tanh(b * {number} + {read})",
            f"0.9 * {name} + {number} * a", "np.cos(c) * 0.4 + a * 0.2", f"{name} * 0.8 + ({read}) ** 2 * p[0]",
        )  # fmt: skip
        return f"{name} = {value}"
