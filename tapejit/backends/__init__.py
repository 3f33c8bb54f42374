"""What programs ask of and set for other devices, under ``torch.backends``' names: none of them is used."""

from tapejit.backends import cuda, cudnn, mps

__all__ = ["cuda", "cudnn", "mps"]
