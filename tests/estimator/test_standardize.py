"""`standardize`: the network does what a StandardScaler in front does, on the training part."""

import pickle

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.dataset import ValidSplit
from torch import nn

from inforeg_sk import (
    ModalityTransformer,
    MultimodalClassifier,
    MultimodalInfoRegClassifier,
    MultimodalInfoRegRegressor,
    MultimodalRegressor,
)
from inforeg_sk.network import CNNEncoder, GRUEncoder, MLPEncoder

ALL = [
    MultimodalClassifier,
    MultimodalInfoRegClassifier,
    MultimodalRegressor,
    MultimodalInfoRegRegressor,
]


def data(n=48, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    table = (rng.normal(size=(n, 4)) + y[:, None]) * [1, 1e3, 1e-3, 1] + [5, 0, 1, -1e4]
    words = (rng.normal(size=(n, 5, 3)) + y[:, None, None]) * [10, 1, 0.1] + [100, 0, 3]
    words[np.arange(5) >= rng.integers(1, 6, n)[:, None]] = np.nan
    return {"table": table, "words": words}, y


def model(cls=MultimodalClassifier, **params):
    defaults = {
        "standardize": True,
        "max_epochs": 2,
        "dtype": "float64",
        "random_state": 0,
        "encoders__hidden": 4,
    }
    return cls(**{**defaults, **params})


def scalers(estimator):
    return estimator.module_.scalers


# What it does


@pytest.mark.parametrize("cls", ALL)
@pytest.mark.parametrize("encoder", ["mlp", "gru", "transformer"])
def test_it_is_a_scaler_in_front(cls, encoder):
    X, y = data()
    encoders = {"words": encoder}
    inside = model(cls, encoders=encoders).fit(X, y)
    front = make_pipeline(
        ModalityTransformer(StandardScaler()), model(cls, encoders=encoders, standardize=False)
    ).fit(X, y)
    np.testing.assert_allclose(
        inside.forward(X).numpy(), front[-1].forward(front[0].transform(X)).numpy(), atol=1e-7
    )


def test_padding_by_a_number_is_found_before_scaling():
    """The raw zeros pad; a real step that becomes zero is none."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 6, 40)
    real = np.arange(5) < lengths[:, None]
    x = rng.choice([1.0, 2.0, 3.0], size=(40, 5, 1))
    x[real] += 2 - x[real].mean()  # 2 is the mean, up to rounding
    y = np.arange(40) % 2
    fits = []
    for value in (0.0, np.nan):
        X = {"s": np.where(real[:, :, None], x, value)}
        fits.append(model(encoders="gru", encoders__padding_value=value).fit(X, y))
        np.testing.assert_allclose(scalers(fits[-1])["s"].mean, x[real].mean(axis=0))
        np.testing.assert_allclose(scalers(fits[-1])["s"].scale, x[real].std(axis=0))
        got = fits[-1].predict_proba(X)
        fits[-1] = got
    np.testing.assert_allclose(*fits, atol=1e-9)


def test_a_real_step_at_the_mean_is_not_padding():
    x = np.full((4, 3, 1), 5.0)
    x[0], x[1] = 4, 6  # the mean is 5, the last samples become zeros
    x[3, 1:] = 0
    fit = model(encoders="gru", encoders__padding_value=0, max_epochs=1)
    fit.fit({"s": np.where(x == 0, 5.0, x)}, [0, 1, 0, 1])
    z, lengths = scalers(fit)["s"](torch.from_numpy(x))
    assert lengths.tolist() == [3, 3, 3, 1] and not z[2].any() and not z[3].any()


@pytest.mark.parametrize("shape", [(3, 6, 5), (2, 3, 6, 5)])
def test_images_and_videos_by_channel(shape):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(30, *shape)) * 7
    x += 100 * np.arange(shape[0]).reshape(-1, *[1] * (len(shape) - 1))
    scaler = scalers(model(max_epochs=1).fit({"x": x}, np.arange(30) % 2))["x"]
    channels = np.moveaxis(x, 1, 0).reshape(shape[0], -1)
    np.testing.assert_allclose(scaler.mean.flatten(), channels.mean(axis=1))
    np.testing.assert_allclose(scaler.scale.flatten(), channels.std(axis=1))
    z, _ = scaler(torch.from_numpy(x))
    flat = np.moveaxis(z.numpy(), 1, 0).reshape(shape[0], -1)
    np.testing.assert_allclose(flat.mean(axis=1), 0, atol=1e-12)
    np.testing.assert_allclose(flat.std(axis=1), 1)


def test_a_spectrogram_is_one_channel():
    x = np.random.default_rng(0).normal(3, 2, size=(30, 6, 5))
    weight = np.arange(30.0)
    fit = model(encoders="cnn", max_epochs=1).fit({"x": x}, np.arange(30) % 2, weight)
    scaler = scalers(fit)["x"]
    mean = np.average(x.mean(axis=(1, 2)), weights=weight)
    assert scaler.mean.shape == (1, 1) and scaler.mean.item() == pytest.approx(mean)


def test_constant_columns_are_centered_only():
    X, y = data()
    X["table"][:, 1] = 0.1
    fit = model().fit(X, y)
    assert scalers(fit)["table"].scale[1] == 1
    z, _ = scalers(fit)["table"](torch.from_numpy(X["table"]))
    assert z[:, 1].abs().max() < 1e-15


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_statistics_are_accumulated_in_double_precision(dtype):
    x = np.random.default_rng(0).normal([0, 30000], size=(3000, 2))
    fit = model(dtype=dtype, max_epochs=1, batch_size=-1).fit({"x": x}, np.arange(3000) % 2)
    stored = x.astype(dtype).astype(float)
    tolerance = 1e-7 if dtype == "float32" else 1e-11
    np.testing.assert_allclose(scalers(fit)["x"].mean, stored.mean(0), rtol=tolerance, atol=1e-8)
    np.testing.assert_allclose(scalers(fit)["x"].scale, stored.std(0), rtol=tolerance)


def test_sparse_matrices_are_scaled_and_not_centered():
    rng = np.random.default_rng(0)
    x = sparse.random_array((50, 9), density=0.3, rng=rng, format="csr") * 100
    y = np.arange(50) % 2
    fit = model().fit({"x": x}, y)
    expected = StandardScaler(with_mean=False).fit(x)
    assert not scalers(fit)["x"].mean.any()
    np.testing.assert_allclose(scalers(fit)["x"].scale, expected.scale_)
    dense = fit.predict_proba({"x": x.toarray()})
    np.testing.assert_allclose(fit.predict_proba({"x": x}), dense, atol=1e-12)


# Which samples


def test_the_training_part_alone():
    X, y = data()
    split = ValidSplit(3, stratified=True)
    fit = model(train_split=split).fit(X, y)
    rows = split(np.arange(48), y)[0].indices
    np.testing.assert_allclose(scalers(fit)["table"].mean, X["table"][rows].mean(axis=0))
    assert scalers(fit)["table"].n_samples == len(rows) == 32


def test_integer_weights_are_repeated_rows():
    X, y = data()
    weight = np.random.default_rng(1).integers(0, 3, 48)
    rows = np.repeat(np.arange(48), weight)
    weighted = model(max_epochs=1).fit(X, y, weight.astype(float))
    repeated = model(max_epochs=1).fit({m: x[rows] for m, x in X.items()}, y[rows])
    for name, scaler in scalers(weighted).items():
        np.testing.assert_allclose(scaler.mean, scalers(repeated)[name].mean, rtol=1e-12)
        np.testing.assert_allclose(scaler.scale, scalers(repeated)[name].scale, rtol=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_samples_that_lack_the_modality_do_not_count(weighted):
    X, y = data()
    X["table"][::3], X["words"][1::3] = np.nan, np.nan
    weight = np.random.default_rng(1).random(48) if weighted else None
    fit = model(missing="allow").fit(X, y, weight)
    rows = np.arange(48) % 3 != 0
    w = np.ones(48) if weight is None else weight
    mean = np.average(X["table"][rows], axis=0, weights=w[rows])
    np.testing.assert_allclose(scalers(fit)["table"].mean, mean, rtol=1e-12)
    there = ~np.isnan(X["words"][:, :, 0])
    of_steps = np.broadcast_to(w[:, None], there.shape)[there]
    mean = np.average(X["words"][there], axis=0, weights=of_steps)
    np.testing.assert_allclose(scalers(fit)["words"].mean, mean, rtol=1e-12)
    assert scalers(fit)["table"].n_samples == rows.sum()


def test_the_first_call_is_kept(tmp_path):
    X, y = data()
    other = {m: x * 3 + 1 for m, x in X.items()}
    fit = model(warm_start=True).partial_fit(X, y)
    before = {m: s.mean.clone() for m, s in scalers(fit).items()}
    fit.partial_fit(other, y)
    fit = pickle.loads(pickle.dumps(fit)).fit(other, y)
    assert all(torch.equal(s.mean, before[m]) for m, s in scalers(fit).items())
    new = clone(fit).fit(other, y)
    assert not torch.equal(scalers(new)["table"].mean, before["table"])


def test_they_are_buffers_and_no_parameters():
    X, y = data()
    fit = model().fit(X, y)
    state = fit.module_.state_dict()
    assert {"scaler_table.mean", "scaler_words.scale"} <= set(state)
    assert not any("scaler" in name for name, _ in fit.module_.named_parameters())
    other = pickle.loads(pickle.dumps(fit))
    np.testing.assert_array_equal(other.predict_proba(X), fit.predict_proba(X))


def test_memory_maps_are_read_in_pieces(tmp_path, monkeypatch):
    X, y = data()
    np.save(tmp_path / "x.npy", X["table"])
    monkeypatch.setattr("inforeg_sk.network.scaling._PIECE", 8 * 4 * 10)  # ten rows
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    fit = model().fit({"table": mapped}, y)
    np.testing.assert_allclose(scalers(fit)["table"].mean, X["table"].mean(0), rtol=1e-12)
    np.testing.assert_allclose(scalers(fit)["table"].scale, X["table"].std(0), rtol=1e-12)


# Which encoders


class Own(MLPEncoder):
    """A user's class, if derived from ours."""


@pytest.mark.parametrize(
    "encoder, expected",
    [
        ("auto", True),
        ("mlp", True),
        (MLPEncoder, True),
        (Own, False),
        (nn.Linear, False),
        (MLPEncoder((4,)), False),
        (lambda input_shape: MLPEncoder(input_shape), False),
    ],
)
def test_built_in_encoders_alone(encoder, expected):
    X, y = data()
    settings = {"encoders__table__out_features": 3} if encoder is nn.Linear else {}
    params = {"encoders": {"table": encoder}, "encoders__hidden": 4, **settings}
    fit = model(**params, max_epochs=1).fit(X, y)
    assert ("table" in scalers(fit)) is expected and "words" in scalers(fit)


def test_several_arrays_stay_as_they_are():
    class Words(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Embedding(9, 4)

        def forward(self, x):
            return self.table(x["ids"]).mean(dim=1)

    X, y = data()
    X = {"table": X["table"], "tokens": {"ids": np.arange(48 * 3).reshape(48, 3) % 9}}
    fit = model(encoders={"tokens": Words()}).fit(X, y)
    assert list(scalers(fit)) == ["table"]


def test_off_means_no_scaler():
    X, y = data()
    assert scalers(model(standardize=False).fit(X, y)) == {}


def test_zeroed_inputs_are_the_mean():
    X, y = data()
    fit = model().fit(X, y)
    batch, _ = fit.get_dataset(X).__getitems__(list(range(48)))
    zeroed = fit.module_.zeroed(batch, {"table"})
    z, _ = scalers(fit)["table"](zeroed["table"])
    assert not z.any() and zeroed["words"] is batch["words"]


# As a parameter


@pytest.mark.parametrize("cls", ALL)
@pytest.mark.parametrize("bad", ["yes", 1, None])
def test_a_bool_is_needed(cls, bad):
    X, y = data()
    with pytest.raises(ValueError, match=f"'standardize' parameter of {cls.__name__} must be a bo"):
        model(cls, standardize=bad).fit(X, y)


@pytest.mark.parametrize("load, least", [(load_breast_cancer, 0.94), (load_wine, 0.94)])
def test_unscaled_tables_are_learned(load, least):
    X, y = load(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X, y, random_state=0, stratify=y)
    cut = {"a": slice(0, 6), "b": slice(6, None)}
    clf = MultimodalInfoRegClassifier(
        modalities=cut, standardize=True, random_state=0, max_epochs=40
    )
    assert clf.fit(X, y).score(X_test, y_test) > least


@pytest.mark.parametrize("kind", [CNNEncoder, GRUEncoder])
def test_a_network_without_a_fit_leaves_values_alone(kind):
    from inforeg_sk.network.scaling import InputScaler

    x = torch.randn(4, 5, 3)
    assert torch.equal(InputScaler((5, 3), kind((5, 3)))(x)[0], x)
