"""Kernels of the elementwise ops, generated from the rules of the op table.

A kernel is the loop over one row; broadcasting, rows and reductions are the caller's business (``kernels.broadcast``),
so that an op compiles little and a new one never recompiles anything else. Steps are in elements: 1 along an
array, 0 for a scalar, anything else for a strided view.

    forward(n, out, x, sx, y, sy, z, sz)
    reverse(n, g, x, sx, y, sy, z, sz, out, target, accumulate)

``g``, ``out`` and ``target`` are contiguous; ``reverse`` adds to ``target`` when ``accumulate`` is 1, else overwrites.
"""

import hashlib
import itertools
import linecache

import numpy as np
from numba import cfunc
from numba.core import types

from tapejit.kernels import raw
from tapejit.kernels.cache import GENERATED
from tapejit.kernels.scalar import FUNCTIONS
from tapejit.ops.expr import Emitter
from tapejit.ops.table import OPERANDS

_FLOATS = (
    (types.CPointer(types.float64), np.float64),
    (types.CPointer(types.float32), np.float32),
)
_OPTIONS = {"error_model": "numpy", "fastmath": {"contract"}, "nogil": True, "cache": True}


def generated_function(name, source, namespace):
    """Define a function from source text under a file name that the kernel cache knows."""
    digest = hashlib.blake2b(source.encode(), digest_size=8).hexdigest()
    filename = f"{GENERATED}{name} {digest}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
    exec(compile(source, filename, "exec"), namespace)
    function = namespace[name]
    function.__module__ = "tapejit.kernels.elementwise"
    return function


def _loop(emitter, result, used, steps, store, condition):
    """One ``for`` loop: ``steps`` gives each used operand's step (1, 0 or None for any)."""
    before, inside = [], []
    for name in used:
        loads = {1: f"{name}p[i]", 0: f"{name}p[0]", None: f"{name}p[i * s{name}]"}[steps[name]]
        text = f"{name} = {loads}" + (" != 0" if condition and name == "x" else "")
        (before if steps[name] == 0 else inside).append(text)
    lines = [*before, "for i in range(n):", *("    " + line for line in inside + emitter.lines)]
    return [*lines, "    " + store.format(result)]


def _variants(names):
    """The combinations of steps that get a loop of their own, and last the general one."""
    for steps in itertools.product((1, 0), repeat=len(names)):
        if any(steps) or not names:
            yield dict(zip(names, steps, strict=True))
    if names:
        yield dict.fromkeys(names)


def _source(op, which, name):
    emitter = Emitter()
    free = (*OPERANDS, "g", "out")
    result = emitter.write(op.trace(which), {symbol: symbol for symbol in free})
    used = OPERANDS[: op.arity] if which == 0 else tuple(n for n in op.needs[which - 1] if n != "out")
    if which == 0:
        head = f"def {name}(n, outp, xp, sx, yp, sy, zp, sz):"
        store = "outp[i] = {}"
    else:
        head = f"def {name}(n, gp, xp, sx, yp, sy, zp, sz, outp, target, accumulate):"
        store = "target[i] = {} + target[i]"
    lines = [head]
    for accumulate in (False, True) if which else (False,):
        body = []
        keyword = "if"
        for steps in _variants(used):
            test = " and ".join(f"s{n} == {s}" for n, s in steps.items() if s is not None)
            final = "target[i] = {}" if which and not accumulate else store
            loop = _loop(emitter, result, used, steps, final, op.condition)
            if which:
                loop = _with_adjoint(loop, "out" in op.needs[which - 1])
            if not used:
                body += loop
            else:
                body.append(f"{keyword} {test}:" if test else "else:")
                body += ["    " + line for line in loop]
                keyword = "elif"
        if which:
            body = ["if accumulate:" if accumulate else "if not accumulate:", *("    " + line for line in body)]
        lines += ["    " + line for line in body]
    return "\n".join(lines) + "\n", emitter


def _with_adjoint(loop, reads_result):
    at = next(i for i, line in enumerate(loop) if line.startswith("for "))
    loads = ["    g = gp[i]"] + (["    out = outp[i]"] if reads_result else [])
    return loop[: at + 1] + loads + loop[at + 1 :]


def elementwise_kernel(op, which, dtype):
    """Compile, or load from the cache, one kernel of an elementwise op.

    Args:
        op: the row of the op table.
        which: 0 for the forward kernel, 1 to 3 for the reverse kernel of that operand.
        dtype: dtype code, ``record.F64`` or ``record.F32``.

    Returns:
        Numba's cfunc object; its ``address`` goes into the kernel table.
    """
    pointer, scalar = _FLOATS[dtype]
    name = f"{op.name}_{('forward', 'reverse_x', 'reverse_y', 'reverse_z')[which]}_{('f64', 'f32')[dtype]}"
    source, emitter = _source(op, which, name)
    source = f"# constants: {emitter.constants}\n" + source
    namespace = {n: FUNCTIONS[n] for n in emitter.functions}
    namespace.update({n: scalar(value) for n, value in emitter.constants.items()})
    function = generated_function(name, source, namespace)
    word = types.intp
    first = raw.u8p if op.condition else pointer
    operands = (first, word, pointer, word, pointer, word)
    if which == 0:
        signature = types.void(word, pointer, *operands)
    else:
        signature = types.void(word, pointer, *operands, pointer, pointer, word)
    return cfunc(signature, **_OPTIONS)(function)
