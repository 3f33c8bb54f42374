"""PyTorch's own samples as the judge: ``python -m bench.opdb [names ...] [--complex] [--no-replay] [--list]``.

PyTorch keeps a database of its functions with samples of their arguments (``op_db``). Every sample of every entry is given
to PyTorch and to tapejit: values, first and second derivatives, eager and recorded. What tapejit has no name for, refuses or
answers otherwise is listed with the reason. Needs torch; takes about half an hour.
"""

import argparse
import functools
import gc
import re
import time
import types
import warnings
from collections import Counter

import numpy as np
import torch
from torch.testing._internal.common_methods_invocations import op_db

import tapejit as tj

RANDOM = """bernoulli cauchy exponential geometric log_normal normal uniform multinomial rand_like randn randn_like randint
    randint_like randperm dropout dropout2d dropout3d alpha_dropout feature_alpha_dropout rrelu fractional_max_pool2d
    fractional_max_pool3d empty empty_like new_empty new_empty_strided empty_strided empty_permuted native_dropout
    pca_lowrank svd_lowrank alpha_dropout""".split()
OUTSIDE = {  # entries that are not of the kind of numbers tapejit has, or no function for users
    r"sparse|to_sparse": "sparse tensors",
    r"jiterator|scaled_mm|flash|efficient|torch_ops|linear_cross_entropy_chunked": "kernels of another device",
    r"^(bfloat16|half|chalf)$": "half precision",
    r"backward|^native_|^_|hash_tensor|resize_|_copy$|^unsafe_|as_strided_scatter|empty_permuted": "PyTorch's own machinery",
}


class Missing(Exception):
    """tapejit has no such name."""


def _place(path):
    own = tj
    for part in path.split("."):
        own = getattr(own, part)
    return own


def on_tapejit(f):
    """A little function of PyTorch's tests with tapejit as its ``torch``."""
    own = types.FunctionType(
        f.__code__, {**f.__globals__, "torch": tj}, f.__name__, f.__defaults__, f.__closure__
    )
    own.__kwdefaults__ = f.__kwdefaults__
    return own


def function_of(op):
    """tapejit's function for an entry: PyTorch's little function on tapejit's names, else what has the entry's name.

    Raises:
        Missing: if there is none.
    """
    if isinstance(op.op, types.FunctionType) and op.op.__module__.startswith("torch.testing"):
        return on_tapejit(op.op)
    for name in (op.name, *(alias.name for alias in op.aliases)):
        try:
            return _place(name)
        except AttributeError:
            if hasattr(tj.Tensor, name):
                return lambda x, *args, name=name, **kwargs: getattr(x, name)(*args, **kwargs)
    raise Missing(op.name)


def converted(x, known):
    """A tree of PyTorch's arguments as tapejit's; a tensor that occurs twice is one tensor."""
    if isinstance(x, torch.Tensor):
        if id(x) not in known:
            t = tj.tensor(x.detach().resolve_conj().resolve_neg().numpy().copy())
            known[id(x)] = t.requires_grad_() if x.requires_grad else t
        return known[id(x)]
    if isinstance(x, (list, tuple)):
        parts = [converted(part, known) for part in x]
        return type(x)(*parts) if hasattr(x, "_fields") else type(x)(parts)
    if isinstance(x, dict):
        return {name: converted(part, known) for name, part in x.items()}
    if isinstance(x, (torch.dtype, torch.memory_format, torch.layout)):
        return _place(str(x).removeprefix("torch."))
    if isinstance(x, torch.device):
        return tj.device("cpu")
    return x


def _is_tensor(x):
    return isinstance(x, (torch.Tensor, tj.Tensor, tj.ComplexTensor))


def leaves(tree):
    """The tensors of a tree."""
    if _is_tensor(tree):
        yield tree
    elif isinstance(tree, (list, tuple)):
        for part in tree:
            yield from leaves(part)
    elif isinstance(tree, dict):
        yield from leaves(list(tree.values()))


def array(x):
    x = x.detach()
    return (
        x.resolve_conj().resolve_neg().numpy(force=True)
        if isinstance(x, torch.Tensor)
        else np.asarray(x.numpy())
    )


def same(ours, theirs, what, tolerance):
    """What is different, None for nothing."""
    if tuple(ours.shape) != tuple(theirs.shape):
        return f"{what}: shape {tuple(ours.shape)}, not {tuple(theirs.shape)}"
    if ours.dtype != theirs.dtype:
        return f"{what}: dtype {ours.dtype}, not {theirs.dtype}"
    if ours.dtype.kind in "fc":
        finite = np.abs(theirs[np.isfinite(theirs)])
        scale = tolerance * max(1.0, finite.max(initial=0.0))
        if np.allclose(ours, theirs, rtol=tolerance, atol=scale, equal_nan=True):
            return None
        with np.errstate(all="ignore"):
            gap = np.nan_to_num(np.abs(ours - theirs), nan=np.inf)[~(np.isnan(ours) & np.isnan(theirs))]
        return f"{what}: off by {gap.max(initial=0.0):.2g} of {finite.max(initial=0.0):.2g}"
    return None if np.array_equal(ours, theirs) else f"{what}: other values"


