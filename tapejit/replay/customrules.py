"""``custom_vjp`` and ``custom_jvp``: a function whose derivative the user states, with JAX's conventions."""

import functools
import inspect
import threading

import numpy as np

from tapejit.core.dtypes import as_array
from tapejit.eager import autograd, usergraph
from tapejit.eager.dispatch import emit_view, from_array
from tapejit.eager.grad_mode import enable_grad, is_grad_enabled, no_grad
from tapejit.eager.tensor import Tensor
from tapejit.replay.trees import flatten, unflatten
from tapejit.spec.table import VALUE


def _is_number(x):
    return isinstance(x, (Tensor, np.ndarray, float, np.floating))


def _tensors(tree):
    """The tree's structure and its ends as tensors."""
    leaves = []
    structure = flatten(tree, _is_number, leaves)
    return structure, [x if isinstance(x, Tensor) else from_array(as_array(x)) for x in leaves]


def _zeros(x):
    return from_array(np.zeros(x.shape, x.dtype.numpy))


class Custom:
    """What both kinds have in common: arguments with and without derivatives, and the call on the tape."""

    def __init__(self, fun, nondiff_argnums=()):
        functools.update_wrapper(self, fun)
        self.fun = fun
        self.nondiff = (nondiff_argnums,) if isinstance(nondiff_argnums, int) else tuple(nondiff_argnums)
        self._signature = inspect.signature(fun)

    def __get__(self, instance, owner=None):
        return self if instance is None else functools.partial(self, instance)

    def __call__(self, *args, **kwargs):
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        if bound.kwargs:
            raise TypeError(f"{self.fun.__name__}: a function with a custom derivative has no keyword-only arguments")
        args = bound.args
        own = tuple(x for k, x in enumerate(args) if k not in self.nondiff)
        structure, leaves = _tensors(own)
        asked = [i for i, x in enumerate(leaves) if x.requires_grad]
        if not asked or not is_grad_enabled():
            return self.fun(*args)
        self._check()
        fixed = tuple(args[k] for k in self.nondiff)
        output, pull = self._evaluate(args, fixed, structure, leaves, asked)
        out_structure, results = _tensors(output)
        floats = [i for i, y in enumerate(results) if y.dtype.is_floating_point]
        cotangents = [_zeros(y) for y in results]

        def of_floats(arrived):
            filled = list(cotangents)
            for i, g in zip(floats, arrived, strict=True):
                filled[i] = cotangents[i] if g is None else g
            return pull(out_structure, filled)

        values = [emit_view(VALUE, results[i], results[i]._layout) for i in floats]
        _, made = usergraph.connect(of_floats, f"{self.fun.__name__}Backward", [leaves[i] for i in asked], values)
        for i, y in zip(floats, made, strict=True):
            results[i] = y
        return unflatten(out_structure, iter(results))


class custom_vjp(Custom):
    """A function whose reverse derivative is stated.

        @tj.custom_vjp
        def log1pexp(x):
            return tj.log(1 + tj.exp(x))

        log1pexp.defvjp(lambda x: (log1pexp(x), x), lambda x, g: (g * tj.sigmoid(x),))

    Args:
        fun: a function of tensors, arrays and numbers, in nested tuples, lists and dicts.

    ``defvjp(fwd, bwd)``: ``fwd`` takes what ``fun`` takes, gives ``(result, residuals)``; ``bwd(residuals, cotangent)`` gives
    a tuple with one entry for each differentiable argument, in its structure, or None for zero. Derivatives of the second
    order come from ``bwd`` and ``fwd`` themselves.
    """

    _fwd = _bwd = None

    def __init__(self, fun, nondiff_argnums=()):
        super().__init__(fun, nondiff_argnums)
        self._inside = _Inside()

    def _forward(self, args):
        self._inside.fwd = True
        try:
            return self._fwd(*args)
        finally:
            self._inside.fwd = False

    def defvjp(self, fwd, bwd):
        """State the derivative."""
        self._fwd, self._bwd = fwd, bwd
        return fwd, bwd

    def _check(self):
        if self._fwd is None:
            raise AttributeError(f"no derivative is stated for {self.fun.__name__}, a custom_vjp: call its defvjp(fwd, bwd)")

    def _evaluate(self, args, fixed, structure, leaves, asked):
        forward = []  # what fwd gave, with a history, which is what second derivatives go through
        if self._inside.fwd:  # fwd calls the function itself: only the value is wanted, until somebody asks for more
            with no_grad():
                output = self.fun(*args)
        else:
            forward.append(self._forward(args))
            output = forward[0][0]

        def pull(out_structure, cotangents):
            if not forward:
                forward.append(self._forward(args))
            found = self._bwd(*fixed, forward[0][1], unflatten(out_structure, iter(cotangents)))
            parts = structure[1]
            if not isinstance(found, (tuple, list)) or len(found) != len(parts):
                raise TypeError(
                    f"{self.fun.__name__}: bwd must give a tuple with {len(parts)} entries, one per argument; got {found!r}"
                )
            return _in_order(found, parts, leaves, asked)

        return output, pull


