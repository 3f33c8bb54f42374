"""Replayed functions whose results have a history: they read, or are called with, tensors that require gradients.

The values come from a program, as those of any call; the history is one node for the whole call, whose backward is a
second program, of the products with the Jacobian. A loss, that is one number, is worked out together with its gradients.
What differentiates further (``create_graph=True``) runs the function again, eagerly. Short calls are as fast eagerly, and
stay so.
"""

import functools

import numpy as np

from tapejit.core import tape as tapes
from tapejit.eager import autograd, usergraph
from tapejit.eager.grad_mode import enable_grad, is_grad_enabled
from tapejit.eager.tensor import Tensor
from tapejit.replay.leaves import fresh, pulled
from tapejit.replay.trees import flatten, is_dynamic, is_result, map_tree, unflatten
from tapejit.replay.values import tensor_of

WORTH = 150e-6  # seconds of an eager call above which a program, whose history costs some 100 us itself, is worth it
LOOKS = 3  # eager calls that are timed first: the very first one may wait for kernels
MOST_KINDS = 256


class StaysEager(Exception):
    """There is no program for a call."""


class Found:
    """What a recording found out about the results: static, so that programs differ by it.

    Attributes:
        structure: of the results.
        lead: for each of them, whether it leads back to a tensor that requires a gradient.
        captured: the numbers of these tensors, as far as they are none of the arguments.
        has_gradients: whether the gradients follow the results.
    """

    def __init__(self, structure, lead, captured, has_gradients):
        self.structure, self.lead, self.captured, self.has_gradients = structure, lead, captured, has_gradients

    def _key(self):
        return self.structure, self.lead, self.captured, self.has_gradients

    def __eq__(self, other):
        return other.__class__ is Found and other._key() == self._key()

    def __hash__(self):
        return hash(self._key())


