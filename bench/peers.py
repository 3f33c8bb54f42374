"""The peers' own idioms, each written once: from a function and its inputs to the call that is timed.

Every form is the fastest that the library's documentation suggests for calling the same gradient again and again: compiled
where there is a compiler, arrays converted before, results written into buffers made once where that is offered.
"""

import ctypes
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from bench.harness import Unavailable

# What the report says about the forms chosen here.
JAX = "jit(value_and_grad), device arrays"
TORCH = "eager, backward()"
AUTOGRAD = "value_and_grad"
CASADI = "SX, generated C, gcc -O3 -march=native, buffer()"
CASADI_MX = "MX, buffer()"
DDX = "compiled, buffer()"
DDX_VECTORS = "vector nodes (interpreted), buffer()"
HEYOKA = "cfunc of diff_tensors, outputs= given"
XAD = "adjoint tape, recorded at every call"
REPLAY, INTO, EAGER, NOPYTHON = "value_and_grad", "value_and_grad, into", "eager, backward()", "nopython"


def array_code(work, build, data, wrt=(0,), without=()):
    """Register the libraries that differentiate array code as it is: tapejit replayed and eager, JAX, PyTorch, autograd.

    ``build(library, module)`` gives the function over that library's arrays (``module`` has their functions), ``data()`` its
    arguments, ``wrt`` the positions to differentiate in. ``without``: names that are registered otherwise.
    """
    argnums = wrt[0] if len(wrt) == 1 else wrt

    def enter(name, module, form):
        return work.library(name, module, form=form) if name not in without else lambda prepare: prepare

    @enter("tapejit", "tapejit", REPLAY)
    def _():
        import tapejit as tj

        return replayed(tj.value_and_grad(build("tapejit", tj), argnums, compile="now"), *data())

    @enter("tapejit into", "tapejit", INTO)
    def _():
        import tapejit as tj

        return into(tj.value_and_grad(build("tapejit", tj), argnums, compile="now"), *data())

    @enter("tapejit eager", "tapejit", EAGER)
    def _():
        import tapejit as tj

        return eager(tj, build("tapejit", tj), data(), wrt)

    @enter("JAX", "jax", JAX)
    def _():
        import jax.numpy as jnp

        return jax(build("jax", jnp), data(), argnums)

    @enter("PyTorch", "torch", TORCH)
    def _():
        import torch

        return eager(torch, build("torch", torch), data(), wrt)

    @enter("autograd", "autograd", AUTOGRAD)
    def _():
        import autograd.numpy as anp

        return autograd(build("autograd", anp), data(), argnums)


def replayed(g, *args):
    """The plain call of a replayed gradient."""
    return lambda: g(*args)


def into(g, *args):
    """The form that writes its results into given arrays."""
    _, gradient = g(*args)
    if isinstance(gradient, tuple) and all(np.ndim(a) for a in gradient):
        out = [np.empty(np.shape(a)) for a in gradient]
    elif isinstance(gradient, np.ndarray):
        out = np.empty_like(gradient)
    else:
        raise Unavailable("no arrays to write into")
    return lambda: g.into(*args, out)


def nopython_into(g, *args):
    """The form of ``tapejit.nopython`` that writes the gradient of its one differentiated array."""
    out = np.empty_like(args[0])

    def call():
        return g.into(*args, out), out

    return call


def eager(T, f, arrays, wrt=(0,)):
    """A gradient whose graph is built at every call; ``T`` is tapejit or torch, ``f`` takes their tensors."""
    tensors = [T.tensor(a, dtype=T.float64) for a in arrays]
    leaves = [tensors[i].requires_grad_() for i in wrt]

    def call():
        y = f(*tensors)
        y.backward()
        found = [x.grad for x in leaves]
        for x in leaves:
            x.grad = None
        return y, found

    return call


def jax(f, arrays, argnums=0, transform=None):
    """``transform`` in place of ``value_and_grad``."""
    import jax
    import jax.numpy as jnp

    function = jax.jit((transform or jax.value_and_grad)(f, argnums))
    inputs = jax.tree.map(jnp.asarray, arrays)
    return lambda: jax.block_until_ready(function(*inputs))


