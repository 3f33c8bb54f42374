"""The op table: every differentiable operation, and all that the rest of tapejit knows about it.

An elementwise op is a value rule and one derivative rule per operand, both tiny functions of scalars. The names of a
derivative rule's parameters say which values it needs: ``g`` is the adjoint of the result, ``x``, ``y``, ``z`` are the
operands, ``out`` is the result. Kernels, higher derivatives, tests and documentation are made from the entry.
"""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

from tapejit.spec.expr import Expr, as_expr, symbol
from tapejit.spec.vocabulary import ops

OPERANDS = ("x", "y", "z")
VALUES = (*OPERANDS, "out")
_RULE_NAMES = {"g", *VALUES}


@dataclass(eq=False)
class Op:
    """A row of the op table.

    Attributes:
        name: the public name, also of the function in ``tapejit``.
        code: the number that stands in a record.
        arity: how many operands it has; more than three where the rule is a joint one.
        value: the value rule (elementwise) or None (structured).
        rules: one derivative rule per operand; None where the operand never gets a gradient.
        needs: per operand, which of ``x y z out`` the reverse kernel reads.
        domain: per operand, the interval from which tests draw.
        label: PyTorch's name of the backward node; ``Backward0`` is added where no ``Backward`` is in it.
        ufunc: NumPy's function for integer and bool operands, if the op has a meaning there.
        smooth: False where finite differences cannot be expected to agree (kinks, jumps).
        condition: True when the first operand is a bool tensor.
        scatter: reverse kernels only add, to a target that holds zeros at first.
        erase: the reverse kernel of x clears a part of the adjoint in place, which then is that of x.
        alias_of: the op whose kernels this one runs under another name.
        identity: (structured) the operands whose adjoint is the result's as it is.
        joint: the rule gives the adjoints of all operands at once, and the sweep runs it where there are no reverse kernels.
        push: what takes the operands' tangents to the result's, where that is stated too; else it is the rule's transpose.
        failure: what went wrong, in words, for a forward kernel that answers a status; None if it cannot fail.
        reads: how many operands the forward kernel reads; those after them are there for their gradient only.
    """

    name: str
    code: int
    arity: int
    value: Callable | None
    rules: tuple
    needs: tuple
    label: str
    domain: tuple = ()
    ufunc: Any = None
    smooth: bool = True
    condition: bool = False
    scatter: bool = False
    erase: bool = False
    identity: tuple = ()
    alias_of: Any = None
    joint: Callable | None = None
    push: Callable | None = None
    failure: Callable | None = None
    reads: int = 3
    doc: str = ""
    traced: dict = field(default_factory=dict)

    @property
    def elementwise(self) -> bool:
        return self.value is not None

    @property
    def node_name(self) -> str:
        """PyTorch's name of the backward node."""
        return self.label if "Backward" in self.label else self.label + "Backward0"

    @property
    def saved(self) -> int:
        """The union of ``needs`` as bits: 1, 2, 4 for the operands and 8 for the result."""
        return sum(1 << i for i, name in enumerate(VALUES) if any(name in need for need in self.needs))

    def is_identity(self, j: int) -> bool:
        """Whether the adjoint of operand ``j`` is the result's."""
        if not self.elementwise:
            return j in self.identity
        return self.rules[j] is not None and self.needs[j] == () and str(self.trace(1 + j)) == "symbol('g')"

    def trace(self, which: int):
        """The value rule (0) or the derivative rule of operand ``which - 1`` as an expression of named symbols."""
        if which not in self.traced:
            rule = self.value if which == 0 else self.rules[which - 1]
            names = OPERANDS[: self.arity] if which == 0 else tuple(inspect.signature(rule).parameters)
            self.traced[which] = as_expr(rule(*map(symbol, names)))
        return self.traced[which]

    @functools.cached_property
    def formulas(self) -> str:
        """The value rule and the derivative rules of an elementwise op as text."""
        return repr([self.trace(k) for k in range(1 + self.arity) if k == 0 or self.rules[k - 1]])

    def __call__(self, *args):
        """Apply the op inside a rule: to symbols it gives an expression, to Tensors it gives a Tensor."""
        for arg in args:
            if isinstance(arg, Expr):
                return self.value(*map(as_expr, args))
        return FUNCTIONS[self.name](*args)

    def __repr__(self):
        return f"<op {self.name}>"


OPS: list[Op] = []
BY_NAME: dict[str, Op] = {}
FUNCTIONS: dict[str, Callable] = {}  # the public functions of elementwise ops, entered by ``functional``, which is above
entered: list[Callable] = []  # called with each op that enters the table after them


def _needs(rule) -> tuple:
    if rule is None:
        return ()
    names = tuple(inspect.signature(rule).parameters)
    unknown = set(names) - _RULE_NAMES
    if unknown:
        raise TypeError(f"a derivative rule takes parameters named g, x, y, z or out; got {sorted(unknown)}")
    return tuple(name for name in names if name != "g")


