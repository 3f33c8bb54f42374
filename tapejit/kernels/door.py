"""The door between Python and the programs of a replayed function: from a call's arguments to its results, in native code.

``call`` and ``call_into`` are C functions of CPython's vectorcall form (PEP 590). They know a function by its blocks of
words, which ``replay.blocks`` writes: a chain of signatures, each with tests of the arguments, values that must not have
been rebound, and a program; programs lead to one another by the guards that do not hold. A call that no block answers
goes the general way, a Python function.

Results are new arrays or arrays that this program made before and that nobody else refers to any more.
"""

import functools

from numba import cfunc
from numba.core import types

from tapejit.edge import capi
from tapejit.edge.jit import inner
from tapejit.edge.raw import as_f64, as_i32, as_i64
from tapejit.kernels import blocks as B

_COUNT = (1 << 63) - 1
MISS = 1  # in place of an object: this way does not lead to a result
_SCRATCH = 7 * B.MOST  # words on the stack
# The parts of the scratch.
_TABLE, _ARRAYS, _STACK, _NUMBERS, _HELD, _VALUES = (k * B.MOST for k in range(1, 7))  # after the registers


@inner
def word(address):
    return as_i64(address)[0]


# References to arrays and blocks are counted here: these are never immortal, and two calls of the C API would cost more.


@inner
def hold(x):
    as_i64(x)[0] += 1


@inner
def drop(x):
    if word(x) > 1:
        as_i64(x)[0] -= 1
    else:
        capi.decref(x)


@inner
def _is_array(x, dtype, ndim, shape, array_type):
    """Whether an object is a NumPy array of this kind, in C order and aligned."""
    if word(x + capi.TYPE) != array_type or word(x + capi.ARRAY_DTYPE) != dtype:
        return False
    if as_i32(x + capi.ARRAY_NDIM)[0] != ndim:
        return False
    flags = as_i32(x + capi.ARRAY_FLAGS)[0]
    if flags & (capi.C_CONTIGUOUS | capi.ALIGNED) != capi.C_CONTIGUOUS | capi.ALIGNED:
        return False
    sizes, wanted = as_i64(word(x + capi.ARRAY_SHAPE)), as_i64(shape)
    for d in range(ndim):
        if sizes[d] != wanted[d]:
            return False
    return True


@inner
def _arguments_fit(signature, scratch, env):
    """Whether the arguments in the registers are those of the signature; puts the address of every leaf in the table."""
    registers, table, held = as_i64(scratch), as_i64(scratch + 8 * _TABLE), as_i64(scratch + 8 * _HELD)
    values = as_f64(scratch + 8 * _VALUES)
    tests = word(signature + 8 * B.TESTS)
    for k in range(word(signature + 8 * B.TEST_COUNT)):
        test = as_i64(tests + 8 * B.TEST_WORDS * k)
        x = registers[test[B.REGISTER]]
        kind = word(x + capi.TYPE)
        if test[B.KIND] == B.ARRAY:
            if not _is_array(x, test[B.P], test[B.Q], test[B.R], env[B.ARRAY_TYPE]):
                return False
            table[test[B.LEAF]] = word(x + capi.ARRAY_DATA)
            held[test[B.LEAF]] = x
        elif test[B.KIND] == B.NUMBER:
            leaf = test[B.LEAF]
            if kind == env[B.FLOAT_TYPE] or kind == env[B.NUMPY_FLOAT_TYPE]:
                values[leaf] = as_f64(x + capi.FLOAT_VALUE)[0]
            elif test[B.P] == 0 or kind != env[B.INTEGER_TYPE]:
                return False
            else:
                values[leaf] = capi.integer_as_double(x)
                if values[leaf] == -1.0 and capi.error_set() != 0:
                    capi.clear_error()
                    return False
                if test[B.P] == 2 and abs(values[leaf]) >= 9007199254740992.0:
                    return False
            table[leaf] = scratch + 8 * (_VALUES + leaf)
            held[leaf] = 0
        elif test[B.KIND] == B.SAME:
            if x != test[B.P]:
                if test[B.Q] != 0 or kind != word(test[B.P] + capi.TYPE):
                    return False
                same = capi.equal(x, test[B.P], 2)
                if same < 0:
                    capi.clear_error()
                if same != 1:
                    return False
        elif test[B.KIND] == B.DICT:
            if kind != env[B.DICT_TYPE] or capi.dict_size(x) != test[B.P]:
                return False
            for j in range(test[B.P]):
                item = capi.dict_item(x, as_i64(test[B.R])[j])
                if item == 0:
                    capi.clear_error()
                    return False
                registers[test[B.Q] + j] = item
        else:
            if kind != (env[B.TUPLE_TYPE] if test[B.KIND] == B.TUPLE else env[B.LIST_TYPE]) or word(x + capi.SIZE) != test[B.P]:
                return False
            for j in range(test[B.P]):
                registers[test[B.Q] + j] = capi.tuple_item(x, j) if test[B.KIND] == B.TUPLE else capi.list_item(x, j)
    return True


