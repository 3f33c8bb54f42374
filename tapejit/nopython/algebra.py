"""Arithmetic on active scalars, written straight into the LLVM function being compiled.

An algebra computes with the values of one scalar type: ``Real`` with LLVM floats, ``DualAlgebra`` with a value and
tangents, ``TapeAlgebra`` with a value and *pending* terms. The last two work over the algebra of their scalar, so any
nesting is the same code: an op's value rule is evaluated one level down, its partials too, and the chain rule joins them.

Pending terms are what keeps the tape short. An expression is not recorded operation by operation: the coefficients of
the statements it depends on are multiplied out in registers (terms with the same statement merge), and one statement is
recorded when the value leaves the basic block: is stored, passed to a function, or carried around a loop.
"""

from llvmlite import ir
from numba.core import types

from tapejit.edge.compiler import cpu_target
from tapejit.nopython import rules, statementtape
from tapejit.nopython.real import CONTRACT, Algebra, Real
from tapejit.nopython.types import Active, Dual, Tape, coefficient_type, is_number, level

MOST_TERMS = 8  # beyond this many statements in one expression, a part of it is recorded first


def pack_struct(builder, struct_type, fields):
    value = ir.Constant(struct_type, ir.Undefined)
    for k, field in enumerate(fields):
        value = builder.insert_value(value, field, k)
    return value


def algebra(context, builder, ty, coefficients=False):
    """The algebra of a scalar type in the function ``builder`` writes to."""
    if isinstance(ty, Tape):
        return TapeAlgebra(context, builder, ty)
    if isinstance(ty, Dual):
        return DualAlgebra(context, builder, ty)
    return Real(context, builder, types.unliteral(ty), coefficients)


# Ops whose slopes are infinite somewhere, and ops that pass on one operand and give the other a slope of zero.
SINGULAR = frozenset("div pow reciprocal sqrt np.cbrt hypot log log1p log2 log10 asin acos acosh atanh atan2".split())
BRANCHING = frozenset("maximum minimum clamp_min clamp_max abs".split())


def is_singular(value):
    """Whether a coefficient may be infinite at a point where the function has a value."""
    return getattr(value, "tapejit_singular", False)


def mark(value, singular):
    if singular and not isinstance(value, ir.Constant):
        value.tapejit_singular = True
    return value


def may_be_singular(builder):
    """The same of what comes from another block: so it is wherever a function has an op with infinite slopes."""
    return getattr(builder.function, "tapejit_singular", False)


def scaled(coef, partial, coefficient, name, infinite=False):
    """A partial times a coefficient; a partial of zero adds nothing, even where the slope behind it is infinite."""
    if partial is None:
        return coefficient
    infinite = infinite or is_singular(coefficient)
    singular = infinite or name in SINGULAR
    if singular and not isinstance(coef, Real) and not _is_one(coefficient):
        return mark(coef.adjoint_times(partial, coefficient, both=True), True)
    term = coef.mul(partial, coefficient)
    if not isinstance(partial, ir.Constant) and term is not partial and (infinite or name in BRANCHING):
        term = coef.select(coef.is_nothing(partial), coef.constant(0.0), term)
    return mark(term, singular)


