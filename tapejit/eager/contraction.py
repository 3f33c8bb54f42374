"""Sums of products: einsum, tensordot, products with something added, distances of all pairs."""

import math
import string

from tapejit.core.plans import broadcast_shapes
from tapejit.eager.creation import as_tensor
from tapejit.eager.functional import where
from tapejit.eager.linalg.functions import multi_dot
from tapejit.eager.linalg.multiply import bmm, dot, matmul, mm, mv, outer
from tapejit.eager.reductions import norm, sum
from tapejit.eager.tensor import Tensor
from tapejit.eager.views import diagonal, dimension, expand, permute, reshape, unsqueeze

_ELLIPSIS = "."  # stands for its dimensions until their number is known


def einsum(equation, *operands) -> Tensor:
    """The sum of products that an equation names: ``einsum("bij,bjk->bik", x, y)``; also operands and lists of numbers in turn.

    Operands are taken together in their order, two at a time, each time as one batch of matrix products.

    Raises:
        RuntimeError: for an equation that is not one, or does not fit the operands.
    """
    if not isinstance(equation, str):
        equation, operands = _from_lists((equation, *operands))
    elif len(operands) == 1 and isinstance(operands[0], (tuple, list)):
        operands = operands[0]
    operands = [as_tensor(x) for x in operands]
    inputs, output = _parsed(equation, operands)
    terms = [_without_repeats(x, names) for x, names in zip(operands, inputs, strict=True)]
    x, names = terms[0]
    for k, (y, others) in enumerate(terms[1:], 2):
        later = set(output).union(*(n for _, n in terms[k:]))
        x, names = _pair(x, names, y, others, later)
    gone = [d for d, n in enumerate(names) if n not in output]
    if gone:
        x = sum(x, gone)
        names = [n for n in names if n in output]
    return permute(x, tuple(names.index(n) for n in output)) if x.ndim else x


def _from_lists(args):
    """``einsum(x, [0, 1], y, [1, 2], [0, 2])`` as an equation."""
    def word(numbers):
        return "".join("..." if n is Ellipsis else string.ascii_letters[n] for n in numbers)

    pairs = list(zip(args[::2], args[1::2], strict=False))
    equation = ",".join(word(numbers) for _, numbers in pairs)
    return equation + (f"->{word(args[-1])}" if len(args) % 2 else ""), [x for x, _ in pairs]


def _parsed(equation, operands):
    """The names of each operand's dimensions and of the result's; those of an ellipsis are numbers from its end."""
    left, arrow, right = equation.replace(" ", "").replace("...", _ELLIPSIS).partition("->")
    words = left.split(",")
    if len(words) != len(operands) or any(not (c.isalpha() or c in _ELLIPSIS) for c in left.replace(",", "") + right):
        raise RuntimeError(f"einsum() equation {equation!r} does not fit {len(operands)} operands, or has other than letters")
    inputs, widest = [], 0
    for word, x in zip(words, operands, strict=True):
        extra = x.ndim - len(word.replace(_ELLIPSIS, ""))
        if word.count(_ELLIPSIS) > 1 or extra < 0 or (extra and _ELLIPSIS not in word):
            raise RuntimeError(f"einsum() equation {equation!r}: {word!r} does not fit an operand of shape {x.shape}")
        inputs.append(_spelt(word, extra))
        widest = max(widest, extra)
    if not arrow:
        letters = left.replace(",", "").replace(_ELLIPSIS, "")
        right = _ELLIPSIS + "".join(sorted(c for c in set(letters) if letters.count(c) == 1))
    output = _spelt(right, widest)
    known = {n for names in inputs for n in names}
    if len(set(output)) != len(output) or any(n not in known for n in output if isinstance(n, str)):
        raise RuntimeError(f"einsum() equation {equation!r}: the result names a dimension twice, or one that no operand has")
    return inputs, [n for n in output if n in known]


