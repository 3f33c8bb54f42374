"""Recurrent layers and their cells, with PyTorch's formulas, parameter names and orders of gates."""

import math

import tapejit as tj
from tapejit.nn import init
from tapejit.nn.dense import dropout
from tapejit.nn.module import Module
from tapejit.nn.parameter import Parameter


def _rnn_step(x, state, w_hh, b_hh, activation):
    (h,) = state
    y = x + h @ w_hh.T
    h = activation(y if b_hh is None else y + b_hh)
    return (h,)


def _gru_step(x, state, w_hh, b_hh, activation):
    (h,) = state
    n = h.shape[-1]
    y = h @ w_hh.T
    y = y if b_hh is None else y + b_hh
    gates = tj.sigmoid(x[..., : 2 * n] + y[..., : 2 * n])
    r, z = gates[..., :n], gates[..., n:]
    new = tj.tanh(x[..., 2 * n :] + r * y[..., 2 * n :])
    return (new + z * (h - new),)


def _lstm_step(x, state, w_hh, b_hh, activation):
    h, c = state
    n = h.shape[-1]
    y = x + h @ w_hh.T
    y = y if b_hh is None else y + b_hh
    i, f, o = (tj.sigmoid(y[..., k * n : (k + 1) * n]) for k in (0, 1, 3))
    c = f * c + i * tj.tanh(y[..., 2 * n : 3 * n])
    return o * tj.tanh(c), c


_STEPS = {"RNN": (_rnn_step, 1, 1), "GRU": (_gru_step, 3, 1), "LSTM": (_lstm_step, 4, 2)}  # kind -> step, gates, states


class _Weights(Module):
    """What layers and cells have in common: the kind, and parameters uniform in +-1/sqrt(hidden_size) at first."""

    kind = ""

    def _enter(self, suffix, inputs, hidden, bias, dtype):
        gates = _STEPS[self.kind][1]
        shapes = {"weight_ih": (gates * hidden, inputs), "weight_hh": (gates * hidden, hidden)}
        shapes |= {"bias_ih": (gates * hidden,), "bias_hh": (gates * hidden,)} if bias else {"bias_ih": None, "bias_hh": None}
        for name, shape in shapes.items():
            if shape is not None or not suffix:
                self.register_parameter(name + suffix, None if shape is None else Parameter(tj.empty(*shape, dtype=dtype)))

    def reset_parameters(self):
        """Draw the parameters anew."""
        bound = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for p in self.parameters():
            init.uniform_(p, -bound, bound)

    def _activation(self):
        return tj.relu if getattr(self, "nonlinearity", "tanh") == "relu" else tj.tanh

    def _through(self, suffix, x, state, steps):
        """All steps of one layer in one direction: the outputs in the order of the input, and the last state."""
        own = self._parameters
        y = x @ own["weight_ih" + suffix].T
        if own.get("bias_ih" + suffix) is not None:
            y = y + own["bias_ih" + suffix]
        w, b = own["weight_hh" + suffix], own.get("bias_hh" + suffix)
        step, activation = _STEPS[self.kind][0], self._activation()
        outputs = {}
        for t in steps:
            state = step(y[t], state, w, b, activation)
            outputs[t] = state[0]
        return [outputs[t] for t in range(len(outputs))], state


