"""Which functions are methods of Tensor, and which have an in-place form."""

from tapejit.eager import autograd, functional, indexing, inplace, linalg, reductions, sorting, views
from tapejit.eager.linalg import plain
from tapejit.eager.tensor import Tensor
from tapejit.spec.table import BY_NAME

_FUNCTIONS = {
    functional: "pow add sub clamp logsigmoid allclose equal to",
    views: """reshape view flatten squeeze unsqueeze transpose permute expand expand_as broadcast_to clone detach
        contiguous diagonal flip t""",
    reductions: """sum mean var std prod cumsum softmax log_softmax logsumexp amax amin max min argmax argmin any
        all""",
    sorting: "sort argsort topk median",
    linalg: """dot mv mm bmm matmul outer cholesky cholesky_solve cholesky_inverse det slogdet logdet diag diag_embed kron
        matrix_exp matrix_power trace""",
    plain: "cross lu_solve norm qr svd",
    indexing: "gather index_select take_along_dim split chunk narrow unbind roll tril triu",
    inplace: "zero_ fill_ copy_ detach_ requires_grad_ retain_grad",
}
_INPLACE = """add sub mul div pow neg abs square sqrt rsqrt reciprocal exp expm1 log log1p sin cos tan tanh sigmoid relu clamp
    floor ceil round trunc remainder maximum minimum"""


def attach() -> None:
    """Give Tensor its methods and operators."""
    for name, function in functional.FUNCTIONS.items():
        if not name.startswith("_") and name not in ("where", "cube", "clamp_min", "clamp_max"):
            setattr(Tensor, name, function)
    for group in (functional.COMPARISONS, functional.LOGICAL, functional.OPERATORS):
        for name, function in group.items():
            setattr(Tensor, name, function)
    for module, names in _FUNCTIONS.items():
        for name in names.split():
            setattr(Tensor, name, getattr(module, name))
    for name in _INPLACE.split():
        keeps_operand = name in ("clamp", "pow") or bool(BY_NAME[name].saved & 1)
        setattr(Tensor, f"{name}_", inplace.inplace_method(getattr(Tensor, name), keeps_operand))
    for operator, name in (("add", "add"), ("sub", "sub"), ("mul", "mul"), ("truediv", "div")):
        direct = inplace.operator_method(getattr(Tensor, f"{name}_"), BY_NAME[name])
        setattr(Tensor, f"__i{operator}__", direct)
    Tensor.__ipow__ = Tensor.pow_
    Tensor.where = lambda self, condition, other: functional.where(condition, self, other)
    Tensor.backward = autograd.tensor_backward
    Tensor.__getitem__ = indexing.getitem
    Tensor.__setitem__ = indexing.setitem
    Tensor.__matmul__ = linalg.matmul
    Tensor.__rmatmul__ = lambda self, other: linalg.matmul(_tensor(other), self)
    Tensor.T = property(views.reverse_dims, doc="The dimensions in reverse order.")
    Tensor.mT = Tensor.mH = property(views.matrix_transpose, doc="The last two dimensions exchanged.")
    Tensor.inverse, Tensor.pinverse = linalg.inv, linalg.pinv
    Tensor.double = lambda self: self.to("float64")
    Tensor.float = lambda self: self.to("float32")
    Tensor.int = lambda self: self.to("int32")
    Tensor.long = lambda self: self.to("int64")
    Tensor.bool = lambda self: self.to("bool")


def _tensor(other):
    from tapejit.eager.creation import as_tensor

    return as_tensor(other)


attach()
