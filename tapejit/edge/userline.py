"""Whose line it is: the frames of the user's own code, and the call that stands on a line of it."""

import ast
import builtins
import linecache
import os
import re
import sys
import sysconfig
import warnings

import numpy as np

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_SITE = (os.sep + "site-packages" + os.sep, os.sep + "dist-packages" + os.sep)
STDLIB = tuple({os.path.join(sysconfig.get_path(name), "") for name in ("stdlib", "platstdlib")})
PACKAGES = ("numpy", "scipy", "numba", "llvmlite", "pandas", "torch", "jax", "jaxlib", "matplotlib", "sklearn")
_INSTALLED = re.compile(rf"-packages[/\\]({'|'.join(PACKAGES)})[/\\]")
_NUMPY = os.path.join(os.path.dirname(np.__file__), "")


def is_library(filename: str) -> bool:
    """Whether a file belongs to this package, to NumPy or to Python itself."""
    if filename.startswith((PACKAGE, _NUMPY, "<frozen ", "<__array_function__")):
        return True
    return filename.startswith(STDLIB) and not any(part in filename for part in _SITE)


def is_installed(filename: str) -> bool:
    """Whether a file is one of a library that computes with arrays."""
    return bool(_INSTALLED.search(filename))


def warn(message, category=UserWarning, frame=None):
    """Warn at the user's line, the innermost if ``frame`` does not say which."""
    frame = frame or user_frame()
    if frame is None:
        warnings.warn(message, category, stacklevel=2)
        return
    space = frame.f_globals
    registry = space.setdefault("__warningregistry__", {})
    warnings.warn_explicit(message, category, frame.f_code.co_filename, frame.f_lineno, space.get("__name__"), registry)


def user_frame():
    """The innermost frame of the user's own code, None if there is none."""
    frame = sys._getframe(1)
    while frame is not None and (is_library(frame.f_code.co_filename) or is_installed(frame.f_code.co_filename)):
        frame = frame.f_back
    return frame


def place(frame) -> str:
    """``file:line`` of a frame."""
    return f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame else "?"


def current_node(frame):
    """The expression or statement that a frame is at, as a syntax tree; None where the source is not known."""
    positions = list(frame.f_code.co_positions())[frame.f_lasti // 2]
    if None in positions:
        return None
    line, end_line, column, end_column = positions
    lines = [linecache.getline(frame.f_code.co_filename, k, frame.f_globals).encode() for k in range(line, end_line + 1)]
    lines[-1] = lines[-1][:end_column]
    lines[0] = lines[0][column:]
    try:
        return ast.parse(b"".join(lines).strip()).body[0]
    except (SyntaxError, IndexError, ValueError):
        return None


def called(frame):
    """What is called where a frame stands: the object (None where it is not a plain name), and how it is written."""
    node = current_node(frame)
    call = getattr(node, "value", None)
    if not isinstance(call, ast.Call):
        return None, None
    parts, at = [], call.func
    while isinstance(at, ast.Attribute):
        parts.append(at.attr)
        at = at.value
    written = ast.unparse(call.func)
    if not isinstance(at, ast.Name):
        return None, written
    for space in (frame.f_locals, frame.f_globals, vars(builtins)):
        if at.id in space:
            found = space[at.id]
            break
    else:
        return None, written
    for name in reversed(parts):
        found = getattr(found, name, None)
    return found, written
