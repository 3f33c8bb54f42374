"""A slow path for a few arguments inside a loop that still vectorises.

LLVM does not vectorise a loop that branches around a call. It does vectorise a call whose callee names a vector variant
of itself (the attribute "vector-function-abi-variant" of LLVM's Language Reference). So the slow path is a function of
its own that first looks whether it has anything to do; its vector variant asks that for all lanes at once, and runs the
scalar function lane by lane only if some lane needs it. The common case costs one comparison and one call per vector.
"""
from llvmlite import ir

from .emit import Value

# A call destroys every vector register under the usual convention; this one preserves half of them, so that the
# constants of the loop need not be read back from the stack after every call.
_X86_CONVENTION = "intel_ocl_bicc"
_LANES = (2, 4, 8, 16)
_I32 = ir.IntType(32)


def where_large(x, limit, slow):
    """`slow(x)` where |x| > limit, and 0 elsewhere (and for NaN); `slow` is any function of one `Value`."""
    fmt = x.fmt
    module = x.b.module
    name = f"tapejit.vecmath.{slow.__name__}.{fmt.name}"
    function = module.globals.get(name)
    if function is None:
        function = _declare(module, name, fmt.float)
        variants = [_declare(module, f"{name}.x{lanes}", ir.VectorType(fmt.float, lanes)) for lanes in _LANES]
        _fill_scalar(x, function, limit, slow)
        for variant in variants:
            if module.triple.startswith("x86_64"):
                variant.calling_convention = _X86_CONVENTION
            _fill_vector(variant, function, limit, fmt)
        names = ",".join(f"_ZGV_LLVM_N{n}v_{name}({v.name})" for n, v in zip(_LANES, variants, strict=True))
        # llvmlite's own `add` knows only a list of older attributes.
        set.add(function.attributes, f'"vector-function-abi-variant"="{names}"')
    return x.of(x.b.call(function, [x.ir]))


def _declare(module, name, kind):
    function = ir.Function(module, ir.FunctionType(kind, [kind]), name)
    # Not "linkonce": nothing refers to a variant until the loop is vectorised, and it must survive until then.
    function.linkage = "weak_odr"
    for attribute in ("noinline", "nounwind", "readnone"):
        function.attributes.add(attribute)
    set.add(function.attributes, "willreturn")
    return function


def _fill_scalar(x, function, limit, slow):
    builder = ir.IRBuilder(function.append_basic_block())
    argument = Value(builder, x.fmt, x.fma, function.args[0])
    with builder.if_then((argument.abs() > limit).ir, likely=False):
        builder.ret(slow(argument).ir)
    builder.ret(argument.const(0.0).ir)


def _fill_vector(function, scalar, limit, fmt):
    """Zeros if no lane is large, else the scalar function on every lane."""
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    x = function.args[0]
    lanes = x.type.count
    constant = ir.Constant(x.type, [limit] * lanes)
    minus = ir.Constant(x.type, [-limit] * lanes)
    large = builder.or_(builder.fcmp_ordered(">", x, constant), builder.fcmp_ordered("<", x, minus))
    any_large = builder.icmp_unsigned("!=", builder.bitcast(large, ir.IntType(lanes)), ir.Constant(ir.IntType(lanes), 0))
    with builder.if_then(any_large, likely=False):
        entry = builder.block
        loop = builder.append_basic_block("lane")
        done = builder.append_basic_block("done")
        builder.branch(loop)
        builder.position_at_end(loop)
        lane = builder.phi(_I32)
        result = builder.phi(x.type)
        value = builder.call(scalar, [builder.extract_element(x, lane)])
        filled = builder.insert_element(result, value, lane)
        following = builder.add(lane, _I32(1))
        lane.add_incoming(_I32(0), entry)
        lane.add_incoming(following, loop)
        result.add_incoming(ir.Constant(x.type, [0.0] * lanes), entry)
        result.add_incoming(filled, loop)
        builder.cbranch(builder.icmp_unsigned("==", following, _I32(lanes)), done, loop)
        builder.position_at_end(done)
        builder.ret(filled)
    builder.ret(ir.Constant(x.type, [0.0] * lanes))
