"""Where a pass of a repeated run begins: where least is handed on from one pass to the next.

A run is found from the first record that repeats, which may lie anywhere in a time step. Cut in the middle of one, its passes
hand on what is half done beside the state: an array more that each of them writes and reads.
"""

import numpy as np

from tapejit.graph import periods

LEAST = 100  # elements fewer to hand on, for which a pass is left beside the loop


def turned(run, reads, costs):
    """A run with passes that begin at another record, if these hand on less; else the run itself.

    Args:
        reads: (records, 3), the positions of what each record reads.
        costs: per record of a pass the elements that are to be kept if its value is handed on.
    """
    if run.trips <= periods.FEWEST:
        return run
    p, middle = run.period, run.trips // 2
    rows = reads[run.start + middle * p :][:p]
    places, columns = np.nonzero(rows >= run.start)
    sources = rows[places, columns] - run.start
    longest = np.zeros(p, dtype=np.int64)  # records after which a value is read for the last time
    np.maximum.at(longest, sources % p, middle * p + places - sources)
    some = np.flatnonzero(longest < p)
    change = np.zeros(2 * p + 1, dtype=np.int64)  # handed on where a pass begins at one of the following records
    np.add.at(change, some + 1, costs[some])
    np.add.at(change, some + longest[some] + 1, -costs[some])
    handed = change.cumsum()[: 2 * p].reshape(2, p).sum(axis=0)
    best = int(handed.argmin())
    return periods.Run(run.start + best, p, run.trips - 1) if handed[0] - handed[best] >= LEAST else run
