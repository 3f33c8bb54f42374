"""Layers and losses: values and gradients as PyTorch 2.13 has them, and what modules do."""

import copy
import pickle

import numpy as np
import pytest
from nn_cases import CASES, evaluate
from oracle import check_grad

import tapejit as tj
from tapejit import nn
from tapejit.nn import functional as F

# fmt: off
EXPECTED = {
    "BatchNorm3d": [-27.375762552843973, -62.70472618049798],
    "InstanceNorm1d": [-40.3122587565249, -5.738690241538175],
    "InstanceNorm2d": [-41.17623552991064, -84.44819631129432],
    "InstanceNorm3d one": [-49.99379495124492, -6.923316431889726],
    "Fold": [-14.57847723426937, 20.230310814801427],
    "Conv3d": [54.97246268924587, 270.67377905976684],
    "ConvTranspose1d": [-2.0289281990812293, -5.213412158527035],
    "ConvTranspose2d": [-6.190082774300606, 22.14620163560695],
    "ConvTranspose2d all": [-10.056187603176454, -32.52128303288306],
    "ConvTranspose3d": [48.23255326576776, 239.85779075855598],
    "MaxPool3d": [-0.763885508600294, -2.04890728075984],
    "AvgPool3d": [-2.146195823694748, -1.9063675030327905],
    "LPPool1d": [-3.85291868320725, -8.27959291603435],
    "LPPool2d": [1.9076372180404229, 6.695048001192957],
    "AdaptiveMaxPool1d": [-2.6552701713946485, -0.15877183798348135],
    "AdaptiveAvgPool3d": [4.39159764982891, -0.9802466327642787],
    "AdaptiveMaxPool3d": [-0.6640447340219202, 0.3286108274562003],
    "PixelShuffle": [-29.31248771177862, 19.979621128669258],
    "PixelUnshuffle": [21.03580051867303, -5.24679551551115],
    "ChannelShuffle": [-18.79485236961553, -6.7666104311659865],
    "Upsample nearest": [13.323582278202332, -17.533969111805458],
    "Upsample exact": [19.25368447779296, 0.3100790443362458],
    "Upsample linear": [2.313487067459837, -5.214019752637089],
    "Upsample bilinear": [-7.862808199597369, 2.695569570765853],
    "Upsample trilinear": [20.795148994357195, -0.9923163328200553],
    "Upsample bicubic": [-18.620885307690468, 7.6745358583665855],
    "Upsample corners": [-9.340982560235524, 10.457127574192953],
    "UpsamplingBilinear2d": [-12.13737837890876, 1.0402486416926688],
    "UpsamplingNearest2d": [11.082566071097474, 12.526361475740872],
    "MultiheadAttention": [-91.97334863304282, -2039.6215124430137],
    "MultiheadAttention batch first": [102.36489256213831, -1048.7597022460786],
    "MultiheadAttention one": [-38.39359583426443, -445.4987542542156],
    "TransformerEncoderLayer": [2.149735804809305, 12.005508521694413],
    "TransformerEncoder": [-7.391829004836518, -7.031240137312236],
    "CosineEmbeddingLoss mean": [0.13245854053374578, -0.015855310263270993],
    "TripletMarginLoss mean": [0.29354965707379604, -0.0182129203611745],
    "MultiMarginLoss mean": [0.7735821299468035, 0.5681554215182087],
    "MultiLabelMarginLoss mean": [0.23816797587490585, -0.03333476604289333],
    "MultiLabelSoftMarginLoss mean": [0.06685410112065725, -0.268130613403858],
    "CosineEmbeddingLoss sum": [0.5298341621349831, -0.06342124105308397],
    "TripletMarginLoss sum": [1.1741986282951842, -0.072851681444698],
    "MultiMarginLoss sum": [3.094328519787214, 2.272621686072835],
    "MultiLabelMarginLoss sum": [0.9526719034996234, -0.13333906417157332],
    "MultiLabelSoftMarginLoss sum": [0.267416404482629, -1.072522453615432],
    "CosineEmbeddingLoss none": [0.5791891120718299, 0.06067470230801364],
    "TripletMarginLoss none": [0.41325988071878994, -2.813316481210928],
    "MultiMarginLoss none": [-0.6309481195772833, 14.644293409970421],
    "MultiLabelMarginLoss none": [2.659125336688355, -1.9520701059273866],
    "MultiLabelSoftMarginLoss none": [0.12357732463746168, -0.4930043577831897],
    "ReLU": [-76.57019146643165, -11.15679861598843],
    "LeakyReLU": [-77.22319217924094, -11.253568197770967],
    "ELU": [-89.79707814983458, -12.29304505902154],
    "CELU": [-89.79707814983458, -12.29304505902154],
    "SELU": [-103.70655653533154, -13.720093444081986],
    "GELU": [-76.4890824252393, -11.938324194315442],
    "SiLU": [-76.39249843029454, -11.472226461248928],
    "Mish": [-77.19306420302672, -11.557789368559735],
    "Sigmoid": [-14.973518537640734, -0.7750714276977345],
    "Tanh": [-29.18117766990718, -1.7035620299883996],
    "LogSigmoid": [-65.4857351708147, -9.552223695758862],
    "Softplus": [-76.3845275765471, -11.28153309848318],
    "Softsign": [-23.957313800720257, -1.9097871376012132],
    "Tanhshrink": [-112.68908507745462, -19.130194764253645],
    "Hardtanh": [-29.415687800617892, -2.3647348785676146],
    "ReLU6": [-76.57019146643165, -11.15679861598843],
    "Hardswish": [-76.34980853684115, -10.77605898969587],
    "Softshrink": [-127.11608747285678, -19.63774840411686],
    "Hardshrink": [-141.81224656043403, -19.63774840411686],
    "GLU": [-9.883409862173401, 3.876552805717887],
    "PReLU": [-83.10019859452466, 24.36720946495914],
    "Softmax": [-5.537106019150249, -1.5303804872703348],
    "LogSoftmax": [-40.76233286509, -18.483015345313518],
    "Softmin": [5.405069716000541, 1.6579242969674102],
    "GELU tanh": [-25.36148382761732, -11.376017298885369],
    "Threshold": [2.604676397699545, -11.15679861598843],
    "Hardtanh bounds": [-29.620052462138787, -10.691525744691695],
    "PReLU 6": [-43.33072036066048, -30.36914911904426],
    "Linear": [-10.597513677804784, -40.697418866216466],
    "Linear without bias": [-1.038988913519871, -4.476794022427395],
    "Bilinear": [48.77929532630059, 146.24107791138854],
    "Embedding": [3.717138259957901, 1.011386387187941],
    "Flatten": [-47.29008758245393, -20.833756794242042],
    "Unflatten": [-47.29008758245393, -20.833756794242042],
    "LayerNorm": [-6.033930964206124, -12.408675078101039],
    "LayerNorm two": [-33.40279915296793, -4.647362136877059],
    "RMSNorm": [-7.29401757401725, -12.093543364888017],
    "GroupNorm": [-26.92875261814971, -45.14594341474251],
    "BatchNorm1d": [-7.637086855595133, -16.47748702629393],
    "BatchNorm1d eval": [-11.0165489571926, -25.513315812089928],
    "BatchNorm1d mean": [-83.00682313417781, -11.758561553827617],
    "BatchNorm2d": [-43.63727210475512, -92.64836284742111],
    "BatchNorm2d alone": [-43.63727210475512, -92.64836284742111],
    "Conv1d": [13.261056533317447, 29.4979811807264],
    "Conv1d same": [-35.71083906273181, -147.8225309684331],
    "Conv2d": [-79.43768558178343, -257.44954881083504],
    "Conv2d all": [-65.34047686637805, -151.8954564543735],
    "Conv2d reflect": [-147.04566736320595, -491.43332419801607],
    "Conv2d circular": [-204.5230589738993, -616.4795531039924],
    "MaxPool1d": [-7.170636130141595, 3.8214332996148603],
    "MaxPool2d": [-2.6578692986678405, 5.436571802872951],
    "MaxPool2d dilation": [-2.2449341632948676, 5.58615027191026],
    "AvgPool1d": [0.9028116117622778, -2.945660635552036],
    "AvgPool2d": [1.551497765562242, 1.362924269163182],
    "AvgPool2d inside": [2.763443390090272, 0.7059481578415632],
    "AvgPool2d divisor": [1.4609573448592637, -0.23226695158775024],
    "AdaptiveAvgPool1d": [0.7148410031104044, 0.1845111770516683],
    "AdaptiveAvgPool2d": [-5.041881842708602, 0.40071603928954524],
    "AdaptiveMaxPool2d": [-1.2559348216553465, -2.3490406808697752],
    "Unfold": [-12.39130243039728, 6.137394802955107],
    "ZeroPad2d": [-0.204877654140585, 3.1744902369191856],
    "ReflectionPad2d": [-31.2148587068616, -27.10589658510704],
    "ReplicationPad2d": [-0.22570872041588252, 10.062309789347918],
    "RNN relu": [5.6752305951621524, 96.53337908421578],
    "RNN": [-3.8097086711424137, -20.643373041410396],
    "RNN both ways": [-0.4410979267259094, -18.999889284640087],
    "RNN one example": [-5.197867202594383, -13.440332206432698],
    "RNNCell": [0.15570766322095997, -5.6330617498115245],
    "GRU": [-0.18330055186234218, -2.853275458201063],
    "GRU both ways": [-0.5275976253344967, -18.68330888635269],
    "GRU one example": [0.11175702031781909, -1.9988659245231313],
    "GRUCell": [1.8585448194675478, 1.5204585356334461],
    "LSTM": [-2.0266335694529443, -10.936664086798546],
    "LSTM both ways": [7.144713370408013, 12.122558483675569],
    "LSTM one example": [0.13067944816744986, -1.4563372255632605],
    "LSTMCell": [1.0606533574849961, -6.66817014108646],
    "MSELoss mean": [0.5294847282195156, 0.2964044933899237],
    "L1Loss mean": [0.3535486975782201, 0.07995425741044782],
    "SmoothL1Loss mean": [0.26122601771840687, 0.09339527124200231],
    "HuberLoss mean": [0.1828582124028848, 0.06537668986940162],
    "NLLLoss mean": [0.11065666066867669, 0.3329452085778265],
    "CrossEntropyLoss mean": [0.8375892451724385, 0.19023285651703875],
    "CrossEntropyLoss all mean": [0.8069447712923549, 0.2215508308469193],
    "CrossEntropyLoss probabilities mean": [0.687426259026225, -1.3198896874724304],
    "BCELoss mean": [0.10319498421123478, 0.06593491804618817],
    "BCEWithLogitsLoss mean": [0.0991273036431762, -0.443958922196366],
    "KLDivLoss mean": [0.027035383014247485, 0.3152824465610235],
    "PoissonNLLLoss mean": [1.5551844054945263, -0.12986391868591196],
    "GaussianNLLLoss mean": [0.7931441558571574, 6.421175694799814],
    "MSELoss sum": [12.707633477268374, 7.1137078413581705],
    "L1Loss sum": [8.485168741877281, 1.9189021778507476],
    "SmoothL1Loss sum": [6.269424425241764, 2.241486509808057],
    "HuberLoss sum": [4.388597097669235, 1.56904055686564],
    "NLLLoss sum": [0.14045510826916507, 0.42260316763503875],
    "CrossEntropyLoss sum": [2.5127677355173157, 0.5706985695511162],
    "CrossEntropyLoss all sum": [4.611563506393853, 1.2661284423574655],
    "CrossEntropyLoss probabilities sum": [2.7497050361049, -5.279558749889722],
    "BCELoss sum": [2.4766796210696347, 1.5824380331085166],
    "BCEWithLogitsLoss sum": [2.379055287436229, -10.655014132712784],
    "KLDivLoss sum": [0.6488491923419396, 7.566778717464565],
    "PoissonNLLLoss sum": [37.32442573186863, -3.116734048461888],
    "GaussianNLLLoss sum": [19.035459740571778, 154.10821667519554],
    "MSELoss none": [-3.079038333750156, 4.283881465570758],
    "L1Loss none": [-1.9189468111021704, 7.642982668510438],
    "SmoothL1Loss none": [-1.7107877974962142, 1.4457968628653224],
    "HuberLoss none": [-1.1975514582473499, 1.0120578040057255],
    "NLLLoss none": [1.5537598685587275, 3.368918914853632],
    "CrossEntropyLoss none": [8.529357808195634, 4.47531997020549],
    "CrossEntropyLoss all none": [0.2581016131365539, -1.027910864523288],
    "CrossEntropyLoss probabilities none": [2.4973083487944274, -0.44924231884806787],
    "BCELoss none": [0.8643482582970727, -6.247029002205036],
    "BCEWithLogitsLoss none": [-0.5668167707212711, 24.34271890718069],
    "KLDivLoss none": [-8.251433413772403, -22.77009301657715],
    "PoissonNLLLoss none": [55.58527857717593, -80.95658690879394],
    "GaussianNLLLoss none": [65.91170687314464, 992.9550448170717],
    "KLDivLoss batchmean": [0.0, -0.20521475467275518],
}
# fmt: on


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients(name):
    found, _ = evaluate(tj, name)
    np.testing.assert_allclose(found, EXPECTED[name], rtol=1e-9, atol=1e-9)


