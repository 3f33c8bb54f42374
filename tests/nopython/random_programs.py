"""Random programs, and an exact oracle for them and for others: the same code run in plain Python on dual numbers.

A program takes a vector of twenty numbers and uses scalars, tuples, a work array, a view of it and slices, loops of all
kinds (some long enough for strips), branches, breaks, calls and in-place operators. Every assignment is squashed by a
bounded function, so values stay near one and nothing overflows. The oracle's arrays are NumPy's, of objects.
"""

import math
import random
import types

import numpy as np

SIZE = 20
VIEW = 8  # numbers in the view of the work array


class Number:
    """A float and its gradient (0.0 for one of nothing but zeros), with the operators that programs use."""

    def __init__(self, v, g=0.0):
        self.v = float(v)
        self.g = g

    @staticmethod
    def of(x):
        return x if isinstance(x, Number) else Number(x)

    def __add__(self, other):
        other = Number.of(other)
        return Number(self.v + other.v, self.g + other.g)

    __radd__ = __add__

    def __neg__(self):
        return Number(-self.v, -self.g)

    def __sub__(self, other):
        return self + -Number.of(other)

    def __rsub__(self, other):
        return Number.of(other) - self

    def __mul__(self, other):
        other = Number.of(other)
        return Number(self.v * other.v, self.g * other.v + self.v * other.g)

    __rmul__ = __mul__

    def __truediv__(self, other):
        other = Number.of(other)
        return Number(self.v / other.v, (self.g - self.v / other.v * other.g) / other.v)

    def __rtruediv__(self, other):
        return Number.of(other) / self

    def __pow__(self, n):
        return Number(self.v**n, n * self.v ** (n - 1) * self.g)

    def __abs__(self):
        return Number(abs(self.v), math.copysign(1.0, self.v) * self.g)

    def __lt__(self, other):
        return self.v < Number.of(other).v

    def __gt__(self, other):
        return self.v > Number.of(other).v


def _lifted(f, derivative):
    return lambda x: Number(f(x.v), derivative(x.v) * x.g) if isinstance(x, Number) else f(x)


PYTHON = {
    "sin": _lifted(math.sin, math.cos),
    "cos": _lifted(math.cos, lambda x: -math.sin(x)),
    "tanh": _lifted(math.tanh, lambda x: 1 - math.tanh(x) ** 2),
    "atan": _lifted(math.atan, lambda x: 1 / (1 + x * x)),
    "exp": _lifted(math.exp, math.exp),
    "sqrt": _lifted(math.sqrt, lambda x: 0.5 / math.sqrt(x)),
    "zeros": lambda n: np.array([Number(0.0) for _ in range(n)], dtype=object),
    "total": lambda array: sum(array, Number(0.0)),
}
COMPILED = {"sin": math.sin, "cos": math.cos, "tanh": math.tanh, "atan": math.atan, "exp": math.exp, "sqrt": math.sqrt,
            "zeros": np.zeros, "total": np.sum}  # fmt: skip


