"""A function is recorded: what comes of running it on a tape of its own becomes a program of one of its signatures."""

import contextlib
import dataclasses
import time

import numpy as np

from tapejit.core.errors import Refused
from tapejit.eager.dispatch import from_array
from tapejit.eager.gradflags import tell
from tapejit.eager.tensor import Tensor
from tapejit.edge.onestep import try_to_take
from tapejit.graph.anycount import NoCount
from tapejit.graph.anylength import EDGES
from tapejit.graph.passbody import Irregular
from tapejit.replay.capturednumbers import others_run, standing_in
from tapejit.replay.captures import Captures
from tapejit.replay.integers import same_work
from tapejit.replay.interpreter import Interpreter
from tapejit.replay.later import Later, may_wait
from tapejit.replay.program import Frozen, Program
from tapejit.replay.reads import Reads
from tapejit.replay.recorder import NeedsHistory, Recorder, around
from tapejit.replay.signature import Signature
from tapejit.replay.trees import flatten, integers, is_result, with_leaves
from tapejit.replay.values import as_tensor, statics

MOST_REBOUND = 64


@dataclasses.dataclass
class _Recording:
    """What a recording gave, its programs (None if refused, or without loops of any count, any length), and what it read."""

    structure: object
    results: list
    program: Program
    counted: object
    long: object
    before: Captures
    captures: Captures


