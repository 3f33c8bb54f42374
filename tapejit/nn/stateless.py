"""Modules as functions of their parameters and buffers."""

import tapejit as tj


def functional_call(module, parameter_and_buffer_dicts, args=None, kwargs=None, *, strict=False):
    """Call a module with other parameters and buffers: a dict by name, or several. The module stays as it is.

    So a module is a function of its parameters, for ``value_and_grad``, ``vmap`` and their kin:

        loss = tj.value_and_grad(lambda p, x, y: F.mse_loss(tj.func.functional_call(net, p, x), y))
        value, gradients = loss(dict(net.named_parameters()), x, y)

    Raises:
        KeyError: for a name that the module does not have; with ``strict``, for one that is missing.
    """
    dicts = parameter_and_buffer_dicts
    values = {k: v for d in (dicts if isinstance(dicts, (tuple, list)) else (dicts,)) for k, v in d.items()}
    args = () if args is None else args if isinstance(args, tuple) else (args,)
    places = {}
    for path, inner in module.named_modules(remove_duplicate=False):
        for kind in (inner._parameters, inner._buffers):
            for name in kind:
                places[f"{path}.{name}" if path else name] = kind, name
    unknown = values.keys() - places.keys()
    if unknown or (strict and places.keys() - values.keys()):
        raise KeyError(f"unexpected names {sorted(unknown)}, missing names {sorted(places.keys() - values.keys())}")
    tied = {}
    for name, value in values.items():
        kind, key = places[name]
        tied[id(kind[key])] = value
    changed = []
    try:
        for name, (kind, key) in places.items():
            before = kind[key]
            if name in values or (before is not None and id(before) in tied):
                changed.append((kind, key, before))
                kind[key] = values[name] if name in values else tied[id(before)]
        return module(*args, **(kwargs or {}))
    finally:
        for kind, key, before in changed:
            kind[key] = before


def stack_module_state(models):
    """The parameters and buffers of modules of one kind, each stacked along a new first dimension: for an ensemble by ``vmap``.

        params, buffers = tj.func.stack_module_state(models)
        call = lambda p, b, x: tj.func.functional_call(models[0], (p, b), x)
        outputs = tj.vmap(call, in_axes=(0, 0, None))(params, buffers, x)

    Args:
        models: modules with the same names and shapes, all in training mode or none.

    Returns:
        Two dicts by name: stacked parameters, which require a gradient where the modules' do, and stacked buffers.

    Raises:
        RuntimeError: if there is no module, or if they differ in class or in training mode.
        ValueError: if their names or shapes differ.
    """
    models = list(models)
    if not models:
        raise RuntimeError("stack_module_state() takes at least one module, got none")
    if len({(type(m), m.training) for m in models}) > 1:
        kinds = ", ".join(sorted({f"{type(m).__name__} (training={m.training})" for m in models}))
        raise RuntimeError(f"stack_module_state() takes modules of one class and one mode, got {kinds}")
    parameters = [dict(m.named_parameters()) for m in models]
    buffers = [dict(m.named_buffers()) for m in models]
    return _stacked(parameters, leaf=True), _stacked(buffers, leaf=False)


def _stacked(states, leaf):
    names = states[0].keys()
    for state in states:
        if state.keys() != names:
            raise ValueError(f"stack_module_state(): one module has {sorted(names)}, another {sorted(state)}")
    stacked = {}
    for name in names:
        together = [state[name] for state in states]
        if len({tuple(t.shape) for t in together}) > 1:
            shapes = [tuple(t.shape) for t in together]
            raise ValueError(f"stack_module_state(): {name!r} has different shapes in the modules: {shapes}")
        whole = tj.stack([t.detach() for t in together])
        stacked[name] = whole.requires_grad_(any(t.requires_grad for t in together)) if leaf else whole
    return stacked
