"""The tape: statements in flat arrays, one tape per thread and size of coefficient.

A statement is a value and the terms it depends on: coefficients, indices of earlier statements, and their number. Its
own index is its position, so nothing else is stored:

    coefficient  8 * words bytes a term     adjoint  8 * words bytes a statement
    index        4 bytes a term             count    4 bytes a statement

Statement 0 stands for constants; what the sweep adds to its adjoint is dropped. The arrays live in one allocation with
the size of the memory limit; its pages come into being as the tape grows, so a tape never moves and a function never
runs twice. Writing is bounded by saturation: a full tape overwrites its last terms, and the gradient then raises
MemoryError instead of sweeping.
"""

from llvmlite import ir
from numba import njit
from numba.core import cgutils, types
from numba.extending import intrinsic

from tapejit.nopython.cache import helper
from tapejit.nopython.memory import (
    I32,
    I64,
    allocate_zeroed,
    current_limit,
    get_thread_tape,
    read,
    release,
    set_thread_tape,
    thread_tape,
    write,
)
from tapejit.nopython.types import coefficient_type, words

TERMS, STATEMENTS, CAPACITY, COEFFICIENTS, INDICES, COUNTS, ADJOINTS, LIMIT = range(8)
_HEADER = 64
CALL = -(1 << 29)  # the count of a statement whose part of the sweep is a function's (see ``call_sweep``)
STRIP = CALL + 1  # the same of a statement that ends a strip (see ``stripsweep``)
SCRATCH = 0  # the number of a tape on which nothing is recorded: arrays of dual numbers stand on it
SPARE = 64  # terms that may be written past the capacity


def _word(builder, header, k):
    return builder.gep(header, [ir.Constant(I64, k)], inbounds=True)


class State:
    """What a compiled function keeps of a tape in registers."""

    def __init__(self, builder, coef):
        ty = coef.context.get_data_type(coef.ty)
        header = builder.bitcast(thread_tape(builder, ir.Constant(I64, words(coef.ty))), I64.as_pointer())
        self.terms = _word(builder, header, TERMS)
        self.statements = _word(builder, header, STATEMENTS)
        self.capacity = builder.load(_word(builder, header, CAPACITY))
        self.coefficients = self._array(builder, header, COEFFICIENTS, ty)
        self.indices = self._array(builder, header, INDICES, I32)
        self.counts = self._array(builder, header, COUNTS, I32)

    def _array(self, builder, header, k, ty):
        return builder.inttoptr(builder.load(_word(builder, header, k)), ty.as_pointer())


def state(builder, coef):
    """The tape's pointers, loaded once in the entry block of the function being written."""
    function = builder.function
    if not hasattr(function, "tapejit_states"):
        function.tapejit_states = {}
    slot = words(coef.ty)
    if slot not in function.tapejit_states:
        with builder.goto_entry_block():
            function.tapejit_states[slot] = State(builder, coef)
    return function.tapejit_states[slot]


def counter_scope(module):
    """Alias metadata: the counters share no memory with anything a user's function writes."""
    if not hasattr(module, "tapejit_scope"):
        domain = module.add_metadata(["tapejit.domain"])
        module.tapejit_scope = module.add_metadata([module.add_metadata(["tapejit.counters", domain])])
    return module.tapejit_scope


def load_counter(builder, pointer):
    value = builder.load(pointer)
    value.set_metadata("alias.scope", counter_scope(builder.module))
    return value


def store_counter(builder, value, pointer):
    builder.store(value, pointer).set_metadata("alias.scope", counter_scope(builder.module))


def push(context, builder, coef, terms, total=None):
    """Write one statement; returns its index (i64).

    With ``total``, the index of a running sum, the terms are added to that: the result is ``total``, or the new statement
    if ``total`` is a constant (0) so far. The count is then negative, and one more index says whose adjoint it is.
    """
    strip = getattr(builder.function, "tapejit_strip", None)
    if strip is not None and total is None:
        return strip.push(terms)
    n = len(terms)
    model = context.data_model_manager[coef.ty]
    # Packing may itself record (on the tape one level down), so it comes before the counters are read.
    data = [model.as_data(builder, coef.pack(coefficient)) for coefficient, _ in terms]
    at = state(builder, coef)
    scope = counter_scope(builder.module)
    position = load_counter(builder, at.terms)
    statement = load_counter(builder, at.statements)
    stores = []
    for k, (value, (_, index)) in enumerate(zip(data, terms, strict=True)):
        place = builder.add(position, ir.Constant(I64, k), flags=("nsw", "nuw")) if k else position
        stores.append(builder.store(value, builder.gep(at.coefficients, [place], inbounds=True), align=8))
        slot = builder.gep(at.indices, [place], inbounds=True)
        stores.append(builder.store(builder.trunc(index, I32), slot, align=4))
    result = statement
    if total is not None:
        fresh = builder.icmp_unsigned("==", total, ir.Constant(I64, 0))
        result = builder.select(fresh, statement, total)
        slot = builder.gep(at.indices, [builder.add(position, ir.Constant(I64, n))], inbounds=True)
        stores.append(builder.store(builder.trunc(result, I32), slot, align=4))
    slot = builder.gep(at.counts, [statement], inbounds=True)
    stores.append(builder.store(ir.Constant(I32, n if total is None else -n), slot, align=4))
    n += total is not None
    for store in stores:
        store.set_metadata("noalias", scope)
    after = builder.add(position, ir.Constant(I64, n), flags=("nsw", "nuw"))
    room = builder.icmp_unsigned("<", after, at.capacity)
    store_counter(builder, builder.select(room, after, at.capacity), at.terms)
    following = builder.add(statement, builder.zext(room, I64), flags=("nsw", "nuw"))
    store_counter(builder, following, at.statements)
    return result


