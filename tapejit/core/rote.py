"""Passes over records where nothing is left to be learned, by numbers, in one go: the sweep of a recording, and the run of
another's records for which others stand.

What the rule of a record leaves is known for all of its kind (see ``eager.lessons``). The state is a row of words, and Python
goes on where something is not known.
"""

from tapejit.core.append import binary, constant, flags_of, general, value, view, write_record
from tapejit.core.record import (
    ADDRESS,
    EXTERNAL,
    FLAGS,
    GRAD,
    H_COUNT,
    H_RECORDS,
    H_ROOM,
    LAYOUT,
    MASK,
    OWNER,
    READ_ONLY,
    SIZE,
)
from tapejit.edge.jit import entry, inner
from tapejit.edge.raw import as_f64, as_i32, as_i64

# words of the state: addresses of int64 arrays, and numbers
(
    S_ORDER,  # the records in the order of the sweep
    S_COUNT,  # how many
    S_KINDS,  # of each its kind, -1 for none
    S_OPERANDS,  # of each three records
    S_HANDLES,  # by record: the handle of its adjoint or of what stands for it, -1 for none
    S_STATES,  # by record: the layout of its adjoint, or the number of what a rule may look at
    S_HEADS,  # by kind: its first lesson, 0 for none
    S_LESSONS,  # rows of LESSON words
    S_STEPS,  # rows of STEP words
    S_PARTS,  # rows of PART words
    S_VALUES,  # handles of what the rule of the current record knows and makes
    S_NOTED,  # pairs (record, bits of the number) of constants that were made
    S_NOTED_COUNT,
    S_NOTED_ROOM,
    S_STOPPED,  # why Python is to go on, or the part of the record from which on
    S_ADD,  # the op that adds
    S_MADE,  # by record: the lesson by which what stands for it was made
    S_KNOWN,  # by record: the handle by which the recording that goes on knows it, UNKNOWN until asked; 0 if it need not
    S_OUTSIDE,  # the header of the tape of these records, of which stand-ins may be made; 0 if Python has to
) = range(19)
STATE = 19

LESSON = 7  # layout of the adjoint, next lesson of the kind, first step, end, first part, end, what is wanted
RUN = 10  # states of three operands, which are one, next lesson, first step, end, place and state of the result, what is wanted
STEP = 9  # what, op, flags, three places or numbers, layout, plan, number
PART = 3  # operand, place, layout
VIEW, GENERAL, NUMBER, EMPTY = range(4)  # what a step makes

BY_RULE, NOTED_FULL, NO_ROOM, ASKS = -1, -2, -3, -4  # why Python is to go on
UNKNOWN = -2  # the handle of what nobody has asked for


@inner
def find_lesson(s, kind, layout):
    """The row of the lesson for a kind and a layout of its adjoint, 0 for none."""
    if kind < 0:
        return 0
    lesson = as_i64(s[S_HEADS])[kind]
    while lesson != 0:
        row = s[S_LESSONS] + 8 * LESSON * lesson
        if as_i64(row)[0] == layout:
            return row
        lesson = as_i64(row)[1]
    return 0


@inner
def take_step(header, state, step):
    """Make one record; its handle, or a negative answer."""
    s = as_i64(state)
    values = as_i64(s[S_VALUES])
    w = as_i64(step)
    what = w[0]
    if what == GENERAL:
        x, y, z = values[w[3]], values[w[4]], values[w[5]]
        return general(header, w[1], w[2], x, y, z, w[6], w[7], as_f64(step)[8])
    if what == VIEW:
        return view(header, w[1], values[w[3]], w[6], w[7], w[4], w[5], w[2])
    if what == EMPTY:
        return value(header, w[6], w[2])
    made = constant(header, w[6], w[2], as_f64(step)[8])
    if made >= 0:
        noted = as_i64(s[S_NOTED] + 16 * s[S_NOTED_COUNT])
        noted[0] = made & MASK
        noted[1] = w[8]
        s[S_NOTED_COUNT] += 1
    return made


@inner
def add_parts(header, state, i, first, end):
    """Add contributions of record i of the order to the adjoints of its operands; where that stopped, ``end`` if it did not."""
    s = as_i64(state)
    operands = as_i64(s[S_OPERANDS] + 24 * i)
    adjoints, layouts, values = as_i64(s[S_HANDLES]), as_i64(s[S_STATES]), as_i64(s[S_VALUES])
    for p in range(first, end):
        part = as_i64(s[S_PARTS] + 8 * PART * p)
        k = operands[part[0]]
        made = values[part[1]]
        if adjoints[k] < 0:
            layouts[k] = part[2]
        else:
            if layouts[k] != part[2]:
                return p
            made = binary(header, s[S_ADD], adjoints[k], made)
            if made < 0:
                return p
        adjoints[k] = made
    return end


@inner
def has_room(h, s, steps, others):
    """Whether there is room for the records of a lesson and others; else S_STOPPED says what is wanted."""
    if h[H_COUNT] + steps + others > h[H_ROOM]:
        s[S_STOPPED] = NO_ROOM
        return False
    if s[S_NOTED_COUNT] + steps > s[S_NOTED_ROOM]:
        s[S_STOPPED] = NOTED_FULL
        return False
    return True


