"""Layers that change sizes: interpolation, shuffling of pixels and channels, power-average and three-dimensional pooling."""

import math

import tapejit as tj
from tapejit.nn.module import Module
from tapejit.nn.windows import (
    _adaptive,
    _average,
    adaptive_max_pooled,
    avg_pool1d,
    avg_pool2d,
    max_pooled,
    several,
)


def _along(x, d, places, shares):
    """A weighted sum of elements along a dimension: one row of places and one of weights for each term."""
    total = None
    for place, share in zip(places, shares, strict=True):
        term = tj.index_select(x, d, tj.tensor(place))
        if share is not None:
            term = term * tj.tensor(share, dtype=x.dtype).reshape(-1, *(1,) * (x.ndim - 1 - d))
        total = term if total is None else total + term
    return total


def _place(i, n, count, align, scale):
    """Where element i of the result lies among the n of the input: the ends on the ends, or the centres in step."""
    if align:
        return i * (n - 1) / (count - 1) if count > 1 else 0.0
    return (i + 0.5) * scale - 0.5


def _linear_places(n, count, align, scale):
    """The two neighbours of each place of the result, and their shares."""
    low, high, near, far = [], [], [], []
    for i in range(count):
        at = max(0.0, _place(i, n, count, align, scale))
        k = min(int(at), n - 1)
        low.append(k)
        high.append(min(k + 1, n - 1))
        far.append(at - k)
        near.append(1.0 - (at - k))
    return (low, high), (near, far)


def _cubic_places(n, count, align, scale):
    """The four neighbours of each place and their shares (Keys, 1981, with a = -3/4)."""
    a, places, shares = -0.75, ([], [], [], []), ([], [], [], [])
    for i in range(count):
        at = _place(i, n, count, align, scale)
        k = math.floor(at)
        for j in range(4):
            t = abs(at - (k - 1 + j))
            near = ((a + 2) * t - (a + 3)) * t * t + 1
            places[j].append(min(max(k - 1 + j, 0), n - 1))
            shares[j].append(near if t <= 1 else ((a * t - 5 * a) * t + 8 * a) * t - 4 * a)
    return places, shares


def _nearest_places(n, count, align, scale):
    return ([min(int(i * scale), n - 1) for i in range(count)],), (None,)


def _exact_places(n, count, align, scale):
    return ([min(int((i + 0.5) * scale), n - 1) for i in range(count)],), (None,)


_MODES = {
    "nearest": (_nearest_places, (1, 2, 3)), "nearest-exact": (_exact_places, (1, 2, 3)), "linear": (_linear_places, (1,)),
    "bilinear": (_linear_places, (2,)), "trilinear": (_linear_places, (3,)), "bicubic": (_cubic_places, (2,)),
}  # fmt: skip


def interpolate(
    input, size=None, scale_factor=None, mode="nearest", align_corners=None, recompute_scale_factor=None, antialias=False
):
    """(batch, channels, sizes...) at other sizes: given ones, or ``scale_factor`` times theirs.

    ``mode`` is "nearest", "nearest-exact", "linear", "bilinear", "trilinear" (by the number of sizes), "bicubic" or "area".

    Raises:
        ValueError: for another mode, or unless one of ``size`` and ``scale_factor`` is given.
        NotImplementedError: for ``antialias``.
    """
    dims = input.ndim - 2
    sizes = tuple(input.shape[2:])
    if (size is None) == (scale_factor is None):
        raise ValueError("interpolate() needs either size or scale_factor")
    if antialias:
        raise NotImplementedError("interpolate() has no antialias")
    factors = [None] * dims
    if size is None:
        factors = [float(f) for f in (scale_factor if isinstance(scale_factor, (tuple, list)) else [scale_factor] * dims)]
        goal = [math.floor(n * f) for n, f in zip(sizes, factors, strict=True)]
        factors = [None] * dims if recompute_scale_factor else factors
    else:
        goal = list(several(size, dims))
    if mode == "area":
        return _adaptive(dims, input, tuple(goal), lambda x, d: x.mean(d))
    if mode not in _MODES or dims not in _MODES[mode][1]:
        raise ValueError(f"interpolate() of {input.ndim} dimensions has no mode {mode!r}; there are {[*_MODES, 'area']}")
    x = input
    for k, (n, count, factor) in enumerate(zip(sizes, goal, factors, strict=True)):
        scale = n / count if factor is None else 1.0 / factor
        x = _along(x, 2 + k, *_MODES[mode][0](n, count, bool(align_corners), scale))
    return x


