"""Gradients: ``backward``, ``grad``, and the sweep as Tensors for derivatives of derivatives."""

import numpy as np

from tapejit.core import engine
from tapejit.core import record as R
from tapejit.core import tape as tapes
from tapejit.core.layout import layout_at, packed_strides
from tapejit.core.plans import plan_at
from tapejit.core.record import MASK
from tapejit.eager.creation import tensor
from tapejit.eager.dispatch import borrow, constant, recover, wrap
from tapejit.eager.grad_mode import enable_grad, no_grad
from tapejit.eager.tensor import Tensor, method_as
from tapejit.eager.views import contiguous, strided_view
from tapejit.spec.table import BY_NAME, OPS, VALUES

_address = tapes.main.address
_main = tapes.main
_handles, _words = _main.handles, _main.words
_new = object.__new__
_prepare_scalar, _run = (engine.late(globals(), f"_{entry}", entry) for entry in ("prepare_scalar", "run"))
_NORM, _SQUARE, _MUL = (BY_NAME[name] for name in ("norm", "square", "mul"))
_FLAGS, _A, _VALUE, _LAYOUT, _PLAN, _IMM = map(R.RECORD.names.index, ("flags", "a", "address", "layout", "plan", "imm"))
_IMMEDIATE = (R.SCALAR_A, R.SCALAR_B, R.SCALAR_C)
_COUNT = (1 << 32) - 1  # of what a sweep answers: how many gradients it made; above it: how many adjoints are retained


@method_as("backward")
def tensor_backward(self, gradient=None, retain_graph=None, create_graph=False, inputs=None) -> None:
    """Compute the gradient of this tensor in the leaves of its graph and add it to their ``.grad``.

    Args:
        gradient: the vector of the vector-Jacobian product, of this tensor's shape; may be left out for one element.
        retain_graph: keep what the graph saved, for another backward; by default True only with ``create_graph``.
        create_graph: compute the gradients as tensors that can be differentiated again.
        inputs: the leaves to accumulate into; by default all that the graph reaches.

    Raises:
        RuntimeError: without a graph, without ``gradient`` for several elements, or through a graph already freed.
    """
    if gradient is None and inputs is None and not create_graph:
        if len(_handles) != _words[R.H_COUNT]:
            _main.align()
        try:
            answer = _prepare_scalar(_address, self._r)
            while answer < R.SLOW:
                _unblock(_main, answer)
                answer = _prepare_scalar(_address, self._r)
            if answer == 0:
                made = _run(_address, 1 if retain_graph else 0, 1)
                if made < 0:
                    made = _go_on(_main, retain_graph, True)
                if made & _COUNT:
                    _attach_gradients(_main)
                if made > _COUNT:
                    _collect_retained(_main)
                return
        except BaseException:
            _give_up(_main, True)
            raise
    backward((self,), (gradient,), retain_graph, create_graph, inputs=inputs)


def _give_up(tape, to_leaves):
    """End a sweep that an interrupt stopped anywhere: no marks stay, and no leaf adds to a gradient that it does not show."""

    def clean():
        engine.abandon(tape.address, int(to_leaves))
        tape.align()
        numbers, handles = tape.records["a"], tape.handles
        leaves = np.flatnonzero((tape.flags[: len(tape)] & R.LEAF != 0) & (numbers[: len(tape)] >= 0))
        for k in leaves.tolist():
            if getattr(handles[k], "_grad", None) is not handles[numbers[k]]:
                numbers[k] = -1

    tapes.whole(clean)


def _attach_gradients(tape):
    """Give the leaves whose first gradient a sweep has just made their Tensors; the records are the newest ones."""
    handles = tape.handles
    base = tape.number << R.TAPE_SHIFT
    leaf_at, apart = tape.leaf_at, None
    for i in range(tape.words[R.H_LEAF_COUNT]):
        k = leaf_at[i]
        if k >= 0:
            leaf = handles[k]
            handle = base | len(handles)
            gradient = _new(Tensor)
            gradient._r = handle
            gradient._layout = _packed_at(tape, handle) if leaf is None else leaf._layout.packed
            handles.append(gradient)
            if leaf is None:
                continue
            if getattr(leaf, "_grad", None) is None:
                leaf._grad = gradient
            elif apart is None:
                apart = [(leaf, gradient)]
            else:
                apart.append((leaf, gradient))
    if apart is not None:
        for leaf, gradient in apart:
            leaf.grad = _sum(leaf.grad, gradient)


