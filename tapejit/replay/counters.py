"""Loops that count: which numbers a loop counts, what tensors see of them, and for how many passes that is known."""

import dis
import functools

from tapejit.graph.counting import (
    COMPARISONS,
    Condition,
    Unsafe,
    counter,
    counting,
    degree,
    is_whole,
    joined,
    number,
    value,
)
from tapejit.replay.abstract import CLEAN, NULL, OPAQUE, Frame, is_tainted, stored
from tapejit.replay.walk import Walk, stack_at


@functools.lru_cache(1024)
def iterated(code):
    """The stretches of bytecode that a ``for`` repeats."""
    return [(i.offset, i.argval) for i in dis.get_instructions(code) if i.opname in ("FOR_ITER", "SEND")]


class Loop:
    """The frames around a loop of Python, at a decision of it.

    Args:
        frames: the one in which it runs, and those around it.

    Attributes:
        iterates: whether the decision stands in a ``for``.
    """

    def __init__(self, frames):
        inner = frames[0]
        self.iterates = any(first < inner.f_lasti < end for first, end in iterated(inner.f_code))
        users = [_is_users(frame) for frame in frames]
        count = users.index(False) if False in users else len(users)
        self.returns = not any(users[count:])  # whether what the last of them gives is the result
        self.frames = [Frame(frame) for frame in frames[:count]]


def _is_users(frame):
    """Whether what a frame does is to be followed; other frames of ours hand results on."""
    name = frame.f_globals.get("__name__", "")
    return not name.startswith("tapejit.") or name.startswith("tapejit.control.")


class _Seen:
    """What a walk finds out.

    Args:
        counters: by way (what it is at the last decision, step).
        after: whether the walk begins where the loop has ended.
    """

    def __init__(self, counters, after):
        self.after = after
        decision = 0 if after else -1
        self.counters = {way: last + step * decision for way, (last, step) in counters.items()}
        self.forms, self.conditions, self.results = [], [], []

    def form(self, form):
        if self.after and (degree(form) > (1, 0) or _divides(form)):
            raise Unsafe
        self.forms.append(form)

    def unknown(self):
        if self.after:
            raise Unsafe

    def element(self, form):
        if not is_whole(form) or degree(form) > (1, 0):
            raise Unsafe

    def condition(self, kind, form, limit):
        outcome = COMPARISONS[kind](value(form, self.counters), limit)
        self.conditions.append(Condition(kind, form, limit, outcome, self.after))
        return outcome

    def result(self, x):
        """What the recorded function gives."""
        if x[0] == "form":
            self.form(x[1])
        elif x[0] in ("tuple", "made"):
            for part in x[1]:
                self.result(part)
        elif is_tainted(x):
            raise Unsafe


def _divides(form):
    return (form[0] == "/" and degree(form[2])[0] > 0) or (len(form) == 3 and any(map(_divides, form[1:])))


def followed(loop, counters, loose, outcome, known):
    """What a loop does with its counters.

    Args:
        counters: by way (what it is at the last decision, step).
        loose: the ways of numbers that move otherwise.
        outcome: of the decisions that go on.
        known: passes.

    Raises:
        Unsafe: if they may be seen otherwise than by arithmetic on tensors and comparisons with numbers.
    """
    if not loop.frames:
        raise Unsafe
    frame = loop.frames[0]
    cells = {*frame.code.co_cellvars, *frame.code.co_freevars}
    if any(way[0] in cells or way[0] not in frame.code.co_varnames for way in (*counters, *loose)):
        raise Unsafe
    space = {name: _with_counters(x, (name,), counters, loose) for name, x in frame.values.items()}
    stack = _stack(frame, counters)
    inside, after = _Seen(counters, False), _Seen(counters, True)
    walk = _walk(frame, inside)
    begin = walk.branch_at(frame.at, outcome, stack, space)
    left = walk.branch_at(frame.at, not outcome, stack, space)
    if begin is None:
        begin = left = _called(walk, frame, stack, CLEAN, space)
    walk.go([begin], frame.at)
    arrived = [state for state in walk.arrived if _has_come_round(state, space, stack, frame, counters, loose)]
    again = [state for state in walk.arrived if not any(state is s for s in arrived)]
    if not arrived:
        raise Unsafe
    left = left[0], [CLEAN if x[0] == "hidden" else x for x in left[1]], left[2]
    _go_on(loop, [left, *((frame.at, *state) for state in again)], walk.results, after)
    return counting(counters, tuple(inside.forms), tuple(after.forms), (*inside.conditions, *after.conditions), known)


def _walk(frame, seen):
    free = {name: frame.values[name] for name in frame.code.co_freevars if name in frame.values}
    return Walk(frame.code, frame.space, seen, free)


