"""The harness of the benchmarks: who is timed and who is not, and that the texts say what was measured."""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT))  # at the end: bench is found beside the tests, tapejit where it is installed

from bench import collect, harness, measure, report, scaling  # noqa: E402


@pytest.fixture
def work(monkeypatch):
    """A workload of its own registry, whose reference is the library "hand"."""
    monkeypatch.setattr(harness, "WORKLOADS", {})
    work = harness.Workload("squares", "test", tolerance=1e-9)
    x = np.arange(4.0)
    work.library("hand")(lambda: lambda: (float(x @ x), 2 * x))
    return work


def test_a_missing_library_is_skipped_and_says_why(work):
    @work.library("peer", needs=("numpy", "no_such_module"))
    def _():
        raise AssertionError("prepared although it is missing")

    calls, outcomes = measure.prepared(work)
    assert list(calls) == ["hand"]
    assert outcomes == {"peer": {"skipped": "no_such_module not installed"}}


def test_a_wrong_gradient_is_reported_and_not_timed(work):
    work.library("peer")(lambda: lambda: (14.0, np.array([0.0, 2.0, 4.0, 6.1])))
    found = measure.steady(work, seconds=0.01)
    assert "seconds" not in found["peer"]
    assert "at number 4 of 5" in found["peer"]["wrong"]
    assert found["hand"]["seconds"] > 0


@pytest.mark.parametrize(
    ("result", "complaint"),
    [
        ((1.0, np.zeros(3)), "4 numbers where the reference has 5"),
        ((14.0, np.full(4, np.nan)), "4 of 5 numbers are not finite"),
    ],
)
def test_results_of_another_shape_or_without_a_value_are_wrong(work, result, complaint):
    work.library("peer")(lambda: lambda: result)
    assert measure.prepared(work)[1]["peer"]["wrong"] == complaint


def test_a_library_that_fails_or_cannot_take_part_does_not_end_the_run(work):
    @work.library("fails")
    def _():
        raise ValueError("no such op")

    @work.library("cannot")
    def _():
        raise harness.Unavailable("no C compiler")

    calls, outcomes = measure.prepared(work)
    assert list(calls) == ["hand"]
    assert outcomes == {"fails": {"failed": "ValueError: no such op"}, "cannot": {"skipped": "no C compiler"}}


def test_slow_cases_are_left_out_of_quick_runs(work):
    work.library("peer", slow=True)(lambda: lambda: (14.0, 2 * np.arange(4.0)))
    assert "skipped" in measure.steady(work, 0.01, quick=True)["peer"]
    assert measure.steady(work, 0.01)["peer"]["first"] > 0


def test_a_name_is_registered_once(work):
    with pytest.raises(ValueError, match="twice"):
        work.library("hand")(lambda: None)
    with pytest.raises(ValueError, match="two workloads"):
        harness.Workload("squares", "test")


def test_the_calls_take_turns_and_each_round_begins_with_another():
    seen = []

    def named(name):
        def call():
            seen.append(name)
            time.sleep(2 * measure.BATCH)  # one call is a batch

        return call

    found = measure.interleave({name: named(name) for name in "abc"}, seconds=0, least=3)
    assert "".join(seen[-9:]) == "abc" + "bca" + "cab"
    assert all(f["rounds"] == 3 and f["low"] <= f["seconds"] <= f["high"] for f in found.values())


def test_batches_that_were_kept_waiting_are_left_out():
    undisturbed = [(1.0, 1.0)] * 5
    found = measure.summary([*undisturbed, *[(3.0, 1.0)] * 6], least=5)
    assert (found["seconds"], found["rounds"], found["cores"]) == (1.0, 5, 1.0)
    too_few = measure.summary([(1.0, 1.0), *[(4.0, 1.0)] * 3], least=5)
    assert (too_few["seconds"], too_few["rounds"], too_few["cores"]) == (4.0, 4, 0.31)


def test_times_are_those_of_one_gradient(monkeypatch):
    monkeypatch.setattr(harness, "WORKLOADS", {})
    work = harness.Workload("many", "test", per=1_000)
    work.library("hand")(lambda: lambda: time.sleep(0.002) or 1.0)
    assert 1e-6 < measure.steady(work, 0.01)["hand"]["seconds"] < 1e-4


def test_results_are_flattened_in_order_and_copied():
    buffer = np.ones(2)
    found = harness.flat((1, [np.array([[2.0, 3.0]]), {"a": 4.0}], buffer))
    buffer[:] = 7
    np.testing.assert_array_equal(found, [1, 2, 3, 4, 1, 1])


def test_the_peak_of_the_memory_is_that_of_the_library(work):
    @work.library("hungry")
    def _():
        return lambda: np.ones(4_000_000).sum()

    assert 24e6 < measure.first(work, work.libraries["hungry"])["memory"] < 100e6


def test_a_process_that_fails_is_a_failed_row():
    assert "no_such" in collect.spawn(1, "bench.no_such_module")["failed"]


def test_reasons_name_no_folder_of_the_machine():
    text = "no file /home/a-b/data.v2/gmm, see https://example.org/a/b or 1/2"
    assert collect.without_folders(text) == "no file gmm, see https://example.org/a/b or 1/2"


