"""Modules that hold modules: DataParallel, Sequential, ModuleList, ModuleDict, ParameterList, ParameterDict."""

import collections

import tapejit as tj
from tapejit.nn.module import Module
from tapejit.nn.parameter import Parameter


class DataParallel(Module):
    """A module spread over several GPUs, of which there are none: it is called as it is, and stands in ``module``."""

    def __init__(self, module, device_ids=None, output_device=None, dim=0):
        super().__init__()
        self.module = module

    def forward(self, *args, **kwargs):
        return self.module(*args, **kwargs)


class _Numbered(Module):
    """Modules under the names 0, 1, ..."""

    def __len__(self):
        return len(self._modules)

    def __iter__(self):
        return iter(self._modules.values())

    def __getitem__(self, index):
        if not isinstance(index, slice):
            return list(self._modules.values())[index]
        part = list(self._modules.items())[index]
        return type(self)(collections.OrderedDict(part)) if self._takes_dict else type(self)(m for _, m in part)

    def __setitem__(self, index, module):
        name = list(self._modules)[index]
        self.add_module(name, module)

    def __delitem__(self, index):
        left = list(self._modules.values())
        del left[index]
        self._modules.clear()
        for k, module in enumerate(left):
            self.add_module(str(k), module)

    def append(self, module):
        """Add a module at the end."""
        self.add_module(str(len(self)), module)
        return self

    def extend(self, modules):
        """Add modules at the end."""
        for module in modules:
            self.append(module)
        return self

    def insert(self, index, module) -> None:
        """Put a module in before a place."""
        left = list(self._modules.values())
        left.insert(index, module)
        for k, m in enumerate(left):
            self.add_module(str(k), m)


class Sequential(_Numbered):
    """Modules one after the other: ``Sequential(first, second, ...)``, or of a dict of them."""

    _takes_dict = True

    def __init__(self, *modules):
        super().__init__()
        if len(modules) == 1 and isinstance(modules[0], dict):
            named = modules[0].items()
        else:
            named = ((str(k), m) for k, m in enumerate(modules))
        for name, module in named:
            self.add_module(name, module)

    def forward(self, x):
        for module in self._modules.values():
            x = module(x)
        return x


class ModuleList(_Numbered):
    """A list of modules."""

    _takes_dict = False

    def __init__(self, modules=()):
        super().__init__()
        self.extend(modules)


class ModuleDict(Module):
    """A dict of modules."""

    def __init__(self, modules=()):
        super().__init__()
        self.update(modules)

    def update(self, modules) -> None:
        """Add the modules of a dict or of pairs."""
        for name, module in dict(modules).items():
            self.add_module(name, module)

    def __getitem__(self, name):
        return self._modules[name]

    def __setitem__(self, name, module):
        self.add_module(name, module)

    def __delitem__(self, name):
        del self._modules[name]

    def __len__(self):
        return len(self._modules)

    def __iter__(self):
        return iter(self._modules)

    def __contains__(self, name):
        return name in self._modules

    def keys(self):
        return self._modules.keys()

    def values(self):
        return self._modules.values()

    def items(self):
        return self._modules.items()


class ParameterList(Module):
    """A list of parameters; tensors become parameters."""

    def __init__(self, values=()):
        super().__init__()
        for value in values:
            self.append(value)

    def append(self, value):
        """Add one at the end."""
        self.register_parameter(str(len(self)), _as_parameter(value))
        return self

    def __getitem__(self, index):
        return list(self._parameters.values())[index]

    def __len__(self):
        return len(self._parameters)

    def __iter__(self):
        return iter(self._parameters.values())


class ParameterDict(Module):
    """A dict of parameters; tensors become parameters."""

    def __init__(self, values=()):
        super().__init__()
        for name, value in dict(values).items():
            self[name] = value

    def __getitem__(self, name):
        return self._parameters[name]

    def __setitem__(self, name, value):
        self.register_parameter(name, _as_parameter(value))

    def __len__(self):
        return len(self._parameters)

    def __iter__(self):
        return iter(self._parameters)

    def __contains__(self, name):
        return name in self._parameters

    def keys(self):
        return self._parameters.keys()

    def values(self):
        return self._parameters.values()

    def items(self):
        return self._parameters.items()


def _as_parameter(value):
    return value if isinstance(value, Parameter) or not isinstance(value, tj.Tensor) else Parameter(value)
