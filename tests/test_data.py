"""Data sets and loaders."""

import collections

import numpy as np
import pytest

import tapejit as tj
from tapejit.utils import data


def pairs(n=10):
    return data.TensorDataset(tj.arange(float(n)), 10 * tj.arange(float(n)))


def test_tensor_dataset_and_loader():
    dataset = pairs()
    assert len(dataset) == 10
    assert [x.item() for x in dataset[3]] == [3.0, 30.0]
    loader = data.DataLoader(dataset, batch_size=4)
    assert len(loader) == 3
    assert [x.tolist() for x, _ in loader] == [[0.0, 1.0, 2.0, 3.0], [4.0, 5.0, 6.0, 7.0], [8.0, 9.0]]
    assert len(list(data.DataLoader(dataset, batch_size=4, drop_last=True))) == 2
    shuffled = data.DataLoader(dataset, batch_size=3, shuffle=True)
    first, second = ([v for x, y in shuffled for v in (10 * x - y + x).tolist()] for _ in range(2))
    assert sorted(first) == list(map(float, range(10)))
    assert first != second
    with pytest.raises(ValueError, match="size mismatch"):
        data.TensorDataset(tj.ones(2), tj.ones(3))


class Squares(data.Dataset):
    def __len__(self):
        return 5

    def __getitem__(self, i):
        return {"x": np.array([i, i * i]), "name": f"n{i}", "y": (i, tj.tensor(float(i)))}


def test_collation():
    batches = list(data.DataLoader(Squares(), batch_size=3))
    assert batches[0]["x"].tolist() == [[0, 0], [1, 1], [2, 4]]
    assert batches[0]["name"] == ["n0", "n1", "n2"]
    assert [part.tolist() for part in batches[1]["y"]] == [[3, 4], [3.0, 4.0]]
    assert batches[1]["y"][0].dtype is tj.int64
    point = collections.namedtuple("point", "a b")
    assert data.default_collate([point(1.0, True), point(2.0, False)]).a.tolist() == [1.0, 2.0]
    assert next(iter(data.DataLoader(Squares(), batch_size=2, collate_fn=len))) == 2
    assert next(iter(data.DataLoader(Squares(), batch_size=None)))["name"] == "n0"
    with pytest.raises(TypeError, match="object"):
        data.default_collate([object()])


def test_subsets():
    dataset = pairs()
    part = data.Subset(dataset, [5, 2])
    assert part[0][0].item() == 5.0
    assert [x.tolist() for x, _ in data.DataLoader(part, batch_size=2)] == [[5.0, 2.0]]
    both = dataset + part
    assert len(both) == 12
    assert both[11][0].item() == 2.0
    assert both[-1][0].item() == 2.0
    first, second = data.random_split(dataset, [7, 3])
    assert sorted(first.indices + second.indices) == list(range(10))
    assert [len(p) for p in data.random_split(dataset, [0.5, 0.25, 0.25])] == [6, 2, 2]
    with pytest.raises(ValueError, match="add up to 9"):
        data.random_split(dataset, [5, 4])
    with pytest.raises(IndexError):
        both[12]


def test_samplers():
    tj.manual_seed(0)
    assert len(list(data.RandomSampler(range(4), replacement=True, num_samples=9))) == 9
    assert sorted(data.SubsetRandomSampler([3, 5, 8])) == [3, 5, 8]
    drawn = list(data.WeightedRandomSampler([0.0, 1.0, 3.0], 4000))
    assert 0 not in drawn
    assert drawn.count(2) / len(drawn) == pytest.approx(0.75, abs=0.03)
    assert sorted(data.WeightedRandomSampler([1.0, 1.0, 1e-9], 2, replacement=False)) == [0, 1]
    assert list(data.BatchSampler(range(5), 2)) == [[0, 1], [2, 3], [4]]
    loader = data.DataLoader(pairs(), batch_sampler=[[0, 1], [9]])
    assert [x.tolist() for x, _ in loader] == [[0.0, 1.0], [9.0]]
    with pytest.raises(ValueError, match="not both"):
        data.DataLoader(pairs(), shuffle=True, sampler=[1])
    with pytest.raises(ValueError, match="positive"):
        data.DataLoader(pairs(), batch_size=0)


class Stream(data.IterableDataset):
    def __iter__(self):
        return iter(range(5))


def test_iterable():
    assert [b.tolist() for b in data.DataLoader(Stream(), batch_size=2)] == [[0, 1], [2, 3], [4]]
