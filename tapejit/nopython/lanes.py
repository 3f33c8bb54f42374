"""The vocabulary of drivers that run forward: arguments as dual numbers, tangents read from results."""

# ruff: noqa: RUF005, SIM113  (compiled by Numba: tuples are joined with +, counters beside np.ndindex)

import numpy as np
from numba.core import types

from tapejit.nopython.alloc import empty_like_element
from tapejit.nopython.cache import typed
from tapejit.nopython.inputs import array_at, directed, seeded, take_statements, tangent, variable_of
from tapejit.nopython.like import _leaf, first_of, in_precision
from tapejit.nopython.memory import read, size_of
from tapejit.nopython.tape import COEFFICIENTS, TERMS, get_counter
from tapejit.nopython.types import Dual, coefficient_type, is_active_array, words


def count_numbers(x):
    """How many numbers an argument holds."""
    raise NotImplementedError


@typed(count_numbers)
def _count_numbers(x):
    if isinstance(x, types.BaseTuple):
        if len(x) == 0:
            return lambda x: 0
        return lambda x: count_numbers(x[0]) + count_numbers(x[1:])
    return (lambda x: x.size) if isinstance(x, types.Array) else (lambda x: 1)


def seed_lanes(like, x, lane):
    """``x`` as dual numbers: its numbers have tangents one in lanes ``lane``, ``lane + 1``, ..."""
    raise NotImplementedError


@typed(seed_lanes)
def _seed_lanes(like, x, lane):
    if isinstance(x, types.BaseTuple):
        if len(x) == 0:
            return lambda like, x, lane: ()
        return lambda like, x, lane: (
            (seed_lanes(like, x[0], lane),) + seed_lanes(like, x[1:], lane + count_numbers(x[0]))
        )
    if _leaf(x) is None:
        return None
    if not isinstance(x, types.Array):
        return lambda like, x, lane: seeded(like, x, lane)

    def of_array(like, x, lane):
        out = empty_like_element(x.shape, seeded(like, first_of(x), -1))
        k = 0
        for index in np.ndindex(x.shape):
            out[index] = seeded(like, x[index], lane + k)
            k += 1
        return out

    return of_array


def direct(like, x, v):
    """``x`` as dual numbers of width one whose tangents are ``v``."""
    raise NotImplementedError


@typed(direct)
def _direct(like, x, v):
    if isinstance(x, types.BaseTuple):
        if len(x) == 0:
            return lambda like, x, v: ()
        return lambda like, x, v: (direct(like, x[0], v[0]),) + direct(like, x[1:], v[1:])
    if _leaf(x) is None:
        return None
    if not isinstance(x, types.Array):
        return lambda like, x, v: directed(like, x, v)

    def of_array(like, x, v):
        if x.shape != v.shape:
            raise ValueError("a tangent must have the shape of its argument")
        out = empty_like_element(x.shape, directed(like, first_of(x), first_of(v)))
        for index in np.ndindex(x.shape):
            out[index] = directed(like, x[index], v[index])
        return out

    return of_array


def lift_lanes(tape, like, x, lane):
    """Dual numbers as variables of the tape: for derivatives of second order."""
    raise NotImplementedError


