"""More than one machine: sums over parts of the data, and ensembles of parameters, on the workers of a Dask cluster.

    total = tj.distributed.sum_over(tj.value_and_grad(loss), parts)
    value, gradient = total(w)

What a worker needs of a function and of the data goes there once and stays. Dask keeps how each part was made: what a worker
that dies had is made again by another one. Needs Dask: ``pip install 'tapejit[dask]'``.
"""

from tapejit.distributed.cluster import ensemble, sum_over

__all__ = ["ensemble", "sum_over"]
