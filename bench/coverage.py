"""Which names of PyTorch, NumPy, HIPS autograd and JAX's NumPy there are: ``python -m bench.coverage`` writes docs/coverage.md.

A name counts if tapejit has it at the same place. It needs torch; autograd and jax are counted where they are installed.
Whether results agree is what the tests say.
"""

import importlib
import inspect
import pathlib
import textwrap

import numpy as np

import tapejit
from tapejit.eager.numpyspace import names
from tapejit.eager.numpytable import TABLE
from tapejit.eager.ufuncs import UFUNCS

PAGE = pathlib.Path(__file__).resolve().parent.parent / "docs" / "coverage.md"
SPACES = (
    "torch", "torch.Tensor", "torch.linalg", "torch.special", "torch.fft", "torch.nn", "torch.nn.functional",
    "torch.nn.init", "torch.optim", "torch.optim.lr_scheduler", "torch.autograd", "torch.func", "torch.utils.data",
    "torch.optim.swa_utils", "torch.distributions", "torch.distributions.transforms", "torch.signal.windows",
    "torch.masked", "torch.testing",
)  # fmt: skip
# What tapejit has no counterpart of: other devices, quantised, sparse and named tensors, PyTorch's own machinery.
OUTSIDE = (
    "cuda cudnn miopen mkldnn mps xpu quantize quantized dequantize fbgemm q_ sparse coalesce values crow ccol "
    "row_indices col_indices names align_ refine_ rename sym_ dynamo jit fx vitals profiler is_inference hip vulkan "
    "xnnpack complex cfloat cdouble chalf half bfloat16 view_as_real view_as_complex polar stft istft storage "
    "share_memory module_load autocast lobpcg parse_ import_ export deploy typename compiled_with get_file_path "
    "set_deterministic deterministic_ set_warn set_vital batch_norm_ native_ grid_sampler_ _copy "
).split()
SAMPLES = """## PyTorch's own samples

`python -m bench.opdb --seconds 20` (PyTorch 2.13) tries the samples of the 692 entries of PyTorch's database of functions that
have float64, int64 or bool, at most 20 seconds of an entry: values, first and second derivatives, eager and recorded. 582 are
right in all of it (18 of them tried by themselves, after the whole run), 61 are of other kinds (sparse tensors, half precision,
kernels of other devices, PyTorch's machinery). What draws random numbers is compared in shapes; ten entries counted as wrong
only because such a function refuses to be recorded.
The others:

| entries | what differs |
|---|---|
| `special.airy_ai`; `stft`, `geqrf`, `ormqr`, \
`linalg.householder_product`, `linalg.ldl_*`, `histogramdd`, `nonzero_static`, `fill`, `slice`, \
`grid_sampler_2d`, `grid_sampler_3d`, `upsample_bilinear`, `upsample_nearest`, `linear_cross_entropy`, \
`fractional_max_pool2d` and `3d`, `multi_head_attention_forward`, `svd_lowrank`, `pca_lowrank` | not there |
| `cov` | weights in float32 are added in the precision of the data, by PyTorch in theirs |
| `special.bessel_j0`, `j1`, `y1` | PyTorch's are right to 1e-6, ours are SciPy's |
| `max_unpool1d` to `3d` | where windows chose one place twice, its gradient counts once; PyTorch's counts each |
| `as_strided_partial_views` | a tensor knows its own elements, not those beside it in the memory that it is a view \
of |
| `cfloat`, `cdouble` | dtypes here, methods there |
| `linalg.norm` of subgradients at 0, `masked.logaddexp` | the second derivative at 0 and at masked elements, where \
PyTorch has NaN |
| `special.zeta` | first arguments below 1, where PyTorch has NaN and this the analytic continuation; 0 for an infinite first \
argument and a second above 1 |
| `masked.argmax`, `argmin` | places are int64 here, PyTorch gives them in the dtype of the tensor |
| `batch_norm` | two samples of a vector without elements |
| `triplet_margin_with_distance_loss` | its samples call PyTorch's functions |
"""
HEAD = """# Coverage of names

Written by `python -m bench.coverage`; not to be edited. How many public names of other libraries are there under the same name,
at the same place (`torch.linalg.inv` is `tapejit.linalg.inv`; a tensor's methods are the tensor's). Of PyTorch, names
that speak of other devices, of complex, half, quantised, sparse or named tensors, or of its own machinery are left out.
"""


