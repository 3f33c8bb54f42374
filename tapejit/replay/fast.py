"""The quick door of a replayed function: one Python function per program, written for its kinds of arguments.

It covers calls with plain positional arguments (floats, NumPy arrays, static values) of the signature that was last
met; anything else is told to take the general way by ``MISS``.
"""

import numpy as np

from tapejit.replay.recorder import active
from tapejit.replay.trees import LEAF

MISS = object()


def miss(*args):
    """The quick function of a replayed function that has none."""
    return MISS


def quick_into(replayed, signature, program):
    """As ``quick_function``, with the arrays of the result as a first argument."""
    return quick_function(replayed, signature, program, into=True)


def quick_function(replayed, signature, program, into=False):
    """The function for one program, None if the signature or the result is not of the simple kind."""
    parts, named = signature.key[0]
    if named or program.machine is None:
        return None
    scope = {
        "MISS": MISS, "ndarray": np.ndarray, "empty": np.empty, "enter": program.enter, "code": program.code,
        "switch": replayed._switch, "program": program, "signature": signature,
    }  # fmt: skip
    arguments = Arguments(scope, iter(signature.key[1]))
    scope["active"] = active
    tests = ["not active"]
    for j, part in enumerate(parts):
        if not arguments.take(part, f"a{j}", tests):
            return None
    leaves = arguments.leaves
    _watch(signature.captures, tests, scope)
    lines = [f"def quick({', '.join([*(['out'] if into else []), *(f'a{j}' for j in range(len(parts)))])}):"]
    arguments.flush(tests)
    lines += arguments.lines
    names = [None] * len(program.order)
    places = []
    for i, (j, (shape, dtype)) in enumerate(zip(program.arrays, program.specs, strict=True)):
        names[j] = f"o{i}"
        scope[f"shape{i}"] = shape[0] if len(shape) == 1 else shape
        scope[f"dtype{i}"] = dtype
        if not into:
            lines.append(f"    o{i} = empty(shape{i}{'' if dtype == np.float64 else f', dtype{i}'})")
        places.append(f"o{i}")
    if into:
        lines += _given(len(places), [n for n in leaves if n not in arguments.numbers], program, scope)
    status = ["status"]
    for i, j in enumerate(program.scalars):
        names[j] = f"v{i}"
        status.append(f"v{i}")
    lines.append(f"    {', '.join(status)}{',' if len(status) == 1 else ''} = enter({', '.join(['code', *leaves, *places])})")
    if into:
        lines += ["    if status:", "        return MISS"]
    lines += ["    if status:", f"        return switch(signature, program, status, ({''.join(n + ', ' for n in leaves)}))"]
    text = expression(program.structure, iter(names), scope)
    lines.append(f"    return {text}")
    exec(compile("\n".join(lines), "<tapejit quick>", "exec"), scope)
    return scope["quick"]


def _given(count, arrays, program, scope):
    """Lines that take arrays for the results; what could overlap with an argument takes the general way."""
    lines = ["    o0 = out"] if count == 1 else [f"    if len(out) != {count}:", "        return MISS"]
    if count > 1:
        lines.append(f"    {', '.join(f'o{i}' for i in range(count))} = out")
    tests = [f"{a}.base is None" for a in arrays]
    for i, (_, dtype) in enumerate(program.specs):
        scope[f"dtype{i}"] = dtype
        tests.append(f"o{i}.__class__ is ndarray and o{i}.dtype is dtype{i} and o{i}.base is None")
        tests += [f"o{i} is not {a}" for a in arrays] + [f"o{i} is not o{j}" for j in range(i)]
    if tests:
        lines += [f"    if not ({' and '.join(tests)}):", "        return MISS"]
    return lines


class Arguments:
    """Lines that take the arguments apart and leave with MISS where they are not of the recorded kind."""

    def __init__(self, scope, kinds):
        self.scope, self.kinds = scope, kinds
        self.leaves, self.lines, self.numbers = [], [], set()

    def flush(self, tests):
        if tests:
            self.lines += [f"    if not ({' and '.join(tests)}):", "        return MISS"]
            tests.clear()

    def take(self, part, name, tests) -> bool:
        """Add the tests for one part of the arguments; whether the quick way can take it."""
        scope = self.scope
        if part == LEAF:
            kind = next(self.kinds)
            if kind == "f":
                tests.append(f"{name}.__class__ is float")
                self.numbers.add(name)
            elif len(kind) == 2 and isinstance(kind[0], np.dtype):
                scope[f"D{len(scope)}"] = kind[0]
                tests.append(f"{name}.__class__ is ndarray and {name}.dtype is D{len(scope) - 1}")
            else:
                return False
            self.leaves.append(name)
            return True
        if part[0] == "static":
            static = f"S{len(scope)}"
            scope[static] = part[2]
            tests.append(f"({name} is {static} or ({name}.__class__ is {static}.__class__ and {name} == {static}))")
            return True
        inner = part[-1]
        names = [f"{name}_{i}" for i in range(len(inner))]
        kind = f"T{len(scope)}"
        scope[kind] = part[0]
        tests.append(f"{name}.__class__ is {kind} and len({name}) == {len(inner)}")
        self.flush(tests)
        if len(part) == 3:
            for key, n in zip(part[1], names, strict=True):
                scope[f"{n}k"] = key
                self.lines.append(f"    {n} = {name}.get({n}k, MISS)")
        elif names:
            self.lines.append(f"    {', '.join(names)}, = {name}")
        return all(self.take(p, n, tests) for p, n in zip(inner, names, strict=True))


def assembler(program):
    """The function that puts arrays and numbers, in the program's order, together as the result."""
    scope = {}
    names = [None] * len(program.order)
    for place, j in enumerate(program.order):
        names[j] = f"x{place}"
    text = expression(program.structure, iter(names), scope)
    return eval(f"lambda {', '.join(f'x{i}' for i in range(len(names)))}: {text}", scope)


def _watch(captures, tests, scope):
    """Tests that what the function reads outside is still the same."""
    for j, (read, argument, value, snapshot) in enumerate(captures.places if captures else ()):
        scope[f"W{j}"] = value
        if argument.__class__ is str:
            scope[f"R{j}"] = read
            now = f"R{j}({argument!r})"
        else:
            scope[f"C{j}"] = argument
            now = f"C{j}.cell_contents"
        tests.append(f"{now} is W{j}")
        if snapshot is not None:
            scope[f"M{j}"], scope[f"N{j}"] = captures.matches, snapshot
            tests.append(f"M{j}(W{j}, N{j})")


def expression(structure, names, scope) -> str:
    """The Python expression that puts results together."""
    if structure == LEAF:
        return next(names)
    kind = structure[0]
    name = f"K{len(scope)}"
    if kind == "static":
        scope[name] = structure[2]
        return name
    if len(structure) == 3:
        scope[name] = kind
        pairs = ", ".join(f"({k!r}, {expression(s, names, scope)})" for k, s in zip(structure[1], structure[2], strict=True))
        return f"{name}([{pairs}])"
    items = [expression(s, names, scope) for s in structure[1]]
    if kind is tuple:
        return f"({''.join(i + ', ' for i in items)})"
    if kind is list:
        return f"[{', '.join(items)}]"
    scope[name] = kind
    return f"{name}({', '.join(items)})" if hasattr(kind, "_fields") else f"{name}([{', '.join(items)}])"
