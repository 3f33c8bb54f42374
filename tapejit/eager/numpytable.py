"""The table of NumPy's functions: which function of tensors each one is, and what its arguments are called there.

``np.sum(t)`` finds its row by the protocol (``numpyprotocol``), ``tapejit.numpy.sum`` is the row, docs/numpy.md lists it.
"""

import inspect

import numpy as np

from tapejit.eager import asnumpy, creation, families, linalg, reductions, sorting, views
from tapejit.eager.devices import check_device
from tapejit.eager.functional import FUNCTIONS, round
from tapejit.eager.keywords import deliver
from tapejit.eager.otherkinds import of_other_kind, other_kind
from tapejit.eager.ufuncs import PLAIN, SCIPY, UFUNCS, numbers_of, tensor_of

# NumPy's name, tapejit's name, NumPy's parameters: * is made a tensor, axis>dim is called dim there. Without parameters the
# function is that of ``asnumpy`` with NumPy's own; the number says how many leading arguments are made tensors.
_ROWS = """
sum 1
nansum nansum a* axis>dim dtype keepdims>keepdim
nanmean nanmean a* axis>dim dtype keepdims>keepdim
max 1
amax:max 1
min 1
amin:min 1
any 1
all 1
argmax argmax a* axis>dim keepdims>keepdim
argmin argmin a* axis>dim keepdims>keepdim
count_nonzero count_nonzero a* axis>dim
squeeze 1
swapaxes swapaxes a* axis1>dim0 axis2>dim1
moveaxis movedim a* source destination
fliplr fliplr m*
flipud flipud m*
rot90 rot90 m* k axes>dims
broadcast_to broadcast_to array* shape
diag diag v* k>diagonal
diagonal diagonal a* offset axis1>dim1 axis2>dim2
diagflat diagflat v* k>offset
tril 1
triu 1
matrix_transpose adjoint x*
real real val*
imag imag val*
angle angle z*
round round a* decimals
around round a* decimals
fix fix x*
sinc sinc x*
i0 i0 x*
nan_to_num nan_to_num x* nan posinf neginf
isclose isclose a* b* rtol atol equal_nan
isposinf isposinf x*
isneginf isneginf x*
isreal isreal x*
unique unique ar* return_inverse return_counts axis>dim
searchsorted searchsorted a* v*>input side sorter*
isin isin element* test_elements* assume_unique invert
bincount bincount x* weights* minlength
copy clone a*
zeros_like zeros_like a* dtype
ones_like ones_like a* dtype
empty_like empty_like a* dtype
full_like full_like a* fill_value dtype
argwhere argwhere a*
unravel_index unravel_index indices* shape
linalg.norm linalg.norm x* ord axis>dim keepdims>keepdim
linalg.inv linalg.inv a*
linalg.det linalg.det a*
linalg.slogdet linalg.slogdet a*
linalg.eigh linalg.eigh a* UPLO
linalg.eigvalsh linalg.eigvalsh a* UPLO
linalg.qr linalg.qr a* mode
linalg.svdvals linalg.svdvals x*
linalg.cond linalg.cond x* p
linalg.matrix_power linalg.matrix_power a* n
linalg.vector_norm linalg.vector_norm x* axis>dim keepdims>keepdim ord
linalg.matrix_norm linalg.matrix_norm x* keepdims>keepdim ord
linalg.diagonal linalg.diagonal x* offset
linalg.matrix_transpose adjoint x*
linalg.tensorinv linalg.tensorinv a* ind
mean 1
prod 1
var 1
std 1
ptp 1
average 1
nanprod 1
nancumsum 1
nancumprod 1
nanmax 1
nanmin 1
nanvar 1
nanstd 1
nanargmax 1
nanargmin 1
cumsum 1
cumprod 1
quantile 1
percentile 1
nanquantile 1
nanpercentile 1
median 1
nanmedian 1
cov 1
corrcoef 1
transpose 1
expand_dims 1
reshape 1
ravel 1
flip:flip_axes 1
roll 1
rollaxis 1
concatenate 0
stack 0
hstack 0
vstack 0
dstack 0
column_stack 0
block 0
append 1
delete 1
insert 1
split 1
array_split 1
hsplit 1
vsplit 1
dsplit 1
unstack 1
tile 1
repeat 1
broadcast_arrays -
meshgrid -
atleast_1d -
atleast_2d -
atleast_3d -
pad 1
dot 2
outer 2
vdot 2
inner 2
tensordot 2
kron 2
cross 2
einsum -
trace 1
vander 1
convolve 2
correlate 2
where -
select 0
take 1
take_along_axis 1
compress 2
extract 2
sort 1
argsort 1
partition 1
argpartition 1
nonzero 1
flatnonzero 1
digitize 2
copyto 1
put 1
putmask 1
place 1
put_along_axis 1
fill_diagonal 1
diff 1
ediff1d 1
gradient -
trapezoid 1
interp 1
linspace 0
logspace 0
geomspace 0
clip 1
allclose 2
array_equal 2
unwrap 1
polyval 1
choose 1
lexsort -
piecewise 1
apply_along_axis -
apply_over_axes -
histogram -
resize 1
cumulative_sum 1
cumulative_prod 1
astype 1
real_if_close 1
iscomplex 1
array_equiv 2
linalg.tensorsolve:tensorsolve 2
shape 1
ndim 1
size 1
iscomplexobj 1
isrealobj 1
result_type -
linalg.solve:solve 2
linalg.cholesky:cholesky 1
linalg.eig:eig 1
linalg.eigvals:eigvals 1
linalg.svd:svd 1
linalg.pinv:pinv 1
linalg.lstsq:lstsq 2
linalg.matrix_rank:matrix_rank 1
linalg.multi_dot:multi_dot 0
linalg.trace:matrix_trace 1
linalg.outer:outer 2
linalg.cross:cross 2
linalg.tensordot:tensordot 2
linalg.matmul:matmul 2
linalg.vecdot:vecdot 2
"""
_ALIASES = {"concat": "concatenate", "permute_dims": "transpose"}
_HARMLESS = {
    "order": ("K", "C", "A", None),
    "subok": (True, False),
    "copy": (True, False, None),
    "where": (True,),
    "casting": ("same_kind",),
    "kind": (None, "quicksort", "mergesort", "stable", "heapsort", "introselect"),
    "stable": (None, True, False),
    "like": (None,),
    "optimize": (True, False, "greedy", "optimal"),
    "overwrite_input": (True, False),
}
NOTHING = np._NoValue
_REDUCTIONS = "sum prod max min amax amin any all mean var std ptp nansum nanmean nanprod nanmax nanmin nanvar nanstd".split()
_OWN = {**families.FUNCTIONS, **FUNCTIONS, **PLAIN, "round": round}


