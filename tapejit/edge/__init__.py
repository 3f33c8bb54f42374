"""All that tapejit uses of Numba, llvmlite and CPython beside their public interfaces, and raw memory.

What another release may change stands here, and nowhere else: ``numba`` names the parts of Numba's compiler,
``cpython`` the C functions and the layouts of objects, ``cache`` and ``objects`` keep machine code on disk.
"""
