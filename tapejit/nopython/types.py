"""Active scalars: the Numba types whose arithmetic carries derivatives.

``Tape(scalar)`` is a value and a reference into a tape, ``Dual(scalar, width)`` a value and ``width`` tangents. The
scalar is a float type or another active type: a gradient inside a differentiated function nests. Derivatives are kept
in float64 whatever the precision of the values.

    Tape:  value {v, c, i}: v, and d v = c * d[i], where i is a statement of the tape (0: a constant)
           in arrays {v, i}: c is always 1 there
    Dual:  {v, <width x double> t}, or {v, t...} over an active scalar; in arrays the vector is [width x double]
"""

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import models, register_model

from tapejit.edge.compiler import Conversion

I64 = ir.IntType(64)
F64 = ir.DoubleType()


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


class _Aggregate(models.DataModel):
    """A first-class LLVM structure wherever Numba passes a value along."""

    def as_argument(self, builder, value):
        return value

    def from_argument(self, builder, value):
        return value

    def as_return(self, builder, value):
        return value

    def from_return(self, builder, value):
        return value

    def load_from_data_pointer(self, builder, ptr, align=None):
        # 8 is enough: Numba aligns arrays to 32 bytes only, whatever the natural alignment of a vector.
        return self.from_data(builder, builder.load(ptr, align=8))

    def _fields(self, builder, value):
        return [builder.extract_value(value, k) for k in range(len(value.type.elements))]


def pack(builder, struct_type, fields):
    value = ir.Constant(struct_type, ir.Undefined)
    for k, field in enumerate(fields):
        value = builder.insert_value(value, field, k)
    return value


@register_model(Tape)
class TapeModel(_Aggregate):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type)
        self.scalar = dmm[fe_type.scalar]
        self.coefficient = dmm[coefficient_type(fe_type.scalar)]

    def get_value_type(self):
        return ir.LiteralStructType([self.scalar.get_value_type(), self.coefficient.get_value_type(), I64])

    def get_data_type(self):
        return ir.LiteralStructType([self.scalar.get_data_type(), I64])

    def as_data(self, builder, value):
        from tapejit.nopython.algebra import index_with_unit_coefficient

        index = index_with_unit_coefficient(self.fe_type, builder, value)
        v = self.scalar.as_data(builder, builder.extract_value(value, 0))
        return pack(builder, self.get_data_type(), [v, index])

    def from_data(self, builder, value):
        from tapejit.nopython.algebra import with_unit_coefficient

        v = self.scalar.from_data(builder, builder.extract_value(value, 0))
        return with_unit_coefficient(self.fe_type, builder, v, builder.extract_value(value, 1))

    def load_from_data_pointer(self, builder, ptr, align=None):
        from tapejit.nopython.algebra import with_unit_coefficient

        v = self.scalar.load_from_data_pointer(builder, cgutils.gep_inbounds(builder, ptr, 0, 0), align=8)
        index = builder.load(cgutils.gep_inbounds(builder, ptr, 0, 1), align=8)
        return with_unit_coefficient(self.fe_type, builder, v, index)


@register_model(Dual)
class DualModel(_Aggregate):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type)
        self.scalar = dmm[fe_type.scalar]
        self.coefficient = dmm[coefficient_type(fe_type.scalar)]
        self.width = fe_type.width
        self.vector = not isinstance(fe_type.scalar, Active)

    def get_value_type(self):
        v = self.scalar.get_value_type()
        if self.vector:
            return ir.LiteralStructType([v, ir.VectorType(F64, self.width)])
        return ir.LiteralStructType([v] + [self.coefficient.get_value_type()] * self.width)

    def get_data_type(self):
        v = self.scalar.get_data_type()
        tangent = F64 if self.vector else self.coefficient.get_data_type()
        return ir.LiteralStructType([v, ir.ArrayType(tangent, self.width)])

    def as_data(self, builder, value):
        tangents = ir.Constant(self.get_data_type().elements[1], ir.Undefined)
        for k in range(self.width):
            if self.vector:
                item = builder.extract_element(
                    builder.extract_value(value, 1), ir.Constant(ir.IntType(32), k)
                )
            else:
                item = self.coefficient.as_data(builder, builder.extract_value(value, 1 + k))
            tangents = builder.insert_value(tangents, item, k)
        v = self.scalar.as_data(builder, builder.extract_value(value, 0))
        return pack(builder, self.get_data_type(), [v, tangents])

    def from_data(self, builder, value):
        v = self.scalar.from_data(builder, builder.extract_value(value, 0))
        tangents = builder.extract_value(value, 1)
        items = [builder.extract_value(tangents, k) for k in range(self.width)]
        return self._assemble(builder, v, items)

    def load_from_data_pointer(self, builder, ptr, align=None):
        v = self.scalar.load_from_data_pointer(builder, cgutils.gep_inbounds(builder, ptr, 0, 0), align=8)
        field = cgutils.gep_inbounds(builder, ptr, 0, 1)
        if self.vector:
            vector = builder.bitcast(field, ir.VectorType(F64, self.width).as_pointer())
            return pack(builder, self.get_value_type(), [v, builder.load(vector, align=8)])
        items = [builder.load(cgutils.gep_inbounds(builder, field, 0, k), align=8) for k in range(self.width)]
        return self._assemble(builder, v, items)

    def _assemble(self, builder, v, items):
        if not self.vector:
            return pack(
                builder, self.get_value_type(), [v] + [self.coefficient.from_data(builder, i) for i in items]
            )
        vector = ir.Constant(ir.VectorType(F64, self.width), ir.Undefined)
        for k, item in enumerate(items):
            vector = builder.insert_element(vector, item, ir.Constant(ir.IntType(32), k))
        return pack(builder, self.get_value_type(), [v, vector])
