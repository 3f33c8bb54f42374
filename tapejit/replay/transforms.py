"""Functions of functions, with JAX's conventions: ``grad``, ``value_and_grad``, ``jit`` and their relatives.

Each takes a function of tensors, arrays and numbers, in nested tuples, lists and dicts, and gives a function of the same
arguments that is recorded once and then replayed as machine code. They compose: ``grad(grad(f))``, ``jvp(grad(f))``.
"""

import functools
import inspect

import numpy as np

from tapejit.core.dtypes import as_array, bool_, float64
from tapejit.eager.creation import tensor
from tapejit.eager.dispatch import from_array
from tapejit.eager.escapes import differentiated, watched
from tapejit.eager.grad_mode import enable_grad
from tapejit.eager.tensor import Tensor
from tapejit.replay.function import Replayed, history_wanted
from tapejit.replay.leaves import fresh, pulled, pushed
from tapejit.replay.trees import flatten, is_result, unflatten


def _as_tensor(x):
    """A tensor of a leaf: arrays and numbers become tensors of their own."""
    return x if isinstance(x, Tensor) else from_array(x)


def is_number(x):
    return is_result(x) or (isinstance(x, (float, int, np.number)) and not isinstance(x, bool))


def _numbers(argnums, fun, what):
    """Positions for ``argnums``, which may be names of parameters.

    Raises:
        TypeError: for a name that the function does not have.
    """
    if not isinstance(argnums, (int, str)):
        if not isinstance(argnums, (tuple, list, range, np.ndarray)):
            raise TypeError(f"{what}(): argnums={argnums!r} is neither a number, nor a name, nor a tuple of them")
        return tuple(_numbers(k, fun, what) for k in argnums)
    if isinstance(argnums, int):
        return argnums
    names = list(inspect.signature(fun).parameters)
    if argnums not in names:
        raise TypeError(f"{what}(): argnums={argnums!r}, but the arguments of {fun!r} are {', '.join(names) or 'none'}")
    return names.index(argnums)


# What PyTorch (torch.func) and HIPS autograd call the parameters of transforms.
OTHERS_NAMES = {"func": "fun", "argnum": "argnums", "in_dims": "in_axes", "out_dims": "out_axes"}


def decorator(maker):
    """A transform that is a decorator with arguments too: without a function it waits for one."""
    what = maker.__name__
    parameters = inspect.signature(maker).parameters
    takes_argnums = "argnums" in parameters
    others = {other: name for other, name in OTHERS_NAMES.items() if name in parameters}

    @functools.wraps(maker)
    def transform(*args, **options):
        for other in others.keys() & options.keys():
            name = others[other]
            if name in options:
                raise TypeError(f"{what}() got {name} and {other}, which are two names of one parameter")
            options[name] = options.pop(other)
        if not args and "fun" not in options:
            return functools.partial(transform, **options)
        fun = args[0] if args else options.pop("fun")
        args = args[1:]
        argnums = args[0] if args and takes_argnums else options.get("argnums", 0)
        if not takes_argnums or isinstance(argnums, int) or not callable(fun):
            return maker(fun, *args, **options)
        options["argnums"] = _numbers(argnums, fun, what)
        made = maker(fun, *((options.pop("argnums"), *args[1:]) if args else ()), **options)
        made.of_names(argnums)
        return made

    return transform


class Differentiated:
    """Arguments with those of ``argnums`` replaced by fresh leaves; one that was passed by its name is found by it."""

    def __init__(self, args, argnums, what, kwargs=None, fun=None):
        self.leaves, self.structures = [], []
        self.numbers = (argnums,) if isinstance(argnums, int) else tuple(argnums)
        self.single = isinstance(argnums, int)
        args, self.kwargs = list(args), dict(kwargs or {})
        for k in self.numbers:
            if -len(args) <= k < len(args):
                args[k] = self._leaves(args[k], k, what)
                continue
            name = _parameter(fun, k)
            if name not in self.kwargs:
                raise TypeError(f"{what}: argnums={argnums} but the call has {len(args)} positional arguments")
            self.kwargs[name] = self._leaves(self.kwargs[name], k, what)
        self.args = args

    def _leaves(self, tree, k, what):
        """The tree with new leaves, which are noted."""
        found = []
        structure = flatten(tree, is_number, found)
        if structure[0] == "static":
            kind = type(tree).__name__
            raise TypeError(f"{what}: argument {k} is a {kind}, which cannot be differentiated; pass floats or arrays")
        for x in found:
            if isinstance(x, Tensor) and x.dtype is bool_:
                raise TypeError(f"{what} differentiates floating-point arguments, argument {k} has dtype {x.dtype}")
        tensors = [fresh(floating(x)) for x in found]
        self.leaves += tensors
        self.structures.append((structure, len(tensors)))
        return unflatten(structure, iter(tensors))

    def call(self, fun):
        """The user's function, its values kept from leaving."""
        return differentiated(fun, self.args, self.kwargs, self.leaves)

    def rebuild(self, values):
        """Values, one per leaf, in the shape of the arguments."""
        values = iter(values)
        trees = [unflatten(structure, values) for structure, _ in self.structures]
        return trees[0] if self.single else tuple(trees)


def _parameter(fun, k):
    """The name of the k-th parameter of a function, None where there is none."""
    try:
        return list(inspect.signature(fun).parameters)[k]
    except (TypeError, ValueError, IndexError):
        return None


