"""Layers and losses with inputs, the same for any library with PyTorch's names: ``evaluate(library, name)``."""

import numpy as np


def wave(*shape, start=0.0):
    """Numbers between -2 and 2 without ties."""
    n = int(np.prod(shape))
    return (2 * np.sin(1.7 * np.arange(n) + start + 0.001 * np.arange(n) ** 2)).reshape(shape)


def share(*shape, start=0.0):
    """Numbers between 0.05 and 0.95."""
    return 0.5 + 0.225 * wave(*shape, start=start)


X, Y = wave(4, 6), wave(4, 6, start=1.0)
CLASSES = np.array([1, -100, 5, 0])
GRID = np.arange(12).reshape(4, 3) * 5 % 6
WEIGHT = share(6, start=2.0)
SIGNS = np.array([1, -1, -1, 1])
LABELS = np.array([[1, 3, -1, 0, 0, 0], [-1, 1, 2, 3, 4, 5], [5, 0, 1, 2, 3, 4], [2, -1, -1, -1, -1, -1]])

CASES = {name: (lambda nn, name=name: getattr(nn, name)(), (3 * X,)) for name in (
    "ReLU LeakyReLU ELU CELU SELU GELU SiLU Mish Sigmoid Tanh LogSigmoid Softplus Softsign Tanhshrink Hardtanh ReLU6 "
    "Hardswish Softshrink Hardshrink GLU PReLU"
).split()}  # fmt: skip
CASES |= {name: (lambda nn, name=name: getattr(nn, name)(dim=-1), (X,)) for name in ("Softmax", "LogSoftmax", "Softmin")}
CASES |= {
    "GELU tanh": (lambda nn: nn.GELU("tanh"), (X,)),
    "Threshold": (lambda nn: nn.Threshold(0.3, 2.0), (X,)),
    "Hardtanh bounds": (lambda nn: nn.Hardtanh(-2.0, 0.5), (X,)),
    "PReLU 6": (lambda nn: nn.PReLU(6), (wave(2, 6, 3),)),
    "Linear": (lambda nn: nn.Linear(6, 3), (X,)),
    "Linear without bias": (lambda nn: nn.Linear(6, 3, bias=False), (wave(2, 3, 6),)),
    "Bilinear": (lambda nn: nn.Bilinear(6, 5, 4), (X, wave(4, 5))),
    "Embedding": (lambda nn: nn.Embedding(7, 3, padding_idx=2), (np.array([[1, 2, 0], [6, 2, 2]]),)),
    "Flatten": (lambda nn: nn.Flatten(), (wave(2, 3, 4),)),
    "Unflatten": (lambda nn: nn.Unflatten(1, (2, 3)), (X,)),
    "LayerNorm": (lambda nn: nn.LayerNorm(6), (X,)),
    "LayerNorm two": (lambda nn: nn.LayerNorm((3, 4), elementwise_affine=False), (wave(2, 3, 4),)),
    "RMSNorm": (lambda nn: nn.RMSNorm(6), (X,)),
    "GroupNorm": (lambda nn: nn.GroupNorm(2, 6), (wave(3, 6, 5),)),
    "BatchNorm1d": (lambda nn: nn.BatchNorm1d(6), (X,)),
    "BatchNorm1d eval": (lambda nn: nn.BatchNorm1d(6).eval(), (X,)),
    "BatchNorm1d mean": (lambda nn: nn.BatchNorm1d(3, momentum=None, affine=False), (wave(4, 3, 5),)),
    "BatchNorm2d": (lambda nn: nn.BatchNorm2d(3), (wave(4, 3, 5, 2),)),
    "BatchNorm2d alone": (lambda nn: nn.BatchNorm2d(3, track_running_stats=False), (wave(4, 3, 5, 2),)),
    "BatchNorm3d": (lambda nn: nn.BatchNorm3d(3), (wave(2, 3, 2, 3, 2),)),
    "InstanceNorm1d": (lambda nn: nn.InstanceNorm1d(3), (wave(2, 3, 5),)),
    "InstanceNorm2d": (lambda nn: nn.InstanceNorm2d(3, affine=True), (wave(2, 3, 5, 4),)),
    "InstanceNorm3d one": (lambda nn: nn.InstanceNorm3d(3), (wave(3, 2, 3, 2),)),
    "Conv1d": (lambda nn: nn.Conv1d(4, 6, 3, stride=2, padding=2, dilation=2, groups=2, bias=False), (wave(2, 4, 9),)),
    "Conv1d same": (lambda nn: nn.Conv1d(4, 6, 4, padding="same"), (wave(4, 9),)),
    "Conv2d": (lambda nn: nn.Conv2d(3, 4, 3), (wave(2, 3, 7, 6),)),
    "Conv2d all": (lambda nn: nn.Conv2d(4, 6, (3, 2), (2, 1), (1, 2), (1, 2), groups=2), (wave(2, 4, 7, 8),)),
    "Conv2d reflect": (lambda nn: nn.Conv2d(3, 4, 3, padding=2, padding_mode="reflect"), (wave(2, 3, 7, 6),)),
    "Conv2d circular": (lambda nn: nn.Conv2d(3, 4, 3, padding=1, padding_mode="circular"), (wave(2, 3, 7, 6),)),
    "MaxPool1d": (lambda nn: nn.MaxPool1d(2), (wave(2, 3, 9),)),
    "MaxPool2d": (lambda nn: nn.MaxPool2d((3, 2), stride=2, padding=1, ceil_mode=True), (wave(2, 3, 8, 9),)),
    "MaxPool2d dilation": (lambda nn: nn.MaxPool2d(3, stride=1, dilation=2), (wave(3, 8, 9),)),
    "AvgPool1d": (lambda nn: nn.AvgPool1d(3, 2, 1), (wave(2, 3, 9),)),
    "AvgPool2d": (lambda nn: nn.AvgPool2d(3, 2, 1, ceil_mode=True), (wave(2, 3, 8, 9),)),
    "AvgPool2d inside": (lambda nn: nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False), (wave(2, 3, 8, 9),)),
    "AvgPool2d divisor": (lambda nn: nn.AvgPool2d(3, divisor_override=2), (wave(2, 3, 8, 9),)),
    "AdaptiveAvgPool1d": (lambda nn: nn.AdaptiveAvgPool1d(4), (wave(2, 3, 9),)),
    "AdaptiveAvgPool2d": (lambda nn: nn.AdaptiveAvgPool2d((4, None)), (wave(2, 3, 9, 5),)),
    "AdaptiveMaxPool2d": (lambda nn: nn.AdaptiveMaxPool2d((3, 2)), (wave(2, 3, 9, 5),)),
    "Unfold": (lambda nn: nn.Unfold((2, 3), padding=1, stride=2), (wave(2, 3, 7, 8),)),
    "Fold": (lambda nn: nn.Fold((7, 8), (2, 3), padding=1, stride=2), (wave(2, 18, 16),)),
    "Conv3d": (lambda nn: nn.Conv3d(2, 4, (3, 2, 1), (2, 1, 1), (1, 0, 2), groups=2), (wave(2, 2, 5, 4, 3),)),
    "ConvTranspose1d": (lambda nn: nn.ConvTranspose1d(4, 6, 3, 2, 1, 1, 2, False, 2), (wave(2, 4, 5),)),
    "ConvTranspose2d": (lambda nn: nn.ConvTranspose2d(3, 4, 3), (wave(2, 3, 4, 5),)),
    "ConvTranspose2d all": (
        lambda nn: nn.ConvTranspose2d(4, 6, (3, 2), (2, 3), (1, 0), (1, 2), 2, True, (1, 2)), (wave(4, 4, 3),),
    ),
    "ConvTranspose3d": (lambda nn: nn.ConvTranspose3d(2, 3, 2, stride=2), (wave(2, 2, 3, 2, 2),)),
    "MaxPool3d": (lambda nn: nn.MaxPool3d(2, stride=1), (wave(2, 3, 4, 3, 3),)),
    "AvgPool3d": (lambda nn: nn.AvgPool3d(2, 2, 1), (wave(2, 3, 4, 3, 5),)),
    "LPPool1d": (lambda nn: nn.LPPool1d(2, 3, 2), (wave(2, 3, 9),)),
    "LPPool2d": (lambda nn: nn.LPPool2d(3.0, 2, ceil_mode=True), (share(2, 3, 5, 4),)),
    "AdaptiveMaxPool1d": (lambda nn: nn.AdaptiveMaxPool1d(4), (wave(2, 3, 9),)),
    "AdaptiveAvgPool3d": (lambda nn: nn.AdaptiveAvgPool3d((2, None, 3)), (wave(2, 3, 5, 2, 4),)),
    "AdaptiveMaxPool3d": (lambda nn: nn.AdaptiveMaxPool3d(2), (wave(2, 3, 5, 3, 4),)),
    "PixelShuffle": (lambda nn: nn.PixelShuffle(2), (wave(2, 8, 3, 2),)),
    "PixelUnshuffle": (lambda nn: nn.PixelUnshuffle(2), (wave(2, 4, 6),)),
    "ChannelShuffle": (lambda nn: nn.ChannelShuffle(2), (wave(2, 6, 3),)),
    "Upsample nearest": (lambda nn: nn.Upsample(scale_factor=1.7), (wave(2, 3, 4, 5),)),
    "Upsample exact": (lambda nn: nn.Upsample((7, 3), mode="nearest-exact"), (wave(2, 3, 4, 5),)),
    "Upsample linear": (lambda nn: nn.Upsample(scale_factor=2.5, mode="linear"), (wave(2, 3, 5),)),
    "Upsample bilinear": (lambda nn: nn.Upsample((3, 9), mode="bilinear"), (wave(2, 3, 4, 5),)),
    "Upsample trilinear": (
        lambda nn: nn.Upsample(scale_factor=2, mode="trilinear", align_corners=True), (wave(1, 2, 3, 2, 2),),
    ),
    "Upsample bicubic": (lambda nn: nn.Upsample((7, 6), mode="bicubic"), (wave(2, 3, 4, 5),)),
    "Upsample corners": (lambda nn: nn.Upsample((7, 6), mode="bicubic", align_corners=True), (wave(2, 3, 4, 5),)),
    "UpsamplingBilinear2d": (lambda nn: nn.UpsamplingBilinear2d(scale_factor=2), (wave(2, 3, 4, 5),)),
    "UpsamplingNearest2d": (lambda nn: nn.UpsamplingNearest2d((3, 8)), (wave(2, 3, 4, 5),)),
    "MultiheadAttention": (
        lambda nn: nn.MultiheadAttention(6, 2), (wave(5, 3, 6), wave(4, 3, 6, start=1), wave(4, 3, 6, start=2)),
    ),
    "MultiheadAttention batch first": (
        lambda nn: nn.MultiheadAttention(6, 3, bias=False, batch_first=True), tuple(wave(2, 4, 6, start=k) for k in range(3)),
    ),
    "MultiheadAttention one": (lambda nn: nn.MultiheadAttention(6, 2), tuple(wave(4, 6, start=k) for k in range(3))),
    "TransformerEncoderLayer": (lambda nn: nn.TransformerEncoderLayer(6, 2, 8, 0.0), (wave(5, 3, 6),)),
    "TransformerEncoder": (
        lambda nn: nn.TransformerEncoder(
            nn.TransformerEncoderLayer(6, 2, 8, 0.0, "gelu", batch_first=True, norm_first=True), 2, nn.LayerNorm(6)
        ), (wave(3, 5, 6),),
    ),
    "ZeroPad2d": (lambda nn: nn.ZeroPad2d((1, 0, 2, 1)), (wave(1, 2, 3, 4),)),
    "ReflectionPad2d": (lambda nn: nn.ReflectionPad2d(2), (wave(1, 2, 3, 4),)),
    "ReplicationPad2d": (lambda nn: nn.ReplicationPad2d((1, 0, 2, 1)), (wave(1, 2, 3, 4),)),
    "RNN relu": (lambda nn: nn.RNN(3, 4, 2, nonlinearity="relu"), (wave(5, 2, 3), wave(2, 2, 4))),
}
for _kind in ("RNN", "GRU", "LSTM"):
    CASES |= {
        _kind: (lambda nn, k=_kind: getattr(nn, k)(3, 4), (wave(5, 2, 3),)),
        f"{_kind} both ways": (
            lambda nn, k=_kind: getattr(nn, k)(3, 4, 2, bidirectional=True, batch_first=True), (wave(2, 5, 3),),
        ),
        f"{_kind} one example": (lambda nn, k=_kind: getattr(nn, k)(3, 4, bias=False), (wave(5, 3),)),
        f"{_kind}Cell": (lambda nn, k=_kind: getattr(nn, f"{k}Cell")(3, 4), (wave(2, 3),)),
    }  # fmt: skip
