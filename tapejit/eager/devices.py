"""Where tensors are: on the CPU. The names by which programs ask for a device, a memory format or CUDA are known."""

import functools


class Format:
    """A memory format or layout, one of PyTorch's names: a wish. New tensors are strided and contiguous, whichever it is."""

    __slots__ = ("_name",)

    def __init__(self, name):
        self._name = name

    def __repr__(self):
        return f"tapejit.{self._name}"


contiguous_format, preserve_format, strided, channels_last = (
    Format(name) for name in ("contiguous_format", "preserve_format", "strided", "channels_last")
)


KINDS = ("cpu", "cuda", "mps", "meta", "xpu")


class device:
    """Where a tensor is: always ``device("cpu")``; other devices have names but cannot be used.

    Raises:
        RuntimeError: for a device of no kind that PyTorch knows.
    """

    __slots__ = ("index", "type")

    def __init__(self, type="cpu", index=None):
        name = str(type)
        kind, _, number = name.partition(":")
        if kind not in KINDS or (number and not number.isdigit()):
            raise RuntimeError(f"device {name!r} is of no known kind; tapejit computes on 'cpu'")
        self.type = kind
        self.index = int(number) if number else index

    def __repr__(self):
        return f"device(type={self.type!r})" if self.index is None else f"device(type={self.type!r}, index={self.index})"

    def __str__(self):
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __eq__(self, other):
        if not isinstance(other, (str, device)):
            return NotImplemented
        return str(self).removesuffix(":0") == str(other).removesuffix(":0")

    def __hash__(self):
        return hash(str(self).removesuffix(":0"))


CPU = device("cpu")


def check_device(wanted) -> None:
    """Refuse every device but the processor.

    Raises:
        RuntimeError: for another device.
    """
    if wanted is None or wanted is CPU or str(wanted) in ("cpu", "cpu:0"):
        return
    kind = wanted if isinstance(wanted, (str, device)) else repr(wanted)
    raise RuntimeError(
        f"tapejit computes on the CPU, device {str(kind)!r} cannot be had: leave it out, or choose it with "
        "device = 'cuda' if tj.cuda.is_available() else 'cpu'"
    )


def set_default_device(device) -> None:
    """Where new tensors are made: the processor.

    Raises:
        RuntimeError: for another device.
    """
    check_device(device)


def get_default_device():
    """The processor."""
    return CPU


def check_places(kwargs) -> dict:
    """The keywords without those that say where a tensor is to be, which are checked."""
    check_device(kwargs.pop("device", None))
    for name in ("layout", "memory_format"):
        found = kwargs.pop(name, None)
        if found is not None and not isinstance(found, Format):
            raise TypeError(f"{name}= takes tapejit.contiguous_format, strided or the like, got {found!r}")
    for name in ("pin_memory", "non_blocking", "copy_"):
        kwargs.pop(name, None)
    return kwargs


_OF_A_GPU = """set_device current_device get_device_name get_device_capability get_device_properties Event Stream stream
    current_stream get_rng_state set_rng_state mem_get_info ipc_collect""".split()


def _refuse(name, *args, **kwargs):
    raise RuntimeError(f"tapejit.cuda.{name}() needs a GPU, and tapejit computes on the CPU: ask tj.cuda.is_available() first")


class Cuda:
    """``tapejit.cuda``: what programs ask before they use a GPU. There is none."""

    def __repr__(self):
        return "<tapejit.cuda: no GPU is used>"

    def is_available(self) -> bool:
        """False."""
        return False

    def device_count(self) -> int:
        """0."""
        return 0

    def manual_seed(self, seed) -> None:
        """Nothing: there is no generator of a GPU."""

    def manual_seed_all(self, seed) -> None:
        """Nothing: there is no generator of a GPU."""

    def empty_cache(self) -> None:
        """Nothing: there is no memory of a GPU."""

    def synchronize(self, device=None) -> None:
        """Nothing: work on the CPU is done when a call returns."""

    def memory_allocated(self, device=None) -> int:
        """0."""
        return 0

    max_memory_allocated = memory_reserved = max_memory_reserved = memory_allocated

    def reset_peak_memory_stats(self, device=None) -> None:
        """Nothing: there is no memory of a GPU."""

    def is_initialized(self) -> bool:
        """False."""
        return False

    is_bf16_supported = is_initialized

    def __getattr__(self, name):
        if name in _OF_A_GPU:
            return functools.partial(_refuse, name)
        raise AttributeError(f"tapejit.cuda has no {name!r}: tapejit computes on the CPU")


cuda = Cuda()
