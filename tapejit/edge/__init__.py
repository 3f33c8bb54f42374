"""All that tapejit uses of Numba, llvmlite and CPython beside their public interfaces, and raw memory.

What another release may change stands here, and nowhere else: ``numba`` and ``compiler`` name the parts of Numba's compiler,
``cpython``, ``capi`` and ``nativecall`` the functions and layouts of the interpreter; ``store``, ``caching`` and ``objects``
keep machine code on disk, under the names that ``symbols`` makes unique. ``selftest`` says in one sentence what does not fit.
"""

from tapejit.edge import selftest

selftest.at_import()