@typed(lift_lanes)
def _lift_lanes(tape, like, x, lane):
    slot = words(coefficient_type(like.scalar))
    if isinstance(x, types.BaseTuple):
        if len(x) == 0:
            return lambda tape, like, x, lane: ()
        return lambda tape, like, x, lane: (
            (lift_lanes(tape, like, x[0], lane),) + lift_lanes(tape, like, x[1:], lane + count_numbers(x[0]))
        )
    if _leaf(x) is None:
        return None
    if not isinstance(x, types.Array):
        return lambda tape, like, x, lane: variable_of(
            like, take_statements(tape, 1, 1), seeded(like, x, lane)
        )

    def of_array(tape, like, x, lane):
        zero = variable_of(like, 0, seeded(like, first_of(x), -1))
        terms = max(x.size, (x.size * size_of(zero) + 8 * slot - 1) // (8 * slot))
        place = read(tape, COEFFICIENTS, 0) + 8 * slot * get_counter(tape, TERMS)
        index = take_statements(tape, x.size, terms)
        out = array_at(place, x.shape, zero)
        k = 0
        for i in np.ndindex(x.shape):
            out[i] = variable_of(like, index + k, seeded(like, x[i], lane + k))
            k += 1
        return out

    return of_array


def lift_directed(tape, like, x, v):
    """Dual numbers with given tangents as variables of the tape."""
    raise NotImplementedError


@typed(lift_directed)
def _lift_directed(tape, like, x, v):
    slot = words(coefficient_type(like.scalar))
    if isinstance(x, types.BaseTuple):
        if len(x) == 0:
            return lambda tape, like, x, v: ()
        return lambda tape, like, x, v: (
            (lift_directed(tape, like, x[0], v[0]),) + lift_directed(tape, like, x[1:], v[1:])
        )
    if _leaf(x) is None:
        return None
    if not isinstance(x, types.Array):
        return lambda tape, like, x, v: variable_of(like, take_statements(tape, 1, 1), directed(like, x, v))

    def of_array(tape, like, x, v):
        zero = variable_of(like, 0, directed(like, first_of(x), first_of(v)))
        terms = max(x.size, (x.size * size_of(zero) + 8 * slot - 1) // (8 * slot))
        place = read(tape, COEFFICIENTS, 0) + 8 * slot * get_counter(tape, TERMS)
        index = take_statements(tape, x.size, terms)
        out = array_at(place, x.shape, zero)
        k = 0
        for i in np.ndindex(x.shape):
            out[i] = variable_of(like, index + k, directed(like, x[i], v[i]))
            k += 1
        return out

    return of_array


def empty_gradient(zero, x):
    """Where a gradient in ``x`` will be written: an array; a number needs an array of one element."""
    raise NotImplementedError


@typed(empty_gradient)
def _empty_gradient(zero, x):
    if isinstance(x, types.BaseTuple):
        if len(x) == 0:
            return lambda zero, x: ()
        return lambda zero, x: (empty_gradient(zero, x[0]),) + empty_gradient(zero, x[1:])
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
        return lambda out, x: (gradient_of(out[0], x[0]),) + gradient_of(out[1:], x[1:])
    return (lambda out, x: out) if isinstance(x, types.Array) else (lambda out, x: out[0])


def write_lanes(y, x, lane, out):
    """Copy the tangents of ``y`` that belong to ``x`` into ``out``; lanes outside of ``y`` are left alone."""
    raise NotImplementedError


@typed(write_lanes)
def _write_lanes(y, x, lane, out):
    width = y.width
    if isinstance(x, types.BaseTuple):
        if len(x) == 0:
            return lambda y, x, lane, out: None

        def of_tuple(y, x, lane, out):
            write_lanes(y, x[0], lane, out[0])
            write_lanes(y, x[1:], lane + count_numbers(x[0]), out[1:])

        return of_tuple

    def of_any(y, x, lane, out):
        k = 0
        for index in np.ndindex(out.shape):
            if 0 <= lane + k < width:
                out[index] = tangent(y, lane + k)
            k += 1

    return of_any


def tangents_of(y):
    """(value, tangent) of a result of width one: a number, an array or a tuple."""
    raise NotImplementedError


@typed(tangents_of)
def _tangents_of(y):
    from tapejit.nopython.statements import inner

    if isinstance(y, types.BaseTuple):
        if len(y) == 0:
            return lambda y: ((), ())

        def of_tuple(y):
            value, derivative = tangents_of(y[0])
            values, derivatives = tangents_of(y[1:])
            return (value,) + values, (derivative,) + derivatives

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