def _add(**fields) -> Op:
    op = Op(code=len(OPS), **fields)
    if op.name in BY_NAME:
        raise ValueError(f"the op table has an op named {op.name!r} already; choose another name")
    OPS.append(op)
    BY_NAME[op.name] = op
    for tell in entered:
        tell(op)
    return op


_own: list = []  # the ops of this package


def close() -> None:
    """What is in the table now is the package's own."""
    _own[:] = OPS


def entered_later() -> str:
    """What tells the elementwise ops that are not the package's own: of code on disk that may be made of them."""
    return repr([(op.name, op.formulas) for op in OPS[len(_own) :] if op.elementwise])


def camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def elementwise(
    dx=None,
    dy=None,
    dz=None,
    *,
    name=None,
    domain=(-2.0, 2.0),
    label=None,
    ufunc=None,
    smooth=True,
    condition=False,
):
    """Enter the decorated value rule into the table, with one derivative rule per operand.

    Args:
        dx, dy, dz: the product of ``g`` and the derivative in that operand. A number means a constant derivative.
        name: the op's name, if not the function's.
        domain: the interval tests draw operands from, or one interval per operand.
        label: PyTorch's name for the node, if it differs from the capitalised name.
        ufunc: what integer and bool tensors use instead.
        smooth: False where finite differences cannot be expected to agree (kinks, jumps).
        condition: True when the first operand is a bool tensor.
    """

    def enter(value):
        arity = len(inspect.signature(value).parameters)
        rules = (dx, dy, dz)[:arity]
        intervals = domain if isinstance(domain[0], tuple) else (domain,) * arity
        return _add(
            name=name or value.__name__,
            arity=arity,
            value=value,
            rules=rules,
            needs=tuple(map(_needs, rules)),
            label=label or camel(value.__name__),
            domain=intervals,
            ufunc=ufunc,
            smooth=smooth,
            condition=condition,
            doc=inspect.getdoc(value) or "",
        )

    return enter


def structured(name, *, needs, rules, label=None, scatter=False, erase=False, identity=()):
    """Enter an op that is not elementwise; its kernels are those of its name in ``kernels.library``.

    Args:
        needs: per operand, the values its reverse kernel reads, as a tuple of names out of ``x y z out``.
        rules: the same derivatives in terms of other ops: per operand a function ``rule(record, g, x, y, z, out)``.
        label: PyTorch's name for the node.
        scatter, erase, identity: see ``Op``.
    """
    return _add(
        name=name,
        arity=len(rules),
        value=None,
        rules=tuple(rules),
        needs=tuple(needs),
        label=label or camel(name),
        scatter=scatter,
        erase=erase,
        identity=identity,
    )


def joint(name, *, arity, needs, rule, push=None, constant=(), reads=None, failure=None, label=None):
    """Enter an op whose derivative is stated once, as a rule for all operands together; it has a forward kernel alone.

    The kernel is that of its name in ``kernels.library``. Further results, and what is saved for the rule, lie behind the
    first one in its block: views take them out.

    Args:
        arity: how many operands it has. Where these are more than three, the kernel finds in place of z the address of the
            addresses of all from the third on, and the rule takes as many arguments more.
        needs: the values that the rule reads, names out of ``x y z out``; z: all operands from the third on.
        rule: a function ``rule(record, g, x, y, z, out)`` that gives one adjoint per operand, None where there is none;
            ``record.wanted`` says which ones are asked for.
        push: a function ``push(record, tangents, x, y, z, out)`` that gives the result's tangent from those of the operands,
            None for one that does not move; of the values it uses those that the rule needs. Without it, or where it answers
            None, forward mode is the rule's transpose.
        constant: the operands that never get a gradient.
        reads: how many operands the kernel reads, by default all; the rest carry a gradient only, and may be None in the rule.
        failure: ``failure(number)`` says in words what the status that the kernel answers means for one matrix.
        label: PyTorch's name for the node.
    """
    return _add(
        name=name,
        arity=arity,
        value=None,
        rules=tuple(None if j in constant else rule for j in range(arity)),
        needs=(tuple(needs),) * arity,
        label=label or camel(name),
        joint=rule,
        push=push,
        failure=failure,
        reads=max(arity, 3) if reads is None else reads,
    )


def alias(op: Op, label: str) -> Op:
    """A row for the same operation under another node name: nothing is compiled twice."""
    row = {f.name: getattr(op, f.name) for f in fields(op) if f.name != "code"}
    return _add(**{**row, "name": f"{op.name} as {label}", "label": label, "alias_of": op})


# Row 0: a value without a history. It has no kernels and never appears in a sweep.
VALUE = _add(name="value", arity=0, value=lambda: None, rules=(), needs=(), label="Value")

# Row 1: a tensor that shares another's memory; the sweep knows it by its number. The forward kernel adds up what arrives at
# elements that the view shows several times.
VIEW = structured(
    "view",
    needs=((),),
    rules=(lambda r, g, x, y, z, out: ops.spread(g, r.shape, r.strides, int(r.imm), x.shape),),
    scatter=True,
    identity=(0,),
)
