"""Modules that have names of others, so that they can be imported from where PyTorch has them."""

import sys
import types


def enter(package: str, table: dict) -> None:
    """Make modules of a package.

    Args:
        package: the imported package's name.
        table: name of a module -> what is in it, a dict of objects by their names.
    """
    for name, contents in table.items():
        module = types.ModuleType(f"{package}.{name}", f"The names that PyTorch has in its module {name}.")
        vars(module).update(contents, __all__=[n for n in contents if not n.startswith("_")])
        sys.modules[module.__name__] = module
        setattr(sys.modules[package], name, module)
