"""A loop that meets new shapes for ever keeps neither their layouts nor their plans."""

import tapejit as tj
from tapejit.core import plans
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
