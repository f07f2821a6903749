"""Padding by NaN takes no part in a modality's transformer, and stays; numbers: test_steps."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from inforeg_sk import ModalityTransformer

LENGTHS = np.array([5, 3, 1, 5, 2])
REAL = np.arange(5) < LENGTHS[:, None]


def sequences(dtype=float):
    x = np.random.default_rng(0).normal(3, 2, size=(5, 5, 2)).astype(dtype)
    x[~REAL] = np.nan
    x[0, 4] = x[1, 1:3] = 0  # values like any other
    return x


def transform(transformer, x, **params):
    return ModalityTransformer(transformer, **params).fit_transform({"m": x})["m"]


@pytest.mark.parametrize("dtype", [float, np.float32, np.float16])
def test_scales_over_the_real_steps_and_the_padding_stays(dtype):
    x = sequences(dtype)
    out = transform(StandardScaler(), x)
    steps = x[REAL].astype(float)
    tolerance = {float: 1e-12, np.float32: 1e-5, np.float16: 1e-2}[dtype]
    np.testing.assert_allclose(out[REAL], (steps - steps.mean(0)) / steps.std(0), atol=tolerance)
    assert np.isnan(out[~REAL]).all() and out.dtype == dtype


def test_a_transformer_that_refuses_nan_sees_none():
    out = transform(PCA(1, random_state=0), sequences())
    expected = PCA(1, random_state=0).fit_transform(sequences()[REAL])
    np.testing.assert_allclose(out[REAL], expected, atol=1e-12)
    assert out.shape == (5, 5, 1) and np.isnan(out[~REAL]).all()


@pytest.mark.parametrize(
    "kind, dtype",
    [
        (np.int64, np.float64),
        (np.uint8, np.float32),
        (bool, np.float32),
        (np.float16, np.float16),
        (complex, complex),
        (object, object),
    ],
)
def test_output_whose_type_does_not_hold_nan(kind, dtype):
    def small(v):
        return np.clip(v, 0, 9).astype(kind)

    out = transform(FunctionTransformer(small), sequences())
    assert out.dtype == dtype
    np.testing.assert_array_equal(out[REAL], small(sequences()[REAL]).astype(dtype))
    assert (out[~REAL] != out[~REAL]).all()


def test_a_step_of_nan_before_the_end_is_data():
    x = sequences()
    x[3, 2] = np.nan
    out = transform(SimpleImputer(), x)
    steps = np.delete(x[REAL], REAL[:3].sum() + 2, axis=0)
    np.testing.assert_allclose(out[3, 2], steps.mean(0))
    assert np.isnan(out[~REAL]).all()


def test_a_missing_sample_is_no_padding():
    """It is given to the transformer whole, here to be imputed."""
    x = sequences()
    x[1] = np.nan
    out = transform(SimpleImputer(), x)
    rest = np.delete(np.arange(5), 1)
    mean = x[rest][REAL[rest]].mean(0)
    np.testing.assert_allclose(out[1], np.tile(mean, (5, 1)))
    assert np.isnan(out[4, 2:]).all()
    kept = transform(SimpleImputer(), x, missing="allow")
    assert np.isnan(kept[1]).all()
    np.testing.assert_array_equal(kept[rest], out[rest])


def test_none_gives_every_step_to_the_transformer():
    out = transform(SimpleImputer(), sequences(), padding_value=None)
    np.testing.assert_allclose(out[2, 4], sequences()[REAL].mean(0))


def test_more_padding_changes_nothing():
    x = sequences()
    longer = np.concatenate([x, np.full((5, 4, 2), np.nan)], axis=1)
    out = transform(StandardScaler(), longer)
    np.testing.assert_array_equal(out[:, :5], transform(StandardScaler(), x))
    assert np.isnan(out[:, 5:]).all()


def test_padding_by_modality_may_be_nan():
    x, zeros = sequences(), np.nan_to_num(sequences())
    zeros[0, 4] = 1
    scaler = ModalityTransformer(StandardScaler(), padding_value={"m": np.nan, "z": 0})
    out = scaler.fit_transform({"m": x, "z": zeros})
    np.testing.assert_array_equal(out["m"], transform(StandardScaler(), x))
    assert (out["z"][2, 1:] == 0).all()


def test_the_default_is_a_parameter_like_others():
    scaler = ModalityTransformer(StandardScaler())
    assert np.isnan(clone(scaler).padding_value) and "padding_value" not in repr(scaler)
