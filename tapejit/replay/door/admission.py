"""The door's tests: whether the arguments are those of a signature, and what a function reads beside them what it was.

Comparisons, lookups and attributes may run Python code of any kind, here or in another thread, and that may change lists
and dicts that are being read. So what is taken out of them is owned until the call is done, and what a program is given,
the addresses in arrays, is looked at when no more Python code can run.
"""

from tapejit.edge import blocks as B
from tapejit.edge import capi
from tapejit.edge.jit import inner
from tapejit.edge.raw import as_f64, as_i64
from tapejit.replay.door.scratch import HELD, REGISTERS, STACK, TABLE, VALUES, drop, hold, is_array, own, word


@inner
def structure_fits(signature, scratch, env):
    """Whether containers and static values in the registers are the signature's; puts what is in them into registers."""
    registers = as_i64(scratch + REGISTERS)
    tests = word(signature + 8 * B.TESTS)
    for k in range(word(signature + 8 * B.LEAF_TESTS)):
        test = as_i64(tests + 8 * B.TEST_WORDS * k)
        x = registers[test[B.REGISTER]]
        kind = word(x + capi.TYPE)
        if test[B.KIND] == B.SAME:
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
                own(scratch, item)
                registers[test[B.Q] + j] = item
        elif test[B.KIND] == B.LIST:
            if kind != env[B.LIST_TYPE] or word(x + capi.SIZE) != test[B.P]:
                return False
            for j in range(test[B.P]):
                item = capi.list_item(x, j)
                own(scratch, item)
                registers[test[B.Q] + j] = item
        else:
            if kind != env[B.TUPLE_TYPE] or word(x + capi.SIZE) != test[B.P]:
                return False
            for j in range(test[B.P]):
                registers[test[B.Q] + j] = capi.tuple_item(x, j)
    return True


@inner
def leaves_fit(signature, scratch, env):
    """Whether arrays and numbers in the registers are the signature's; puts the address of each into the table."""
    registers, table, held = as_i64(scratch + REGISTERS), as_i64(scratch + TABLE), as_i64(scratch + HELD)
    values, length = as_f64(scratch + VALUES), word(signature + 8 * B.LENGTH)
    told = False
    tests = word(signature + 8 * B.TESTS)
    for k in range(word(signature + 8 * B.LEAF_TESTS), word(signature + 8 * B.TEST_COUNT)):
        test = as_i64(tests + 8 * B.TEST_WORDS * k)
        x, leaf = registers[test[B.REGISTER]], test[B.LEAF]
        if test[B.KIND] == B.ARRAY:
            if not is_array(x, test[B.P], test[B.Q], test[B.R], 0, env[B.ARRAY_TYPE]):
                return False
            table[leaf] = word(x + capi.ARRAY_DATA)
            held[leaf] = x
        elif test[B.KIND] == B.LONG_ARRAY:
            if not is_array(x, test[B.P], test[B.Q], test[B.R], 1, env[B.ARRAY_TYPE]):
                return False
            table[leaf] = word(x + capi.ARRAY_DATA)
            held[leaf] = x
            found = float(word(word(x + capi.ARRAY_SHAPE)) - word(test[B.R]))
            if told and found != values[length - 1]:
                return False
            values[length - 1], told = found, True
        elif test[B.KIND] == B.WHOLE:
            if word(x + capi.TYPE) != env[B.INTEGER_TYPE]:
                return False
            found = capi.integer_as_double(x)
            if found == -1.0 and capi.error_set() != 0:
                capi.clear_error()
                return False
            found -= test[B.P]
            if told and found != values[length - 1]:
                return False
            values[length - 1], told = found, True
        else:
            kind = word(x + capi.TYPE)
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
            table[leaf] = scratch + VALUES + 8 * leaf
            held[leaf] = 0
    if length == 0:
        return True
    table[length - 1] = scratch + VALUES + 8 * (length - 1)
    held[length - 1] = 0
    return word(signature + 8 * B.LEAST) <= values[length - 1] <= word(signature + 8 * B.MOST_LENGTH)


@inner
def nothing_rebound(signature, scratch, env):
    """Whether what the function reads beside its arguments is what it was, and the leaves still fit after looking."""
    owner = word(signature + 8 * B.WATCH)
    if owner == 0:
        return True
    hold(owner)  # a general call may put another in its place
    fits = _places_hold(word(signature + 8 * B.WATCHED), word(signature + 8 * B.WATCH_COUNT), scratch, env)
    fits = fits and (word(signature + 8 * B.WATCH_RUNS) == 0 or leaves_fit(signature, scratch, env))
    drop(owner)
    return fits


@inner
def _places_hold(watched, count, scratch, env):
    for k in range(count):
        place = as_i64(watched + 8 * B.WATCH_WORDS * k)
        kind = place[B.PLACE]
        if kind >= B.LIST_HOLDS:
            if not _holds(place, scratch):
                return False
            continue
        if kind == B.CELL or kind == B.CELL_NUMBER:
            now = word(place[B.OWNER] + capi.CELL_VALUE)
        elif kind == B.ITEM or kind == B.ITEM_NUMBER:
            now = capi.dict_item(place[B.OWNER], place[B.NAME])
        else:
            now = capi.attribute(place[B.OWNER], place[B.NAME]) if kind == B.ATTRIBUTE else capi.call_object(place[B.OWNER], 0)
            if now != 0:
                capi.decref(now)
        if now == 0:
            capi.clear_error()
        if kind == B.CELL_NUMBER or kind == B.ITEM_NUMBER:
            if not _taken(now, place[B.VALUE], env):
                return False
        elif now != place[B.VALUE]:
            return False
    return True


@inner
def _holds(place, scratch):
    """Whether a list or a dict holds the objects that it did."""
    x, held, count = place[B.OWNER], as_i64(place[B.NAME]), place[B.VALUE]
    if place[B.PLACE] == B.LIST_HOLDS:
        if word(x + capi.SIZE) != count:
            return False
        items, other = as_i64(word(x + capi.LIST_ITEMS)), 0
        for j in range(count):
            if held[j] != 0:
                other |= items[j] ^ held[j]
        return other == 0
    if capi.dict_size(x) != count:
        return False
    found = scratch + STACK  # a position, a key, a value
    as_i64(found)[0] = 0
    for j in range(count):
        if capi.dict_next(x, found, found + 8, found + 16) == 0:
            return False
        if as_i64(found)[1] != held[2 * j] or (as_i64(found)[2] != held[2 * j + 1] and held[2 * j + 1] != 0):
            return False
    return True


@inner
def _taken(x, address, env):
    """Whether an object is a number that a float holds; puts it there."""
    kind = word(x + capi.TYPE) if x != 0 else 0
    if kind == env[B.FLOAT_TYPE] or kind == env[B.NUMPY_FLOAT_TYPE]:
        as_f64(address)[0] = as_f64(x + capi.FLOAT_VALUE)[0]
        return True
    if kind != env[B.INTEGER_TYPE]:
        return False
    value = capi.integer_as_double(x)
    if value == -1.0 and capi.error_set() != 0:
        capi.clear_error()
        return False
    as_f64(address)[0] = value
    return abs(value) < 9007199254740992.0
