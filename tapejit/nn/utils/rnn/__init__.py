"""Sequences of different lengths as one tensor: of ``torch.nn.utils.rnn`` what needs no packed sequences."""

import tapejit as tj

__all__ = ["pad_sequence", "unpad_sequence"]


def pad_sequence(sequences, batch_first=False, padding_value=0.0, padding_side="right"):
    """Tensors of shapes (length, ...) as one of (longest, count, ...), or (count, longest, ...) with ``batch_first``.

    Raises:
        ValueError: without sequences, or for a side that is neither "left" nor "right".
    """
    sequences = list(sequences)
    if not sequences or padding_side not in ("left", "right"):
        raise ValueError('pad_sequence() takes at least one sequence, and the side "left" or "right"')
    longest, rows = max(len(x) for x in sequences), []
    for x in sequences:
        rest = tj.full((longest - len(x), *x.shape[1:]), padding_value, dtype=x.dtype)
        rows.append(tj.cat([rest, x] if padding_side == "left" else [x, rest]))
    return tj.stack(rows, 0 if batch_first else 1)


def unpad_sequence(padded_sequences, lengths, batch_first=False):
    """The sequences that were padded, a list."""
    rows = padded_sequences if batch_first else padded_sequences.transpose(0, 1)
    return [row[: int(n)] for row, n in zip(rows, lengths, strict=True)]