def _sum(gradient, part):
    """A gradient with a later part, for a gradient that a sweep cannot add to in its own memory."""
    with no_grad():
        return gradient + part


def _packed_at(tape, handle):
    return layout_at(int(tape.records["layout"][handle & MASK]))


def _collect_retained(tape):
    """Move the adjoints that retain_grad() asked for into ``.grad``."""
    visited = tape.order[: int(tape.header[R.H_VISITED])]
    for k in visited[visited >= 0].tolist():
        if tape.flags[k] & R.RETAIN and tape.adjoints[k] > 2:
            handle = tape.handles[k]
            gradient = _take(tape, k)
            if handle is not None:
                handle.grad = gradient if handle.grad is None else _sum(handle.grad, gradient)


def _take(tape, k):
    """The kept adjoint of record ``k`` as a Tensor, None if nothing arrived."""
    while True:
        answer = engine.take_adjoint(tape.address, k)
        if answer == -1:
            return None
        if answer >= 0:
            return wrap(tape, answer, _packed_at(tape, answer))
        tape._grow(2 * int(tape.header[R.H_CAPACITY]))  # not reclaim: other captured adjoints wait to be taken


def _unblock(tape, answer):
    """``recover`` for a sweep that is not yet under way."""
    if answer == R.RECLAIM:
        tape.reclaim()
    else:
        recover(tape, answer)


def _as_tuple(x):
    return (x,) if isinstance(x, Tensor) else tuple(x)


def _check_outputs(outputs, gradients, what):
    """Seeds for the outputs: contiguous tensors, or None for ones.

    Raises:
        RuntimeError: for an output without a history, or a gradient that is missing or of the wrong shape.
    """
    if len(outputs) != len(gradients):
        raise RuntimeError(f"{what} got {len(outputs)} tensors and {len(gradients)} gradients; give one for each, or None")
    seeds = []
    for y, g in zip(outputs, gradients, strict=True):
        if not isinstance(y, Tensor):
            raise TypeError(f"{what} differentiates tensors, got {type(y).__name__}")
        if not y.requires_grad:
            raise RuntimeError(
                f"this tensor of shape {y.shape} does not require grad and has no grad_fn: nothing that it was computed "
                "from has requires_grad=True, or it was computed under no_grad()"
            )
        if g is None:
            if y.numel() != 1:
                raise RuntimeError(
                    f"grad can be implicitly created only for scalar outputs, this one has shape {y.shape}; pass "
                    "gradient= a tensor of that shape, or reduce it first, for example with .sum()"
                )
        else:
            g = g if isinstance(g, Tensor) else tensor(g, dtype=y.dtype)
            if g.shape != y.shape:
                raise RuntimeError(f"the gradient has shape {g.shape}, but the output has shape {y.shape}")
            g = g.to(y.dtype)
        seeds.append(g)
    return seeds


def backward(tensors, grad_tensors=None, retain_graph=None, create_graph=False, *, inputs=None) -> None:
    """``Tensor.backward`` of several tensors at once."""
    outputs = _as_tuple(tensors)
    gradients = (None,) * len(outputs) if grad_tensors is None else _as_tuple(grad_tensors)
    seeds = _check_outputs(outputs, gradients, "backward()")
    create_graph = create_graph or tapes.current().recorder is not None  # a recording takes part in the sweep
    retain = create_graph if retain_graph is None else retain_graph
    targets = None if inputs is None else _as_tuple(inputs)
    if targets is not None:
        if not targets:
            raise RuntimeError("backward() got an empty list of inputs; leave inputs= out for all leaves")
        _check_inputs(targets)
    if create_graph:
        _backward_recorded(outputs, seeds, targets, retain)
        return
    tape = outputs[0]._tape()
    _same_tape(tape, (*outputs, *(targets or ())))
    try:
        made = _sweep(tape, outputs, seeds, targets, retain, to_leaves=targets is None)
        if targets is None:
            if made & _COUNT:
                _attach_gradients(tape)
            if made > _COUNT:
                _collect_retained(tape)
            return
        for x in dict.fromkeys(targets):
            gradient = _take(tape, x._r & MASK)
            if gradient is not None:
                x.grad = gradient if x.grad is None else _sum(x.grad, gradient)
    except BaseException:
        _give_up(tape, targets is None)
        raise


