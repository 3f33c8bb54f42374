"""Namedtuples: what is made item by item of one is one of the same class."""

from numba.core import cgutils, types
from numba.extending import intrinsic

from tapejit.edge.compiler import impl_ret_borrowed


def tuple_type(like, items):
    """The type of a tuple of other items in place of those of ``like``: a namedtuple's class is kept."""
    return types.BaseTuple.from_types(tuple(items), getattr(like, "instance_class", None))


@intrinsic
def named_as(typingctx, like, items):
    """The same items, in the class of ``like``, a tuple or the type of one."""
    named = getattr(like, "instance_type", like)
    if not isinstance(named, types.BaseNamedTuple):
        return items(like, items), lambda context, builder, sig, args: impl_ret_borrowed(
            context, builder, items, args[1]
        )
    ty = tuple_type(named, items)

    def codegen(context, builder, sig, args):
        made = context.make_tuple(builder, ty, cgutils.unpack_tuple(builder, args[1]))
        return impl_ret_borrowed(context, builder, ty, made)

    return ty(like, items), codegen
