"""Who imports whom: a room imports only rooms below it, at the top of the file, without circles; names tell the room."""

import ast
import collections
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import tapejit

ROOMS = "spec edge core kernels eager graph compile replay nopython".split()
TOP = Path(tapejit.__file__).parent
PLACES = {p: ("tapejit", *p.relative_to(TOP).with_suffix("").parts) for p in TOP.rglob("*.py")}
FILES = {".".join(parts).removesuffix(".__init__"): p for p, parts in PLACES.items()}
LATE = {  # imports inside functions, each for the reason beside it
    # tries what may fail to import, to say so in words
    ("tapejit.edge.selftest", "tapejit.edge.numba"),
    ("tapejit.edge.selftest", "tapejit.edge.lean"),
    ("tapejit.edge.selftest", "tapejit.edge.optimiser"),
}
LONGEST = 60


def named(module, node):
    """The package's modules that an import statement names."""
    if isinstance(node, ast.Import):
        return [a.name for a in node.names if a.name in FILES]
    base = node.module or ""
    if node.level:
        parts = module.split(".") if FILES[module].name == "__init__.py" else module.split(".")[:-1]
        base = ".".join(parts[: len(parts) - node.level + 1] + ([base] if base else []))
    found = [f"{base}.{a.name}" if f"{base}.{a.name}" in FILES else base for a in node.names]
    return [name for name in found if name in FILES and name != module]


def imports():
    """(module, module that it imports, whether inside a function)"""
    for module, path in FILES.items():
        tree = ast.parse(path.read_text())
        functions = [f for f in ast.walk(tree) if isinstance(f, (ast.FunctionDef, ast.Lambda))]
        inside = {id(node) for f in functions for node in ast.walk(f)}
        for node in ast.walk(tree):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                yield from ((module, name, id(node) in inside) for name in named(module, node))


IMPORTS = set(imports())


def room(module):
    part = module.split(".")[1] if "." in module else ""
    return ROOMS.index(part) if part in ROOMS else len(ROOMS)


def test_a_room_imports_only_rooms_below_it():
    assert [f"{a} -> {b}" for a, b, _ in IMPORTS if room(a) < room(b)] == []


def test_no_module_is_in_a_circle_not_even_by_a_late_import():
    graph = collections.defaultdict(set)
    for a, b, _ in IMPORTS:
        graph[a].add(b)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        raise AssertionError(" -> ".join(error.args[1])) from None


def test_imports_stand_at_the_top():
    assert {(a, b) for a, b, late in IMPORTS if late} <= LATE


def test_no_two_files_have_one_name():
    names = collections.Counter(path.stem for path in FILES.values() if path.stem != "__init__")
    assert [name for name, count in names.items() if count > 1] == []


def code_lines(function):
    """The lines of a function without its docstring."""
    words = ast.get_docstring(function, clean=False)
    return function.end_lineno - function.lineno + 1 - (words.count("\n") + 1 if words else 0)


def test_no_function_is_longer_than_a_screen():
    long = []
    for path in FILES.values():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and code_lines(node) > LONGEST:
                long.append(f"{path.relative_to(TOP)}:{node.lineno} {node.name}")
    assert long == []
