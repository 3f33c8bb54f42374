"""Optimisers and schedules: where 200 steps lead, as PyTorch 2.13 has it; groups, saving, clipping, errors."""

import numpy as np
import pytest
from optim_problem import OPTIMISERS, SCHEDULES, rates, run

import tapejit as tj
from tapejit import optim

EPOCHS = [0, 1, 5, 6, 11, 12, 13, 20, 27, 33, 39]
# fmt: off
END = {
    "SGD": [
        0.44951145014203286, -1.2045520677975388, 0.9726266256467099, 0.3789071031249109,
        -0.35154715550482807, 0.44381766395684386, 0.23365779437395556,
    ],
    "SGD momentum": [
        0.37152540230252057, -0.30270595652852705, 0.3882117883409271, 0.341721067169402,
        0.24042781647316155, 0.28401636526748447, 0.2854813005779325,
    ],
    "SGD Nesterov": [
        0.3428764826269321, -0.14228856531065853, 0.2785776365894696, 0.3216914549053471,
        0.2827093196841656, 0.28269232739417005, 0.2827045556887777,
    ],
    "SGD maximize": [
        1.5600411776583816, -2.3770093492069337, -0.08793977486782695, 0.3,
        -0.7, 1.1, 0.2,
    ],
    "Adam": [
        0.47816657899878084, -1.2077836087335354, 0.9929907343394322, 0.4010951766222449,
        -0.3204588326866646, 0.676513349003403, 0.2883200504989669,
    ],
    "Adam amsgrad": [
        0.37069262637918377, -0.5453638875269959, 0.5366664119303775, 0.3407345111512234,
        -0.3246021746213679, 0.6808428415264135, 0.26035712527167326,
    ],
    "AdamW": [
        0.4304092726856284, -0.9638447276451891, 0.8207153628136954, 0.3745372117204691,
        -0.30295937457094274, 0.6429470430080992, 0.2878728264113613,
    ],
    "RMSprop": [
        0.4268940178243183, -0.7567719788039692, 0.6922663042764788, 0.37317229477723557,
        -0.15163767957991064, 0.5074395045861501, 0.28832189602725095,
    ],
    "RMSprop centered": [
        0.4300368438362592, -0.845427727332126, 0.7530935967651623, 0.3722039764662973,
        0.2855096060784142, 0.2852950197919798, 0.2855139639724403,
    ],
    "Adagrad": [
        0.4610528018252923, -1.1521601716558576, 0.9499704954116173, 0.3890399901952193,
        0.11165183667119008, 0.3635463516101575, 0.28551219083295326,
    ],
    "Adadelta": [
        0.6081648163533359, -1.6014939130101427, 0.8841438457428882, 0.3024350112338833,
        -0.6970382594040625, 1.0970353588937451, 0.20294653479919958,
    ],
    "Adamax": [
        0.43596654241673527, -1.0476795113897177, 0.879410511106581, 0.3755540364684756,
        -0.3813098788686645, 0.7312275636290664, 0.274292720604873,
    ],
    "NAdam": [
        0.4701105710107015, -1.1825916543114465, 0.9730675097107303, 0.39711727623514353,
        -0.3352136487588393, 0.6920592577684624, 0.28270381875219963,
    ],
    "NAdam decoupled": [
        0.6790442581366669, -1.5990298857366143, 0.7947188125963508, 0.487549013885918,
        -0.405396509706594, 0.7658495307846953, 0.28770083419855813,
    ],
    "RAdam": [
        0.6066718415577759, -1.6066596349194633, 0.9082116653801569, 0.4028726459912611,
        -0.572015181687958, 0.9147625290344078, 0.276444024144234,
    ],
    "RAdam decoupled": [
        0.36903792514555334, -0.912281629070078, 0.737491413896757, 0.3337194237857628,
        -0.09584148204128425, 0.30057213756528584, 0.2860629898288732,
    ],
    "Rprop": [
        0.2883423086529012, 0.37861225634037365, -0.06106241204555835, 0.2883310999112821,
        0.288330613729843, 0.28831440650749035, 0.28832267583044957,
    ],
    "ASGD": [
        0.4349475911547728, -1.109648200682588, 0.9076498562608127, 0.371874068510197,
        -0.3488710157139992, 0.44133609938937696, 0.23141793292698568,
    ],
    "LBFGS": [
        0.2884237454978163, 0.3779786451746965, -0.06063358965874864, 0.28839040449825226,
        0.28830717380292165, 0.2883559388308383, 0.2883210482328993,
    ],
    "LBFGS strong_wolfe": [
        0.2883257877754033, 0.3787085346994687, -0.06111273030360773, 0.2883305889079692,
        0.2883252292521926, 0.2883209119988564, 0.28832398231485595,
    ],
}
RATES = {
    "LambdaLR": [
        [0.1, 0.095, 0.07737809374999999, 0.07350918906249998, 0.05688000922764597,
         0.05403600876626367, 0.051334208327950485, 0.03584859224085419, 0.025034408974245494, 0.018402591023557582,
         0.013527595427905593],
        [0.003, 0.00285, 0.0023213428124999992, 0.0022052756718749992, 0.0017064002768293791,
         0.00162108026298791, 0.0015400262498385146, 0.0010754577672256256, 0.0007510322692273648, 0.0005520777307067274,
         0.00040582786283716775],
        [0.9, 0.9, 0.9, 0.9, 0.9,
         0.9, 0.9, 0.9, 0.9, 0.9,
         0.9],
    ],
    "StepLR": [
        [0.1, 0.1, 0.1, 0.1, 0.05,
         0.05, 0.05, 0.025, 0.0125, 0.00625,
         0.003125],
        [0.003, 0.003, 0.003, 0.003, 0.0015,
         0.0015, 0.0015, 0.00075, 0.000375, 0.0001875,
         9.375e-05],
        [0.9, 0.9, 0.9, 0.9, 0.9,
         0.9, 0.9, 0.9, 0.9, 0.9,
         0.9],
    ],
    "MultiStepLR": [
        [0.1, 0.1, 0.010000000000000002, 0.010000000000000002, 0.010000000000000002,
         0.00010000000000000005, 0.00010000000000000005, 0.00010000000000000005, 0.00010000000000000005, 1.0000000000000006e-05,
         1.0000000000000006e-05],
        [0.003, 0.003, 0.00030000000000000003, 0.00030000000000000003, 0.00030000000000000003,
         3.000000000000001e-06, 3.000000000000001e-06, 3.000000000000001e-06, 3.000000000000001e-06, 3.000000000000001e-07,
         3.000000000000001e-07],
        [0.9, 0.9, 0.9, 0.9, 0.9,
         0.9, 0.9, 0.9, 0.9, 0.9,
         0.9],
    ],
    "ConstantLR": [
        [0.03333333333333333, 0.03333333333333333, 0.1, 0.1, 0.1,
         0.1, 0.1, 0.1, 0.1, 0.1,
         0.1],
        [0.001, 0.001, 0.003, 0.003, 0.003,
         0.003, 0.003, 0.003, 0.003, 0.003,
         0.003],
        [0.9, 0.9, 0.9, 0.9, 0.9,
         0.9, 0.9, 0.9, 0.9, 0.9,
         0.9],
    ],
    "LinearLR": [
        [0.03333333333333333, 0.0393939393939394, 0.06363636363636366, 0.06969696969696973, 0.10000000000000005,
         0.10000000000000005, 0.10000000000000005, 0.10000000000000005, 0.10000000000000005, 0.10000000000000005,
         0.10000000000000005],
        [0.001, 0.0011818181818181819, 0.0019090909090909095, 0.0020909090909090916, 0.0030000000000000014,
         0.0030000000000000014, 0.0030000000000000014, 0.0030000000000000014, 0.0030000000000000014, 0.0030000000000000014,
         0.0030000000000000014],
        [0.9, 0.9, 0.9, 0.9, 0.9,
         0.9, 0.9, 0.9, 0.9, 0.9,
         0.9],
    ],
    "ExponentialLR": [
        [0.1, 0.09000000000000001, 0.05904900000000002, 0.05314410000000002, 0.03138105960900001,
         0.028242953648100012, 0.025418658283290013, 0.01215766545905694, 0.005814973700304013, 0.0030903154382632653,
         0.0016423203268260682],
        [0.003, 0.0027, 0.00177147, 0.0015943230000000001, 0.0009414317882700001,
         0.0008472886094430002, 0.0007625597484987002, 0.00036472996377170795, 0.00017444921100912022, 9.270946314789788e-05,
         4.9269609804782e-05],
        [0.9, 0.9, 0.9, 0.9, 0.9,
         0.9, 0.9, 0.9, 0.9, 0.9,
         0.9],
    ],
    "CosineAnnealingLR": [
        [0.1, 0.09755527298894293, 0.050050000000000004, 0.03461460113097138, 0.002544727011057081,
         0.009639601130971414, 0.020690126647991056, 0.10000000000000045, 0.02069012664799107, 0.020690126647990997,
         0.09755527298894316],
        [0.003, 0.002929031948627973, 0.0015500000000000002, 0.0011019253581563266, 0.0001709680513720274,
         0.0003769253581563273, 0.0006977113841759166, 0.0030000000000000126, 0.0006977113841759168, 0.000697711384175915,
         0.0029290319486279795],
        [0.9, 0.9, 0.9, 0.9, 0.9,
         0.9, 0.9, 0.9, 0.9, 0.9,
         0.9],
    ],
    "CosineAnnealingWarmRestarts": [
        [0.1, 0.09330194006220302, 0.006708059937796987, 0.1, 0.06294465815990052,
         0.05000500000000001, 0.037065341840099485, 0.09829646168532197, 0.06913725820109266, 0.030872741798907352,
         0.0038156427720982197],
        [0.003, 0.0027997079786577363, 0.00021029202134226414, 0.003, 0.0018919344724282687,
         0.001505, 0.0011180655275717316, 0.002949059110302157, 0.0020771117313858095, 0.0009328882686141912,
         0.00012380009889562633],
        [0.9, 0.9, 0.9, 0.9, 0.9,
         0.9, 0.9, 0.9, 0.9, 0.9,
         0.9],
    ],
    "OneCycleLR": [
        [0.0020000000000000018, 0.002921562843580902, 0.02168650108419709, 0.028331659608629264, 0.04991657142257275,
         0.04992664532301339, 0.04956839301842376, 0.03949470895865187, 0.02131916447259242, 0.006987132212139687,
         0.00014982719510327967],
        [0.0020000000000000018, 0.002921562843580902, 0.02168650108419709, 0.028331659608629264, 0.04991657142257275,
         0.04992664532301339, 0.04956839301842376, 0.03949470895865187, 0.02131916447259242, 0.006987132212139687,
         0.00014982719510327967],
        [0.95, 0.9480800774092064, 0.9089864560745894, 0.8951423758153557, 0.8501738095363067,
         0.850146709940813, 0.8508632174160221, 0.8710106661253607, 0.9073619005024172, 0.9360260796800393,
         0.9497007444127711],
    ],
    "OneCycleLR three phases": [
        [0.002, 0.006137931034482759, 0.022689655172413795, 0.026827586206896556, 0.04751724137931035,
         0.048344827586206895, 0.04420689655172414, 0.015241379310344833, 0.001573076404494382, 0.0008989865168539325,
         0.00022489662921348322],
        [0.0004, 0.0012275862068965519, 0.00453793103448276, 0.005365517241379312, 0.009503448275862069,
         0.00966896551724138, 0.008841379310344828, 0.0030482758620689653, 0.0003146152808988764, 0.0001797973033707865,
         4.497932584269658e-05],
        [0.95, 0.9413793103448276, 0.9068965517241379, 0.8982758620689655, 0.8551724137931034,
         0.853448275862069, 0.8620689655172413, 0.9224137931034482, 0.95, 0.95,
         0.95],
    ],
    "MultiplicativeLR": [
        [0.1, 0.09100000000000001, 0.06308134560000002, 0.05677321104000002, 0.03581330546435977,
         0.032231974917923796, 0.029331097175310655, 0.015320029243711673, 0.007827905280529929, 0.004444153184926561,
         0.002523088466619238],
        [0.003, 0.0027300000000000002, 0.0018924403680000005, 0.0017031963312000005, 0.001074399163930793,
         0.0009669592475377137, 0.0008799329152593196, 0.0004596008773113501, 0.00023483715841589791, 0.00013332459554779685,
         7.569265399857716e-05],
        [0.9, 0.9, 0.9, 0.9, 0.9,
         0.9, 0.9, 0.9, 0.9, 0.9,
         0.9],
    ],
    "PolynomialLR": [
        [0.1, 0.09344444444444444, 0.06944444444444446, 0.06400000000000002, 0.04011111111111111,
         0.036000000000000004, 0.03211111111111111, 0.01111111111111112, 0.0010000000000000005, 0.0,
         0.0],
        [0.003, 0.0028033333333333335, 0.002083333333333334, 0.0019200000000000007, 0.0012033333333333338,
         0.0010800000000000004, 0.0009633333333333337, 0.0003333333333333336, 3.0000000000000014e-05, 0.0,
         0.0],
        [0.9, 0.9, 0.9, 0.9, 0.9,
         0.9, 0.9, 0.9, 0.9, 0.9,
         0.9],
    ],
    "CyclicLR": [
        [0.01, 0.03249999999999998, 0.08714285714285715, 0.0742857142857143, 0.01,
         0.02124999999999999, 0.03249999999999998, 0.022857142857142847, 0.02928571428571429, 0.01,
         0.018035714285714294],
        [0.01, 0.01999999999999999, 0.04428571428571429, 0.038571428571428576, 0.01,
         0.014999999999999996, 0.01999999999999999, 0.01571428571428571, 0.018571428571428572, 0.01,
         0.013571428571428576],
        [0.9, 0.875, 0.8142857142857143, 0.8285714285714286, 0.9,
         0.8875000000000001, 0.875, 0.8857142857142858, 0.8785714285714286, 0.9,
         0.8910714285714286],
    ],
    "CyclicLR exp_range": [
        [0.01, 0.02454999999999999, 0.07440505192750001, 0.08496748044360998, 0.020729521046321225,
         0.01, 0.020095406352483587, 0.0426276605756048, 0.029771942507822724, 0.026469474592082015,
         0.023718611271093773],
        [0.02, 0.03293333333333332, 0.07724893504666668, 0.08663776039431999, 0.02953735204117442,
         0.02, 0.028973694535540963, 0.04900236495609315, 0.03757506000695353, 0.034639532970739566,
         0.032194321129861134],
        [0.9, 0.8838333333333334, 0.8284388311916667, 0.8167027995071001, 0.888078309948532,
         0.9, 0.8887828818305739, 0.8637470438048835, 0.8780311749913081, 0.8817005837865756,
         0.8847570985876736],
    ],
    "CyclicLR function": [
        [0.01, 0.02636363636363638, 0.07, 0.055, 0.01857142857142858,
         0.02636363636363638, 0.03347826086956521, 0.01, 0.024594594594594586, 0.02255813953488371,
         0.013673469387755089],
        [0.01, 0.02636363636363638, 0.07, 0.055, 0.01857142857142858,
         0.02636363636363638, 0.03347826086956521, 0.01, 0.024594594594594586, 0.02255813953488371,
         0.013673469387755089],
        [0.9, 0.9, 0.9, 0.9, 0.9,
         0.9, 0.9, 0.9, 0.9, 0.9,
         0.9],
    ],
    "SequentialLR": [
        [0.03333333333333333, 0.04666666666666667, 0.1, 0.1, 0.05904900000000002,
         0.05314410000000002, 0.1, 0.03705904774487397, 0.0013629669484372677, 0.0003572936077311392,
         9.366237550507179e-05],
        [0.001, 0.0014000000000000002, 0.0030000000000000005, 0.003, 0.00177147,
         0.0015943230000000001, 0.003, 0.0011117714323462188, 4.088900845311803e-05, 1.0718808231934177e-05,
         2.8098712651521536e-06],
        [0.9, 0.9, 0.9, 0.9, 0.9,
         0.9, 0.9, 0.9, 0.9, 0.9,
         0.9],
    ],
    "ChainedScheduler": [
        [0.010000000000000002, 0.009696969696969699, 0.008484848484848486, 0.006545454545454546, 0.005333333333333336,
         0.040727272727272744, 0.03878787878787881, 0.020169696969696983, 0.007447272727272731, 0.0,
         0.0],
        [0.00030000000000000003, 0.00029090909090909097, 0.00025454545454545456, 0.00019636363636363636, 0.00016000000000000004,
         0.001221818181818182, 0.0011636363636363639, 0.0006050909090909093, 0.00022341818181818184, 0.0,
         0.0],
        [0.9, 0.9, 0.9, 0.9, 0.9,
         0.9, 0.9, 0.9, 0.9, 0.9,
         0.9],
    ],
    "SequentialLR of chained": [
        [0.045000000000000005, 0.04050000000000001, 0.05314410000000002, 0.04782969000000002, 0.028242953648100012,
         0.1, 0.1, 0.009, 0.009, 0.009,
         0.009],
        [0.00135, 0.0012150000000000002, 0.0015943230000000001, 0.0014348907, 0.0008472886094430002,
         0.003, 0.003, 0.00027, 0.00027, 0.00027,
         0.00027],
        [0.9, 0.9, 0.9, 0.9, 0.9,
         0.9, 0.9, 0.9, 0.9, 0.9,
         0.9],
    ],
    "ReduceLROnPlateau": [
        [0.1, 0.1, 0.1, 0.1, 0.05,
         0.05, 0.05, 0.0125, 0.00625, 0.003125,
         0.00078125],
        [0.003, 0.003, 0.003, 0.003, 0.0015,
         0.0015, 0.0015, 0.000375, 0.0001875, 9.375e-05,
         2.34375e-05],
        [0.9, 0.9, 0.9, 0.9, 0.9,
         0.9, 0.9, 0.9, 0.9, 0.9,
         0.9],
    ],
    "ReduceLROnPlateau max": [
        [0.1, 0.1, 0.010000000000000002, 0.010000000000000002, 0.0010000000000000002,
         0.0010000000000000002, 0.0010000000000000002, 0.0010000000000000002, 0.0010000000000000002, 0.0010000000000000002,
         0.0010000000000000002],
        [0.003, 0.003, 0.001, 0.001, 0.001,
         0.001, 0.001, 0.001, 0.001, 0.001,
         0.001],
        [0.9, 0.9, 0.9, 0.9, 0.9,
         0.9, 0.9, 0.9, 0.9, 0.9,
         0.9],
    ],
}
# fmt: on


