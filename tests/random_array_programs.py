"""Random functions of arrays, as source: shapes are moved, joined, reduced, indexed and multiplied in every order."""

import random

import numpy as np

import tapejit as tj


class Program:
    """A function of two arrays with a scalar result; ``source`` shows it."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.rng = np.random.default_rng(seed)
        self.lines = []
        self.known = []  # (name, shape)
        self.constants = {}
        self.shapes = [self._shape(), self._shape()]
        self.known += [("x", self.shapes[0]), ("y", self.shapes[1])]
        for _ in range(self.random.randint(3, 14)):
            self._step()
        self._finish()
        self.source = "def f(x, y):\n" + "\n".join(f"    {line}" for line in self.lines) + "\n"
        scope = {"tj": tj, "np": np, **self.constants}
        exec(compile(self.source, f"<random program {seed}>", "exec"), scope)
        self.function = scope["f"]

    def arguments(self):
        return [self.rng.uniform(0.3, 1.5, s) * self.rng.choice([-1, 1], s) for s in self.shapes]

    def _shape(self):
        return tuple(self.random.choice([1, 2, 3, 4, 5, 9]) for _ in range(self.random.randint(1, 3)))

    def _pick(self, at_least=0):
        found = [k for k in self.known if len(k[1]) >= at_least]
        return self.random.choice(found[-6:]) if found else ("x", self.shapes[0])

    def _put(self, text, shape):
        if np.prod(shape, dtype=int) > 600:
            return
        name = f"v{len(self.lines)}"
        self.lines.append(f"{name} = {text}")
        self.known.append((name, tuple(shape)))

    def _constant(self, shape):
        name = f"C{len(self.constants)}"
        self.constants[name] = self.rng.uniform(0.5, 1.5, shape)
        return name

    def _step(self):
        getattr(self, "_" + self.random.choice(STEPS))()

    def _unary(self):
        name, shape = self._pick()
        function = self.random.choice("sin cos tanh exp sigmoid square softplus abs relu erf neg sqrt".split())
        text = f"(0.3 * {name})" if function == "exp" else f"({name}.square() + 0.5)" if function == "sqrt" else name
        self._put(f"tj.{function}({text})", shape)

    def _binary(self):
        name, shape = self._pick()
        same = [k for k in self.known if _broadcast(k[1], shape) is not None]
        other, second = self.random.choice(same)
        op = self.random.choice("+ - * / max where".split())
        result = _broadcast(shape, second)
        if op == "/":
            self._put(f"{name} / (1.5 + {other}.square())", result)
        elif op == "max":
            self._put(f"tj.maximum({name}, {other})", result)
        elif op == "where":
            self._put(f"tj.where({name} > {other}, {name} * 2, {other})", result)
        else:
            self._put(f"{name} {op} {other}", result)

    def _with_constant(self):
        name, shape = self._pick()
        self._put(f"{name} * {self._constant(shape[self.random.randint(0, len(shape)) :])}", shape)

    def _reduce(self):
        name, shape = self._pick(1)
        d = self.random.randrange(len(shape))
        keep = self.random.random() < 0.4
        function = self.random.choice("sum mean amax amin logsumexp norm var".split())
        if function == "var" and shape[d] < 2:
            function = "sum"
        kept = tuple(1 if k == d else n for k, n in enumerate(shape) if keep or k != d)
        self._put(f"{name}.{function}(dim={d}, keepdim={keep})", kept)

    def _along(self):
        name, shape = self._pick(1)
        d = self.random.randrange(len(shape))
        self._put(f"{name}.{self.random.choice('softmax log_softmax cumsum'.split())}({d})", shape)

    def _slice(self):
        name, shape = self._pick(1)
        keys, result = [], []
        for n in shape:
            kind = self.random.choice("all part index step".split())
            a = self.random.randrange(n)
            b = self.random.randint(a + 1, n)
            if kind == "index":
                keys.append(str(a - n if self.random.random() < 0.3 else a))
            elif kind == "all":
                keys.append(":")
                result.append(n)
            else:
                step = 2 if kind == "step" else 1
                keys.append(f"{a}:{b}:{step}")
                result.append(len(range(a, b, step)))
        self._put(f"{name}[{', '.join(keys)}]", result)

    def _reshape(self):
        name, shape = self._pick()
        total = int(np.prod(shape, dtype=int))
        divisors = [d for d in range(1, total + 1) if total % d == 0]
        a = self.random.choice(divisors)
        rest = total // a
        b = self.random.choice([d for d in range(1, rest + 1) if rest % d == 0])
        new = self.random.choice([(total,), (a, rest), (a, b, rest // b)])
        self._put(f"{name}.reshape({', '.join(map(str, new))})", new)

    def _permute(self):
        name, shape = self._pick(1)
        order = list(range(len(shape)))
        self.random.shuffle(order)
        self._put(f"{name}.permute({', '.join(map(str, order))})", [shape[d] for d in order])

    def _flip(self):
        name, shape = self._pick(1)
        self._put(f"{name}.{self.random.choice(['flip(0)', 'roll(1, 0)'])}", shape)

    def _expand(self):
        name, shape = self._pick()
        wider = (2, *shape)
        self._put(f"{name}.expand({', '.join(map(str, wider))})", wider)

    def _cat(self):
        shape = self._pick(1)[1]
        d = self.random.randrange(len(shape))
        fitting = [k for k in self.known if len(k[1]) == len(shape) and _fits(k[1], shape, d)]
        parts = [self.random.choice(fitting) for _ in range(self.random.randint(2, 3))]
        size = sum(s[d] for _, s in parts)
        result = [size if k == d else n for k, n in enumerate(shape)]
        self._put(f"tj.cat([{', '.join(n for n, _ in parts)}], {d})", result)

    def _stack(self):
        shape = self._pick()[1]
        parts = [self.random.choice([k for k, s in self.known if s == shape]) for _ in range(self.random.randint(2, 3))]
        d = self.random.randint(0, len(shape))
        self._put(f"tj.stack([{', '.join(parts)}], {d})", (*shape[:d], len(parts), *shape[d:]))

    def _matmul(self):
        name, shape = self._pick(1)
        width = self.random.choice([1, 2, 3])
        self._put(f"{name} @ {self._constant((shape[-1], width))}", (*shape[:-1], width))

    def _matmul_self(self):
        name, shape = self._pick(2)
        if len(shape) >= 2:
            self._put(f"{name} @ {name}.mT", (*shape[:-1], shape[-2]))

    def _pick_rows(self):
        name, shape = self._pick(1)
        index = self.rng.integers(-shape[0], shape[0], self.random.randint(1, 4))
        self._put(f"{name}[np.array({index.tolist()})]", (len(index), *shape[1:]))

    def _set(self):
        name, shape = self._pick(1)
        k = self.random.randrange(shape[0])
        source, _ = self._pick()
        copy = f"v{len(self.lines)}"
        self.lines += [f"{copy} = {name} * 1.5", f"{copy}[{k}] = {source}.sum() * 0.1"]
        self.known.append((copy, shape))

    def _branch(self):
        name, shape = self._pick()
        self._put(f"{name} * 2 if {name}.sum() > 0.1 else {name}.square()", shape)

    def _finish(self):
        last = self.known[-4:]
        self.lines.append("return " + " + ".join(f"({name} * 0.7).square().mean()" for name, _ in last))


STEPS = (
    "unary unary binary binary with_constant reduce reduce along slice slice reshape permute flip expand cat stack "
    "matmul matmul_self pick_rows set branch"
).split()


def _broadcast(a, b):
    try:
        return np.broadcast_shapes(a, b)
    except ValueError:
        return None


def _fits(a, b, d):
    return all(x == y for k, (x, y) in enumerate(zip(a, b, strict=True)) if k != d)
