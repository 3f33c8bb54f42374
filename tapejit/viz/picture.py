"""The graph of a recorded function as SVG, drawn by the ``dot`` program of Graphviz."""

import functools
import pathlib
import shutil
import subprocess


class Picture:
    """The graph of the path that a recorded function used last.

    Attributes:
        dot: the graph in Graphviz's DOT language.
    """

    def __init__(self, dot):
        self.dot = dot

    @functools.cached_property
    def svg(self) -> str:
        """The picture as SVG.

        Raises:
            RuntimeError: if there is no ``dot`` program, or it fails.
        """
        program = shutil.which("dot")
        if program is None:
            raise RuntimeError(
                "a picture of a graph is drawn by the program dot of Graphviz, which is not installed here (apt, brew or "
                "conda install graphviz); the text for it is in .dot"
            )
        done = subprocess.run([program, "-Tsvg"], input=self.dot, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"dot could not draw the graph: {done.stderr.strip()}")
        return done.stdout[done.stdout.index("<svg") :]

    def save(self, path) -> None:
        """Write the picture to a file, as SVG; as text for ``dot`` if its name ends so."""
        path = pathlib.Path(path)
        path.write_text(self.dot if path.suffix == ".dot" else self.svg)

    def _repr_html_(self):
        return self.svg if shutil.which("dot") else f"<pre>{self.dot}</pre>"

    def __repr__(self):
        return f"<picture of a graph, {self.dot.count('[label=')} nodes>"


def graph(fun) -> Picture:
    """The graph of a recorded function (``tj.jit``, ``tj.value_and_grad`` ...), as of its last call.

    Raises:
        TypeError: for what is not recorded.
        RuntimeError: if it was not called yet.
    """
    if not hasattr(fun, "dot"):
        raise TypeError(f"viz.graph() draws recorded functions (tj.jit(f), tj.value_and_grad(f)), got {type(fun).__name__}")
    return Picture(fun.dot())
