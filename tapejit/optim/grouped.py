"""Optimisers whose rule is stated once, for numbers: one compiled call changes all parameters of a group.

The rule, called with symbols, becomes a kernel that goes through the elements of a parameter, of its gradient and of what is
remembered of it. Called with tensors, the same rule changes what the kernel does not take: parameters with strides, of another
thread, in memory of NumPy's, or in a function that is being recorded.
"""

import functools

import tapejit as tj
from tapejit.eager.together import update_together
from tapejit.optim.optimizer import Optimizer


class Grouped(Optimizer):
    """Base of these. A subclass gives

    ``arrays(group)``: the names of the tensors that are remembered of a parameter -> what they are filled with at first;
    ``numbers(group, counters, fresh)``: the counters after one more step, a tuple, and the numbers of its rule;
    ``kind(group)``: what, beside numbers, tells one form of the rule from another;
    ``rule(*kind)``: the form, ``f(p, g, *arrays, *numbers)``, which gives the new ``p`` and the new arrays.

    ``maximize`` and weight decay, decoupled or not, are done here. ``fresh`` says that an array was not there before.

    Attributes:
        counters: names of numbers in a parameter's state -> their first values.
    """

    counters = {"step": 0}  # noqa: RUF012  (read only)

    def __init__(self, params, options, foreach=None, fused=None, capturable=False, differentiable=False):
        if foreach and fused:
            raise RuntimeError("`fused` and `foreach` cannot be `True` together")
        if differentiable:
            raise ValueError("differentiable=True is not here: differentiate a function of tensors that does the steps")
        super().__init__(params, options)

    def kind(self, group):
        return ()

    def update_group(self, group):
        arrays = self.arrays(group)
        names, states = tuple(arrays), self.state
        batches = {}  # of parameters whose steps have the same numbers
        for p in group["params"]:
            g = p.grad
            if g is None:
                continue
            fresh = False
            try:
                state = states[p]
                row = [state[name] for name in names]
            except KeyError:
                fresh = True
                state = states.setdefault(p, {})
                row = _begin(p, state, arrays)
            key = (p.dtype, fresh, *map(state.get, self.counters))
            try:
                tensors, members = batches[key]
            except KeyError:
                tensors, members = batches[key] = [], []
            tensors += (p, g, *row)
            members.append(state)
        for (dtype, fresh, *counters), (tensors, members) in batches.items():
            before = [first if c is None else _plain(c) for c, first in zip(counters, self.counters.values(), strict=True)]
            after, numbers = self.numbers(group, before, fresh)
            self._change(group, dtype, 2 + len(names), tensors, list(map(_plain, numbers)))
            after = dict(zip(self.counters, after, strict=True))
            if after:
                for state in members:
                    state.update(after)

    def _change(self, group, dtype, width, tensors, numbers):
        """Change parameters that are alike in all but their values, and what is remembered of them."""
        decay = group.get("weight_decay", 0)
        how = DECOUPLED if group.get("decoupled_weight_decay") else COUPLED
        form = type(self), tuple(self.kind(group)), bool(group.get("maximize")), how if decay else NONE
        if decay:
            numbers.append(_plain(1 - group["lr"] * decay if how == DECOUPLED else decay))
        rule = _rule(*form)
        if update_together(type(self).__name__, rule, dtype, width, tensors, numbers):
            return
        for i in range(0, len(tensors), width):
            p, g, *arrays = tensors[i : i + width]
            for old, new in zip((p, *arrays), rule(p, g, *arrays, *numbers), strict=True):
                old.copy_(new)


NONE, COUPLED, DECOUPLED = range(3)  # ways of weight decay


@functools.cache
def _rule(optimiser, kind, maximize, decay):
    """The rule of a kind of an optimiser, with what all have in common; the last number is that of the decay."""
    inner = optimiser.rule(*kind)

    def rule(p, g, *rest):
        if maximize:
            g = -g
        if decay == COUPLED:
            g = g + rest[-1] * p
        if decay == DECOUPLED:
            p = p * rest[-1]
        return inner(p, g, *(rest[:-1] if decay else rest))

    return rule


def _begin(p, state, arrays):
    """What is remembered of a parameter, filled in where it is missing."""
    for name, first in arrays.items():
        if state.get(name) is None:
            state[name] = tj.full_like(p.detach(), _plain(first), requires_grad=False)
    return [state[name] for name in arrays]


def _plain(number):
    """A Python number: learning rates and counts of steps may be tensors."""
    return number.item() if isinstance(number, tj.Tensor) else number
