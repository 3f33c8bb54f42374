"""Activations, as functions and as modules, with PyTorch's formulas."""

import math

import tapejit as tj
from tapejit.core.refusals import ArgumentError
from tapejit.nn.module import Module
from tapejit.nn.parameter import Parameter


def relu(input, inplace=False):
    """max(x, 0)"""
    return tj.relu(input)


def leaky_relu(input, negative_slope=0.01, inplace=False):
    """x where it is positive, else ``negative_slope * x``"""
    return tj.where(input > 0, input, negative_slope * input)


def prelu(input, weight):
    """As ``leaky_relu`` with a learned slope: one, or one per channel (dimension 1)."""
    channels = input.shape[1] if input.ndim > 1 else 1
    if weight.ndim > 1 or weight.numel() not in (1, channels):
        raise RuntimeError(
            f"prelu() takes one slope or one for each of {channels} channels, got shape {tuple(weight.shape)} for an input of "
            f"shape {tuple(input.shape)}"
        )
    if weight.numel() != 1:
        weight = weight.reshape(1, -1, *(1,) * (input.ndim - 2))
    elif not input.ndim:
        weight = weight.reshape(())
    return tj.where(input > 0, input, weight * input)


def elu(input, alpha=1.0, inplace=False):
    """x where it is positive, else ``alpha * (exp(x) - 1)``"""
    return tj.where(input > 0, input, alpha * tj.expm1(tj.clamp(input, max=0.0)))


def celu(input, alpha=1.0, inplace=False):
    """max(0, x) + min(0, alpha * (exp(x / alpha) - 1))"""
    return tj.where(input > 0, input, alpha * tj.expm1(tj.clamp(input, max=0.0) / alpha))


def selu(input, inplace=False):
    """The self-normalising ELU (Klambauer and others 2017)."""
    return 1.0507009873554804934193349852946 * elu(input, 1.6732632423543772848170429916717)


def gelu(input, approximate="none"):
    """x times the normal distribution function, or its approximation by tanh."""
    if approximate == "none":
        return tj.gelu(input)
    if approximate != "tanh":
        raise ArgumentError(f'approximate is "none" or "tanh", got {approximate!r}')
    return 0.5 * input * (1 + tj.tanh(math.sqrt(2 / math.pi) * (input + 0.044715 * input**3)))


def silu(input, inplace=False):
    """x * sigmoid(x)"""
    return tj.silu(input)


def mish(input, inplace=False):
    """x * tanh(softplus(x))"""
    return input * tj.tanh(tj.softplus(input))


def sigmoid(input):
    """1 / (1 + exp(-x))"""
    return tj.sigmoid(input)


def tanh(input):
    """The hyperbolic tangent"""
    return tj.tanh(input)


def logsigmoid(input):
    """log(sigmoid(x))"""
    return tj.logsigmoid(input)


def softplus(input, beta=1.0, threshold=20.0):
    """log(1 + exp(beta * x)) / beta; x itself where ``beta * x`` is above the threshold."""
    smooth = tj.softplus(beta * input) / beta
    return tj.where(beta * input > threshold, input, smooth)


def softsign(input):
    """x / (1 + |x|)"""
    return input / (1 + input.abs())


def tanhshrink(input):
    """x - tanh(x)"""
    return input - tj.tanh(input)


def hardtanh(input, min_val=-1.0, max_val=1.0, inplace=False):
    """x between two bounds; no gradient at the bounds"""
    if min_val > max_val:
        raise ValueError(f"hardtanh: the lower bound must not be above the upper one, got {min_val} and {max_val}")
    inside = (input > min_val) & (input < max_val)
    return tj.where(inside, input, tj.clamp(input.detach(), min_val, max_val))


def relu6(input, inplace=False):
    """min(max(x, 0), 6)"""
    return hardtanh(input, 0.0, 6.0)


def hardsigmoid(input, inplace=False):
    """(x + 3) / 6 between 0 and 1"""
    return relu6(input + 3) / 6


def hardswish(input, inplace=False):
    """x * hardsigmoid(x)"""
    return input * hardsigmoid(input)


def softshrink(input, lambd=0.5):
    """x pulled towards 0 by ``lambd``, 0 near 0"""
    if lambd < 0:
        raise RuntimeError(f"softshrink: lambd must be at least 0, got {lambd}")
    return tj.where(input > lambd, input - lambd, tj.where(input < -lambd, input + lambd, 0 * input))


def hardshrink(input, lambd=0.5):
    """x, but 0 where |x| is at most ``lambd``"""
    return tj.where(input.abs() > lambd, input, 0 * input)


def threshold(input, threshold, value, inplace=False):
    """x where it is above the threshold, else the value"""
    return tj.where(input > threshold, input, tj.full_like(input, value))


