"""Functions of whole numbers, put together from primitives; they give what NumPy's give, where they wrap around, too."""

from tapejit.core.errors import Refused

LONGEST_POWER = 64  # exponents up to here are products


def _zero(graph, x):
    return graph.const(0, (), x.dtype)


def _is_negative(graph, x):
    return graph.elementwise("lt", x, _zero(graph, x))


def larger(graph, x, y):
    return graph.elementwise("select", graph.elementwise("gt", x, y), x, y)


def smaller(graph, x, y):
    return graph.elementwise("select", graph.elementwise("lt", x, y), x, y)


def _sign(graph, x):
    one, zero = graph.const(1, (), x.dtype), _zero(graph, x)
    above = graph.elementwise("select", graph.elementwise("gt", x, zero), one, zero)
    if x.dtype == "u1":
        return above
    return graph.elementwise("select", _is_negative(graph, x), graph.const(-1, (), x.dtype), above)


def _fmod(graph, x, y):
    """What the quotient without its fraction leaves, nothing for a quotient by zero."""
    left = graph.elementwise("sub", x, graph.elementwise("mul", graph.elementwise("quotient", x, y), y))
    return graph.elementwise("select", graph.elementwise("eq", y, _zero(graph, y)), _zero(graph, y), left)


def _rounds_up(graph, left, y):
    """Whether the quotient without its fraction is above the exact one: something is left, of the other sign than y."""
    differ = graph.elementwise("xor", _is_negative(graph, left), _is_negative(graph, y))
    return graph.elementwise("and", graph.elementwise("ne", left, _zero(graph, y)), differ)


def _floor_divide(graph, x, y):
    quotient = graph.elementwise("quotient", x, y)
    down = graph.cast(_rounds_up(graph, _fmod(graph, x, y), y), y.dtype)
    return graph.elementwise("sub", quotient, down)


def _remainder(graph, x, y):
    left = _fmod(graph, x, y)
    return graph.elementwise("select", _rounds_up(graph, left, y), graph.elementwise("add", left, y), left)


def _power(graph, x, y):
    if y.op != "const" or not 0 <= y.attr.value <= LONGEST_POWER:
        raise Refused(f"a power of {x.dtype} whose exponent is not a constant from 0 to {LONGEST_POWER}")
    exponent, square = int(y.attr.value), x
    power = graph.const(1, (), x.dtype)
    while exponent:
        if exponent & 1:
            power = graph.elementwise("mul", power, square)
        exponent >>= 1
        if exponent:
            square = graph.elementwise("mul", square, square)
    return power


def _shifted(op):
    """By as many bits as there are, and by less than none, all of them are shifted out."""

    def shift(graph, x, y):
        most = graph.const(8 * int(x.dtype[1:]) - 1, (), y.dtype)
        outside = graph.elementwise("or", _is_negative(graph, y), graph.elementwise("gt", y, most))
        inside = graph.elementwise(op, x, graph.elementwise("select", outside, most, y))
        if op == "shr" and x.dtype != "u1":
            return inside  # signs alone are left
        return graph.elementwise("select", outside, _zero(graph, x), inside)

    return shift


def _itself(graph, x):
    return x


FUNCTIONS = {
    "abs": lambda graph, x: x if x.dtype == "u1" else graph.elementwise("abs", x),
    "neg": lambda graph, x: graph.elementwise("neg", x),
    "sign": _sign,
    "square": lambda graph, x: graph.elementwise("mul", x, x),
    **dict.fromkeys(("floor", "ceil", "trunc", "round"), _itself),
    "minimum": smaller,
    "maximum": larger,
    "clamp_max": smaller,
    "clamp_min": larger,
    "truncdiv": lambda graph, x, y: graph.elementwise("quotient", x, y),
    "floor_divide": _floor_divide,
    "fmod": _fmod,
    "remainder": _remainder,
    "pow": _power,
    "left_shift": _shifted("shl"),
    "right_shift": _shifted("shr"),
}
