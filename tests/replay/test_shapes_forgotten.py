"""A loop that meets new shapes for ever keeps neither their layouts nor their plans."""

import gc
import types

import pytest

import tapejit as tj
from tapejit.core import layout, plans
from tapejit.core import tape as tapes


def test_plans_and_layouts_of_gone_tensors_are_forgotten(monkeypatch):
    monkeypatch.setattr(plans, "LIMIT", 0)
    for _ in range(3):
        tapes.main.reclaim()
    others = plans.count()  # what other tests' tensors and programs still use
    monkeypatch.setattr(plans, "LIMIT", others + 200)
    x = tj.arange(600.0, requires_grad=True)
    kept = (x[:7] * x[1:8]).sum()
    total = 0.0
    for i in range(1, 500):
        part = x[:i].reshape(i, 1) + x[:3]
        total += part.sum().item()
    del part
    monkeypatch.setattr(plans, "LIMIT", 0)
    for _ in range(3):  # what nothing uses is first unlisted, then dropped, then what it referred to
        tapes.main.reclaim()
    assert plans.count() < others + 50
    assert len(plans._by_address) < others + 50
    kept.backward()
    assert x.grad[:8].tolist() == [1.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 6.0]
    assert total == sum(3 * i * (i - 1) / 2 + 3 * i for i in range(1, 500))


@pytest.mark.parametrize("policy", ["auto", "never"])
def test_numbers_are_known_after_everything_was_forgotten(policy, monkeypatch):
    """A recording of numbers alone, when no tensor without dimensions was there for two rounds."""
    monkeypatch.setattr(plans, "LIMIT", 0)
    for _ in range(3):
        tapes.main.reclaim()
    g = tj.grad(lambda x: x * tj.tensor(2.0) * x if x > 0 else 3 * x, compile=policy)
    assert (g(2.0), g(-2.0), g(2.0)) == (8.0, 3.0, 8.0)
    assert g.calls["eager"] == (3 if policy == "never" else 0)


def test_layouts_that_the_package_refers_to_are_not_forgotten(monkeypatch):
    monkeypatch.setattr(plans, "LIMIT", 0)
    for _ in range(3):
        tapes.main.reclaim()
    places = [m for m in gc.get_objects() if issubclass(type(m), types.ModuleType) and m.__name__.startswith("tapejit.")]
    values = [v for m in places for v in vars(m).values()]
    held = [v.values() if isinstance(v, dict) else v for v in values if isinstance(v, (dict, list, tuple))]
    values += [x for v in held for x in v]
    constants = [v for v in values if isinstance(v, layout.Layout)]
    assert constants
    for found in constants:
        assert layout.layout_at(found.address) is found
