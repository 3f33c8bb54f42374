"""Checkpoints under ``torch.utils.checkpoint``'s names."""

from tapejit.control.recompute import checkpoint, checkpoint_sequential

__all__ = ["checkpoint", "checkpoint_sequential"]
