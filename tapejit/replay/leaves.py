"""The tensors in which derivatives are taken, and the products with the Jacobian: what transforms are made of."""

from tapejit.core import record as R
from tapejit.eager import autograd
from tapejit.eager.creation import zeros_like
from tapejit.eager.dispatch import emit_view
from tapejit.eager.tangents import push
from tapejit.spec.structured import VIEWS


def fresh(x):
    """A tensor with the values of ``x`` in which alone derivatives are taken; the history of ``x`` stays attached."""
    leaf = emit_view(VIEWS["Alias"], x, x._layout)
    leaf._set_flags(-1, R.GRAD)
    return leaf


def pulled(outputs, seeds, leaves, create_graph=True):
    """The vector-Jacobian product; zeros for leaves that do not matter.

    Without ``create_graph`` the compiled sweep takes it; a recording sees every operation either way.
    """
    pairs = [(y, s) for y, s in zip(outputs, seeds, strict=True) if y.requires_grad]
    if not pairs:
        return [zeros_like(x) for x in leaves]
    outputs, seeds = zip(*pairs, strict=True)
    found = autograd.grad(outputs, leaves, seeds, True, create_graph, allow_unused=True)
    return [zeros_like(x) if g is None else g for x, g in zip(leaves, found, strict=True)]


def pushed(outputs, leaves, tangents):
    """The Jacobian-vector product; zeros for outputs that do not move."""
    found = push(outputs, leaves, tangents)
    return [zeros_like(y) if t is None else t for y, t in zip(outputs, found, strict=True)]
