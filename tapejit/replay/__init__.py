"""Functions recorded once and replayed as machine code.

The data's path: ``recorder`` (a function runs on a tape of its own) -> ``lowering`` (the tape becomes a graph) ->
``graph`` (simplified as it is built) -> ``schedule`` (loops, calls and scalar code, fused) -> ``body`` and ``codegen``
(LLVM) -> ``program`` (machine code with its constants) -> ``paths`` (which program answers a call).
"""
