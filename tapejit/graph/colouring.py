"""How few products show a sparse matrix: columns, or rows, in groups.

Curtis, Powell, Reid (1974), "On the estimation of sparse Jacobian matrices": columns that share no row are found together by
one product with the sum of their unit vectors. A symmetric matrix needs fewer groups, since each entry stands in it twice: star
colouring, Gebremedhin, Tarafdar, Manne, Pothen (2007), "New acyclic and star coloring algorithms", algorithm 4.1.
"""

import itertools

import numpy as np

MOST_WORK = 2_000_000  # steps of a star colouring above which columns are coloured alone


def _lists(rows) -> list:
    """The columns of each row."""
    indices = rows.indices.tolist()
    return [indices[a:b] for a, b in itertools.pairwise(rows.indptr.tolist())]


def _neighbours(rows):
    """For each column the columns that share a row with it, itself among them, as lists."""
    return _lists((rows.T.astype(np.int32) @ rows.astype(np.int32)).tocsr())


def colours(rows) -> np.ndarray:
    """A number for each column of a pattern, different for columns that share a row: greedy, in two orders."""
    n = rows.shape[1]
    if not n:
        return np.zeros(0, int)
    near = _neighbours(rows)
    degrees = np.array([len(x) for x in near])
    orders = (range(n), np.argsort(-degrees, kind="stable").tolist())
    return min((_greedy(near, order) for order in orders), key=max)


def _greedy(near, order):
    found = np.full(len(near), -1).tolist()
    for j in order:
        taken = {found[k] for k in near[j]}
        colour = 0
        while colour in taken:
            colour += 1
        found[j] = colour
    return np.array(found)


def symmetric_colours(rows) -> np.ndarray:
    """A number for each column of a symmetric pattern, so that each entry can be read from one product or its mirror image."""
    alone = colours(rows)
    near = [[k for k in x if k != j] for j, x in enumerate(_lists((rows + rows.T).tocsr()))]
    work = sum(len(near[k]) for x in near for k in x) * max((len(x) for x in near), default=1)
    if work > MOST_WORK:
        return alone
    by_degree = sorted(range(len(near)), key=lambda v: -len(near[v]))
    return min((alone, _star(near, range(len(near))), _star(near, by_degree)), key=lambda x: x.max(initial=-1))


def _star(near, order):
    found = np.full(len(near), -1).tolist()
    for v in order:
        around = near[v]
        forbidden = {found[w] for w in around}
        for w in around:
            if found[w] < 0:
                forbidden.update(found[x] for x in near[w] if x != v)
            else:
                for x in near[w]:
                    if x != v and found[x] >= 0 and any(y != w and found[y] == found[w] for y in near[x]):
                        forbidden.add(found[x])
        colour = 0
        while colour in forbidden:
            colour += 1
        found[v] = colour
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