for _r in ("mean", "sum", "none"):
    CASES |= {
        f"MSELoss {_r}": (lambda nn, r=_r: nn.MSELoss(reduction=r), (X, Y)),
        f"L1Loss {_r}": (lambda nn, r=_r: nn.L1Loss(reduction=r), (X, Y)),
        f"SmoothL1Loss {_r}": (lambda nn, r=_r: nn.SmoothL1Loss(reduction=r, beta=0.7), (X, Y)),
        f"HuberLoss {_r}": (lambda nn, r=_r: nn.HuberLoss(reduction=r, delta=0.7), (X, Y)),
        f"NLLLoss {_r}": (lambda nn, r=_r: nn.NLLLoss(reduction=r, weight=nn.weight), (X, CLASSES)),
        f"CrossEntropyLoss {_r}": (lambda nn, r=_r: nn.CrossEntropyLoss(reduction=r), (X, CLASSES)),
        f"CrossEntropyLoss all {_r}": (
            lambda nn, r=_r: nn.CrossEntropyLoss(nn.weight, ignore_index=2, reduction=r, label_smoothing=0.2),
            (wave(4, 6, 3), GRID),
        ),
        f"CrossEntropyLoss probabilities {_r}": (
            lambda nn, r=_r: nn.CrossEntropyLoss(nn.weight, reduction=r, label_smoothing=0.2),
            (X, share(4, 6)),
        ),
        f"BCELoss {_r}": (lambda nn, r=_r: nn.BCELoss(nn.weight, reduction=r), (share(4, 6), share(4, 6, start=1.0))),
        f"BCEWithLogitsLoss {_r}": (
            lambda nn, r=_r: nn.BCEWithLogitsLoss(reduction=r, pos_weight=nn.weight),
            (X, share(4, 6)),
        ),
        f"KLDivLoss {_r}": (lambda nn, r=_r: nn.KLDivLoss(reduction=r), (-share(4, 6), share(4, 6, start=1.0))),
        f"PoissonNLLLoss {_r}": (lambda nn, r=_r: nn.PoissonNLLLoss(reduction=r, full=True), (X, 3 * np.abs(Y))),
        f"CosineEmbeddingLoss {_r}": (lambda nn, r=_r: nn.CosineEmbeddingLoss(0.2, reduction=r), (X, Y, SIGNS)),
        f"TripletMarginLoss {_r}": (
            lambda nn, r=_r: nn.TripletMarginLoss(swap=True, reduction=r), (X, Y, wave(4, 6, start=2.0)),
        ),
        f"MultiMarginLoss {_r}": (lambda nn, r=_r: nn.MultiMarginLoss(2, 0.7, nn.weight, reduction=r), (X, abs(CLASSES) % 6)),
        f"MultiLabelMarginLoss {_r}": (lambda nn, r=_r: nn.MultiLabelMarginLoss(reduction=r), (X, LABELS)),
        f"MultiLabelSoftMarginLoss {_r}": (
            lambda nn, r=_r: nn.MultiLabelSoftMarginLoss(nn.weight, reduction=r), (X, share(4, 6)),
        ),
        f"GaussianNLLLoss {_r}": (lambda nn, r=_r: nn.GaussianNLLLoss(reduction=r), (X, Y, share(4, 6))),
    }
