"""Branches inside a loop that still vectorises.

LLVM does not vectorise a loop that branches around a slow path. It does vectorise a call whose callee names vector
variants of itself (the attribute "vector-function-abi-variant" of LLVM's Language Reference). So code that wants a branch
becomes a function of its own: `outlined` writes the same formula over single numbers and over vectors of the widths this
processor has, and in there `when_any` branches if any lane asks for it. The common case costs one comparison, and one call
per vector.
"""
from llvmlite import ir

from tapejit.edge.caching import engine_stamp

from .emit import Value, constant, select
from .processor import has_avx512f, vector_bits

# A call destroys every vector register under the usual convention; this one preserves half of them, so that the
# constants of the loop need not be read back from the stack after every call. Not with AVX-512: there it also destroys the
# frame pointer, and LLVM 20 counts wrongly where it saves that around a call: later spills in the block miss their places.
_X86_CONVENTION = "intel_ocl_bicc"
_I32 = ir.IntType(32)


def outlined(body, *args, vectorise=True):
    """`body(*args)`, a function of Values of one format, as a call that becomes one call per vector in a loop."""
    x = args[0]
    module = x.b.module
    name = _name(body, x.fmt)
    function = module.globals.get(name)
    if function is None:
        pool = _Pool(module, f"{name}.constants", x.fmt)
        function = _define(module, name, x, x.fmt, body, len(args), pool)
        names = []
        # Half the width too: a loop that works in both formats has as many lanes as the wider one.
        widest = vector_bits() // x.fmt.width
        for lanes in (widest, widest // 2):
            if lanes > 1 and vectorise:
                variant = _define(module, f"{name}.x{lanes}", x, x.fmt.vector(lanes), body, len(args), pool)
                if module.triple.startswith("x86_64") and not has_avx512f():
                    variant.calling_convention = _X86_CONVENTION
                names.append(f"_ZGV_LLVM_N{lanes}{'v' * len(args)}_{name}({variant.name})")
        pool.close()
        if names:  # llvmlite's own `add` knows only a list of older attributes
            set.add(function.attributes, f'"vector-function-abi-variant"="{",".join(names)}"')
    return x.of(x.b.call(function, [a.ir for a in args]))


def _name(body, fmt):
    return f"tapejit.vecmath.{body.__name__}.{fmt.name}.{engine_stamp()[:8]}"  # code on disk may be of other sources


class _Pool:
    """The constants of a function and its variants, side by side.

    The code that Numba makes may lie anywhere, so each constant would cost an instruction for its address; here one serves
    all. The pool is "weak", so that LLVM cannot put the numbers back.
    """

    def __init__(self, module, name, fmt):
        self.fmt = fmt
        self.words = []
        self.variable = ir.GlobalVariable(module, ir.ArrayType(ir.IntType(fmt.width), 1), name)
        self.variable.linkage = "weak"
        self.variable.global_constant = True
        self.variable.align = 64

    def load(self, builder, kind, words, align):
        """The value of that type made of these words."""
        for start in range(0, len(self.words), align):
            if self.words[start:start + len(words)] == words:
                break
        else:
            self.words += [0] * (-len(self.words) % align)
            start = len(self.words)
            self.words += words
        address = builder.gep(builder.bitcast(self.variable, ir.IntType(self.fmt.width).as_pointer()),
                              [ir.IntType(64)(start)], inbounds=True)
        return builder.load(builder.bitcast(address, kind.as_pointer()), align=align * self.fmt.width // 8)

    def close(self):
        kind = ir.ArrayType(ir.IntType(self.fmt.width), len(self.words) or 1)
        self.variable.value_type = kind
        self.variable.type = kind.as_pointer()
        self.variable.initializer = ir.Constant(kind, self.words or [0])


class _Builder(ir.IRBuilder):
    """A builder that takes its constants from a pool."""

    def __init__(self, block, fmt, pool):
        super().__init__(block)
        self.fmt, self.pool, self.float = fmt, pool, fmt.vector(None).float

    def constant(self, kind, number):
        """The number, in every lane of a vector; from the pool if it is of this function's format."""
        element = getattr(kind, "element", kind)
        pooled = isinstance(element, (ir.IntType, type(self.float))) and number != 0
        if not pooled or (isinstance(element, ir.IntType) and element.width != self.fmt.width):
            return constant(kind, number)
        word = number if isinstance(element, ir.IntType) else self.fmt.bits(number)
        loaded = self.pool.load(self, element, [word], 1)
        if kind is element:
            return loaded
        undefined = ir.Constant(kind, ir.Undefined)
        lanes = constant(ir.VectorType(_I32, kind.count), 0)
        return self.shuffle_vector(self.insert_element(undefined, loaded, _I32(0)), undefined, lanes)

    def table(self, kind, numbers):
        """A vector of these numbers."""
        return self.pool.load(self, kind, [self.fmt.bits(n) for n in numbers], len(numbers))


def _define(module, name, like, fmt, body, count, pool):
    function = ir.Function(module, ir.FunctionType(fmt.float, [fmt.float] * count), name)
    # Not "linkonce": nothing refers to a variant until the loop is vectorised, and it must survive until then.
    function.linkage = "weak_odr"
    for attribute in ("noinline", "nounwind", "readnone"):
        function.attributes.add(attribute)
    set.add(function.attributes, "willreturn")
    builder = _Builder(function.append_basic_block("entry"), fmt, pool)
    builder.ret(body(*[Value(builder, fmt, like.fma, a) for a in function.args]).ir)
    return function


def when_any(condition, compute, *otherwise):
    """`compute()` if the condition holds in any lane, else the Values `otherwise`; a real branch, for `outlined` bodies.

    `compute` must give the lanes without the condition what they would have otherwise.
    """
    b = condition.b
    truth = condition.ir
    if isinstance(truth.type, ir.VectorType):
        mask = ir.IntType(truth.type.count)
        truth = b.icmp_unsigned("!=", b.bitcast(truth, mask), mask(0))
    before = b.block
    with b.if_then(truth, likely=False):
        computed = compute()
        after = b.block
    results = []
    for value, default in zip(computed, otherwise, strict=True):
        phi = b.phi(default.ir.type)
        phi.add_incoming(default.ir, before)
        phi.add_incoming(value.ir, after)
        results.append(default.of(phi))
    return results


def patched(x, result, tiny, limit, slow):
    """The result, but x where |x| < tiny, and `slow(x)` where |x| is not below the limit; `slow` takes one scalar Value."""
    def large(x):
        return ~(x.abs() < limit)

    def slow_if_large(x):
        return when_any(large(x), lambda: [slow(x)], x.const(0.0))[0]

    def patch(x, result):
        fmt = x.fmt
        least = fmt.bits(tiny)
        rare = (x.abs().bits() - least).beyond(fmt.bits(limit) - least)

        def compute():
            near = select(x.abs() < tiny, x, result) if tiny else result
            return when_any(large(x), lambda: [select(large(x), lane_by_lane(slow_if_large, x), near)], near)

        return when_any(rare, compute, result)[0]

    slow_if_large.__name__ = slow.__name__
    patch.__name__ = f"{slow.__name__}.patch"
    return outlined(patch, x, result)


def lane_by_lane(body, *args):
    """`body` of one lane after the other, a function of its own."""
    x = args[0]
    if x.fmt.lanes is None:
        return outlined(body, *args, vectorise=False)
    b = x.b
    scalar = x.fmt.vector(None)
    before = b.block
    loop, done = b.append_basic_block("lane"), b.append_basic_block("done")
    b.branch(loop)
    b.position_at_end(loop)
    lane, result = b.phi(_I32), b.phi(x.ir.type)
    elements = [Value(b, scalar, x.fma, b.extract_element(a.ir, lane)) for a in args]
    filled = b.insert_element(result, outlined(body, *elements, vectorise=False).ir, lane)
    following = b.add(lane, _I32(1))
    lane.add_incoming(_I32(0), before)
    lane.add_incoming(following, loop)
    result.add_incoming(x.ir, before)
    result.add_incoming(filled, loop)
    b.cbranch(b.icmp_unsigned("==", following, _I32(x.fmt.lanes)), done, loop)
    b.position_at_end(done)
    return x.of(filled)
