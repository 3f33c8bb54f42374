"""Results of drivers that run forward: where a gradient goes, and tangents read from results."""

# ruff: noqa: RUF005  (compiled by Numba: tuples are joined with +, counters beside np.ndindex)

import numpy as np
from numba.core import types

from tapejit.nopython.alloc import empty_like_element
from tapejit.nopython.cache import typed
from tapejit.nopython.inputs import count_numbers, tangent, tangents_at
from tapejit.nopython.like import first_of, in_precision
from tapejit.nopython.memory import as_f64
from tapejit.nopython.named import named_as
from tapejit.nopython.statements import inner
from tapejit.nopython.types import Active, Dual, is_active_array


def empty_gradient(zero, x):
    """Where a gradient in ``x`` will be written: an array; a number needs an array of one element."""
    raise NotImplementedError


@typed(empty_gradient)
def _empty_gradient(zero, x):
    if isinstance(x, types.BaseTuple):
        if len(x) == 0:
            return lambda zero, x: ()
        return lambda zero, x: named_as(x, (empty_gradient(zero, x[0]),) + empty_gradient(zero, x[1:]))
    if isinstance(x, types.Array):
        return lambda zero, x: empty_like_element(x.shape, in_precision(zero, first_of(x)))
    return lambda zero, x: empty_like_element((1,), in_precision(zero, x))


def gradient_of(out, x):
    """What a caller gets of ``empty_gradient``: numbers for numbers."""
    raise NotImplementedError


@typed(gradient_of)
def _gradient_of(out, x):
    if isinstance(x, types.BaseTuple):
        if len(x) == 0:
            return lambda out, x: ()
        return lambda out, x: named_as(x, (gradient_of(out[0], x[0]),) + gradient_of(out[1:], x[1:]))
    return (lambda out, x: out) if isinstance(x, types.Array) else (lambda out, x: out[0])


def write_lanes(y, x, lane, out):
    """Copy the tangents of ``y`` that belong to ``x`` into ``out``; lanes outside of ``y`` are left alone."""
    raise NotImplementedError


@typed(write_lanes)
def _write_lanes(y, x, lane, out):
    if isinstance(x, types.BaseTuple):
        if len(x) == 0:
            return lambda y, x, lane, out: None

        def of_tuple(y, x, lane, out):
            write_lanes(y, x[0], lane, out[0])
            write_lanes(y, x[1:], lane + count_numbers(x[0]), out[1:])

        return of_tuple
    width = y.width
    if isinstance(y.scalar, Active):

        def of_active(y, x, lane, out):
            k = lane
            for index in np.ndindex(out.shape):
                if 0 <= k < width:
                    out[index] = tangent(y, k)
                k += 1

        return of_active

    def of_float(y, x, lane, out):
        lanes = as_f64(tangents_at(y))
        k = lane
        for index in np.ndindex(out.shape):
            if 0 <= k < width:
                out[index] = lanes[k]
            k += 1

    return of_float


def take_lanes(y, x, lane):
    """The tangents of ``y`` that belong to ``x``, numbers all, in the form of ``x``."""
    raise NotImplementedError


@typed(take_lanes)
def _take_lanes(y, x, lane):
    if isinstance(x, types.BaseTuple):
        if len(x) == 0:
            return lambda y, x, lane: ()
        return lambda y, x, lane: named_as(
            x, (take_lanes(y, x[0], lane),) + take_lanes(y, x[1:], lane + count_numbers(x[0]))
        )
    return lambda y, x, lane: in_precision(tangent(y, lane), x)


def tangents_of(y):
    """(value, tangent) of a result of width one: a number, an array or a tuple."""
    raise NotImplementedError


@typed(tangents_of)
def _tangents_of(y):
    if isinstance(y, types.BaseTuple):
        if len(y) == 0:
            return lambda y: ((), ())

        def of_tuple(y):
            value, derivative = tangents_of(y[0])
            values, derivatives = tangents_of(y[1:])
            return named_as(y, (value,) + values), named_as(y, (derivative,) + derivatives)

        return of_tuple
    if is_active_array(y):

        def of_array(y):
            values = empty_like_element(y.shape, inner(first_of(y)))
            derivatives = empty_like_element(y.shape, in_precision(tangent(first_of(y), 0), first_of(y)))
            for index in np.ndindex(y.shape):
                values[index] = inner(y[index])
                derivatives[index] = tangent(y[index], 0)
            return values, derivatives

        return of_array
    if isinstance(y, Dual):
        return lambda y: (inner(y), in_precision(tangent(y, 0), inner(y)))
    return None