def _go_on(loop, begin, results, seen):
    """Follow all that happens after the loop, out of the function in which it ran."""
    for k, frame in enumerate(loop.frames):
        walk = _walk(frame, seen)
        if k:
            tainted = [x for x in results if is_tainted(x)]
            if not tainted:
                return
            stack = stack_at(frame.code, frame.space, frame.at)
            begin = [_called(walk, frame, _cleaned(stack), x, dict(frame.values)) for x in tainted]
            results = []
        walk.go(begin)
        results = [*results, *walk.results]
    if not loop.returns and any(map(is_tainted, results)):
        raise Unsafe
    for x in results:
        seen.result(x)


def _cleaned(stack):
    return [x if x == NULL or x[0] == "known" else CLEAN for x in stack]


def _called(walk, frame, stack, result, space):
    """The state after the call that a frame is at, or after another instruction that takes what lies on top."""
    i = walk.instructions[walk.place[frame.at]]
    stack = list(stack)
    if i.opname == "CALL":
        del stack[len(stack) - i.arg - 2 :]
    elif i.opname in ("UNARY_NOT", "TO_BOOL"):
        stack.pop()
    else:
        raise Unsafe
    return walk.after(frame.at), [*stack, result], {name: x for name, x in space.items() if name != "*keywords"}


def _with_counters(x, way, counters, loose):
    """A value with forms in place of what the loop counts."""
    if way in counters:
        return "form", counter(way)
    if way in loose:
        return OPAQUE
    if x[0] == "tuple":
        return "tuple", tuple(_with_counters(part, (*way, j), counters, loose) for j, part in enumerate(x[1]))
    return x


def _stack(frame, counters):
    """What lies on the stack at the decision: iterators of ranges as what they will give."""
    made = []
    found = stack_at(frame.code, frame.space, frame.at)
    walk = Walk(frame.code, frame.space, None)
    top = walk.instructions[walk.place[frame.at]]
    operands = top.arg + 2 if top.opname == "CALL" else 1
    for j, x in enumerate(found):
        if x[0] == "iterator" or (x[0] == "range" and len(x) == 5):
            made.append(_iterator(frame, walk, x, counters))
        elif x == NULL or x[0] == "known" or j >= len(found) - operands:
            made.append(x if x == NULL or x[0] == "known" else CLEAN)
        else:
            raise Unsafe
    return made


def _iterator(frame, walk, x, counters):
    """An iterator in which the decision stands: one over a range moves with the name that its values get."""
    k = walk.place[x[-1]]
    inside = [i for i in walk.instructions if x[-1] <= i.offset < walk.instructions[k].argval]
    again = stored(inside)
    along = frame.range_of(x, again)
    if along is not None and walk.instructions[k + 1].opname == "STORE_FAST":
        name = walk.instructions[k + 1].argval
        last, step = counters.get((name,), (0, 0))
        if again.count(name) == 1 and step == along.step and last in along:
            return "counting", joined("+", counter((name,)), number(step)), along
    return "hidden", False


def _has_come_round(state, space, stack, frame, counters, loose):
    """Whether a state is that of the next pass; False if it cannot be what came next in the recording.

    Raises:
        Unsafe: if it may be and more than the counters have moved.
    """
    found_stack, found = state
    for way, (last, step) in counters.items():
        x = _at(found, way)
        if x is None or x[0] != "form":
            if x is None or is_tainted(x):
                raise Unsafe
            return False
        expected = [last + step * d for d in (0, -1)]
        reached = [value(x[1], {w: a + s * (d - 1) for w, (a, s) in counters.items()}) for d in (0, -1)]
        if reached[0] != expected[0]:
            return False
        if reached != expected or degree(x[1]) > (1, 0) or not is_whole(x[1]):
            raise Unsafe
    for name, x in found.items():
        _no_more(x, (name,), frame.values.get(name), counters, loose)
    for was, x in zip(stack, found_stack, strict=True):
        moved = was[0] == "counting" and x[0] == "counting" and x[1] == joined("+", was[1], number(was[2].step))
        if not moved and (was[0] == "counting" or x[0] == "counting" or x == ("hidden", True)):
            raise Unsafe
        if x[0] != "hidden" and not moved and is_tainted(x):
            raise Unsafe
    return True


def _at(space, way):
    x = space.get(way[0])
    for j in way[1:]:
        if x is None or x[0] != "tuple" or j >= len(x[1]):
            return x if x is not None and is_tainted(x) else None
        x = x[1][j]
    return x


def _no_more(x, way, was, counters, loose):
    """Refuse what depends on the counters and is neither one, nor a tensor, nor given anew in every pass."""
    if way in counters or way in loose or not is_tainted(x):
        return
    if x[0] == "tuple" and was is not None and was[0] == "tuple" and len(x[1]) == len(was[1]):
        for j, part in enumerate(x[1]):
            _no_more(part, (*way, j), was[1][j], counters, loose)
    elif x[0] != "opaque" or was is None or was[0] != "tensor":
        raise Unsafe