class Differential(Algebra):
    """What DualAlgebra and TapeAlgebra share: values from the level below, and the chain rule."""

    def __init__(self, context, builder, ty):
        super().__init__(context, builder, ty)
        self.base = algebra(context, builder, ty.scalar)
        self.coef = algebra(context, builder, coefficient_type(ty.scalar), coefficients=True)

    def constant(self, value):
        return self.passive(self.base.constant(value))

    def constant_of(self, value):
        """The value without its derivatives, at every level."""
        return self.passive(self.base.constant_of(value.v))

    def primal(self, value):
        return self.base.primal(value.v)

    def lift(self, ty, value):
        """A value of another scalar type as one of this; a shallower type is a constant here."""
        if ty == self.ty:
            return self.unpack(value)
        if level(ty) < level(self.ty):
            return self.passive(self.base.lift(ty, value))
        other = algebra(self.context, self.builder, ty)
        value = other.unpack(value)
        return self.with_value(self.base.lift(ty.scalar, other.base.pack(value.v)), value)

    def check_divisor(self, value):
        self.base.check_divisor(value.v)

    def is_nothing(self, value):
        """Whether a value and all its derivatives are zero."""
        answer = self.base.is_nothing(value.v)
        for coefficient in self._derivatives(value):
            answer = self.builder.and_(answer, self.coef.is_nothing(coefficient))
        return answer

    def _coefficient(self, value):
        return self.coef.unpack(self.coef.lift(self.ty.scalar, self.base.pack(value)))

    def chain(self, name, out, args, first=0):
        """The result ``out`` with the op's partials; operands that carry no derivative cost nothing."""
        symbols = dict(zip("xyz", [arg.v for arg in args], strict=False), out=out)
        memo = {}
        parts = []
        for k, arg in enumerate(args):
            if self.is_passive(arg):
                continue
            rule = rules.partial_rule(name, k)
            if rules.is_constant(rule, 0.0):
                continue
            parts.append((self._partial(name, k, rule, symbols, memo), arg))
        return self.combine(out, parts, name)

    def _partial(self, name, k, rule, symbols, memo):
        if rules.is_constant(rule, 1.0):
            return None
        if name == "div":  # a reciprocal serves both partials, and every term is then a product
            base = self.base
            key = "reciprocal"
            if key not in memo:
                memo[key] = base.apply("div", base.constant(1.0), symbols["y"])
            r = memo[key]
            return self._coefficient(r if k == 0 else base.apply("neg", base.apply("mul", symbols["out"], r)))
        return self._coefficient(self.base.evaluate(rule, symbols, memo))

    def apply(self, name, *args):
        out = self.base.apply(name, *(arg.v for arg in args))
        return self.chain(name, out, args)

    def power(self, x, y, exponent):
        out = self.base.power(x.v, y.v, exponent)
        if not isinstance(exponent, int):
            return self.chain("pow", out, (x, y))
        if exponent == 0 or self.is_passive(x):
            return self.passive(out)
        partial = self.base.power(x.v, y.v, exponent - 1)
        partial = self.base.apply("mul", self.base.constant(float(exponent)), partial)
        return self.combine(out, [(self._coefficient(partial), x)], "pow" if exponent < 0 else None)

    def add(self, x, y):
        return self.apply("add", x, y)

    def mul(self, x, y):
        return self.apply("mul", x, y)


class DualValue:
    """A value and its tangents: an LLVM vector, or a list over an active scalar; None when all are zero."""

    __slots__ = ("t", "tapejit_singular", "v")

    def __init__(self, v, t=None, singular=False):
        self.v = v
        self.t = t
        self.tapejit_singular = singular  # whether it may be infinite, see ``SINGULAR``