@inner
def _nothing_rebound(signature, env):
    """Whether what the function reads beside its arguments is what it was."""
    watched = word(signature + 8 * B.WATCHED)
    for k in range(word(signature + 8 * B.WATCH_COUNT)):
        place = as_i64(watched + 8 * B.WATCH_WORDS * k)
        if place[B.PLACE] == B.CELL:
            now = word(place[B.OWNER] + capi.CELL_VALUE)
        elif place[B.PLACE] == B.ITEM:
            now = capi.dict_item(place[B.OWNER], place[B.NAME])
        else:
            is_attribute = place[B.PLACE] == B.ATTRIBUTE
            now = capi.attribute(place[B.OWNER], place[B.NAME]) if is_attribute else capi.call_object(place[B.OWNER], 0)
            if now != 0:
                capi.decref(now)
        if now == 0:
            capi.clear_error()
        if now != place[B.VALUE]:
            return False
    return True


@inner
def _is_free(x, spec, env):
    """Whether an array that was made before is still what it was, and only we refer to it."""
    return (
        word(x) == 1
        and word(x + capi.ARRAY_BASE) == 0
        and word(x + capi.ARRAY_WEAK) == 0
        and as_i32(x + capi.ARRAY_FLAGS)[0] & capi.WRITEABLE != 0
        and _is_array(x, spec[B.DTYPE], spec[B.NDIM], spec[B.SHAPE], env[B.ARRAY_TYPE])
    )


@inner
def _empty(spec, env):
    """An array for a result, 0 if there is no memory."""
    for k in (B.KEPT, B.KEPT_TOO):
        if spec[k] != 0 and _is_free(spec[k], spec, env):
            hold(spec[k])
            return spec[k]
    capi.incref(spec[B.DTYPE])
    made = capi.new_array(env[B.NEW_ARRAY], env[B.ARRAY_TYPE], spec[B.DTYPE], spec[B.NDIM], spec[B.SHAPE])
    if made != 0 and spec[B.KEEP] != 0:
        if spec[B.KEPT] != 0:
            if spec[B.KEPT_TOO] != 0:
                drop(spec[B.KEPT_TOO])
            spec[B.KEPT_TOO] = spec[B.KEPT]
        hold(made)
        spec[B.KEPT] = made
    return made


@inner
def _make_arrays(program, scratch, env):
    """New arrays for the results; whether there was memory."""
    arrays, table = as_i64(scratch + 8 * _ARRAYS), as_i64(scratch + 8 * _TABLE)
    inputs, count, specs = program[B.INPUTS], program[B.ARRAYS], program[B.SPECS]
    for j in range(count):
        made = _empty(as_i64(specs + 8 * B.SPEC_WORDS * j), env)
        if made == 0:
            _drop(arrays, j)
            return False
        arrays[j] = made
        table[inputs + j] = word(made + capi.ARRAY_DATA)
    return True


@inner
def _drop(objects, count):
    for j in range(count):
        drop(objects[j])


@inner
def _run(program, scratch):
    """The status of a program: 0, or 1 + the guard that did not hold."""
    table, held = as_i64(scratch + 8 * _TABLE), as_i64(scratch + 8 * _HELD)
    place = program[B.INPUTS] + program[B.ARRAYS]
    for j in range(program[B.SCALARS]):
        table[place + j] = scratch + 8 * (_NUMBERS + j)
    if program[B.LONG] == 0:
        return capi.run_program(program[B.CODE], scratch + 8 * _TABLE, program[B.WORKSPACE])
    for j in range(program[B.INPUTS]):  # another thread may take them out of their list meanwhile
        if held[j] != 0:
            hold(held[j])
    state = capi.save_thread()
    status = capi.run_program(program[B.CODE], scratch + 8 * _TABLE, program[B.WORKSPACE])
    capi.restore_thread(state)
    for j in range(program[B.INPUTS]):
        if held[j] != 0:
            drop(held[j])
    return status


@inner
def _collect(made, stack, top, count, is_list):
    """Put the ``count`` objects below ``top`` into a new list or tuple, which takes over the references."""
    for j in range(count):
        if made == 0:
            capi.decref(stack[top - count + j])
        elif is_list:
            capi.set_list_item(made, j, stack[top - count + j])
        else:
            capi.set_tuple_item(made, j, stack[top - count + j])


@inner
def _result(program, scratch):
    """Put the results together. 0 with an error set where that fails."""
    arrays, stack, numbers = as_i64(scratch + 8 * _ARRAYS), as_i64(scratch + 8 * _STACK), as_f64(scratch + 8 * _NUMBERS)
    steps = as_i64(program[B.RESULT])
    top = 0
    for k in range(program[B.RESULT_COUNT]):
        step, parameter = steps[3 * k], steps[3 * k + 1]
        if step == B.PUSH_NUMBER:
            made = capi.new_float(numbers[parameter])
        elif step == B.PUSH_ARRAY:
            made = arrays[parameter]
            hold(made)
        elif step == B.PUSH_OBJECT:
            made = parameter
            capi.incref(made)
        else:
            made = capi.new_list(parameter) if step == B.MAKE_LIST else capi.new_tuple(parameter)
            _collect(made, stack, top, parameter, step == B.MAKE_LIST)
            top -= parameter
            if step == B.APPLY and made != 0:
                items = made
                made = capi.call_object(steps[3 * k + 2], items)
                capi.decref(items)
        if made == 0:
            for j in range(top):
                capi.decref(stack[j])
            return 0
        stack[top] = made
        top += 1
    return stack[0]


