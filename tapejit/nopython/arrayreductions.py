"""Sums, extremes and other functions of whole active arrays.

A sum over many elements is one wide statement: its terms are written by the loop, nothing is recorded in between. On
dual numbers the same functions are plain loops.
"""

# ruff: noqa: SIM113  (compiled by Numba: tuples are joined with +, counters beside np.ndindex)

import functools
import math

import numpy as np
from numba.core import types

from tapejit.nopython.alloc import empty_like_element
from tapejit.nopython.cache import typed
from tapejit.nopython.contiguous import row_of
from tapejit.nopython.exchange import direct, enter_form, flag, is_absent, replaces
from tapejit.nopython.scalars import primal
from tapejit.nopython.statements import close, element_like, inner, put, reserve
from tapejit.nopython.twins import active_function
from tapejit.nopython.types import Active, Tape, is_active_array


def number_array(ty):
    return isinstance(ty, types.Array) and isinstance(
        ty.dtype, (types.Float, types.Integer, types.Boolean, Active)
    )


def on_tape(*tys):
    return any(is_active_array(ty) and isinstance(ty.dtype, Tape) for ty in tys)


@active_function
def _sum_tape(a):
    like = element_like(a)
    total = inner(like)
    flat = row_of(a)
    n = flat.size
    position = reserve(like, n)
    for k in range(n):
        total = total + inner(flat[k])
        if position >= 0:
            put(like, position + k, 1.0, flat[k])
    return close(like, position, n, total)


@active_function
def _sum_dual(a):
    total = element_like(a)
    for x in a.flat:
        total = total + x
    return total


def _along_axis(reduce):
    """A reduction along one axis of an array of one to three dimensions, from one of a vector."""

    @active_function
    def of_one(a, axis):
        return reduce(a)

    @active_function
    def of_two(a, axis):
        if axis < 0:
            axis += 2
        if axis != 0 and axis != 1:
            raise ValueError("axis is out of bounds for array")
        out = empty_like_element((a.shape[1 - axis],), element_like(a))
        turned = a.T if axis == 0 else a.T.T
        for k in range(out.size):
            out[k] = reduce(turned[k])
        return out

    @active_function
    def of_three(a, axis):
        if axis < 0:
            axis += 3
        if axis < 0 or axis > 2:
            raise ValueError("axis is out of bounds for array")
        rows = a.shape[1] if axis == 0 else a.shape[0]
        columns = a.shape[1] if axis == 2 else a.shape[2]
        out = empty_like_element((rows, columns), element_like(a))
        line = empty_like_element((a.shape[axis],), element_like(a))
        for i in range(rows):
            for j in range(columns):
                for k in range(line.size):
                    if axis == 0:
                        line[k] = a[k, i, j]
                    elif axis == 1:
                        line[k] = a[i, k, j]
                    else:
                        line[k] = a[i, j, k]
                out[i, j] = reduce(line)
        return out

    return {1: of_one, 2: of_two, 3: of_three}


@active_function
def _like_row(a, value):
    """A reduction of everything with the dimensions of ``a``, each of extent one."""
    out = empty_like_element(ones(a.shape), value)
    out.ravel()[0] = value
    return out


def ones(shape):
    raise NotImplementedError


@typed(ones)
def _ones(shape):
    extents = (1,) * len(shape)
    return lambda shape: extents


@active_function
def _kept_two(row, axis):
    return row.reshape((1, row.size)) if axis % 2 == 0 else row.reshape((row.size, 1))


@active_function
def _kept_three(face, axis):
    rows, columns = face.shape
    if axis % 3 == 0:
        return face.reshape((1, rows, columns))
    return face.reshape((rows, 1, columns)) if axis % 3 == 1 else face.reshape((rows, columns, 1))


def _reduction(*functions, method):
    """Enter a reduction of all elements as ``functions(a, axis=None, keepdims=False)``."""

    def enter(whole):
        loops = _along_axis(whole)

        @replaces(*functions, method=method)
        def typer(a, axis=None, keepdims=False):
            keep = flag(keepdims)
            if not is_active_array(a) or keep is None:
                return None
            if is_absent(axis):
                if keep:
                    return lambda a, axis=None, keepdims=False: _like_row(a, whole(a))
                return direct(whole, lambda a, axis=None, keepdims=False: whole(a))
            if not isinstance(axis, types.Integer) or a.ndim > 3:
                return None
            loop = loops[a.ndim]
            if not keep:
                return direct(loop, lambda a, axis=None, keepdims=False: loop(a, axis))
            if a.ndim == 1:
                return lambda a, axis=None, keepdims=False: _like_row(a, loop(a, axis))
            kept = _kept_two if a.ndim == 2 else _kept_three
            return lambda a, axis=None, keepdims=False: kept(loop(a, axis), axis)

        return whole

    return enter


