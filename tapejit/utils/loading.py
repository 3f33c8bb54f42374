"""DataLoader: batches of a data set, in order or shuffled."""

import math

import numpy as np

import tapejit as tj
from tapejit.utils.datasets import IterableDataset, Subset, TensorDataset


class Sampler:
    """Base of samplers: what ``__iter__`` gives are numbers of elements."""

    def __init__(self, data_source=None):
        self.data_source = data_source

    def __len__(self):
        return len(self.data_source)


class SequentialSampler(Sampler):
    """All elements in order."""

    def __iter__(self):
        return iter(range(len(self.data_source)))


class RandomSampler(Sampler):
    """Elements at random: each once, or ``num_samples`` with ``replacement``."""

    def __init__(self, data_source, replacement=False, num_samples=None, generator=None):
        super().__init__(data_source)
        self.replacement, self.generator = replacement, generator
        self.num_samples = len(data_source) if num_samples is None else num_samples

    def __iter__(self):
        n, own = len(self.data_source), {} if self.generator is None else {"generator": self.generator}
        if self.replacement:
            return iter(tj.randint(n, (self.num_samples,), **own).tolist())
        rounds = [tj.randperm(n, **own).tolist() for _ in range(-(-self.num_samples // max(n, 1)))]
        return iter([i for part in rounds for i in part][: self.num_samples])

    def __len__(self):
        return self.num_samples


class SubsetRandomSampler(Sampler):
    """Given elements at random, each once."""

    def __init__(self, indices, generator=None):
        super().__init__(indices)
        self.indices, self.generator = indices, generator

    def __iter__(self):
        own = {} if self.generator is None else {"generator": self.generator}
        return iter([self.indices[i] for i in tj.randperm(len(self.indices), **own).tolist()])


class WeightedRandomSampler(Sampler):
    """``num_samples`` elements with probabilities in proportion to weights."""

    def __init__(self, weights, num_samples, replacement=True, generator=None):
        super().__init__(range(num_samples))
        self.weights = np.asarray(weights.numpy() if isinstance(weights, tj.Tensor) else weights, float)
        self.num_samples, self.replacement, self.generator = num_samples, replacement, generator

    def __iter__(self):
        own = {} if self.generator is None else {"generator": self.generator}
        if self.replacement:
            ends = np.cumsum(self.weights) / self.weights.sum()
            return iter(np.searchsorted(ends, tj.rand(self.num_samples, **own).numpy(), side="right").tolist())
        keys = -np.log(tj.rand(len(self.weights), **own).numpy()) / self.weights  # the smallest ones: Efraimidis, Spirakis 2006
        return iter(np.argsort(keys)[: self.num_samples].tolist())


class BatchSampler(Sampler):
    """The numbers of a sampler in lists of ``batch_size``."""

    def __init__(self, sampler, batch_size, drop_last=False):
        super().__init__(sampler)
        self.sampler, self.batch_size, self.drop_last = sampler, batch_size, drop_last

    def __iter__(self):
        return _batches(self.sampler, self.batch_size, self.drop_last)

    def __len__(self):
        n = len(self.sampler)
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)


def _batches(items, size, drop_last):
    batch = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch and not drop_last:
        yield batch


def default_collate(batch):
    """A batch from a list of elements: tensors, arrays and numbers are stacked, tuples, lists and dicts go by their parts."""
    first = batch[0]
    if isinstance(first, tj.Tensor):
        return tj.stack(batch)
    if isinstance(first, np.ndarray):
        return tj.from_numpy(np.stack(batch))
    if isinstance(first, (bool, int, float, np.number, np.bool_)):
        return tj.tensor(np.array(batch))
    if isinstance(first, str):
        return batch
    if isinstance(first, dict):
        return {key: default_collate([item[key] for item in batch]) for key in first}
    if isinstance(first, tuple) and hasattr(first, "_fields"):
        return type(first)(*map(default_collate, zip(*batch, strict=True)))
    if isinstance(first, (tuple, list)):
        return [default_collate(list(part)) for part in zip(*batch, strict=True)]
    raise TypeError(f"default_collate: batches are of tensors, arrays, numbers, dicts and lists, not of {type(first).__name__}")


class DataLoader:
    """Batches of a data set.

    Args:
        dataset: with ``__getitem__`` and ``__len__``, or an IterableDataset.
        batch_size: elements per batch; None gives the elements themselves.
        shuffle: a new order in each pass.
        sampler, batch_sampler: what the order is taken from instead.
        num_workers: must be 0: batches are made when they are asked for, in this process.
        collate_fn: makes a batch of a list of elements; ``default_collate`` stacks them.
        drop_last: leaves out a batch that is not full.
        generator: for the order.
    """

    def __init__(
        self, dataset, batch_size=1, shuffle=False, sampler=None, batch_sampler=None, num_workers=0, collate_fn=None,
        pin_memory=False, drop_last=False, timeout=0, worker_init_fn=None, *, generator=None, persistent_workers=False,
    ):  # fmt: skip
        if sampler is not None and shuffle:
            raise ValueError("give sampler or shuffle, not both")
        if batch_size is not None and batch_size < 1:
            raise ValueError(f"batch_size should be a positive integer, got {batch_size}")
        self.dataset, self.batch_size, self.drop_last, self.generator = dataset, batch_size, drop_last, generator
        self.num_workers, self.collate_fn = num_workers, collate_fn
        self.iterable = isinstance(dataset, IterableDataset)
        if sampler is None and not self.iterable:
            sampler = RandomSampler(dataset, generator=generator) if shuffle else SequentialSampler(dataset)
        self.sampler = sampler
        if batch_sampler is None and batch_size is not None and not self.iterable:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.batch_sampler = batch_sampler

    def __iter__(self):
        collate = self.collate_fn or (default_collate if self.batch_size is not None or self.batch_sampler else _element)
        if self.iterable:
            if self.batch_size is None:
                return map(collate, self.dataset)
            return map(collate, _batches(self.dataset, self.batch_size, self.drop_last))
        if self.batch_sampler is None:
            return (collate(self.dataset[i]) for i in self.sampler)
        if self.collate_fn is None and _takes_lists(self.dataset):
            return (list(self.dataset[list(batch)]) for batch in self.batch_sampler)
        return (collate([self.dataset[i] for i in batch]) for batch in self.batch_sampler)

    def __len__(self):
        if self.iterable:
            n = len(self.dataset)
            return n if self.batch_size is None else n // self.batch_size if self.drop_last else math.ceil(n / self.batch_size)
        return len(self.sampler if self.batch_sampler is None else self.batch_sampler)


def _element(x):
    return tj.tensor(x) if isinstance(x, np.ndarray) else x


def _takes_lists(dataset):
    """Whether a batch can be read at once: tensors, and parts of them."""
    return type(dataset) is TensorDataset or (type(dataset) is Subset and _takes_lists(dataset.dataset))
