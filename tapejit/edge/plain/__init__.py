"""A compiler for plain functions: those of the engine, which are loops over numbers and addresses and nothing else.

Numba compiles any Python that it can give types to, and that generality is what most of a first call's time goes into. The
engine's functions need none of it: their arguments are words, floats and pointers, all they call is known when they are
written, nothing in them can raise. So their source is written down as LLVM code as it is read, and what Numba's types would
decide (which operands become float64, what a loop counts to) is decided in the same way, to the same bits.

``source`` finds a function's syntax tree, ``operators`` holds arithmetic and conversions, ``expressions`` and ``writer`` write
one function, ``calls`` what it calls, ``code`` makes machine code of it, ``doorway`` lets Python call it. What is not in the
language (``Unknown``) goes through Numba.
"""
