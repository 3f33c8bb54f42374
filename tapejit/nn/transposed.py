"""Convolutions turned round, and windows put back: each element of the input is spread over a window of the result.

The windows of the result are one strided view of it, of which this is the transpose: what overlaps is added up.
"""

import math

import tapejit as tj
from tapejit.eager.views import spread
from tapejit.nn.module import Module
from tapejit.nn.windows import ConvolutionModule, several, window_layout


def _cropped(x, padding, sizes):
    for k, (p, n) in enumerate(zip(padding, sizes, strict=True)):
        x = tj.narrow(x, x.ndim - len(sizes) + k, p, n)
    return x


def _put_back(columns, lead, kernel, stride, dilation, padding, sizes):
    """The sum of all windows in a result of (..., sizes...), of which ``padding`` on both sides is cut off."""
    whole = (*lead, *(n + 2 * p for n, p in zip(sizes, padding, strict=True)))
    shape, strides = window_layout(whole, kernel, stride, dilation)
    return _cropped(spread(columns.reshape(shape), shape, strides, 0, whole), padding, sizes)


def _turned(dims, input, weight, bias, stride, padding, output_padding, groups, dilation):
    stride, padding, dilation = several(stride, dims), several(padding, dims), several(dilation, dims)
    extra, kernel = several(output_padding, dims), tuple(weight.shape[2:])
    single = input.ndim == dims + 1
    x = input.unsqueeze(0) if single else input
    if x.ndim != dims + 2 or x.shape[1] != weight.shape[0] or weight.shape[0] % groups:
        raise RuntimeError(
            f"conv_transpose{dims}d: a weight of shape {tuple(weight.shape)} with groups={groups} needs an input of shape "
            f"(batch, {weight.shape[0]}{', size' * dims}), got {tuple(input.shape)}"
        )
    if min(extra) < 0:
        raise RuntimeError(f"output_padding must not be negative, got {extra}")
    if any(e >= max(s, d) for e, s, d in zip(extra, stride, dilation, strict=True)):
        raise RuntimeError(f"output_padding must be smaller than stride or dilation, got {extra}, {stride}, {dilation}")
    places, batch = tuple(x.shape[2:]), x.shape[0]
    rows = weight.reshape(groups, weight.shape[0] // groups, -1).transpose(1, 2)
    columns = rows @ x.reshape(batch, groups, weight.shape[0] // groups, math.prod(places))
    lead = (batch, groups * weight.shape[1])
    reach = [(n - 1) * s + d * (k - 1) + 1 for n, s, d, k in zip(places, stride, dilation, kernel, strict=True)]
    whole = (*lead, *reach)
    shape, strides = window_layout(whole, kernel, stride, dilation)
    y = spread(columns.reshape(shape), shape, strides, 0, whole)
    y = tj.nn.functional.pad(y, [n for e in reversed(extra) for n in (0, e)])
    y = _cropped(y, padding, [n + e - 2 * p for n, e, p in zip(reach, extra, padding, strict=True)])
    if bias is not None:
        y = y + bias.reshape(-1, *(1,) * dims)
    return y[0] if single else y


def conv_transpose1d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """The transpose of ``conv1d`` for (batch, channels, length) and weight (channels, out / groups, length)."""
    return _turned(1, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose2d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """The transpose of ``conv2d`` for (batch, channels, height, width) and weight (channels, out / groups, height, width)."""
    return _turned(2, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose3d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """The transpose of ``conv3d``."""
    return _turned(3, input, weight, bias, stride, padding, output_padding, groups, dilation)


def fold(input, output_size, kernel_size, dilation=1, padding=0, stride=1):
    """The transpose of ``unfold``: (batch, channels * window, places) to (batch, channels, height, width); batch or not."""
    output_size, kernel = several(output_size, 2), several(kernel_size, 2)
    stride, padding, dilation = several(stride, 2), several(padding, 2), several(dilation, 2)
    single = input.ndim == 2
    x = input.unsqueeze(0) if single else input
    channels, rest = divmod(x.shape[1], math.prod(kernel))
    whole = [n + 2 * p for n, p in zip(output_size, padding, strict=True)]
    steps = zip(whole, kernel, stride, dilation, strict=True)
    places = math.prod((n - d * (k - 1) - 1) // s + 1 for n, k, s, d in steps)
    if rest or places != x.shape[2]:
        raise RuntimeError(
            f"fold to {output_size} by windows of {kernel} needs (batch, channels * {math.prod(kernel)}, {places}), "
            f"got {tuple(input.shape)}"
        )
    y = _put_back(x, (x.shape[0], channels), kernel, stride, dilation, padding, output_size)
    return y[0] if single else y


class _ConvTranspose(ConvolutionModule):
    dims = 0

    def __init__(
        self, in_channels, out_channels, kernel_size, stride=1, padding=0, output_padding=0, groups=1, bias=True, dilation=1,
        padding_mode="zeros", device=None, dtype=None,
    ):  # fmt: skip
        super().__init__()
        if in_channels % groups or out_channels % groups:
            raise ValueError("in_channels and out_channels must be divisible by groups")
        if padding_mode != "zeros":
            raise ValueError('a transposed convolution knows padding_mode "zeros" only')
        self.in_channels, self.out_channels, self.groups, self.padding_mode = in_channels, out_channels, groups, padding_mode
        self.kernel_size, self.stride, self.padding, self.output_padding, self.dilation = (
            several(v, self.dims) for v in (kernel_size, stride, padding, output_padding, dilation)
        )
        self._add_parameters((in_channels, out_channels // groups, *self.kernel_size), bias, dtype)

    def forward(self, input, output_size=None):
        """The result; ``output_size`` chooses among the sizes that ``stride`` leaves open.

        Raises:
            ValueError: if it is none of these.
        """
        extra = self.output_padding if output_size is None else self._extra(input, output_size)
        return _turned(
            self.dims, input, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation
        )  # fmt: skip

    def _extra(self, input, output_size):
        steps = zip(input.shape[-self.dims :], self.stride, self.padding, self.dilation, self.kernel_size, strict=True)
        least = [(n - 1) * s - 2 * p + d * (k - 1) + 1 for n, s, p, d, k in steps]
        extra = tuple(n - m for n, m in zip(output_size[-self.dims :], least, strict=True))
        if any(not 0 <= e < s for e, s in zip(extra, self.stride, strict=True)):
            raise ValueError(f"output_size must be between {least} and a stride more, got {tuple(output_size)}")
        return extra

    def extra_repr(self):
        words = [f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"]
        for name, plain in (("padding", 0), ("output_padding", 0), ("dilation", 1)):
            if getattr(self, name) != (plain,) * self.dims:
                words.append(f"{name}={getattr(self, name)}")
        if self.groups != 1:
            words.append(f"groups={self.groups}")
        if self.bias is None:
            words.append("bias=False")
        return ", ".join(words)


class ConvTranspose1d(_ConvTranspose):
    """``functional.conv_transpose1d`` with a weight and a bias, uniform in +-1/sqrt(fan_in) at first."""

    dims = 1


class ConvTranspose2d(_ConvTranspose):
    """``functional.conv_transpose2d`` with a weight and a bias, uniform in +-1/sqrt(fan_in) at first."""

    dims = 2


class ConvTranspose3d(_ConvTranspose):
    """``functional.conv_transpose3d`` with a weight and a bias, uniform in +-1/sqrt(fan_in) at first."""

    dims = 3


class Fold(Module):
    """See ``functional.fold``."""

    def __init__(self, output_size, kernel_size, dilation=1, padding=0, stride=1):
        super().__init__()
        self.output_size, self.kernel_size, self.dilation = output_size, kernel_size, dilation
        self.padding, self.stride = padding, stride

    def forward(self, input):
        return fold(input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride)
