"""How few products show a sparse matrix: columns, or rows, in groups.

Curtis, Powell, Reid (1974), "On the estimation of sparse Jacobian matrices": columns that share no row are found together by
one product with the sum of their unit vectors. A symmetric matrix needs fewer groups, since each entry stands in it twice: star
colouring, Gebremedhin, Tarafdar, Manne, Pothen (2007), "New acyclic and star coloring algorithms", algorithm 4.1.
"""

import itertools

import numpy as np

LARGEST = 2_000_000  # entries of a pattern above which columns are coloured without regard to symmetry


def _lists(rows) -> list:
    """The columns of each row."""
    indices = rows.indices.tolist()
    return [indices[a:b] for a, b in itertools.pairwise(rows.indptr.tolist())]


def colours(rows) -> np.ndarray:
    """A number for each column of a pattern, different for columns that share a row: greedy, in two orders."""
    n = rows.shape[1]
    if not n:
        return np.zeros(0, int)
    turned = rows.T.tocsr()
    met = _lists(turned)  # the rows of each column
    degrees = turned.astype(np.int64) @ np.diff(rows.indptr)
    orders = (range(n), np.argsort(-degrees, kind="stable").tolist())
    return min((_greedy(met, rows.shape[0], order) for order in orders), key=lambda x: x.max())


def _greedy(met, count, order):
    """The least colour that is in none of a column's rows, one column after another; a row has its colours as bits."""
    found, taken = np.zeros(len(met), int), [0] * count
    for j in order:
        mask = 0
        for i in met[j]:
            mask |= taken[i]
        bit = ~mask & (mask + 1)
        found[j] = bit.bit_length() - 1
        for i in met[j]:
            taken[i] |= bit
    return found


def symmetric_colours(rows) -> np.ndarray:
    """A number for each column of a symmetric pattern, so that each entry can be read from one product or its mirror image."""
    alone = colours(rows)
    if rows.nnz > LARGEST:
        return alone
    near = [[k for k in x if k != j] for j, x in enumerate(_lists((rows + rows.T).tocsr()))]
    by_degree = sorted(range(len(near)), key=lambda v: -len(near[v]))
    return min((alone, _star(near, range(len(near))), _star(near, by_degree)), key=lambda x: x.max(initial=-1))


def _star(near, order):
    """Neighbours differ, and no path of four has two colours: v may not have the colour of the end of a path v, w, x.

    That is so where w has no colour yet, and where x has another neighbour of w's colour. Which colours lie behind w in this
    way is kept up to date, so that the time goes by the entries and the colours.
    """
    found = [-1] * len(near)
    around = [{} for _ in near]  # by colour the neighbours that have it
    behind = [set() for _ in near]  # colours of x, for w that are coloured
    for v in order:
        forbidden = set(around[v])
        for w in near[v]:
            forbidden |= around[w].keys() if found[w] < 0 else behind[w]
        colour = 0
        while colour in forbidden:
            colour += 1
        found[v] = colour
        for alike in around[v].values():  # v is an x
            if len(alike) > 1:
                for w in alike:
                    behind[w].add(colour)
        for x in near[v]:  # v is a w
            alike = around[x].setdefault(colour, [])
            alike.append(v)
            if len(alike) > 1 and found[x] >= 0:
                for w in alike if len(alike) == 2 else (v,):
                    behind[w].add(found[x])
    return np.array(found)


def readings(rows, numbers):
    """Where each entry of a pattern in CSR order is read: the colour, and the row of that colour's product.

    Raises:
        ValueError: if an entry stands alone in neither of its two products.
    """
    entries = rows.tocoo()
    i, j = entries.row, entries.col
    count = int(numbers.max(initial=-1)) + 1
    shared = np.bincount(i * count + numbers[j], minlength=rows.shape[0] * count)
    direct = shared[i * count + numbers[j]] == 1
    if direct.all():
        return numbers[j], i
    mirrored = shared[j * count + numbers[i]] == 1
    if not (direct | mirrored).all():
        raise ValueError("a colouring that does not show every entry")
    return np.where(direct, numbers[j], numbers[i]), np.where(direct, i, j)
