"""What all optimisers have in common: groups of parameters with options of their own, state, and saving both."""

import copy

import tapejit as tj


class Optimizer:
    """Base of the optimisers. A subclass gives ``update(parameter, gradient, state, group)``, run under ``no_grad``.

    Args:
        params: tensors, pairs (name, tensor), or dicts with ``"params"`` and options of that group.
        defaults: the options of groups that do not name them.

    Attributes:
        param_groups: a list of dicts: ``"params"``, and the options.
        state: a dict from each parameter to what is remembered of it.

    Raises:
        ValueError: without parameters, or for one that is in two groups; TypeError for what is no tensor.
    """

    def __init__(self, params, defaults):
        if isinstance(params, tj.Tensor):
            raise TypeError("params must be an iterable of tensors or dicts, got one tensor; put it into a list")
        self.defaults = defaults
        self.param_groups, self.state = [], {}
        groups = list(params)
        if not groups:
            raise ValueError("the optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def add_param_group(self, group) -> None:
        """Add a group of parameters: a dict with ``"params"`` and options that differ from the defaults."""
        group = dict(group)
        params = group["params"]
        params = [params] if isinstance(params, tj.Tensor) else list(params)
        group["params"] = [p[1] if isinstance(p, tuple) else p for p in params]
        known = {id(p) for other in self.param_groups for p in other["params"]}
        for p in group["params"]:
            if not isinstance(p, tj.Tensor):
                raise TypeError(f"an optimizer takes tensors, one of the params is a {type(p).__name__}")
            if not p.is_leaf:
                raise ValueError("can't optimize a tensor that was computed: parameters are leaves")
            if id(p) in known:
                raise ValueError("some parameters appear in more than one parameter group, or twice")
            known.add(id(p))
        self.param_groups.append({**self.defaults, **group})

    def zero_grad(self, set_to_none=True) -> None:
        """Drop the gradients, or fill them with zeros."""
        for group in self.param_groups:
            for p in group["params"]:
                if set_to_none:
                    p.grad = None
                elif p.grad is not None:
                    p.grad.detach_().zero_()

    def step(self, closure=None):
        """Change the parameters by their gradients; with a closure, which computes them, its result is given back."""
        loss = None
        if closure is not None:
            with tj.enable_grad():
                loss = closure()
        with tj.no_grad():
            for group in self.param_groups:
                self.update_group(group)
        return loss

    def update_group(self, group) -> None:
        """Change the parameters of a group that have a gradient."""
        for p in group["params"]:
            g = p.grad
            if g is None:
                continue
            state = self.state.get(p)
            if state is None:
                state = self.state[p] = {}
            self.update(p, -g if group.get("maximize") else g, state, group)

    def update(self, p, g, state, group) -> None:
        """Change one parameter in place."""
        raise NotImplementedError("an optimizer needs update(parameter, gradient, state, group), or a step() of its own")

    def state_dict(self) -> dict:
        """State and options, with numbers in place of parameters: what ``load_state_dict`` takes."""
        numbers = {id(p): i for i, p in enumerate(self._parameters())}
        groups = []
        for group in self.param_groups:
            row = {name: value for name, value in group.items() if name != "params"}
            groups.append({**row, "params": [numbers[id(p)] for p in group["params"]]})
        state = {numbers[id(p)]: dict(values) for p, values in self.state.items() if id(p) in numbers}
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict) -> None:
        """Take over state and options of an optimizer with the same groups.

        Raises:
            ValueError: if the groups do not have as many parameters.
        """
        groups = state_dict["param_groups"]
        have, given = ([len(g["params"]) for g in side] for side in (self.param_groups, groups))
        if have != given:
            raise ValueError(f"the loaded state dict has groups of {given} parameters, this optimizer of {have}")
        numbers = [n for group in groups for n in group["params"]]
        by_number = dict(zip(numbers, self._parameters(), strict=True))
        for own, group in zip(self.param_groups, groups, strict=True):
            own.update({name: copy.deepcopy(value) for name, value in group.items() if name != "params"})
        self.state = {
            by_number[n]: {k: _copied(v) for k, v in values.items() if v is not None}
            for n, values in state_dict["state"].items()
        }

    def _parameters(self):
        return [p for group in self.param_groups for p in group["params"]]

    def __repr__(self):
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {i}")
            lines += [f"    {name}: {group[name]}" for name in sorted(group) if name != "params"]
        return "\n".join([*lines, ")"])


def _copied(value):
    return value.detach().clone() if isinstance(value, tj.Tensor) else copy.deepcopy(value)


def check(**options) -> None:
    """Raise ValueError for options that are negative."""
    for name, value in options.items():
        if not value >= 0.0:
            raise ValueError(f"{name} must not be negative, got {value}")


def check_betas(betas) -> None:
    """Raise ValueError for rates outside of [0, 1)."""
    for i, beta in enumerate(betas):
        if not 0.0 <= beta < 1.0:
            raise ValueError(f"beta {i} must be in [0, 1), got {beta}")
