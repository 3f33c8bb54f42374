"""The blocks of a loop's body, in order: which of them every pass runs through, and where their variables are used."""

from tapejit.edge.compiler import numba_ir as ir

MOST_BLOCKS = 32


class Region:
    """The body of an innermost loop whose passes all run from its first block to the loop's condition.

    Attributes:
        blocks: label -> block, each behind all that lead to it.
        first: the first one's label.
        dominators: label -> the blocks that a pass has gone through when it comes there, itself included.
        always: the blocks that every pass goes through.
        before: label -> the blocks of the body from which a pass comes there.
    """

    def __init__(self, blocks, header):
        self.blocks = blocks
        self.first = next(iter(blocks))
        labels = list(blocks)
        following = {
            label: [t for t in blocks[label].terminator.get_targets() if t != header] for label in labels
        }
        self.before = before = {
            label: [other for other in labels if label in following[other]] for label in labels
        }
        self.dominators = _common(labels, before)
        leaves = {label: header in blocks[label].terminator.get_targets() for label in labels}
        self.always = _common(reversed(labels), following, leaves)[self.first]


def _common(labels, neighbours, ends=None):
    """label -> the labels on every path to it, which comes by its neighbours; paths begin where ``ends`` says so."""
    found = {}
    for label in labels:
        paths = [found[other] for other in neighbours[label]]
        if ends and ends[label]:
            paths.append(frozenset())
        found[label] = frozenset([label]).union(frozenset.intersection(*paths) if paths else ())
    return found


def region(blocks, first, header):
    """The ``Region`` behind a loop's condition; None with a loop in it, a way out, another way in, or too many blocks."""
    order, entered = [], {}

    def visit(label):
        if label == header:
            return True
        if label in entered:
            return entered[label]  # False: underway, so there is a loop
        entered[label] = False
        targets = blocks[label].terminator.get_targets()
        if not targets or len(entered) > MOST_BLOCKS or not all(map(visit, targets)):
            return False
        entered[label] = True
        order.append(label)
        return True

    if not visit(first):
        return None
    for label, block in blocks.items():
        if (
            label not in entered
            and label != header
            and not entered.keys().isdisjoint(block.terminator.get_targets())
        ):
            return None
    return Region({label: blocks[label] for label in reversed(order)}, header)


def drop_ways_to_loops(blocks):
    """Let passes of a ``for`` come straight to its condition: before one of many bytes, CPython has an instruction of its own.

    ``EXTENDED_ARG``, that is, which both the way in and the way back come to: a block that does nothing.
    """
    first = min(blocks)
    for label in [label for label in blocks if label != first and len(blocks[label].body) == 1]:
        jump = blocks[label].terminator
        if not isinstance(jump, ir.Jump) or not _is_condition(blocks[jump.target]):
            continue
        into = [block for block in blocks.values() if label in block.terminator.get_targets()]
        if not all(isinstance(block.terminator, ir.Jump) for block in into):
            continue
        for block in into:
            block.body[-1] = ir.Jump(jump.target, block.terminator.loc)
        del blocks[label]


def _is_condition(block):
    return any(expr.op == "iternext" for expr in block.find_exprs())


def variables_read(inst) -> list:
    """The variables that an instruction reads; the one it assigns is none of them."""
    if not isinstance(inst, ir.Assign):
        return inst.list_vars()
    return [inst.value] if isinstance(inst.value, ir.Var) else getattr(inst.value, "list_vars", list)()


class Uses:
    """Where the variables of a function are assigned and read: name -> [(label, instruction)] for each."""

    def __init__(self, blocks):
        self.assigned, self.read = {}, {}
        for label, block in blocks.items():
            for inst in block.body:
                self._enter(label, inst)

    def _enter(self, label, inst):
        if isinstance(inst, ir.Del):
            return
        if isinstance(inst, ir.Assign):
            self.assigned.setdefault(inst.target.name, []).append((label, inst))
        for name in {variable.name for variable in variables_read(inst)}:
            self.read.setdefault(name, []).append((label, inst))

    def is_single(self, name):
        """Whether a variable is assigned in one place."""
        return len(self.assigned.get(name, ())) == 1

    def within(self, name, body):
        """Whether a variable is assigned and read in a body only."""
        places = (*self.assigned.get(name, ()), *self.read.get(name, ()))
        return all(label in body.blocks for label, _ in places)

    def shared(self, name, label, body):
        """Whether a variable of block ``label`` has its value for other blocks of the body: all of them come behind it."""
        others = {where for where, _ in self.read.get(name, ())} - {label}
        return (
            bool(others)
            and self.is_single(name)
            and all(other in body.blocks and label in body.dominators[other] for other in others)
        )
