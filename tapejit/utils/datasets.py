"""Data sets: something with a length and elements by number."""

import math

import tapejit as tj


class Dataset:
    """Base of data sets: a subclass gives ``__getitem__`` and ``__len__``."""

    def __getitem__(self, index):
        raise NotImplementedError("a Dataset needs __getitem__(index)")

    def __add__(self, other):
        return ConcatDataset([self, other])


class IterableDataset(Dataset):
    """Base of data sets that can only be iterated over: a subclass gives ``__iter__``."""

    def __iter__(self):
        raise NotImplementedError("an IterableDataset needs __iter__()")


class TensorDataset(Dataset):
    """Tensors with as many elements along their first dimension; an element is a tuple of theirs."""

    def __init__(self, *tensors):
        if len({x.shape[0] for x in tensors}) > 1:
            raise ValueError(f"size mismatch between tensors: {[x.shape[0] for x in tensors]} elements")
        self.tensors = tensors

    def __getitem__(self, index):
        return tuple(x[index] for x in self.tensors)

    def __len__(self):
        return self.tensors[0].shape[0]


class Subset(Dataset):
    """Some elements of a data set, by their numbers."""

    def __init__(self, dataset, indices):
        self.dataset, self.indices = dataset, indices

    def __getitem__(self, index):
        if isinstance(index, list):
            return self.dataset[[self.indices[i] for i in index]]
        return self.dataset[self.indices[index]]

    def __len__(self):
        return len(self.indices)


class ConcatDataset(Dataset):
    """Data sets one after the other."""

    def __init__(self, datasets):
        self.datasets = list(datasets)
        if not self.datasets:
            raise ValueError("datasets should not be an empty iterable")

    def __getitem__(self, index):
        n = len(self)
        if not -n <= index < n:
            raise IndexError(f"index {index} is out of range for {n} elements")
        index %= n
        for dataset in self.datasets:
            if index < len(dataset):
                return dataset[index]
            index -= len(dataset)
        raise IndexError(index)

    def __len__(self):
        return sum(map(len, self.datasets))


def random_split(dataset, lengths, generator=None) -> list:
    """Random parts of a data set, of given lengths or shares that add up to 1."""
    lengths = list(lengths)
    n = len(dataset)
    if math.isclose(sum(lengths), 1) and sum(lengths) <= 1 + 1e-9:
        shares = [math.floor(n * share) for share in lengths]
        for i in range(n - sum(shares)):
            shares[i % len(shares)] += 1
        lengths = shares
    if sum(lengths) != n:
        raise ValueError(f"the lengths add up to {sum(lengths)}, the data set has {n} elements")
    places = tj.randperm(n, **({} if generator is None else {"generator": generator})).tolist()
    ends = [sum(lengths[: k + 1]) for k in range(len(lengths))]
    return [Subset(dataset, places[end - length : end]) for end, length in zip(ends, lengths, strict=True)]