def _target(name):
    if name.startswith("linalg."):
        return getattr(linalg, name[7:])
    for module in (reductions, sorting, views, creation, linalg):
        if name not in _OWN and hasattr(module, name):
            return getattr(module, name)
    return families.METHODS[name] if name == "adjoint" else _OWN[name]


_OF_COMPLEX = {"concatenate": "cat", "conjugate": "conj", "axis": "dim", "axes": "dim", "keepdims": "keepdim"}


def _signature(target, parameters, tensors, raw):
    """NumPy's parameters with the target's defaults; what is no tensor and has none is None unless it is said."""
    own = inspect.signature(target)
    if raw:
        return own
    made, optional = [], False
    for name, given in parameters.items():
        known = own.parameters.get(given)
        default = inspect.Parameter.empty if known is None else known.default
        if default is inspect.Parameter.empty and (optional or (known is None and name not in tensors)):
            default = None
        optional = optional or default is not inspect.Parameter.empty
        made.append(inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default))
    if "device" not in parameters:  # the processor, for every function (see ``Function._known``)
        made.append(inspect.Parameter("device", inspect.Parameter.KEYWORD_ONLY, default=None))
    return own.replace(parameters=made, return_annotation=inspect.Signature.empty)


class Function:
    """A NumPy function of tensors.

    Attributes:
        name: NumPy's name, without "np.".
        target: the function of tensors.
        parameters: NumPy's parameters that are taken, with the target's names.
    """

    def __init__(self, name, target, parameters, tensors, raw=False):
        self.name, self.__name__, self.target = name, name.rpartition(".")[2], target
        self.parameters, self.tensors, self.raw = parameters, tensors, raw
        self._order = list(parameters)
        self.__signature__ = _signature(target, parameters, tensors, raw)
        self.__doc__ = f"np.{name} of tensors: takes {', '.join(parameters) or 'what NumPy takes'}."

    def __repr__(self):
        return f"<np.{self.name} of tensors>"

    def __call__(self, *args, out=None, **kwargs):
        other = other_kind(args)
        if other is not None and out is None:
            if f"np.{self.name}" in other:
                return other[f"np.{self.name}"](*args, **{k: v for k, v in kwargs.items() if k != "device"})
            name = _OF_COMPLEX.get(self.__name__, self.__name__)
            return of_other_kind(other, name, args, {_OF_COMPLEX.get(k, k): v for k, v in kwargs.items() if k != "device"})
        if self.raw:
            return deliver(numbers_of(self.target(*args, **self._known(kwargs))), out)
        if len(args) > len(self._order):
            known = ", ".join(self._order)
            raise TypeError(f"np.{self.name}() of tensors takes at most {len(self._order)} arguments ({known})")
        given = dict(zip(self._order, args, strict=False))
        if self.name in _REDUCTIONS and kwargs.get("axis", given.get("axis")) in ((), []):
            return self._of_each(*args, out=out, **kwargs)
        for name, value in self._known(kwargs).items():
            if name in given:
                raise TypeError(f"np.{self.name}() got {name} twice")
            given[name] = value
        parts = {
            self.parameters[name]: tensor_of(value) if name in self.tensors and value is not None else value
            for name, value in given.items()
            if value is not NOTHING
        }
        if "dtype" in parts and parts["dtype"] is None:
            del parts["dtype"]
        leading = [parts.pop(own) for own in self._leading(parts)]
        return deliver(numbers_of(self.target(*leading, **parts)), out)

    def _of_each(self, a, *args, out, **kwargs):
        """The reduction over no axis: of each element by itself, which NumPy has and PyTorch has not."""
        a = tensor_of(a)
        more = dict(zip(self._order[1:], args, strict=False)) | kwargs | {"axis": -1}
        more.pop("keepdims", None)
        if more.get("where", True) is not True:
            more["where"] = tensor_of(more["where"]).expand(a.shape)[..., None]
        return self(a[..., None], out=out, **more)

    def _leading(self, parts):
        """The first arguments, which go by position."""
        for name in self._order:
            if name not in self.tensors or self.parameters[name] not in parts:
                return
            yield self.parameters[name]

    def _known(self, kwargs):
        """The keywords without those that say nothing for tensors.

        Raises:
            TypeError: for one that is not taken.
        """
        if self.raw and "out" not in kwargs and not any(name in kwargs for name in ("like", "subok", "device")):
            return kwargs
        found = {}
        for name, value in kwargs.items():
            if name in self.parameters or self.raw:
                found[name] = value
            elif name == "device":
                check_device(value)
            elif value is not NOTHING and not (isinstance(value, (str, bool, type(None))) and value in _HARMLESS.get(name, ())):
                known = ", ".join(self._order)
                raise TypeError(f"np.{self.name}() of tensors does not take {name}={value!r}; it takes {known}")
        return found