SMALL = [
    lambda x: F.conv2d(x.reshape(1, 1, 4, 3), tj.ones(2, 1, 2, 2), padding=1),
    lambda x: F.max_pool2d(x.reshape(1, 4, 3), 2, 1),
    lambda x: F.layer_norm(x, 3),
    lambda x: F.batch_norm(x, None, None, training=True),
    lambda x: F.cross_entropy(x, tj.tensor([0, 2, 1, 1]), label_smoothing=0.1),
    lambda x: F.binary_cross_entropy_with_logits(x, tj.full((4, 3), 0.3)),
    lambda x: F.elu(x) + F.hardswish(x) + F.softplus(x, 2.0) + F.mish(x),
    lambda x: F.scaled_dot_product_attention(x, x, x, is_causal=True),
    lambda x: F.normalize(x) + F.pad(x, (1, -1), value=2.0),
]


@pytest.mark.parametrize("function", SMALL)
def test_second_derivatives(function):
    check_grad(function, np.sin(np.arange(12.0)).reshape(4, 3) * 1.5 + 0.05)


class Net(nn.Module):
    def __init__(self, width=5):
        super().__init__()
        self.first = nn.Linear(3, width)
        self.norm = nn.BatchNorm1d(width)
        self.rest = nn.Sequential(nn.Tanh(), nn.Linear(width, 2))
        self.scale = nn.Parameter(tj.ones(1))
        self.plain = tj.ones(1)
        self.register_buffer("table", tj.arange(3.0))
        self.register_buffer("scratch", tj.zeros(1), persistent=False)

    def forward(self, x):
        return self.scale * self.rest(self.norm(self.first(x)))


