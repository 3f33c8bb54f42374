"""The waits of a first use, for tapejit and each peer: the import, the first gradient with nothing cached, and with.

The gradient is that of a function of twenty different ops on ten numbers, in the form that the library calls its
normal one. Each figure comes from a fresh process, ``python -m bench.coldstart OUT LIBRARY``; those that are
cheap from several, of which the median counts. The import is that of a bare interpreter, with all that the library needs.
"""

import json
import statistics
import sys
import tempfile
import time
import warnings
from pathlib import Path

X = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
LIBRARIES = {  # name: modules to import
    "tapejit eager": ("tapejit",),
    "tapejit": ("tapejit",),
    "tapejit nopython": ("tapejit",),
    "JAX": ("jax", "jax.numpy"),
    "PyTorch": ("torch",),
    "torch.compile": ("torch",),
    "CasADi": ("casadi",),
    "ddx": ("ddx",),
    "heyoka": ("heyoka",),
    "autograd": ("autograd", "autograd.numpy"),
    "XAD": ("xad.adj_1st",),
}


def function(m):
    """Twenty ops over arrays of module ``m``, or over one number of it."""

    def f(x):
        y = m.sin(x) * m.exp(-x) + m.tanh(x) / (1 + x**2)
        y = m.log(1 + y * y) - m.sqrt(x) * m.cos(x)
        y = 1 / (1 + m.exp(-y)) + m.sinh(x) / m.cosh(y)
        return m.atan(y) * x - y * y

    return f


class Arrays:
    """NumPy's names for the functions of a module that has no ``atan``."""

    def __init__(self, module):
        self.module = module

    def __getattr__(self, name):
        return getattr(self.module, "arctan" if name == "atan" else name)


def gradient(library):
    """The gradient, computed by the library's normal form."""
    import numpy as np

    from bench import peers

    point = np.array(X)

    if library in ("tapejit eager", "PyTorch", "torch.compile"):
        T = __import__("tapejit" if library == "tapejit eager" else "torch")
        f = function(T)
        whole = T.compile(lambda x: f(x).sum()) if library == "torch.compile" else lambda x: f(x).sum()
        return peers.eager(T, whole, [point])()[1][0]
    if library == "tapejit":
        import tapejit as tj

        f = function(tj)
        return tj.value_and_grad(lambda x: f(x).sum(), compile="now")(point)[1]
    if library == "tapejit nopython":
        from bench.problems.twenty import total
        from tapejit import nopython

        return nopython.value_and_grad(total)(point)[1]
    if library in ("JAX", "autograd"):
        m = __import__("jax.numpy" if library == "JAX" else "autograd.numpy", fromlist=["sin"])
        f = function(Arrays(m))
        call = (peers.jax if library == "JAX" else peers.autograd)(lambda x: m.sum(f(x)), [point])
        return call()[1]
    if library == "CasADi":
        import casadi as ca

        x = ca.SX.sym("x", len(X))
        y = ca.sum1(function(ca)(x))
        return peers.casadi([x], [ca.gradient(y, x)], [point])()[0]
    if library == "ddx":
        import ddx

        f = function(ddx)
        return peers.ddx(lambda: sum((f(ddx.var(f"x{i}")) for i in range(len(X))), 0.0), point)()[1]
    if library == "heyoka":
        import heyoka as hy

        variables = [hy.expression(f"x{i}") for i in range(len(X))]
        f = function(hy)
        return peers.heyoka(hy.sum([f(v) for v in variables]), variables, point)()[1:]
    from xad import math

    f = function(math)
    return peers.xad(lambda x: sum((f(v) for v in x), 0.0), point)()[1]


def one(library):
    start = time.perf_counter()
    for module in LIBRARIES[library]:
        __import__(module)
    imported = time.perf_counter() - start
    import numpy as np  # now: with most libraries it has been imported anyway

    if library == "JAX":
        import jax

        jax.config.update("jax_enable_x64", True)
    start = time.perf_counter()
    found = gradient(library)
    return {"import": imported, "gradient": time.perf_counter() - start, "sum": float(np.sum(np.asarray(found)))}


def collect(rounds=3):
    """``{library: {"import", "first", "second"}}``: the gradient in the first process, and in later ones with its caches."""
    from bench.collect import spawn
    from bench.harness import installed

    found, sums = {}, {}
    for library, modules in LIBRARIES.items():
        if not installed(modules[0].split(".")[0]):
            continue
        with tempfile.TemporaryDirectory() as cache:  # every cache that a library keeps on disk begins empty
            extra = {"NUMBA_CACHE_DIR": cache, "TORCHINDUCTOR_CACHE_DIR": f"{cache}/inductor", "XDG_CACHE_HOME": cache}
            runs = [spawn(1, "bench.coldstart", library, extra=extra) for _ in range(rounds + 1)]
        failed = [r["failed"] for r in runs if "failed" in r]
        if failed:
            found[library] = {"failed": failed[0]}
            continue
        sums[library] = runs[0]["sum"]
        found[library] = {
            "import": statistics.median(r["import"] for r in runs[1:]),
            "first": runs[0]["gradient"],
            "second": statistics.median(r["gradient"] for r in runs[1:]),
        }
        print(f"cold start: {library}", file=sys.stderr, flush=True)
    reference = statistics.median(sums.values()) if sums else None
    for library, total in sums.items():
        if abs(total - reference) > 1e-9 * abs(reference):
            found[library] = {"failed": f"the gradient's sum is {total}, not {reference}"}
    return found


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    out, library = sys.argv[1:]
    Path(out).write_text(json.dumps(one(library)))
