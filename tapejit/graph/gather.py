"""What the passes of a run read where it does not lie in one place: it is put together before the first pass.

The edges of a grid are worked out apart from its inside, and the passes over a row read the row before with its edges: three
pieces, of which two are single numbers. So a pass is not left out of a loop because of what it reads.
"""

import numpy as np

from tapejit.graph.loop import Where

MOST_PIECES = 8


def columns(rows, owners, moves, periods):
    """Which operands of a run are to be put together.

    Args:
        rows: (passes, operands), the positions of what is read, -1 for nothing.
        owners: of each the number of the run that it belongs to, -1 for none.
        moves: of each operand by how much it moves from pass to pass; 0 where it is not to be looked at.
        periods: of the runs.
    """
    looked = (moves != 0) & (rows >= 0).all(axis=0)
    changes = (owners[1:] != owners[:-1]) | (owners[1:] < 0)
    pieces = 1 + changes.sum(axis=0)
    steady = np.ones(rows.shape[1], dtype=bool)
    if len(periods):
        steady = ((owners < 0) | (moves % np.asarray(periods)[np.maximum(owners, 0)] == 0)).all(axis=0)
    return looked & steady & (pieces <= MOST_PIECES) & (changes.any(axis=0) | (owners[0] < 0))


def pieces(places, n, backwards):
    """The copies that put values of ``n`` elements into one stretch of memory, in the order of the passes or against it.

    Args:
        places: per pass the number of an operand of the loop and an element in it.

    Returns:
        triples (first element of the stretch, Where it comes from, elements)
    """
    order = places[::-1] if backwards else places
    made = []
    for at, (number, element) in enumerate(order):
        if made and number == made[-1][1] and element == made[-1][2] + made[-1][3]:
            made[-1][3] += n
        else:
            made.append([at * n, number, element, n])
    return [(at, Where(number, element), count) for at, number, element, count in made]