def _spelt(word, extra):
    names = []
    for c in word:
        names += range(-extra, 0) if c == _ELLIPSIS else [c]
    return names


def _without_repeats(x, names):
    """Dimensions that a name joins become their diagonal."""
    names = list(names)
    for name in {n for n in names if names.count(n) > 1}:
        while names.count(name) > 1:
            first = names.index(name)
            second = names.index(name, first + 1)
            if x.shape[first] != x.shape[second]:
                raise RuntimeError(f"einsum(): {name!r} names sizes {x.shape[first]} and {x.shape[second]} of one operand")
            x = diagonal(x, 0, first, second)
            names = [n for k, n in enumerate(names) if k not in (first, second)] + [name]
    return x, names


def _pair(x, names, y, others, later):
    """Two operands as one: what is not needed later is summed."""
    for side in (0, 1):
        t, own, beside = ((x, names, others), (y, others, names))[side]
        gone = [d for d, n in enumerate(own) if n not in beside and n not in later]
        if gone:
            t, own = sum(t, gone), [n for n in own if n in beside or n in later]
        x, names, y, others = (t, own, y, others) if not side else (x, names, t, own)
    sizes = _sizes(x, names, y, others)
    batch = [n for n in names if n in others and n in later]
    contracted = [n for n in names if n in others and n not in later]
    mine, yours = [n for n in names if n not in others], [n for n in others if n not in names]
    if not contracted:
        order = batch + mine + yours
        return _aligned(x, names, order) * _aligned(y, others, order), order
    left = _arranged(x, names, (batch, mine, contracted), sizes)
    right = _arranged(y, others, (batch, contracted, yours), sizes)
    shape = tuple(sizes[n] for n in batch + mine + yours)
    return reshape(matmul(left, right), shape), batch + mine + yours


def _sizes(x, names, y, others):
    sizes = {}
    for n, size in [*zip(names, x.shape, strict=True), *zip(others, y.shape, strict=True)]:
        if sizes.get(n, 1) not in (1, size) and size != 1:
            raise RuntimeError(f"einsum(): {n!r} names sizes {sizes[n]} and {size}")
        sizes[n] = max(sizes.get(n, 1), size) if size else 0
    return sizes


def _aligned(x, names, order):
    """The dimensions in an order, missing ones of size 1."""
    x = permute(x, tuple(sorted(range(x.ndim), key=lambda d: order.index(names[d])))) if x.ndim else x
    for k, n in enumerate(order):
        x = x if n in names else unsqueeze(x, k)
    return x


def _arranged(x, names, groups, sizes):
    """The dimensions of each group as one."""
    order = [n for group in groups for n in group]
    x = permute(x, tuple(names.index(n) for n in order))
    x = expand(x, tuple(sizes[n] for n in order))
    return reshape(x, tuple(math.prod(sizes[n] for n in group) for group in groups))


def tensordot(x: Tensor, y: Tensor, dims=2) -> Tensor:
    """The products of x and y summed over dimensions: the last ``dims`` of x with the first of y, or two lists of them.

    Raises:
        RuntimeError: if their sizes differ.
    """
    x, y = as_tensor(x), as_tensor(y)
    if isinstance(dims, Tensor):
        dims = dims.tolist()
    if isinstance(dims, int):
        first, second = list(range(x.ndim - dims, x.ndim)), list(range(dims))
    else:
        pairs = zip(dims, (x, y), strict=True)
        first, second = ([dimension(d, t.ndim) for d in ((ds,) if isinstance(ds, int) else ds)] for ds, t in pairs)
    for d, e in zip(first, second, strict=True):  # a size of 1 is broadcast
        if x.shape[d] == 1 != y.shape[e]:
            y = sum(y, e, keepdim=True)
        elif y.shape[e] == 1 != x.shape[d]:
            x = sum(x, d, keepdim=True)
    if [x.shape[d] for d in first] != [y.shape[d] for d in second]:
        raise RuntimeError(f"tensordot() needs equal sizes in dimensions {first} of {x.shape} and {second} of {y.shape}")
    mine, yours = ([d for d in range(t.ndim) if d not in ds] for t, ds in ((x, first), (y, second)))
    size = math.prod(x.shape[d] for d in first)
    shape = (*(x.shape[d] for d in mine), *(y.shape[d] for d in yours))
    left = reshape(permute(x, (*mine, *first)) if x.ndim else x, (math.prod(x.shape[d] for d in mine), size))
    right = reshape(permute(y, (*second, *yours)) if y.ndim else y, (size, math.prod(y.shape[d] for d in yours)))
    return reshape(matmul(left, right), shape)


