"""Layers over windows: convolution and pooling in one and two dimensions, padding, unfolding.

All windows of an input are one strided view of it; a convolution is a matrix product with that.
"""

import itertools
import math

import numpy as np

import tapejit as tj
from tapejit.core.refusals import ArgumentError
from tapejit.eager.views import strided_view
from tapejit.nn import init
from tapejit.nn.module import Module
from tapejit.nn.parameter import Parameter


def several(value, dims):
    """A number for each dimension."""
    value = (value,) if isinstance(value, int) else tuple(value)
    return value * dims if len(value) == 1 else value


def pad(input, pad, mode="constant", value=None):
    """The input with something around it: ``pad`` is (before, after) of the last dimension, then of the one before, ...

    Negative numbers cut. ``mode`` is "constant", "reflect", "replicate" or "circular".
    """
    if len(pad) % 2 or len(pad) > 2 * input.ndim:
        raise ArgumentError(f"pad must have two numbers for each of up to {input.ndim} dimensions, got {tuple(pad)}")
    for k in range(len(pad) // 2):
        before, after = pad[2 * k], pad[2 * k + 1]
        if before or after:
            input = _padded(input, input.ndim - 1 - k, before, after, mode, value)
    return input


def _padded(x, d, before, after, mode, value):
    n = x.shape[d]
    if max(0, -before) + max(0, -after) > n:
        raise RuntimeError(f"a padding of ({before}, {after}) cuts more than there is: dimension {d} has size {n}")
    cut = [slice(None)] * x.ndim
    cut[d] = slice(max(0, -before), n - max(0, -after))
    if mode == "constant":
        x = x[tuple(cut)]
        parts = [_block(x, d, max(before, 0), value or 0.0), x, _block(x, d, max(after, 0), value or 0.0)]
        return tj.cat([p for p in parts if p is not None], d)
    if mode == "reflect":
        if max(before, after) >= n:
            raise RuntimeError(f"reflect padding ({before}, {after}) must be smaller than the dimension, {n}")
        places = [abs(i) if i < n else 2 * (n - 1) - i for i in range(-before, n + after)]
    elif mode == "replicate":
        places = [min(max(i, 0), n - 1) for i in range(-before, n + after)]
    elif mode == "circular":
        first, rest = max(0, -before), n - max(0, -before) - max(0, -after)  # what is cut goes first
        places = [first + i % rest for i in range(-max(0, before), rest + max(0, after))]
    else:
        raise ValueError(f'mode is "constant", "reflect", "replicate" or "circular", got {mode!r}')
    return tj.index_select(x, d, tj.tensor(places))


def _block(x, d, size, value):
    shape = (*x.shape[:d], size, *x.shape[d + 1 :])
    return tj.full(shape, value, dtype=x.dtype) if size else None


def window_layout(whole, kernel, stride, dilation):
    """The shape (..., kernel..., places...) and the strides of a view of all windows of (..., sizes...).

    Raises:
        RuntimeError: if no window fits, or for a size, step or dilation below 1.
    """
    dims = len(kernel)
    for name, sizes in (("kernel", kernel), ("stride", stride), ("dilation", dilation)):
        if len(sizes) != dims or min(sizes) < 1:
            raise RuntimeError(f"a window needs a {name} of {dims} sizes of at least 1, got {tuple(sizes)}")
    lead, sizes = tuple(whole[:-dims]), tuple(whole[-dims:])
    counts = tuple((n - d * (k - 1) - 1) // s + 1 for n, k, s, d in zip(sizes, kernel, stride, dilation, strict=True))
    if min(counts) < 1:
        raise RuntimeError(f"a window of {kernel} with dilation {dilation} does not fit into an input of {sizes}")
    steps, step = [], 1
    for n in reversed(whole):
        steps.append(step)
        step *= n
    steps = tuple(reversed(steps))
    outer, inner = steps[: len(lead)], steps[len(lead) :]
    shape = (*lead, *kernel, *counts)
    strides = (*outer, *(s * d for s, d in zip(inner, dilation, strict=True)))
    return shape, strides + tuple(s * t for s, t in zip(inner, stride, strict=True))


def _windows(x, kernel, stride, dilation):
    return strided_view(x, *window_layout(x.shape, kernel, stride, dilation), 0)


def _same(kernel, dilation):
    """The padding that keeps the size: what is odd goes to the end."""
    total = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    return [n for t in reversed(total) for n in (t // 2, t - t // 2)]


def _convolved(dims, input, weight, bias, stride, padding, dilation, groups):
    stride, dilation = several(stride, dims), several(dilation, dims)
    kernel = tuple(weight.shape[2:])
    single = input.ndim == dims + 1
    x = input.unsqueeze(0) if single else input
    if weight.ndim != dims + 2 or x.ndim != dims + 2 or x.shape[1] != weight.shape[1] * groups:
        raise RuntimeError(
            f"conv{dims}d: a weight of shape {tuple(weight.shape)} with groups={groups} needs an input of shape (batch, "
            f"{weight.shape[1] * groups}{', size' * dims}), got {tuple(input.shape)}"
        )
    if bias is not None and tuple(bias.shape) != (weight.shape[0],):
        raise RuntimeError(f"conv{dims}d: a bias of shape ({weight.shape[0]},) is needed, got {tuple(bias.shape)}")
    if padding == "same":
        if max(stride) > 1:
            raise RuntimeError(f'padding="same" keeps the size, which a stride of {stride} does not')
        x = pad(x, _same(kernel, dilation))
    elif padding != "valid":
        if min(several(padding, dims)) < 0:
            raise RuntimeError(f"a convolution takes a padding of at least 0, got {padding}; pad() cuts")
        x = pad(x, [n for p in reversed(several(padding, dims)) for n in (p, p)])
    views = _windows(x, kernel, stride, dilation)
    n, places = x.shape[0], tuple(views.shape[-dims:])
    columns = views.reshape(n, groups, weight.shape[1] * math.prod(kernel), math.prod(places))
    rows = weight.reshape(groups, weight.shape[0] // groups, -1)
    y = rows[0] @ columns[:, 0] if groups == 1 else rows @ columns
    y = y.reshape(n, weight.shape[0], *places)
    if bias is not None:
        y = y + bias.reshape(-1, *(1,) * dims)
    return y[0] if single else y


def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Cross-correlation of (batch, channels, length) with weight (out, channels / groups, length)."""
    return _convolved(1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Cross-correlation of (batch, channels, height, width) with weight (out, channels / groups, height, width)."""
    return _convolved(2, input, weight, bias, stride, padding, dilation, groups)


def conv3d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Cross-correlation of (batch, channels, depth, height, width) with weight (out, channels / groups, three sizes)."""
    return _convolved(3, input, weight, bias, stride, padding, dilation, groups)


def unfold(input, kernel_size, dilation=1, padding=0, stride=1):
    """The windows of (batch, channels, height, width) as columns: (batch, channels * window, places)."""
    padding = several(padding, 2)
    x = pad(input, [n for p in reversed(padding) for n in (p, p)])
    views = _windows(x, several(kernel_size, 2), several(stride, 2), several(dilation, 2))
    return views.reshape(x.shape[0], math.prod(views.shape[1:4]), math.prod(views.shape[4:]))


def _pooled(dims, input, kernel_size, stride, padding, ceil_mode, fill, dilation=1):
    """(the windows with their elements as the last dimension, the padded input's excess)"""
    kernel = several(kernel_size, dims)
    stride = kernel if stride is None or stride == () else several(stride, dims)
    padding, dilation = several(padding, dims), several(dilation, dims)
    if any(p < 0 or 2 * p > k for p, k in zip(padding, kernel, strict=True)) or min(stride) < 1:
        raise RuntimeError(f"padding is from 0 to half a window, a stride at least 1: got {padding}, {stride} for {kernel}")
    after = []
    for n, k, s, p, d in zip(input.shape[-dims:], kernel, stride, padding, dilation, strict=True):
        extra = 0
        if ceil_mode:
            rest = n + 2 * p - d * (k - 1) - 1
            count = -(-rest // s) + 1
            if (count - 1) * s >= n + p:  # a window must begin inside
                count -= 1
            extra = max(0, (count - 1) * s - rest)
        after.append(p + extra)
    x = pad(input, [v for p, a in zip(reversed(padding), reversed(after), strict=True) for v in (p, a)], value=fill)
    views = _windows(x, kernel, stride, dilation)
    places = tuple(views.shape[-dims:])
    lead = tuple(input.shape[:-dims])
    order = (*range(len(lead)), *range(len(lead) + dims, len(lead) + 2 * dims), *range(len(lead), len(lead) + dims))
    return views.permute(*order).reshape(*lead, *places, math.prod(kernel))


def _check_pooled(dims, input):
    """Only a batch may be empty."""
    if input.ndim not in (dims + 1, dims + 2) or 0 in input.shape[-dims - 1 :]:
        raise RuntimeError(
            f"pooling in {dims} dimensions takes ([batch,] channels{', size' * dims}), got shape {tuple(input.shape)}"
        )


def max_pooled(dims, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices):
    """The largest element of each window; with ``return_indices`` also its place among all elements of the pooled ."""
    _check_pooled(dims, input)
    found = _pooled(dims, input, kernel_size, stride, padding, ceil_mode, -math.inf, dilation)
    largest, places = found.max(-1)
    if not return_indices:
        return largest
    sizes = tuple(input.shape[-dims:])
    with tj.no_grad():
        numbers = tj.arange(math.prod(sizes)).to(tj.float64).reshape(sizes)
        numbers = _pooled(dims, numbers, kernel_size, stride, padding, ceil_mode, 0.0, dilation).expand(found.shape)
        return largest, tj.gather(numbers, -1, places.unsqueeze(-1)).squeeze(-1).long()


def max_pool1d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """The largest element of each window of (..., length), and with ``return_indices`` its place."""
    return max_pooled(1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool2d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """The largest element of each window of (..., height, width), and with ``return_indices`` its place in the plane."""
    return max_pooled(2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def _average(dims, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor=None):
    _check_pooled(dims, input)
    total = _pooled(dims, input, kernel_size, stride, padding, ceil_mode, 0.0).sum(-1)
    if divisor == 0:
        raise RuntimeError("divisor_override must not be 0")
    if divisor is not None:
        return total / divisor
    padding = several(padding, dims)
    if not ceil_mode and (count_include_pad or not any(padding)):
        return total / math.prod(several(kernel_size, dims))
    ones = tj.ones(tuple(input.shape[-dims:]), dtype=input.dtype)
    if count_include_pad:
        ones = pad(ones, [n for p in reversed(padding) for n in (p, p)], value=1.0)
        padding = 0
    return total / _pooled(dims, ones, kernel_size, stride, padding, ceil_mode, 0.0).sum(-1)


def avg_pool1d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    """The mean of each window of (..., length)."""
    return _average(1, input, kernel_size, stride, padding, ceil_mode, count_include_pad)


def avg_pool2d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None):
    """The mean of each window of (..., height, width)."""
    return _average(2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def _adaptive(dims, input, output_size, reduce):
    sizes, asked = tuple(input.shape[-dims:]), several(output_size, dims)
    if input.ndim not in (dims + 1, dims + 2) or len(asked) != dims:
        raise ArgumentError(
            f"adaptive pooling takes ([batch,] channels{', size' * dims}) and {dims} sizes, got shape {tuple(input.shape)} "
            f"and {output_size}"
        )
    goal = [n if g is None else g for n, g in zip(sizes, asked, strict=True)]
    for k, (n, count) in enumerate(zip(sizes, goal, strict=True)):
        d = input.ndim - dims + k
        ends = [(i * n // count, -(-(i + 1) * n // count)) for i in range(count)]
        input = tj.stack([reduce(tj.narrow(input, d, a, b - a), d) for a, b in ends], d)
    return input


def adaptive_avg_pool1d(input, output_size):
    """The mean of as many windows as are asked for."""
    return _adaptive(1, input, output_size, lambda x, d: x.mean(d))


def adaptive_avg_pool2d(input, output_size):
    """The mean of as many windows as are asked for, (height, width); None keeps a size."""
    return _adaptive(2, input, output_size, lambda x, d: x.mean(d))


def adaptive_max_pooled(dims, input, output_size, return_indices=False):
    """The largest of as many windows as are asked for; with ``return_indices`` also its place among all elements."""
    if not return_indices:
        return _adaptive(dims, input, output_size, lambda x, d: x.max(d)[0])
    sizes, lead = tuple(input.shape[-dims:]), tuple(input.shape[:-dims])
    goal = [n if g is None else g for n, g in zip(sizes, several(output_size, dims), strict=True)]
    ends = [[(i * n // m, -(-(i + 1) * n // m)) for i in range(m)] for n, m in zip(sizes, goal, strict=True)]
    numbers = np.arange(math.prod(sizes)).reshape(sizes)
    values, places = [], []
    for window in itertools.product(*ends):
        key = tuple(slice(*end) for end in window)
        value, place = input[(..., *key)].reshape(*lead, math.prod(b - a for a, b in window)).max(-1)
        values.append(value)
        places.append(tj.tensor(numbers[key].reshape(-1))[place])
    return tuple(tj.stack(part, -1).reshape(*lead, *goal) for part in (values, places))


def adaptive_max_pool2d(input, output_size, return_indices=False):
    """The largest of as many windows as are asked for, (height, width); with ``return_indices`` also its place."""
    return adaptive_max_pooled(2, input, output_size, return_indices)


class ConvolutionModule(Module):
    """The weight and bias of a convolution, or of the transpose of one: uniform in +-1/sqrt(fan_in) at first."""

    def _add_parameters(self, shape, bias, dtype):
        self.weight = Parameter(tj.empty(*shape, dtype=dtype))
        self.register_parameter("bias", Parameter(tj.empty(self.out_channels, dtype=dtype)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self):
        """Draw the parameters anew."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(init.fans(self.weight)[0])
            init.uniform_(self.bias, -bound, bound)


class _Conv(ConvolutionModule):
    dims = 0

    def __init__(
        self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True,
        padding_mode="zeros", device=None, dtype=None,
    ):  # fmt: skip
        super().__init__()
        if in_channels % groups or out_channels % groups:
            raise ValueError("in_channels and out_channels must be divisible by groups")
        if isinstance(padding, str) and (padding not in ("same", "valid") or (padding == "same" and stride not in (1, (1, 1)))):
            raise ValueError('padding is "same" (with stride 1), "valid" or numbers')
        self.in_channels, self.out_channels, self.groups, self.padding_mode = in_channels, out_channels, groups, padding_mode
        self.kernel_size, self.stride, self.dilation = (several(v, self.dims) for v in (kernel_size, stride, dilation))
        self.padding = padding if isinstance(padding, str) else several(padding, self.dims)
        self._add_parameters((out_channels, in_channels // groups, *self.kernel_size), bias, dtype)

    def forward(self, input):
        padding = self.padding
        if self.padding_mode != "zeros":
            if padding == "same":
                around = _same(self.kernel_size, self.dilation)
            else:
                around = [] if padding == "valid" else [n for p in reversed(padding) for n in (p, p)]
            input, padding = pad(input, around, mode=self.padding_mode), 0
        return _convolved(self.dims, input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)

    def extra_repr(self):
        words = [f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"]
        if self.padding != (0,) * self.dims:
            words.append(f"padding={self.padding}")
        if self.dilation != (1,) * self.dims:
            words.append(f"dilation={self.dilation}")
        if self.groups != 1:
            words.append(f"groups={self.groups}")
        if self.bias is None:
            words.append("bias=False")
        if self.padding_mode != "zeros":
            words.append(f"padding_mode={self.padding_mode}")
        return ", ".join(words)


class Conv1d(_Conv):
    """``functional.conv1d`` with a weight and a bias, uniform in +-1/sqrt(fan_in) at first."""

    dims = 1


class Conv2d(_Conv):
    """``functional.conv2d`` with a weight and a bias, uniform in +-1/sqrt(fan_in) at first."""

    dims = 2


class Conv3d(_Conv):
    """``functional.conv3d`` with a weight and a bias, uniform in +-1/sqrt(fan_in) at first."""

    dims = 3


class _Pool(Module):
    def __init__(self, kernel_size, stride=None, padding=0, *args, **options):
        super().__init__()
        self.kernel_size, self.padding = kernel_size, padding
        self.stride = kernel_size if stride is None else stride
        names = self._names
        self._options = dict(zip(names, args, strict=False)) | options
        if self._options.keys() - set(names):
            raise TypeError(f"{type(self).__name__}() takes kernel_size, stride, padding, {', '.join(names)}")

    def forward(self, input):
        return self._function(input, self.kernel_size, self.stride, self.padding, **self._options)

    def extra_repr(self):
        tail = ""
        if "dilation" in self._names:
            tail = f", dilation={self._options.get('dilation', 1)}, ceil_mode={self._options.get('ceil_mode', False)}"
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}{tail}"


class MaxPool1d(_Pool):
    """The largest element of each window."""

    _names, _function = ("dilation", "return_indices", "ceil_mode"), staticmethod(max_pool1d)


class MaxPool2d(_Pool):
    """The largest element of each window."""

    _names, _function = ("dilation", "return_indices", "ceil_mode"), staticmethod(max_pool2d)


class AvgPool1d(_Pool):
    """The mean of each window."""

    _names, _function = ("ceil_mode", "count_include_pad"), staticmethod(avg_pool1d)


class AvgPool2d(_Pool):
    """The mean of each window."""

    _names, _function = ("ceil_mode", "count_include_pad", "divisor_override"), staticmethod(avg_pool2d)


class _Adaptive(Module):
    def __init__(self, output_size):
        super().__init__()
        self.output_size = output_size

    def forward(self, input):
        return self._function(input, self.output_size)

    def extra_repr(self):
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(_Adaptive):
    """The mean of as many windows as are asked for."""

    _function = staticmethod(adaptive_avg_pool1d)


class AdaptiveAvgPool2d(_Adaptive):
    """The mean of as many windows as are asked for."""

    _function = staticmethod(adaptive_avg_pool2d)


class AdaptiveMaxPool2d(_Adaptive):
    """The largest of as many windows as are asked for."""

    _function = staticmethod(adaptive_max_pool2d)


class Unfold(Module):
    """See ``functional.unfold``."""

    def __init__(self, kernel_size, dilation=1, padding=0, stride=1):
        super().__init__()
        self.kernel_size, self.dilation, self.padding, self.stride = kernel_size, dilation, padding, stride

    def forward(self, input):
        return unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)
