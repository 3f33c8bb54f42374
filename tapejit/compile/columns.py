"""Regions that are one column each become one loop over the rows.

Gradients in ``x[:, 0]``, ``x[:, 1]``, ... make a region per column of the same rows. Their bodies have most work in common,
which is done once when they share a loop.
"""

from tapejit.compile.steps import Region

LONGEST = 2000  # instructions of a body put together


def joined(regions) -> list:
    """Neighbouring regions over the same rows and one column each, put together."""
    result, run = [], []
    for region in regions:
        if run and (not _is_column(region) or region.box[:-1] != run[0].box[:-1]):
            result += _one_loop(run)
            run = []
        run.append(region)
        if not _is_column(region):
            result += run
            run = []
    return result + _one_loop(run)


def _is_column(region):
    return len(region.box) > 1 and region.box[-1][1] - region.box[-1][0] == 1


def _one_loop(regions):
    if len(regions) < 2:
        return regions
    code, known, roots = [], {}, []
    for region in regions:
        column = region.box[-1][0]
        positions = []
        for kind, dtype, *rest in region.body:
            if kind == "load":
                node, affine = rest
                rest = node, (affine[0] + affine[-1] * column, *affine[1:-1], 0)
            elif kind == "cast":
                rest = rest[0], positions[rest[1]]
            elif kind == "prim":
                rest = rest[0], *(positions[p] for p in rest[1:])
            instruction = (kind, dtype, *rest)
            if instruction not in known:
                known[instruction] = len(code)
                code.append(instruction)
            positions.append(known[instruction])
        roots += [(unit, positions[p], column) for unit, p, _ in region.roots]
    if len(code) > LONGEST:
        return regions
    return [Region((*regions[0].box[:-1], (0, 1)), code, roots)]
