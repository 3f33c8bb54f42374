"""``convolve`` of tensors with HIPS autograd's further arguments."""

import math

import tapejit as tj

__all__ = ["convolve"]


def convolve(A, B, axes=None, dot_axes=((), ()), mode="full"):
    """The convolution of A and B along pairs of ``axes`` (all by default, at most three), summed over pairs of ``dot_axes``.

    The result has A's other dimensions, then B's, then those of the convolution: of size n + m - 1 ("full"), or n - m + 1
    ("valid").

    Raises:
        NotImplementedError: for another mode, or more than three dimensions.
    """
    A, B = tj.as_tensor(A), tj.as_tensor(B)
    axes = (tuple(range(A.ndim)), tuple(range(B.ndim))) if axes is None else tuple(map(tuple, axes))
    if mode not in ("full", "valid") or not 1 <= len(axes[0]) <= 3:
        raise NotImplementedError(f'convolve() has the modes "full" and "valid" along one to three axes, got {mode!r}, {axes}')
    used = [(*along, *dots) for along, dots in zip(axes, dot_axes, strict=True)]
    rest = [[d for d in range(x.ndim) if d not in dims] for x, dims in zip((A, B), used, strict=True)]
    lead = [tuple(x.shape[d] for d in dims) for x, dims in zip((A, B), rest, strict=True)]
    joint = math.prod(A.shape[d] for d in dot_axes[0])
    sizes = [tuple(x.shape[d] for d in along) for x, along in zip((A, B), axes, strict=True)]
    rows = A.permute(*rest[0], *dot_axes[0], *axes[0]).reshape(math.prod(lead[0]), joint, *sizes[0])
    weight = B.permute(*rest[1], *dot_axes[1], *axes[1]).reshape(math.prod(lead[1]), joint, *sizes[1])
    weight = tj.flip(weight, tuple(range(2, weight.ndim)))
    conv = getattr(tj.nn.functional, f"conv{len(axes[0])}d")
    y = conv(rows, weight, padding=tuple(m - 1 if mode == "full" else 0 for m in sizes[1]))
    return y.reshape(*lead[0], *lead[1], *y.shape[2:])
