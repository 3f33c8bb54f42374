"""ADBench's objectives: the golden values of its unit tests, and its instances where its data folder is there."""

import sys
from pathlib import Path

import numpy as np
import pytest

import tapejit as tj

sys.path.append(str(Path(__file__).parents[1]))  # bench/ holds the objectives; it is not part of the package

from bench.problems import adbench_ba as ba
from bench.problems import adbench_data as data
from bench.problems import adbench_gmm as gmm
from bench.problems import adbench_lstm as lstm
from bench.workloads import adbench_ba as ba_forms
from bench.workloads import adbench_gmm as gmm_forms
from bench.workloads import adbench_lstm as lstm_forms

with_data = pytest.mark.skipif(not data.available(), reason=data.MISSING)

# data/gmm/test.txt and data/ba/test.txt of ADBench, and what its unit tests expect of them (to 1e-8)
GMM = """2 3 1
-0.649014 1.181166 -0.758453
0.092339 0.186260 0.345561 0.396767 0.538817 0.419195
0.586443 -0.851887 0.800321 -1.509405 0.875874 -0.242790 0.166813 -1.965419 -1.270071
1.175171 2.029160
1.000000 0"""
GMM_VALUE = 8.07380408004975791
GMM_GRADIENT = [
    0.108662855508652456, -0.741270039523898472, 0.632607184015246071, 1.11692576532787013, 0.163333013551455269,
    -0.0219989824071193142, 0.227778292254236098, 1.20963025612832187, -0.0606375920733956339, 2.58529994051162237,
    0.112632694524213789, 0.385744309849611777, 0.0735180573182305508, 5.41836362715595232, -0.321494409677446469,
    1.71892309775004937, 0.860091090790866875, -0.994640930466322848,
]  # fmt: skip
BA = """2 10 10
1.797201 0.590697 -0.635786 90.859550 29.361415 28.777534 211.628116 -0.284531 -14.762924 0.058931 0.069976
4.173048 5.586898 1.403869
0.417022
-525.672849 161.811929"""
BA_ERRORS = [-0.269048849235189402, 0.259944792677901881]
BA_ROWS = [
    [228.877202208246757, 634.574811495545418, -782.222866259340549, 2.42892615607159668, -11.7828079628011313,
     2.54169312487743460, -1.03657084958518086, 0.417022, 0, -350.739521096005205, -912.107773668008576,
     -2.42892615607159668, 11.7828079628011313, -2.54169312487743460, -0.645167039712987389],
    [-120.542435994996879, -385.673240766460424, 97.5476291403326456, -1.78372108529576567, 4.15466799433126077,
     2.04025718029898906, 0.349176397433145880, 0, 0.417022, 118.149147704414503, 307.250108960343255,
     1.78372108529576567, -4.15466799433126077, -2.04025718029898906, 0.623335921553064054],
]  # fmt: skip
LSTM_GRADIENT = {
    0: 3.14387024996101187e-06, 1: 0.0, 7: -3.67840807336070475e-05, 8: -1.54848612683180522e-04,
    28: 4.01789457601843220e-06, 112: 5.38571851736894072e-04, 126: 2.53531909024735675e-04, 133: -5.39732825546851164e-04,
    223: -3.23349485361925845e-04, 224: 8.95056656284422921e-06, 238: 1.14042748169088035e-02, 246: -2.62659614088943671e-02,
    265: -2.00225690895980656e-02,
}  # fmt: skip