NAMES = ["scale", "first.weight", "first.bias", "norm.weight", "norm.bias", "rest.1.weight", "rest.1.bias"]
SAVED = ["scale", "table", *NAMES[1:5], "norm.running_mean", "norm.running_var", "norm.num_batches_tracked", *NAMES[5:]]


def test_names():
    net = Net()
    assert [name for name, _ in net.named_parameters()] == NAMES
    assert list(net.state_dict()) == SAVED
    assert [name for name, _ in net.named_children()] == ["first", "norm", "rest"]
    assert [name for name, _ in net.named_modules()] == ["", "first", "norm", "rest", "rest.0", "rest.1"]
    assert [name for name, _ in net.named_buffers()][:2] == ["table", "scratch"]
    assert net.get_submodule("rest.1") is net.rest[1]
    assert net.get_parameter("rest.1.bias") is net.rest[1].bias
    assert isinstance(net.scale, nn.Parameter)
    assert not isinstance(net.plain, nn.Parameter)
    assert not isinstance(net.scale * 1, nn.Parameter)
    del net.scale
    assert "scale" not in dict(net.named_parameters())
    with pytest.raises(AttributeError, match="no attribute 'scale'"):
        _ = net.scale


def test_repr():
    assert repr(Net()) == (
        "Net(\n"
        "  (first): Linear(in_features=3, out_features=5, bias=True)\n"
        "  (norm): BatchNorm1d(5, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)\n"
        "  (rest): Sequential(\n"
        "    (0): Tanh()\n"
        "    (1): Linear(in_features=5, out_features=2, bias=True)\n"
        "  )\n"
        ")"
    )


