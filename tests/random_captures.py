"""Random programs that read arrays from outside, as operands and by NumPy, and changes of these arrays between calls."""

import dataclasses

import numpy as np

import tapejit as tj

WAYS = {  # name -> how an array comes to be read
    "glob": "GLOB",
    "cell": "cell",
    "attribute": "model.w",
    "item": 'model.cfg["w"]',
    "deep": 'model.parts[1]["w"]',
    "field": "record.w",
    "listed": "LIST[1]",
    "part": "PART",
    "column": "COLUMN",
    "method": "model.weights()",
    "property": "model.twin",
    "global_matrix": "MATRIX[{k}]",
    "matrix_column": "MATRIX[:, {k}]",
    "turned": "MATRIX.T[{k}]",
}

def _choices(text):
    return [" ".join(choice.split()) for choice in text.split("  |")]


NUMBERS = _choices(  # what NumPy and Python make of an array of three
    """
    {a}[0]  |  {a}[-1] + {a}[1]  |  float({a}[1])  |  {a}.max()  |  np.dot({a}, {b})  |  {a} @ {b}  |  np.sum({a} * {b})  |
    {a}[1:].sum()  |  len({a})  |  {a}.shape[0]  |  sum({a})  |  max({a})  |  np.linalg.norm({a})  |  {a}.tolist()[1]  |
    min(*{a})  |  abs({a}[0])  |  [q * q for q in {a}][2]  |  sum(p * q for p, q in zip({a}, {b}))  |  {a}.item(1)  |
    next(iter({a}))  |  np.einsum('i,i', {a}, {b})  |  list(map(float, {a}))[0]  |  sorted({a})[1]  |  np.take({a}, 1)  |
    {a}[np.argmax({b})]  |  (-{a})[0]  |  helper({a}, {b})  |  {a}.copy().prod()  |  np.asarray({a}).ravel()[2]  |
    np.stack([{a}, {b}]).sum()  |  MATRIX[{k}, 1]  |  MATRIX.sum()  |  float('%.6f' % {a}[0])  |  dict(w={a})['w'][0]  |
    (lambda q: q[0] * 2)({a})  |  np.vdot(*[{a}, {b}])  |  math.sin({a}[1])  |  np.trace(MATRIX)  |  apply(np.mean, {a})  |
    RATE  |  model.T  |  rates[0]  |  model.settings["lam"] * RATE  |  0.9 ** COUNT  |  1 / (1 + model.T ** 2)  |
    math.exp(-abs(RATE))  |  (1.5 if RATE > 0.3 else 0.5)  |  int(10 * abs(model.T))  |  len(range(COUNT))  |  RATE * {a}[0]
    """
)
VECTORS = _choices(  # what is, or becomes, a tensor of three
    """
    x * {a}  |  {a} * x  |  x + {a}  |  {a} - x  |  x / (2 + {a} ** 2)  |  MATRIX @ x  |  x @ MATRIX  |  np.dot(MATRIX, x)  |
    tj.tanh(x + {a})  |  np.multiply({a}, x)  |  tj.where({a} > x, x, {a})  |  tj.maximum(x, {a})  |  x * {a}[0] + {a}  |
    x * ({a} + {b})  |  x * ({a} @ MATRIX) + {a}  |  (x * {a}).sum() * {b}  |  operand(x, {a})  |
    tj.stack([x, tj.tensor({a})]).sum(0)  |  x * np.where({a} > 0, {a}, {b})  |  x * {a}[::-1]  |  tj.as_tensor({a}) * x  |
    x * {number}  |  x * {number} + {a}  |  tj.cat([x[:1], (x * {a})[1:]])  |  x ** 2 * np.roll({a}, 1)  |  x * -{a}  |
    np.exp(x * {a})  |  x * tj.tensor({a}).sum()  |  x[np.argsort({a})] * {a}  |  x * {a}.reshape(3)  |  x * np.exp({a})  |
    np.clip(x, {a} - 2, 2)  |  (MATRIX * x).sum(0)  |  (x[:, None] * MATRIX.T).sum(1)  |  tj.einsum('ij,j->i', MATRIX, x)  |
    x * (np.dot(x, {a}) if {number} > 0 else {b})  |  sum([x * row for row in MATRIX])  |
    sum(x * row * row[0] for row in MATRIX)  |  x * np.ones_like({a}) + {a}  |  np.interp(x, GRID, {a})
    """
)
DECISIONS = _choices(  # what programs branch on
    """
    {number} > 0.1  |  ({a} > 0).all()  |  {a}[0] > {b}[1]  |  (x * {a}).sum() > 0  |  np.any({a} > 1)  |
    {a}.sum() > x[0]  |  {a}[1] in {b}
    """
)


@dataclasses.dataclass
class Record:
    w: np.ndarray


