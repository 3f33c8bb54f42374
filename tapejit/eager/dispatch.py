"""From a Python-level operation to a record.

The common case, tensors of one layout on the main thread's tape, is one compiled call (see ``frameless``). Everything else
(broadcasting, promotion, other threads, a full tape, a kernel not compiled yet) takes ``apply``.
"""

import functools
from numbers import Number

import numpy as np

from tapejit.core import dtypes, engine, errors
from tapejit.core import record as R
from tapejit.core import tape as tapes
from tapejit.core.layout import Layout, layout_of, scalar_layout
from tapejit.core.plans import bounded, cached, elementwise_plan, plan_at
from tapejit.core.refusals import KindError
from tapejit.eager import foreign
from tapejit.eager.frameless import Operator, one, reflected, two, untraced_ours
from tapejit.eager.keywords import deliver
from tapejit.eager.otherkinds import of_other_kind, other_kind
from tapejit.eager.tensor import Tensor
from tapejit.kernels import library  # noqa: F401 - the engine has its kernels from there
from tapejit.spec import structured
from tapejit.spec.expr import Expr

_new = object.__new__
_main = tapes.main
# The fast path goes to the tape that operations of the main thread go to now; in other threads the engine refuses it.
_top, _address = _main, _main.address
_handles = _main.handles  # at the number of each record; a handle of the main tape is the number
_general, _view, _constant = (engine.late(globals(), f"_{entry}", entry) for entry in ("general", "view", "constant"))


def _follow(tape):
    global _address, _handles, _top
    _top, _address, _handles = tape, tape.address, tape.handles if tape is _main else tape.by_handle()


tapes.followers.append(_follow)


def wrap(tape, handle: int, layout: Layout) -> Tensor:
    """The Tensor for a record just made."""
    t = _new(Tensor)
    t._r = handle
    t._layout = layout
    if tape is _top:
        _handles[handle] = t
    else:
        tape.handles[handle & R.MASK] = t
    return t


def recover(tape, answer: int, layout=None) -> None:
    """Do what a negative answer of the engine asks for, so that the call can be made again.

    ``layout`` is that of the result, for the message.

    Raises:
        RuntimeError: for an answer that only the user can act on.
        MemoryError: when the heap is exhausted, also after everything that nobody holds was given back.
    """
    if answer == R.RECLAIM:
        tape.make_room()
    elif answer == R.COMPILE:
        engine.compile_slot(int(tape.header[R.H_MISSING]))
    elif answer == R.NO_MEMORY:
        if not tape.relieve():
            result = f"a result of shape {layout.shape} and {layout.dtype}" if layout else "the result"
            raise MemoryError(f"tapejit: no memory for {result}; free tensors, or use smaller batches")
    else:
        errors.raise_for_graph(tape, answer)


def bring(tape, tensor, constant=False) -> Tensor:
    """A tensor of another tape made known to this one: its memory is shared, its gradient is not.

    ``constant`` says that no gradient is wanted anyway.

    Raises:
        RuntimeError: if the tensor was computed from inputs that require gradients, on a tape that is not this one.
    """
    if tape.recorder is not None:
        return tape.recorder.bring(tensor)
    if tape.stand_ins and tensor._r in tape.stand_ins:
        return tape.stand_ins[tensor._r]
    if not constant and tensor.requires_grad and tape.header[R.H_GRAD_MODE]:
        raise tapes.of_another_thread()
    return share(tensor._memory(), tensor._layout)


def borrow(side, layout: Layout, address: int) -> Tensor:
    """The contiguous or strided value at an address of another tape as a Tensor of a side tape, without a history."""
    while True:
        answer = engine.external(side.address, layout.address, address, R.EXTERNAL)
        if answer >= 0:
            side.kept_alive.setdefault(address, []).append(None)
            return wrap(side, answer, layout)
        recover(side, answer)


def _row(op, tensors) -> Tensor:
    """The operands of an op from the third on, two or more, as one (see ``structured.row``)."""
    first, second, *rest = tensors
    third = _row(op, rest) if len(rest) > 1 else rest[0] if rest else None
    row = structured.kept_row if "z" in op.needs[0] else structured.row
    layout = layout_of((len(tensors),), dtypes.float64)
    return emit(row, layout, first, second, third, imm=float(len(rest)) if len(rest) > 1 else 0.0)