def _check_inputs(inputs):
    for x in inputs:
        if not isinstance(x, Tensor):
            raise TypeError(f"inputs must be tensors, got {type(x).__name__}")
        if not x.requires_grad:
            raise RuntimeError(f"one of the inputs (shape {x.shape}) does not require grad; call x.requires_grad_() first")


def _same_tape(tape, tensors):
    tape.align()
    if any(t._tape() is not tape for t in tensors):
        raise RuntimeError("outputs and inputs must have been computed in one thread")


def _numbers(tensors):
    return np.array([t._r & MASK for t in tensors], dtype=np.int64)


def _prepare(tape, outputs, inputs):
    """Let the engine find the records to visit; the record numbers of the outputs, which hold until the next append."""
    while True:
        roots, wanted = _numbers(outputs), _numbers(inputs)  # anew each time: unblocking may move records
        answer = engine.prepare(
            tape.address, roots.ctypes.data, len(roots), wanted.ctypes.data if len(wanted) else 0, len(wanted)
        )
        if answer == 0:
            return roots
        _unblock(tape, answer)


def _sweep(tape, outputs, seeds, inputs, retain, to_leaves):
    """Run the compiled sweep; returns the number of gradient records made."""
    seeds = [None if s is None else contiguous(s) for s in seeds]
    roots = _prepare(tape, outputs, inputs or ())
    for k, seed in zip(roots.tolist(), seeds, strict=True):
        if tape.adjoints[k] >= 2:
            engine.give_seed(tape.address, k, 0 if seed is None else seed.data_ptr())
    made = engine.run(tape.address, int(bool(retain)), int(to_leaves))
    return _go_on(tape, retain, to_leaves) if made < 0 else made


def _go_on(tape, retain, to_leaves):
    """Go on with a sweep that stopped at ops without reverse kernels: their rules run on a tape beside it, without history.

    The caller gives the sweep up if a rule fails.
    """
    made = R.STOPPED
    with tapes.aside() as side:
        while made == R.STOPPED:
            place = int(tape.header[R.H_MISSING])
            _contribute(tape, side, int(tape.order[place]))
            made = engine.resume(tape.address, place, int(bool(retain)), int(to_leaves))
    return made


def _contribute(tape, side, k):
    """Add the adjoints that the rule of record k gives to those of its operands."""
    op = OPS[int(tape.ops[k])]
    row = tape.records[k].item()
    layout = layout_at(row[_LAYOUT])
    operands = row[_A : _A + 3]
    wanted = tuple(o >= 0 and tape.adjoints[o] >= 2 and bool(tape.flags[o] & R.GRAD) for o in operands)
    needs = op.needs[0]

    def value(o, name):
        if o < 0 or name not in needs:
            return None
        return borrow(side, layout_at(int(tape.records["layout"][o])), int(tape.addresses[o]))

    g = borrow(side, layout.packed, int(tape.adjoints[k]))
    out = borrow(side, layout, row[_VALUE]) if "out" in needs else None
    record = RecordView(row, layout, wanted)
    adjoints = op.joint(record, g, *map(value, operands, "xyz"), out)
    for o, part, asked in zip(operands, adjoints, wanted[: op.arity], strict=False):
        if asked and part is not None:
            part = contiguous(part)
            engine.contribute(tape.address, o, part.data_ptr())