class DualAlgebra(Differential):
    def __init__(self, context, builder, ty):
        super().__init__(context, builder, ty)
        self.vector = not isinstance(ty.scalar, Active)
        self.vector_type = ir.VectorType(ir.DoubleType(), ty.width)

    def passive(self, v):
        return DualValue(v)

    def is_passive(self, value):
        return value.t is None

    def with_value(self, v, value):
        return DualValue(v, value.t)

    def with_tangents(self, v, t):
        return DualValue(v, t)

    def _derivatives(self, value):
        if value.t is None or not self.vector:
            return value.t or ()
        lanes = (ir.Constant(ir.IntType(32), k) for k in range(self.ty.width))
        return [self.builder.extract_element(value.t, lane) for lane in lanes]

    def unpack(self, value):
        if isinstance(value, DualValue):
            return value
        extract = self.builder.extract_value
        v, singular = self.base.unpack(extract(value, 0)), may_be_singular(self.builder)
        if self.vector:
            return DualValue(v, extract(value, 1), singular)
        return DualValue(v, [self.coef.unpack(extract(value, 1 + k)) for k in range(self.ty.width)], singular)

    def pack(self, value):
        if not isinstance(value, DualValue):
            return value
        struct_type = self.context.get_value_type(self.ty)
        v = self.base.pack(value.v)
        if self.vector:
            tangents = [ir.Constant(self.vector_type, [0.0] * self.ty.width) if value.t is None else value.t]
        elif value.t is None:
            tangents = [self.coef.pack(self.coef.constant(0.0))] * self.ty.width
        else:
            tangents = [self.coef.pack(t) for t in value.t]
        return pack_struct(self.builder, struct_type, [v, *tangents])

    def tangents(self, items):
        """Tangents from one coefficient per lane."""
        if not self.vector:
            return items
        vector = ir.Constant(self.vector_type, ir.Undefined)
        for k, item in enumerate(items):
            vector = self.builder.insert_element(vector, item, ir.Constant(ir.IntType(32), k))
        return vector

    def splat(self, x):
        zero = ir.Constant(ir.IntType(32), 0)
        undefined = ir.Constant(ir.VectorType(x.type, self.ty.width), ir.Undefined)
        start = self.builder.insert_element(undefined, x, zero)
        mask = ir.Constant(ir.VectorType(ir.IntType(32), self.ty.width), [0] * self.ty.width)
        return self.builder.shuffle_vector(start, undefined, mask)

    def unit(self, lane):
        """The vector that is one in a lane, zero in the others; zero everywhere if there is no such lane."""
        width = self.ty.width
        numbers = ir.Constant(ir.VectorType(ir.IntType(64), width), list(range(width)))
        here = self.builder.icmp_signed("==", self.splat(lane), numbers)
        one, zero = (ir.Constant(self.vector_type, [x] * width) for x in (1.0, 0.0))
        return self.builder.select(here, one, zero)

    def _scaled(self, partial, arg, name):
        """A partial times tangents: nothing from a branch not taken, nor for a tangent that is zero."""
        t = arg.t
        if partial is None:
            return t
        if not self.vector:
            return [scaled(self.coef, partial, x, name, arg.tapejit_singular) for x in t]
        zero = ir.Constant(self.vector_type, [0.0] * self.ty.width)
        factor = self.splat(partial)
        if name in SINGULAR:
            factor = self.builder.select(self.builder.fcmp_ordered("==", t, zero), zero, factor)
        product = self.builder.fmul(factor, t, flags=CONTRACT)
        if name in BRANCHING or (arg.tapejit_singular and not isinstance(partial, ir.Constant)):
            product = self.builder.select(self.builder.fcmp_ordered("==", factor, zero), zero, product)
        return product

    def combine(self, v, parts, name=None):
        tangents = None
        for partial, arg in parts:
            term = self._scaled(partial, arg, name)
            if tangents is None:
                tangents = term
            elif self.vector:
                tangents = self.builder.fadd(tangents, term, flags=CONTRACT)
            else:
                tangents = [self.coef.add(*pair) for pair in zip(tangents, term, strict=True)]
        singular = name in SINGULAR or any(arg.tapejit_singular for _, arg in parts)
        return DualValue(v, tangents, singular and tangents is not None)

    def adjoint_times(self, adjoint, coefficient, both=False):
        v = self.base.adjoint_times(adjoint.v, coefficient.v, both)
        if adjoint.t is None or coefficient.t is None:
            adjoint, coefficient = (self.unpack(self.pack(value)) for value in (adjoint, coefficient))
        if not self.vector:
            pairs = zip(adjoint.t, coefficient.t, strict=True)
            return DualValue(v, [self._product_rule(adjoint.v, coefficient.v, *pair, both) for pair in pairs])
        parts = []
        zero = ir.Constant(self.vector_type, [0.0] * self.ty.width)
        for x, y in ((adjoint.t, self.splat(coefficient.v)), (self.splat(adjoint.v), coefficient.t)):
            nothing = self.builder.fcmp_ordered("==", x, zero)
            if both:
                nothing = self.builder.or_(nothing, self.builder.fcmp_ordered("==", y, zero))
            parts.append(self.builder.select(nothing, zero, self.builder.fmul(x, y, flags=CONTRACT)))
        return DualValue(v, self.builder.fadd(*parts, flags=CONTRACT))

    def _product_rule(self, x, y, dx, dy, both):
        times = self.coef.adjoint_times
        return self.coef.add(times(dx, self._coefficient(y), both), times(self._coefficient(x), dy, both))

    def select(self, condition, x, y):
        v = self.base.select(condition, x.v, y.v)
        if x.t is None and y.t is None:
            return DualValue(v)
        both = [self.unpack(self.pack(value)).t for value in (x, y)]
        singular = x.tapejit_singular or y.tapejit_singular
        if self.vector:
            return DualValue(v, self.builder.select(condition, *both), singular)
        return DualValue(
            v, [self.coef.select(condition, *pair) for pair in zip(*both, strict=True)], singular
        )


class Pending:
    """A value and its terms, pairs of a coefficient and a statement's index; none: a constant."""

    __slots__ = ("origin", "struct", "tapejit_singular", "terms", "v")

    def __init__(self, v, terms=(), struct=None):
        self.v = v
        self.terms = list(terms)
        self.origin = None  # the ``Origin`` of the terms, where they are another value's
        self.struct = struct  # the packed form, once it exists
        self.tapejit_singular = False


