"""Layers that centre and scale: LayerNorm, BatchNorm, GroupNorm, InstanceNorm, RMSNorm."""

import math

import tapejit as tj
from tapejit.core.refusals import ArgumentError
from tapejit.nn.module import Module
from tapejit.nn.parameter import Parameter


def layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-5):
    """(x - mean) / sqrt(variance + eps) over the last dimensions, which are ``normalized_shape``; times weight plus bias."""
    shape = _shape(normalized_shape)
    if tuple(input.shape[-len(shape) :]) != shape:
        raise RuntimeError(f"layer_norm: the last dimensions must be {shape}, the input has shape {tuple(input.shape)}")
    for name, t in (("weight", weight), ("bias", bias)):
        if t is not None and tuple(t.shape) != shape:
            raise RuntimeError(f"layer_norm: the {name} must have shape {shape}, got {tuple(t.shape)}")
    return _scaled(_normalized(input, tuple(range(-len(shape), 0)), eps), weight, bias)


def rms_norm(input, normalized_shape, weight=None, eps=None):
    """x / sqrt(mean of squares + eps) over the last dimensions."""
    shape = _shape(normalized_shape)
    if not shape or tuple(input.shape[-len(shape) :]) != shape:
        raise RuntimeError(f"rms_norm: the last dimensions must be {shape}, the input has shape {tuple(input.shape)}")
    if weight is not None and tuple(weight.shape) != shape:
        raise RuntimeError(f"rms_norm: the weight must have shape {shape}, got {tuple(weight.shape)}")
    dims = tuple(range(-len(shape), 0))
    eps = tj.finfo(input.dtype).eps if eps is None else eps
    return _scaled(input * tj.rsqrt((input * input).mean(dims, keepdim=True) + eps), weight, None)