def test_saving_and_loading():
    tj.manual_seed(0)
    net, other = Net(), Net()
    x = tj.randn(4, 3)
    net(x)
    state = pickle.loads(pickle.dumps(net.state_dict()))
    assert other.load_state_dict(state) == ([], [])
    np.testing.assert_array_equal(net.eval()(x).detach().numpy(), other.eval()(x).detach().numpy())
    assert other.norm.num_batches_tracked.item() == 1
    with pytest.raises(RuntimeError, match=r"missing key\(s\): scale"):
        other.load_state_dict({name: value for name, value in state.items() if name != "scale"})
    assert other.load_state_dict({"scale": state["scale"], "odd": 1}, strict=False)[1] == ["odd"]
    with pytest.raises(RuntimeError, match=r"first.weight has shape \(5, 3\), here it is \(6, 3\)"):
        Net(6).load_state_dict(state)
    copied = copy.deepcopy(net)
    assert [name for name, _ in copied.named_parameters()] == NAMES
    assert isinstance(copied.scale, nn.Parameter)
    copied.scale.detach().zero_()
    assert net.scale.item() == 1.0


def test_modes_and_conversion():
    net = Net().eval()
    assert not net.rest[0].training
    assert net.train().rest[0].training
    seen = []
    net.apply(seen.append)
    assert [type(m).__name__ for m in seen] == ["Linear", "BatchNorm1d", "Tanh", "Linear", "Sequential", "Net"]
    single = Net().float()
    assert {p.dtype for p in single.parameters()} == {tj.float32}
    assert single(tj.ones(2, 3, dtype=tj.float32)).dtype is tj.float32
    assert {p.dtype for p in single.to(tj.float64).parameters()} == {tj.float64}
    assert not any(p.requires_grad for p in net.requires_grad_(False).parameters())
    assert net.cpu() is net