class Origin:
    """The terms of a value that all further ones depend on alone, and the slope between them.

    So the chain rule along ``r = x * x + y * y + z * z; 4.0 * (r ** -6 - r ** -3)`` goes by way of r: once for all terms.
    """

    __slots__ = ("may_be_nothing", "slope", "terms")

    def __init__(self, terms, slope, may_be_nothing=False):
        self.terms = terms
        self.slope = slope
        self.may_be_nothing = may_be_nothing  # whether it is zero where a branch is not taken: then all terms are


class TapeAlgebra(Differential):
    def passive(self, v):
        return Pending(v)

    def is_passive(self, value):
        return not value.terms

    def with_value(self, v, value):
        return Pending(v, value.terms)

    def _derivatives(self, value):
        return [coefficient for coefficient, _ in value.terms]

    def unpack(self, value):
        if isinstance(value, Pending):
            return value
        known = getattr(value, "tapejit_pending", None)
        if known is None:
            v = self.base.unpack(self.builder.extract_value(value, 0))
            coefficient = self.coef.unpack(self.builder.extract_value(value, 1))
            mark(coefficient, may_be_singular(self.builder))
            known = Pending(v, [(coefficient, self.builder.extract_value(value, 2))], value)
            value.tapejit_pending = (
                known  # one Python object per LLVM value: equal statements are found by identity
            )
        return known

    def pack(self, value):
        if not isinstance(value, Pending):
            return value
        if value.struct is None:
            self.record(value)
            coefficient, index = (
                value.terms[0]
                if value.terms
                else (self.coef.constant(0.0), ir.Constant(statementtape.I64, 0))
            )
            fields = [self.base.pack(value.v), self.coef.pack(coefficient), index]
            value.struct = pack_struct(self.builder, self.context.get_value_type(self.ty), fields)
            value.struct.tapejit_pending = value
        return value.struct

    def record(self, value):
        """Make a value of several terms, or one that refers to a running sum, a statement of its own."""
        if len(value.terms) > 1 or any(id(index) in self._sums() for _, index in value.terms):
            index = statementtape.push(self.context, self.builder, self.coef, value.terms)
            value.terms, value.origin = [(self.coef.constant(1.0), index)], None

    def _sums(self):
        """The statements, as LLVM values, that are running sums in this function: later additions change them."""
        function = self.builder.function
        if not hasattr(function, "tapejit_sums"):
            function.tapejit_sums = {}
        return function.tapejit_sums

    def running_sum(self, index):
        self._sums()[id(index)] = index

    def shared(self, struct):
        """A running sum's value: its coefficient is one, and what depends on it is to be recorded at once."""
        index = self.builder.extract_value(struct, 2)
        self.running_sum(index)
        v = self.base.unpack(self.builder.extract_value(struct, 0))
        return Pending(v, [(self.coef.constant(1.0), index)])

    def sum_of(self, value):
        """The packed value to store in a running sum: an addition to it, or a new beginning."""
        value = self.unpack(value)
        own = [term for term in value.terms if id(term[1]) in self._sums()]
        if len(own) == 1 and _is_one(own[0][0]):
            index = own[0][1]
            others = [term for term in value.terms if term is not own[0]]
            if others:
                index = statementtape.push(self.context, self.builder, self.coef, others, index)
        elif value.terms:
            index = statementtape.push(self.context, self.builder, self.coef, value.terms)
        else:
            index = ir.Constant(statementtape.I64, 0)
        fields = [self.base.pack(value.v), self.coef.pack(self.coef.constant(1.0)), index]
        return pack_struct(self.builder, self.context.get_value_type(self.ty), fields)

    def combine(self, v, parts, name=None):
        parts = [(partial, arg, arg.terms) for partial, arg in parts]
        while len({id(index) for _, _, terms in parts for _, index in terms}) > MOST_TERMS:
            largest = max((arg for _, arg, _ in parts), key=lambda arg: len(arg.terms))
            self.record(largest)
            parts = [(partial, arg, arg.terms) for partial, arg, _ in parts]
        origin = self._common_origin(parts, name)
        if origin:
            return self._along(v, origin)
        merged = {}
        for partial, _, terms in parts:
            for coefficient, index in terms:
                term = scaled(self.coef, partial, coefficient, name)
                known = merged.get(id(index))
                if known is not None:
                    infinite = is_singular(known[0]) or is_singular(term)
                    term = mark(self.coef.add(known[0], term), infinite)
                merged[id(index)] = (term, index)
        return Pending(v, merged.values())

    def _common_origin(self, parts, name):
        """The ``Origin`` of what depends on ``parts``, if theirs are the same terms; or None."""
        if not parts or not isinstance(self.coef, Real):
            return None
        origins = [arg.origin or Origin(terms, self.coef.one) for _, arg, terms in parts]
        terms = origins[0].terms
        if len(terms) < 2 or any(origin.terms is not terms for origin in origins):
            return None
        slope = None
        for (partial, _, _), origin in zip(parts, origins, strict=True):
            part = scaled(self.coef, partial, origin.slope, name)
            infinite = is_singular(part) or is_singular(slope)
            slope = part if slope is None else mark(self.coef.add(slope, part), infinite)
        return Origin(terms, slope, name in BRANCHING or any(origin.may_be_nothing for origin in origins))

    def _along(self, v, origin):
        """A value from its origin: terms that nothing asks for are left out by LLVM."""
        name, infinite = "maximum" if origin.may_be_nothing else None, is_singular(origin.slope)
        terms = [
            (mark(scaled(self.coef, origin.slope, coefficient, name), infinite), index)
            for coefficient, index in origin.terms
        ]
        value = Pending(v, terms)
        value.origin = origin
        return value

    def adjoint_times(self, adjoint, coefficient, both=False):
        v = self.base.adjoint_times(adjoint.v, coefficient.v, both)
        parts = [(coefficient.v, adjoint), (adjoint.v, coefficient)]
        return self.combine(v, [(self._coefficient(partial), arg) for partial, arg in parts], "maximum")

    def select(self, condition, x, y):
        zero = self.coef.constant(0.0)
        terms = {}
        for value, first in ((x, True), (y, False)):
            for coefficient, index in value.terms:
                pair = terms.setdefault(id(index), [zero, zero, index])
                pair[0 if first else 1] = coefficient
        v = self.base.select(condition, x.v, y.v)
        chosen = []
        for a, b, index in terms.values():
            coefficient = self.coef.select(condition, a, b)
            mark(coefficient, is_singular(a) or is_singular(b))
            chosen.append((coefficient, index))
        return Pending(v, chosen)