class Histories:
    """The calls of a replayed function that are to have a history.

    Args:
        replayed: the function.
        program: makes a replayed function like it, of another function of the same arguments; raises StaysEager instead of
            running eagerly.
    """

    def __init__(self, replayed, program):
        self._replayed, self._program = replayed, program
        self._captured = []  # the tensors that the function reads, in the order in which they were met
        self._values = {}  # by what requires a gradient among the arguments (None: nothing is to have a history)
        self._products = {}
        self._times = {}  # by kind of call, those of the first few eager ones
        self.last = None  # the program, a replayed function, that gave the last values

    def programs(self):
        """What was made for calls with a history: replayed functions."""
        return [*self._values.values(), *self._products.values()]

    def pay(self, kinds) -> bool:
        """Whether a program is worth its while for calls of a kind, as far as their times are known."""
        times = self._times.get(kinds, ())
        return len(times) == LOOKS and min(times) > WORTH

    def never(self, kinds):
        """Calls of a kind have no program, or none that would do."""
        self._times[kinds] = [0.0] * LOOKS

    def took(self, kinds, seconds):
        """An eager call of a kind has taken so long."""
        if len(self._times) > MOST_KINDS:
            self._times.clear()
        times = self._times.setdefault(kinds, [])
        if len(times) < LOOKS:
            times.append(seconds)

    def call(self, args, kwargs):
        """The results, as tensors.

        Raises:
            StaysEager: if there is no program for this call.
        """
        leaves = []
        flatten((args, kwargs), is_dynamic, leaves)
        wanted = is_grad_enabled()
        mask = tuple([x.__class__ is Tensor and x.requires_grad for x in leaves]) if wanted else None
        if mask not in self._values:
            self._values[mask] = self._program(functools.partial(self._evaluated, mask))
        plain = map_tree(_memory, (args, kwargs))
        self.last = self._values[mask]
        found, results, gradients = self.last(*plain[0], **plain[1])
        results = [tensor_of(x) for x in results]
        if not any(found.lead):
            return unflatten(found.structure, iter(results))
        asking = [x for x, needs in zip(leaves, mask, strict=True) if needs]
        self._check_apart(asking, [self._captured[k] for k in found.captured])
        return self._attached(found, mask, leaves, (args, kwargs), plain, results, gradients)

    # What is recorded

    def _evaluated(self, mask, *args, **kwargs):
        """(what was found out, the results, the gradients of a loss)."""
        if tapes.current().recorder is None:
            raise StaysEager
        result, sources, numbers = self._run(mask, args, kwargs)
        outputs = []
        structure = flatten(result, is_result, outputs)
        outputs = [self._own(x) for x in outputs]
        lead = tuple([mask is not None and x.__class__ is Tensor and x.requires_grad for x in outputs])
        loss = outputs[lead.index(True)] if sum(lead) == 1 else None
        together = loss is not None and loss.numel() == 1 and self._replayed.transform == "jit"
        gradients = pulled([loss], [None], sources, False) if together else ()
        return Found(structure, lead, tuple(numbers), together), tuple(outputs), tuple(gradients)

    def _pulled(self, mask, cotangents, *args, **kwargs):
        """The results that lead back, and the products of cotangents for them with the Jacobian."""
        if tapes.current().recorder is None:
            raise StaysEager
        result, sources, numbers = self._run(mask, args, kwargs)
        outputs = []
        flatten(result, is_result, outputs)
        outputs = [x for x in map(self._own, outputs) if x.__class__ is Tensor and x.requires_grad]
        return Found(None, (), tuple(numbers), True), tuple(outputs), tuple(pulled(outputs, cotangents, sources, False))

    def _run(self, mask, args, kwargs):
        """The result, the leaves that stand in for tensors that require gradients, and the numbers of the captured ones."""
        recorder = tapes.current().recorder
        captured = {}  # id of a tensor -> (the leaf in its place, its number)

        def stand_in(tensor):
            if mask is None:
                return recorder.constant(tensor)
            if id(tensor) not in captured:
                captured[id(tensor)] = fresh(recorder.constant(tensor)), self._number(tensor)
            return captured[id(tensor)][0]

        leaves = []
        structure = flatten((args, kwargs), is_dynamic, leaves)
        if mask is not None:
            leaves = [fresh(x) if wanted else x for x, wanted in zip(leaves, mask, strict=True)]
        sources = [x for x, wanted in zip(leaves, mask or (), strict=False) if wanted]
        args, kwargs = unflatten(structure, iter(leaves))
        recorder.histories = stand_in
        result = self._replayed.function(*args, **kwargs)
        return result, sources + [leaf for leaf, _ in captured.values()], [number for _, number in captured.values()]

    def _own(self, x):
        """A result as a tensor of the recording."""
        tape = tapes.current()
        return tape.recorder.bring(x) if x.__class__ is Tensor and x._tape() is not tape else x

    def _number(self, tensor):
        for number, known in enumerate(self._captured):
            if known is tensor:
                return number
        self._captured.append(tensor)
        return len(self._captured) - 1

    # What a caller gets

    @staticmethod
    def _check_apart(arguments, captured):
        """Whether the derivative in each of these tensors is in it alone: none is, or was computed from, another one.

        Raises:
            StaysEager: if that is not so. Arguments alone are told apart by tensors of their own, see ``_again``.
        """
        both = {id(x) for x in arguments} & {id(x) for x in captured}
        if captured and (both or not all(x.is_leaf for x in (*arguments, *captured))):
            raise StaysEager

    def _attached(self, found, mask, leaves, arguments, plain, results, gradients):
        """The results, their history a node."""
        sources = [x for x, wanted in zip(leaves, mask, strict=True) if wanted] + [self._captured[k] for k in found.captured]
        tensors = [x for x in leaves if x.__class__ is Tensor] + sources
        versions = [x._version for x in tensors]
        values = [x for x, lead in zip(results, found.lead, strict=True) if lead]

        def pull(arrived):
            if [x._version for x in tensors] != versions:
                raise RuntimeError(
                    f"a tensor that {self._replayed.__name__}() was called with, or read, has been modified by an inplace "
                    "operation since: backward() would give the gradient somewhere else"
                )
            if is_grad_enabled():
                return self._again(arguments, values, sources, arrived)
            if found.has_gradients:
                scale = arrived[0].item()
                return [tensor_of(g) if scale == 1.0 else tensor_of(g) * scale for g in gradients]
            return self._product(mask, plain, values, sources, found, arguments, arrived)

        _, made = usergraph.connect(pull, f"{self._replayed.__name__}Backward", sources, values)
        made = iter(made)
        results = [next(made) if lead else x for x, lead in zip(results, found.lead, strict=True)]
        return unflatten(found.structure, iter(results))

    def _product(self, mask, plain, values, sources, found, arguments, arrived):
        """The products with the Jacobian, by a program."""
        if mask not in self._products:
            self._products[mask] = self._program(functools.partial(self._pulled, mask), before=1)
        pairs = zip(values, arrived, strict=True)
        cotangents = [np.zeros(y.shape, y.dtype.numpy) if g is None else g._memory() for y, g in pairs]
        try:
            seen, outputs, gradients = self._products[mask](cotangents, *plain[0], **plain[1])
        except StaysEager:
            with enable_grad():
                return self._again(arguments, values, sources, arrived, create_graph=False)
        _check_same(self._replayed.__name__, values, outputs)
        count = len(sources) - len(found.captured)
        by_number = dict(zip(seen.captured, gradients[count:], strict=True))
        gradients = [*gradients[:count], *(by_number.get(k) for k in found.captured)]
        return [None if g is None else tensor_of(g) for g in gradients]

    def _again(self, arguments, values, sources, arrived, create_graph=True):
        """The same by running the function eagerly, to be differentiated further."""
        leaves, outputs = [], []
        structure = flatten(arguments, is_dynamic, leaves)
        own = [fresh(x) if x.__class__ is Tensor and x.requires_grad else x for x in leaves]
        taken = [new for old, new in zip(leaves, own, strict=True) if new is not old]
        sources = taken + sources[len(taken) :]
        args, kwargs = unflatten(structure, iter(own))
        flatten(self._replayed.eagerly(args, kwargs), is_result, outputs)
        outputs = [x for x in outputs if x.__class__ is Tensor and x.requires_grad]
        _check_same(self._replayed.__name__, values, [x.detach()._memory() for x in outputs])
        pairs = [(y, g) for y, g in zip(outputs, arrived, strict=True) if g is not None]
        outputs, seeds = zip(*pairs, strict=True)
        return autograd.grad(outputs, sources, seeds, True, create_graph, allow_unused=True)


def _memory(x):
    return x._memory() if x.__class__ is Tensor else x


def _check_same(name, values, outputs):
    """Refuse to differentiate at another place than where the values were taken."""
    same = len(values) == len(outputs) and all(
        np.allclose(x._memory(), y, rtol=1e-4, atol=1e-12, equal_nan=True) for x, y in zip(values, outputs, strict=True)
    )
    if not same:
        raise RuntimeError(
            f"an array that {name}() was called with, or read, has changed since: backward() would give the gradient "
            "somewhere else"
        )