def grad(
    outputs, inputs, grad_outputs=None, retain_graph=None, create_graph=False, allow_unused=None, materialize_grads=False
) -> tuple:
    """The gradients of the outputs in the inputs, as a tuple with one tensor per input; ``.grad`` stays as it is.

    Args:
        outputs: the tensor or tensors to differentiate.
        inputs: the tensor or tensors in which to differentiate; they need not be leaves.
        grad_outputs: the vector of the vector-Jacobian product for each output; None for outputs of one element.
        retain_graph: keep the graph for another use; by default True only with ``create_graph``.
        create_graph: make the gradients differentiable themselves.
        allow_unused: give None for an input that the outputs do not depend on, instead of raising.
        materialize_grads: give zeros instead of None.

    Raises:
        RuntimeError: for an input that was not used, and as ``Tensor.backward``.
    """
    outputs, inputs = _as_tuple(outputs), _as_tuple(inputs)
    gradients = (None,) * len(outputs) if grad_outputs is None else _as_tuple(grad_outputs)
    seeds = _check_outputs(outputs, gradients, "grad()")
    if not inputs:
        raise RuntimeError("grad() needs at least one input")
    _check_inputs(inputs)
    create_graph = create_graph or tapes.current().recorder is not None
    retain = create_graph if retain_graph is None else retain_graph
    if create_graph:
        found = _swept_as_tensors(outputs, seeds, inputs, retain)
        results = [found.get(x._r & MASK) for x in inputs]
    else:
        tape = outputs[0]._tape()
        _same_tape(tape, (*outputs, *inputs))
        unused = allow_unused or materialize_grads
        if not unused:
            _check_reached(tape, outputs, inputs)
        try:
            _sweep(tape, outputs, seeds, inputs, retain, to_leaves=False)
            unique = {x._r & MASK: x for x in inputs}
            taken = {id(x): _take(tape, x._r & MASK) for x in unique.values()}
        except BaseException:
            _give_up(tape, False)
            raise
        results = [taken.get(id(unique.get(x._r & MASK, x))) for x in inputs]
    for i, (x, result) in enumerate(zip(inputs, results, strict=True)):
        if result is None:
            if materialize_grads:
                results[i] = tensor(np.zeros(x.shape), dtype=x.dtype)
            elif not allow_unused:
                raise _unused(i, x)
    return tuple(results)


def _unused(i, x):
    return RuntimeError(
        f"input {i} (shape {x.shape}) was not used in the graph of the outputs; pass allow_unused=True to get None for it"
    )


def _check_reached(tape, outputs, inputs):
    """Refuse unused inputs before the sweep consumes the graph."""
    order, leaves = _plan_sweep(tape, outputs)
    reached = {*order, *leaves}
    for i, x in enumerate(inputs):
        if x._r & MASK not in reached:
            raise _unused(i, x)


def _plan_sweep(tape, outputs, inputs=()):
    """What a sweep would visit: (records from the outputs down, leaves); only the wanted ones when there are inputs."""
    try:
        _prepare(tape, outputs, inputs)
        order = tape.order[: int(tape.header[R.H_VISITED])].copy()
        leaves = tape.leaves[: int(tape.header[R.H_LEAF_COUNT])].copy()
        order, leaves = order[tape.adjoints[order] >= 2].tolist(), leaves[tape.adjoints[leaves] >= 2].tolist()
        engine.forget(tape.address)
    except BaseException:
        _give_up(tape, False)
        raise
    return order, leaves


# The sweep as Tensors


class RecordView:
    """What a rule on Tensors may ask of the record it differentiates."""

    __slots__ = ("imm", "plan", "shape", "wanted")

    def __init__(self, row, layout, wanted=()):
        self.wanted = wanted
        self.plan = plan_at(row[_PLAN]) if row[_PLAN] else None
        self.imm = row[_IMM]
        self.shape = layout.shape

    @property
    def strides(self):
        return self.plan.strides if self.plan else packed_strides(self.shape)


def handle_of(tape, k) -> Tensor:
    """The Tensor of a record, made anew if the user has let go of it."""
    t = tape.handles[k]
    if t is None:
        t = object.__new__(Tensor)
        t._r = (tape.number << R.TAPE_SHIFT) | k
        t._layout = layout_at(int(tape.records["layout"][k]))
        tape.handles[k] = t
        tape.flags[k] &= ~R.DEAD
    return t


def _operands(tape, k, row):
    """The operands of record k, whose fields are ``row``, as rules take them: Tensors, floats for immediates, None for none."""
    flags = row[_FLAGS]
    operands = []
    for o, scalar in zip(row[_A : _A + 3], _IMMEDIATE, strict=True):
        if flags & scalar:
            imm = row[_IMM]
            if handle_of(tape, k)._layout.dtype.code == R.F32:
                imm = float(tape.records[k : k + 1].view(np.uint8)[R.IMM : R.IMM + 4].view(np.float32)[0])
            operands.append(imm)
        else:
            operands.append(handle_of(tape, o) if o >= 0 else None)
    return operands


