"""Parts of Numba's code (see ``edge.parts``) that are written by this compiler: functions of numbers whose source is plain.

Numba calls them as its own, by its convention of calling and under its names, and the types of what they answer are those that
it would find. What is not in the language goes through Numba.
"""

from types import SimpleNamespace

from llvmlite import ir
from numba.core import compiler, lowering, types
from numba.core.funcdesc import PythonFunctionDescriptor
from numba.core.typing import signature

from tapejit.edge import parts
from tapejit.edge.plain.code import Unit
from tapejit.edge.plain.operators import BIT, DOUBLE, NOTHING, SINGLE, WORD, Arithmetic
from tapejit.edge.plain.source import Unknown

_KINDS = {types.int64: WORD, types.int32: WORD, types.boolean: BIT, types.float64: DOUBLE, types.float32: SINGLE}
_TYPES = {WORD: types.int64, BIT: types.boolean, DOUBLE: types.float64, SINGLE: types.float32, NOTHING: types.none}


def compiled(state):
    """The result of compiling a function for Numba.

    Raises:
        Unknown: if something in it is not in the language.
    """
    given = tuple(map(types.unliteral, state.args))
    if not all(t in _KINDS for t in given) or not (state.flags.no_cpython_wrapper and state.flags.no_cfunc_wrapper):
        raise Unknown("arguments that are no numbers")
    context, function = state.targetctx, state.func_id.func
    module = context.create_module(state.func_id.func_qualname)
    unit = Unit(module)
    part = unit.part(function, tuple(_KINDS[t] for t in given), _flags(state.flags))
    answer = _type_of(part.function_type.return_type)
    descriptor = _described(state, answer)
    _write_entry(context, unit, part, descriptor)
    library = state.library
    library.add_ir_module(module)
    library.finalize()
    environment = lowering.Environment.from_fndesc(descriptor)
    entry = context.get_executable(library, descriptor, environment)
    context.insert_user_function(entry, descriptor, [library])
    return compiler.compile_result(
        typing_context=state.typingctx,
        target_context=context,
        entry_point=entry,
        type_annotation="",
        library=library,
        signature=signature(answer, *state.args),
        objectmode=False,
        lifted=(),
        fndesc=descriptor,
        environment=environment,
        metadata=state.metadata,
        reload_init=state.reload_init,
    )


def _flags(flags):
    return tuple(sorted(flags.fastmath.flags)) if flags.fastmath else ()


def _type_of(kind):
    """Numba's type of a kind."""
    if isinstance(kind, ir.LiteralStructType):
        return types.BaseTuple.from_types([_type_of(k) for k in kind.elements])
    if kind not in _TYPES:
        raise Unknown(f"{kind} as an answer")
    return _TYPES[kind]


def _described(state, answer):
    """What Numba knows a compiled function by."""
    names = state.func_id.arg_names
    function = SimpleNamespace(func_id=state.func_id, arg_names=names)
    types_of = {f"arg.{name}": t for name, t in zip(names, state.args, strict=True)}
    return PythonFunctionDescriptor.from_specialized_function(
        function, types_of, answer, {}, state.targetctx.mangler, state.flags.forceinline, state.flags.noalias,
        [state.flags.get_mangle_string()],
    )  # fmt: skip


def _write_entry(context, unit, part, descriptor):
    """The function that Numba's code calls."""
    convention = context.call_conv
    kind = convention.get_function_type(descriptor.restype, descriptor.argtypes)
    code = ir.Function(unit.module, kind, descriptor.llvm_func_name)
    convention.decorate_function(code, descriptor.args, descriptor.argtypes, noalias=descriptor.noalias)
    builder = ir.IRBuilder(code.append_basic_block())
    arithmetic = Arithmetic(builder, unit.floor)
    values = context.get_arg_packer(descriptor.argtypes).from_arguments(builder, convention.get_arguments(code))
    wide = [builder.sext(v, WORD) if isinstance(v.type, ir.IntType) and 1 < v.type.width < 64 else v for v in values]
    answer = builder.call(part, wide)
    result = descriptor.restype
    if result == types.none:
        answer = context.get_dummy_value()
    elif isinstance(result, types.BaseTuple):
        answer = context.make_tuple(builder, result, arithmetic.parts(answer))
    convention.return_value(builder, context.get_return_value(builder, result, answer))


parts.set_shorter(compiled, Unknown)
