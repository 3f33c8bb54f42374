"""The door's results: the arrays that a program writes into, new, used before or the caller's, and how all is put together."""

from tapejit.edge import blocks as B
from tapejit.edge import capi
from tapejit.edge.jit import inner
from tapejit.edge.raw import as_f64, as_i32, as_i64
from tapejit.replay.door.scratch import (
    ARRAYS,
    HELD,
    NUMBERS,
    STACK,
    TABLE,
    drop,
    drop_all,
    hold,
    is_array,
    word,
)


@inner
def _is_free(x, spec, env):
    """Whether an array that was made before is still what it was, and only we refer to it."""
    return (
        word(x) == 1
        and word(x + capi.ARRAY_BASE) == 0
        and word(x + capi.ARRAY_WEAK) == 0
        and as_i32(x + capi.ARRAY_FLAGS)[0] & capi.WRITEABLE != 0
        and is_array(x, spec[B.DTYPE], spec[B.NDIM], spec[B.SHAPE], 0, env[B.ARRAY_TYPE])
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
        last = spec[B.KEPT_TOO]
        spec[B.KEPT_TOO] = spec[B.KEPT]
        spec[B.KEPT] = made
        hold(made)
        if last != 0:
            drop(last)  # may run a callback of its user, which may come here again
    return made


@inner
def make_arrays(program, scratch, env):
    """Arrays for the results; whether there was memory."""
    arrays, table = as_i64(scratch + ARRAYS), as_i64(scratch + TABLE)
    inputs, count, specs = program[B.INPUTS], program[B.ARRAYS], program[B.SPECS]
    for j in range(count):
        made = _empty(as_i64(specs + 8 * B.SPEC_WORDS * j), env)
        if made == 0:
            drop_all(arrays, j)
            return False
        arrays[j] = made
        table[inputs + j] = word(made + capi.ARRAY_DATA)
    return True


@inner
def _apart(program, j, scratch):
    """Whether the j-th array given for results shares no memory with the inputs, what is read outside, and its elders."""
    table, held = as_i64(scratch + TABLE), as_i64(scratch + HELD)
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
def take_arrays(program, out, scratch, env):
    """The caller's arrays for the results, in their places; whether they fit and share no memory with anything read.

    Results without dimensions are numbers, for which the caller gives no array.
    """
    arrays = as_i64(scratch + ARRAYS)
    for j in range(program[B.ARRAYS]):
        arrays[j] = 0
    taken = _make_numbers(program, scratch, env) and _take(program, out, scratch, env)
    for j in range(0 if taken else program[B.ARRAYS]):
        if arrays[j] != 0:
            drop(arrays[j])
    return taken


@inner
def _make_numbers(program, scratch, env):
    arrays, table = as_i64(scratch + ARRAYS), as_i64(scratch + TABLE)
    for j in range(program[B.ARRAYS]):
        spec = as_i64(program[B.SPECS] + 8 * B.SPEC_WORDS * j)
        if spec[B.NDIM] == 0:
            arrays[j] = _empty(spec, env)
            if arrays[j] == 0:
                capi.clear_error()
                return False
            table[program[B.INPUTS] + j] = word(arrays[j] + capi.ARRAY_DATA)
    return True


@inner
def _entries_of(program, out):
    """A new reference to the entries of a matrix that takes the result; 0 for anything else."""
    if program[B.MATRIX] == 0:
        return 0
    matrix = as_i64(program[B.MATRIX])
    if word(out + capi.TYPE) != matrix[B.CLASS]:
        return 0
    for k in range(2):
        places = capi.attribute(out, matrix[B.COLUMNS_NAME + k])
        if places == 0:
            capi.clear_error()
            return 0
        capi.decref(places)
        if places != matrix[B.COLUMNS + k]:
            return 0
    entries = capi.attribute(out, matrix[B.ENTRIES_NAME])
    if entries == 0:
        capi.clear_error()
    return entries


@inner
def _take(program, out, scratch, env):
    entries = _entries_of(program, out)
    if entries == 0:
        return _take_from(program, out, scratch, env)
    taken = _take_from(program, entries, scratch, env)
    capi.decref(entries)
    return taken


@inner
def _take_from(program, out, scratch, env):
    arrays, table = as_i64(scratch + ARRAYS), as_i64(scratch + TABLE)
    kind, wanted = word(out + capi.TYPE), program[B.GIVEN]
    single = kind == env[B.ARRAY_TYPE]
    if single:
        if wanted != 1:
            return False
    elif (kind != env[B.TUPLE_TYPE] and kind != env[B.LIST_TYPE]) or word(out + capi.SIZE) != wanted:
        return False
    given = 0
    for j in range(program[B.ARRAYS]):
        spec = as_i64(program[B.SPECS] + 8 * B.SPEC_WORDS * j)
        if spec[B.NDIM] == 0:
            continue
        x = out if single else capi.tuple_item(out, given) if kind == env[B.TUPLE_TYPE] else capi.list_item(out, given)
        given += 1
        if not is_array(x, spec[B.DTYPE], spec[B.NDIM], spec[B.SHAPE], 0, env[B.ARRAY_TYPE]):
            return False
        if as_i32(x + capi.ARRAY_FLAGS)[0] & capi.WRITEABLE == 0:
            return False
        hold(x)
        arrays[j] = x
        table[program[B.INPUTS] + j] = word(x + capi.ARRAY_DATA)
        if not _apart(program, j, scratch):
            return False
    return True


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
def result_of(program, out, scratch):
    """The result as an object, ``out`` where that has taken the entries of a matrix. 0 with an error set where that fails."""
    if out == 0 or program[B.MATRIX] == 0:
        return _put_together(program, scratch)
    capi.incref(out)
    return out


@inner
def _put_together(program, scratch):
    arrays, stack, numbers = as_i64(scratch + ARRAYS), as_i64(scratch + STACK), as_f64(scratch + NUMBERS)
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