def sum_to(t: Tensor, shape) -> Tensor:
    """Sum what broadcasting repeated, so that the result has ``shape``."""
    if t.shape == shape:
        return t
    lead = t.ndim - len(shape)
    dims = (*range(lead), *(d + lead for d, s in enumerate(shape) if s == 1 and t.shape[d + lead] != 1))
    t = t.sum(dims, keepdim=True) if dims else t
    return t.reshape(shape)


def _square_of_norm(tape, length, g, wanted, inputs):
    """The contribution of ``length ** 2`` to what a 2-norm was taken of, past the norm, which has no derivative at 0."""
    k = length._r & MASK
    if OPS[int(tape.ops[k])] is not _NORM or length in inputs or tape.flags[k] & R.RETAIN:
        return None
    x = handle_of(tape, int(tape.records["a"][k]))
    if x not in wanted:
        return None
    plan = plan_at(int(tape.records["plan"][k]))
    return x, strided_view(2.0 * g, x.shape, plan.strides, 0) * x


def _contributions(tape, k, g, wanted, inputs):
    """Pairs (operand's Tensor, its contribution) of one record."""
    row = tape.records[k].item()  # a tuple: reading one field of an array's row costs more than all of them at once
    op = OPS[row[0]]
    operands = _operands(tape, k, row)
    if op is _SQUARE or (op is _MUL and operands[0] is operands[1]):
        past = _square_of_norm(tape, operands[0], g, wanted, inputs)
        if past is not None:
            yield past
            return
    out = handle_of(tape, k)
    asked = [
        rule is not None and isinstance(x, Tensor) and x in wanted and x.requires_grad
        for rule, x in zip(op.rules, operands, strict=False)
    ]
    record = RecordView(row, out._layout, asked)  # now, since a rule may move records
    if op.joint is not None:
        parts = op.joint(record, g, *operands, out)
        yield from ((x, p) for x, p, a in zip(operands, parts, asked, strict=False) if a and p is not None)
        return
    elementwise = op.elementwise
    known = dict(zip(VALUES, (*operands, out), strict=True)) if elementwise else None
    for j, rule in enumerate(op.rules):
        x = operands[j]
        if not asked[j]:
            continue
        if elementwise:
            part = rule(g, *[known[name] for name in op.needs[j]])
            if not isinstance(part, Tensor):
                continue
            part = sum_to(part, x.shape)
        else:
            part = rule(record, g, *operands, out)
        yield x, part


def _swept_as_tensors(outputs, seeds, inputs, retain) -> dict:
    """The sweep by the op table's rules on Tensors: record number of each input -> its gradient."""
    tape = outputs[0]._tape()
    _same_tape(tape, (*outputs, *inputs))
    order, leaves = _plan_sweep(tape, outputs, inputs)
    nodes = [handle_of(tape, k) for k in order]  # the handles keep the records; their numbers may change below
    wanted = {*nodes, *(handle_of(tape, k) for k in leaves)}
    asked_for = set(inputs)  # `in` a list would compare values
    adjoints = {}
    with enable_grad():
        for y, seed in zip(outputs, seeds, strict=True):
            seed = constant(1.0, y._layout.packed) if seed is None else seed
            adjoints[y] = adjoints[y] + seed if y in adjoints else seed
        for node in nodes:
            g = adjoints.get(node)
            if g is None:
                continue
            for x, part in _contributions(tape, node._r & MASK, g, wanted, asked_for):
                adjoints[x] = adjoints[x] + part if x in adjoints else part
    if not retain:
        for node in nodes:
            if OPS[int(tape.ops[node._r & MASK])].saved and node not in asked_for:
                tape.flags[node._r & MASK] |= R.FREED
    return {x._r & MASK: adjoints.get(x) for x in inputs}


def _backward_recorded(outputs, seeds, targets, retain):
    """``backward(create_graph=True)``: leaves get gradients that have a history themselves."""
    tape = outputs[0]._tape()
    if targets is None:
        order, leaves = _plan_sweep(tape, outputs)
        targets = [handle_of(tape, k) for k in leaves]
        targets += [handle_of(tape, k) for k in order if tape.flags[k] & R.RETAIN]
    found = _swept_as_tensors(outputs, seeds, targets, retain)
    for x, gradient in zip(targets, [found[x._r & MASK] for x in targets], strict=True):
        if gradient is not None:
            x.grad = gradient if x.grad is None else x.grad + gradient
