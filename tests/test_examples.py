"""The examples of the gallery run, in their short form, and reach what is published."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
GALLERY = sorted(p.stem for p in (ROOT / "docs" / "gallery").glob("*.png"))


def example(name):
    spec = importlib.util.spec_from_file_location(f"example_{name}", ROOT / "examples" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def beside_each_other(monkeypatch):
    """An example may import another, as it does where it is run."""
    monkeypatch.syspath_prepend(ROOT / "examples")


def run(name, *more):
    """(the module, what its main gives)."""
    module = example(name)
    return module, module.main(["--quick", "--out", "", *more])


@pytest.mark.parametrize("name", GALLERY)
def test_the_page_shows_every_example_of_the_gallery(name):
    page = (ROOT / "docs" / "gallery.md").read_text()
    source = (ROOT / "examples" / f"{name}.py").read_text()
    assert f"gallery/{name}.png" in page
    assert f"examples/{name}.py" in page
    assert len(source.splitlines()) <= 150
    assert re.search(rf"^    python examples/{name}\.py$", source, re.M)


@pytest.mark.slow
def test_nile_has_the_published_variances():
    module, variances = run("nile")
    assert np.allclose(variances, list(module.PUBLISHED.values()), rtol=1e-3)


@pytest.mark.slow
def test_breast_cancer_has_scikit_learns_weights():
    pytest.importorskip("sklearn")
    _, difference = run("breast_cancer")
    assert difference < 1e-5


@pytest.mark.slow
def test_hare_and_lynx_has_nearly_the_published_means():
    module, found = run("hare_lynx")
    assert np.allclose(found, module.PUBLISHED, rtol=0.13)  # modes, not means; the noises differ most


@pytest.mark.slow
def test_eight_schools_has_the_published_means():
    module, draws = run("eight_schools")
    found = draws[..., 0].mean(), np.exp(draws[..., 1]).mean()
    assert np.allclose(found, list(module.PUBLISHED.values()), atol=0.3)


@pytest.mark.slow
def test_the_gaussian_process_has_scikit_learns_likelihood():
    pytest.importorskip("sklearn")
    _, (ours, theirs) = run("gaussian_process")
    assert np.isclose(ours, theirs, atol=1e-3)


@pytest.mark.slow
def test_the_cart_swings_the_pole_up():
    module, z = run("cart_pole")
    assert np.abs(module.gap(z)).max() < 1e-8
    place, angle, _, _, force = module.split(z)
    assert np.allclose((place[-1], angle[-1]), (1.0, np.pi), atol=1e-9)
    assert np.abs(force).max() < module.LIMIT
    assert 55 < module.effort(z) < 62


@pytest.mark.slow
def test_heston_has_the_published_prices_and_parameters():
    module, (prices, found) = run("heston")
    assert np.allclose(prices, list(module.PUBLISHED.values()), atol=1e-7)
    assert np.allclose(found, module.PAPER, rtol=1e-6)


@pytest.mark.slow
def test_the_network_solves_the_heat_equation():
    _, errors = run("heat_pinn")
    assert errors[-1] < 5e-3


@pytest.mark.slow
def test_the_gradient_of_soft_dtw_is_that_of_algorithm_2():
    module, (found, differences) = run("soft_dtw")
    assert max(differences) < 1e-12
    for data, mean, barycentre in found.values():
        assert module.mean_cost(barycentre, data, 1.0) < module.mean_cost(mean, data, 1.0) - 10


@pytest.mark.slow
def test_nists_certified_parameters_are_met_from_both_starts():
    agreed = example("nist").main(["--out", ""])
    assert len(agreed) == 27
    assert sum(parameters >= 4 for both in agreed.values() for parameters, _ in both) >= 53
    deviations = [both[1][1] for name, both in agreed.items() if name != "Lanczos1"]  # its residuals are roundings
    assert min(deviations) >= 4


@pytest.mark.slow
def test_digits_are_read_as_well_as_by_scikit_learn():
    pytest.importorskip("sklearn")
    _, (ours, theirs, apart) = run("digits_nn")
    assert ours > 0.9
    assert ours > theirs - 0.03
    assert apart < 1e-12


@pytest.mark.slow
def test_the_no_u_turn_sampler_has_the_published_means():
    module, draws = run("eight_schools_nuts")
    assert np.allclose(draws.mean((0, 1)), module.PUBLISHED, atol=0.3)
