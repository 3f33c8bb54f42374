"""Error messages that name the construct, the user's line and what to write instead."""

import linecache
import re

from numba.core.errors import TypingError


class DifferentiationError(TypingError):
    """A function contains something that cannot be differentiated in nopython mode."""


_RULE = "give its derivative with tapejit.nopython.rule"
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
)


def explain(error, func_ir):
    """A DifferentiationError for a typing error of a differentiated function."""
    message = error.msg if isinstance(getattr(error, "msg", None), str) else str(error)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", message)
    if "[tapejit]" in plain:  # an inner function has explained it already
        start = plain.index("[tapejit]")
        end = plain.find("[/tapejit]", start)
        return DifferentiationError(plain[start:end] + "[/tapejit]", loc=None)
    loc = getattr(error, "loc", None) or func_ir.loc
    construct, remedy = describe(plain)
    return DifferentiationError(located(construct, remedy, loc, func_ir.func_id.func_name, plain), loc=None)


def located(construct, remedy, loc, name, detail=""):
    source = linecache.getline(loc.filename, loc.line).strip() if loc.line else ""
    lines = [
        f"[tapejit] cannot differentiate {name}: {construct} is not supported for differentiated values",
        f"  at {loc.filename}:{loc.line}",
    ]
    if source:
        lines.append(f"    {source}")
    lines.append(f"  instead: {remedy}")
    if detail:
        lines.append(f"  (Numba said: {_first(detail)})")
    return "\n".join(lines) + "\n[/tapejit]"


def _first(text):
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " ".join(lines[:2])[:300]


def describe(message):
    for pattern, construct, remedy in _REMEDIES:
        if re.search(pattern, message, re.S):
            return construct, remedy
    found = re.search(
        r"No implementation of function (?:<class '|Function\(<?)([^>)]+?)(?: at 0x\w+)?['>)]+", message
    )
    if found:
        name = (
            found.group(1).replace("built-in function ", "").replace("function ", "").replace("ufunc ", "np.")
        )
        name = name.strip("'<> ")
        return f"{name} with these arguments", f"write it with supported operations, or {_RULE}"
    found = re.search(r"Unknown attribute '(\w+)'", message)
    if found:
        return (
            f"the attribute .{found.group(1)}",
            "use a function of the same meaning, or a loop over the elements",
        )
    if "Cannot unify" in message:
        return (
            "one variable holding values of different kinds",
            "use one name for the differentiated value and another for the other kind (an array, a tuple, None)",
        )
    return "this construct", f"rewrite it with arithmetic, loops and arrays, or {_RULE}"


def clean(error):
    """The explanation inside a Numba error, without what Numba wrapped around it; None if there is none."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    if "[tapejit]" not in plain:
        return None
    start = plain.index("[tapejit]") + len("[tapejit] ")
    return plain[start : plain.index("[/tapejit]", start)].rstrip()
