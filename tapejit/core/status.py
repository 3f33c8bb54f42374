"""What a kernel that failed answers: which matrix of the batch, and why."""

from tapejit.edge.jit import inner


@inner
def failed(matrix, info):
    """The status of a kernel that failed at a matrix of the batch, counted from 0, with LAPACK's ``info``."""
    return (info << 32) | (matrix + 1)


def failed_at(status) -> tuple:
    """(matrix, info) of a status."""
    return (status & 0xFFFFFFFF) - 1, status >> 32