def test_hooks_of_modules():
    layer = nn.Linear(2, 2)
    first = layer.register_forward_pre_hook(lambda m, args: (args[0] * 0,))
    second = layer.register_forward_hook(lambda m, args, result: result + 1)
    np.testing.assert_allclose(layer(tj.ones(2)).detach().numpy(), layer.bias.detach().numpy() + 1)
    first.remove()
    second.remove()
    assert not np.allclose(layer(tj.ones(2)).detach().numpy(), layer.bias.detach().numpy() + 1)


def test_containers():
    layers = nn.ModuleList([nn.Linear(2, 2), nn.ReLU()])
    layers.append(nn.Tanh()).insert(0, nn.Identity())
    assert [type(m).__name__ for m in layers] == ["Identity", "Linear", "ReLU", "Tanh"]
    del layers[0]
    layers[1] = nn.Sigmoid()
    assert [type(m).__name__ for m in layers[:2]] == ["Linear", "Sigmoid"]
    named = nn.ModuleDict({"a": nn.Linear(1, 1)})
    named["b"] = nn.Tanh()
    assert list(named) == ["a", "b"]
    assert "a" in named
    assert len(nn.ParameterList([tj.ones(2), nn.Parameter(tj.ones(1))])) == 2
    assert list(nn.ParameterDict({"w": tj.ones(2)}).keys()) == ["w"]
    net = nn.Sequential({"in": nn.Linear(2, 3), "out": nn.Linear(3, 1)})
    assert [name for name, _ in net.named_parameters()] == ["in.weight", "in.bias", "out.weight", "out.bias"]
    assert len(net[:1]) == 1


def test_a_recorded_module_sees_its_parameters_change():
    net = nn.Linear(2, 1)
    f = tj.jit(lambda x: net(x))
    x = np.ones(2)
    for k in range(4):
        with tj.no_grad():
            net.weight.fill_(float(k))
            net.bias.fill_(0.5)
        np.testing.assert_allclose(f(x).detach().numpy(), [2.0 * k + 0.5])


def test_dropout():
    tj.manual_seed(3)
    layer = nn.Dropout(0.25)
    y = layer(tj.ones(100, 100))
    assert set(np.round(np.unique(y.numpy()), 6)) == {0.0, round(4 / 3, 6)}
    assert abs(y.mean().item() - 1) < 0.05
    assert (layer.eval()(tj.ones(3)) == 1).all()
    channels = F.dropout2d(tj.ones(50, 20, 2, 2))
    assert set(np.unique(channels.numpy().std((2, 3)))) == {0.0}
    with pytest.raises(ValueError, match="between 0 and 1"):
        nn.Dropout(1.5)