def inner(x: Tensor, other: Tensor) -> Tensor:
    """The products summed over the last dimensions of both; of a number: the product."""
    return x * other if not x.ndim or not other.ndim else tensordot(x, other, ((-1,), (-1,)))


def vdot(x: Tensor, other: Tensor) -> Tensor:
    """The inner product of two vectors."""
    return dot(x, other)


# Products with something added


def _plus(x, product, beta, alpha):
    product = product if isinstance(alpha, (int, float)) and alpha == 1 else product * alpha
    if isinstance(beta, (int, float)) and beta == 0:  # x may be NaN there
        if x.requires_grad:
            return product + where(x == x, x, 0.0) * 0
        return product.expand(broadcast_shapes(x.shape, product.shape))
    return (x if isinstance(beta, (int, float)) and beta == 1 else x * beta) + product


def addmm(x: Tensor, mat1: Tensor, mat2: Tensor, *, beta=1, alpha=1) -> Tensor:
    """beta * x + alpha * mat1 @ mat2 of matrices."""
    return _plus(x, mm(mat1, mat2), beta, alpha)


def addmv(x: Tensor, mat: Tensor, vec: Tensor, *, beta=1, alpha=1) -> Tensor:
    """beta * x + alpha * mat @ vec."""
    return _plus(x, mv(mat, vec), beta, alpha)


def addr(x: Tensor, vec1: Tensor, vec2: Tensor, *, beta=1, alpha=1) -> Tensor:
    """beta * x + alpha * outer(vec1, vec2)."""
    return _plus(x, outer(vec1, vec2), beta, alpha)


def addbmm(x: Tensor, batch1: Tensor, batch2: Tensor, *, beta=1, alpha=1) -> Tensor:
    """beta * x + alpha * the sum of batch1[k] @ batch2[k] over k."""
    return _plus(x, sum(bmm(batch1, batch2), 0), beta, alpha)


def baddbmm(x: Tensor, batch1: Tensor, batch2: Tensor, *, beta=1, alpha=1) -> Tensor:
    """beta * x + alpha * batch1 @ batch2 of batches of matrices."""
    return _plus(x, bmm(batch1, batch2), beta, alpha)


def chain_matmul(*matrices) -> Tensor:
    """The product of several matrices in the cheapest order."""
    return matrices[0] if len(matrices) == 1 else multi_dot(matrices)


def cdist(x1: Tensor, x2: Tensor, p=2.0, compute_mode=None) -> Tensor:
    """The p-norms of the differences of all rows of x1 and of x2, batches broadcast. Derivative 0 where two are equal."""
    if x1.ndim < 2 or x2.ndim < 2 or x1.shape[-1] != x2.shape[-1]:
        raise RuntimeError(f"cdist() takes matrices with rows of one length, got shapes {x1.shape} and {x2.shape}")
    return norm(unsqueeze(x1, -2) - unsqueeze(x2, -3), p, -1)


METHODS = "addmm addmv addr addbmm baddbmm inner vdot".split()
INPLACE = "addmm addmv addr addbmm baddbmm".split()
FUNCTIONS_ONLY = "einsum tensordot chain_matmul cdist".split()
ALIASES = {"ger": outer}
