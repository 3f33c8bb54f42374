"""Scalar primitives as instructions: which selects LLVM is told to make jumps."""

import pytest
from llvmlite import binding, ir

from tapejit.edge import optimiser
from tapejit.edge.instructions import write

NUMBER = ir.DoubleType()
ZERO = ir.Constant(NUMBER, 0.0)


def optimised(body, kind=NUMBER):
    """The text of a function of two operands, made by ``body(builder, x, y)``, after LLVM's optimisation."""
    module = ir.Module()
    module.triple = optimiser.new_machine().triple
    function = ir.Function(module, ir.FunctionType(kind, [kind, kind]), "f")
    builder = ir.IRBuilder(function.append_basic_block())
    builder.ret(body(builder, *function.args))
    parsed = optimiser._parsed(str(module), binding.create_context())
    optimiser._optimise(parsed, joins=True, level=2, inlining=None)
    return str(parsed)


def zero_unless(product, zero=ZERO, divisor=ZERO):
    def body(builder, x, y):
        return write(builder, "select", [write(builder, "eq", [x, divisor]), zero, product(builder, x, y)])

    return body


@pytest.mark.parametrize("name", ["mul", "div"])
@pytest.mark.parametrize("swapped", [False, True])
def test_an_adjoint_of_zero_is_the_exception(name, swapped):
    text = optimised(zero_unless(lambda b, x, y: write(b, name, [y, x] if swapped else [x, y])))
    assert "select i1" in text
    assert "!prof" in text


OTHERS = {
    "of no product": zero_unless(lambda b, x, y: y),
    "of another product": zero_unless(lambda b, x, y: write(b, "mul", [y, y])),
    "not to zero": zero_unless(lambda b, x, y: write(b, "mul", [x, y]), zero=ir.Constant(NUMBER, 1.0)),
    "not at zero": zero_unless(lambda b, x, y: write(b, "mul", [x, y]), divisor=ir.Constant(NUMBER, 1.0)),
}


@pytest.mark.parametrize("body", OTHERS.values(), ids=OTHERS)
def test_other_choices_stay_choices(body):
    text = optimised(body)
    assert "select i1" in text
    assert "!prof" not in text


def test_vectors_stay_vectors():
    lanes = ir.VectorType(NUMBER, 4)
    zeros = ir.Constant(lanes, [0.0] * 4)
    text = optimised(zero_unless(lambda b, x, y: write(b, "mul", [x, y]), zeros, zeros), lanes)
    assert "select <4 x i1>" in text
    assert "!prof" not in text
