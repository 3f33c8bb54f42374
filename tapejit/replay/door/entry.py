"""The door between Python and the programs of a replayed function: from a call's arguments to its results, in native code.

``call`` and ``call_into`` are C functions of CPython's vectorcall form (PEP 590). They know a function by its blocks of
words, which ``replay.doorwords`` writes: a chain of signatures, each with tests of the arguments and of what must not have
been rebound (``admission``), and a program; programs lead to one another by the guards that do not hold. A call that no
block answers goes the general way, a Python function.

Results are new arrays or arrays that this program made before and that nobody else refers to any more (``delivery``).
"""

import functools

from tapejit.edge import blocks as B
from tapejit.edge import capi
from tapejit.edge.jit import inner
from tapejit.edge.plain import code as plain
from tapejit.edge.plain.operators import WORD
from tapejit.edge.raw import as_i64
from tapejit.replay.door.admission import leaves_fit, nothing_rebound, structure_fits
from tapejit.replay.door.delivery import make_arrays, result_of, take_arrays
from tapejit.replay.door.scratch import (
    ARRAYS,
    NUMBERS,
    OWNED_COUNT,
    REGISTERS,
    TABLE,
    WORDS,
    disown,
    drop,
    drop_all,
    hold,
    word,
)

_COUNT = (1 << 63) - 1
MISS = 1  # in place of an object: this way does not lead to a result
_SCRATCH = WORDS


@inner
def _run(program, scratch):
    """The status of a program: 0, or 1 + the guard that did not hold."""
    table = as_i64(scratch + TABLE)
    place = program[B.INPUTS] + program[B.ARRAYS]
    for j in range(program[B.SCALARS]):
        table[place + j] = scratch + NUMBERS + 8 * j
    if program[B.LONG] == 0:
        return capi.run_program(program[B.CODE], scratch + TABLE, program[B.WORKSPACE])
    state = capi.save_thread()
    status = capi.run_program(program[B.CODE], scratch + TABLE, program[B.WORKSPACE])
    capi.restore_thread(state)
    return status


@inner
def _replay(signature, out, scratch, env):
    """The result by the first program whose guards hold, its arrays those of ``out`` if that is an object."""
    address = start = word(signature + 8 * B.LAST)
    if start != 0:
        hold(word(start))
    result = MISS
    mark, hops, limit = start, 0, 1  # to notice that programs lead to one another in a circle
    while address != 0:
        program = as_i64(address)
        following = 0
        if not (take_arrays(program, out, scratch, env) if out != 0 else make_arrays(program, scratch, env)):
            result = MISS if out != 0 else 0
        else:
            status = _run(program, scratch)
            if status == 0:
                if address != start and word(signature + 8 * B.LAST) == start:  # else it was changed while others ran
                    as_i64(signature)[B.LAST] = address
                program[B.CALLS] += 1
                result = result_of(program, out, scratch)
            else:
                following = as_i64(program[B.TURNS])[status - 1]
            drop_all(as_i64(scratch + ARRAYS), program[B.ARRAYS])
        hops += 1
        if following == mark:
            following = 0
        elif hops == limit:
            mark, hops, limit = following, 0, 2 * limit
        if following != 0:
            hold(word(following))
        drop(program[B.OBJECT])
        address = following
    return result


@inner
def _by(signature, out, scratch, env):
    """The result by a signature, MISS if it has none; the second number says whether the call fits it."""
    if not (structure_fits(signature, scratch, env) and leaves_fit(signature, scratch, env)):
        return MISS, False
    if not nothing_rebound(signature, scratch, env):
        return MISS, True
    return _replay(signature, out, scratch, env), True


@inner
def _quickly(instance, env, args, count, out, scratch):
    """The result by the first signature that the call fits."""
    registers = as_i64(scratch + REGISTERS)
    result, fits = MISS, False
    address = instance[B.FIRST]
    if address != 0:
        hold(word(address))
    while address != 0:  # tests may run Python code, which may drop signatures: those in use are held
        signature = as_i64(address)
        if signature[B.ARGUMENTS] == count:
            for j in range(count):
                registers[j] = as_i64(args)[j]
            as_i64(scratch + OWNED_COUNT)[0] = 0
            result, fits = _by(address, out, scratch, env)
            disown(scratch)
            if fits and result != MISS:
                instance[B.USED] = address
        following = 0 if fits else signature[B.NEXT]
        if following != 0:
            hold(word(following))
        drop(signature[B.OBJECT])
        address = following
    return result


@inner
def _generally(function, self, args, count, names, none):
    """``function(self, args, names)``: the names of the last arguments, or None."""
    extra = capi.tuple_size(names) if names != 0 else 0
    items = capi.new_tuple(count + extra)
    call = capi.new_tuple(3)
    if items == 0 or call == 0:
        return 0
    for j in range(count + extra):
        x = as_i64(args)[j]
        capi.incref(x)
        capi.set_tuple_item(items, j, x)
    names = names if names != 0 else none
    capi.incref(self)
    capi.incref(names)
    capi.set_tuple_item(call, 0, self)
    capi.set_tuple_item(call, 1, items)
    capi.set_tuple_item(call, 2, names)
    result = capi.call_object(function, call)
    capi.decref(call)
    return result


def answer(self, args, count, names, into):
    """The result of ``self(*args)``, of ``self.into(*args)`` if ``into`` is 1."""
    instance = _instance(self)
    env = as_i64(instance[B.ENVIRONMENT])
    if names == 0 and into <= count <= B.MOST and word(env[B.ACTIVE] + capi.SIZE) == 0:
        out = as_i64(args)[count - 1] if into else 0
        result = _quickly(instance, env, args, count - into, out, capi.stack_words(_SCRATCH))
        if result != MISS:
            return result
    return _generally(env[B.GENERAL_INTO] if into else env[B.GENERAL], self, args, count, names, env[B.NONE])


@inner
def _instance(self):
    return as_i64(word(word(self + B.BLOCK) + capi.ARRAY_DATA))


# The methods themselves are short, so that the code behind them is compiled once.


def call(self, args, count, names):
    """``replayed(*args)``; the highest bit of the count says something about the memory of the arguments."""
    env = as_i64(_instance(self)[B.ENVIRONMENT])
    return capi.call_five(env[B.ANSWER_CALL], self, args, count & _COUNT, names, 0)


def call_into(self, args, count, names):
    """``replayed.into(*args, out)``."""
    env = as_i64(_instance(self)[B.ENVIRONMENT])
    return capi.call_five(env[B.ANSWER_CALL], self, args, count, names, 1)


@functools.cache
def address(function) -> int:
    """The address of ``answer``, ``call`` or ``call_into`` as a C function, compiled or from the cache on disk."""
    return plain.c_function(function, WORD)
