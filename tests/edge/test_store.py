"""Compiled code on disk: whole or not at all, and never needed."""

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from tapejit.edge import objects, store
from tapejit.kernels.pointwise import elementwise_kernel
from tapejit.spec.table import BY_NAME

SCRIPT = """
    import numpy as np
    import tapejit as tj
    {before}
    x = tj.tensor([1.0, 2.0], requires_grad=True)
    (x * x).sum().backward()
    print(*x.grad.tolist())
"""
NOPYTHON = """
    from numba import njit

    @njit
    def f(x):
        return x * x

    print(tj.nopython.grad(f)(3.0))
"""


def run(folder, before="pass", extra="", environment=None, status=0):
    script = folder / "script.py"
    script.write_text(textwrap.dedent(SCRIPT).format(before=before) + textwrap.dedent(extra))
    environment = dict(os.environ, PYTHONPATH=str(store.PACKAGE.parent), **(environment or {}))
    result = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == status, result.stderr
    return result


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The store in a folder of its own."""
    monkeypatch.setattr(store, "folder", lambda: str(tmp_path))
    return tmp_path


def test_what_was_written_is_read(place):
    store.write("a", b"code")
    assert store.read("a") == b"code"
    assert store.read("b") is None
    assert [p.name for p in place.iterdir()] == ["a"]


@pytest.mark.parametrize("harm", ["truncate", "garbage", "empty", "flip", "append", "foreign"])
def test_a_file_that_is_not_whole_is_removed(place, harm):
    store.write("a", bytes(range(256)) * 8)
    whole = (place / "a").read_bytes()
    harmed = {
        "truncate": whole[: len(whole) // 2],
        "garbage": os.urandom(len(whole)),
        "empty": b"",
        "flip": whole[:1000] + bytes([whole[1000] ^ 1]) + whole[1001:],
        "append": whole + b"x",
        "foreign": b"\x80\x04}." + whole,
    }
    (place / "a").write_bytes(harmed[harm])
    assert store.read("a") is None
    assert not (place / "a").exists()


def test_a_full_disk_leaves_no_file(place, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    store.write("a", b"code")
    assert list(place.iterdir()) == []
    assert store.read("a") is None


def test_a_kernel_whose_file_was_harmed_is_compiled_again(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "folder", lambda: str(tmp_path))
    known = {}
    monkeypatch.setattr(objects, "_known", known)
    op = BY_NAME["exp"]
    assert elementwise_kernel(op, 0, 0)
    (file,) = tmp_path.iterdir()
    for position in range(30, file.stat().st_size, file.stat().st_size // 7):
        contents = bytearray(file.read_bytes())
        contents[position] ^= 0x10
        file.write_bytes(contents)
        known.clear()  # as in the next process
        assert elementwise_kernel(op, 0, 0)
        assert store.read(file.name) is not None, "written anew"


@pytest.mark.slow
@pytest.mark.parametrize("harm", ["truncate", "garbage", "flip"])
def test_a_harmed_cache_costs_only_time(tmp_path, harm):
    cache = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    expected = run(tmp_path, extra=NOPYTHON, environment=cache).stdout
    assert expected.split() == ["2.0", "4.0", "6.0"]
    files = [p for p in (tmp_path / "cache").rglob("*") if p.is_file()]
    assert len(files) > 10
    rng = np.random.default_rng(0)
    for path in files:
        contents = bytearray(path.read_bytes())
        if harm == "truncate":
            del contents[len(contents) // 2 :]
        elif harm == "garbage":
            contents[:] = rng.bytes(len(contents))
        else:
            contents[rng.integers(len(contents))] ^= 1 << rng.integers(8)
        path.write_bytes(contents)
    for _ in range(2):
        result = run(tmp_path, extra=NOPYTHON, environment=cache)
        assert (result.stdout, result.stderr) == (expected, "")


@pytest.mark.slow
def test_without_a_place_to_write_there_is_one_warning(tmp_path):
    blocked = tmp_path / "file"  # no folder can be made below a file, whoever asks
    blocked.write_text("")
    closed = f"lambda p, **k: make({str(blocked)!r} if 'pycache' in str(p) else p, **k)"  # beside the package, too
    before = f"import os; make = os.makedirs; os.makedirs = {closed}"
    places = {name: str(blocked / "x") for name in ("HOME", "XDG_CACHE_HOME", "NUMBA_CACHE_DIR")}
    result = run(tmp_path, before=before, extra=NOPYTHON, environment=places)
    assert result.stdout.split() == ["2.0", "4.0", "6.0"]
    assert result.stderr.count("NUMBA_CACHE_DIR") == 1
    assert result.stderr.count("Warning") == 1


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no limits on the size of files")
def test_a_limit_on_the_size_of_files_costs_only_time(tmp_path):
    before = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))"
    result = run(tmp_path, before=before, extra=NOPYTHON, environment={"NUMBA_CACHE_DIR": str(tmp_path / "cache")})
    assert result.stdout.split() == ["2.0", "4.0", "6.0"]
    assert result.stderr == ""
    assert all(p.stat().st_size <= 4096 for p in (tmp_path / "cache").rglob("*"))
