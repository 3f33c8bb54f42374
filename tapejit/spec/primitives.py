"""The scalar primitives that value and derivative rules are made of: one row each, all that tapejit knows of them.

A rule calls ``m.tanh(x)``, or writes ``x + y``. From the row come its code in kernels, replayed programs and nopython, its
cost in the choice between computing again and keeping, its folding, NumPy's evaluation and the docs.
"""

import importlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

ARITHMETIC, COMPARISON, LOGIC, TEST, EXACT, FUNCTION, MOVE = (
    "arithmetic", "comparison", "logic", "test", "exact", "function", "move",
)  # fmt: skip


@dataclass(frozen=True)
class Primitive:
    """A row of the table.

    Attributes:
        name: as rules and graphs call it.
        arity: how many operands it has.
        kind: ARITHMETIC may be contracted where bits are free; a COMPARISON gives a bool of two numbers; LOGIC takes bools and
            integers; a TEST gives a bool of one float; EXACT has one result, however it is done; a FUNCTION has its
            code from ``body``; MOVE stands in graphs alone.
        cost: in cycles per vector, roughly.
        numpy: what computes it over arrays; constants are folded with it where LLVM's result would be the same.
        sign: how formulas write it between operands.
        llvm: LLVM's instruction or, with a point in its name, intrinsic for floats; the predicate of a comparison.
        integer: LLVM's instruction for integers.
        c: (functions) what undifferentiated Numba code calls: a function of the C library, or an intrinsic of LLVM.
        alone: the C library's function takes less time than ours for a single double: ours are made for vectors. Glibc's
            are at most 1 ulp off (its manual, "Errors in Math Functions").
        op: the op of the table that states its derivative.
        body: its code, a function over ``edge.vecmath.emit.Value``; by default the function of this name in ``edge.vecmath``.
        library: the function of SciPy's or of ``edge.specialmath`` that is called instead.
    """

    name: str
    arity: int
    kind: str
    cost: float
    numpy: Any
    sign: str = ""
    llvm: str = ""
    integer: str = ""
    c: str = ""
    alone: bool = False
    op: str = ""
    body: Callable | None = None
    library: str = ""

    @property
    def gives_bool(self) -> bool:
        return self.kind in (COMPARISON, TEST)

    @property
    def certain(self) -> bool:
        """Whether it has one result, however it is done."""
        return self.kind not in (ARITHMETIC, FUNCTION)

    @property
    def math(self):
        """Python's function of one number, None where there is none."""
        return getattr(math, {"abs": "fabs"}.get(self.name, self.name), None)


PRIMITIVES: dict[str, Primitive] = {}


def primitive(name, arity, kind, cost, numpy, **more) -> Primitive:
    """Enter a primitive; arguments as the attributes of ``Primitive``.

    Raises:
        ValueError: if there is one of that name.
    """
    if name in PRIMITIVES:
        raise ValueError(f"there is a primitive named {name!r} already; choose another name")
    row = PRIMITIVES[name] = Primitive(name, arity, kind, cost, numpy, **{"op": name, **more})
    return row


def _own(name):
    """A function of ``edge.specialmath``, number by number."""
    return lambda *xs: importlib.import_module("tapejit.edge.scipycalls").of_arrays(name)(*xs)


def _special(name):
    """A function of SciPy's, which is imported when it is called: that takes longer than all of tapejit."""
    return lambda *xs: getattr(importlib.import_module("scipy.special"), name)(*xs)


def _truncated(x, y):
    """x / y rounded towards zero, and zero where y is zero, as NumPy's integers have it."""
    below = np.floor_divide(x, y)
    return below + ((below < 0) & (below * y != x))


for _name, _sign, _numpy in (("add", "+", np.add), ("sub", "-", np.subtract), ("mul", "*", np.multiply)):
    primitive(_name, 2, ARITHMETIC, 1, _numpy, sign=_sign, llvm=f"f{_name}", integer=_name)
primitive("fma", 3, ARITHMETIC, 1, lambda x, y, z: x * y + z, llvm="llvm.fma")
primitive("div", 2, EXACT, 6, np.divide, sign="/", llvm="fdiv")
primitive("neg", 1, EXACT, 0.5, np.negative, llvm="fneg", integer="neg")
primitive("fmod", 2, EXACT, 25, np.fmod, llvm="frem")
primitive("quotient", 2, EXACT, 25, _truncated, integer="sdiv")  # of integers; by zero it is zero
primitive("shl", 2, EXACT, 1, np.left_shift, integer="shl")
primitive("shr", 2, EXACT, 1, np.right_shift, integer="ashr")

