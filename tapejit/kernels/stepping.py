"""Kernels that change several arrays at once, element by element: the steps of optimisers, from their rules.

    update(n, addresses of the arrays, numbers, 0)

A rule is a function of scalars, ``rule(*arrays, *numbers)``, that gives the new elements of all arrays but the one that is only
read, the gradient.
"""

import functools

from llvmlite import ir
from numba.core import cgutils

from tapejit.core.updates import READ
from tapejit.edge.objects import compiled_address, has_fma
from tapejit.edge.vecmath.emit import DOUBLE, SINGLE, Value
from tapejit.kernels.expression import lower_expr
from tapejit.spec.expr import as_expr, symbol
from tapejit.spec.primitives import entered_later

_WORD = ir.IntType(64)


@functools.cache
def update_kernel(name: str, rule, arrays: int, numbers: int, dtype: int) -> int:
    """Compile, or load from the cache, the kernel of a rule.

    Args:
        name: of the rule.
        rule: the rule, one object for all calls.
        arrays: how many arrays it takes.
        numbers: how many numbers.
        dtype: dtype code, ``record.F64`` or ``record.F32``.

    Returns:
        The kernel's address.
    """
    names = [f"x{i}" for i in range(arrays)], [f"c{i}" for i in range(numbers)]
    results = [as_expr(e) for e in rule(*map(symbol, names[0] + names[1]))]
    label = f"update_{name}_{('f64', 'f32')[dtype]}"

    def write(module, full):
        _write(module, full, (DOUBLE, SINGLE)[dtype], names, results)

    return compiled_address(label, repr((results, arrays, numbers, entered_later())), write)


def _write(module, full, form, names, results):
    kinds = [_WORD, _WORD.as_pointer(), ir.DoubleType().as_pointer(), _WORD]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), kinds), full)
    n, table, given, _ = function.args
    builder = ir.IRBuilder(function.append_basic_block("entry"))

    def value(x):
        return Value(builder, form, has_fma(), x)

    fixed = {}
    for k, name in enumerate(names[1]):
        number = builder.load(builder.gep(given, [_WORD(k)]))
        fixed[name] = value(number if form is DOUBLE else builder.fptrunc(number, form.float))
    addresses = [builder.load(builder.gep(table, [_WORD(k)])) for k in range(len(names[0]))]
    arrays = [builder.inttoptr(a, form.float.as_pointer()) for a in addresses]
    with cgutils.for_range(builder, n) as loop:
        places = [builder.gep(a, [loop.index]) for a in arrays]
        bound = fixed | {name: value(builder.load(p)) for name, p in zip(names[0], places, strict=True)}
        like, known = value(ir.Constant(form.float, 0.0)), {}
        found = [lower_expr(e, bound, like, known) for e in results]
        for place, new in zip(places[:READ] + places[READ + 1 :], found, strict=True):
            builder.store(new.ir, place)
    builder.ret_void()
