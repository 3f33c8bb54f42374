"""Inputs sampled where a grid says: ``affine_grid`` and ``grid_sample``, of planes and of blocks."""

import itertools

import numpy as np

import tapejit as tj


def affine_grid(theta, size, align_corners=False):
    """Places for ``grid_sample``: (N, height, width, 2) of matrices (N, 2, 3), or (N, depth, height, width, 3) of (N, 3, 4).

    Raises:
        ValueError: if the matrices do not fit the size (N, C, sizes...).
    """
    sizes = tuple(size[2:])
    dims = len(sizes)
    if tuple(theta.shape[1:]) != (dims, dims + 1) or len(size) not in (4, 5):
        raise ValueError(f"affine_grid() to {tuple(size)} takes matrices (N, {dims}, {dims + 1}), got {tuple(theta.shape)}")
    ends = [np.linspace(-1.0, 1.0, n) if n > 1 else np.zeros(1) for n in sizes]
    if not align_corners:
        ends = [e * ((n - 1) / n) for e, n in zip(ends, sizes, strict=True)]
    places = np.meshgrid(*ends, indexing="ij")[::-1]
    base = np.stack([*places, np.ones(sizes)], -1).reshape(-1, dims + 1)
    return (tj.tensor(base, dtype=theta.dtype) @ theta.transpose(1, 2)).reshape(theta.shape[0], *sizes, dims)


def _reflected(x, low, high):
    """Coordinates mirrored at both ends until they are between them."""
    span = high - low
    if span <= 0:
        return x * 0.0
    away = tj.abs(x - low)
    with tj.no_grad():
        turns = tj.floor(away / span)
        odd = tj.remainder(turns, 2.0)
    rest = away - turns * span
    return tj.where(odd == 0, rest, span - rest) + low


def _inside(x, n, padding_mode, align_corners):
    """Coordinates beyond the ends as ``padding_mode`` takes them; those of "zeros" stay."""
    if padding_mode == "reflection":
        x = _reflected(x, 0.0, n - 1.0) if align_corners else _reflected(x, -0.5, n - 0.5)
    return x if padding_mode == "zeros" else tj.clamp(x, 0.0, n - 1.0)


def _taken(flat, sizes, places):
    """Elements of (N, C, numbers) at whole places, one tensor per dimension; zeros beyond the ends."""
    index, there = None, None
    for k, n in zip(places, sizes, strict=True):
        here = (k >= 0) & (k <= n - 1)
        step = tj.clamp(k, 0, n - 1)
        index = step if index is None else index * n + step
        there = here if there is None else there & here
    index = index.detach().long().reshape(flat.shape[0], 1, -1).expand(-1, flat.shape[1], -1)
    found = tj.gather(flat, 2, index).reshape(*flat.shape[:2], *places[0].shape[1:])
    return found * there.to(flat.dtype).unsqueeze(1)


def _keys(t):
    """The shares of four neighbours, the place being t after the second (Keys, 1981, with a = -3/4)."""
    a = -0.75
    near = [((a + 2) * s - (a + 3)) * s * s + 1 for s in (t, 1 - t)]
    far = [((a * s - 5 * a) * s + 8 * a) * s - 4 * a for s in (t + 1, 2 - t)]
    return far[0], near[0], near[1], far[1]


def grid_sample(input, grid, mode="bilinear", padding_mode="zeros", align_corners=False):
    """(N, C, sizes...) at the places of a grid (N, out..., 2 or 3), whose last dimension is (x, y) or (x, y, z) in -1 to 1.

    Args:
        mode: "bilinear" (trilinear in blocks), "nearest", or "bicubic" (planes only).
        padding_mode: what is beyond the ends: "zeros", "border" or "reflection".
        align_corners: whether -1 and 1 are the centres of the elements at the ends, or their outer edges.

    Raises:
        ValueError: for other modes, or shapes that do not fit.
    """
    dims = input.ndim - 2
    if mode not in ("bilinear", "nearest", "bicubic") or padding_mode not in ("zeros", "border", "reflection"):
        raise ValueError(f"grid_sample() has no mode {mode!r} with padding_mode {padding_mode!r}")
    if dims not in (2, 3) or grid.shape[-1] != dims or grid.shape[0] != input.shape[0] or (dims == 3 and mode == "bicubic"):
        shapes = f"{tuple(input.shape)} and a grid {tuple(grid.shape)}"
        raise ValueError(f"grid_sample() takes (N, C, sizes...) and (N, out..., 2 or 3), got {shapes} with mode {mode!r}")
    sizes = tuple(input.shape[2:])
    flat = input.reshape(*input.shape[:2], -1)
    at = [grid[..., dims - 1 - k] for k in range(dims)]
    if align_corners:
        at = [(x + 1) * ((n - 1) / 2) for x, n in zip(at, sizes, strict=True)]
    else:
        at = [((x + 1) * n - 1) / 2 for x, n in zip(at, sizes, strict=True)]
    if mode != "bicubic":
        at = [_inside(x, n, padding_mode, align_corners) for x, n in zip(at, sizes, strict=True)]
    if mode == "nearest":
        return _taken(flat, sizes, [tj.round(x.detach()) for x in at])
    low = [tj.floor(x.detach()) for x in at]
    rest = [x - k for x, k in zip(at, low, strict=True)]
    shares = [_keys(t) if mode == "bicubic" else (1 - t, t) for t in rest]
    first = -1 if mode == "bicubic" else 0
    total = None
    for steps in itertools.product(range(len(shares[0])), repeat=dims):
        places = [k + (first + s) for k, s in zip(low, steps, strict=True)]
        if mode == "bicubic":
            places = [tj.round(_inside(k, n, padding_mode, align_corners)) for k, n in zip(places, sizes, strict=True)]
        share = shares[0][steps[0]]
        for d in range(1, dims):
            share = share * shares[d][steps[d]]
        term = _taken(flat, sizes, places) * share.unsqueeze(1)
        total = term if total is None else total + term
    return total