def floating(x):
    if isinstance(x, Tensor):  # whole numbers count as floats, as Python's do
        return x if x.dtype.is_floating_point or x.dtype is bool_ else x.to(float64)
    x = as_array(x)
    return from_array(x if x.dtype.kind == "f" else x.astype(np.float64))


def scalar(y, what):
    if not is_result(y):
        if isinstance(y, (int, float, np.number)):
            return tensor(float(y))
        raise TypeError(f"{what} needs a function with a scalar result, it gave {type(y).__name__}; is has_aux=True missing?")
    y = _as_tensor(y)
    if y.numel() != 1:
        raise TypeError(f"{what} needs a function with a scalar result, this one has shape {tuple(y.shape)}; use jacobian()")
    return y


@decorator
def value_and_grad(fun=None, argnums=0, has_aux=False, *, static_argnums=(), static=(), compile="auto"):
    """A function that gives ``(fun(*args), gradient)``.

    Args:
        fun: a function with a scalar result; with ``has_aux`` it gives ``(result, aux)``.
        argnums: the positional argument, or arguments as a tuple, to differentiate in.
        has_aux: then the function gives ``((result, aux), gradient)``.
        static_argnums: arguments taken as constants; a new value leads to a new recording.
        static: functions, modules or generators (or their names, "time.time") of random numbers, clocks and files that ``fun``
            may call; what they give when it is recorded is a constant of the recording. True for all.
        compile: "now", "auto" (when a path is taken a second time; a long recording runs again from its tape until it is
            worth compiling) or "never" (always eager).
    """

    def transformed(*args, **kwargs):
        with enable_grad():
            wanted = Differentiated(args, argnums, "value_and_grad()", kwargs, fun)
            result = wanted.call(fun)
            value, aux = result if has_aux else (result, None)
            y = scalar(value, "value_and_grad()")
            gradient = wanted.rebuild(pulled([y], [None], wanted.leaves, history_wanted()))
        return ((y, aux) if has_aux else y), gradient

    return Replayed(transformed, fun, "value_and_grad", argnums, static_argnums, compile, (fun, argnums, has_aux), static)


@decorator
def grad(fun=None, argnums=0, has_aux=False, *, static_argnums=(), static=(), compile="auto"):
    """A function that gives the gradient of ``fun``; with ``has_aux`` ``(gradient, aux)``. Arguments as ``value_and_grad``."""

    def transformed(*args, **kwargs):
        with enable_grad():
            wanted = Differentiated(args, argnums, "grad()", kwargs, fun)
            result = wanted.call(fun)
            value, aux = result if has_aux else (result, None)
            y = scalar(value, "grad()")
            gradient = wanted.rebuild(pulled([y], [None], wanted.leaves, history_wanted()))
        return (gradient, aux) if has_aux else gradient

    return Replayed(transformed, fun, "grad", argnums, static_argnums, compile, (fun, argnums, has_aux), static)


@decorator
def jit(fun=None, *, static_argnums=(), static=(), compile="auto"):
    """The function itself, recorded and replayed."""

    def transformed(*args, **kwargs):
        return watched(fun, args, kwargs)

    return Replayed(transformed, fun, "jit", (), static_argnums, compile, (fun,), static)


def results_of(tree, what):
    """The leaves of a function's result as tensors, and its structure."""
    leaves = []
    structure = flatten(tree, is_number, leaves)
    return [floating(x) for x in leaves], structure


@decorator
def jvp(fun=None, primals=None, tangents=None, *, compile="auto"):
    """``jvp(fun, primals, tangents)`` gives ``(fun(*primals), its derivative along the tangents)``.

    With the function alone: a function of ``(primals, tangents)`` that is replayed.
    """

    def transformed(primals, tangents):
        with enable_grad():
            wanted = Differentiated(primals, tuple(range(len(primals))), "jvp()")
            directions = []
            for t in tangents:
                flatten(t, is_number, directions)
            outputs, structure = results_of(wanted.call(fun), "jvp()")
            found = pushed(outputs, wanted.leaves, [floating(t) for t in directions])
        return unflatten(structure, iter(outputs)), unflatten(structure, iter(found))

    function = Replayed(transformed, fun, "jvp", (0, 1), (), compile, (fun,))
    return function if primals is None else function(tuple(primals), tuple(tangents))


def vjp(fun, *primals, compile="auto"):
    """``(fun(*primals), pull)``: ``pull(cotangent)`` gives a tuple with the product for each argument."""

    def transformed(primals, cotangent):
        with enable_grad():
            wanted = Differentiated(primals, tuple(range(len(primals))), "vjp()")
            outputs, _ = results_of(wanted.call(fun), "vjp()")
            seeds, _ = results_of(cotangent, "vjp()")
            return wanted.rebuild(pulled(outputs, seeds, wanted.leaves))

    product = Replayed(transformed, fun, "vjp", (0, 1), (), compile, (fun,))
    return jit(fun)(*primals), lambda cotangent: product(primals, cotangent)


@decorator
def hvp(fun=None, *, compile="auto"):
    """A function of ``(x, v)``: the Hessian of a scalar function at x times v."""

    def transformed(x, v):
        with enable_grad():
            wanted = Differentiated((x,), 0, "hvp()")
            directions = []
            flatten(v, is_number, directions)
            first = pulled([scalar(wanted.call(fun), "hvp()")], [None], wanted.leaves)
            return wanted.rebuild(pushed(first, wanted.leaves, [floating(d) for d in directions]))

    return Replayed(transformed, fun, "hvp", (0, 1), (), compile, (fun,))
