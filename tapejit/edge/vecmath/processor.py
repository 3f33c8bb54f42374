"""What the processor that is compiled for can do."""
import functools

from llvmlite.binding import llvm_version_info

from tapejit.edge.numba import cpu_target


@functools.cache
def _target(codegen):
    """(the triple, the features) of what a code generator makes code for; LLVM is asked once, which takes 0.1 ms."""
    triple, _, features = codegen.magic_tuple()
    return triple, frozenset(features.split(","))


def _features():
    return _target(cpu_target.target_context.codegen())[1]


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
    triple, features = _target(context.codegen())
    return "+fma" in features or triple.startswith(("aarch64", "arm64"))
