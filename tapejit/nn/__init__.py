"""Layers under ``torch.nn``'s names, with its defaults and formulas; functions in ``nn.functional``."""

from tapejit.edge.namesakes import enter as _enter
from tapejit.nn import functional, init, utils
from tapejit.nn.activation import (
    CELU,
    ELU,
    GELU,
    GLU,
    SELU,
    Hardshrink,
    Hardsigmoid,
    Hardswish,
    Hardtanh,
    LeakyReLU,
    LogSigmoid,
    LogSoftmax,
    Mish,
    PReLU,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Softmax,
    Softmin,
    Softplus,
    Softshrink,
    Softsign,
    Tanh,
    Tanhshrink,
    Threshold,
)
from tapejit.nn.alignment import CTCLoss
from tapejit.nn.attention import MultiheadAttention, TransformerEncoder, TransformerEncoderLayer
from tapejit.nn.bags import EmbeddingBag
from tapejit.nn.containers import (
    DataParallel,
    ModuleDict,
    ModuleList,
    ParameterDict,
    ParameterList,
    Sequential,
)
from tapejit.nn.dense import (
    Bilinear,
    CosineSimilarity,
    Dropout,
    Dropout1d,
    Dropout2d,
    Embedding,
    Flatten,
    Identity,
    Linear,
    Unflatten,
)
from tapejit.nn.dropping import AlphaDropout, Dropout3d, FeatureAlphaDropout, RReLU
from tapejit.nn.lazy import (
    LazyBatchNorm1d,
    LazyBatchNorm2d,
    LazyBatchNorm3d,
    LazyConv1d,
    LazyConv2d,
    LazyConv3d,
    LazyLinear,
)
from tapejit.nn.loss import (
    BCELoss,
    BCEWithLogitsLoss,
    CrossEntropyLoss,
    GaussianNLLLoss,
    HingeEmbeddingLoss,
    HuberLoss,
    KLDivLoss,
    L1Loss,
    MarginRankingLoss,
    MSELoss,
    NLLLoss,
    PoissonNLLLoss,
    SmoothL1Loss,
    SoftMarginLoss,
)
from tapejit.nn.margins import (
    CosineEmbeddingLoss,
    MultiLabelMarginLoss,
    MultiLabelSoftMarginLoss,
    MultiMarginLoss,
    TripletMarginLoss,
    TripletMarginWithDistanceLoss,
)
from tapejit.nn.module import Module
from tapejit.nn.normalizing import (
    BatchNorm1d,
    BatchNorm2d,
    BatchNorm3d,
    GroupNorm,
    InstanceNorm1d,
    InstanceNorm2d,
    InstanceNorm3d,
    LayerNorm,
    LocalResponseNorm,
    RMSNorm,
)
from tapejit.nn.padding import (
    CircularPad1d,
    CircularPad2d,
    CircularPad3d,
    ConstantPad1d,
    ConstantPad2d,
    ConstantPad3d,
    ReflectionPad1d,
    ReflectionPad2d,
    ReflectionPad3d,
    ReplicationPad1d,
    ReplicationPad2d,
    ReplicationPad3d,
    ZeroPad1d,
    ZeroPad2d,
    ZeroPad3d,
)
from tapejit.nn.parameter import Parameter
from tapejit.nn.recurrent import GRU, LSTM, RNN, GRUCell, LSTMCell, RNNCell
from tapejit.nn.resampling import (
    AdaptiveAvgPool3d,
    AdaptiveMaxPool1d,
    AdaptiveMaxPool3d,
    AvgPool3d,
    ChannelShuffle,
    LPPool1d,
    LPPool2d,
    LPPool3d,
    MaxPool3d,
    MaxUnpool1d,
    MaxUnpool2d,
    MaxUnpool3d,
    PixelShuffle,
    PixelUnshuffle,
    Upsample,
    UpsamplingBilinear2d,
    UpsamplingNearest2d,
)
from tapejit.nn.transformer import Transformer, TransformerDecoder, TransformerDecoderLayer
from tapejit.nn.transposed import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d, Fold
from tapejit.nn.windows import (
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    AdaptiveMaxPool2d,
    AvgPool1d,
    AvgPool2d,
    Conv1d,
    Conv2d,
    Conv3d,
    MaxPool1d,
    MaxPool2d,
    Unfold,
)

__all__ = [name for name in dir() if not name.startswith("_") and name != "tapejit"]

_PLACES = """
    activation: CELU ELU GELU GLU Hardshrink Hardsigmoid Hardswish Hardtanh LeakyReLU LogSigmoid LogSoftmax Mish
        MultiheadAttention PReLU RReLU ReLU ReLU6 SELU SiLU Sigmoid Softmax Softmin Softplus Softshrink Softsign Tanh Tanhshrink
        Threshold;
    batchnorm: BatchNorm1d BatchNorm2d BatchNorm3d LazyBatchNorm1d LazyBatchNorm2d LazyBatchNorm3d;
    container: ModuleDict ModuleList ParameterDict ParameterList Sequential;
    conv: Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d LazyConv1d LazyConv2d LazyConv3d;
    distance: CosineSimilarity; dropout: AlphaDropout Dropout Dropout1d Dropout2d Dropout3d FeatureAlphaDropout;
    flatten: Flatten Unflatten; fold: Fold Unfold; instancenorm: InstanceNorm1d InstanceNorm2d InstanceNorm3d;
    linear: Bilinear Identity LazyLinear Linear; module: Module;
    loss: BCELoss BCEWithLogitsLoss CTCLoss CosineEmbeddingLoss CrossEntropyLoss GaussianNLLLoss HingeEmbeddingLoss HuberLoss
        KLDivLoss L1Loss MSELoss MarginRankingLoss MultiLabelMarginLoss MultiLabelSoftMarginLoss MultiMarginLoss NLLLoss
        PoissonNLLLoss SmoothL1Loss SoftMarginLoss TripletMarginLoss TripletMarginWithDistanceLoss;
    normalization: GroupNorm LayerNorm LocalResponseNorm RMSNorm;
    padding: CircularPad1d CircularPad2d CircularPad3d ConstantPad1d ConstantPad2d ConstantPad3d ReflectionPad1d
        ReflectionPad2d ReflectionPad3d ReplicationPad1d ReplicationPad2d ReplicationPad3d ZeroPad1d ZeroPad2d ZeroPad3d;
    pixelshuffle: PixelShuffle PixelUnshuffle;
    pooling: AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveAvgPool3d AdaptiveMaxPool1d AdaptiveMaxPool2d AdaptiveMaxPool3d
        AvgPool1d AvgPool2d AvgPool3d LPPool1d LPPool2d LPPool3d MaxPool1d MaxPool2d MaxPool3d MaxUnpool1d MaxUnpool2d
        MaxUnpool3d;
    rnn: GRU GRUCell LSTM LSTMCell RNN RNNCell; sparse: Embedding EmbeddingBag;
    transformer: Transformer TransformerDecoder TransformerDecoderLayer TransformerEncoder TransformerEncoderLayer;
    upsampling: Upsample UpsamplingBilinear2d UpsamplingNearest2d
"""
_table = {}
for _place in _PLACES.split(";"):
    _name, _, _names = _place.partition(":")
    _table[_name.strip()] = {n: globals()[n] for n in _names.split()}
_enter(__name__, {"modules": {n: x for part in _table.values() for n, x in part.items()}})
_enter(f"{__name__}.modules", _table)
