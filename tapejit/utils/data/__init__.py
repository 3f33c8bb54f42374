"""Data sets and loaders: ``tapejit.utils.data`` has the names of ``torch.utils.data``."""

from tapejit.edge.namesakes import enter as _enter
from tapejit.utils import datasets as _datasets
from tapejit.utils import loading as _loading
from tapejit.utils.datasets import (
    ConcatDataset,
    Dataset,
    IterableDataset,
    Subset,
    TensorDataset,
    random_split,
)
from tapejit.utils.loading import (
    BatchSampler,
    DataLoader,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
    default_collate,
)

__all__ = [
    "BatchSampler",
    "ConcatDataset",
    "DataLoader",
    "Dataset",
    "IterableDataset",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "Subset",
    "SubsetRandomSampler",
    "TensorDataset",
    "WeightedRandomSampler",
    "default_collate",
    "random_split",
]

_enter(__name__, {
    "sampler": {name: getattr(_loading, name) for name in __all__ if name.endswith("Sampler")},
    "dataset": {name: getattr(_datasets, name) for name in __all__ if hasattr(_datasets, name)},
    "dataloader": {name: getattr(_loading, name) for name in ("DataLoader", "default_collate")},
})  # fmt: skip