def test_init():
    tj.manual_seed(5)
    w = tj.empty(200, 300)
    for fill, std in (
        (nn.init.xavier_uniform_, np.sqrt(2 / 500)), (nn.init.xavier_normal_, np.sqrt(2 / 500)),
        (nn.init.kaiming_normal_, np.sqrt(2 / 300)), (nn.init.kaiming_uniform_, np.sqrt(2 / 300)),
        (nn.init.normal_, 1.0), (nn.init.uniform_, np.sqrt(1 / 12)),
    ):  # fmt: skip
        assert fill(w) is w
        assert w.numpy().std() == pytest.approx(std, rel=0.02)
    assert nn.init.trunc_normal_(w, 0.0, 1.0, -0.5, 0.5).abs().max().item() <= 0.5
    nn.init.orthogonal_(w)
    np.testing.assert_allclose((w @ w.T).numpy(), np.eye(200), atol=1e-12)
    assert (nn.init.sparse_(w, 0.1) == 0).sum().item() == 20 * 300
    assert nn.init.eye_(tj.empty(2, 3)).tolist() == [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    p = nn.Parameter(tj.empty(2))
    nn.init.constant_(p, 3.0)
    assert p.requires_grad
    assert p.is_leaf
    assert nn.init.calculate_gain("tanh") == 5 / 3


def test_clipping():
    w, c = (nn.Parameter(tj.zeros(2)) for _ in range(2))
    w.grad, c.grad = tj.tensor([3.0, 0.0]), tj.tensor([0.0, -4.0])
    assert nn.utils.clip_grad_norm_([w, c], 1.0).item() == 5.0
    np.testing.assert_allclose(c.grad.numpy(), [0.0, -4 / (5 + 1e-6)])
    assert nn.utils.clip_grad_norm_([w, c], 10.0, norm_type=float("inf")).item() == pytest.approx(0.8)
    nn.utils.clip_grad_value_([w, c], 0.5)
    assert w.grad.tolist() == [0.5, 0.0]
    w.grad[0] = float("nan")
    with pytest.raises(RuntimeError, match="non-finite"):
        nn.utils.clip_grad_norm_([w], 1.0, error_if_nonfinite=True)
    vector = nn.utils.parameters_to_vector([w, c])
    nn.utils.vector_to_parameters(vector + 1, [w, c])
    assert c.tolist() == [1.0, 1.0]


def test_training():
    tj.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16, 2))
    x = tj.randn(32, 1, 4, 4)
    y = (x.mean((1, 2, 3)) > 0).to(tj.int64)
    o = tj.optim.Adam(net.parameters(), lr=0.02)
    for _ in range(60):
        o.zero_grad()
        loss = nn.CrossEntropyLoss()(net(x), y)
        loss.backward()
        o.step()
    assert loss.item() < 0.1


def test_used_wrongly():
    class Late(nn.Module):
        def __init__(self):
            self.layer = nn.Linear(1, 1)

    with pytest.raises(AttributeError, match=r"super\(\)"):
        Late()
    with pytest.raises(NotImplementedError, match="forward"):
        nn.Module()(1)
    with pytest.raises(TypeError, match="Parameter or None"):
        nn.Linear(1, 1).weight = tj.ones(1)
    with pytest.raises(RuntimeError, match=r"needs an input of shape \(batch, 3, size, size\), got \(2, 2, 5, 5\)"):
        nn.Conv2d(3, 4, 3)(tj.ones(2, 2, 5, 5))
    with pytest.raises(RuntimeError, match="does not fit"):
        nn.Conv2d(3, 4, 9)(tj.ones(2, 3, 5, 5))
    with pytest.raises(ValueError, match="divisible"):
        nn.Conv1d(3, 4, 3, groups=2)
    with pytest.raises(ValueError, match="reduction"):
        nn.MSELoss(reduction="median")(tj.ones(2), tj.ones(2))
    with pytest.raises(ValueError, match="target"):
        F.cross_entropy(tj.ones(2, 3), tj.tensor([[1], [0]]))
    with pytest.raises(ValueError, match="4D"):
        nn.BatchNorm2d(3)(tj.ones(2, 3))
    with pytest.raises(RuntimeError, match="3 features"):
        nn.GRU(3, 4)(tj.ones(2, 2, 5))


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_places_of_the_largest_and_back(dims):
    shape = (2, 3, *(7, 6, 5)[:dims])
    x = tj.tensor(np.random.default_rng(1).permutation(int(np.prod(shape))).reshape(shape) + 1.0, requires_grad=True)
    pool, unpool = getattr(nn, f"MaxPool{dims}d"), getattr(nn, f"MaxUnpool{dims}d")
    largest, places = pool(3, 2, 1, return_indices=True)(x)
    assert places.dtype is tj.int64
    flat = x.detach().numpy().reshape(2, 3, -1)
    found = np.take_along_axis(flat, places.numpy().reshape(2, 3, -1), -1).reshape(largest.shape)
    np.testing.assert_array_equal(found, largest.detach().numpy())
    back = unpool(3, 2, 1)(largest, places, output_size=x.shape)
    expected = np.zeros_like(flat)
    np.put_along_axis(expected, places.numpy().reshape(2, 3, -1), largest.detach().numpy().reshape(2, 3, -1), -1)
    np.testing.assert_array_equal(back.detach().numpy(), expected.reshape(shape))
    (back * 2).sum().backward()
    assert x.grad.numpy().max() >= 2.0
    assert tuple(F.max_unpool1d(tj.ones(1, 3), tj.tensor([[0, 2, 4]]), 2).shape) == (1, 6)