def pixel_shuffle(input, upscale_factor):
    """(..., channels * r * r, height, width) as (..., channels, height * r, width * r)."""
    r = upscale_factor
    *lead, c, h, w = input.shape
    if c % (r * r):
        raise RuntimeError(f"pixel_shuffle by {r} needs a number of channels that {r * r} divides, got {c}")
    y = input.reshape(*lead, c // (r * r), r, r, h, w)
    order = [*range(len(lead) + 1), *(len(lead) + k for k in (3, 1, 4, 2))]
    return y.permute(*order).reshape(*lead, c // (r * r), h * r, w * r)


def pixel_unshuffle(input, downscale_factor):
    """The inverse of ``pixel_shuffle``."""
    r = downscale_factor
    *lead, c, h, w = input.shape
    if h % r or w % r:
        raise RuntimeError(f"pixel_unshuffle by {r} needs a height and width that it divides, got {h} and {w}")
    y = input.reshape(*lead, c, h // r, r, w // r, r)
    order = [*range(len(lead) + 1), *(len(lead) + k for k in (2, 4, 1, 3))]
    return y.permute(*order).reshape(*lead, c * r * r, h // r, w // r)


def channel_shuffle(input, groups):
    """The channels dealt out anew: the first of each group, then the second of each, ..."""
    n, c, *sizes = input.shape
    if c % groups:
        raise RuntimeError(f"channel_shuffle: {groups} groups do not divide {c} channels")
    return input.reshape(n, groups, c // groups, *sizes).transpose(1, 2).reshape(n, c, *sizes)


def max_pool3d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """The largest element of each window of (..., depth, height, width), and with ``return_indices`` its place in the block."""
    return max_pooled(3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def _put_at(dims, input, indices, kernel_size, stride, padding, output_size):
    """The inverse of pooling with its indices: every element at its place, zeros elsewhere."""
    kernel, padding = several(kernel_size, dims), several(padding, dims)
    stride = kernel if stride is None else several(stride, dims)
    sizes = tuple(input.shape[-dims:])
    if output_size is None:
        output_size = [(n - 1) * s - 2 * p + k for n, s, p, k in zip(sizes, stride, padding, kernel, strict=True)]
    output_size, lead = tuple(output_size)[-dims:], tuple(input.shape[:-dims])
    zeros = tj.zeros(*lead, math.prod(output_size), dtype=input.dtype)
    flat = [x.reshape(*lead, math.prod(sizes)) for x in (indices, input)]
    return zeros.scatter(-1, *flat).reshape(*lead, *output_size)


def max_unpool1d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """The elements of ``max_pool1d`` put back at their places among zeros."""
    return _put_at(1, input, indices, kernel_size, stride, padding, output_size)


def max_unpool2d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """The elements of ``max_pool2d`` put back at their places among zeros."""
    return _put_at(2, input, indices, kernel_size, stride, padding, output_size)


def max_unpool3d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """The elements of ``max_pool3d`` put back at their places among zeros."""
    return _put_at(3, input, indices, kernel_size, stride, padding, output_size)


def avg_pool3d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None):
    """The mean of each window of (..., depth, height, width)."""
    return _average(3, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def adaptive_avg_pool3d(input, output_size):
    """The mean of as many windows as are asked for, (depth, height, width); None keeps a size."""
    return _adaptive(3, input, output_size, lambda x, d: x.mean(d))


def adaptive_max_pool1d(input, output_size, return_indices=False):
    """The largest of as many windows as are asked for; with ``return_indices`` also its place."""
    return adaptive_max_pooled(1, input, output_size, return_indices)


def adaptive_max_pool3d(input, output_size, return_indices=False):
    """The largest of as many windows as are asked for, (depth, height, width); with ``return_indices`` also its place."""
    return adaptive_max_pooled(3, input, output_size, return_indices)


def _powers(dims, input, norm_type, kernel_size, stride, ceil_mode):
    pool = {1: avg_pool1d, 2: avg_pool2d, 3: avg_pool3d}[dims]
    total = pool(input**norm_type, kernel_size, stride, 0, ceil_mode)
    total = tj.sign(total) * tj.relu(tj.abs(total)) * math.prod(several(kernel_size, dims))
    return total ** (1.0 / norm_type)


def lp_pool1d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """The p-norm of each window of (..., length), without absolute values: the p-th root of the sum of p-th powers."""
    return _powers(1, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """The p-norm of each window of (..., height, width), without absolute values."""
    return _powers(2, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """The p-norm of each window of (..., depth, height, width), without absolute values."""
    return _powers(3, input, norm_type, kernel_size, stride, ceil_mode)


class Upsample(Module):
    """See ``functional.interpolate``."""

    def __init__(self, size=None, scale_factor=None, mode="nearest", align_corners=None, recompute_scale_factor=None):
        super().__init__()
        self.size, self.scale_factor, self.mode = size, scale_factor, mode
        self.align_corners, self.recompute_scale_factor = align_corners, recompute_scale_factor

    def forward(self, input):
        return interpolate(
            input, self.size, self.scale_factor, self.mode, self.align_corners, self.recompute_scale_factor
        )  # fmt: skip

    def extra_repr(self):
        goal = f"size={self.size}" if self.scale_factor is None else f"scale_factor={float(self.scale_factor)}"
        return f"{goal}, mode={self.mode!r}"


class UpsamplingNearest2d(Upsample):
    """``Upsample`` of the nearest element."""

    def __init__(self, size=None, scale_factor=None):
        super().__init__(size, scale_factor, "nearest")


class UpsamplingBilinear2d(Upsample):
    """``Upsample`` between the corners, bilinear."""

    def __init__(self, size=None, scale_factor=None):
        super().__init__(size, scale_factor, "bilinear", True)


class _Of(Module):
    """A layer that is one function of its input and of what it was made with."""

    _names = _defaults = ()

    def __init__(self, *args, **options):
        super().__init__()
        given = dict(zip(self._names, self._defaults, strict=True)) | dict(zip(self._names, args, strict=False)) | options
        if len(args) > len(self._names) or given.keys() - set(self._names) or ... in given.values():
            raise TypeError(f"{type(self).__name__}() takes {', '.join(self._names)}")
        vars(self).update(given)

    def forward(self, *inputs):
        return self._function(*inputs, **{name: getattr(self, name) for name in self._names})

    def extra_repr(self):
        return ", ".join(f"{name}={getattr(self, name)}" for name in self._names)


def _layer(name, function, doc, **options):
    """A class of layers; an option of ``...`` must be given."""
    row = {"_names": tuple(options), "_defaults": tuple(options.values()), "_function": staticmethod(function)}
    return type(name, (_Of,), {**row, "__doc__": doc, "__module__": __name__})


_WINDOW = {"norm_type": ..., "kernel_size": ..., "stride": None, "ceil_mode": False}
_THREE = {"kernel_size": ..., "stride": None, "padding": 0}
_MAX = {"dilation": 1, "return_indices": False, "ceil_mode": False}
PixelShuffle = _layer("PixelShuffle", pixel_shuffle, "See ``functional.pixel_shuffle``.", upscale_factor=...)
PixelUnshuffle = _layer("PixelUnshuffle", pixel_unshuffle, "See ``functional.pixel_unshuffle``.", downscale_factor=...)
ChannelShuffle = _layer("ChannelShuffle", channel_shuffle, "See ``functional.channel_shuffle``.", groups=...)
MaxPool3d = _layer("MaxPool3d", max_pool3d, "The largest element of each window.", **_THREE, **_MAX)
_MEAN = {"ceil_mode": False, "count_include_pad": True, "divisor_override": None}
AvgPool3d = _layer("AvgPool3d", avg_pool3d, "The mean of each window.", **_THREE, **_MEAN)
LPPool1d = _layer("LPPool1d", lp_pool1d, "See ``functional.lp_pool1d``.", **_WINDOW)
LPPool2d = _layer("LPPool2d", lp_pool2d, "See ``functional.lp_pool2d``.", **_WINDOW)
LPPool3d = _layer("LPPool3d", lp_pool3d, "See ``functional.lp_pool3d``.", **_WINDOW)
_GOAL = {"output_size": ..., "return_indices": False}
AdaptiveMaxPool1d = _layer("AdaptiveMaxPool1d", adaptive_max_pool1d, "The largest of as many windows.", **_GOAL)
AdaptiveAvgPool3d = _layer("AdaptiveAvgPool3d", adaptive_avg_pool3d, "The mean of as many windows.", output_size=...)
AdaptiveMaxPool3d = _layer("AdaptiveMaxPool3d", adaptive_max_pool3d, "The largest of as many windows.", **_GOAL)


def _unpool(name, function):
    class Unpool(_Of):
        _names, _defaults, _function = tuple(_THREE), tuple(_THREE.values()), staticmethod(function)

        def forward(self, input, indices, output_size=None):
            return function(input, indices, self.kernel_size, self.stride, self.padding, output_size)

    Unpool.__name__ = Unpool.__qualname__ = name
    Unpool.__doc__ = function.__doc__
    return Unpool


MaxUnpool1d = _unpool("MaxUnpool1d", max_unpool1d)
MaxUnpool2d = _unpool("MaxUnpool2d", max_unpool2d)
MaxUnpool3d = _unpool("MaxUnpool3d", max_unpool3d)
