"""Layers that put something around their input, in one to three dimensions."""

from tapejit.nn.module import Module
from tapejit.nn.windows import pad


class Padding(Module):
    """``functional.pad`` of the last dimensions, by one number or by (before, after) of each from the last on."""

    dims, mode = 1, "constant"

    def __init__(self, padding, value=0.0):
        super().__init__()
        self.padding = (padding,) * (2 * self.dims) if isinstance(padding, int) else tuple(padding)
        self.value = value

    def forward(self, input):
        return pad(input, self.padding, self.mode, self.value)

    def extra_repr(self):
        return f"{self.padding}"


_WORDS = {
    "Zero": ("constant", "Zeros around the last {} dimensions."),
    "Constant": ("constant", "A number around the last {} dimensions."),
    "Reflection": ("reflect", "The last {} dimensions mirrored around their ends."),
    "Replication": ("replicate", "The border of the last {} dimensions repeated."),
    "Circular": ("circular", "The last {} dimensions continued from their other ends."),
}


def _layer(word, dims):
    mode, doc = _WORDS[word]
    row = {"dims": dims, "mode": mode, "__doc__": doc.format(dims), "__module__": __name__}
    return type(f"{word}Pad{dims}d", (Padding,), row)


LAYERS = {f"{word}Pad{dims}d": _layer(word, dims) for word in _WORDS for dims in (1, 2, 3)}
globals().update(LAYERS)
