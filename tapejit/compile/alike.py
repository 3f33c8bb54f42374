"""Loops over passes that do the same elsewhere: the inner loops of nested ones are one function, which is told where.

Of loops inside of a loop each pass of the outer one leaves its own. They have the same body; how many passes they have and
where these read and write are numbers (see ``compile.sizes``).
"""

from dataclasses import replace

from tapejit.graph.loop import Where

FEWEST = 2  # loops of one body that share a function


def may_share(node) -> bool:
    """Whether the function of a loop may be another's, too: not where it has numbers of guards in it, or arrays outside."""
    loop = node.attr
    return not (loop.guards or loop.counted or loop.graph.arrays)


def apart(node, change):
    """(what must be the same of loops that share a function, the parts of a ``Loop`` that hold numbers), the latter changed.

    Args:
        change: of an integer gives what stands in its place.
    """
    loop = node.attr

    def where(w):
        if w.__class__ is not Where:
            return w
        return replace(w, start=change(w.start), step=w.step if -1 <= w.step <= 1 else change(w.step))

    return _structure(node), (
        change(loop.trips),
        tuple(map(where, loop.reads)),
        tuple(map(where, loop.writes)),
        tuple(replace(c, first=tuple(map(where, c.first))) for c in loop.carried),
        tuple(replace(u, where=where(u.where)) for u in loop.updates),
        tuple((change(at), where(w), change(n)) for at, w, n in loop.copies),
    )


def with_parts(loop, parts):
    """A loop with what ``apart`` has given of it."""
    names = "trips", "reads", "writes", "carried", "updates", "copies"
    return replace(loop, **dict(zip(names, parts, strict=True)))


def _structure(node):
    loop = node.attr
    nodes = tuple((x.op, x.attr, x.shape, x.dtype, tuple(a.id for a in x.args)) for x in loop.graph.nodes)
    stored = frozenset(x.id for x in loop.stored)
    return nodes, loop.dtype, loop.unvectorised, tuple(x.id for x in loop.outputs), stored, tuple(x.dtype for x in node.args)