def contracted(outputs, weights):
    """A real number of outputs: the weighted sum of those that are differentiated."""
    total = None
    for y, w in zip(outputs, weights, strict=True):
        if w is None:
            continue
        w = (torch if isinstance(y, torch.Tensor) else tj).tensor(w)
        part = (y * w.conj()).real.sum() if w.is_complex() else (y * w).sum()
        total = part if total is None else total + part
    return total


def _weights(arrays, seed):
    rng = np.random.default_rng(seed)
    draw = functools.partial(rng.uniform, 0.5, 1.5)
    return [
        None
        if a is None
        else np.asarray(draw(size=a.shape) + (1j * draw(size=a.shape) if a.dtype.kind == "c" else 0), a.dtype)
        for a in arrays
    ]


def _or_zeros(gradients, inputs, zeros_like):
    return [zeros_like(x) if g is None else g for g, x in zip(gradients, inputs, strict=True)]


def derivatives(call, inputs, weights, directions, space, second):
    """(values, first, second) derivatives; call() works the outputs out of inputs, and space is torch or tj."""
    outputs = list(leaves(call()))
    if weights is None:
        return outputs, None, None
    total = contracted(outputs, weights(outputs))
    if not total.requires_grad:  # of no elements, or of none of the inputs
        zeros = [space.zeros_like(x) for x in inputs]
        return outputs, zeros, zeros if second else None
    first = space.autograd.grad(total, inputs, create_graph=second, allow_unused=True)
    first = _or_zeros(first, inputs, space.zeros_like)
    if not second:
        return outputs, first, None
    slopes = [d if g.requires_grad else None for g, d in zip(first, directions, strict=True)]
    total = contracted(first, slopes)
    if total is None or not total.requires_grad:
        return outputs, first, [space.zeros_like(x) for x in inputs]
    found = space.autograd.grad(total, inputs, allow_unused=True)
    return outputs, first, _or_zeros(found, inputs, space.zeros_like)


class Case:
    """One sample of one entry, on both sides."""

    def __init__(self, op, ours, sample):
        self.op, self.sample, self.ours, self.known = op, sample, ours, {}
        self.theirs = (sample.input, sample.args, sample.kwargs)
        self.shown = self._shown_of_masked()
        self.wrappers = self._plain_call, self._plain_call
        if self.shown is None and "set_seed" not in op.gradcheck_wrapper.__name__:
            self.wrappers = op.gradcheck_wrapper, on_tapejit(op.gradcheck_wrapper)
        self.trees = converted(self.theirs, self.known)
        self.inputs = [x for x in dict.fromkeys(leaves(self.theirs)) if x.requires_grad and x.is_leaf]
        self.own = [self.known[id(x)] for x in self.inputs]
        self.random = op.name.rpartition(".")[2] in RANDOM or bool(sample.kwargs.get("dropout_p"))

    @staticmethod
    def _plain_call(f, *args, **kwargs):
        return f(*args, **kwargs)

    def _shown_of_masked(self):
        """What counts in the result of a masked function, None where everything does."""
        x, args, kwargs = self.theirs
        masks = [kwargs.get(name) for name in ("mask", "input_mask", "other_mask")]
        if not self.op.name.startswith("masked.") or all(mask is None for mask in masks):
            return None
        if masks[0] is not None:
            return torch.masked._output_mask(self.op.op, x, *args, **kwargs).numpy()
        both = torch.logical_and(*(True if mask is None else mask for mask in masks[1:]))
        return both.expand(torch.broadcast_shapes(both.shape, x.shape)).numpy()

    def _call(self, f, trees):
        x, args, kwargs = trees
        y = self.wrappers[f is self.ours](f, x, *args, **kwargs)
        if self.shown is not None:
            space = tj if f is self.ours else torch
            return space.where(space.tensor(self.shown.copy()), y, space.zeros((), dtype=y.dtype))
        try:
            return self.sample.output_process_fn_grad(y)
        except Exception:  # a function of PyTorch's: without it on both sides
            return y

    def differences(self, replayed=True):
        """What is different in each respect."""
        theirs = functools.partial(self._call, self.op.op, self.theirs)
        values = list(leaves(theirs()))
        wanted = [
            array(y) if y.requires_grad and y.dtype.is_floating_point | y.dtype.is_complex else None
            for y in values
        ]
        active = bool(self.inputs) and any(w is not None for w in wanted) and not self.random
        weights, directions = _weights(wanted, 1), _weights([array(x) for x in self.inputs], 2)
        seeds = (lambda outputs: weights) if active else None
        second = active and self.op.supports_gradgrad
        try:
            judge = derivatives(theirs, self.inputs, seeds, directions, torch, second)
        except (RuntimeError, NotImplementedError) as error:
            if not second or "derivative" not in str(error):
                raise
            second = False  # PyTorch has none for these arguments
            judge = derivatives(theirs, self.inputs, seeds, directions, torch, second)
        judge = [None if part is None else [array(y) for y in part] for part in judge]
        own = functools.partial(self._call, self.ours, self.trees)
        found = derivatives(own, self.own, seeds, directions, tj, second)
        yield from self._compare("", found, judge)
        if replayed and not self.random:  # what draws refuses to be recorded
            yield from self._replayed(judge, seeds, directions, second)

    def _compare(self, where, found, judge):
        for what, mine, other, tolerance in zip(
            ("value", "first", "second"), found, judge, (1e-8, 1e-7, 1e-6), strict=True
        ):
            if other is None:
                continue
            if len(mine) != len(other):
                yield f"{where}{what}: {len(mine)} results, not {len(other)}"
                continue
            for a, b in zip(mine, other, strict=True):
                a = array(a) if _is_tensor(a) else np.asarray(a)
                if self.random:
                    a, b = np.zeros(a.shape, a.dtype), np.zeros(b.shape, b.dtype)
                different = same(a, b, where + what, tolerance)
                if different:
                    yield different
                    break

    def _replayed(self, judge, seeds, directions, second):
        def outputs(*inputs):
            fresh = dict(zip([id(x) for x in self.inputs], inputs, strict=True))
            known = {key: fresh.get(key, t) for key, t in self.known.items()}
            return list(leaves(self._call(self.ours, converted(self.theirs, known))))

        def loss(*inputs):
            found = outputs(*inputs)
            return contracted(found, seeds(found))

        numbers = tuple(range(len(self.own)))
        arrays = [array(x) for x in self.own]
        if not arrays:
            return
        slope = tj.grad(loss, argnums=numbers)
        bent = tj.grad(lambda *inputs: contracted(list(slope(*inputs)), directions), argnums=numbers)
        whole = tj.jit(outputs)
        for call in ("recorded ", "replayed "):
            with tj.no_grad():
                values = whole(*arrays)
            first = None if seeds is None else slope(*arrays)
            found = values, first, bent(*arrays) if second else None
            yield from self._compare(call, found, judge)


