"""Words of ``spec.matrixrules`` for matrices in compiled code, plain or active: their parts, and what is divided.

``spec.matrixwords`` says what each means. A matrix is symmetric, a diagonal real here.
"""

import numpy as np

from tapejit.nopython.alloc import empty_like_element
from tapejit.nopython.like import first_of
from tapejit.nopython.scalars import primal
from tapejit.nopython.twins import active_function
from tapejit.spec import matrixwords


@active_function
def half_lower(t):
    """The lower triangle, its diagonal halved."""
    out = empty_like_element(t.shape, first_of(t))
    for i in range(t.shape[0]):
        for j in range(t.shape[1]):
            out[i, j] = t[i, j] if j < i else (t[i, j] * 0.5 if i == j else first_of(t))
    return out


@active_function
def strictly_lower(t):
    out = empty_like_element(t.shape, first_of(t))
    for i in range(t.shape[0]):
        for j in range(t.shape[1]):
            out[i, j] = t[i, j] if j < i else first_of(t)
    return out


@active_function
def mirrored(t):
    """The symmetric matrix of an upper triangle."""
    out = empty_like_element(t.shape, first_of(t))
    for i in range(t.shape[0]):
        for j in range(t.shape[1]):
            out[i, j] = t[min(i, j), max(i, j)]
    return out


@active_function
def diagonal(t):
    out = empty_like_element((t.shape[0],), first_of(t))
    for k in range(out.size):
        out[k] = t[k, k]
    return out


@active_function
def diagonal_matrix(values):
    out = empty_like_element((values.size, values.size), first_of(values))
    for i in range(values.size):
        for j in range(values.size):
            out[i, j] = values[i] if i == j else first_of(values)
    return out


@active_function
def eigenvalue_part(gw, move):
    return diagonal_matrix(gw)


@active_function
def singular_value_part(gs, u_move, v_move, s):
    return diagonal_matrix(gs)


@active_function
def complement(t):
    """What a projection leaves out."""
    return np.eye(t.shape[0]) - t


@active_function
def scaled(t, number):
    return t * number


@active_function
def inner_product(a, b):
    return np.sum(a * b)


# Equal values


@active_function
def strength(t):
    """The sizes of what moves, as plain numbers."""
    out = np.empty(t.shape)
    for i in range(t.shape[0]):
        for j in range(t.shape[1]):
            out[i, j] = abs(primal(t[i, j]))
    return out


EQUAL, TOLD = matrixwords.EQUAL[0], matrixwords.TOLD[0]


@active_function
def _apart(values, moves, squares):
    n = values.size
    out = empty_like_element((n, n), first_of(values))
    largest, scale = 0.0, 0.0
    for i in range(n):
        scale = max(scale, abs(primal(values[i])))
        for j in range(n):
            largest += abs(primal(moves[i, j]))
    for i in range(n):
        for j in range(n):
            difference = values[j] - values[i]
            if abs(primal(difference)) > EQUAL * scale:
                if squares:
                    difference = difference * (values[i] + values[j])
                out[i, j] = 1.0 / difference
            else:
                told = i != j and abs(primal(moves[i, j])) + abs(primal(moves[j, i])) > TOLD * largest
                out[i, j] = first_of(values) + (np.nan if told else 0.0)
    return out


@active_function
def apart(values, moves):
    return _apart(values, moves, False)


@active_function
def squares_apart(s, moves):
    return _apart(s, moves, True)


@active_function
def over(t, s):
    """A matrix over a row or a column, where both are 0 0."""
    out = empty_like_element(t.shape, first_of(t))
    across = s.shape[0] == 1
    for i in range(t.shape[0]):
        for j in range(t.shape[1]):
            by = s[0, j] if across else s[i, 0]
            out[i, j] = first_of(t) if primal(t[i, j]) == 0.0 and primal(by) == 0.0 else t[i, j] / by
    return out
