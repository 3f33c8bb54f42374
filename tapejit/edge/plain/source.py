"""The syntax tree of a function, from the file that it is written in."""

import ast
import functools
import linecache


class Unknown(Exception):
    """Not in the language of plain functions: what, and where."""


@functools.cache
def _functions(file):
    """The functions at the outermost level of a file, by the line of their ``def`` or of their first decorator."""
    try:
        module = ast.parse("".join(linecache.getlines(file)))
    except SyntaxError:
        return {}
    found = {}
    for node in module.body:
        if isinstance(node, ast.FunctionDef):
            for first in (node, *node.decorator_list):
                found[node.name, first.lineno] = node
    return found


def tree_of(function) -> ast.FunctionDef:
    """The syntax tree of a function of a module.

    Raises:
        Unknown: if there is no source, or the function is not defined at the outermost level of its file.
    """
    function = getattr(function, "__wrapped__", function)
    code = function.__code__
    tree = _functions(code.co_filename).get((code.co_name, code.co_firstlineno))
    arguments = () if tree is None else (tree.args.vararg, tree.args.kwarg, *tree.args.kwonlyargs, *tree.args.defaults)
    if tree is None or any(arguments) or code.co_freevars:
        raise Unknown(f"no source of a plain function: {function.__qualname__} in {code.co_filename}")
    return tree