class _Recurrent(_Weights):
    def __init__(
        self, input_size, hidden_size, num_layers=1, bias=True, batch_first=False, dropout=0.0, bidirectional=False,
        device=None, dtype=None, nonlinearity="tanh",
    ):  # fmt: skip
        super().__init__()
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f'nonlinearity is "tanh" or "relu", got {nonlinearity!r}')
        self.input_size, self.hidden_size, self.num_layers, self.bias = input_size, hidden_size, num_layers, bias
        self.batch_first, self.dropout, self.bidirectional = batch_first, float(dropout), bidirectional
        self.nonlinearity = nonlinearity
        for layer in range(num_layers):
            for tail in ("", "_reverse")[: 1 + bidirectional]:
                inputs = input_size if layer == 0 else hidden_size * (1 + bidirectional)
                self._enter(f"_l{layer}{tail}", inputs, hidden_size, bias, dtype)
        self.reset_parameters()

    def forward(self, input, hx=None):
        directions, states = 1 + self.bidirectional, _STEPS[self.kind][2]
        single = input.ndim == 2
        if input.ndim not in (2, 3) or input.shape[-1] != self.input_size:
            raise RuntimeError(f"{self.kind}: inputs have {self.input_size} features, got the shape {tuple(input.shape)}")
        x = input.unsqueeze(1) if single else input.transpose(0, 1) if self.batch_first else input
        shape = (self.num_layers * directions, x.shape[1], self.hidden_size)
        if hx is None:
            start = (tj.zeros(shape, dtype=x.dtype),) * states
        else:
            start = hx if isinstance(hx, tuple) else (hx,)
            start = tuple(h.unsqueeze(1) for h in start) if single else start
        last = []
        for layer in range(self.num_layers):
            sides = []
            for side in range(directions):
                steps = range(x.shape[0]) if side == 0 else reversed(range(x.shape[0]))
                state = tuple(h[layer * directions + side] for h in start)
                outputs, state = self._through(f"_l{layer}{'_reverse' * side}", x, state, steps)
                sides.append(tj.stack(outputs))
                last.append(state)
            x = sides[0] if directions == 1 else tj.cat(sides, -1)
            if self.dropout and layer < self.num_layers - 1:
                x = dropout(x, self.dropout, self.training)
        ends = tuple(tj.stack([state[k] for state in last]) for k in range(states))
        if single:
            x, ends = x.squeeze(1), tuple(h.squeeze(1) for h in ends)
        elif self.batch_first:
            x = x.transpose(0, 1)
        return x, ends if states > 1 else ends[0]

    def extra_repr(self):
        words = [f"{self.input_size}, {self.hidden_size}"]
        if self.num_layers != 1:
            words.append(f"num_layers={self.num_layers}")
        if not self.bias:
            words.append("bias=False")
        words += [f"{name}={value}" for name, value in (("batch_first", self.batch_first), ("dropout", self.dropout)) if value]
        if self.bidirectional:
            words.append("bidirectional=True")
        return ", ".join(words)


class RNN(_Recurrent):
    """h = tanh(W_ih x + b_ih + W_hh h + b_hh), or relu: ``output, h_n = rnn(input, h_0)``, input (length, batch, features).

    Args:
        input_size, hidden_size, num_layers: sizes.
        nonlinearity: "tanh" or "relu".
        bias: whether there are biases.
        batch_first: (batch, length, features) instead.
        dropout: between layers while training.
        bidirectional: a second pass from the end; the outputs stand side by side.
    """

    kind = "RNN"

    def __init__(self, input_size, hidden_size, num_layers=1, nonlinearity="tanh", *args, **kwargs):
        super().__init__(input_size, hidden_size, num_layers, *args, nonlinearity=nonlinearity, **kwargs)


class GRU(_Recurrent):
    """Gated recurrent units (Cho and others 2014), gates in the order r, z, n: ``output, h_n = gru(input, h_0)``; as RNN."""

    kind = "GRU"


class LSTM(_Recurrent):
    """Long short-term memory, gates in the order i, f, g, o: ``output, (h_n, c_n) = lstm(input, (h_0, c_0))``; as RNN."""

    kind = "LSTM"


class _Cell(_Weights):
    def __init__(self, input_size, hidden_size, bias=True, device=None, dtype=None):
        super().__init__()
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        self._enter("", input_size, hidden_size, bias, dtype)
        self.reset_parameters()

    def forward(self, input, hx=None):
        states = _STEPS[self.kind][2]
        if hx is None:
            hx = (tj.zeros((*input.shape[:-1], self.hidden_size), dtype=input.dtype),) * states
        _, state = self._through("", input.unsqueeze(0), hx if isinstance(hx, tuple) else (hx,), range(1))
        return state if states > 1 else state[0]

    def extra_repr(self):
        return f"{self.input_size}, {self.hidden_size}" + ("" if self.bias else ", bias=False")


class RNNCell(_Cell):
    """One step of RNN: ``h = cell(input, h)``."""

    kind = "RNN"

    def __init__(self, input_size, hidden_size, bias=True, nonlinearity="tanh", device=None, dtype=None):
        super().__init__(input_size, hidden_size, bias, device, dtype)
        self.nonlinearity = nonlinearity


class GRUCell(_Cell):
    """One step of GRU: ``h = cell(input, h)``."""

    kind = "GRU"


class LSTMCell(_Cell):
    """One step of LSTM: ``h, c = cell(input, (h, c))``."""

    kind = "LSTM"
