"""Attention and the encoder of a transformer (Vaswani and others, 2017), with PyTorch's parameters, names and shapes."""

import copy
import math

import tapejit as tj
from tapejit.nn import init
from tapejit.nn.activation import gelu, relu
from tapejit.nn.containers import ModuleList
from tapejit.nn.dense import Dropout, Linear, dropout, linear
from tapejit.nn.module import Module
from tapejit.nn.normalizing import LayerNorm
from tapejit.nn.parameter import Parameter


def _as_bias(mask, like):
    """A mask as what is added to scores: a bool one says what may not be looked at."""
    if mask is None or mask.dtype.is_floating_point:
        return mask
    return tj.zeros(tuple(mask.shape), dtype=like.dtype).masked_fill(mask.bool(), -math.inf)


class MultiheadAttention(Module):
    """softmax(q k^T / sqrt(d)) v in several heads side by side, each of ``embed_dim / num_heads`` columns.

    Of PyTorch's options there are no ``kdim``, ``vdim``, ``add_bias_kv``, ``add_zero_attn``: queries, keys and values have
    ``embed_dim`` columns.
    """

    def __init__(self, embed_dim, num_heads, dropout=0.0, bias=True, batch_first=False, device=None, dtype=None):
        super().__init__()
        if embed_dim % num_heads:
            raise ValueError(f"embed_dim must be divisible by num_heads, got {embed_dim} and {num_heads}")
        self.embed_dim, self.num_heads, self.dropout, self.batch_first = embed_dim, num_heads, dropout, batch_first
        self.in_proj_weight = Parameter(tj.empty(3 * embed_dim, embed_dim, dtype=dtype))
        self.register_parameter("in_proj_bias", Parameter(tj.zeros(3 * embed_dim, dtype=dtype)) if bias else None)
        self.out_proj = Linear(embed_dim, embed_dim, bias=bias, dtype=dtype)
        init.xavier_uniform_(self.in_proj_weight)
        if bias:
            init.zeros_(self.out_proj.bias)

    def forward(
        self, query, key, value, key_padding_mask=None, need_weights=True, attn_mask=None, average_attn_weights=True,
        is_causal=False,
    ):  # fmt: skip
        """(the result, the weights): (length, batch, embed_dim), or batch first, or without a batch.

        ``key_padding_mask`` (batch, keys) and ``attn_mask`` (queries, keys) or (batch * heads, queries, keys) are bool, true
        where nothing may be looked at, or floats that are added to the scores. The weights are the mean over the heads, or
        None unless ``need_weights``.
        """
        single = query.ndim == 2
        if single:
            query, key, value = (x.unsqueeze(0) for x in (query, key, value))
            key_padding_mask = None if key_padding_mask is None else key_padding_mask.unsqueeze(0)
        elif not self.batch_first:
            query, key, value = (x.transpose(0, 1) for x in (query, key, value))
        q, k, v = self._projected(query, key, value)
        scores = q @ k.transpose(-2, -1) * (1 / math.sqrt(q.shape[-1]))
        if attn_mask is not None:
            mask = _as_bias(attn_mask, scores)
            scores = scores + (mask.reshape(scores.shape) if mask.ndim == 3 else mask)
        if key_padding_mask is not None:
            scores = scores + _as_bias(key_padding_mask, scores)[:, None, None, :]
        weights = dropout(tj.softmax(scores, -1), self.dropout, self.training)
        y = self.out_proj((weights @ v).transpose(1, 2).reshape(query.shape[0], query.shape[1], self.embed_dim))
        shown = None
        if need_weights:
            shown = weights.mean(1) if average_attn_weights else weights
        if single:
            return y[0], None if shown is None else shown[0]
        return (y if self.batch_first else y.transpose(0, 1)), shown

    def _projected(self, *inputs):
        """Queries, keys and values as (batch, heads, length, columns)."""
        found = []
        for j, x in enumerate(inputs):
            rows = slice(j * self.embed_dim, (j + 1) * self.embed_dim)
            y = linear(x, self.in_proj_weight[rows], None if self.in_proj_bias is None else self.in_proj_bias[rows])
            found.append(y.reshape(x.shape[0], x.shape[1], self.num_heads, -1).transpose(1, 2))
        return found


class TransformerEncoderLayer(Module):
    """Attention to itself and two linear layers, each added to its input, with layer norms after it (or before)."""

    def __init__(
        self, d_model, nhead, dim_feedforward=2048, dropout=0.1, activation="relu", layer_norm_eps=1e-5, batch_first=False,
        norm_first=False, bias=True, device=None, dtype=None,
    ):  # fmt: skip
        super().__init__()
        if isinstance(activation, str) and activation not in ("relu", "gelu"):
            raise RuntimeError(f'activation is "relu", "gelu" or a function, got {activation!r}')
        self.self_attn = MultiheadAttention(d_model, nhead, dropout, bias, batch_first, dtype=dtype)
        self.linear1 = Linear(d_model, dim_feedforward, bias=bias, dtype=dtype)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias=bias, dtype=dtype)
        self.norm_first = norm_first
        self.norm1 = LayerNorm(d_model, eps=layer_norm_eps, bias=bias, dtype=dtype)
        self.norm2 = LayerNorm(d_model, eps=layer_norm_eps, bias=bias, dtype=dtype)
        self.dropout1, self.dropout2 = Dropout(dropout), Dropout(dropout)
        self.activation = {"relu": relu, "gelu": gelu}[activation] if isinstance(activation, str) else activation

    def forward(self, src, src_mask=None, src_key_padding_mask=None, is_causal=False):
        x = src
        if self.norm_first:
            x = x + self._attended(self.norm1(x), src_mask, src_key_padding_mask)
            return x + self._fed(self.norm2(x))
        x = self.norm1(x + self._attended(x, src_mask, src_key_padding_mask))
        return self.norm2(x + self._fed(x))

    def _attended(self, x, mask, padding):
        return self.dropout1(self.self_attn(x, x, x, padding, False, mask)[0])

    def _fed(self, x):
        return self.dropout2(self.linear2(self.dropout(self.activation(self.linear1(x)))))


class TransformerEncoder(Module):
    """So many copies of an encoder layer, one after the other, and a norm if there is one."""

    def __init__(self, encoder_layer, num_layers, norm=None, enable_nested_tensor=True, mask_check=True):
        super().__init__()
        self.layers = ModuleList([copy.deepcopy(encoder_layer) for _ in range(num_layers)])
        self.num_layers, self.norm = num_layers, norm

    def forward(self, src, mask=None, src_key_padding_mask=None, is_causal=None):
        x = src
        for layer in self.layers:
            x = layer(x, mask, src_key_padding_mask)
        return x if self.norm is None else self.norm(x)