@pytest.mark.parametrize("name", OPTIMISERS)
def test_two_hundred_steps(name):
    found, _ = run(tj, name)
    np.testing.assert_allclose(found, END[name], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", SCHEDULES)
def test_rates(name):
    found = rates(tj, name)[EPOCHS].T
    np.testing.assert_allclose(found, RATES[name], rtol=1e-10)


@pytest.mark.parametrize("name", OPTIMISERS)
def test_saved_half_way_and_gone_on(name):
    def resume(optimiser, w, c):
        other = OPTIMISERS[name](optim, w, c)
        other.load_state_dict(optimiser.state_dict())
        return other

    found, _ = run(tj, name, resume=resume)
    np.testing.assert_allclose(found, END[name], rtol=1e-10, atol=1e-10)


def test_the_same_trajectories_with_float32():
    w = tj.tensor([1.0, 2.0], dtype=tj.float32).requires_grad_()
    for make in (
        optim.SGD, optim.Adam, optim.AdamW, optim.RMSprop, optim.Adagrad, optim.Adadelta, optim.Adamax, optim.NAdam,
        optim.RAdam, optim.Rprop, optim.ASGD,
    ):  # fmt: skip
        o = make([w], lr=0.01)
        (w * w).sum().backward()
        o.step()
        assert w.dtype is tj.float32


def test_groups_and_gradients():
    w, c, unused = (tj.ones(2, requires_grad=True) for _ in range(3))
    o = optim.SGD([{"params": w}, {"params": [c], "lr": 1.0}], lr=0.1)
    o.add_param_group({"params": [unused], "momentum": 0.5})
    (w.sum() + 2 * c.sum()).backward()
    assert o.step(lambda: 3.0) == 3.0
    assert (w.tolist(), c.tolist(), unused.tolist()) == ([0.9, 0.9], [-1.0, -1.0], [1.0, 1.0])
    assert [g["momentum"] for g in o.param_groups] == [0, 0, 0.5]
    o.zero_grad(set_to_none=False)
    assert w.grad.tolist() == [0.0, 0.0]
    o.zero_grad()
    assert w.grad is None
    assert "Parameter Group 2" in repr(o)
    assert w.requires_grad
    assert w.is_leaf


def test_errors():
    w = tj.ones(2, requires_grad=True)
    with pytest.raises(ValueError, match="empty"):
        optim.SGD([])
    with pytest.raises(TypeError, match="iterable"):
        optim.SGD(w)
    with pytest.raises(TypeError, match="takes tensors"):
        optim.SGD([np.ones(2)])
    with pytest.raises(ValueError, match="more than one"):
        optim.SGD([w, w])
    with pytest.raises(ValueError, match="computed"):
        optim.SGD([w * 2])
    with pytest.raises(ValueError, match="lr must not be negative"):
        optim.SGD([w], lr=-1)
    with pytest.raises(ValueError, match="Nesterov"):
        optim.SGD([w], nesterov=True)
    with pytest.raises(ValueError, match="beta 1"):
        optim.Adam([w], betas=(0.9, 1.0))
    with pytest.raises(ValueError, match="strong_wolfe"):
        optim.LBFGS([w], line_search_fn="armijo")
    with pytest.raises(ValueError, match=r"groups of \[1\] parameters, this optimizer of \[2\]"):
        optim.SGD([w, tj.ones(1)]).load_state_dict(optim.SGD([w]).state_dict())
    with pytest.raises(KeyError, match="initial_lr"):
        optim.lr_scheduler.StepLR(optim.SGD([w]), 3, last_epoch=5)


def test_a_schedule_is_saved():
    w = tj.ones(1, requires_grad=True)
    o = optim.SGD([w], lr=1.0)
    schedule = optim.lr_scheduler.ExponentialLR(o, 0.5)
    for _ in range(3):
        schedule.step()
    other = optim.lr_scheduler.ExponentialLR(optim.SGD([w], lr=1.0), 0.5)
    other.load_state_dict(schedule.state_dict())
    assert (other.last_epoch, other.get_last_lr()) == (3, [0.125])


AT_EPOCH = {  # the rates after step(4) and another step, from 0.1, of PyTorch 2.13
    "StepLR": (lambda s, o: s.StepLR(o, 3, 0.5), [0.05, 0.05]),
    "MultiStepLR": (lambda s, o: s.MultiStepLR(o, [2, 5], 0.1), [0.01, 0.001]),
    "ConstantLR": (lambda s, o: s.ConstantLR(o), [0.03333333333333333, 0.1]),
    "LinearLR": (lambda s, o: s.LinearLR(o), [0.08666666666666667, 0.1]),
    "ExponentialLR": (lambda s, o: s.ExponentialLR(o, 0.9), [0.06561, 0.059049]),
    "PolynomialLR": (lambda s, o: s.PolynomialLR(o, 8, 2.0), [0.025, 0.0140625]),
    "CosineAnnealingLR": (lambda s, o: s.CosineAnnealingLR(o, 10), [0.06545084971874737, 0.05]),
    "CosineAnnealingWarmRestarts": (lambda s, o: s.CosineAnnealingWarmRestarts(o, 3, 2), [0.09330127018922195, 0.075]),
}
RESUMED = {  # the rates at epoch 5 and 6, where the group is at 0.1 and began at 0.2
    "ExponentialLR": (lambda s, o: s.ExponentialLR(o, 0.9, last_epoch=4), [0.1, 0.09]),
    "PolynomialLR": (lambda s, o: s.PolynomialLR(o, 8, 2.0, last_epoch=4), [0.1, 0.044444444444444446]),
    "CosineAnnealingLR": (lambda s, o: s.CosineAnnealingLR(o, 10, last_epoch=4), [0.1, 0.06909830056250527]),
    "MultiplicativeLR": (lambda s, o: s.MultiplicativeLR(o, lambda epoch: 0.5, last_epoch=4), [0.1, 0.05]),
    "LinearLR": (lambda s, o: s.LinearLR(o, total_iters=10, last_epoch=4), [0.1, 0.11]),
}


def at_rate(**group):
    return optim.SGD([{"params": [tj.ones(1, requires_grad=True)], **group}], lr=0.1, momentum=0.9)


@pytest.mark.parametrize("name", AT_EPOCH)
def test_a_schedule_goes_to_an_epoch(name):
    make, expected = AT_EPOCH[name]
    o = at_rate()
    schedule = make(optim.lr_scheduler, o)
    schedule.step(4)
    found = [o.param_groups[0]["lr"]]
    schedule.step()
    np.testing.assert_allclose([*found, *schedule.get_last_lr()], expected, rtol=1e-12)


@pytest.mark.parametrize("name", RESUMED)
def test_a_schedule_resumes(name):
    make, expected = RESUMED[name]
    o = at_rate(initial_lr=0.2)
    schedule = make(optim.lr_scheduler, o)
    found = [o.param_groups[0]["lr"]]
    schedule.step()
    np.testing.assert_allclose([*found, *schedule.get_last_lr()], expected, rtol=1e-12)


def test_schedules_of_schedules_are_saved():
    def make(o):
        s = optim.lr_scheduler
        return s.SequentialLR(o, [s.ConstantLR(o, 0.5, 2), s.ExponentialLR(o, 0.9)], [4])

    o = at_rate()
    schedule = make(o)
    for _ in range(7):
        schedule.step()
    other_o = at_rate()
    other = make(other_o)
    other.load_state_dict(schedule.state_dict())
    other_o.load_state_dict(o.state_dict())
    for s in (schedule, other):
        s.step()
    assert other.get_last_lr() == schedule.get_last_lr() == [pytest.approx(0.1 * 0.9**4)]


def test_what_schedules_of_schedules_refuse():
    s, o = optim.lr_scheduler, at_rate()
    one = s.ExponentialLR(o, 0.9)
    for make in (s.ChainedScheduler, lambda parts: s.SequentialLR(o, parts, [])):
        with pytest.raises(ValueError, match="at least one"):
            make([])
        with pytest.raises(ValueError, match="quantity"):
            make([s.ReduceLROnPlateau(o)])
    with pytest.raises(ValueError, match="1 milestones"):
        s.SequentialLR(o, [one, one], [2, 3])
    with pytest.raises(ValueError, match="another"):
        s.ChainedScheduler([one, s.ExponentialLR(at_rate(), 0.9)])
    with pytest.raises(ValueError, match="mode"):
        s.CyclicLR(o, 0.1, 0.2, mode="square")
    with pytest.raises(ValueError, match="one per group"):
        s.CyclicLR(o, [0.1, 0.1], 0.2)
    with pytest.raises(ValueError, match="momentum"):
        s.CyclicLR(optim.Adagrad([tj.ones(1, requires_grad=True)]), 0.1, 0.2)


def test_cyclic_momentum_of_adam_is_its_first_beta():
    o = optim.Adam([tj.ones(1, requires_grad=True)])
    schedule = optim.lr_scheduler.CyclicLR(o, 0.1, 0.2, step_size_up=2, base_momentum=0.5, max_momentum=0.9)
    seen = []
    for _ in range(5):
        seen.append((o.param_groups[0]["lr"], o.param_groups[0]["betas"][0]))
        schedule.step()
    np.testing.assert_allclose(seen, [(0.1, 0.9), (0.15, 0.7), (0.2, 0.5), (0.15, 0.7), (0.1, 0.9)])


@pytest.mark.parametrize(("strategy", "epochs", "expected"), [
    ("cos", 4, [0.1, 0.08828427124746191, 0.06, 0.0317157287525381, 0.02, 0.02]),
    ("linear", 4, [0.1, 0.08, 0.06, 0.04, 0.02, 0.02]),
    ("cos", 0, [0.02] * 6),
])  # fmt: skip
def test_rates_for_averaging(strategy, epochs, expected):
    o = at_rate()
    schedule, found = optim.swa_utils.SWALR(o, 0.02, epochs, strategy), []
    for _ in range(6):
        found.append(o.param_groups[0]["lr"])
        schedule.step()
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_averaged_models():
    nn, utils = tj.nn, optim.swa_utils
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    mean, moving = utils.AveragedModel(net), utils.AveragedModel(net, avg_fn=utils.get_ema_avg_fn(0.75))
    both = utils.AveragedModel(net, multi_avg_fn=utils.get_ema_multi_avg_fn(0.75), use_buffers=True)
    points = []
    for k in range(4):
        with tj.no_grad():
            for p in net.parameters():
                p.fill_(float(k * k + 1))
        net[1].running_mean.fill_(float(k))
        points.append(k * k + 1.0)
        for model in (mean, moving, both):
            model.update_parameters(net)
    expected = points[0]
    for x in points[1:]:
        expected = 0.75 * expected + 0.25 * x
    assert {x for p in mean.parameters() for x in p.reshape(-1).tolist()} == {sum(points) / 4}
    for model in (moving, both):
        assert model.module[0].bias.tolist() == [expected, expected]
    assert mean.module[1].running_mean.tolist() == [3.0, 3.0]
    assert both.module[1].running_mean.tolist() == [1.265625, 1.265625]
    assert int(mean.n_averaged) == 4
    assert net[0].bias.tolist() == [10.0, 10.0]
    assert tuple(mean(tj.ones(3, 2)).shape) == (3, 2)
    with pytest.raises(ValueError, match="decay"):
        utils.get_ema_avg_fn(1.5)
    with pytest.raises(ValueError, match="not both"):
        utils.AveragedModel(net, avg_fn=len, multi_avg_fn=len)


def test_batch_statistics_are_worked_out_anew():
    net = tj.nn.Sequential(tj.nn.BatchNorm1d(2), tj.nn.Linear(2, 1)).eval()
    batches = [np.arange(8.0).reshape(4, 2), 3 * np.arange(8.0).reshape(4, 2) + 1]
    optim.swa_utils.update_bn([(tj.tensor(x), None) for x in batches], net)
    np.testing.assert_allclose(net[0].running_mean.numpy(), np.mean([x.mean(0) for x in batches], 0))
    np.testing.assert_allclose(net[0].running_var.numpy(), np.mean([x.var(0, ddof=1) for x in batches], 0))
    assert net[0].momentum == 0.1
    assert not net.training


def test_the_mean_of_averaged_descent():
    w = tj.tensor([1.0], requires_grad=True)
    o = optim.ASGD([w], lr=0.1, lambd=0.0, t0=1)
    seen = []
    for _ in range(5):
        w.grad = tj.tensor([1.0])
        o.step()
        seen.append(w.item())
    assert o.state[w]["ax"].item() == pytest.approx(np.mean(seen[2:]))


@pytest.mark.parametrize("make", [
    lambda w: optim.Rprop(w, etas=(1.1, 1.2)), lambda w: optim.Adadelta(w, rho=2.0),
    lambda w: optim.NAdam(w, momentum_decay=-1), lambda w: optim.RAdam(w, betas=(0.9, 1.0)),
    lambda w: optim.Adamax(w, eps=-1.0), lambda w: optim.ASGD(w, lr=-1.0),
])  # fmt: skip
def test_options_that_make_no_sense(make):
    with pytest.raises(ValueError, match="must"):
        make([tj.ones(1, requires_grad=True)])