@inner
def _apart(program, j, scratch):
    """Whether the j-th array given for results shares no memory with the inputs, what is read outside, and its elders."""
    table, held = as_i64(scratch + 8 * _TABLE), as_i64(scratch + 8 * _HELD)
    inputs, specs, outside = program[B.INPUTS], program[B.SPECS], program[B.OUTSIDE]
    first = table[inputs + j]
    end = first + word(specs + 8 * (B.SPEC_WORDS * j + B.BYTES))
    for k in range(inputs):
        size = 8  # no element is larger
        if held[k] != 0:
            for d in range(as_i32(held[k] + capi.ARRAY_NDIM)[0]):
                size *= as_i64(word(held[k] + capi.ARRAY_SHAPE))[d]
        if first < table[k] + size and table[k] < end:
            return False
    for k in range(j):
        other = table[inputs + k]
        if first < other + word(specs + 8 * (B.SPEC_WORDS * k + B.BYTES)) and other < end:
            return False
    for k in range(program[B.OUTSIDE_COUNT]):
        if first < word(outside + 16 * k + 8) and word(outside + 16 * k) < end:
            return False
    return True


@inner
def _take_arrays(program, out, scratch, env):
    """The caller's arrays for the results, in their places; whether they fit and share no memory with anything read."""
    arrays, table = as_i64(scratch + 8 * _ARRAYS), as_i64(scratch + 8 * _TABLE)
    count, kind = program[B.ARRAYS], word(out + capi.TYPE)
    single = kind == env[B.ARRAY_TYPE]
    if single:
        if count != 1:
            return False
    elif (kind != env[B.TUPLE_TYPE] and kind != env[B.LIST_TYPE]) or word(out + capi.SIZE) != count:
        return False
    for j in range(count):
        x = out if single else capi.tuple_item(out, j) if kind == env[B.TUPLE_TYPE] else capi.list_item(out, j)
        spec = as_i64(program[B.SPECS] + 8 * B.SPEC_WORDS * j)
        if not _is_array(x, spec[B.DTYPE], spec[B.NDIM], spec[B.SHAPE], env[B.ARRAY_TYPE]):
            return False
        if as_i32(x + capi.ARRAY_FLAGS)[0] & capi.WRITEABLE == 0:
            return False
        arrays[j] = x
        table[program[B.INPUTS] + j] = word(x + capi.ARRAY_DATA)
        if not _apart(program, j, scratch):
            return False
    for j in range(count):
        hold(arrays[j])
    return True


@inner
def _replay(signature, out, scratch, env):
    """The result by the first program whose guards hold, its arrays those of ``out`` if that is an object."""
    arrays = as_i64(scratch + 8 * _ARRAYS)
    address = start = word(signature + 8 * B.LAST)
    while address != 0:
        program = as_i64(address)
        if out != 0:
            if not _take_arrays(program, out, scratch, env):
                return MISS
        elif not _make_arrays(program, scratch, env):
            return 0
        hold(program[B.OBJECT])
        status = _run(program, scratch)
        result, following = MISS, 0
        if status == 0:
            if address != start and word(signature + 8 * B.LAST) == start:  # else it was changed while others ran
                as_i64(signature)[B.LAST] = address
            program[B.CALLS] += 1
            result = _result(program, scratch)
        else:
            following = as_i64(program[B.TURNS])[status - 1]
        _drop(arrays, program[B.ARRAYS])
        drop(program[B.OBJECT])
        if status == 0:
            return result
        address = following if following != start else 0
    return MISS


@inner
def _quickly(instance, env, args, count, out, scratch):
    """The result by the first signature that the call fits."""
    registers = as_i64(scratch)
    address = instance[B.FIRST]
    while address != 0:
        signature = as_i64(address)
        if signature[B.ARGUMENTS] == count:
            for j in range(count):
                registers[j] = as_i64(args)[j]
            hold(signature[B.OBJECT])  # tests may run Python code, which may drop the signature
            result = MISS
            if _arguments_fit(address, scratch, env):
                if not _nothing_rebound(address, env):
                    drop(signature[B.OBJECT])
                    return MISS
                result = _replay(address, out, scratch, env)
                instance[B.USED] = address
                following = 0
            else:
                following = signature[B.NEXT]
            drop(signature[B.OBJECT])
            address = following
            if result != MISS:
                return result
        else:
            address = signature[B.NEXT]
    return MISS


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
    words = [types.intp] * function.__code__.co_argcount
    compiled = cfunc(types.intp(*words), cache=True, error_model="numpy")(function)
    _alive.append(compiled)
    return compiled.address


_alive: list = []