def group_norm(input, num_groups, weight=None, bias=None, eps=1e-5):
    """``layer_norm`` over groups of channels (dimension 1), each with all that follows."""
    if input.ndim < 2:
        raise RuntimeError(f"group_norm() takes (batch, channels, ...), got shape {tuple(input.shape)}")
    n, c = input.shape[:2]
    if c % num_groups:
        raise ArgumentError(f"group_norm: {c} channels cannot be divided into {num_groups} groups")
    y = _normalized(input.reshape(n, num_groups, math.prod(input.shape[1:]) // num_groups), (-1,), eps).reshape(input.shape)
    return _scaled(y, *_by_channel(input, weight, bias))


def instance_norm(
    input, running_mean=None, running_var=None, weight=None, bias=None, use_input_stats=True, momentum=0.1, eps=1e-5
):
    """Each channel of each example by itself, which moves the running mean and variance; else by these, which stay."""
    if not use_input_stats:
        return batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    dims = tuple(range(2, input.ndim))
    if running_mean is not None:
        with tj.no_grad():
            x = input.detach()
            running_mean += momentum * (x.mean(dims).mean(0) - running_mean)
            running_var += momentum * (x.var(dims).mean(0) - running_var)
    return _scaled(_normalized(input, dims, eps), *_by_channel(input, weight, bias))


def local_response_norm(input, size, alpha=1e-4, beta=0.75, k=1.0):
    """x / (k + alpha * mean of squares over ``size`` neighbouring channels) ** beta (Krizhevsky and others, 2012)."""
    n, c = input.shape[:2]
    squares = (input * input).reshape(n, c, math.prod(input.shape[2:]))
    around = tj.zeros(n, size // 2, squares.shape[2], dtype=input.dtype), squares
    whole = tj.cat([*around, tj.zeros(n, (size - 1) // 2, squares.shape[2], dtype=input.dtype)], 1)
    total = whole[:, :c]
    for j in range(1, size):
        total = total + whole[:, j : j + c]
    return input / (k + alpha * (total / size).reshape(input.shape)) ** beta


def batch_norm(input, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5):
    """Each channel (dimension 1) over the batch when training, which moves the running mean and variance; else by these."""
    dims = (0, *range(2, input.ndim))
    if training or running_mean is None:
        count = input.numel() // input.shape[1]
        if training and count == 1:
            raise ValueError(f"expected more than 1 value per channel when training, got input size {tuple(input.shape)}")
        mean = input.mean(dims, keepdim=True)
        centred = input - mean
        variance = (centred * centred).mean(dims, keepdim=True)
        if training and running_mean is not None:
            with tj.no_grad():
                running_mean += momentum * (mean.detach().reshape(-1) - running_mean)
                unbiased = variance.detach().reshape(-1) * (count / max(count - 1, 1))
                running_var += momentum * (unbiased - running_var)
        y = centred * tj.rsqrt(variance + eps)
    else:
        mean, variance = _by_channel(input, running_mean, running_var)
        y = (input - mean) * tj.rsqrt(variance + eps)
    return _scaled(y, *_by_channel(input, weight, bias))


def _normalized(x, dims, eps):
    centred = x - x.mean(dims, keepdim=True)
    return centred * tj.rsqrt((centred * centred).mean(dims, keepdim=True) + eps)


def _scaled(y, weight, bias):
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


def _by_channel(input, *vectors):
    return [None if v is None else v.reshape(1, -1, *(1,) * (input.ndim - 2)) for v in vectors]


def _shape(shape):
    return (shape,) if isinstance(shape, int) else tuple(shape)


def _affine(module, shape, affine, bias, dtype):
    module.register_parameter("weight", Parameter(tj.ones(shape, dtype=dtype)) if affine else None)
    module.register_parameter("bias", Parameter(tj.zeros(shape, dtype=dtype)) if affine and bias else None)


class LayerNorm(Module):
    """See ``functional.layer_norm``."""

    def __init__(self, normalized_shape, eps=1e-5, elementwise_affine=True, bias=True, device=None, dtype=None):
        super().__init__()
        self.normalized_shape, self.eps, self.elementwise_affine = _shape(normalized_shape), eps, elementwise_affine
        _affine(self, self.normalized_shape, elementwise_affine, bias, dtype)

    def forward(self, input):
        return layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self):
        tail = f"elementwise_affine={self.elementwise_affine}, bias={self.bias is not None}"
        return f"{self.normalized_shape}, eps={self.eps}, {tail}"


class RMSNorm(Module):
    """See ``functional.rms_norm``."""

    def __init__(self, normalized_shape, eps=None, elementwise_affine=True, device=None, dtype=None):
        super().__init__()
        self.normalized_shape, self.eps, self.elementwise_affine = _shape(normalized_shape), eps, elementwise_affine
        _affine(self, self.normalized_shape, elementwise_affine, False, dtype)

    def forward(self, input):
        return rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self):
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class GroupNorm(Module):
    """See ``functional.group_norm``."""

    def __init__(self, num_groups, num_channels, eps=1e-5, affine=True, device=None, dtype=None, *, bias=True):
        super().__init__()
        self.num_groups, self.num_channels, self.eps, self.affine = num_groups, num_channels, eps, affine
        _affine(self, (num_channels,), affine, bias, dtype)

    def forward(self, input):
        return group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self):
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, bias={self.bias is not None}"


class _BatchNorm(Module):
    dims = ()

    def __init__(
        self, num_features, eps=1e-5, momentum=0.1, affine=True, track_running_stats=True, device=None, dtype=None, *, bias=True
    ):  # fmt: skip
        super().__init__()
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        _affine(self, (num_features,), affine, bias, dtype)
        kept = track_running_stats
        self.register_buffer("running_mean", tj.zeros(num_features, dtype=dtype) if kept else None)
        self.register_buffer("running_var", tj.ones(num_features, dtype=dtype) if kept else None)
        self.register_buffer("num_batches_tracked", tj.tensor(0) if kept else None)

    def forward(self, input):
        if input.ndim not in self.dims:
            raise ValueError(f"expected {' or '.join(f'{d}D' for d in self.dims)} input (got {input.ndim}D input)")
        momentum = self.momentum
        if self.training and self.track_running_stats:
            self.num_batches_tracked += 1
            if momentum is None:
                momentum = 1.0 / self.num_batches_tracked.item()
        return batch_norm(
            input, self.running_mean, self.running_var, self.weight, self.bias,
            self.training or not self.track_running_stats, momentum or 0.0, self.eps,
        )  # fmt: skip

    def reset_running_stats(self) -> None:
        """Begin anew with the running mean, variance and count."""
        if self.track_running_stats:
            self.running_mean.zero_()
            self.running_var.fill_(1)
            self.num_batches_tracked.zero_()

    def extra_repr(self):
        kept = self.bias is not None
        tail = f"affine={self.affine}, bias={kept}, track_running_stats={self.track_running_stats}"
        return f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, {tail}"


class BatchNorm1d(_BatchNorm):
    """``functional.batch_norm`` of (batch, channels) or (batch, channels, length)."""

    dims = (2, 3)


class BatchNorm2d(_BatchNorm):
    """``functional.batch_norm`` of (batch, channels, height, width)."""

    dims = (4,)



class BatchNorm3d(_BatchNorm):
    """``functional.batch_norm`` of (batch, channels, depth, height, width)."""

    dims = (5,)


class _InstanceNorm(Module):
    """See ``functional.instance_norm``; there are no running statistics."""

    dims = 0

    def __init__(
        self, num_features, eps=1e-5, momentum=0.1, affine=False, track_running_stats=False, device=None, dtype=None
    ):  # fmt: skip
        super().__init__()
        if track_running_stats:
            raise NotImplementedError(f"{type(self).__name__} keeps no running statistics")
        self.num_features, self.eps, self.momentum, self.affine = num_features, eps, momentum, affine
        _affine(self, (num_features,), affine, affine, dtype)

    def forward(self, input):
        single = input.ndim == self.dims + 1
        if not single and input.ndim != self.dims + 2:
            raise ValueError(f"expected {self.dims + 1}D or {self.dims + 2}D input (got {input.ndim}D input)")
        x = input.unsqueeze(0) if single else input
        y = instance_norm(x, weight=self.weight, bias=self.bias, eps=self.eps)
        return y[0] if single else y

    def extra_repr(self):
        return f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}"


class InstanceNorm1d(_InstanceNorm):
    """``functional.instance_norm`` of (batch, channels, length)."""

    dims = 1


class InstanceNorm2d(_InstanceNorm):
    """``functional.instance_norm`` of (batch, channels, height, width)."""

    dims = 2


class InstanceNorm3d(_InstanceNorm):
    """``functional.instance_norm`` of (batch, channels, depth, height, width)."""

    dims = 3


class LocalResponseNorm(Module):
    """See ``functional.local_response_norm``."""

    def __init__(self, size, alpha=1e-4, beta=0.75, k=1.0):
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, input):
        return local_response_norm(input, self.size, self.alpha, self.beta, self.k)
