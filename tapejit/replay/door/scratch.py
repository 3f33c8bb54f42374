"""What the parts of the door have in common: their working memory, counting references, and the look of an array."""

from tapejit.edge import blocks as B
from tapejit.edge import capi
from tapejit.edge.jit import inner
from tapejit.edge.raw import as_i32, as_i64

# Words on the stack: the registers, then the addresses that a program is given, the arrays of the results, the objects
# being put together, the numbers among the results, the arrays among the arguments, and the numbers among them.
REGISTERS, TABLE, ARRAYS, STACK, NUMBERS, HELD, VALUES, OWNED = (8 * k * B.MOST for k in range(8))  # offsets in bytes
OWNED_COUNT = 8 * 8 * B.MOST
WORDS = 8 * B.MOST + 1


@inner
def word(address):
    return as_i64(address)[0]


# References to arrays and blocks are counted here: these are never immortal, and two calls of the C API would cost more.


@inner
def hold(x):
    as_i64(x)[0] += 1


@inner
def drop(x):
    if word(x) > 1:
        as_i64(x)[0] -= 1
    else:
        capi.decref(x)


@inner
def drop_all(objects, count):
    for j in range(count):
        drop(objects[j])


@inner
def own(scratch, x):
    """Keep an object that somebody else may let go of, until ``disown``."""
    capi.incref(x)
    count = word(scratch + OWNED_COUNT)
    as_i64(scratch + OWNED)[count] = x
    as_i64(scratch + OWNED_COUNT)[0] = count + 1


@inner
def disown(scratch):
    objects, count = as_i64(scratch + OWNED), word(scratch + OWNED_COUNT)
    as_i64(scratch + OWNED_COUNT)[0] = 0
    for j in range(count):
        capi.decref(objects[j])


@inner
def is_array(x, dtype, ndim, shape, first, array_type):
    """Whether an object is a NumPy array of this kind, in C order and aligned; the sizes are compared from one on.

    ``dtype`` is NumPy's own object for a dtype in this machine's byte order; an equal one is not recognised.
    """
    if word(x + capi.TYPE) != array_type or word(x + capi.ARRAY_DTYPE) != dtype:
        return False
    if as_i32(x + capi.ARRAY_NDIM)[0] != ndim:
        return False
    flags = as_i32(x + capi.ARRAY_FLAGS)[0]
    if flags & (capi.C_CONTIGUOUS | capi.ALIGNED) != capi.C_CONTIGUOUS | capi.ALIGNED:
        return False
    sizes, wanted = as_i64(word(x + capi.ARRAY_SHAPE)), as_i64(shape)
    same = True
    for d in range(first, ndim):
        same &= sizes[d] == wanted[d]
    return same
