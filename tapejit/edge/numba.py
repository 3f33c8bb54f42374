"""The parts of Numba that it does not document, under the names by which the rest of tapejit knows them.

Documented are ``numba``, ``numba.extending``, ``numba.core.types``, ``numba.core.cgutils`` and ``numba.core.errors``; those
are imported from Numba itself. What only the nopython mode needs takes a while to import and stands in ``compiler``.
"""
# ruff: noqa: F401 - names for others

from numba.core import caching, config
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target
from numba.core.typing import signature
from numba.core.typing.templates import AbstractTemplate, infer_global
from numba.misc.appdirs import AppDirs