CASES["KLDivLoss batchmean"] = lambda nn: nn.KLDivLoss(reduction="batchmean", log_target=True), (-share(4, 6), -share(4, 6))


class _Names:
    """A library's ``nn`` with a tensor of weights."""

    def __init__(self, library):
        self.nn, self.weight = library.nn, library.tensor(WEIGHT)

    def __getattr__(self, name):
        return getattr(self.nn, name)


def evaluate(library, name):
    """[weighted sum of all results, and of all gradients], and the module."""
    make, arrays = CASES[name]
    module = make(_Names(library))
    with library.no_grad():
        for k, p in enumerate(module.parameters()):
            p.copy_(library.tensor(0.3 * wave(*p.shape, start=k) + 0.1))
    inputs = [library.tensor(a, requires_grad=True) if a.dtype.kind == "f" else library.tensor(a) for a in arrays]
    results = [y for y in _flat(module(*inputs)) if y is not None]
    total = sum((y * library.tensor(wave(*y.shape, start=3.0 + k))).sum() for k, y in enumerate(results))
    total.backward()
    gradients = [x.grad for x in (*inputs, *module.parameters()) if x.grad is not None]
    gradient = sum(float((g.numpy() * wave(*g.shape, start=5.0 + k)).sum()) for k, g in enumerate(gradients))
    return [total.item(), gradient], module


def _flat(result):
    return [y for part in result for y in _flat(part)] if isinstance(result, tuple) else [result]
