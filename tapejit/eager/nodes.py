"""Backward nodes, as PyTorch shows them: made on request from a record, ``y.grad_fn`` and what it leads to."""

from tapejit.core import record as R
from tapejit.core.record import MASK
from tapejit.eager import hooks
from tapejit.eager.compiledsweep import handle_of, operand_records
from tapejit.eager.tensor import Tensor
from tapejit.eager.usergraph import part_of
from tapejit.spec import usernodes
from tapejit.spec.table import OPS


class Node:
    """The backward node of a tensor that was computed.

    Nodes of one tensor are equal. ``register_prehook(hook)`` calls ``hook((gradient,))`` with the gradient of the tensor.
    """

    __slots__ = ("_tensor",)

    def __init__(self, tensor):
        self._tensor = tensor

    def name(self) -> str:
        """PyTorch's name of the node."""
        tape, k = self._tensor._tape(), self._tensor._r & MASK
        op = OPS[int(tape.ops[k])]
        return part_of(_node_below(tape, k)).call.name if op is usernodes.result else op.node_name

    @property
    def next_functions(self) -> tuple:
        """A pair (node, 0) for each operand; (None, 0) for one that gets no gradient."""
        tape, k = self._tensor._tape(), self._tensor._r & MASK
        if tape.flags[k] & R.FREED:
            return ()
        if OPS[int(tape.ops[k])] is usernodes.result:
            return tuple((node_of(x), 0) for x in _inputs_of_call(tape, k))
        flags, found = int(tape.flags[k]), []
        for j, o in enumerate(operand_records(tape, OPS[int(tape.ops[k])], tape.records[k].item())):
            if j < 3 and flags & (R.SCALAR_A << j):
                found.append((None, 0))
            elif o >= 0:
                found.append((node_of(handle_of(tape, o)) if tape.flags[o] & R.GRAD else None, 0))
        return tuple(found)

    def register_prehook(self, hook):
        """Call ``hook(gradients)`` with a tuple of one; it gives None or a tuple."""

        def of_one(gradient):
            changed = hook((gradient,))
            return changed[0] if isinstance(changed, tuple) else changed

        return hooks.register_hook(self._tensor, of_one)

    def __eq__(self, other):
        return self.__class__ is other.__class__ and self._tensor is other._tensor

    def __hash__(self):
        return hash(self._tensor)

    def __repr__(self):
        return f"<{self.name()} object at {id(self._tensor):#x}>"


def sources_of(tape, k) -> list:
    """The records whose values a record was made of, as a sweep goes down to them."""
    code = int(tape.ops[k])
    if OPS[code] is usernodes.result:
        return [x._r & MASK for x in _inputs_of_call(tape, k)]
    row = tape.records[k].item()
    flags = int(tape.flags[k])
    found = enumerate(operand_records(tape, OPS[code], row))
    return [o for j, o in found if o >= 0 and not (j < 3 and flags & (R.SCALAR_A << j))]


class AccumulateGrad(Node):
    """Where a gradient ends: the node of a leaf, ``variable``."""

    __slots__ = ()

    @property
    def variable(self) -> Tensor:
        return self._tensor

    def name(self) -> str:
        return "AccumulateGrad"

    @property
    def next_functions(self) -> tuple:
        return ()


def node_of(tensor):
    """The backward node of a tensor that requires a gradient."""
    return (AccumulateGrad if tensor.is_leaf else Node)(tensor)


def grad_fn(tensor):
    """The node that computed this tensor, None for a leaf."""
    return None if tensor.is_leaf else Node(tensor)


Tensor.grad_fn = property(grad_fn, doc=grad_fn.__doc__)


def _node_below(tape, k):
    return handle_of(tape, int(tape.records["b"][k]))


def _inputs_of_call(tape, k):
    """The tensors that a call of a user's function leads to, past its nodes."""
    below, found = [int(tape.records["b"][k])], []
    while below:
        k = below.pop(0)
        if OPS[int(tape.ops[k])] is usernodes.node:
            below = [int(tape.records[place][k]) for place in "abc" if tape.records[place][k] >= 0] + below
        else:
            found.append(handle_of(tape, k))
    return found