def total(a):
    """The sum of all elements."""
    raise NotImplementedError


@functools.partial(enter_form, total)
def _total(a):
    return _sum_tape if on_tape(a) else _sum_dual


@_reduction(np.sum, method="sum")
@active_function
def _sum(a):
    return total(a)


@_reduction(np.mean, method="mean")
@active_function
def _mean(a):
    return total(a) / a.size


@_reduction(np.prod, method="prod")
@active_function
def _product(a):
    result = element_like(a) + 1.0
    for x in a.flat:
        result = result * x
    return result


@_reduction(np.var, method="var")
@active_function
def _variance(a):
    return _mean((a - _mean(a)) ** 2)


@active_function
def root(x):
    """The square root of a sum of squares; at zero its derivatives are zero."""
    return x * 0.0 if x == 0.0 else math.sqrt(x)


@_reduction(np.std, method="std")
@active_function
def _deviation(a):
    return root(_variance(a))


@active_function
def _extreme(a, largest):
    """The extreme element, NaN if there is one; equal elements share the derivative evenly."""
    if a.size == 0:
        raise ValueError("zero-size array to reduction operation not possible")
    flat = row_of(a)
    place, ties = 0, 1
    best = primal(flat[0])
    for k in range(1, flat.size):
        value = primal(flat[k])
        if best != best:
            break
        if value != value or (value > best if largest else value < best):
            place, ties, best = k, 1, value
        elif value == best:
            ties += 1
    if ties == 1:
        return flat[place]
    shared = element_like(a)
    for k in range(flat.size):
        if primal(flat[k]) == best:
            shared = shared + flat[k] * (1.0 / ties)
    # the shares of a number need not add up to it
    return shared if math.isinf(best) else shared + (best - primal(shared))


@_reduction(np.max, np.amax, method="max")
@active_function
def _largest(a):
    return _extreme(a, True)


@_reduction(np.min, np.amin, method="min")
@active_function
def _smallest(a):
    return _extreme(a, False)


@replaces(np.ptp)
def _ptp(a):
    return (lambda a: _largest(a) - _smallest(a)) if is_active_array(a) else None


@active_function
def _running(a, product):
    flat = row_of(a)
    out = empty_like_element((flat.size,), element_like(a))
    result = element_like(a) + (1.0 if product else 0.0)
    for k in range(flat.size):
        result = result * flat[k] if product else result + flat[k]
        out[k] = result
    return out


@replaces(np.cumsum, method="cumsum")
def _cumsum(a):
    return (lambda a: _running(a, False)) if is_active_array(a) else None


@replaces(np.cumprod, method="cumprod")
def _cumprod(a):
    return (lambda a: _running(a, True)) if is_active_array(a) else None


@replaces(np.diff)
def _diff(a):
    return (lambda a: a[1:] - a[:-1]) if is_active_array(a) and a.ndim == 1 else None


@active_function
def _values(a):
    out = np.empty(a.size, dtype=np.float64)
    k = 0
    for x in a.flat:
        out[k] = primal(x)
        k += 1
    return out


@replaces(np.argmax, method="argmax")
def _argmax(a):
    return (lambda a: np.argmax(_values(a))) if is_active_array(a) else None


@replaces(np.argmin, method="argmin")
def _argmin(a):
    return (lambda a: np.argmin(_values(a))) if is_active_array(a) else None


@active_function
def order_of(a):
    """The places of a vector's elements in rising order, NaN last, equal ones as they stand."""
    return np.argsort(_values(a), kind="mergesort")


def _argsort(a, kind="quicksort"):
    if is_active_array(a) and a.ndim == 1:
        return lambda a, kind="quicksort": order_of(a)
    return None


replaces(np.argsort, method="argsort")(_argsort)


@active_function
def _sorted(a):
    out = empty_like_element((a.size,), element_like(a))
    order = order_of(a)
    for k in range(a.size):
        out[k] = a[order[k]]
    return out


@replaces(np.sort)
def _sort(a):
    return _sorted if is_active_array(a) and a.ndim == 1 else None


@active_function
def _sort_in_place(a):
    values = _sorted(a)
    for k in range(a.size):
        a[k] = values[k]


@replaces(method="sort")
def _sort_method(a):
    return _sort_in_place if is_active_array(a) and a.ndim == 1 else None
