"""Layers that learn the size of their input from the first one they see, and from then on are the layers they stand for."""

from tapejit.nn.dense import Linear
from tapejit.nn.module import Module
from tapejit.nn.normalizing import BatchNorm1d, BatchNorm2d, BatchNorm3d
from tapejit.nn.windows import Conv1d, Conv2d, Conv3d


class Lazy(Module):
    """A layer without parameters until its first call: give optimisers its parameters after that."""

    kind, channel = Linear, -1

    def __init__(self, *args, **options):
        super().__init__()
        self._given = args, options

    def forward(self, input):
        kind, (args, options), training = self.kind, self._given, self.training
        size = input.shape[self.channel]
        vars(self).pop("_given")
        object.__setattr__(self, "__class__", kind)
        kind.__init__(self, size, *args, **options)
        self.train(training)
        return self.forward(input)


def _lazy(kind, channel):
    doc = f"``{kind.__name__}`` whose first argument is the size of the first input."
    return type(f"Lazy{kind.__name__}", (Lazy,), {"kind": kind, "channel": channel, "__doc__": doc, "__module__": __name__})


LazyLinear = _lazy(Linear, -1)
LazyConv1d, LazyConv2d, LazyConv3d = (_lazy(kind, -1 - kind.dims) for kind in (Conv1d, Conv2d, Conv3d))
LazyBatchNorm1d, LazyBatchNorm2d, LazyBatchNorm3d = (_lazy(kind, 1) for kind in (BatchNorm1d, BatchNorm2d, BatchNorm3d))
