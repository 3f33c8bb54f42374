"""The forms of a program for other callers: ``nopython`` for jitted code, ``into`` for calls that allocate nothing."""

import functools

import numpy as np
from llvmlite import ir
from numba import njit
from numba.core import cgutils, types
from numba.extending import intrinsic

from tapejit.replay.trees import LEAF


def _address(value):
    """An intrinsic that gives an address of this process; Numba does not cache code that holds one."""

    @intrinsic
    def address(typingctx):
        def codegen(context, builder, signature, args):
            pointer = context.add_dynamic_addr(builder, value, info="tapejit program")
            return builder.ptrtoint(pointer, context.get_value_type(types.intp))

        return types.intp(), codegen

    return address


@functools.cache
def _runner(count):
    """An intrinsic that runs a program on a tuple of arrays and floats, and gives the status and ``count`` floats."""

    @intrinsic
    def run(typingctx, program, workspace, arguments):
        result = types.Tuple((types.int64, *[types.float64] * count))

        def codegen(context, builder, signature, args):
            kinds = signature.args[2]
            pointer = ir.IntType(8).as_pointer()
            total = len(kinds) + count
            table = cgutils.alloca_once(builder, pointer, size=max(total, 1))
            outputs = []
            for j in range(total):
                if j < len(kinds):
                    value = builder.extract_value(args[2], j)
                    if isinstance(kinds[j], types.Array):
                        place = context.make_array(kinds[j])(context, builder, value).data
                    else:
                        place = cgutils.alloca_once_value(builder, value)
                else:
                    place = cgutils.alloca_once(builder, ir.DoubleType())
                    outputs.append(place)
                builder.store(builder.bitcast(place, pointer), builder.gep(table, [ir.IntType(64)(j)]))
            kind = ir.FunctionType(ir.IntType(64), [pointer.as_pointer(), pointer])
            function = builder.inttoptr(args[0], kind.as_pointer())
            status = builder.call(function, [table, builder.inttoptr(args[1], pointer)])
            return context.make_tuple(builder, result, [status, *map(builder.load, outputs)])

        return result(types.intp, types.intp, arguments), codegen

    return run


def nopython_function(programs, parts, into):
    """A jitted function of the recorded arguments that runs the first of the programs whose guards hold.

    Args:
        programs: compiled programs of one signature.
        parts: the structure of each argument; numbers and arrays only.
        into: whether the arrays for the results are arguments, after the others.

    Raises:
        TypeError: for arguments or results that are not numbers, arrays or tuples of them.
    """
    if any(p != LEAF for p in parts):
        raise TypeError("nopython needs a function whose arguments are floats and arrays")
    first = programs[0]
    inputs = first.frozen.inputs
    names = [f"a{j}" for j in range(len(parts))]
    arrays = [f"o{i}" for i in range(len(first.specs))]
    scope = {"empty": np.empty, "run": _runner(len(first.scalars))}
    lines = [f"def replay({', '.join([*names, *(arrays if into else ())])}):"]
    specs = [(n, s) for n, s in zip(names, inputs, strict=True) if s is not None]
    specs += [(o, s) for o, s in zip(arrays, first.specs, strict=True)] if into else []
    for name, (shape, _) in specs:
        contiguous = f"not {name}.flags.c_contiguous"
        lines += [f"    if {name}.shape != {tuple(shape)} or {contiguous}:"]
        lines += [f"        raise ValueError('recorded for contiguous arrays of shape {tuple(shape)} in place {name}')"]
    if not into:
        for o, (shape, dtype) in zip(arrays, first.specs, strict=True):
            scope[f"t{o}"] = dtype.type
            lines.append(f"    {o} = empty({tuple(shape)}, t{o})")
    leaves = "".join(f"{n}, " for n in [*names, *arrays])
    for k, program in enumerate(programs):
        scope[f"code{k}"], scope[f"space{k}"] = _address(program.machine.address), _address(program.machine.workspace)
        results = [None] * len(program.order)
        for o, j in zip(arrays, program.arrays, strict=True):
            results[j] = o
        for i, j in enumerate(program.scalars):
            results[j] = f"r[{i + 1}]"
        lines += [f"    r = run(code{k}(), space{k}(), ({leaves}))", "    if r[0] == 0:"]
        lines += [f"        return {expression(program.structure, iter(results), scope)}"]
    lines += ["    raise RuntimeError('no recorded path fits these arguments; call the function from Python first')"]
    exec(compile("\n".join(lines), "<tapejit replay>", "exec"), scope)
    compiled = njit(nogil=True)(scope["replay"])
    compiled.programs = programs  # whose machine code it runs
    return compiled


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
