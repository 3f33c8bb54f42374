"""Loops of one structure and other sizes as one function: what differs between them, it is told.

Arrays that shrink or grow from pass to pass, as ``v = p * v[1:] + q * v[:-1]``, leave a loop for every length. LLVM's time goes
by functions, and by that of a loop's body, not by how often it runs.
"""

import struct
from dataclasses import dataclass

FEWEST = 4  # loops that differ in numbers alone, from which on they share a function


@dataclass(frozen=True)
class Size:
    """The number of an argument, of 64 bits, that comes after the buffers of a loop's function."""

    number: int


def has_sizes(*numbers) -> bool:
    return any(x.__class__ is Size for x in numbers)


def mapped(key, change):
    """The key of a loop (see ``Code._loops``) with other numbers for how long it is and where it reads and writes.

    Args:
        change: of an integer, or the bits of a constant, gives what stands in its place. Steps of 0 and 1 and extents of 1
            are no numbers but structure; an extent of 1 becomes (first, None).
    """
    code, targets, roots = key

    def step(s):
        return s if -1 <= s <= 1 else change(s)

    def span(first, end):
        if end <= first:
            return first, end
        return change(first), None if end - first == 1 else change(end)

    def line(instruction):
        if instruction[0] == "load":
            what, dtype, buffer, (start, *steps) = instruction
            return what, dtype, buffer, (change(start), *map(step, steps))
        if instruction[0] == "const" and instruction[1] == "f8":
            value = change(_bits(instruction[2]))
            return "const", "f8", value if value.__class__ is Size else instruction[2]
        return instruction

    def target(number, what, dtype, steps, start, count):
        count = 0 if what == "store" else 1 if count == 1 else change(count)
        return number, what, dtype, tuple(map(step, steps)), change(start), count

    return (
        tuple((tuple(span(*s) for s in box), tuple(map(line, lines))) for box, lines in code),
        tuple(target(*t) for t in targets),
        tuple(tuple((t, p, last if last is None else change(last)) for t, p, last in values) for values in roots),
    )


def _taken_apart(key, mapped):
    """A loop without its numbers, and these."""
    numbers = []

    def change(number):
        numbers.append(number)
        return ...

    return mapped(key, change), numbers


def _bits(text):
    return struct.unpack("<q", struct.pack("<d", float(text)))[0]


class Sizes:
    """Which loops of a program share a function.

    Args:
        keys: of all loops, in any order.
        mapped: gives what is behind a key with other numbers.
        fewest: loops that share one.

    Attributes:
        known: by key the loop with ``Size`` in place of what differs, and the numbers of this one.
    """

    def __init__(self, keys, mapped=mapped, fewest=FEWEST):
        groups = {}
        for key in dict.fromkeys(keys):
            skeleton, numbers = _taken_apart(key, mapped)
            groups.setdefault(skeleton, []).append((key, numbers))
        self.known = {}
        for members in groups.values():
            if len(members) >= fewest:
                self._enter(members, mapped)

    def _enter(self, members, mapped):
        rows = [numbers for _, numbers in members]
        places, columns = [], {}  # for each number the argument that it is, None for one that is the same in all
        for column in zip(*rows, strict=True):
            same = len(set(column)) == 1
            places.append(None if same else columns.setdefault(column, len(columns)))
        first = members[0][0]
        numbered = iter(zip(rows[0], places, strict=True))

        def change(_):
            number, place = next(numbered)
            return number if place is None else Size(place)

        shared = mapped(first, change)
        for j, (key, _) in enumerate(members):
            self.known[key] = shared, [column[j] for column in columns]
