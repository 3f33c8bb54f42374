"""What tests look at in the memory of the main tape."""

import ctypes
import gc
import os

import tapejit as tj
from tapejit.core import record as R
from tapejit.core import tape

ADDRESSES = range(1 << 16, 1 << 47, 16)  # of blocks


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


def check_free_lists():
    """The free blocks of every tape are lists, from address to address, that end; how many blocks there are.

    A block that was written after it was given back shows here, soon after the test that did it (``pytest --check-heap``).
    """
    found = 0
    for number, each in list(tape.tapes.items()):
        for size_class, head in enumerate(each.header[R.H_FREE_LISTS :].tolist()):
            length = 0
            while head:
                where = f"tape {number}, size class {size_class}, {length} blocks from the head"
                assert head in ADDRESSES, f"{head:#x} is no address: {where}"
                assert length < 10_000_000, f"a list without an end: {where}"
                head = ctypes.c_int64.from_address(head).value
                length += 1
            found += length
    return found


def scribble():
    """Fill whatever memory is free, so that a value that was given back too early shows."""
    junk = [tj.full((n,), -7.0) for n in (1, 2, 4, 8, 100, 100, 1_000) for _ in range(50)]
    del junk
    tape.main.reclaim()
