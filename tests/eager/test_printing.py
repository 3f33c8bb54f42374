"""Printed forms: every expected string is what PyTorch prints for the same values."""

import re

import numpy as np
import pytest

from tapejit.eager.printing import format_tensor, needs_dtype, set_printoptions


@pytest.fixture(autouse=True)
def _default_options():
    yield
    set_printoptions(profile="default")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 1.0, 2.0, 3.0], "tensor([0., 1., 2., 3.])"),
        ([0.0, 4.0, 8.0, 12.0], "tensor([ 0.,  4.,  8., 12.])"),
        ([1.5, 2.0], "tensor([1.5000, 2.0000])"),
        ([1.5, -1000.25], "tensor([    1.5000, -1000.2500])"),
        (-185575.140625, "tensor(-185575.1406)"),
        (819200.0, "tensor(819200.)"),
        (-0.0, "tensor(-0.)"),
        ([[1.0, -20.0], [300.0, 4.0]], "tensor([[  1., -20.],\n        [300.,   4.]])"),
    ],
)
def test_floats(values, expected):
    assert format_tensor(np.array(values)) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1.0, 1000.0], "tensor([   1., 1000.])"),
        ([1.0, 1001.0], "tensor([1.0000e+00, 1.0010e+03])"),
        ([0.3, 301.0], "tensor([3.0000e-01, 3.0100e+02])"),
        ([123456.789, 1000.0], "tensor([123456.7890,   1000.0000])"),
        ([0.0001, 0.05], "tensor([0.0001, 0.0500])"),
        ([0.00009, 0.05], "tensor([9.0000e-05, 5.0000e-02])"),
        ([100000000.0], "tensor([100000000.])"),
        (1e10, "tensor(1.0000e+10)"),
        (1e-10, "tensor(1.0000e-10)"),
        ([1e300, 1e-300], "tensor([1.0000e+300, 1.0000e-300])"),
    ],
)
def test_scientific_form_for_large_ratios_and_extremes(values, expected):
    assert format_tensor(np.array(values)) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.nan, "tensor(nan)"),
        ([np.nan, 1.0], "tensor([nan, 1.])"),
        ([np.inf, -np.inf, np.nan], "tensor([inf, -inf, nan])"),
        ([1.5, np.nan, np.inf, -2.0], "tensor([ 1.5000,     nan,     inf, -2.0000])"),
        ([[1.0, np.nan], [np.inf, -20.0]], "tensor([[  1.,  nan],\n        [ inf, -20.]])"),
    ],
)
def test_not_finite(values, expected):
    assert format_tensor(np.array(values)) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (3, "tensor(3)"),
        ([1, -200], "tensor([   1, -200])"),
        (True, "tensor(True)"),
        ([[True, False]], "tensor([[ True, False]])"),
        ([True, True, True, True], "tensor([True, True, True, True])"),
    ],
)
def test_integers_and_bools(values, expected):
    assert format_tensor(np.array(values)) == expected


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((0,), "tensor([])"),
        ((0, 3), "tensor([], size=(0, 3))"),
        ((2, 0, 1), "tensor([], size=(2, 0, 1))"),
    ],
)
def test_empty(shape, expected):
    assert format_tensor(np.zeros(shape)) == expected
    with_dtype = format_tensor(np.zeros(shape, np.float32), dtype_suffix="tapejit.float32")
    assert with_dtype == expected[:-1] + ", dtype=tapejit.float32)"


def test_blocks_are_indented_and_separated_by_empty_lines():
    assert format_tensor(np.arange(20.0).reshape(2, 2, 5) / 7 - 1.5) == (
        "tensor([[[-1.5000, -1.3571, -1.2143, -1.0714, -0.9286],\n"
        "         [-0.7857, -0.6429, -0.5000, -0.3571, -0.2143]],\n"
        "\n"
        "        [[-0.0714,  0.0714,  0.2143,  0.3571,  0.5000],\n"
        "         [ 0.6429,  0.7857,  0.9286,  1.0714,  1.2143]]])"
    )


def test_long_rows_are_broken():
    assert format_tensor(np.arange(20.0) / 7) == (
        "tensor([0.0000, 0.1429, 0.2857, 0.4286, 0.5714, 0.7143, 0.8571, 1.0000, 1.1429,\n"
        "        1.2857, 1.4286, 1.5714, 1.7143, 1.8571, 2.0000, 2.1429, 2.2857, 2.4286,\n"
        "        2.5714, 2.7143])"
    )