def with_unit_coefficient(ty, builder, v, index):
    """The value {v, 1, index}, as it comes out of an array."""
    alg = TapeAlgebra(cpu_target.target_context, builder, ty)
    value = Pending(alg.base.unpack(v), [(alg.coef.constant(1.0), index)])
    return alg.pack(value)


def index_with_unit_coefficient(ty, builder, struct):
    """The statement whose derivative is the value's own: recorded here if the coefficient is not one."""
    alg = TapeAlgebra(cpu_target.target_context, builder, ty)
    value = alg.unpack(struct)
    coefficient, index = value.terms[0] if value.terms else (None, ir.Constant(statementtape.I64, 0))
    if coefficient is None or _is_one(coefficient):
        return index
    statementtape.state(builder, alg.coef)  # in the entry block, before there is a branch
    needed = builder.icmp_unsigned("!=", index, ir.Constant(statementtape.I64, 0))
    if isinstance(alg.coef, Real):
        needed = builder.and_(needed, builder.fcmp_unordered("!=", coefficient, alg.coef.one))
    start = builder.basic_block
    with builder.if_then(needed):
        recorded = statementtape.push(alg.context, builder, alg.coef, value.terms)
        end = builder.basic_block
    phi = builder.phi(statementtape.I64)
    phi.add_incoming(index, start)
    phi.add_incoming(recorded, end)
    return phi


def _is_one(value):
    if isinstance(value, Pending):
        return not value.terms and _is_one(value.v)
    if isinstance(value, DualValue):
        return value.t is None and _is_one(value.v)
    return isinstance(value, ir.Constant) and value.constant == 1.0


def scalar_operation(context, builder, ty, name, argtypes, args, exponent=None):
    """One op on scalars; the result is a value of ``ty``'s algebra, not packed."""
    alg = algebra(context, builder, ty)
    values = [alg.lift(argty, arg) for argty, arg in zip(argtypes, args, strict=True)]
    if name in ("div", "remainder"):
        alg.check_divisor(values[1])
    if name == "pow":
        return alg.power(*values, exponent)
    return alg.apply(name, *values)


def primal_value(context, builder, ty, value):
    """The float at the bottom of an active scalar, or the number itself, with its type."""
    if isinstance(ty, Active):
        alg = algebra(context, builder, ty)
        return ty.leaf, alg.primal(alg.unpack(value))
    assert is_number(ty)
    return types.unliteral(ty), value