class Recordings:
    """The part of a replayed function that records it."""

    def _record(self, signature, key, arrays):
        """Run the function on a tape of its own; its results, None if it cannot be replayed, or another thread records."""
        got = []
        try:
            try_to_take(self._lock, got)
            return self._recorded(signature, key, arrays) if True in got else None
        finally:
            if True in got:
                self._lock.release()

    def _recorded(self, signature, key, arrays):
        """As ``_record``; numbers from outside that change between calls become run-time values where that can be."""
        found = self._recording(signature, key, arrays)
        if found is None:
            return None
        slots = signature.numbers.candidates() if found.program is not None else ()
        alone = not (slots and others_run())
        if slots and alone:
            found = self._moving_or(found, signature, key, arrays, slots)
        if found.program is not None and (alone or not signature.numbers.slots):  # else the others read numbers, this one not
            signature.structure = found.structure
            self._enter(signature, found)
        return found.structure, found.results

    def _moving_or(self, found, signature, key, arrays, slots):
        """A recording in which tensors stand in for the numbers in some places; the one without them, if it is not the same."""
        trial = Signature("a trial", signature.key)
        trial.paths.quiet = True
        try:
            moving = self._recording(trial, key, arrays, slots)
        except Exception:
            moving = None
        same = moving is not None and moving.program is not None
        same = same and same_work((found.program, found.results), (moving.program, moving.results))
        known = len(signature.numbers.slots)
        signature.numbers.decide(slots, same)
        if len(signature.numbers.slots) < known:
            signature.renew()
        return moving if same else found

    def _recording(self, signature, key, arrays, slots=()):
        """What comes of running the function on a tape of its own, None if it cannot be replayed."""
        self._counts["recorded"] += 1
        start = time.perf_counter()
        before = Captures(self.fun, statics(key))
        interpreter, recorder, values = None, Recorder(), None
        try:
            with around(recorder), recorder:
                recorder.reads = reads = Reads(self.fun, statics(key), self.constants, recorder.tape.lines, recorder.sources)
                inputs = [as_tensor(x) for x in arrays]
                recorder.inputs.update((recorder.index(t), j) for j, t in enumerate(inputs))
                args, kwargs = self._rebuilt(key, inputs)
                with standing_in(slots) as tensors:
                    result = self.function(*args, **kwargs)
                reads.forget(tensors)
                outputs = []
                structure = flatten(result, is_result, outputs)
                outputs = [x if x.__class__ is Tensor else from_array(x, copy=False) for x in outputs]
                records = [recorder.index(t) for t in outputs]
                # In the order of elements that machine code gives them, whatever view the function ended with.
                values = [np.array(t._memory(), order="C") for t in outputs]
            captures = Captures(self.fun, statics(key))
            reads.finish()
            captures.add(reads)
            for tensor, _ in recorder.brought.values():
                tell(tensor, signature)
                if signature.family:
                    tell(tensor, signature.family[0].signature)
            reads.numpy.guard(recorder, captures.arrays)
            kinds = [None if x.__class__ is float else (x.shape, x.dtype.str[1:]) for x in arrays]
            interpreted = (self.policy == "auto" or signature.uncompilable) and Interpreter.can_run(recorder)
            family, counted, long = signature.family if not slots else None, None, None
            if interpreted and family is None and may_wait(recorder):
                frozen = Later(recorder, kinds, records)
            else:
                frozen = _frozen(recorder, kinds, records)
                counted = _of_any_count(recorder, kinds, records, structure)
                long = self._of_any_length(recorder, kinds, records, structure, family)
            if interpreted:
                guards = [(place, *rest) for place, (_, *rest) in zip(frozen.places, frozen.guards, strict=False)]
                interpreter = Interpreter(recorder, guards, records)
        except NeedsHistory as needs:
            signature.history = True
            tell(needs.args[0], signature)
            return None
        except Refused as why:
            signature.paths.stay_eager(str(why))
            if values is None:
                return None
            frozen = counted = long = None  # the function has run to its end, and does so once a call
        finally:
            inputs = args = kwargs = result = outputs = tensors = None
            recorder.close()
        signature.seconds += time.perf_counter() - start
        slots = {slot.key: slot for slot in slots}
        before.moving(slots)
        captures.moving(slots)
        program = None if frozen is None else Program(frozen, structure, interpreter)
        results = [v.item() if v.ndim == 0 and v.dtype == np.float64 else v for v in values]
        return _Recording(structure, results, program, counted, long, before, captures)

    def _enter(self, signature, found):
        """Make a recording's program one of its signature's, unless what the function reads has changed meanwhile."""
        watched = [c for c in (found.before, found.captures, signature.captures) if c is not None]
        changed = next((c for c in watched if not c.hold()), None)
        if changed is not None:
            signature.numbers.stays(changed.place)
            self._rebound(signature, changed)
        else:
            if signature.captures is None:
                signature.captures = found.captures if found.captures.places else None
            else:
                signature.captures.merge(found.captures)
            program = found.program
            signature.paths.add(program)
            if found.counted is not None:
                signature.paths.add_counted(*found.counted, Program)
            if found.long is not None:
                self._enter_long(signature.family[0].signature, found)
            if self.policy == "now" and signature.paths.eager is None and self._is_ready(signature, program):
                self._open(signature, signature.paths, program)

    def _enter_long(self, signature, found):
        """Keep a recording for all lengths; there is a program once another one is the same."""
        signature.paths.add_counted(*found.long, Program)
        if signature.captures is not None:
            signature.captures.merge(found.captures)
        elif found.captures.places:
            signature.captures = found.captures

    def _of_any_length(self, recorder, inputs, outputs, structure, family):
        """The recording as that of loops along a length, and its results' structure; None if it has none."""
        if family is None or not family[0].wants():
            return None
        family, count = family
        inputs = [((None, *x[0][1:]), x[1]) if j in family.longer else x for j, x in enumerate(inputs)]
        try:
            length = self._lengths.length(family, count, len(inputs))
        except Exception:  # also where an interpreter has code that is not known here: then each length is for itself
            return None
        for edge, near in EDGES:
            with contextlib.suppress(NoCount, Irregular, Refused):
                limited = dataclasses.replace(length, edge=edge, near=near).within(())
                frozen = Frozen(recorder, [*inputs, None], outputs, (), integers(structure), limited)
                return _with_counted(frozen, structure, len(outputs))
        return None

    def _rebound(self, signature, captures):
        """Something that the function reads was rebound: record anew, unless that happens at nearly every call."""
        with self._lock:
            changed = captures.changed
            signature.numbers.changed(captures.place)
            signature.renew()
            signature.rebound += 1
            if signature.rebound > MOST_REBOUND:
                why = f"a variable that it reads ({changed}) is rebound at nearly every call: make it an argument"
                signature.paths.stay_eager(why)


def _frozen(recorder, inputs, outputs):
    """What is left of a recording.

    Raises:
        Refused: also where that fails for reasons of ours.
    """
    try:
        frozen = Frozen(recorder, inputs, outputs)
    except Exception as why:
        raise Refused(f"its recording could not be read: {why!r}") from why
    recorder.held.update(map(id, frozen.graph.arrays))
    return frozen


def _of_any_count(recorder, inputs, outputs, structure):
    """The recording as that of a loop with any number of passes, and its results' structure; None if it has no such loop."""
    repeats = recorder.repeats.found(recorder.guards)
    if not repeats:
        return None
    try:
        frozen = Frozen(recorder, inputs, outputs, repeats, integers(structure))
    except (NoCount, Irregular, Refused):
        return None
    return _with_counted(frozen, structure, len(outputs))


def _with_counted(frozen, structure, count):
    """A recording and the structure of its results, in which integers that were counted are leaves."""
    structure, order = with_leaves(structure, frozen.whole, count)
    frozen.outputs = [*(frozen.outputs[j] for j in order), *frozen.outputs[len(order) :]]
    frozen.long = {order.index(j): result for j, result in frozen.long.items()}
    return frozen, structure