def _public(space):
    """The public callables of a module or class."""
    listed = getattr(space, "__all__", None) if space.__name__ != "torch" else None
    for name in listed or dir(space):
        value = None if name.startswith("_") else getattr(space, name, None)
        if not callable(value) or inspect.ismodule(value):
            continue
        where = getattr(value, "__module__", "") or ""
        if "typing" not in where and not (inspect.isclass(value) and (space.__name__ == "torch" or where == "builtins")):
            yield name


def _place(path):
    """The object of tapejit at a path, None if there is none."""
    found = tapejit
    for part in path.split(".")[1:]:
        try:
            found = getattr(found, part)
        except AttributeError:
            try:
                found = importlib.import_module(f"{found.__name__}.{part}")
            except (ImportError, AttributeError):
                return None
    return found


def _of_torch(path):
    """(names there are, names there are not)."""
    module = path.removesuffix(".Tensor")
    space = importlib.import_module(module)
    space = space.Tensor if path.endswith("Tensor") else space
    own = _place(path)
    wanted = sorted(n for n in set(_public(space)) if not any(word in n for word in OUTSIDE))
    found = [n for n in wanted if own is not None and getattr(own, n, None) is not None]
    return found, [n for n in wanted if n not in found]


def _numpy_names():
    """The functions of NumPy that ask their arguments, and the ufuncs."""
    for prefix, space in (("", np), ("linalg.", np.linalg)):
        for name in dir(space):
            value = getattr(space, name)
            if isinstance(value, np.ufunc) or hasattr(value, "_implementation"):
                yield prefix + name


_OWN = {*TABLE, *UFUNCS, *names()}


def _has(name) -> bool:
    return name in _OWN


def _split(wanted):
    wanted = sorted(set(wanted))
    return [n for n in wanted if _has(n)], [n for n in wanted if not _has(n)]


def _of_autograd():
    """The functions for which HIPS autograd has derivatives."""
    core, anp = importlib.import_module("autograd.core"), importlib.import_module("autograd.numpy")
    known = set(core.primitive_vjps)
    for prefix, space in (("", anp), ("linalg.", anp.linalg)):
        yield from (prefix + name for name in dir(space) if callable(getattr(space, name)) and getattr(space, name) in known)


def _of_jax():
    space = importlib.import_module("jax.numpy")
    for prefix, part in (("", space), ("linalg.", space.linalg)):
        for name in dir(part):
            value = getattr(part, name)
            if not name.startswith("_") and callable(value) and not inspect.isclass(value) and not hasattr(value, "dtype"):
                yield prefix + name


def _counts():
    yield from ((path, *_of_torch(path)) for path in SPACES)
    yield ("numpy", *_split(_numpy_names()))
    for label, of in (("autograd.numpy (with derivatives)", _of_autograd), ("jax.numpy", _of_jax)):
        try:
            yield (label, *_split(of()))
        except ImportError:
            continue


def page() -> str:
    """The page's text."""
    lines, missing = ["| space | there | of | share |", "|---|---|---|---|"], []
    for label, found, absent in _counts():
        total = len(found) + len(absent)
        lines.append(f"| `{label}` | {len(found)} | {total} | {len(found) / max(total, 1):.0%} |")
        if absent:
            missing.append(f"**{label}**\n\n" + textwrap.fill(", ".join(absent), 120))
    return f"{HEAD}\n" + "\n".join(lines) + "\n\n" + SAMPLES + "\n## Not there\n\n" + "\n\n".join(missing) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
    print(f"{PAGE} written")
