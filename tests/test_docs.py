"""Every Python block of the README and the docs runs as it stands, page by page, and gives the values written beside it."""

import ast
import re
from pathlib import Path

import numpy as np
import pytest

import tapejit as tj

ROOT = Path(__file__).resolve().parents[1]
PAGES = [page for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))) if "```python" in page.read_text()]
VALUE = re.compile(r"#\s*((?:tensor|array)\(.*\)|-?\d[\d.e+-]*)\s*$")


def blocks(page):
    """The text of each block, moved down to the line where it stands in the page."""
    text = page.read_text()
    for found in re.finditer(r"^```python\n(.*?)^```", text, re.S | re.M):
        yield "\n" * (text.count("\n", 0, found.start()) + 1) + found[1]


def run(source, filename, namespace):
    """Run statement by statement; a value in the comment at the end of one's last line is compared with the result."""
    lines = source.splitlines()
    checked = 0
    for statement in ast.parse(source, filename).body:
        written = VALUE.search(lines[statement.end_lineno - 1])
        if isinstance(statement, ast.Expr):
            value = eval(compile(ast.Expression(statement.value), filename, "eval"), namespace)
        else:
            exec(compile(ast.Module([statement], []), filename, "exec"), namespace)
            if written and not isinstance(statement, ast.Assign):
                continue
            value = eval(ast.unparse(statement.targets[0]), namespace) if written else None
        if written:
            if isinstance(value, tuple) and len(value) == 1:
                (value,) = value
            compare(value, written[1], f"{filename}:{statement.end_lineno}")
            checked += 1
    return checked


def compare(value, written, where):
    if isinstance(value, tj.Tensor | np.ndarray) and not written[0].isdigit():
        shown = re.sub(r"\s+", " ", repr(value))
        expected = re.sub(r"\s+", " ", written)
        if isinstance(value, np.ndarray):  # computed digits: to those that are written
            np.testing.assert_allclose(value, eval(expected, {"array": np.array}), rtol=1e-6, err_msg=where)
        else:
            assert shown == expected, where
    else:
        assert getattr(value, "item", lambda: value)() == pytest.approx(float(written), rel=1e-3), where


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_blocks_run(page, tmp_path, monkeypatch):
    if page.name == "distributed.md":
        pytest.importorskip("distributed")
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "__main__"}
    for number, block in enumerate(blocks(page)):
        file = tmp_path / f"{page.stem}_{number}.py"
        file.write_text(block)  # Numba and error messages read the source
        namespace["__file__"] = str(file)
        run(block, str(file), namespace)


def test_values_in_comments_are_compared(tmp_path):
    source = "import tapejit as tj\nx = tj.arange(3.0)  # tensor([0., 1., 2.])\nx.sum()   # 3.\n"
    assert run(source, "here", {}) == 2
    with pytest.raises(AssertionError, match="here:2"):
        run(source.replace("0., 1.", "5., 1."), "here", {})
