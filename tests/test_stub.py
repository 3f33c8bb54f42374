"""What type checkers see: the stub is current, and a plain script passes mypy's strictest settings."""

import pathlib
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


@pytest.mark.slow
def test_a_script_passes_strict_type_checking(tmp_path):
    pytest.importorskip("mypy")
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    options = ["--strict", f"--cache-dir={tmp_path / 'cache'}"]
    done = subprocess.run([sys.executable, "-m", "mypy", *options, script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_operators_and_methods_complete():
    assert {"exp", "sum", "__add__", "__getitem__", "add_"} <= set(dir(tapejit.Tensor))
