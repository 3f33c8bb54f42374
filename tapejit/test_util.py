"""``check_grads`` with HIPS autograd's arguments, by ``tapejit.autograd.gradcheck``."""

import functools

from tapejit.eager.creation import tensor
from tapejit.eager.gradcheck import gradcheck, gradgradcheck

__all__ = ["check_grads"]


def check_grads(f, args=None, *, modes=("fwd", "rev"), order=2):
    """Compare derivatives up to an order (at most 2) with finite differences; ``check_grads(f, order=1)(*args)`` too.

    Raises:
        GradcheckError: where they do not agree.
    """
    if args is None:
        return functools.partial(_check, f, order)
    return _check(f, order, *(args if isinstance(args, (tuple, list)) else (args,)))


def _check(f, order, *args):
    tensors = tuple(tensor(x, requires_grad=True) for x in args)
    for check in (gradcheck, gradgradcheck)[:order]:
        check(f, tensors)
