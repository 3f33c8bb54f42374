"""What the processor that is compiled for can do."""
import functools

from llvmlite.binding import llvm_version_info

from tapejit.edge.numba import cpu_target


@functools.cache
def _features():
    _, _, features = cpu_target.target_context.codegen().magic_tuple()
    return frozenset(features.split(","))


def has_avx512():
    """Whether there are vectors of 512 bits, and conversions from 64-bit integers."""
    return {"+avx512f", "+avx512dq", "+avx512vl"} <= _features()


def has_avx512f():
    """Whether code for this processor may use the registers of AVX-512 at all."""
    return "+avx512f" in _features()


def has_scalef():
    """Whether `ldexp` becomes one instruction, which LLVM knows since version 22."""
    return has_avx512() and llvm_version_info >= (22,)


def vector_bits():
    """The width of the vectors, in bits."""
    return 512 if has_avx512() else 256 if "+avx2" in _features() else 128


def has_fma(context):
    """Whether the code being compiled may use fused multiply-add instructions."""
    triple, _, features = context.codegen().magic_tuple()
    return "+fma" in features.split(",") or triple.startswith(("aarch64", "arm64"))