def autograd(f, arrays, argnums=0):
    from autograd import value_and_grad

    function = value_and_grad(f, argnums)
    return lambda: function(*arrays)


def casadi(inputs, outputs, arrays, compiled=True):
    """A call of a CasADi function by its buffers: nothing is converted or allocated.

    Results that are sparse stay so; ``call.dense()`` gives them whole, ``call.sparse()`` the first as SciPy has it.
    """
    import casadi as ca

    options = {}
    if compiled:
        if not (shutil.which("gcc") or shutil.which("cc")):
            raise Unavailable("no C compiler for the generated code")
        options = {"jit": True, "compiler": "shell", "jit_options": {"flags": ["-O3", "-march=native"]}}
    function = ca.Function("f", inputs, outputs, options)
    buffer, run = function.buffer()
    arrays = [np.asarray(a, dtype=np.float64).ravel(order="F") for a in arrays]  # by columns, as CasADi has them
    flat = [np.empty(function.nnz_out(j)) for j in range(function.n_out())]
    patterns = [function.sparsity_out(j) for j in range(function.n_out())]
    results = [a.reshape(p.shape, order="F") if p.is_dense() else a for a, p in zip(flat, patterns, strict=True)]
    for j, a in enumerate(arrays):
        buffer.set_arg(j, memoryview(a))
    for j, a in enumerate(flat):
        buffer.set_res(j, memoryview(a))

    def call(keep=(function, buffer, arrays)):
        run()
        return results

    call.sparse = lambda: ca.DM(patterns[0], flat[0]).sparse()
    call.dense = lambda: [np.array(ca.DM(p, a)) for p, a in zip(patterns, flat, strict=True)]
    return call


def ddx(model, point, compiled=True):
    """A call bound to its buffers; ``point`` is an array of the inputs, or (inputs, points)."""
    import ddx

    equation = ddx.equation(model)
    point = np.array(point, dtype=np.float64)
    if compiled:
        equation = equation.compile(points=point.shape[1] if point.ndim == 2 else 1)
    bound = equation.buffer(point)

    def call():
        bound()
        return bound.value, bound.jacobian

    return call


def heyoka(function, variables, point, **options):
    """Value and gradient as one compiled function."""
    import heyoka as hy

    tensors = hy.diff_tensors([function], variables, 1)
    compiled = hy.cfunc([function, *tensors.gradient], variables, **options)
    point = np.array(point, dtype=np.float64)
    outputs = np.empty((1 + len(variables), *point.shape[1:]))
    return lambda: compiled(point, outputs=outputs)


def compiled_c(module, name, inputs):
    """A function of ``bench/problems/<module>.c`` that takes a length and so many arrays and returns a number."""
    compiler = shutil.which("gcc")
    if compiler is None:
        raise Unavailable("no gcc")
    source = Path(__file__).parent / "problems" / f"{module}.c"
    with tempfile.TemporaryDirectory() as folder:
        flags = ["-O3", "-march=native", "-ffast-math", "-shared", "-fPIC", "-o", f"{folder}/c.so"]
        subprocess.run([compiler, *flags, source, "-lm"], check=True, capture_output=True)
        function = ctypes.CDLL(f"{folder}/c.so")[name]
    array = np.ctypeslib.ndpointer(dtype=np.float64, flags="C_CONTIGUOUS")
    function.argtypes, function.restype = [ctypes.c_long, *[array] * inputs], ctypes.c_double
    return function


def xad(f, numbers):
    """``f`` takes a list of XAD's numbers; it is recorded at every call, which is the only way."""
    import xad.adj_1st as xadj

    numbers = list(map(float, numbers))

    def call():
        inputs = [xadj.Real(v) for v in numbers]
        with xadj.Tape() as tape:
            for v in inputs:
                tape.registerInput(v)
            tape.newRecording()
            y = f(inputs)
            tape.registerOutput(y)
            y.derivative = 1.0
            tape.computeAdjoints()
            return y.value, [v.derivative for v in inputs]

    return call
