"""Active scalars: the Numba types whose arithmetic carries derivatives.

``Tape(scalar)`` is a value and a reference into a tape, ``Dual(scalar, width)`` a value and ``width`` tangents. The
scalar is a float type or another active type: a gradient inside a differentiated function nests. Derivatives are kept
in float64 whatever the precision of the values. ``models`` says what they are in memory.
"""

from numba.core import types

from tapejit.edge.compiler import Conversion


class Active(types.Type):
    """What tape and dual scalars have in common.

    ``types.Number`` would be the wrong base: unifying numbers goes through NumPy dtypes, which an active scalar has not.
    """

    def __init__(self, scalar, name):
        self.scalar = scalar
        super().__init__(name=name)

    @property
    def level(self):
        """How many differentiations are nested in this type."""
        return 1 + level(self.scalar)

    @property
    def leaf(self):
        """The float type at the bottom."""
        return self.scalar.leaf if isinstance(self.scalar, Active) else self.scalar

    def can_convert_from(self, typingctx, other):
        other = types.unliteral(other)
        if isinstance(other, (types.Float, types.Integer, types.Boolean)):
            return Conversion.safe
        if (
            isinstance(other, Active)
            and promote(self, other, strict=False) is not None
            and other.level <= self.level
        ):
            return Conversion.safe if promote(self, other) == self else Conversion.unsafe
        return None

    def unify(self, typingctx, other):
        return promote(self, other, strict=False)

    # There is no can_convert_to: an active value never becomes a plain float by itself.


class Tape(Active):
    """A value recorded on a tape."""

    def __init__(self, scalar):
        super().__init__(scalar, f"Tape({scalar})")

    def over(self, scalar):
        return Tape(scalar)


class Dual(Active):
    """A value with ``width`` tangents."""

    def __init__(self, scalar, width):
        self.width = width
        super().__init__(scalar, f"Dual({scalar}, {width})")

    def over(self, scalar):
        return Dual(scalar, self.width)


def level(ty):
    return ty.level if isinstance(ty, Active) else 0


def is_active(ty):
    return isinstance(ty, Active)


def is_number(ty):
    return isinstance(ty, (types.Float, types.Integer, types.Boolean))


def is_active_array(ty):
    return isinstance(ty, types.Array) and isinstance(ty.dtype, Active)


def has_active(ty):
    """Whether an active scalar is anywhere inside a type."""
    if isinstance(ty, types.Array):
        return isinstance(ty.dtype, Active)
    if isinstance(ty, types.BaseTuple):
        return any(has_active(item) for item in ty)
    if isinstance(ty, (types.List, types.ListType)):
        return has_active(ty.dtype)
    if isinstance(ty, types.Optional):
        return has_active(ty.type)
    return isinstance(ty, Active)


def holds_plain_floats(ty):
    """Whether a type is an array of plain floats, or a tuple with one."""
    if isinstance(ty, types.BaseTuple):
        return any(map(holds_plain_floats, ty))
    return isinstance(ty, types.Array) and isinstance(ty.dtype, types.Float)


def holds_namedtuple(ty):
    """Whether a type is a namedtuple, or a tuple with one."""
    return isinstance(ty, types.BaseNamedTuple) or (isinstance(ty, types.BaseTuple) and any(map(holds_namedtuple, ty)))


def scalars_in(ty):
    """The scalar types inside an argument's type."""
    if isinstance(ty, (types.Array, types.List, types.ListType)):
        return scalars_in(ty.dtype)
    if isinstance(ty, types.BaseTuple):
        return [scalar for item in ty for scalar in scalars_in(item)]
    return [types.unliteral(ty)] if isinstance(ty, (Active, types.Number)) else []


def _promote_numbers(a, b):
    a, b = types.unliteral(a), types.unliteral(b)
    if a == types.float32 and (b == types.float32 or isinstance(b, types.Boolean)):
        return a
    if b == types.float32 and isinstance(a, types.Boolean):
        return b
    return types.float64


def promote(a, b, strict=True):
    """The type of an operation on two scalars, at least one of them active (or both numbers).

    The deeper type wins: the other operand is a constant of it. float32 with float64 or an integer gives float64, as in
    Numba. Two types of one depth but of different kinds never meet in a well-formed program: None, or TypeError.
    """
    if not isinstance(a, Active) and not isinstance(b, Active):
        return _promote_numbers(a, b) if is_number(a) and is_number(b) else None
    if level(a) < level(b):
        a, b = b, a
    inner = b
    if level(a) == level(b):
        if type(a) is not type(b) or (isinstance(a, Dual) and a.width != b.width):
            if strict:
                raise TypeError(f"{a} and {b} cannot meet in one operation")
            return None
        inner = b.scalar
    elif not isinstance(b, Active) and not is_number(b):
        return None
    scalar = promote(a.scalar, inner, strict)
    return None if scalar is None else a.over(scalar)


def coefficient_type(scalar):
    """The type of a derivative by, or of, a value of type ``scalar``: the same with float64 at the bottom."""
    return scalar.over(coefficient_type(scalar.scalar)) if isinstance(scalar, Active) else types.float64


def words(ty):
    """How many 8-byte words a coefficient takes on the tape."""
    if isinstance(ty, Tape):
        return words(ty.scalar) + 1
    if isinstance(ty, Dual):
        return words(ty.scalar) + ty.width * words(coefficient_type(ty.scalar))
    return 1


def structure_of(argtypes):
    """The deepest active type among arguments, with float64 at the bottom; None without one."""
    deepest = max((s for ty in argtypes for s in scalars_in(ty)), key=level, default=None)
    return with_leaf(deepest, types.float64) if isinstance(deepest, Active) else None


def with_leaf(structure, leaf):
    """The same nesting of active types over another float type; the float type itself if there is no nesting."""
    return structure.over(with_leaf(structure.scalar, leaf)) if isinstance(structure, Active) else leaf


def scalar_type(ty):
    """The element type of an array or scalar operand, or None for anything else."""
    ty = ty.dtype if isinstance(ty, types.Array) else types.unliteral(ty)
    return ty if isinstance(ty, Active) or is_number(ty) else None