@inner
def stand_in(header, outside, k):
    """The handle of a value in the memory of record k of another tape, for which there is room."""
    there = as_i64(outside)[H_RECORDS] + k * SIZE
    row, words = as_i64(there), as_i32(there)
    flags = EXTERNAL | (words[FLAGS >> 2] & GRAD) | (flags_of(outside, words[OWNER >> 2]) & READ_ONLY)
    return write_record(header, 0, flags, -1, -1, -1, -1, row[ADDRESS >> 3], row[LAYOUT >> 3], 0, 0.0)


@inner
def tell_known(header, s, at, operands, k, wanted):
    """Put the handles of three operands and the record among the values; False for an UNKNOWN one that is wanted (bits)."""
    known, values = as_i64(s[S_KNOWN]), as_i64(s[S_VALUES])
    for j in range(4):
        record = operands[j] if j < 3 else k
        if known[record] == UNKNOWN and wanted >> j & 1:
            if s[S_OUTSIDE] == 0:
                s[S_STOPPED] = ASKS
                return False
            known[record] = stand_in(header, s[S_OUTSIDE], record)
        values[at + j] = known[record]
    return True


@entry
def sweep_by_lessons(header, state, first):
    """Sweep from a place of the order on; where Python is to go on, the number of records if nowhere.

    S_STOPPED says why: BY_RULE (also where the engine could not repeat a lesson), NOTED_FULL, NO_ROOM, ASKS (for
    a handle that is UNKNOWN), or the part from which on contributions are to be added, the values being there.
    """
    h, s = as_i64(header), as_i64(state)
    values = as_i64(s[S_VALUES])
    for i in range(first, s[S_COUNT]):
        k = as_i64(s[S_ORDER])[i]
        g = as_i64(s[S_HANDLES])[k]
        if g < 0:
            continue
        row = find_lesson(s, as_i64(s[S_KINDS])[i], as_i64(s[S_STATES])[k])
        if row == 0:
            s[S_STOPPED] = BY_RULE
            return i
        lesson = as_i64(row)
        steps = lesson[3] - lesson[2]
        if not has_room(h, s, steps, 4 + lesson[5] - lesson[4]):
            return i
        operands = as_i64(s[S_OPERANDS] + 24 * i)
        values[0] = -1
        values[1] = g
        if not tell_known(header, s, 2, operands, k, lesson[6]):
            return i
        for j in range(steps):
            made = take_step(header, state, s[S_STEPS] + 8 * STEP * (lesson[2] + j))
            if made < 0:
                s[S_STOPPED] = BY_RULE
                return i
            values[6 + j] = made
        stopped = add_parts(header, state, i, lesson[4], lesson[5])
        if stopped < lesson[5]:
            s[S_STOPPED] = stopped - lesson[4]
            return i
    return s[S_COUNT]


@inner
def alike(x, y, z):
    """Which of three handles are one."""
    return (1 if x == y else 0) + (2 if y == z else 0) + (4 if x == z else 0)


@inner
def find_run(s, kind, operands, equal):
    """The number of the lesson for a kind and operands in their states, 0 for none."""
    states = as_i64(s[S_STATES])
    lesson = as_i64(s[S_HEADS])[kind]
    while lesson != 0:
        row = as_i64(s[S_LESSONS] + 8 * RUN * lesson)
        same = row[0] == states[operands[0]] and row[1] == states[operands[1]] and row[2] == states[operands[2]]
        if same and row[3] == equal:
            return lesson
        lesson = row[4]
    return 0


@entry
def run_by_lessons(header, state, first):
    """Make what stands for records from a place of the order on; where Python is to go on, the number of records if nowhere.

    With S_KNOWN these are tangents, and what has one, or whose operands have none, is passed over.

    S_STOPPED says why: BY_RULE (also where the engine could not repeat a lesson), ASKS (what is UNKNOWN), NOTED_FULL, NO_ROOM.
    """
    h, s = as_i64(header), as_i64(state)
    values, handles = as_i64(s[S_VALUES]), as_i64(s[S_HANDLES])
    for i in range(first, s[S_COUNT]):
        kind = as_i64(s[S_KINDS])[i]
        operands = as_i64(s[S_OPERANDS] + 24 * i)
        k = as_i64(s[S_ORDER])[i]
        x, y, z = handles[operands[0]], handles[operands[1]], handles[operands[2]]
        if s[S_KNOWN] != 0 and (handles[k] >= 0 or (kind >= 0 and x == -1 and y == -1 and z == -1)):
            continue
        lesson = 0
        if kind >= 0:
            if x == UNKNOWN or y == UNKNOWN or z == UNKNOWN:
                s[S_STOPPED] = ASKS
                return i
            lesson = find_run(s, kind, operands, alike(x, y, z))
        if lesson == 0:
            s[S_STOPPED] = BY_RULE
            return i
        row = as_i64(s[S_LESSONS] + 8 * RUN * lesson)
        steps = row[6] - row[5]
        if not has_room(h, s, steps, 4):
            return i
        values[0] = -1
        values[1] = x
        values[2] = y
        values[3] = z
        if s[S_KNOWN] != 0 and not tell_known(header, s, 4, operands, k, row[9]):
            return i
        for j in range(steps):
            made = take_step(header, state, s[S_STEPS] + 8 * STEP * (row[5] + j))
            if made < 0:
                s[S_STOPPED] = BY_RULE
                return i
            values[8 + j] = made
        handles[k] = values[row[7]]
        as_i64(s[S_STATES])[k] = row[8]
        as_i64(s[S_MADE])[k] = lesson
    return s[S_COUNT]
