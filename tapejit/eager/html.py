"""How tensors look in a notebook: a table of their numbers, long ones with their middle left out."""

from html import escape

import numpy as np

from tapejit.eager.tensor import method

_EDGE = 5  # rows and columns shown at each end
_CELL = "text-align:right;padding:0 .6em;font-family:monospace"


def table(rows, head=None) -> str:
    """An HTML table of texts."""
    top = "" if head is None else "<tr>" + "".join(f"<th>{escape(str(x))}</th>" for x in head) + "</tr>"
    lines = ("<tr>" + "".join(f'<td style="{_CELL}">{escape(str(x))}</td>' for x in row) + "</tr>" for row in rows)
    return f"<table>{top}{''.join(lines)}</table>"


def _places(n):
    """Which of n rows are shown, None for those left out."""
    return [*range(n)] if n <= 2 * _EDGE + 1 else [*range(_EDGE), None, *range(n - _EDGE, n)]


def _number(x) -> str:
    return f"{x:.5g}" if isinstance(x, (float, np.floating)) else str(x)


@method
def _repr_html_(self) -> str:
    """The tensor as a table, with its shape, dtype and history; of more than two dimensions the first matrix."""
    array = self._array()
    node = self.grad_fn
    words = [f"shape {tuple(self.shape)}", str(self.dtype)]
    words += [f"grad_fn={node.name()}"] if node is not None else ["requires_grad"] if self.requires_grad else []
    while array.ndim > 2 and array.size:
        array = array[0]
        words.append("[0, ...] is shown")
    if not array.size:
        return f"<div>tensor, {escape(', '.join(words))}</div>"
    matrix = np.atleast_2d(array)
    columns = _places(matrix.shape[1])
    rows = [
        ["..." if i is None or j is None else _number(matrix[i, j]) for j in columns] for i in _places(matrix.shape[0])
    ]
    return f"<div>tensor, {escape(', '.join(dict.fromkeys(words)))}{table(rows)}</div>"


