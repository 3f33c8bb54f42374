"""The Array API standard for tensors, version 2023.12: what ``tensor.__array_namespace__()`` gives.

Libraries that are written for the standard (SciPy's functions with ``SCIPY_ARRAY_API=1`` among them) take tensors by it, and
their results can be differentiated. The functions are those of ``tapejit.numpy``, the dtypes tapejit's; see docs/numpy.md.
"""

import types as _types

from tapejit.array_api.capabilities import __array_namespace_info__
from tapejit.array_api.creating import asarray, from_dlpack
from tapejit.array_api.kinds import can_cast, finfo, iinfo, isdtype, result_type
from tapejit.array_api.ordered import argsort, cumulative_sum, sort
from tapejit.array_api.sets import unique_all, unique_counts, unique_inverse, unique_values
from tapejit.array_api.transforms_of_standard import named as _transforms
from tapejit.array_api.words import LINALG as _LINALG
from tapejit.array_api.words import broadcast_arrays, clip, conj, meshgrid, nonzero, vecdot
from tapejit.core.dtypes import (
    bool_,
    complex64,
    complex128,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    uint8,
)
from tapejit.eager.numpyspace import names as _names

__array_api_version__ = "2023.12"
bool = bool_
_STANDARD = """
    arange empty empty_like eye full full_like linspace meshgrid ones ones_like tril triu zeros zeros_like astype
    broadcast_arrays broadcast_to abs acos acosh add asin asinh atan atan2 atanh bitwise_and bitwise_left_shift
    bitwise_invert bitwise_or bitwise_right_shift bitwise_xor ceil clip conj copysign cos cosh divide equal exp expm1
    floor floor_divide greater greater_equal hypot imag isfinite isinf isnan less less_equal log log1p log2 log10
    logaddexp logical_and logical_not logical_or logical_xor maximum minimum multiply negative not_equal positive pow
    real remainder round sign signbit sin sinh square sqrt subtract tan tanh trunc take matmul matrix_transpose
    tensordot vecdot concat expand_dims flip moveaxis permute_dims repeat reshape roll squeeze stack tile unstack
    argmax argmin nonzero searchsorted where max mean min prod std sum var all any e inf nan newaxis pi
""".split()
globals().update({name: value for name, value in _names().items() if name in _STANDARD and name not in globals()})
linalg = _types.SimpleNamespace(**_names("linalg.") | _LINALG)
fft = _types.SimpleNamespace(**_transforms())
_MODULES = {"capabilities", "creating", "kinds", "ordered", "sets", "transforms_of_standard", "words"}
__all__ = sorted(name for name in globals() if not name.startswith("_") and name not in _MODULES)
