"""PyTorch's plain names, gathered: each family's module says which are functions, methods, and have an in-place form."""

from tapejit.eager import (
    arithmetic,
    arranging,
    contraction,
    conversions,
    cumulative,
    finding,
    indexing,
    sampling,
    scattering,
    summaries,
    views,
)
from tapejit.eager.inplace import inplace_method
from tapejit.eager.keywords import placed, starred, with_axis
from tapejit.eager.tensor import Tensor

FAMILIES = (arithmetic, arranging, cumulative, summaries, scattering, contraction, finding, conversions, sampling)
_ONLY_METHODS = """astype copy type type_as cpu cuda pin_memory new_tensor new_zeros new_ones new_empty new_full
    new_empty_strided repeat unfold reshape_as view_as""".split()
_PLACED = "tril_indices triu_indices normal scalar_tensor".split()
_BARE = (conversions,)  # their keywords are their own
_INPLACE = """rsub lerp addcmul addcdiv copysign deg2rad rad2deg frac nan_to_num fmod div true_divide divide multiply subtract
    clip round negative absolute sgn arcsin arccos arctan arctan2 arcsinh arccosh arctanh float_power cumprod cumsum renorm
    bitwise_and bitwise_or bitwise_xor
    bitwise_not bitwise_left_shift bitwise_right_shift gcd lcm heaviside nextafter ldexp fix floor_divide swapaxes
    logical_and logical_or logical_xor logical_not tril triu acos asin atan acosh asinh atanh sinh cosh erf erfc exp2 log2 log10
    sign hypot atan2 digamma lgamma erfinv i0 sinc xlogy""".split()
_COMPARISONS = "ge gt le lt eq ne greater greater_equal less less_equal not_equal".split()


def _numbers(compare):
    return lambda x, other: compare(x, other).to(x.dtype)


def _wrapped(module, name):
    function = getattr(module, name)
    if isinstance(function, type) or module in _BARE:
        return function
    return placed(function) if name in _PLACED else with_axis(function)


_WITH_AXIS = {
    indexing: "cat stack roll split chunk unbind index_select narrow gather take_along_dim",
    views: "squeeze unsqueeze diagonal flatten",
}
_STARRED = {
    "flip": ("dims", "dim", "axis"), "permute": ("dims", "axes"), "reshape": ("shape",), "view": ("size",), "expand": ("size",),
    "repeat": ("repeats", "sizes"), "tile": ("dims", "reps"),
}
FUNCTIONS, METHODS = {name: starred(getattr(views, name), *_STARRED[name]) for name in ("flip", "permute", "reshape")}, {}
for _module in FAMILIES:
    for _name in (*_module.METHODS, *_module.FUNCTIONS_ONLY):
        _function = _wrapped(_module, _name)
        if _name in _module.METHODS:
            METHODS[_name] = _function
        if _name not in _ONLY_METHODS:
            FUNCTIONS[_name] = _function
    for _name, _function in _module.ALIASES.items():
        FUNCTIONS[_name] = FUNCTIONS.get(getattr(_function, "__name__", ""), _function)
        if _module not in (conversions, cumulative):
            METHODS.setdefault(_name, FUNCTIONS[_name])


for _module, _names in _WITH_AXIS.items():
    FUNCTIONS.update({name: with_axis(getattr(_module, name)) for name in _names.split()})
Tensor.squeeze, Tensor.roll = FUNCTIONS["squeeze"], FUNCTIONS["roll"]
for _name, _method in {**METHODS, **conversions.CASTS, **sampling.FILLERS}.items():
    setattr(Tensor, _name, _method)
for _name in dict.fromkeys((*_INPLACE, *scattering.INPLACE, *contraction.INPLACE)):
    setattr(Tensor, f"{_name}_", inplace_method(getattr(Tensor, _name), True))
for _name in _COMPARISONS:  # in place, the answers are 0 and 1 of the tensor's dtype
    setattr(Tensor, f"{_name}_", inplace_method(_numbers(getattr(Tensor, _name)), False))
for _name, _names in _STARRED.items():
    setattr(Tensor, _name, FUNCTIONS.get(_name) or starred(getattr(Tensor, _name), *_names))
for _name in dir(Tensor):  # PyTorch has in-place functions too: torch.sin_(x)
    if _name.endswith("_") and not _name.startswith("_") and _name not in ("requires_grad_", "share_memory_"):
        FUNCTIONS.setdefault(_name, getattr(Tensor, _name))
Tensor.to = conversions.to
Tensor.H = Tensor.mT
Tensor.real = property(arithmetic.real, doc="The tensor itself, which is real.")
