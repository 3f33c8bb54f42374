"""Errors of a user's function end at the user's line: the frames of this package are taken out of their tracebacks."""

import os
import types

from tapejit.edge.userline import PACKAGE


def shortened(error):
    """The error, the last frame of its traceback being the user's; ``TAPEJIT_TRACEBACK=full`` leaves it as it is."""
    if os.environ.get("TAPEJIT_TRACEBACK") == "full":
        return error
    entries, at = [], error.__traceback__
    while at is not None:
        if not at.tb_frame.f_code.co_filename.startswith(PACKAGE):
            entries.append(at)
        at = at.tb_next
    short = None
    for entry in reversed(entries):
        short = types.TracebackType(short, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return error.with_traceback(short)
