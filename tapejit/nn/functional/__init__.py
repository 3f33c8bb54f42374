"""The functions behind the layers: ``tapejit.nn.functional`` has the names of ``torch.nn.functional``."""

from tapejit.nn.activation import (
    celu,
    elu,
    gelu,
    glu,
    hardshrink,
    hardsigmoid,
    hardswish,
    hardtanh,
    leaky_relu,
    log_softmax,
    logsigmoid,
    mish,
    normalize,
    prelu,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    softmax,
    softmin,
    softplus,
    softshrink,
    softsign,
    tanh,
    tanhshrink,
    threshold,
)
from tapejit.nn.alignment import ctc_loss
from tapejit.nn.bags import embedding_bag
from tapejit.nn.dense import (
    bilinear,
    cosine_similarity,
    dropout,
    dropout1d,
    dropout2d,
    embedding,
    linear,
    one_hot,
    pairwise_distance,
    scaled_dot_product_attention,
)
from tapejit.nn.dropping import (
    alpha_dropout,
    dropout3d,
    feature_alpha_dropout,
    gumbel_softmax,
    rrelu,
)
from tapejit.nn.gridding import affine_grid, grid_sample
from tapejit.nn.loss import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    gaussian_nll_loss,
    hinge_embedding_loss,
    huber_loss,
    kl_div,
    l1_loss,
    margin_ranking_loss,
    mse_loss,
    nll_loss,
    poisson_nll_loss,
    smooth_l1_loss,
    soft_margin_loss,
)
from tapejit.nn.margins import (
    cosine_embedding_loss,
    multi_margin_loss,
    multilabel_margin_loss,
    multilabel_soft_margin_loss,
    pdist,
    triplet_margin_loss,
    triplet_margin_with_distance_loss,
)
from tapejit.nn.normalizing import (
    batch_norm,
    group_norm,
    instance_norm,
    layer_norm,
    local_response_norm,
    rms_norm,
)
from tapejit.nn.resampling import (
    adaptive_avg_pool3d,
    adaptive_max_pool1d,
    adaptive_max_pool3d,
    avg_pool3d,
    channel_shuffle,
    interpolate,
    lp_pool1d,
    lp_pool2d,
    lp_pool3d,
    max_pool3d,
    max_unpool1d,
    max_unpool2d,
    max_unpool3d,
    pixel_shuffle,
    pixel_unshuffle,
)
from tapejit.nn.resampling import interpolate as upsample
from tapejit.nn.transposed import conv_transpose1d, conv_transpose2d, conv_transpose3d, fold
from tapejit.nn.windows import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_max_pool2d,
    avg_pool1d,
    avg_pool2d,
    conv1d,
    conv2d,
    conv3d,
    max_pool1d,
    max_pool2d,
    pad,
    unfold,
)

__all__ = [name for name in dir() if not name.startswith("_") and name != "tapejit"]
