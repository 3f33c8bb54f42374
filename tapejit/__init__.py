"""tapejit: automatic differentiation on a Numba-compiled tape, with PyTorch's names.

    import tapejit as tj

    x = tj.arange(4.0, requires_grad=True)
    y = 2 * tj.dot(x, x)
    y.backward()
    x.grad                      # tensor([ 0.,  4.,  8., 12.])
"""

import importlib as _importlib
from math import e, inf, nan, pi
from types import ModuleType as _Module

from tapejit import autograd, linalg, special
from tapejit.ahead import warm
from tapejit.control.forms import associative_scan, cond, fori_loop, map, scan, while_loop
from tapejit.control.recompute import checkpoint
from tapejit.core.dtypes import (
    bool_,
    complex64,
    complex128,
    float32,
    float64,
    get_default_dtype,
    int8,
    int16,
    int32,
    int64,
    set_default_dtype,
    uint8,
)
from tapejit.core.layout import Size
from tapejit.core.threads import get_num_threads, set_num_threads
from tapejit.eager import escapes as _escapes
from tapejit.eager import families as _families
from tapejit.eager import functional as _functional
from tapejit.eager import inplace as _inplace
from tapejit.eager import nodes as _nodes
from tapejit.eager import numpyprotocol as _numpyprotocol
from tapejit.eager import random as _random
from tapejit.eager import standard as _standard
from tapejit.eager import tensorops as _tensorops
from tapejit.eager.complexes import complexprotocol as _complexprotocol
from tapejit.eager.complexes.complexmath import complex_ as complex
from tapejit.eager.complexes.complexmath import polar, view_as_complex, view_as_real
from tapejit.eager.complexes.complexparts import vdot
from tapejit.eager.complexes.pair import ComplexTensor
from tapejit.eager.creation import (
    arange,
    as_tensor,
    asarray,
    empty,
    empty_like,
    eye,
    from_numpy,
    full,
    full_like,
    is_tensor,
    linspace,
    logspace,
    ones,
    ones_like,
    tensor,
    zeros,
    zeros_like,
)
from tapejit.eager.devices import (
    channels_last,
    contiguous_format,
    cuda,
    device,
    get_default_device,
    preserve_format,
    set_default_device,
    strided,
)
from tapejit.eager.functional import add, allclose, clamp, div, equal, logsigmoid, pow, round, sub, where
from tapejit.eager.grad_mode import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)
from tapejit.eager.indexing import tril, triu
from tapejit.eager.linalg.plain import cross, lu, lu_solve, norm, qr, svd
from tapejit.eager.linalg.systems import lu_unpack
from tapejit.eager.linalg.tensorforms import triangular_solve
from tapejit.eager.printing import set_printoptions
from tapejit.eager.random import (
    Generator,
    get_rng_state,
    initial_seed,
    manual_seed,
    rand,
    rand_like,
    randint,
    randint_like,
    randn,
    randn_like,
    randperm,
    seed,
    set_rng_state,
)
from tapejit.eager.reductions import (
    all,
    amax,
    amin,
    any,
    argmax,
    argmin,
    cumsum,
    log_softmax,
    logsumexp,
    max,
    mean,
    min,
    prod,
    softmax,
    std,
    sum,
    var,
)
from tapejit.eager.saving import load, save
from tapejit.eager.sorting import argsort, median, sort, topk
from tapejit.eager.specialfunctions import igamma, igammac, logit, mvlgamma, polygamma
from tapejit.eager.tensor import Tensor
from tapejit.eager.views import broadcast_to, clone, detach, t, transpose
from tapejit.eager.windowing import (
    bartlett_window,
    blackman_window,
    hamming_window,
    hann_window,
    kaiser_window,
)
from tapejit.edge.namesakes import enter as _enter
from tapejit.linalg import (
    bmm,
    cholesky,
    cholesky_inverse,
    cholesky_solve,
    det,
    diag,
    diag_embed,
    dot,
    kron,
    logdet,
    matmul,
    matrix_exp,
    matrix_power,
    matrix_rank,
    mm,
    mv,
    outer,
    slogdet,
    trace,
    vander,
)
from tapejit.linalg import inv as inverse
from tapejit.linalg import pinv as pinverse
from tapejit.replay import compiling as _compiling
from tapejit.replay.compiling import compile
from tapejit.replay.customrules import custom_jvp, custom_vjp
from tapejit.replay.egrad import elementwise_grad, hessian_vector_product
from tapejit.replay.jacobianpasses import hessian, jacfwd, jacobian, jacrev, value_and_jacobian
from tapejit.replay.sparse import sparse_hessian, sparse_jacobian
from tapejit.replay.transforms import (
    grad,
    hvp,
    jit,
    jvp,
    value_and_grad,
    vjp,
)
from tapejit.replay.trees import register_pytree_node
from tapejit.replay.vmap import vmap

