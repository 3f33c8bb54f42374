"""The signatures of a replayed function."""

from dataclasses import dataclass

from tapejit.edge import blocks as B
from tapejit.replay.capturednumbers import CapturedNumbers
from tapejit.replay.paths import Paths


@dataclass(frozen=True)
class Longer:
    """In place of a number in the key of a signature of calls of all lengths: by how much it is more than the length."""

    more: int


def longer_arrays(key):
    """By number of an array as long as the calls of a signature of all lengths by how much it is longer."""
    sizes = {j: kind[1][0] for j, kind in enumerate(key[1]) if kind.__class__ is tuple and len(kind) > 1 and kind[1]}
    return {j: size.more for j, size in sizes.items() if size.__class__ is Longer}


class Signature:
    """Shapes, dtypes and static values of a call, and all that was recorded for them."""

    def __init__(self, name, key):
        self.key = key
        self.paths = Paths(name)
        self.captures = None
        self.numbers = CapturedNumbers()
        self.rebound = 0  # how often something that the function reads was rebound
        self.structure = None  # of the result
        self.seconds = 0.0  # spent in calls that did not run machine code
        self.history = False  # whether the function reads tensors that require gradients
        self.block = None  # by which the door knows it, once a program is compiled
        self.shut = False  # whether the door cannot answer its calls
        self.family = None  # the family that it belongs to, and its length (see ``lengths``)
        self.uncompilable = False  # whether compiling one of its programs has failed

    def renew(self):
        """Something that the function reads was rebound: its recordings are void."""
        self.paths.forget_turns()
        self.paths = Paths(self.paths.name)
        self.captures = None
        if self.block is not None:
            self.block.use(None)

    def gradients_changed(self):
        """A tensor that the function reads begins, or ceases, to require a gradient."""
        self.history = False
        self.renew()

    def latest(self):
        """The program that was used last."""
        if self.block is not None and self.block.words[B.LAST]:
            address = self.block.words[B.LAST]
            known = (p for p in self.paths.everything() if p.block is not None and p.block.address == address)
            found = next(known, self.paths.last)
            if found in self.paths.counted:
                return found
            self.paths.last = found
        return self.paths.last
