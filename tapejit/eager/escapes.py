"""Values that leave: a tensor that requires a gradient becomes a plain number or array, and its derivative ends there.

Inside a transform that is an error, since zeros would come out in silence; elsewhere ``float()`` warns, once per place,
and ``item()``, ``tolist()`` and ``detach()`` are how one says that it is meant. Under ``no_grad()`` everything is.
"""

import math
import sys
import threading

import numpy as np

from tapejit.core import record as R
from tapejit.core import tape as tapes
from tapejit.edge.userline import called, current_node, place, user_frame, warn

_IN_WORDS = {
    math.fsum: "tj.stack(values).sum()",
    math.prod: "tj.stack(values).prod()",
    math.dist: "tj.norm(a - b)",
    math.ldexp: "x * 2.0 ** n",
    math.degrees: "x * (180 / math.pi)",
    math.radians: "x * (math.pi / 180)",
}


_ROOTS = "brentq brenth ridder bisect newton toms748 root root_scalar fsolve"
_OF_SCIPY = dict.fromkeys(_ROOTS.split(), "implicit.root") | {
    "fixed_point": "implicit.fixed_point",
    **dict.fromkeys(("minimize", "minimize_scalar", "fmin", "fmin_bfgs"), "implicit.minimize"),
    **dict.fromkeys(("odeint", "solve_ivp"), "implicit.odeint"),
}
_SPACES = {"stats": "scipy.stats.", "special": "scipy.special.", "linalg": "linalg."}


class _Depth(threading.local):
    """How many transforms run a function of the user's in this thread, one inside the other, and the arguments they made."""

    inside = 0
    arguments = ()


class Escaped(RuntimeError):
    """A differentiated value became a plain one inside a transform."""


_depth = _Depth()
_warned: set = set()  # the places that have been warned of
public: set = set()  # the names of the package's functions, which its front page enters


def watched(function, args, kwargs):
    """``function(*args, **kwargs)``, the user's function of a transform: a recording notes what it reads."""
    recorder = tapes.current().recorder
    if recorder is None or recorder.reads is None:
        return function(*args, **kwargs)
    return recorder.reads.watch(function, args, kwargs)


def differentiated(function, args, kwargs, arguments=()):
    """As ``watched``, of a function that is differentiated in ``arguments``: values must not leave, and these not change."""
    before = _depth.arguments
    _depth.inside += 1
    _depth.arguments = (*before, *arguments)
    try:
        return watched(function, args, kwargs)
    except ValueError as error:
        if isinstance(error.__cause__, Escaped):  # NumPy says "setting an array element with a sequence" instead
            raise error.__cause__ from None
        raise
    finally:
        _depth.inside -= 1
        _depth.arguments = before


def check_argument(x):
    """Note that ``x`` is about to be changed in place.

    Raises:
        RuntimeError: if it is, or shares its memory with, an argument in which a transform differentiates.
    """
    if not _depth.arguments or not x.requires_grad or not tapes.current().header[R.H_GRAD_MODE]:
        return
    tape = x._tape()
    owner = tape.owners[x._r & R.MASK]
    if any(a._r >> R.TAPE_SHIFT == x._r >> R.TAPE_SHIFT and tape.owners[a._r & R.MASK] == owner for a in _depth.arguments):
        raise RuntimeError(
            "an argument that is differentiated, or a part of it such as x[0], is changed in place, and its gradient would be "
            f"that of what it became: write y = y + 1 for y += 1, or work on x.clone() ({place(user_frame())})"
        )


def check(tensor, by, quiet=False):
    """Note that the values of a tensor leave through ``by``, ``"float()"`` for one; ``quiet``: only transforms mind.

    Raises:
        RuntimeError: if the tensor is differentiated by a transform.
    """
    if not (tensor.requires_grad and tapes.current().header[R.H_GRAD_MODE]):
        return
    if _depth.inside:
        frame = user_frame()
        what, instead = _advice(frame, by)
        raise Escaped(
            f"{what} turns a differentiated tensor into a plain value, and the gradient through it would be zero: "
            f"{instead}; x.detach() says that no gradient is meant ({place(frame)})"
        )
    if not quiet:
        _warn(by)


def _warn(by):
    frame = user_frame()
    if frame is None:
        return
    where = frame.f_code.co_filename, frame.f_lineno
    if where in _warned:
        return
    _warned.add(where)
    what, instead = _advice(frame, by)
    message = (
        f"{what} turns a tensor that requires a gradient into a plain value, which ends its history: {instead}; "
        "x.item() or x.detach() says that this is meant"
    )
    warn(message, frame=frame)


def _advice(frame, by):
    """What takes the values, as it is written, and what to write instead."""
    function, written = called(frame) if frame else (None, None)
    if by == "tensor()":
        return "tensor()", "use tj.stack for a list of tensors, and x.clone() for a copy"
    if getattr(function, "__module__", None) == "math":
        return f"{written}()", _for_function(function)
    if function in (np.array, np.asarray, np.stack, np.asanyarray, np.hstack, np.vstack):
        return f"{written}()", "use tj.stack(list of tensors), or keep the tensor as it is"
    if function is not None and function is getattr(np, getattr(function, "__name__", ""), None):
        return f"{written}()", _for_function(function)
    if (getattr(function, "__module__", None) or "").startswith("scipy."):
        return f"{written}()", _for_scipy(function)
    if function is float or by in ("item()", "tolist()"):
        return by, "keep the tensor as it is (x < 3, `if` and `while` need no number)"
    if by == "numpy()" and written and written.endswith(".numpy"):
        return by, "keep the tensor as it is"
    if type(current_node(frame)).__name__ in ("Assign", "AugAssign", "Expr") and written is None:
        return "assigning into a NumPy array", "collect values in a list for tj.stack(list), or fill a tensor, made by tj.zeros"
    return (f"{written}()" if written else by), "use tapejit's functions, which take tensors"


def _for_scipy(function):
    """What there is in place of a function of SciPy, which takes plain numbers."""
    package, name = function.__module__.split(".")[1], function.__name__
    if package == "stats":  # a method of a distribution
        name = f"{getattr(getattr(function, '__self__', None), 'name', '')}.{name}"
    found = sys.modules.get("tapejit")
    words = _OF_SCIPY.get(name) or _SPACES.get(package, "") + name
    for part in words.split("."):
        found = getattr(found, part, None)
    return "use tapejit's functions, which take tensors" if found is None else f"use tj.{words}, which takes tensors"


def _for_function(function):
    words = _IN_WORDS.get(function)
    if words is None:
        name = {"absolute": "abs", "power": "pow", "fabs": "abs"}.get(function.__name__, function.__name__)
        if name not in public:
            return "use tapejit's functions, which take tensors"
        words = f"tj.{name}"
    return f"use {words}, which takes tensors" if words.startswith("tj.") and "(" not in words else f"use {words}"