def examined(op, dtype, options):
    """(samples right, samples, the first reason against) of an entry."""
    ours, right, total, reason = function_of(op), 0, 0, ""
    start = time.monotonic()
    torch.manual_seed(0)
    differentiable = op.supports_autograd and dtype in op.supported_backward_dtypes("cpu")
    for sample in op.sample_inputs("cpu", dtype, requires_grad=differentiable):
        if time.monotonic() - start > options.seconds:
            break
        total += 1
        try:
            found = next(Case(op, ours, sample).differences(not options.no_replay), None)
        except Exception as error:
            found = f"{type(error).__name__}: {' '.join(str(error).split())[:110]}"
        right += found is None
        reason = reason or found or ""
        if found and options.list:
            print("   ", sample.summary(), "\n      ->", found)
    return right, total, reason


def dtype_of(op, complexes):
    """The dtype to try: complex128 or float64, and int64 or bool for what has no floats; None for what has none of these."""
    supported = op.supported_dtypes("cpu")
    tried = (torch.complex128,) if complexes else (torch.float64, torch.int64, torch.bool)
    return next((dtype for dtype in tried if dtype in supported), None)


def outside(op):
    name = op.formatted_name
    return next((reason for pattern, reason in OUTSIDE.items() if re.search(pattern, name)), None)


def judged(op, dtype, options):
    """(what became of an entry, samples right, samples, the reason against)."""
    reason = outside(op)
    if reason is not None:
        return "outside", 0, 0, reason
    try:
        right, total, reason = examined(op, dtype, options)
    except Missing as error:
        return "missing", 0, 0, f"no {error}"
    except Exception as error:
        return "no samples", 0, 0, str(error)[:100]
    if total == 0:
        return "no samples", 0, 0, reason
    return "done" if right == total else "partly" if right else "not", right, total, reason


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", help="entries whose names contain one of these; all without")
    parser.add_argument("--complex", action="store_true", help="samples of complex numbers")
    parser.add_argument("--no-replay", action="store_true", help="eager only")
    parser.add_argument("--seconds", type=float, default=60.0, help="the most time for an entry")
    parser.add_argument("--share", default="0/1", help="k/n: the k-th of n parts of the entries")
    parser.add_argument("--list", action="store_true", help="every sample that differs")
    options = parser.parse_args()
    torch.set_default_dtype(torch.float64)
    warnings.simplefilter("ignore")
    k, n = map(int, options.share.split("/"))
    entries = [
        op for op in op_db if not options.names or any(name in op.formatted_name for name in options.names)
    ]
    counts = Counter()
    for op in entries[k::n]:
        dtype = dtype_of(op, options.complex)
        if dtype is None:
            continue
        start = time.process_time()
        state, right, total, reason = judged(op, dtype, options)
        counts[state] += 1
        took = time.process_time() - start
        print(f"{state:8} {op.formatted_name:45} {right:4}/{total:<4} {took:6.1f}s  {reason}", flush=True)
        gc.collect()
    print(", ".join(f"{state} {count}" for state, count in sorted(counts.items())), "of", counts.total())


if __name__ == "__main__":
    main()