def glu(input, dim=-1):
    """The first half along a dimension times the sigmoid of the second."""
    if not input.ndim or input.shape[dim] % 2:
        raise RuntimeError(f"glu() halves dimension {dim}, which must be even: got shape {tuple(input.shape)}")
    a, b = tj.chunk(input, 2, dim)
    return a * tj.sigmoid(b)


def softmax(input, dim=None, dtype=None):
    """exp(x) over its sum"""
    return tj.softmax(_as(input, dtype), _implied(dim, input))


def softmin(input, dim=None, dtype=None):
    """softmax(-x)"""
    return softmax(-input, dim, dtype)


def log_softmax(input, dim=None, dtype=None):
    """log(softmax(x))"""
    return tj.log_softmax(_as(input, dtype), _implied(dim, input))


def _as(x, dtype):
    return x if dtype is None else x.to(dtype)


def _implied(dim, x):
    return dim if dim is not None else 0 if x.ndim in (0, 1, 3) else 1


def normalize(input, p=2.0, dim=1, eps=1e-12):
    """x over its p-norm along a dimension, which counts as at least ``eps``."""
    length = tj.linalg.vector_norm(input, p, dim, keepdim=True)
    return input / tj.clamp(length, min=eps)


def _module(function, *options, name=None, doc=None):
    """A module that calls a function; ``options`` are (name, default) in the order of its arguments."""

    def __init__(self, *args, **kwargs):
        Module.__init__(self)
        values = dict(options)
        names = [key for key, _ in options]
        values.update(zip(names, args, strict=False))
        unknown = kwargs.keys() - values.keys() - {"inplace"}
        if unknown or len(args) > len(names) + 1:
            raise TypeError(f"{name}() takes {', '.join(names) or 'no arguments'}; got {sorted(unknown) or args}")
        values.update({key: value for key, value in kwargs.items() if key in values})
        missing = [key for key, value in values.items() if value is _NEEDED]
        if missing:
            raise TypeError(f"{type(self).__name__}() needs {', '.join(missing)}")
        self.__dict__.update(values, _options=names)

    def forward(self, input):
        return function(input, **{key: self.__dict__[key] for key in self._options})

    def extra_repr(self):
        if name in _BARE:
            return f"{self.__dict__[self._options[0]]}"
        return ", ".join(f"{key}={self.__dict__[key]!r}" for key in self._options)

    methods = {"__init__": __init__, "forward": forward, "extra_repr": extra_repr, "__doc__": doc or function.__doc__}
    return type(name, (Module,), {**methods, "__module__": __name__})


_NEEDED = object()
_BARE = ("Softshrink", "Hardshrink")  # whose option is shown without its name
ReLU = _module(relu, name="ReLU")
LeakyReLU = _module(leaky_relu, ("negative_slope", 0.01), name="LeakyReLU")
ELU = _module(elu, ("alpha", 1.0), name="ELU")
CELU = _module(celu, ("alpha", 1.0), name="CELU")
SELU = _module(selu, name="SELU")
GELU = _module(gelu, ("approximate", "none"), name="GELU")
SiLU = _module(silu, name="SiLU")
Mish = _module(mish, name="Mish")
Sigmoid = _module(sigmoid, name="Sigmoid")
Tanh = _module(tanh, name="Tanh")
LogSigmoid = _module(logsigmoid, name="LogSigmoid")
Softplus = _module(softplus, ("beta", 1.0), ("threshold", 20.0), name="Softplus")
Softsign = _module(softsign, name="Softsign")
Tanhshrink = _module(tanhshrink, name="Tanhshrink")
Hardtanh = _module(hardtanh, ("min_val", -1.0), ("max_val", 1.0), name="Hardtanh")
ReLU6 = _module(relu6, name="ReLU6")
Hardsigmoid = _module(hardsigmoid, name="Hardsigmoid")
Hardswish = _module(hardswish, name="Hardswish")
Softshrink = _module(softshrink, ("lambd", 0.5), name="Softshrink")
Hardshrink = _module(hardshrink, ("lambd", 0.5), name="Hardshrink")
Threshold = _module(threshold, ("threshold", _NEEDED), ("value", _NEEDED), name="Threshold")
GLU = _module(glu, ("dim", -1), name="GLU")
Softmax = _module(softmax, ("dim", None), name="Softmax")
Softmin = _module(softmin, ("dim", None), name="Softmin")
LogSoftmax = _module(log_softmax, ("dim", None), name="LogSoftmax")


class PReLU(Module):
    """``leaky_relu`` with a learned slope: one, or one per channel."""

    def __init__(self, num_parameters=1, init=0.25, dtype=None):
        super().__init__()
        self.num_parameters = num_parameters
        self.weight = Parameter(tj.full((num_parameters,), init, dtype=dtype))

    def forward(self, input):
        return prelu(input, self.weight)

    def extra_repr(self):
        return f"num_parameters={self.num_parameters}"
