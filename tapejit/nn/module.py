"""Module: parameters, buffers and other modules under names, with PyTorch's methods."""

import collections

import tapejit as tj
from tapejit.nn.parameter import Parameter, mark

LoadResult = collections.namedtuple("LoadResult", "missing_keys unexpected_keys")


class RemovableHook:
    """What registering a hook of a module gives: ``remove()`` takes it away."""

    def __init__(self, hooks, hook):
        self._hooks = hooks
        hooks[id(self)] = hook

    def remove(self) -> None:
        """Take the hook away."""
        self._hooks.pop(id(self), None)


class Module:
    """Base of all layers and networks. A subclass gives ``forward``; parameters, buffers and modules are attributes.

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.first = nn.Linear(4, 8)
                self.last = nn.Linear(8, 1)

            def forward(self, x):
                return self.last(tj.tanh(self.first(x)))

    Attributes:
        training: whether the module is in training mode, which matters to Dropout and BatchNorm.
    """

    def __init__(self):
        own = self.__dict__
        own["_parameters"], own["_buffers"], own["_modules"] = {}, {}, {}
        own["_transient"] = set()  # buffers that are not saved
        own["_before"], own["_after"] = {}, {}
        own["training"] = True

    # Attributes

    def __setattr__(self, name, value):
        own = self.__dict__
        if "_parameters" not in own:
            if isinstance(value, (Parameter, Module)):
                raise AttributeError("call super().__init__() before assigning parameters and modules")
            own[name] = value
            return
        kinds = own["_parameters"], own["_buffers"], own["_modules"]
        if isinstance(value, Parameter):
            target = kinds[0]
        elif isinstance(value, Module):
            target = kinds[2]
        else:
            target = next((kind for kind in kinds if name in kind), None)
            if target is kinds[0] and value is not None:
                raise TypeError(f"cannot assign {type(value).__name__} as parameter {name!r}: a Parameter or None is expected")
        for kind in (*kinds, own):
            if kind is not target:
                kind.pop(name, None)
        (own if target is None else target)[name] = value

    def __getattr__(self, name):
        own = self.__dict__
        for kind in ("_parameters", "_buffers", "_modules"):
            if name in own.get(kind, ()):
                return own[kind][name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __delattr__(self, name):
        for kind in (self._parameters, self._buffers, self._modules, self.__dict__):
            if name in kind:
                del kind[name]
                return
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __dir__(self):
        return sorted({*super().__dir__(), *self._parameters, *self._buffers, *self._modules})

    def __setstate__(self, state):
        self.__dict__.update(state)
        for p in self._parameters.values():  # a copy of a parameter is one
            if p is not None:
                mark(p)

    def register_parameter(self, name, param) -> None:
        """Enter a parameter, or None."""
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(f"parameter {name!r} must be a Parameter or None, got {type(param).__name__}")
        self._parameters[name] = param

    def register_buffer(self, name, tensor, persistent=True) -> None:
        """Enter a tensor that is no parameter; with ``persistent`` it is part of the ``state_dict``."""
        self._buffers[name] = tensor
        if not persistent:
            self._transient.add(name)

    def add_module(self, name, module) -> None:
        """Enter a module, or None."""
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"{name!r} must be a Module or None, got {type(module).__name__}")
        self._modules[name] = module

    register_module = add_module

    # Calling

    def forward(self, *args, **kwargs):
        raise NotImplementedError(f"Module [{type(self).__name__}] is missing the required forward function")

    def __call__(self, *args, **kwargs):
        for hook in list(self._before.values()):
            changed = hook(self, args)
            if changed is not None:
                args = changed if isinstance(changed, tuple) else (changed,)
        result = self.forward(*args, **kwargs)
        for hook in list(self._after.values()):
            changed = hook(self, args, result)
            if changed is not None:
                result = changed
        return result

    def register_forward_pre_hook(self, hook) -> RemovableHook:
        """Call ``hook(module, args)`` before forward; what it gives are the arguments, unless None."""
        return RemovableHook(self._before, hook)

    def register_forward_hook(self, hook) -> RemovableHook:
        """Call ``hook(module, args, result)`` after forward; what it gives is the result, unless None."""
        return RemovableHook(self._after, hook)

    # What there is

    def named_modules(self, memo=None, prefix="", remove_duplicate=True):
        """Pairs (name, module): this one and all inside, each once."""
        memo = set() if memo is None else memo
        if remove_duplicate:
            if self in memo:
                return
            memo.add(self)
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                yield from module.named_modules(memo, f"{prefix}.{name}" if prefix else name, remove_duplicate)

    def _named(self, kind, prefix, recurse, remove_duplicate):
        seen = set()
        for path, module in self.named_modules(prefix=prefix) if recurse else [(prefix, self)]:
            for name, x in module.__dict__[kind].items():
                if x is None or (remove_duplicate and id(x) in seen):
                    continue
                seen.add(id(x))
                yield f"{path}.{name}" if path else name, x

    def named_parameters(self, prefix="", recurse=True, remove_duplicate=True):
        """Pairs (name, parameter)."""
        return self._named("_parameters", prefix, recurse, remove_duplicate)

    def named_buffers(self, prefix="", recurse=True, remove_duplicate=True):
        """Pairs (name, buffer)."""
        return self._named("_buffers", prefix, recurse, remove_duplicate)

    def parameters(self, recurse=True):
        """The parameters, each once."""
        return (x for _, x in self.named_parameters(recurse=recurse))

    def buffers(self, recurse=True):
        """The buffers, each once."""
        return (x for _, x in self.named_buffers(recurse=recurse))

    def named_children(self):
        """Pairs (name, module) of the modules directly inside."""
        return iter([(name, module) for name, module in self._modules.items() if module is not None])

    def children(self):
        """The modules directly inside."""
        return (module for _, module in self.named_children())

    def modules(self):
        """This module and all inside."""
        return (module for _, module in self.named_modules())

    def get_submodule(self, target):
        """The module at a path, ``"encoder.0"``."""
        module = self
        for name in filter(None, target.split(".")):
            if name not in module._modules:
                raise AttributeError(f"{type(module).__name__} has no module {name!r}")
            module = module._modules[name]
        return module

    def get_parameter(self, target):
        """The parameter at a path."""
        path, _, name = target.rpartition(".")
        return self.get_submodule(path)._parameters[name]

    # Changing all

    def apply(self, fn):
        """Call ``fn(module)`` for all modules inside, then for this one."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def train(self, mode=True):
        """Training mode, or evaluation mode, for this module and all inside."""
        for module in self.modules():
            module.__dict__["training"] = bool(mode)
        return self

    def eval(self):
        """Evaluation mode."""
        return self.train(False)

    def requires_grad_(self, requires_grad=True):
        """Ask for gradients of all parameters, or stop asking."""
        for p in self.parameters():
            p.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none=True) -> None:
        """Drop the gradients of all parameters, or fill them with zeros."""
        for p in self.parameters():
            if set_to_none:
                p.grad = None
            elif p.grad is not None:
                p.grad.zero_()

    def to(self, *args, **kwargs):
        """Parameters and float buffers in another dtype; "cpu" is the only device."""
        dtypes = [x for x in (*args, *kwargs.values()) if type(x) is type(tj.float64)]
        return self._converted(dtypes[0]) if dtypes else self

    def _converted(self, dtype):
        for module in self.modules():
            for name, p in module._parameters.items():
                if p is not None and p.dtype is not dtype:
                    module._parameters[name] = Parameter(p.detach().to(dtype), p.requires_grad)
            for name, x in module._buffers.items():
                if x is not None and x.is_floating_point():
                    module._buffers[name] = x.to(dtype)
        return self

    def double(self):
        """All in float64."""
        return self._converted(tj.float64)

    def float(self):
        """All in float32."""
        return self._converted(tj.float32)

    def cpu(self):
        """The module itself: there is no other device."""
        return self

    # Saving

    def state_dict(self, *, prefix="", keep_vars=False) -> dict:
        """Parameters and persistent buffers by name, detached unless ``keep_vars``."""
        found = collections.OrderedDict()
        for path, module in self.named_modules(prefix=prefix.rstrip("."), remove_duplicate=False):
            for kind in (module._parameters, module._buffers):
                for name, x in kind.items():
                    if x is not None and name not in module._transient:
                        found[f"{path}.{name}" if path else name] = x if keep_vars else x.detach()
        return found

    def load_state_dict(self, state_dict, strict=True) -> LoadResult:
        """Copy values in by name.

        Raises:
            RuntimeError: for names that are missing or unknown (unless ``strict`` is False) and for shapes that differ.
        """
        own = self.state_dict(keep_vars=True)
        missing = [name for name in own if name not in state_dict]
        unexpected = [name for name in state_dict if name not in own]
        errors = []
        if strict and missing:
            errors.append(f"missing key(s): {', '.join(missing)}")
        if strict and unexpected:
            errors.append(f"unexpected key(s): {', '.join(unexpected)}")
        for name in own.keys() & state_dict.keys():
            if tuple(own[name].shape) != tuple(state_dict[name].shape):
                errors.append(f"{name} has shape {tuple(state_dict[name].shape)}, here it is {tuple(own[name].shape)}")
        if errors:
            raise RuntimeError(f"loading state_dict for {type(self).__name__}: {'; '.join(errors)}")
        with tj.no_grad():
            for name in own.keys() & state_dict.keys():
                own[name].copy_(state_dict[name])
        return LoadResult(missing, unexpected)

    # Seeing

    def _get_name(self):
        return type(self).__name__

    def extra_repr(self) -> str:
        """What stands in the brackets of the representation."""
        return ""

    def __repr__(self):
        extra = self.extra_repr()
        lines = extra.split("\n") if extra else []
        inner = [f"({name}): {_indented(repr(module))}" for name, module in self._modules.items()]
        if not inner and len(lines) < 2:
            return f"{self._get_name()}({extra})"
        return f"{self._get_name()}(\n  " + "\n  ".join(lines + inner) + "\n)"


def _indented(text):
    first, *rest = text.split("\n")
    return "\n".join([first, *("  " + line for line in rest)])
