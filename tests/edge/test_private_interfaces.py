"""What Numba and CPython do not document is used in ``edge`` only."""

import ast
import importlib.metadata
import re
import tomllib

import pytest

from tapejit.edge import selftest, store

DOCUMENTED = {
    "numba", "numba.extending", "numba.core", "numba.core.types", "numba.core.cgutils", "numba.core.errors",
    "llvmlite", "llvmlite.ir", "llvmlite.binding",
}  # fmt: skip
CORE = {"types", "cgutils", "errors"}  # what others may take from numba.core
FILES = sorted(p for p in store.PACKAGE.rglob("*.py") if "edge" not in p.relative_to(store.PACKAGE).parts)


def imports(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from ((node.module, alias.name) for alias in node.names)


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(store.PACKAGE).as_posix())
def test_undocumented_parts_are_named_in_edge(path):
    for module, name in imports(path):
        if module.split(".")[0] in ("numba", "llvmlite"):
            assert module in DOCUMENTED or module == "llvmlite.ir.instructions", f"{module} belongs into edge"
            assert module != "numba.core" or name in CORE, f"numba.core.{name} belongs into edge"
    assert "ctypes.pythonapi" not in path.read_text(encoding="utf-8"), "edge.cpython.function has prototypes of its own"


def test_the_releases_named_are_those_allowed():
    project = store.PACKAGE.parent / "pyproject.toml"
    if not project.exists():
        pytest.skip("an installed package has no pyproject.toml")
    needs = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["dependencies"]
    (numba,) = [n for n in needs if n.startswith("numba")]
    least, below = re.fullmatch(r"numba>=([\d.]+),<0\.(\d+)", numba).groups()
    last = f"0.{int(below) - 1}"
    assert (f"Numba {least}" if least == last else f"Numba {least} to {last}") == selftest.TRIED
    assert tuple(map(int, importlib.metadata.version("numba").split(".")[:2])) < (0, int(below))


def test_the_self_test_names_the_part_that_is_not_what_it_was(monkeypatch):
    from tapejit.edge.numba import cpu_target

    class Changed:
        def magic_tuple(self):
            return ("one", "two")

    monkeypatch.setattr(type(cpu_target.target_context), "codegen", lambda self: Changed())
    with pytest.raises(RuntimeError, match="description of the processor, code libraries"):
        selftest.at_first_use.__wrapped__()