@helper
def _allocate(slot, limit):
    per_term = 16 * slot + 8
    size = limit
    block = allocate_zeroed(size)
    while block == 0 and size > 1 << 20:  # address space may be limited: take what there is
        size //= 2
        block = allocate_zeroed(size)
    if block == 0:
        raise MemoryError("no memory for a tape")
    capacity = (size - _HEADER) // per_term - SPARE
    if capacity > (1 << 31) - 1 - SPARE:
        capacity = (1 << 31) - 1 - SPARE
    room = capacity + SPARE
    write(block, CAPACITY, capacity)
    write(block, COEFFICIENTS, block + _HEADER)
    write(block, ADJOINTS, block + _HEADER + 8 * slot * room)
    write(block, INDICES, block + _HEADER + 16 * slot * room)
    write(block, COUNTS, block + _HEADER + 16 * slot * room + 4 * room)
    write(block, LIMIT, limit)
    write(block, STATEMENTS, 1)
    return block


@helper
def acquire(slot):
    """The calling thread's tape for coefficients of ``slot`` words, made on first use."""
    block = get_thread_tape(slot)
    limit = current_limit()
    if block != 0 and read(block, LIMIT, 0) != limit and read(block, STATEMENTS, 0) == 1:
        set_thread_tape(slot, 0)
        release(block)
        block = 0
    if block == 0:
        block = _allocate(slot, limit)
        set_thread_tape(slot, block)
    return block


def sweep_type(context):
    """The LLVM type of a function that does a part of the sweep: a pointer to a function of three integers."""
    return context.call_conv.get_function_type(types.int64, (types.int64,) * 3).as_pointer()


def sweep_address(context, builder, function):
    """The address, as an integer, of a jitted function that does a part of the sweep; compiles it."""
    three = (types.int64,) * 3
    function._numba_type_.get_call_type(context.typing_context, three, {})
    compiled = function.overloads[three]
    context.add_linking_libs([compiled.library])
    declared = context.declare_function(builder.module, compiled.fndesc)
    return builder.ptrtoint(builder.bitcast(declared, sweep_type(context)), I64)


@intrinsic
def call_sweep(typingctx, tape, k, p, address):
    """Let a function sweep what ends with statement ``k`` and before term ``p``: it returns its first term, or -1.

    Its address is the coefficient of its first term; the last words before term ``p`` are its statements' number and
    its first term.
    """
    three = (types.int64,) * 3

    def codegen(context, builder, sig, args):
        function = builder.inttoptr(args[3], sweep_type(context))
        status, result = context.call_conv.call_function(builder, function, types.int64, three, args[:3])
        with cgutils.if_unlikely(builder, status.is_error):
            context.call_conv.return_status_propagate(builder, status)
        return result

    return types.int64(*three, types.int64), codegen


def _counter(builder, address, k):
    return builder.gep(builder.inttoptr(address, I64.as_pointer()), [k], inbounds=True)


@intrinsic
def get_counter(typingctx, tape, k):
    """TERMS or STATEMENTS of a tape. Not ``read``: see ``counter_scope``."""

    def codegen(context, builder, sig, args):
        value = builder.load(_counter(builder, *args))
        value.set_metadata("alias.scope", counter_scope(builder.module))
        return value

    return types.int64(types.int64, types.int64), codegen


@intrinsic
def set_counter(typingctx, tape, k, value):
    def codegen(context, builder, sig, args):
        store = builder.store(args[2], _counter(builder, *args[:2]))
        store.set_metadata("alias.scope", counter_scope(builder.module))
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), codegen


@intrinsic
def slot_of(typingctx, like):
    """Which tape records values of this type: the size of its coefficients in words."""
    slot = words(coefficient_type(like.scalar))

    def codegen(context, builder, sig, args):
        return ir.Constant(I64, slot)

    return types.int64(like), codegen


@njit(nogil=True, cache=True)
def free_memory():
    """Give back the memory of the calling thread's tapes. Not to be called inside a differentiated function."""
    for slot in range(24):
        block = get_thread_tape(slot)
        if block != 0 and read(block, STATEMENTS, 0) == 1:
            set_thread_tape(slot, 0)
            release(block)
