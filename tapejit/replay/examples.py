"""A program that is run for one example of a batch after another, in one native call that holds no GIL."""

import ctypes
import functools

import numpy as np

from tapejit.edge.plain.code import c_function
from tapejit.edge.raw import as_i64, ask2
from tapejit.replay.doorwords import address_of

# The words of a job: the program and its workspace; how many examples, and how many addresses the program takes; where these
# stand, those of example 0, and the bytes from one example to the next; the numbers of the examples, and their statuses.
CODE, WORKSPACE, COUNT, WIDTH, TABLE, FIRST, STEP, WHICH, STATUS = range(9)


def run_examples(job):
    """Run a program for some examples."""
    j = as_i64(job)
    table, first, step = as_i64(j[TABLE]), as_i64(j[FIRST]), as_i64(j[STEP])
    which, status = as_i64(j[WHICH]), as_i64(j[STATUS])
    for i in range(j[COUNT]):
        for k in range(j[WIDTH]):
            table[k] = first[k] + which[i] * step[k]
        status[i] = ask2(j[CODE], j[TABLE], j[WORKSPACE])


@functools.cache
def _run():
    return ctypes.CFUNCTYPE(None, ctypes.c_int64)(c_function(run_examples))


def run_for(machine, arrays, steps, which) -> np.ndarray:
    """Run a program for some examples; the status of each, 0 where all guards held.

    Args:
        machine: of the program.
        arrays: what it reads and what it writes, those of example 0 in front.
        steps: the bytes from one example to the next in each, 0 for what is the same for all.
        which: the numbers of the examples.
    """
    which = np.ascontiguousarray(which, dtype=np.int64)
    status = np.empty(len(which), dtype=np.int64)
    first = np.array([*(a.__array_interface__["data"][0] for a in arrays), 0], dtype=np.int64)
    step = np.array([*steps, 0], dtype=np.int64)
    table = np.zeros_like(first)
    words = machine.address, machine.workspace, len(which), len(arrays), *map(address_of, (table, first, step, which, status))
    job = np.array(words, dtype=np.int64)
    _run()(address_of(job))
    return status