class _Inside(threading.local):
    """Whether this thread is in the fwd of a function."""

    fwd = False


def _in_order(found, parts, leaves, asked):
    """The cotangents of the leaves that are asked for, from one tree per argument."""
    flat = []
    for tree, part in zip(found, parts, strict=True):
        count = _count(part)
        if tree is None:
            flat += [None] * count
        else:
            _, tensors = _tensors(tree)
            if len(tensors) != count:
                raise TypeError(f"bwd gives {len(tensors)} cotangents for an argument that has {count} numbers and arrays")
            flat += tensors
    return [flat[i] for i in asked]


def _count(structure):
    if structure == "*":
        return 1
    return 0 if structure[0] == "static" else sum(_count(part) for part in structure[-1])


class custom_jvp(Custom):
    """A function whose forward derivative is stated; the reverse one is its transpose.

        @tj.custom_jvp
        def f(x):
            return tj.sin(x)

        @f.defjvp
        def f_jvp(primals, tangents):
            (x,), (t,) = primals, tangents
            return f(x), tj.cos(x) * t

    ``defjvp(rule)``: ``rule(primals, tangents)`` gives ``(result, tangent)``, linear in the tangents. ``defjvps(*rules)``:
    for each argument ``rule(tangent, result, *primals)``, or None. Arguments in ``nondiff_argnums`` come first.
    """

    _rule = None

    def defjvp(self, rule):
        """State the derivative."""
        self._rule = rule
        return rule

    def defjvps(self, *rules):
        """State the derivative argument by argument."""

        def rule(primals, tangents):
            result = self(*primals)
            parts = [r(t, result, *primals) for r, t in zip(rules, tangents, strict=True) if r is not None]
            return result, sum(parts[1:], parts[0]) if parts else result * 0

        self._rule = rule

    def _check(self):
        if self._rule is None:
            raise AttributeError(f"no derivative is stated for {self.fun.__name__}, a custom_jvp: call its defjvp(rule)")

    def _evaluate(self, args, fixed, structure, leaves, asked):
        with no_grad():
            output = self.fun(*args)

        def pull(out_structure, cotangents):
            recorded = is_grad_enabled()
            primals = leaves if recorded else [x.detach() for x in leaves]
            with enable_grad():
                tangents = [_zeros(x) for x in leaves]
                for i in asked:
                    tangents[i].requires_grad_()
                trees = [unflatten(structure, iter(tensors)) for tensors in (primals, tangents)]
                _, tangent = self._rule(*fixed, *trees)
                _, outputs = _tensors(tangent)
                pairs = [(y, g) for y, g in zip(outputs, cotangents, strict=True) if y.requires_grad]
                if not pairs:
                    return [None] * len(asked)
                ys, gs = zip(*pairs, strict=True)
                wanted = [tangents[i] for i in asked]
                return autograd.grad(ys, wanted, gs, create_graph=recorded, allow_unused=True)

        return output, pull