class _Nothing:
    """In place of a Tensor that an op does not have."""

    _r = -1


_NOTHING = _Nothing()


@untraced_ours
def emit(op, layout, a=None, b=None, c=None, *further, plan=0, imm=0.0, flags=0) -> Tensor:
    """Append a record for an op whose result has ``layout``, run its kernel, and return the result."""
    if further:
        c = _row(op, (c, *further))
    tape = tapes.thread.stack[-1]
    if a is not None and a._r >> R.TAPE_SHIFT != tape.number:
        a = bring(tape, a)
    if b is not None and b._r >> R.TAPE_SHIFT != tape.number:
        b = bring(tape, b)
    if c is not None and c._r >> R.TAPE_SHIFT != tape.number:
        c = bring(tape, c)
    a = _NOTHING if a is None else a
    b = _NOTHING if b is None else b
    c = _NOTHING if c is None else c
    while True:
        # On one line: the numbers are looked up when nothing can come between that and the call.
        answer = engine.general(tape.address, op.code, flags, a._r, b._r, c._r, layout.address, plan, imm)
        if answer >= 0:
            return wrap(tape, answer, layout)
        if answer == R.FAILED:
            raise errors.kernel_failure(op, plan_at(plan), int(tape.header[R.H_MISSING]))
        recover(tape, answer, layout)


def emit_reduction(op, x, plan, imm) -> Tensor:
    """``emit`` of a structured op with one operand and a plan, by the fast path if it can."""
    r = _general(_address, op.code, 0, x._r, -1, -1, plan.layout.address, plan.address, imm)
    if r < 0:
        return emit(op, plan.layout, x, plan=plan.address, imm=imm)
    t = _new(Tensor)
    t._r = r
    t._layout = plan.layout
    _handles[r] = t
    return t


def emit_view(op, x, layout, offset=0, *, plan=0, start=0, flags=0) -> Tensor:
    """A tensor that shares the memory of ``x``, ``offset`` elements further on; op 0 cuts it from the graph."""
    tape = tapes.thread.stack[-1]
    if x._r >> R.TAPE_SHIFT != tape.number:
        x = bring(tape, x, constant=op.code == 0)
    offset *= layout.dtype.itemsize
    while True:
        answer = engine.view(tape.address, op.code, x._r, layout.address, plan, offset, start, flags)
        if answer >= 0:
            return wrap(tape, answer, layout)
        recover(tape, answer, layout)


def empty(layout, flags=0) -> Tensor:
    """A tensor without a history whose elements are undefined."""
    tape = tapes.thread.stack[-1]
    while True:
        answer = engine.value(tape.address, layout.address, flags)
        if answer >= 0:
            return wrap(tape, answer, layout)
        recover(tape, answer, layout)


def constant(number, layout, flags=0) -> Tensor:
    """A float tensor filled with a number."""
    tape = tapes.thread.stack[-1]
    while True:
        answer = _constant(tape.address, layout.address, flags, number)
        if answer >= 0:
            if tape.recorder is not None:
                tape.recorder.numbers[answer & R.MASK] = number
            return wrap(tape, answer, layout)
        recover(tape, answer, layout)


def number_tensor(number: float, layout: Layout, flags: int) -> Tensor:
    """A tensor without dimensions, by the fast path if it can."""
    r = _constant(_main.address, layout.address, flags, number)
    if r < 0:
        return constant(number, layout, flags)
    t = _new(Tensor)
    t._r = r
    t._layout = layout
    _main.handles[r] = t
    return t


def share(array: np.ndarray, layout: Layout, flags=0) -> Tensor:
    """A tensor over the memory of a NumPy array, which is kept alive."""
    tape = tapes.thread.stack[-1]
    if not array.flags.writeable:
        flags |= R.READ_ONLY
    address = array.__array_interface__["data"][0]
    while True:
        answer = engine.external(tape.address, layout.address, address, flags | R.EXTERNAL)
        if answer >= 0:
            tape.kept_alive.setdefault(address, []).append(array)
            if tape.recorder is not None:
                tape.recorder.sources[answer & R.MASK] = array
            return wrap(tape, answer, layout)
        recover(tape, answer, layout)


