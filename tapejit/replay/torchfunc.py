"""The transforms under ``torch.func``'s names and conventions; see ``replay.transforms`` for what they do."""

from tapejit.replay import jacobianpasses, transforms


def grad_and_value(func, argnums=0, has_aux=False):
    """A function that gives ``(gradient, value)``, with ``has_aux`` ``(gradient, (value, aux))``: PyTorch's order."""
    both = transforms.value_and_grad(func, argnums, has_aux)

    def function(*args, **kwargs):
        value, gradient = both(*args, **kwargs)
        return gradient, value

    return function


def vjp(func, *primals, has_aux=False):
    """``(result, pull)``, with ``has_aux`` ``(result, pull, aux)``: ``pull(cotangent)`` gives a tuple, one per argument."""
    if not has_aux:
        return transforms.vjp(func, *primals)
    result, aux = transforms.jit(func)(*primals)
    _, pull = transforms.vjp(lambda *args: func(*args)[0], *primals)
    return result, pull, aux


def jvp(func, primals, tangents, *, strict=False, has_aux=False):
    """``(result, its derivative along the tangents)``, with ``has_aux`` and ``aux``."""
    if not has_aux:
        return transforms.jvp(func, primals, tangents)
    _, aux = transforms.jit(func)(*primals)
    return (*transforms.jvp(lambda *args: func(*args)[0], primals, tangents), aux)


def linearize(func, *primals):
    """``(result, push)``: ``push(*tangents)`` is the derivative at ``primals`` along one tangent for each of them.

    The recorded function is kept, so that further calls of ``push`` run its machine code; each works out the values anew.
    """
    along = transforms.jvp(func)
    return transforms.jit(func)(*primals), lambda *tangents: along(primals, tangents)[1]


def jacrev(func, argnums=0, *, has_aux=False, chunk_size=None):
    """The Jacobian, row by row; ``chunk_size`` is taken for PyTorch's sake."""
    return jacobianpasses.jacrev(func, argnums, has_aux)


def jacfwd(func, argnums=0, has_aux=False, *, randomness="error"):
    """The Jacobian, column by column; random numbers in the function are an error."""
    if randomness != "error":
        raise NotImplementedError("random numbers are drawn outside of a function that is differentiated")
    return jacobianpasses.jacfwd(func, argnums, has_aux)
