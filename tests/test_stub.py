"""What type checkers see: the stub is current, and a plain script passes mypy's strictest settings."""

import pathlib
import re
import subprocess
import sys

import pytest

import tapejit
from tapejit.stub import stub

FOLDER = pathlib.Path(tapejit.__file__).parent
SCRIPT = '''
import tapejit as tj


def loss(x: tj.Tensor) -> tj.Tensor:
    return (2 * x.exp() + x[1:].sum() - x**2).sum()


t = tj.arange(4.0, requires_grad=True)
u = 2 * t
v = t.exp() @ u
w = t[1:, None]
w += 1
loss(t).backward()
print(t.grad, f"{v:.3f}", float(v), u.T.reshape(2, -1).shape, len(t))
value, gradient = tj.value_and_grad(loss)([1.0, 2.0])
if v > 0:
    print(tj.softmax(t, 0), -t, 1 / t, t < 3, t.add_(1), [x.item() for x in t])
'''


def test_the_stub_is_up_to_date():
    assert (FOLDER / "__init__.pyi").read_text() == stub(), "run: python -m tapejit.stub > tapejit/__init__.pyi"


def check_types(script, *options):
    pytest.importorskip("mypy")
    command = [sys.executable, "-m", "mypy", *options, f"--cache-dir={script.parent / 'cache'}", script]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_a_script_passes_strict_type_checking(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    check_types(script, "--strict")


@pytest.mark.slow
def test_the_readmes_blocks_pass_type_checking(tmp_path):
    """One after the other in one file, as a reader would type them; names may change their types between blocks."""
    readme = pathlib.Path(__file__).parents[1] / "README.md"
    blocks = re.findall(r"```python\n(.*?)```", readme.read_text(), flags=re.DOTALL)
    assert len(blocks) > 8
    script = tmp_path / "readme.py"
    script.write_text("import tapejit as tj\n" + "\n".join(blocks))
    lenient = ["--disable-error-code=import-untyped", "--disable-error-code=no-redef"]
    check_types(script, "--allow-redefinition", "--check-untyped-defs", *lenient)


def test_operators_and_methods_complete():
    assert {"exp", "sum", "__add__", "__getitem__", "add_"} <= set(dir(tapejit.Tensor))