def _row(words):
    name, *rest = words
    if len(rest) == 1:
        name, _, own = name.partition(":")
        target = asnumpy.named(own or name)
        if rest[0] == "-":
            return Function(name, target, {}, (), raw=True)
        names = list(inspect.signature(target).parameters)
        return Function(name, target, {n: n for n in names}, tuple(names[: int(rest[0])]))
    parameters, tensors = {}, []
    for word in rest[1:]:
        given, _, own = word.partition(">")
        plain = given.rstrip("*")
        parameters[plain] = own or plain
        if given != plain:
            tensors.append(plain)
    target = _target(rest[0])
    first = list(inspect.signature(target).parameters)
    for plain in tensors:  # by position: the target's own name does not matter
        if parameters[plain] == plain and plain not in first and len(first) > tensors.index(plain):
            parameters[plain] = first[tensors.index(plain)]
    return Function(name, target, parameters, tuple(tensors))


TABLE = {words[0].partition(":")[0]: _row(words) for words in map(str.split, _ROWS.strip().splitlines())}
TABLE.update({name: TABLE[own] for name, own in _ALIASES.items()})


def look_up(function):
    """The entry of a NumPy function, None if there is none."""
    if isinstance(function, np.ufunc):
        return UFUNCS.get(function.__name__)
    module = getattr(function, "__module__", "") or ""
    name = f"{module[6:]}.{function.__name__}" if module.startswith("numpy.") else function.__name__
    return TABLE.get(name) if module.partition(".")[0] == "numpy" else None


def listing() -> str:
    """The rows as a table for docs/numpy.md."""
    lines = ["| NumPy | takes |", "|---|---|"]
    for name, row in sorted(TABLE.items()):
        lines.append(f"| `np.{name}` | {', '.join(row.parameters) if row.parameters else 'what NumPy takes'} |")
    scipy = {word.partition(":")[0] for word in SCIPY.split()}
    for label, names in (("Ufuncs", set(UFUNCS) - scipy), ("Ufuncs of `scipy.special`", scipy)):
        lines += ["", f"{label}: {', '.join(f'`{name}`' for name in sorted(names))}."]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(listing(), end="")
