"""Pictures of graphs and the profile of eager code."""

import shutil
import subprocess

import numpy as np
import pytest

import tapejit as tj
from tapejit import viz


def test_a_picture_of_a_recorded_function(tmp_path, monkeypatch):
    g = tj.value_and_grad(lambda x: (tj.exp(x) * x).sum())
    with pytest.raises(RuntimeError, match="call it once"):
        viz.graph(g)
    g(np.ones(3))
    picture = viz.graph(g)
    assert "exp" in picture.dot
    picture.save(tmp_path / "graph.dot")
    assert (tmp_path / "graph.dot").read_text() == picture.dot
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(RuntimeError, match=r"Graphviz.*\.dot"):
        picture.svg  # noqa: B018
    assert "exp" in picture._repr_html_()
    with pytest.raises(TypeError, match="recorded"):
        viz.graph(np.sum)


def test_a_picture_is_what_dot_draws(tmp_path, monkeypatch):
    done = subprocess.CompletedProcess([], 0, stdout="<?xml?>\n<svg>drawn</svg>")
    monkeypatch.setattr(shutil, "which", lambda name: "/bin/dot")
    monkeypatch.setattr(subprocess, "run", lambda command, **options: done)
    picture = viz.Picture("digraph {}")
    picture.save(tmp_path / "graph.svg")
    assert (tmp_path / "graph.svg").read_text() == picture._repr_html_() == "<svg>drawn</svg>"


def _loss(x, n):
    for _ in range(n):
        x = x @ x
    y = tj.tanh(x)
    return y.sum()


def test_a_profile_names_lines_and_bytes():
    found = viz.profile(_loss, tj.ones(4, 4, dtype=tj.float64) * 0.1, 3)
    rows = {row[0]: row for row in found.rows}
    assert rows.keys() == {"x @ x", "tj.tanh", "y.sum"}
    assert [rows["x @ x"][k] for k in (2, 5)] == [3, 3 * 128]
    assert rows["tj.tanh"][5] == 128
    assert rows["y.sum"][1].endswith(f"test_viz.py:{_loss.__code__.co_firstlineno + 4}")
    assert sum(row[4] for row in found.rows) == pytest.approx(1.0)
    assert found.result.shape == ()
    assert repr(found).splitlines()[0].split() == ["what", "where", "calls", "seconds", "share", "bytes"]
    assert found._repr_html_().count("<tr>") == 4
    with pytest.raises(RuntimeError, match="nest"):
        viz.profile(lambda: viz.profile(_loss, tj.ones(2, 2), 1))