__version__ = "0.1.0"
bool = bool_
double, float, long, int, short = float64, float32, int64, int32, int16
for _group in (_families.FUNCTIONS, _functional.FUNCTIONS, _functional.COMPARISONS, _functional.LOGICAL):
    for _name, _function in _group.items():
        if _functional.is_plain(_name):
            globals().setdefault(_name, _function)
_enter(__name__, {
    "random": {n: getattr(_random, n) for n in "fork_rng get_rng_state initial_seed manual_seed seed set_rng_state".split()},
    "version": {"__version__": __version__, "cuda": None, "hip": None},
    "_C": {"_get_tracing_state": _compiling.tracing_state},
})  # fmt: skip
concat = concatenate = _families.FUNCTIONS["cat"]
cdouble, cfloat = complex128, complex64
del _complexprotocol, _group, _name, _function, _inplace, _numpyprotocol, _standard, _tensorops



_LATER = (  # modules that take a while to import
    "accelerator", "array_api", "backends", "distributed", "distributions", "extend", "fft", "func", "implicit", "masked",
    "misc", "nn", "nopython", "numpy", "optim", "optimize", "scipy", "signal", "testing", "utils", "viz",
)  # fmt: skip
_LAYERS = frozenset(  # functions of nn.functional that are in PyTorch's own namespace too
    """adaptive_avg_pool1d adaptive_max_pool1d alpha_dropout avg_pool1d batch_norm bilinear
    binary_cross_entropy_with_logits celu channel_shuffle conv1d conv2d conv3d conv_transpose1d conv_transpose2d
    conv_transpose3d cosine_embedding_loss cosine_similarity ctc_loss dropout embedding embedding_bag
    feature_alpha_dropout group_norm hardshrink hinge_embedding_loss instance_norm kl_div layer_norm
    margin_ranking_loss max_pool1d max_pool2d max_pool3d pairwise_distance pdist pixel_shuffle pixel_unshuffle
    poisson_nll_loss prelu rms_norm rrelu selu threshold triplet_margin_loss""".split()
)


def __getattr__(name):
    """Modules with machinery of their own are loaded when they are first asked for."""
    if name in _LATER:
        return _importlib.import_module(f"tapejit.{name}")
    if name in _LAYERS:
        return getattr(__getattr__("nn").functional, name)
    if name == "stop_gradient":
        return __getattr__("nopython").stop_gradient
    if name in _functional.FUNCTIONS and _functional.is_plain(name):  # an op that was entered at run time
        return _functional.FUNCTIONS[name]
    raise AttributeError(f"module 'tapejit' has no attribute {name!r}")


def _public():
    """The names that are meant for users: of modules, those with functions of their own."""
    modules = {name for name, x in globals().items() if isinstance(x, _Module)} - {"autograd", "linalg", "special"}
    return sorted(name for name in globals() if not name.startswith("_") and name not in modules)


def __dir__():
    return sorted({*_public(), *_LATER, "stop_gradient", "__version__"})


__all__ = _public()
_escapes.public.update(__all__)
