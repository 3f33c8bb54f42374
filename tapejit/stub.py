"""The stub by which type checkers and editors know the package: ``python -m tapejit.stub > tapejit/__init__.pyi``.

Most functions and methods are made from tables, which no checker sees; the stub is written from what was made.
"""

import inspect
import keyword
import types

import tapejit as tj
from tapejit.eager.frameless import Operator

_RETURNS = {
    "builtins.bool": "allclose equal is_tensor is_grad_enabled requires_grad is_leaf retains_grad is_contiguous "
    "is_floating_point __bool__ __contains__",
    "builtins.int": "numel nelement dim ndim element_size itemsize nbytes data_ptr __len__ __int__ __index__ __hash__ warm",
    "builtins.float": "__float__",
    "builtins.str": "__format__ __repr__",
    "None": "backward retain_grad __setitem__ manual_seed set_printoptions set_default_dtype",
    "builtins.tuple[Tensor, ...]": "split chunk unbind",
    "Any": "max min where numpy tolist item size stride shape dtype grad grad_fn to_ __array__ __deepcopy__ __reduce__ "
    "get_default_dtype grad value_and_grad jit vjp jvp hvp hessian jacobian jacfwd jacrev no_grad enable_grad set_grad_enabled",
    "Iterator[Tensor]": "__iter__",
}
_RETURN = {name: kind for kind, names in _RETURNS.items() for name in names.split()}
_NOT_METHODS = ("__slots__", "__module__", "__doc__", "__weakref__")
_HEAD = '''"""Written by ``python -m tapejit.stub``: what type checkers and editors know of the package."""

import builtins
from collections.abc import Iterator
from typing import Any

'''


def _parameters(function, method):
    try:
        found = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return ("self, " if method else "") + "*args: Any, **kwargs: Any"
    words, star = [], False
    for k, p in enumerate(found):
        default = "" if p.default is p.empty else " = ..."
        if method and k == 0 and p.kind is not p.VAR_POSITIONAL:
            words.append("self")
        elif p.kind is p.VAR_POSITIONAL:
            words += ["self"] if method and k == 0 else []
            words.append(f"*{p.name}: Any")
            star = True
        elif p.kind is p.VAR_KEYWORD:
            words.append(f"**{p.name}: Any")
        else:
            if p.kind is p.KEYWORD_ONLY and not star:
                words.append("*")
                star = True
            words.append(f"{p.name}: Any{default}")
    return ", ".join(words)


def _function(name, function, indent="", method=False):
    result = _RETURN.get(name, "Tensor")
    ignore = "  # type: ignore[override]" if name in ("__eq__", "__ne__") else ""
    return f"{indent}def {name}({_parameters(function, method)}) -> {result}: ...{ignore}\n"


def _tensor():
    """The class with its methods, operators and properties."""
    text = "class Tensor:\n"
    for name, value in sorted(vars(tj.Tensor).items()):
        if name in _NOT_METHODS or (name.startswith("_") and not name.startswith("__")):
            continue
        if isinstance(value, property):
            result = _RETURN.get(name, "Tensor")
            text += f"    @property\n    def {name}(self) -> {result}: ...\n"
            if value.fset:
                text += f"    @{name}.setter\n    def {name}(self, value: Any) -> None: ...\n"
        elif isinstance(value, (types.FunctionType, Operator)):
            text += _function(name, value, "    ", True)
    return text


def stub() -> str:
    """The stub file's text."""
    modules, functions, values = "", "", ""
    for name in tj.__all__:
        value = getattr(tj, name)
        if keyword.iskeyword(name) or name == "Tensor":
            continue
        if isinstance(value, types.ModuleType):
            modules += f"from tapejit import {name} as {name}\n" if value.__name__ == f"tapejit.{name}" else ""
        elif isinstance(value, types.FunctionType):
            functions += _function(name, value)
        else:
            values += f"{name}: Any\n"
    functions += "".join(_function(name, getattr(tj, name)) for name in sorted(tj._LAYERS))
    values += "__version__: builtins.str\n"
    values += "".join(f"{name}: Any\n" for name in (*tj._LATER, "stop_gradient"))
    return f"{_HEAD}{modules}\n{values}\n{_tensor()}\n{functions}"


if __name__ == "__main__":
    print(stub(), end="")
