"""How BLAS reads the operands of a product in a program."""

import math

from tapejit.core import dtypes
from tapejit.core.layout import layout_of
from tapejit.eager.linalg.multiply import matrix_words
from tapejit.graph.node import blas_view


def product_words(planner, node) -> tuple:
    """The plan of a product (see ``kernels.products``)."""
    x, y = node.args
    a, b = (
        blas_view(v) if base is not v else matrix_words(layout_of(v.shape, dtypes.as_dtype(v.dtype)))
        for v, base in zip(node.args, planner.operands(node), strict=True)
    )
    m, k = x.shape[-2:]
    n = 1 if len(y.shape) == 1 else y.shape[-1]
    return m, n, k, math.prod(x.shape[:-2]), *a, *b
