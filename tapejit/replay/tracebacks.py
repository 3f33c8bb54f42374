"""Errors of a user's function end at the user's line: the frames of this package are taken out of their tracebacks."""

import os
import types

from tapejit.eager.escapes import Escaped
from tapejit.edge.userline import PACKAGE, is_installed, is_library
from tapejit.replay.reads import Unrepeatable


def shortened(error):
    """The error, without frames of this package; what it refuses ends at the user's line, whoever called on.

    ``TAPEJIT_TRACEBACK=full`` leaves it as it is.
    """
    if os.environ.get("TAPEJIT_TRACEBACK") == "full":
        return error
    entries, at = [], error.__traceback__
    while at is not None:
        if not at.tb_frame.f_code.co_filename.startswith(PACKAGE):
            entries.append(at)
        at = at.tb_next
    while isinstance(error, (Escaped, Unrepeatable)) and len(entries) > 1 and _of_library(entries[-1]):
        entries.pop()
    short = None
    for entry in reversed(entries):
        short = types.TracebackType(short, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return error.with_traceback(short)


def _of_library(entry):
    file = entry.tb_frame.f_code.co_filename
    return is_library(file) or is_installed(file)