def test_transposed_convolution_is_the_transpose():
    rng = np.random.default_rng(2)
    x, w, y = rng.normal(size=(2, 4, 7, 8)), rng.normal(size=(6, 2, 3, 2)), rng.normal(size=(2, 6, 4, 8))
    options = {"stride": (2, 1), "padding": (1, 1), "dilation": (1, 2), "groups": 2}
    there = (F.conv2d(tj.tensor(x), tj.tensor(w), **options) * tj.tensor(y)).sum()
    back = (F.conv_transpose2d(tj.tensor(y), tj.tensor(w), **options) * tj.tensor(x)).sum()
    assert there.item() == pytest.approx(back.item(), rel=1e-12)
    check_grad(lambda y, w: F.conv_transpose1d(y, w, stride=2, padding=1, output_padding=1), y[0, :, 0, :3], w[:, :, 0])
    check_grad(lambda x: F.interpolate(x, scale_factor=1.5, mode="bicubic"), x[:1, :1, :3, :3])


def test_output_size_of_a_transposed_convolution():
    layer = nn.ConvTranspose2d(2, 3, 3, stride=2, padding=1)
    x = tj.ones(1, 2, 4, 5)
    assert tuple(layer(x).shape) == (1, 3, 7, 9)
    assert tuple(layer(x, output_size=(8, 10)).shape) == (1, 3, 8, 10)
    with pytest.raises(ValueError, match="output_size"):
        layer(x, output_size=(9, 10))
    with pytest.raises(RuntimeError, match="output_padding"):
        F.conv_transpose1d(x[0, :, 0], tj.ones(2, 1, 3), output_padding=1)
    with pytest.raises(RuntimeError, match="needs an input"):
        F.conv_transpose1d(x[0], tj.ones(3, 1, 3))


def test_masks_of_attention():
    layer = nn.MultiheadAttention(4, 2, batch_first=True)
    x = tj.tensor(np.random.default_rng(3).normal(size=(2, 3, 4)))
    y, weights = layer(x, x, x, attn_mask=tj.triu(tj.ones(3, 3), 1).bool())
    assert np.triu(weights.detach().numpy(), 1).max() == 0.0
    np.testing.assert_allclose(weights.detach().numpy().sum(-1), 1.0)
    padding = tj.tensor([[False, False, True], [False, True, True]])
    _, weights = layer(x, x, x, key_padding_mask=padding, average_attn_weights=False)
    assert tuple(weights.shape) == (2, 2, 3, 3)
    assert weights.detach().numpy()[0, :, :, 2].max() == weights.detach().numpy()[1, :, :, 1:].max() == 0.0
    assert layer(x, x, x, need_weights=False)[1] is None
    assert y.shape == x.shape


def test_losses_of_triplets_and_pairs():
    a, b, c = (tj.tensor(np.random.default_rng(k).normal(size=(3, 4))) for k in range(3))
    loss = nn.TripletMarginWithDistanceLoss(distance_function=lambda x, y: (x - y).abs().sum(-1))
    expected = np.maximum(np.abs(a - b).sum(-1) - np.abs(a - c).sum(-1) + 1, 0).mean()
    assert loss(a, b, c).item() == pytest.approx(float(expected))
    np.testing.assert_allclose(F.pdist(a).numpy()[1], np.linalg.norm(a.numpy()[0] - a.numpy()[2]))


def test_functions_in_the_namespace_itself():
    assert tj.conv2d is F.conv2d
    assert tj.dropout is F.dropout
    assert all(getattr(tj, name) is getattr(F, name) for name in tj._LAYERS)
