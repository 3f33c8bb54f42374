"""Which program answers a call, and what runs it: the recording itself until it is compiled, then machine code."""

import time

from tapejit.edge.onestep import try_to_take
from tapejit.edge.userline import warn
from tapejit.replay import background
from tapejit.replay.doorwords import SignatureBlock
from tapejit.replay.program import SMALL
from tapejit.replay.values import memory

# "auto" compiles in the background, which costs no call anything but some of the processor's time: a recording of few records
# from its second call on, a larger one once its calls have taken a share of what compiling will, roughly, take.
SECONDS_PER_RECORD = 5e-4
SHARE = 0.05
NOT_YET = object()  # in place of results: what answers is known, or may be, but is neither compiled nor to be interpreted


def _some_to_come(paths):
    """Whether loops with any number of passes, which may answer for all other paths, too, wait to be compiled."""
    return any(p.machine is None and p.failure is None for p in paths.counted)


class Answers:
    """The part of a replayed function that runs programs."""

    @property
    def compiled(self) -> bool:
        """Whether calls like the last one are answered by machine code."""
        signature = self._last
        program = signature.latest() if signature is not None else None
        return program is not None and program.machine is not None

    def wait(self, timeout=None) -> bool:
        """Have all that is recorded compiled, and wait until it is; ``g(x); g.wait()`` and the next call runs machine code.

        Args:
            timeout: seconds, None for as long as it takes.

        Returns:
            Whether all of it is machine code now. False where nothing is recorded (``compile="never"``, a function that runs
            eagerly, one not called yet), or where compiling failed, of which a warning tells.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        self._until_recorded(deadline)
        timeout = None if deadline is None else max(deadline - time.monotonic(), 0.0)
        signatures = [s for s in self._every_signature() if s.paths.eager is None and not s.uncompilable]
        programs = [(s, p) for s in signatures for p in s.paths.everything()]
        background.finish([p for _, p in programs], self.prepare_door, timeout)
        for signature, program in programs:
            if program.failure is not None:
                self._stay_interpreted(signature, program)
        return bool(programs) and all(p.machine is not None for _, p in programs)

    def _until_recorded(self, deadline):
        """Wait for the recording that another thread is making, if one is."""
        while deadline is None or time.monotonic() < deadline:
            got = []
            try:
                try_to_take(self._lock, got)
                if True in got:
                    return
            finally:
                if True in got:
                    self._lock.release()
            time.sleep(0.001)

    def _replay(self, signature, arrays):
        """The results by a program whose guards hold, None if there is none."""
        paths = signature.paths
        for program in tuple(paths.counted):
            if self._is_ready(signature, program) and signature.paths is paths:
                status, results = program.run(arrays)
                if status == 0:
                    self._counts["replayed"] += 1
                    self._open(signature, paths, program)
                    return program.structure, results
        program = signature.latest()
        program = paths.last if program in paths.counted else program
        before, failed = None, 0
        hops = 0
        while program is not None and hops < 2 * len(paths.programs):
            compiled = self._is_ready(signature, program, submit=program.interpreter is None)
            if signature.paths is not paths:
                return None
            if compiled and before is not None:
                self._lead(signature, paths, before, failed, program)
            answer = program.run(arrays) if compiled else self._interpret(signature, program, arrays)
            if answer is None:
                return NOT_YET
            status, results = answer
            if status == 0:
                self._counts["replayed" if compiled else "interpreted"] += 1
                paths.last = program
                if compiled or self._is_ready(signature, program):
                    self._open(signature, paths, program)
                return program.structure, results
            hops += 1
            before, failed = program, status
            program = paths.after(program, status)
        return NOT_YET if _some_to_come(paths) else None

    def _by_length(self, family, length, leaves):
        """Structure and results by a program for any length; None if there is none, or a guard does not hold."""
        signature, waiting = family.signature, False
        programs = family.programs(length)
        if not programs or signature.paths.eager is not None:
            return None
        if signature.captures is not None and not signature.captures.hold():
            self._rebound(signature, signature.captures)
            return None
        arrays = [*map(memory, leaves), float(length)]
        for program, span in programs:
            if not self._is_ready(signature, program):
                waiting |= program.failure is None
                continue
            if program.block is None and family.is_often(length):
                return None
            status, results = program.run(arrays)
            if status == 0:
                self._counts["replayed"] += 1
                signature.paths.last = program
                self._used(signature)
                self._open(signature, signature.paths, program, span)
                return program.structure, results
        return NOT_YET if waiting else None

    def _is_ready(self, signature, program, submit=True) -> bool:
        """Whether a program is machine code; where that is worth it, it will be.

        Args:
            submit: False where it is not known yet whether the program's guards hold: many a path is never taken again.
        """
        if program.machine is not None:
            return True
        if signature.uncompilable:
            return False
        if program.failure is None:
            if self.policy == "now" or (program.interpreter is None and program.frozen.does_less):
                try:
                    program.compile()
                    return True
                except Exception:
                    self._stay_interpreted(signature, program)
                    return False
            if not submit or (program not in signature.paths.counted and _some_to_come(signature.paths)):
                return False
            left = program.frozen.left or 0  # not known yet: it is looked at first
            if left <= SMALL or signature.seconds >= SHARE * SECONDS_PER_RECORD * left:
                background.submit(program, self.prepare_door)
            return False
        self._stay_interpreted(signature, program)
        return False

    def _stay_interpreted(self, signature, program):
        """A program could not be compiled: recordings are interpreted from now on, this one made anew if need be."""
        if program in signature.paths.counted:  # other counts go on as paths of their own
            signature.paths.counted.remove(program)
            return
        if signature.uncompilable:
            return
        signature.uncompilable = True
        why = f"compiling it failed: {program.failure!r}"
        warn(f"tapejit: {signature.paths.name} is interpreted from now on, {why}")
        if program.interpreter is None:
            signature.renew()

    def _interpret(self, signature, program, arrays):
        """Status and results by running the recording again, None if that cannot be done."""
        if program.interpreter is None:
            return None
        start = time.perf_counter()
        answer = program.interpreter.run(arrays)
        signature.seconds += time.perf_counter() - start
        return program.run(arrays) if answer is None and program.machine is not None else answer

    def _lead(self, signature, paths, program, status, other):
        """Let the door go from a program to another where guard ``status - 1`` does not hold."""
        with self._lock:
            if signature.paths is paths and program.block is not None and other.block is not None:
                program.block.turns[status - 1] = other.block.address

    def _number_places(self):
        """The positions where the door takes an int for a float: 1 for any int, 2 for one that a float holds exactly."""
        return {**dict.fromkeys(self._integers.runtime, 2), **dict.fromkeys(self.argnums, 1)}

    def _open(self, signature, paths, program, span=(0, 0)):
        """Let the door answer calls like this one.

        Args:
            span: the least and the most length that the program is for, where there is one.
        """
        with self._lock:
            if signature.paths is not paths or program.block is None:
                return  # rebound meanwhile, or too large for the door
            if program not in paths.counted:
                paths.last = program
            if signature.shut:
                return
            if signature.block is None:
                block = SignatureBlock(signature, self._number_places())
                if not block.possible:
                    signature.shut = True
                    return
                self.open_door()
                signature.block = block
                self._link()
            signature.block.watch(signature.captures)
            signature.block.use(program.block, span)
