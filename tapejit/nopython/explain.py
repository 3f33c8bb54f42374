"""Error messages that name the construct, what to write instead, and the user's line."""

import linecache
import re
import textwrap
import types as pytypes

from numba.core.errors import TypingError

from tapejit.edge.compiler import Dispatcher, is_known, numba_ir


class DifferentiationError(TypingError):
    """A function contains something that cannot be differentiated in nopython mode."""


_RULE = "give its derivative with tapejit.nopython.rule"
_IN_PLACE_OF = {
    "reversed": "count down, range(n - 1, -1, -1), or take x[::-1]",
    "map": "write a loop, or a list comprehension",
    "filter": "write a loop, or a list comprehension",
}
_REMEDIES = (
    # what Numba's own message contains -> (the construct, what to do)
    (
        r"(?:setitem|inplace_\w+)\(array\((?:float|int)\d+.*(?:Tape|Dual)\(",
        "writing a differentiated value into an array of plain numbers",
        "allocate the array inside the function (np.zeros, np.empty, x.copy()), or, if it is an argument, "
        "name it in argnums",
    ),
    (
        r"setitem\(array\((?:Tape|Dual)\(.*array\(",
        "assigning to part of an array in this way",
        "write a loop over the elements",
    ),
    (
        r"setitem\((?:list|reflected list|DictType)\W.*(?:float|int)\d+.*(?:Tape|Dual)\(",
        "writing a differentiated value into a list, or a dict, of plain numbers",
        "begin with np.zeros(n) in place of [0.0] * n, or append to the list",
    ),
    (
        r"Unknown attribute 'fft'",
        "np.fft",
        "leave nopython for it: np.fft of tensors has derivatives in functions that tapejit.grad or tapejit.jit records",
    ),
    (
        r"ufunc 'conjugate'",
        "np.conjugate of a real number",
        "leave it out: of a real number it is the number itself",
    ),
    (
        r"<class 'complex'>|>>> [^\n]*complex(?:64|128)",
        "complex arithmetic (complex(), 1j)",
        "compute with the real and the imaginary part as numbers of their own",
    ),
    (
        r"exception_match",
        "`except` of one kind of exception",
        "ask for the condition before, or catch Exception",
    ),
    (
        r"Cannot unify array\((?:(?:float|int)\d+.*array\((?:Tape|Dual)\(|(?:Tape|Dual)\(.*array\((?:float|int)\d+)",
        "one variable holding values of different kinds, an array of plain numbers and a differentiated one,",
        "begin with a copy (x = x0.copy()) or with an array made by np.zeros, np.ones, np.full or np.eye",
    ),
    (
        r"Cannot unify",
        "one variable holding values of different kinds",
        "use one name for the differentiated value and another for the other kind (an array, a tuple, None)",
    ),
)


def explain(error, func_ir):
    """A DifferentiationError for a typing error of a differentiated function."""
    message = error.msg if isinstance(getattr(error, "msg", None), str) else str(error)
    plain = _without_colours(message)
    if "[tapejit]" in plain:  # an inner function has explained it already
        start = plain.index("[tapejit]")
        end = plain.find("[/tapejit]", start)
        return DifferentiationError(plain[start:end] + "[/tapejit]", loc=None)
    loc = getattr(error, "loc", None) or func_ir.loc
    construct, remedy = _unknown_name(plain, func_ir) or describe(plain)
    return DifferentiationError(located(construct, remedy, loc, func_ir.func_id.func_name, plain), loc=None)


def refused(error, function):
    """The same for an error from before there is typed code: a construct, or a name, that Numba does not take."""
    if isinstance(error, DifferentiationError):
        return error
    message = _without_colours(str(error))
    if "[tapejit]" in message:
        return explain(error, None)
    code = function.__code__
    loc = getattr(error, "loc", None) or numba_ir.Loc(code.co_filename, code.co_firstlineno)
    lines = [
        line.strip() for line in message.splitlines() if line.strip() and not line.startswith("Failed in")
    ]
    first = (lines or [type(error).__name__])[0].split(" Raised from")[0].rstrip(".")
    remedy = "leave it out of the differentiated function"
    return DifferentiationError(located(f"this ({first})", remedy, loc, function.__name__), loc=None)


def _unknown_name(message, func_ir):
    """What to say of a global that Numba has no type for, or None."""
    found = re.search(r"Untyped global name '([^']+)'", message)
    if "Cannot determine Numba type of" not in message and not found:
        return None
    for block in func_ir.blocks.values():
        for assign in block.find_insts(numba_ir.Assign):
            value = assign.value
            if not isinstance(value, (numba_ir.Global, numba_ir.FreeVar)):
                continue
            if found and value.name != found.group(1):
                continue
            if value.value is numba_ir.UNDEFINED:
                return (
                    f"the undefined name {value.name!r}",
                    f"define {value.name}, or import it, before the first call",
                )
            if isinstance(value.value, pytypes.FunctionType) and not isinstance(value.value, Dispatcher):
                return f"a call of the plain Python function {value.name!r}", "put @njit on it"
            if found:
                kind = type(value.value).__name__
                return f"{value.name!r}, of type {kind},", "pass numbers or arrays as arguments instead"
            if isinstance(value.value, (type, pytypes.BuiltinFunctionType)) and not is_known(value.value):
                return f"{value.name}()", _IN_PLACE_OF.get(value.name, "write it as a loop over numbers and arrays")
    return None


def located(construct, remedy, loc, name, detail=""):
    source = linecache.getline(loc.filename, loc.line).strip() if loc.line else ""
    lines = [
        f"[tapejit] cannot differentiate {name}: {construct} is not supported for differentiated values",
        f"  instead: {remedy}",
    ]
    if detail:
        lines.append(f"  (Numba said: {_first(detail)})")
    lines.append(f"  at {loc.filename}:{loc.line}")
    if source:
        lines.append(f"    {source}")
    return "\n".join(lines) + "\n[/tapejit]"


def _without_colours(text):
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def _first(text):
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " ".join(lines[:2])[:300]


def describe(message):
    for pattern, construct, remedy in _REMEDIES:
        if re.search(pattern, message, re.S):
            return construct, remedy
    found = re.search(
        r"No implementation of function (?:<class|Function)\s*\(?<?(?:ufunc|class|built-in function|function|intrinsic)? ?'?"
        r"([^'>]+?)(?: at 0x\w+)?['>)]",
        message,
    )
    if found:
        name = found.group(1)
        name = f"np.{name}" if "<ufunc" in found.group(0) else name
        return f"{name} with these arguments", f"write it with supported operations, or {_RULE}"
    found = re.search(r"unsupported NumPy function '(numpy[\w.]*)'", message)
    if found:
        return found.group(1).replace("numpy", "np", 1), f"write it with supported functions or a loop, or {_RULE}"
    found = re.search(r"Unknown attribute '(\w+)'", message)
    if found:
        return (
            f"the attribute .{found.group(1)}",
            "use a function of the same meaning, or a loop over the elements",
        )
    return "this construct", f"rewrite it with arithmetic, loops and arrays, or {_RULE}"


def clean(error):
    """The explanation inside a Numba error, without what Numba wrapped around it; None if there is none."""
    plain = _without_colours(str(error))
    if "[tapejit]" not in plain:
        return None
    start = plain.index("[tapejit]") + len("[tapejit] ")
    first, *rest = plain[start : plain.index("[/tapejit]", start)].rstrip().splitlines()
    return "\n".join([first, *textwrap.indent(textwrap.dedent("\n".join(rest)), "  ").splitlines()])
