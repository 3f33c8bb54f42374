"""What the namespace says of itself."""

from tapejit.array_api.kinds import isdtype
from tapejit.core.dtypes import ALL, complex64, complex128, float64, get_default_dtype, int64
from tapejit.eager.devices import CPU


class _Info:
    """Capabilities, devices and dtypes of the namespace."""

    def capabilities(self) -> dict:
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}

    def default_device(self):
        return CPU

    def devices(self) -> list:
        return [CPU]

    def default_dtypes(self, *, device=None) -> dict:
        real = get_default_dtype()
        return {
            "real floating": real, "complex floating": complex128 if real is float64 else complex64, "integral": int64,
            "indexing": int64,
        }  # fmt: skip

    def dtypes(self, *, device=None, kind=None) -> dict:
        """The dtypes by name, all of them or those of a kind."""
        every = (*ALL, complex64, complex128)
        return {dtype.name: dtype for dtype in every if kind is None or isdtype(dtype, kind)}


def __array_namespace_info__():
    """An object with ``capabilities()``, ``devices()``, ``dtypes()`` and their defaults."""
    return _Info()