class Model:
    def __init__(self, arrays):
        self.w, self._w, self._twin = next(arrays), next(arrays), next(arrays)
        self.T, self.settings = 0.7, {"lam": 0.3}
        self.cfg, self.parts = {"w": next(arrays)}, [0, {"w": next(arrays)}]

    def weights(self):
        return self._w

    @property
    def twin(self):
        return self._twin


PREAMBLE = """
def helper(a, b):
    return a[0] * b[2] + np.cos(b).sum()

def operand(x, a):
    return x * a

def apply(function, *args):
    return function(*args)

def make(cell):
    def f(x):
        total = x[0] * 0
"""


class Program:
    """One program; ``function`` takes a vector of three, ``change`` writes new numbers into some of what it reads."""

    def __init__(self, seed):
        self.rng = rng = np.random.default_rng([seed, 1234])
        self.arrays = []
        self.space = {"np": np, "tj": tj, "math": __import__("math"), "GRID": np.linspace(-3, 3, 3)}
        model = Model(self._new() for _ in range(9))
        table = self._new(3, 3)
        listed = [self._new(), self._new()]
        self.space.update(GLOB=self._new(), model=model, record=Record(self._new()), LIST=listed, MATRIX=table)
        self.space.update(PART=self._new(9)[3:6], COLUMN=self._new(3, 2)[:, 1])
        self.space.update(RATE=0.4, COUNT=2, rates=[0.2, 1.0])
        self.names = list(rng.choice(list(WAYS), size=rng.integers(1, 4), replace=False))
        lines = []
        for k in range(rng.integers(1, 5)):
            vector = self._term(VECTORS, 2)
            lines += self._statement(k, vector)
        self.source = PREAMBLE + "\n".join(8 * " " + line for line in [*lines, "return total"]) + "\n    return f\n"
        exec(compile(self.source, "<random captures>", "exec"), self.space)
        self.function = self.space["make"](self._new())

    def _new(self, *shape):
        self.arrays.append(self.rng.normal(size=shape or 3))
        return self.arrays[-1]

    def _one(self, choices):
        return choices[self.rng.integers(len(choices))]

    def _term(self, choices, depth):
        text = self._one(choices)
        text = text.replace("{number}", self._term(NUMBERS, 0)) if depth else text
        a, b = (WAYS[self._one(self.names)] for _ in range(2))
        return text.replace("{a}", a).replace("{b}", b).replace("{k}", str(self.rng.integers(3)))

    def _statement(self, k, vector):
        factor = self._term(NUMBERS, 0) if self.rng.random() < 0.4 else "0.5"
        add = f"total = total + ({vector}).sum() * {factor}"
        kind = self.rng.integers(4)
        if kind == 0:
            other = f"total = total + ({self._term(VECTORS, 1)}).sum()"
            return [f"if {self._term(DECISIONS, 1)}:", f"    {add}", "else:", f"    {other}"]
        if kind == 1:
            way = WAYS[self._one(self.names)].replace("{k}", "1")
            return [f"q{k} = {way}", f"total = total + (x * q{k}).sum() * q{k}[1]", add]
        if kind == 2:
            lines = ["q = MATRIX[t % 3]", "total = total * 0.5 + (x * q).sum()", add]
            return [f"for t in range({self.rng.integers(2, 7)}):", *("    " + line for line in lines)]
        return [add]

    def change(self):
        """Write new numbers into one to three of the arrays, in place; others into places that hold one."""
        model, value = self.space["model"], round(float(self.rng.normal()), 3)
        for _ in range(self.rng.integers(4)):
            kind = self.rng.integers(5)
            if kind == 0:
                self.space["RATE"] = value
            elif kind == 1:
                self.space["COUNT"] += 1
            elif kind == 2:
                self.space["rates"][0] = value
            elif kind == 3:
                model.T = value
            else:
                model.settings["lam"] = value
        for _ in range(self.rng.integers(1, 4)):
            array = self._one(self.arrays)
            if self.rng.random() < 0.5:
                array[...] = self.rng.normal(size=array.shape)
            else:
                array[tuple(self.rng.integers(n) for n in array.shape)] = self.rng.normal()


def differences(seed, changes=9):
    """What differs between replayed and eager gradients of a program while its arrays are changed; None if nothing does."""
    program = Program(seed)
    x = program.rng.normal(size=3)
    eager = tj.value_and_grad(program.function, compile="never")
    ways = {"auto": tj.value_and_grad(program.function), "now": tj.value_and_grad(program.function, compile="now")}
    for k in range(changes):
        expected = _result(eager, x)
        for name, way in ways.items():
            found = _result(way, x)
            if found.__class__ is not expected.__class__ or not _close(found, expected):
                return f"{name}, call {k}: {found} for {expected} of\n{program.source}"
        program.change()
    return None


def _result(function, x):
    try:
        return function(x)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def _close(found, expected):
    if isinstance(found, str):
        return found.partition(":")[0] == expected.partition(":")[0]
    return all(np.allclose(a, b, rtol=1e-9, atol=1e-12, equal_nan=True) for a, b in zip(found, expected, strict=True))