def test_large_arrays_are_summarised():
    assert format_tensor(np.arange(-5, 1200)) == "tensor([  -5,   -4,   -3,  ..., 1197, 1198, 1199])"
    assert format_tensor(np.arange(2400.0).reshape(3, 800) * 0.25) == (
        "tensor([[0.0000e+00, 2.5000e-01, 5.0000e-01,  ..., 1.9925e+02, 1.9950e+02,\n"
        "         1.9975e+02],\n"
        "        [2.0000e+02, 2.0025e+02, 2.0050e+02,  ..., 3.9925e+02, 3.9950e+02,\n"
        "         3.9975e+02],\n"
        "        [4.0000e+02, 4.0025e+02, 4.0050e+02,  ..., 5.9925e+02, 5.9950e+02,\n"
        "         5.9975e+02]])"
    )
    assert format_tensor(np.arange(1040).reshape(2, 1, 40, 13)) == (
        "tensor([[[[   0,    1,    2,  ...,   10,   11,   12],\n"
        "          [  13,   14,   15,  ...,   23,   24,   25],\n"
        "          [  26,   27,   28,  ...,   36,   37,   38],\n"
        "          ...,\n"
        "          [ 481,  482,  483,  ...,  491,  492,  493],\n"
        "          [ 494,  495,  496,  ...,  504,  505,  506],\n"
        "          [ 507,  508,  509,  ...,  517,  518,  519]]],\n"
        "\n"
        "\n"
        "        [[[ 520,  521,  522,  ...,  530,  531,  532],\n"
        "          [ 533,  534,  535,  ...,  543,  544,  545],\n"
        "          [ 546,  547,  548,  ...,  556,  557,  558],\n"
        "          ...,\n"
        "          [1001, 1002, 1003,  ..., 1011, 1012, 1013],\n"
        "          [1014, 1015, 1016,  ..., 1024, 1025, 1026],\n"
        "          [1027, 1028, 1029,  ..., 1037, 1038, 1039]]]])"
    )


def test_suffixes():
    assert format_tensor(np.array(28.0), grad_fn="<MulBackward0>") == "tensor(28., grad_fn=<MulBackward0>)"
    assert format_tensor(np.array([0.0, 1.0]), requires_grad=True) == "tensor([0., 1.], requires_grad=True)"
    with_both = format_tensor(np.array(1.0), grad_fn="<MulBackward0>", requires_grad=True)
    assert with_both == "tensor(1., grad_fn=<MulBackward0>)"


def test_suffixes_that_do_not_fit_go_on_a_new_line():
    assert format_tensor(np.arange(8) / 7, grad_fn="<MulBackward0>") == (
        "tensor([0.0000, 0.1429, 0.2857, 0.4286, 0.5714, 0.7143, 0.8571, 1.0000],\n"
        "       grad_fn=<MulBackward0>)"
    )
    numbers = np.array([0.3286, 0.8996, 0.6286, 0.8691, 0.0738, 0.9063], np.float32)
    assert format_tensor(numbers, dtype_suffix="torch.float32", grad_fn="<MulBackward0>") == (
        "tensor([0.3286, 0.8996, 0.6286, 0.8691, 0.0738, 0.9063], dtype=torch.float32,\n"
        "       grad_fn=<MulBackward0>)"
    )


def test_needs_dtype():
    assert not needs_dtype(np.zeros(2))
    assert needs_dtype(np.zeros(2, np.float32))
    assert needs_dtype(np.zeros(2), default_float=np.float32)
    assert not needs_dtype(np.zeros(2, np.float32), default_float=np.float32)
    assert not needs_dtype(np.zeros(2, np.int64))
    assert not needs_dtype(np.zeros(2, np.bool_))
    assert needs_dtype(np.zeros(2, np.int32))
    assert needs_dtype(np.zeros(0, np.int64))
    assert not needs_dtype(np.zeros(0))


def test_strided_arrays_print_their_logical_order():
    assert format_tensor(np.arange(6).reshape(2, 3).T) == (
        "tensor([[0, 3],\n        [1, 4],\n        [2, 5]])"
    )


def test_precision_and_sci_mode():
    x = np.array([1 / 3, 2000.0])
    set_printoptions(precision=2)
    assert format_tensor(x) == "tensor([3.33e-01, 2.00e+03])"
    assert format_tensor(np.array(2 / 3)) == "tensor(0.67)"
    set_printoptions(sci_mode=True)
    assert format_tensor(np.array([1.0, 2.0])) == "tensor([1.00e+00, 2.00e+00])"
    set_printoptions(sci_mode=False)
    assert format_tensor(x) == "tensor([   0.33, 2000.00])"
    set_printoptions(precision=4)  # not given: the values decide again
    assert format_tensor(x) == "tensor([3.3333e-01, 2.0000e+03])"


def test_profiles_width_threshold_and_edges():
    set_printoptions(profile="short")
    assert format_tensor(np.arange(1001) / 8) == "tensor([  0.00,   0.12,  ..., 124.88, 125.00])"
    set_printoptions(profile="full")
    assert "..." not in format_tensor(np.arange(1001))
    set_printoptions(profile="default", linewidth=30)
    assert format_tensor(np.arange(8.0)) == "tensor([0., 1., 2., 3., 4.,\n        5., 6., 7.])"
    set_printoptions(profile="default", threshold=5, edgeitems=1)
    assert format_tensor(np.arange(8.0)) == "tensor([0.,  ..., 7.])"


def test_unknown_profile_changes_nothing():
    with pytest.raises(ValueError, match=re.escape("'tiny'")):
        set_printoptions(precision=1, profile="tiny")
    assert format_tensor(np.array(0.5)) == "tensor(0.5000)"