def test_workloads_import_nothing_heavy():
    code = "import sys; from bench.harness import load; assert load(); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], env=collect.environment(1), capture_output=True, text=True, check=True
    )
    assert not {"tapejit", "numba", "torch", "jax", "casadi", "autograd", "matplotlib"} & set(done.stdout.split())


def test_one_command_measures_a_workload_without_peers():
    command = [sys.executable, "-m", "bench", "report", "--quick", "tiny task, inside"]
    done = subprocess.run(command, env=collect.environment(1), capture_output=True, text=True, check=True, cwd="/")
    assert "BurTorch's tiny task, inside njit" in done.stdout
    assert "x hand" in done.stdout


@pytest.mark.slow
def test_every_workload_agrees_with_its_reference():
    command = [sys.executable, "-m", "bench", "report", "--quick"]
    done = subprocess.run(command, env=collect.environment(1), capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 0, done.stderr


# --- the texts --------------------------------------------------------------------------------------------------------


def outcome(seconds, **more):
    return {"seconds": seconds, "low": seconds, "high": seconds, "rounds": 5, "cores": 1.0, "form": "", **more}


@pytest.fixture
def results():
    """What a run could have kept."""
    won = {"hand": outcome(1e-6), "tapejit": outcome(1.1e-6, first=0.5, memory=2**20), "JAX": outcome(1e-5)}
    lost = {"hand": outcome(1e-6), "tapejit": outcome(4e-6), "tapejit nopython": outcome(3e-6), "CasADi": outcome(1.5e-6)}
    lost |= {"XAD": {"skipped": "xad not installed"}, "ddx": {"wrong": "relative error 1.0e-03 at number 2 of 3"}}
    row = {"group": "array code", "threads": 1, "note": "", "target": 1.3}
    return json.loads(
        json.dumps(
            {
                "workloads": {"won": {**row, "libraries": won}, "lost": {**row, "libraries": lost}},
                "machine": {"processor": "abacus", "features": "", "cores": 2, "system": "Linux", "python": "3.11"},
                "versions": {"tapejit": "0.1.0"},
                "date": "2026-01-01",
                "coldstart": {"tapejit": {"import": 0.1, "first": 5.0, "second": 0.3}, "ddx": {"failed": "no time"}},
                "scaling": {
                    "recurrence": {
                        "tapejit eager": {
                            str(n): {"first": 1.0, "seconds": n * 1e-7, "memory": 10**6 + 100 * n} for n in (10**3, 10**5)
                        }
                    }
                },
            }
        )
    )


def test_the_short_table_names_the_best_peer_and_admits_defeat(results):
    lines = report.compact(results).splitlines()[2:]
    assert lines == [
        "| won | 1.00 | 1.10 | 1.10 | 1.10 | JAX 10.0 | 9.09 x faster |",
        "| lost | 1.00 | 4.00 | 3.00 (nopython) | 3.00 | CasADi 1.50 | **2.00 x slower** |",
    ]


def test_lost_rows_missed_aims_and_wrong_results_are_listed(results):
    assert report.verdicts(results) == [
        "lost: CasADi takes 1.50 µs, tapejit nopython 3.00 µs, 2.00 times as long.",
        "lost: tapejit takes 4.00 times as long as by hand; the aim is 1.3.",
        "lost: ddx, wrong: relative error 1.0e-03 at number 2 of 3.",
    ]


def test_the_document_has_every_library_and_its_reason(results):
    text = report.document(results)
    assert "| XAD | - | - | - | - | skipped: xad not installed |" in text
    assert "| tapejit | 1.10 | 1.10 | 0.50 | 1 |  |" in text
    assert "| tapejit eager | 0.0001 | 0.01 | 1.00 | 100 |" in text
    assert "| ddx | - | - | failed: no time |" in text


def test_only_what_stands_between_the_markers_is_replaced(results):
    part = report.readme_part(results)
    text = f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n"
    assert report.between_markers(text, part) == f"before\n{part}\nafter\n"
    with pytest.raises(ValueError, match="once each"):
        report.between_markers("no markers", part)


@pytest.mark.parametrize(
    ("value", "text"), [(0.01234, "0.0123"), (1.0, "1.00"), (12.34, "12.3"), (99.99, "100"), (1234567.0, "1 234 567")]
)
def test_three_digits(value, text):
    assert report.digits(value) == text


def test_exponents_and_bytes_are_fitted():
    points = {str(10**k): {"seconds": 2e-9 * 10.0 ** (1.5 * k), "memory": 7 * 10**k} for k in range(1, 7)}
    assert scaling.exponent(points) == pytest.approx(1.5)
    assert scaling.bytes_each(points) == pytest.approx(7)
    assert scaling.exponent({"10": points["10"]}) is None


def test_the_readme_and_the_document_are_what_the_results_say():
    results = collect.read()
    hint = "run `python -m bench write`"
    assert (ROOT / "docs" / "benchmarks.md").read_text() == report.document(results), hint
    assert report.readme_part(results) in (ROOT / "README.md").read_text(), hint
