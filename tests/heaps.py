"""What tests look at in the memory of the main tape."""

import ctypes
import gc
import os

import tapejit as tj
from tapejit.core import record as R
from tapejit.core import tape


def live_bytes():
    return int(tape.main.header[R.H_BYTES])


def resident_bytes():
    """The resident memory of this process, None where the system does not say."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None


def reclaim():
    gc.collect()
    tape.main.reclaim()
    tape.main.reclaim()  # what only the first round's handles kept


def check_heap():
    """Every block has one owner, and none of them is in a list of free blocks."""
    owners = {}
    for k in range(len(tape.main)):
        row = tape.main.records[k]
        if row["owner"] == k and not row["flags"] & (R.NO_VALUE | R.EXTERNAL):
            assert int(row["address"]) not in owners, f"records {owners[int(row['address'])]} and {k} own one block"
            owners[int(row["address"])] = k
        assert row["owner"] == k or row["flags"] & R.VIEW, f"record {k} is no view, but lives with {row['owner']}"
    free = set()
    for head in tape.main.header[R.H_FREE_LISTS :].tolist():
        for _ in range(1_000):  # a list may be very long after other tests
            if not head:
                break
            assert head not in owners, f"the block of record {owners[head]} is free"
            assert head not in free, "a block was given back twice"
            free.add(head)
            head = ctypes.c_int64.from_address(head).value


def scribble():
    """Fill whatever memory is free, so that a value that was given back too early shows."""
    junk = [tj.full((n,), -7.0) for n in (1, 2, 4, 8, 100, 100, 1_000) for _ in range(50)]
    del junk
    tape.main.reclaim()
