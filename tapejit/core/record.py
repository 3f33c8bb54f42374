"""The fixed layout of the tape: one 64-byte record per operation, and the header that jitted code works from.

Operands are record numbers, values are addresses; a record never holds a Python object.
"""

import numpy as np

RECORD = np.dtype(
    [
        ("op", "i4"),  # row of the op table
        ("flags", "i4"),  # the bits below
        ("a", "i4"),  # operand records, -1 where there is none
        ("b", "i4"),
        ("c", "i4"),
        ("owner", "i4"),  # the record whose block this value lives in (itself, but for views)
        ("address", "i8"),  # of the value's first element
        ("n", "i8"),  # elements
        ("layout", "i8"),  # address of the Layout's descriptor: shape, strides, dtype
        ("plan", "i8"),  # address of the op's parameters (axes, strides), 0 where there are none
        ("imm", "f8"),  # a scalar operand, a scale or an offset
    ],
    align=True,
)
SIZE = RECORD.itemsize
assert SIZE == 64
OP, FLAGS, A, B, C, OWNER, ADDRESS, N, LAYOUT, PLAN, IMM = (RECORD.fields[f][1] for f in RECORD.names)

# flags
GRAD = 1  # requires a gradient
LEAF = 2  # an input: its adjoint goes to .grad
SCALAR_A = 4  # operand a is the immediate
SCALAR_B = 8
SCALAR_C = 16
VIEW = 32  # the value lives in another record's block
EXTERNAL = 64  # the block belongs to somebody else (a NumPy array)
FREED = 128  # backward has consumed what this record needed
DEAD = 256  # no Tensor refers to this record any more
NO_VALUE = 512  # the block is gone: only the graph edge is left
PUT = 1024  # written in place: the value shares the block of operand a
RETAIN = 2048  # retain_grad(): the adjoint is kept
CAPTURE = 4096  # asked for by the running sweep: the adjoint is kept
READ_ONLY = 8192  # the block belongs to somebody else, who does not want it written
HOOKED = 16384  # something is known of its Tensor beside the tape: that lives as long as the record, and a sweep stops here

# what a reclaim is told of a record's Tensor
HELD = 1  # somebody refers to it
STAYS = 2  # it lives as long as the record

# traits of an op: bits 0-3, 4-7, 8-11 say which of x y z out the reverse kernel of operand a, b, c reads
T_ELEMENTWISE = 1 << 12
T_SCATTER = 1 << 13  # reverse kernels only add: the target must hold zeros first
T_IDENTITY = 1 << 14  # (14-16) the adjoint of that operand is the adjoint of the result
T_CONDITION = 1 << 17  # operand a is an array of bools
T_ERASE = 1 << 18  # reverse a clears a part of the result's adjoint, which then is the operand's
T_STATUS = 1 << 19  # the forward kernel may fail: it answers 0, or what ``failed_at`` takes apart
T_RULE = 1 << 20  # no reverse kernel: the sweep stops, and the rule on Tensors gives all adjoints at once

# descriptor of a Layout (int64 words)
(
    L_NDIM,
    L_N,  # elements
    L_CONTIGUOUS,
    L_DTYPE,  # dtype code
    L_ITEMSIZE,
    L_PACKED,  # address of the contiguous layout of the same shape and dtype
    L_SHAPE,  # from here on: the shape, then the strides in elements
) = range(7)

# header of a tape (int64 words)
(
    H_COUNT,  # records in use
    H_CAPACITY,
    H_ROOM,  # records up to which appending goes on without a look at the handles; at most the capacity
    H_RECORDS,  # address of the records
    H_ADJOINTS,  # address of one int64 per record: where its adjoint is, 0 for none
    H_STAMPS,  # address of one int64 per record: when its block was last changed in place
    H_VERSIONS,  # address of one int64 per record: how often its block was changed in place
    H_LAST_STAMP,  # the largest stamp
    H_KERNELS,  # address of the kernel table
    H_TRAITS,  # address of the traits table, one int64 per op
    H_GRAD_MODE,
    H_THREAD,  # the thread that may use the fast path
    H_TAPE,  # this tape's number, the high bits of every handle
    H_BYTES,  # live bytes in blocks
    H_LIMIT,  # reclaim when H_BYTES passes this
    H_CACHED,  # bytes in the free lists of large blocks
    H_CHUNK,  # bump allocation: next free address
    H_CHUNK_END,
    H_CHUNKS,  # the last chunk; the first word of each is the address of the one before
    H_ORDER,  # address of the sweep's work list
    H_VISITED,
    H_LEAVES,  # address of the list of leaves reached
    H_LEAF_COUNT,
    H_MISSING,  # kernel slot that a call wanted and did not find
    H_TEAM,  # address of the words of the threads that share large loops
    H_RECORDING,  # keep the operands of every record, gradient or not
    H_DROPPED,  # address of the list of external blocks let go by a reclaim
    H_DROPPED_COUNT,
    H_RETAINED,  # adjoints that retain_grad() asked to keep, counted by the running sweep
    H_MOVED,  # how often records have moved
    H_SWEEPING,  # whether a sweep is under way: adjoints, order and leaves are its own, and no record moves
    H_OPERAND,  # the operand at which propagating the current record begins: one below 2 where memory ran out before
    H_FREE_LISTS,  # from here on: heads of the free lists
) = range(33)
FREE_LISTS = 256
HEADER_WORDS = H_FREE_LISTS + FREE_LISTS

TAPE_SHIFT = 40  # handle = tape number << TAPE_SHIFT | record number
MASK = (1 << TAPE_SHIFT) - 1  # of a handle: the number of the record

# answers of a jitted append that made no record
SLOW = -1  # the fast path does not cover this call
RECLAIM = -2  # the tape is full
COMPILE = -3  # H_MISSING names the kernel to compile first
FREED_GRAPH = -4  # H_MISSING names the record whose saved values are gone
MUTATED = -5  # H_MISSING names the record one of whose saved values was changed in place
NO_MEMORY = -6
FAILED = -7  # the kernel failed, H_MISSING says how; there is no record
STOPPED = -8  # the sweep waits for the rule of the record whose place in the order is in H_MISSING
STARVED = -9  # the sweep waits for memory, at the record whose place in the order is in H_MISSING
GIVEN_UP = 2  # what H_SWEEPING is until the adjoints of a sweep that was given up are given back
BUSY = -10  # another sweep is under way on this tape

KERNELS_PER_OP = 8  # (forward, reverse a, reverse b, reverse c) x (float64, float32)
F64, F32 = 0, 1  # dtype codes below this are the differentiable ones
FLOAT_CODES = 2