for _name, _sign, _numpy in (
    ("lt", "<", np.less), ("le", "<=", np.less_equal), ("gt", ">", np.greater), ("ge", ">=", np.greater_equal),
    ("eq", "==", np.equal), ("ne", "!=", np.not_equal),
):  # fmt: skip
    primitive(_name, 2, COMPARISON, 1, _numpy, sign=_sign, llvm=_sign)
primitive("and", 2, LOGIC, 1, np.bitwise_and, sign="and", llvm="and_")
primitive("or", 2, LOGIC, 1, np.bitwise_or, sign="or", llvm="or_")
primitive("xor", 2, LOGIC, 1, np.bitwise_xor, llvm="xor")
primitive("not", 1, LOGIC, 1, np.invert, llvm="not_")
primitive("select", 3, EXACT, 1, np.where, llvm="select", integer="select")
for _name in ("isnan", "isinf", "isfinite"):
    primitive(_name, 1, TEST, 1, getattr(np, _name))

for _name, _llvm in (("floor", "floor"), ("ceil", "ceil"), ("trunc", "trunc"), ("rint", "rint"), ("abs", "fabs")):
    primitive(_name, 1, EXACT, 1, getattr(np, _name), llvm=f"llvm.{_llvm}", op="round" if _name == "rint" else _name)
primitive("sqrt", 1, EXACT, 8, np.sqrt, llvm="llvm.sqrt")

for _name in ("exp", "log", "sin", "cos"):
    primitive(_name, 1, FUNCTION, 14 if _name == "exp" else 25, getattr(np, _name), c=f"llvm.{_name}", alone=True)
for _name in ("exp2", "log2", "log10"):
    primitive(_name, 1, FUNCTION, 14 if _name == "exp2" else 25, getattr(np, _name), c=f"llvm.{_name}")
for _name in ("expm1", "log1p", "tan", "sinh", "cosh", "tanh"):
    primitive(_name, 1, FUNCTION, 25, getattr(np, _name), c=_name)
for _name in ("asin", "acos", "atan", "asinh", "acosh", "atanh"):
    primitive(_name, 1, FUNCTION, 25, getattr(np, f"arc{_name[1:]}"), c=_name)
for _name in ("erf", "erfc"):
    primitive(_name, 1, FUNCTION, 25, _special(_name), c=_name, alone=True)
primitive("sigmoid", 1, FUNCTION, 25, _special("expit"))
primitive("softplus", 1, FUNCTION, 25, lambda x: np.logaddexp(x, 0))
primitive("pow", 2, FUNCTION, 25, np.power, c="llvm.pow")
primitive("atan2", 2, FUNCTION, 25, np.arctan2, c="atan2")
primitive("hypot", 2, FUNCTION, 25, np.hypot, c="hypot")

# Functions of SciPy's that are called, by their names there -> how many operands they have
_ONE = "gammaln psi gamma erfinv erfcinv erfcx log_ndtr ndtri dawsn i0 i0e i1 i1e j0 j1 y0 y1 k0 k0e k1 k1e"
LIBRARY = dict.fromkeys(_ONE.split(), 1) | dict.fromkeys("betaln beta gammainc gammaincc".split(), 2) | {"betainc": 3}
_OPS = {"gammaln": "lgamma", "psi": "digamma"}  # the ops of primitives, where they have other names
for _name, _arity in LIBRARY.items():
    primitive(_name, _arity, FUNCTION, 100, _special(_name), library=_name, op=_OPS.get(_name, _name))
# Functions of numbers of ``edge.specialmath``, called in the same way
OWN = {
    "lambertw": 1, "lambertw_lower": 1, "gammainc_a": 2, "gammainc_aa": 2, "gamma_density": 2, "hurwitz_zeta": 2, "zeta_s": 2,
    "zeta_ss": 2, "wofz_real": 3, "wofz_imag": 3,
    "betainc_a": 3, "betainc_b": 3, "betainc_aa": 3, "betainc_ab": 3, "betainc_bb": 3, "beta_density": 3,
}  # fmt: skip
for _name, _arity in OWN.items():
    primitive(_name, _arity, FUNCTION, 1000, _own(_name), library=_name, op=_name if _name == "lambertw" else f"_{_name}")
LIBRARY |= OWN
primitive("zeta", 2, FUNCTION, 200, _special("zeta"), op="_zeta")


def entered_later() -> str:
    """What tells the rows that are not this file's: of code on disk that may be made of them."""
    rows = [*PRIMITIVES.values()][_OWN:]
    codes = [row.body.__code__ if row.body else None for row in rows]
    bodies = [code and (code.co_code, code.co_consts, code.co_names) for code in codes]
    return repr([(r.name, r.arity, r.kind, r.llvm, r.c, body) for r, body in zip(rows, bodies, strict=True)])


primitive("cast", 1, MOVE, 0.5, None)
primitive("copy", 1, MOVE, 0, np.copy)
_OWN = len(PRIMITIVES)