def from_array(array, dtype=None, *, copy=True) -> Tensor:
    """A tensor from anything NumPy understands.

    Raises:
        TypeError: if the elements are not numbers that tensors can hold, or for a masked array.
    """
    array = dtypes.as_array(array)
    dtype = dtypes.as_dtype(array.dtype) if dtype is None else dtype
    if not copy and array.dtype == dtype.numpy and foreign.is_native(array):
        strides = tuple(s // array.itemsize for s in array.strides)
        return share(array, layout_of(array.shape, dtype, strides))
    t = empty(layout_of(array.shape, dtype))
    t._memory()[...] = array
    recorder = tapes.thread.stack[-1].recorder
    if recorder is not None:
        recorder.source(t, array)
    return t


# Elementwise ops


def plain(operands):
    """Operands as NumPy takes them: tensors as arrays."""
    return [x._array() if isinstance(x, Tensor) else dtypes.as_array(x) if isinstance(x, np.ndarray) else x for x in operands]


def noted(name, function, *operands, parameters=()):
    """``function(*operands)``, work that NumPy does; a recording notes it under ``name``, to be replayed."""
    recorder = tapes.thread.stack[-1].recorder
    if recorder is None:
        return function(*operands)
    return recorder.noted(name, function, operands, parameters)


def _operand(op, x):
    """A Tensor, or a Python float for an immediate."""
    if isinstance(x, Tensor):
        return x
    if isinstance(x, (np.ndarray, np.generic)):
        return from_array(x, copy=False)
    if isinstance(x, Number) and not isinstance(x, complex):
        return x
    column = foreign.column(x)
    if column is not None:
        return from_array(column)
    raise TypeError(
        f"{op.name}() takes tensors, NumPy arrays and numbers, got {foreign.name_of(x)}: convert it with tapejit.tensor(...)"
    )


def result_dtype(operands) -> dtypes.DType:
    """PyTorch's promotion over tensors and Python numbers."""
    kinds = []
    for x in operands:
        if isinstance(x, Tensor):
            kinds.append((x._layout.dtype, 2 if x._layout.ndim else 1))
        else:
            kinds.append((dtypes.as_dtype(bool if isinstance(x, bool) else int if isinstance(x, int) else float), 0))
    return dtypes.promote(*kinds)


def apply(op, *operands) -> Tensor:
    """An elementwise op of any operands: tensors, arrays, numbers; broadcast and promoted."""
    dtype = _one_float(operands)
    if dtype is not None and not op.condition:  # nearly all that is recorded
        return apply_floats(op, dtype, operands)
    if any(isinstance(x, Expr) for x in operands):
        return op(*operands)
    other = other_kind(operands)
    if other is not None:
        return of_other_kind(other, op.name, operands)
    operands = [_operand(op, x) for x in operands]
    values = operands[1:] if op.condition else operands
    if not any(isinstance(x, Tensor) for x in operands):
        operands = [from_array(x) for x in operands]
        values = operands[1:] if op.condition else operands
    dtype = result_dtype(values)
    if not dtype.is_floating_point:
        if dtype is dtypes.bool_ and op.ufunc in (np.subtract, np.negative):
            raise KindError(f"{op.name}() does not take bools: use ~ or logical_xor() for masks, or .to(tapejit.int64)")
        if op.ufunc is not None:
            return _number(noted(op.name, lambda *xs: from_array(op.ufunc(*plain(xs))), *operands), operands)
        if op.condition:
            return noted(op.name, lambda *xs: from_array(np.where(*plain(xs))), *operands)
        dtype = dtypes.get_default_dtype()
    if op.condition:
        operands = [as_condition(operands[0]), *(as_float(x, dtype) for x in operands[1:])]
    else:
        operands = [as_float(x, dtype) for x in operands]
    return apply_floats(op, dtype, operands)


def _number(result, operands) -> Tensor:
    """A result without dimensions of a number of NumPy's kind is one, too."""
    if not result._layout.ndim and any(isinstance(x, Tensor) and x._layout.scalar for x in operands):
        result._layout = scalar_layout(result._layout.dtype)
    return result


def _one_float(operands) -> dtypes.DType | None:
    """The float dtype of all tensors among some tensors and numbers, None for anything else."""
    dtype = None
    for x in operands:
        kind = x.__class__
        if kind is Tensor:
            if dtype is None:
                dtype = x._layout.dtype
            elif dtype is not x._layout.dtype:
                return None
        elif kind is not float and kind is not int:
            return None
    return dtype if dtype is not None and dtype.is_floating_point else None


def as_condition(x) -> Tensor:
    """A bool tensor, from a tensor or a bool.

    Raises:
        TypeError: for a tensor of another dtype.
    """
    if not isinstance(x, Tensor):
        return from_array(dtypes.as_array(x, bool))
    if x._layout.dtype is not dtypes.bool_:
        raise KindError(f"a condition must be a bool tensor, got {x.dtype}: compare it, for example x != 0")
    return x


def as_float(x, dtype):
    """A tensor of the dtype, a number as it is."""
    if not isinstance(x, Tensor) or x._layout.dtype is dtype:
        return x
    return x.to(dtype)


def apply_floats(op, dtype, operands) -> Tensor:
    """An elementwise op once every tensor has the result's dtype; at most one number becomes the immediate."""
    flags, imm, tensors = 0, 0.0, []
    for j, x in enumerate(operands):
        if isinstance(x, Tensor):
            tensors.append(x)
        elif not flags:
            flags, imm = R.SCALAR_A << j, float(x)
            tensors.append(None)
        else:
            tensors.append(constant(float(x), layout_of((), dtype)))
    layouts = tuple(None if t is None else t._layout for t in tensors)
    plan = cached((op.condition, dtype, *layouts), lambda: elementwise_plan(dtype, *layouts))
    if len(layouts) == 2 and not flags:
        _pairs[layouts] = plan
    return emit(op, plan.layout, *tensors, plan=plan.address, imm=imm, flags=flags)


# The fast path. ``_pairs`` keeps the plan of two layouts that do not match.


def view_by(record, x) -> Tensor | None:
    """A view of a tensor of the main thread's tape by what ``engine.view`` needs; None if the fast path cannot."""
    layout, code, plan, offset, start = record
    if tapes.thread.stack[-1] is not _top:
        return None
    r = _view(_address, code, x._r, layout.address, plan, offset, start, 0)
    if r < 0:
        return None
    t = _new(Tensor)
    t._r = r
    t._layout = layout
    _handles[r] = t
    return t


_pairs = bounded()


def unary_function(op):
    """The public function of an elementwise op with one operand."""
    quick = Operator(one, op.code, functools.partial(apply, op))

    def function(x, *, out=None):
        return quick(x) if out is None else deliver(apply(op, x), out)

    return function


def binary_method(op, by_number=None, slow=None):
    """An operator method of Tensor, ``x * y``.

    ``by_number`` gives the unary op that a number as operand stands for, ``slow`` is what else to call than ``apply``.
    """
    code = op.code
    slow = slow or functools.partial(apply, op)
    unary = {number: special.code for number, special in (by_number or {}).items()}

    def method(self, other):
        if other.__class__ is Tensor:
            plan = _pairs.get((self._layout, other._layout))
            if plan is None:
                return slow(self, other)
            layout = plan.layout
            r = _general(_address, code, 0, self._r, other._r, -1, layout.address, plan.address, 0.0)
            if r < 0:
                return slow(self, other)
            t = _new(Tensor)
            t._r = r
            t._layout = layout
            _handles[r] = t
            return t
        if isinstance(other, (Number, np.ndarray, Tensor, np.generic)):
            return slow(self, other)
        other = foreign.operand(other)
        return NotImplemented if other is None else slow(self, other)

    return Operator(two, code, method, unary)


def reflected_method(op):
    """The reflected operator method, ``2 * x``."""

    def method(self, other):
        if isinstance(other, (Number, np.ndarray, np.generic)):
            return apply(op, other, self)
        other = foreign.operand(other)
        return NotImplemented if other is None else apply(op, other, self)

    return Operator(reflected, op.code, method)


def is_number(x) -> bool:
    return isinstance(x, Number) and not isinstance(x, complex)
