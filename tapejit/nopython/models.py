"""What active scalars are in registers and in memory.

Tape:  value {v, c, i}: v, and d v = c * d[i], where i is a statement of the tape (0: a constant)
       in arrays {v, i}: c is always 1 there
Dual:  {v, <width x double> t}, or {v, t...} over an active scalar; in arrays the vector is [width x double]
"""

from llvmlite import ir
from numba.core import cgutils
from numba.extending import models, register_model

from tapejit.nopython.algebra import index_with_unit_coefficient, pack_struct, with_unit_coefficient
from tapejit.nopython.types import Active, Dual, Tape, coefficient_type

I64 = ir.IntType(64)
F64 = ir.DoubleType()


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
        index = index_with_unit_coefficient(self.fe_type, builder, value)
        v = self.scalar.as_data(builder, builder.extract_value(value, 0))
        return pack_struct(builder, self.get_data_type(), [v, index])

    def from_data(self, builder, value):
        v = self.scalar.from_data(builder, builder.extract_value(value, 0))
        return with_unit_coefficient(self.fe_type, builder, v, builder.extract_value(value, 1))

    def load_from_data_pointer(self, builder, ptr, align=None):
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
        return pack_struct(builder, self.get_data_type(), [v, tangents])

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
            return pack_struct(builder, self.get_value_type(), [v, builder.load(vector, align=8)])
        items = [builder.load(cgutils.gep_inbounds(builder, field, 0, k), align=8) for k in range(self.width)]
        return self._assemble(builder, v, items)

    def _assemble(self, builder, v, items):
        if not self.vector:
            return pack_struct(
                builder, self.get_value_type(), [v] + [self.coefficient.from_data(builder, i) for i in items]
            )
        vector = ir.Constant(ir.VectorType(F64, self.width), ir.Undefined)
        for k, item in enumerate(items):
            vector = builder.insert_element(vector, item, ir.Constant(ir.IntType(32), k))
        return pack_struct(builder, self.get_value_type(), [v, vector])