class Writer:
    """Writes one program from a seed."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.lines = []
        self.scalars = ["a"]
        self.indices = []
        self.fresh = 0

    def index(self):
        options = [str(self.random.randrange(SIZE))]
        for name in self.indices:
            options += [name, f"({name} + {self.random.randrange(1, 4)}) % {SIZE}", f"{name} - 1"]
        return self.random.choice(options)

    def atom(self):
        kind = self.random.randrange(9)
        if kind < 2:
            return f"x[{self.index()}]"
        if kind < 4:
            return self.random.choice(self.scalars)
        if kind == 4:
            return f"w[{self.index()}]"
        if kind == 6:
            return f"v[{self.random.randrange(VIEW)}]"
        if kind == 7:
            return f"t[{self.random.randrange(2)}]"
        if kind == 5 and self.indices:
            return self.random.choice(self.indices)
        return f"{self.random.uniform(-2, 2):.3f}"

    def expression(self, depth):
        if depth == 0:
            return self.atom()
        kind = self.random.randrange(12)
        left, right = self.expression(depth - 1), self.expression(depth - 1)
        if kind < 3:
            return f"({left} + {right})"
        if kind < 5:
            return f"({left} - {right})"
        if kind < 8:
            return f"({left} * {right})"
        if kind == 8:
            return f"({left} / (1.5 + sin({right})))"
        if kind == 9:
            return f"{self.random.choice(['sin', 'cos', 'tanh', 'atan'])}({left})"
        if kind == 10:
            return f"sqrt(1.0 + ({left}) * ({left}))"
        return f"tanh({left}) ** {self.random.choice([2, 3])}"

    def squashed(self):
        e = self.expression(self.random.randrange(1, 4))
        return self.random.choice([f"sin({e})", f"tanh({e})", f"atan({e})", f"0.3 * cos({e})"])

    def slice(self, length):
        name = self.random.choice("xw")
        start = self.random.randrange(SIZE - length + 1)
        return f"{name}[{start}:{start + length}]"

    def long_loop(self, indent):
        """A loop over the arrays, whose passes may or may not depend on each other."""
        name = f"i{self.fresh}"
        self.fresh += 1
        first, last = self.random.choice([(0, SIZE), (1, SIZE - 1), (2, SIZE - 2)])
        near = [f"{name}{shift}" for shift in ("", "", " - 1" if first else "", " + 1" if first else "")]
        self.put(indent, f"for {name} in range({first}, {last}):")
        scale = self.random.choice(["", "0.5 * "])
        difference = []
        if self.random.randrange(3) == 0:
            difference = [f"d{name}"]
            self.put(
                indent + 1, f"d{name} = x[{name}] - {self.random.choice('xw')}[{self.random.choice(near)}]"
            )
        if self.random.randrange(6) == 0:
            self.put(indent + 1, f"if {self.condition(name)}:")
            self.put(indent + 2, "continue")
        for _ in range(self.random.randrange(1, 3)):
            e = self.random.choice(
                ["{} * {}", "{} + {}", "{} * {} - {}", "({} - 2.0 * {} + {}) * {}", "{} / (2.0 + cos({}))"]
            )
            items = [
                f"{self.random.choice('xxw')}[{self.random.choice(near)}]",
                *(difference or self.random.choices([*self.scalars, "x[3]"], k=1)),
            ]
            while len(items) < e.count("{}"):
                items.append(f"{self.random.choice('xw')}[{self.random.choice(near)}]")
            self.random.shuffle(items)
            value = (
                f"{scale}{self.random.choice(['sin', 'tanh', 'atan'])}({e.format(*items[: e.count('{}')])})"
            )
            target = self.random.choice([f"w[{self.random.choice(near)}]", f"w[{name}]", "a", "v[2]", "w[0]"])
            added = name not in target
            operator = self.random.choice(["+=", "-="]) if added else self.random.choice(["=", "=", "+="])
            inner = indent + 1
            if self.random.randrange(3) == 0:
                self.put(inner, f"if {self.condition(name)}:")
                inner += 1
            self.put(inner, f"{target} {operator} {'0.1 * ' if operator != '=' else ''}{value}")

    def condition(self, name):
        return self.random.choice(
            [f"{name} % 3 != 1", f"{name} != 5", f"x[{name}] < 0.3", f"w[{name}] > x[3]"]
        )

    def put(self, indent, text):
        self.lines.append("    " * indent + text)

    def statement(self, indent, depth):
        kind = self.random.randrange(20 if depth else 8)
        if kind == 13:
            length = self.random.randrange(1, SIZE)
            operator = self.random.choice(["=", "+=", "-="])
            self.put(
                indent,
                f"{self.slice(length).replace('x', 'w')} {operator} {self.slice(length)} * sin({self.atom()})",
            )
        elif kind == 14:
            self.put(
                indent,
                f"{self.random.choice(self.scalars)} = tanh(total({self.slice(self.random.randrange(1, SIZE))}))",
            )
        elif kind == 15:
            self.put(
                indent,
                f"t = pair({self.atom()} * {self.atom()}, {self.squashed()}, {self.random.randrange(4)})",
            )
        elif kind == 16:
            self.put(indent, f"v[{self.random.randrange(VIEW)}] = {self.squashed()}")
        elif kind >= 17:
            self.long_loop(indent)
        elif kind < 2:
            if self.random.random() < 0.5 or indent > 1:
                self.put(indent, f"{self.random.choice(self.scalars)} = {self.squashed()}")
            else:
                name = f"s{len(self.scalars)}"
                self.put(indent, f"{name} = {self.squashed()}")
                self.scalars.append(name)
        elif kind == 2:
            self.put(indent, f"w[{self.index()}] = {self.squashed()}")
        elif kind == 3:
            self.put(indent, f"w[{self.index()}] {self.random.choice(['+=', '-='])} {self.squashed()}")
        elif kind < 6:
            self.put(
                indent,
                f"{self.random.choice(self.scalars)} {self.random.choice(['+=', '-='])} {self.squashed()}",
            )
        elif kind == 6:
            target = self.random.choice(self.scalars)
            self.put(indent, f"{target} = 0.5 * helper({self.atom()} * {self.atom()}, w)")
        elif kind == 7:
            target = self.random.choice(self.scalars)
            self.put(
                indent, f"{target} = {target} if {self.atom()} > {self.atom()} * 0.7 else {self.squashed()}"
            )
        elif kind < 10:
            name = f"i{self.fresh}"
            self.fresh += 1
            self.put(indent, f"for {name} in range({self.random.randrange(1, 5)}):")
            self.indices.append(name)
            self.block(indent + 1, depth - 1)
            if self.random.random() < 0.2:
                self.put(indent + 1, f"if {self.atom()} > 0.9 + {self.atom()}:")
                self.put(indent + 2, self.random.choice(["break", "continue"]))
            self.indices.remove(name)
        elif kind < 12:
            self.put(indent, f"if {self.expression(1)} < {self.expression(1)}:")
            self.block(indent + 1, depth - 1)
            if self.random.random() < 0.6:
                self.put(indent, "else:")
                self.block(indent + 1, depth - 1)
        else:
            name = f"n{self.fresh}"
            self.fresh += 1
            self.put(indent, f"{name} = 0")
            self.put(indent, f"while {name} < 3 and abs({self.random.choice(self.scalars)}) < 0.8:")
            self.put(indent + 1, f"{name} += 1")
            self.block(indent + 1, depth - 1)
            if self.random.random() < 0.3:
                self.put(indent + 1, f"if {self.atom()} < {self.atom()} - 0.5:")
                self.put(indent + 2, "break")

    def block(self, indent, depth):
        known = list(self.scalars)
        for _ in range(self.random.randrange(1, 4)):
            self.statement(indent, depth)
        self.scalars = known

    def program(self):
        self.put(0, "def helper(y, w):")
        self.put(1, "if y > 0.1:")
        self.put(2, "w[1] = w[1] * 0.5 + y")
        self.put(2, "return sin(y) + w[0]")
        self.put(1, "return y * y - w[2] * y")
        self.put(0, "def pair(y, z, n):")
        self.put(1, "if n <= 0:")
        self.put(2, "return y - z, sin(y) * z")
        self.put(1, "p, q = pair(z * 0.5, y, n - 1)")
        self.put(1, "return tanh(p + y), q * 0.5")
        self.put(0, "def program(x):")
        self.put(1, f"w = zeros({SIZE})")
        self.put(1, f"v = w[5:{5 + VIEW}]")
        self.put(1, "t = (x[0] * 0.5, x[1])")
        self.put(1, "a = 0.0" if self.random.random() < 0.5 else "a = x[0] * x[1]")
        for _ in range(self.random.randrange(3, 8)):
            self.statement(1, 2)
        total = " + ".join(
            [*self.scalars, "w[0]", "w[1]", "w[2]", "w[3]", "w[4]", "t[0]", "t[1]", "total(w[5:])"]
        )
        self.put(1, f"return {total}")
        return "\n".join(self.lines) + "\n"


def make(seed):
    """(source, (exact value, exact gradient), the point)."""
    source = Writer(seed).program()
    point = np.random.default_rng(seed).normal(size=SIZE) * 0.7
    plain = dict(PYTHON)
    exec(compile(source, f"<program {seed}>", "exec"), plain)
    return source, dual(plain["program"], point), point


def dual(f, point):
    """The value and the gradient of a function of one vector, which runs in plain Python on an array of ``Number``."""
    numbers = np.array([Number(v, e) for v, e in zip(point, np.eye(len(point)), strict=True)], dtype=object)
    result = Number.of(f(numbers))
    return result.v, np.broadcast_to(result.g, len(point))


def _filled(make):
    def array(shape, dtype=None):
        made = make(shape, dtype or float)
        return made if dtype else np.array([Number(v) for v in made.flat], dtype=object).reshape(made.shape)

    return array


MODULES = {
    "math": types.SimpleNamespace(**{name: PYTHON[name] for name in ("sin", "cos", "tanh", "exp", "sqrt")}),
    "np": types.SimpleNamespace(
        zeros=_filled(np.zeros),
        ones=_filled(np.ones),
        sum=lambda a: PYTHON["total"](np.ravel(a)),
        sin=np.vectorize(PYTHON["sin"], otypes=[object]),
        arange=np.arange,
        int64=np.int64,
    ),
}  # what functions written for Numba see in place of the modules


def exactly(f, point):
    """``dual`` of a function written for Numba over ``math`` and ``np``."""
    return dual(types.FunctionType(f.__code__, f.__globals__ | MODULES), point)