def close(found, expected, tolerance=1e-8):
    """ADBench's measure: the difference relative to the sum of the magnitudes, absolute where that is below 1."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    error = np.abs(found - expected) / np.maximum(1, np.abs(found) + np.abs(expected))
    assert error.max() <= tolerance, (error.max(), error.argmax())


def all_close(found, expected, rtol):
    """Two results as flat vectors, each array relative to its largest element."""
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=rtol * np.abs(b).max())


# Gaussian mixtures


def mixture(n, d, k, gamma, m, seed=0):
    rng = np.random.default_rng(seed)
    icf = rng.normal(size=(k, d * (d + 1) // 2)) * 0.5
    return data.GMM(rng.normal(size=k), rng.normal(size=(k, d)), icf, rng.normal(size=(n, d)), gamma, m)


def gmm_by_hand(g, block=64):
    fixed = gmm.constant(*g.x.shape, len(g.alphas), g.gamma, g.m)
    value, gradient = gmm.hand(*g, fixed, gmm.workspace(*g.means.shape, block))
    return value, *gradient


def gmm_by_replay(g, **options):
    fit = gmm_forms.likelihood(tj, gmm_forms.over_first("tapejit", tj))
    rest = gmm_forms.prior(tj, gmm_forms.over_first("tapejit", tj), len(g.x), g.gamma, g.m)
    d = g.x.shape[1]
    fixed = gmm.constant(len(g.x), d, len(g.alphas), g.gamma, g.m)
    function = tj.value_and_grad(lambda a, mu, i, x, low: fit(a, mu, i, x, low) + rest(a, i, d) + fixed, (0, 1, 2), **options)
    value, gradient = function(g.alphas, g.means, g.icf, g.x, np.tril(np.ones((d, d))))
    return value, *gradient


@pytest.mark.parametrize("gradient", [gmm_by_hand, gmm_by_replay])
def test_gmm_has_adbenchs_golden_values(gradient):
    value, *parts = gradient(data.parse_gmm(GMM))
    close(value, GMM_VALUE)
    close(np.concatenate([p.ravel() for p in parts]), GMM_GRADIENT)


def test_gmm_of_many_points_with_another_prior():
    g = mixture(150, 4, 3, 1.7, 2)
    replayed = gmm_by_replay(g, compile="now")
    assert replayed[0] == pytest.approx(gmm.reference(*g), rel=1e-12)
    for block in (64, 1000):  # not a divisor of the number of points, and more than there are
        all_close(gmm_by_hand(g, block), replayed, 1e-10)


def test_gmm_in_blocks_sums_to_the_whole():
    g = mixture(40, 3, 2, 1.0, 0)
    fit, lower = gmm_forms.likelihood(tj, lambda t: tj.logsumexp(t, 0)), np.tril(np.ones((3, 3)))
    value, gradient = tj.value_and_grad(fit, (0, 1, 2))(g.alphas, g.means, g.icf, g.x, lower)
    blocks = g.x.reshape(4, 10, 3)
    run = gmm.in_blocks(fit, g.alphas, g.means, g.icf, blocks, lower)
    found, parts = run(g.alphas, g.means, g.icf, blocks, lower)
    assert found == pytest.approx(value, rel=1e-12)
    all_close(parts, gradient, 1e-12)


@with_data
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n in ("test", "1k_d2_K5") else pytest.mark.slow) for n in data.names("gmm")]
)
def test_gmm_instances(name):
    g = data.load("gmm", name)
    replayed = gmm_by_replay(g, compile="now")
    assert replayed[0] == pytest.approx(gmm.reference(*g), rel=1e-12)
    all_close(gmm_by_hand(g, block=128), replayed, 1e-10)


# Bundle adjustment


def bundle_results(function, bundle):
    results = ba.buffers(len(bundle.obs))
    function(*bundle, *results)
    return results


@pytest.fixture(scope="module")
def ba_functions():
    return {"hand": ba.by_hand, "nopython": ba.by_nopython, "replay": ba.by_replay(ba_forms.residuals)}


@pytest.mark.parametrize("name", ["hand", "nopython", "replay"])
def test_ba_has_adbenchs_golden_values(ba_functions, name):
    bundle = data.parse_ba(BA)
    errors, weight_errors, numbers = bundle_results(ba_functions[name], bundle)
    close(errors, [BA_ERRORS] * 10)
    close(weight_errors, [0.826092651515999976] * 10)
    close(numbers[:300].reshape(10, 2, 15), [BA_ROWS] * 10)
    close(numbers[300:], [-0.834044] * 10)


def test_ba_has_adbenchs_sparsity():
    from scipy.sparse import csr_matrix

    bundle = data.parse_ba(BA)
    indices, indptr = ba.structure(bundle.obs, 2, 10)
    _, _, numbers = bundle_results(ba.by_hand, bundle)
    matrix = csr_matrix((numbers, indices, indptr), shape=(30, 62))
    assert matrix.nnz == 310
    camera, point = bundle.obs[3]
    row = np.zeros(62)
    row[11 * camera : 11 * camera + 11] = BA_ROWS[1][:11]
    row[22 + 3 * point : 25 + 3 * point] = BA_ROWS[1][11:14]
    row[52 + 3] = BA_ROWS[1][14]
    close(matrix[7].toarray()[0], row)
    assert matrix[23].toarray()[0][52 + 3] == pytest.approx(-0.834044)


def random_bundle(n, m, p, seed=0):
    """Cameras in all directions, some of which do not turn at all."""
    rng = np.random.default_rng(seed)
    cams = rng.normal(size=(n, 11)) * [1, 1, 1, 2, 2, 2, 50, 1, 1, 0.05, 0.01]
    cams[0, :3] = 0.0
    points = rng.normal(size=(m, 3)) + np.array([0, 0, 20])
    obs = np.stack([rng.integers(0, n, p), rng.integers(0, m, p)], axis=1)
    obs[0, 0] = 0
    return data.BA(cams, points, rng.normal(size=p), rng.normal(size=(p, 2)), obs)


def test_ba_of_many_cameras_one_of_which_does_not_turn(ba_functions):
    bundle = random_bundle(5, 40, 300)  # more than a batch, and no multiple of it
    errors, weight_errors = ba.reference(*bundle)
    expected = bundle_results(ba.by_hand, bundle)
    all_close(expected[:2], (errors, weight_errors), 1e-11)
    for name in ("nopython", "replay"):
        all_close(bundle_results(ba_functions[name], bundle), expected, 1e-11)


def test_ba_by_hand_against_finite_differences():
    bundle = random_bundle(2, 3, 4)
    numbers = bundle_results(ba.by_hand, bundle)[2][: 30 * 4].reshape(4, 2, 15)
    for k, (i, j) in enumerate(bundle.obs):
        for c in range(11):
            step = 1e-6 * max(1, abs(bundle.cams[i, c]))
            ends = []
            for sign in (1, -1):
                cams = bundle.cams.copy()
                cams[i, c] += sign * step
                ends.append(ba.reference(cams, *bundle[1:])[0][k])
            if i == 0 and c < 3:  # around no rotation the formula changes: its derivative there is that of its branch
                continue
            np.testing.assert_allclose(numbers[k, :, c], (ends[0] - ends[1]) / (2 * step), rtol=1e-6, atol=1e-5)
        x = bundle.points.copy()
        x[j, 1] += 1e-6
        moved = ba.reference(bundle.cams, x, *bundle[2:])[0][k]
        np.testing.assert_allclose(numbers[k, :, 12], (moved - ba.reference(*bundle)[0][k]) / 1e-6, rtol=1e-4, atol=1e-4)


@with_data
@pytest.mark.slow
@pytest.mark.parametrize("name", data.names("ba"))
def test_ba_instances(ba_functions, name):
    bundle = data.load("ba", name)
    expected = bundle_results(ba.by_hand, bundle)
    all_close(expected[:2], ba.reference(*bundle), 1e-10)
    for other in ("nopython", "replay"):
        all_close(bundle_results(ba_functions[other], bundle), expected, 1e-10)


# The LSTM


def network(layers, c, b, seed=0):
    rng = np.random.default_rng(seed)
    main, extra, state = rng.normal(size=(2 * layers, 4 * b)), rng.normal(size=(3, b)), rng.normal(size=(2 * layers, b))
    return data.LSTM(main, extra, state, (rng.random((c, b)) < 0.4).astype(float))


def lstm_gradients(net):
    """Value and gradient by hand, in nopython mode and replayed, as flat lists of arrays."""
    yield lstm.hand(*net, lstm.workspace(net.state, net.sequence))
    yield lstm.gradient(*net)
    yield lstm.by_replay(lstm_forms.step, *net)(*net)


@pytest.mark.parametrize(("layers", "c", "b"), [(1, 5, 3), (3, 7, 10)])
def test_lstm_gradients_agree(layers, c, b):
    net = network(layers, c, b)
    value = lstm.reference(*net)
    found = list(lstm_gradients(net))
    for got, _ in found:
        assert got == pytest.approx(value, rel=1e-12)
    for _, gradient in found[1:]:
        all_close(gradient, found[0][1], 1e-10)


def test_lstm_by_hand_against_finite_differences():
    net = network(2, 6, 4)
    _, (dmain, dextra) = lstm.hand(*net, lstm.workspace(net.state, net.sequence))
    rng = np.random.default_rng(1)
    u, v = rng.normal(size=dmain.shape), rng.normal(size=dextra.shape)
    ends = [lstm.reference(net.main + h * u, net.extra + h * v, *net[2:]) for h in (1e-6, -1e-6)]
    assert (ends[0] - ends[1]) / 2e-6 == pytest.approx((dmain * u).sum() + (dextra * v).sum(), rel=1e-7)


@with_data
def test_lstm_has_adbenchs_golden_values():
    net = data.load("lstm", "lstm_l2_c1024")
    close(lstm.reference(*net), 0.66666518)
    for value, (dmain, dextra) in lstm_gradients(net):
        close(value, 0.6666651795588522, 1e-13)
        gradient = np.concatenate([dmain.ravel(), dextra.ravel()])
        assert gradient.size == 266
        for k, expected in LSTM_GRADIENT.items():
            assert gradient[k] == pytest.approx(expected, rel=1e-8, abs=1e-15), k


# The reader


def test_a_file_with_one_point_stands_for_all_of_them():
    g = data.parse_gmm(GMM.replace("2 3 1\n", "2 3 7\n"))
    assert g.x.shape == (7, 2)
    assert (g.x == [1.175171, 2.029160]).all()
    assert (g.gamma, g.m) == (1.0, 0)


def test_a_short_file_is_an_error():
    with pytest.raises(ValueError, match="too early"):
        data.parse_lstm("2 3 4\n0.5 0.5")


def test_a_missing_file_says_where_it_was_looked_for():
    with pytest.raises(FileNotFoundError, match="ADBENCH_DATA"):
        data.load("gmm", "no_such_file")
