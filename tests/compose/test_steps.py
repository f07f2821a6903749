"""Padding by a number takes no part in a modality's transformer, and stays; NaN: test_padding."""

import numpy as np
import pandas as pd
import pytest
import torch
from ids import stable_id
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.decomposition import PCA
from sklearn.feature_selection import SelectKBest, f_classif
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from inforeg_sk import ModalityDict, ModalityTransformer, MultimodalInfoRegClassifier
from inforeg_sk.compose.timesteps import flatten_time_steps, sample_of_step
from inforeg_sk.data.padding import real_lengths

#: Full, padded, one step, no step at all (its first counts), a hole, one feature left at the end.
LENGTHS = np.array([9, 4, 1, 1, 9, 9])
REAL = np.arange(9) < LENGTHS[:, None]
Y = np.array([0, 1, 2, 0, 1, 2])


def sequences(value=0.0, dtype=float):
    x = np.random.default_rng(0).normal(3, 2, size=(6, 9, 5)).astype(dtype)
    x[1, 4:] = x[2, 1:] = x[3] = x[4, 2:5] = x[5, 8, 1:] = value
    return x


def modality_transformer(transformers, padding_value=0.0, **params):
    return ModalityTransformer(transformers, padding_value=padding_value, **params)


def transform(transformer, x, y=None, **params):
    return modality_transformer(transformer, **params).fit_transform({"m": x}, y)["m"]


def lengths_to_the_encoders(x, value=0.0):
    x = torch.from_numpy(np.asarray(x, dtype=np.float32))
    return real_lengths(x, value).clamp(min=1).numpy()


def pad(x, n_steps, value=0.0):
    more = np.full((len(x), n_steps, x.shape[2]), value, x.dtype)
    return np.concatenate([x, more], axis=1)


class Recorder(TransformerMixin, BaseEstimator):
    """Keeps what it is given."""

    def fit(self, X, y=None):
        self.X_, self.y_ = X, y
        return self

    def transform(self, X):
        self.X_new_ = X
        return X


def test_statistics_by_hand():
    x = np.zeros((2, 4, 1))
    x[0, :3, 0], x[1, :1, 0] = [1, 0, 5], [6]
    scaler = modality_transformer(StandardScaler()).fit({"m": x})
    fitted = scaler.transformers_["m"]
    assert fitted.mean_ == 3 and fitted.n_samples_seen_ == 4
    np.testing.assert_allclose(fitted.var_, 6.5)
    out = scaler.transform({"m": x})["m"][:, :, 0] * 6.5**0.5
    np.testing.assert_allclose(out, [[-2, -3, 2, 0], [3, 0, 0, 0]])


@pytest.mark.parametrize("dtype", [float, np.float32])
@pytest.mark.parametrize("value", [0.0, 0, -1.5, 0.1, np.float64(0.1), np.float32(0.1)])
def test_scales_over_the_real_steps_and_the_encoders_still_find_the_padding(value, dtype):
    x = sequences(value, dtype)
    if isinstance(value, np.float32) and dtype is float:
        value = float(value)  # what such an array holds
    out = transform(StandardScaler(), x, padding_value=value)
    tolerance = 1e-12 if dtype is float else 1e-5
    expected = (x[REAL] - x[REAL].mean(0)) / x[REAL].std(0)
    np.testing.assert_allclose(out[REAL], expected, atol=tolerance)
    assert out.dtype == dtype and out.shape == x.shape
    assert (out[~REAL] == dtype(value)).all()
    np.testing.assert_array_equal(lengths_to_the_encoders(x, float(value)), LENGTHS)
    np.testing.assert_array_equal(lengths_to_the_encoders(out, float(value)), LENGTHS)


def test_the_encoders_lose_the_padding_without():
    out = transform(StandardScaler(), sequences(), padding_value=None)
    np.testing.assert_array_equal(lengths_to_the_encoders(out), [9] * 6)


@pytest.mark.parametrize("transformer", [StandardScaler(), PCA(2, random_state=0)], ids=stable_id)
def test_more_padding_changes_nothing(transformer):
    x = sequences()
    fitted = modality_transformer(transformer).fit({"m": x})
    again = modality_transformer(transformer).fit({"m": pad(x, 9)})
    out, out_again = fitted.transform({"m": x})["m"], again.transform({"m": pad(x, 9)})["m"]
    np.testing.assert_array_equal(out_again, pad(out, 9))
    for name, value in vars(fitted.transformers_["m"]).items():
        np.testing.assert_array_equal(value, getattr(again.transformers_["m"], name))


@pytest.mark.parametrize("encoder", ["gru", "transformer"])
def test_a_pipeline_does_not_see_how_far_samples_are_padded(encoder):
    """The same weights, since no encoder's depend on the number of steps."""
    rng = np.random.default_rng(1)
    x = rng.normal(5, 3, size=(40, 6, 3))
    x[np.arange(6) >= rng.integers(1, 7, size=40)[:, None]] = 0
    y, other = np.arange(40) % 2, rng.normal(size=(40, 2))
    predictions = []
    for data in (x, pad(x, 7)):
        clf = MultimodalInfoRegClassifier(
            encoders={"m": encoder, "other": "mlp"},
            encoders__hidden=8,
            encoders__m__padding_value=0.0,
            max_epochs=3,
            dtype="float64",
            random_state=0,
            callbacks="disable",
        )
        pipe = make_pipeline(modality_transformer(StandardScaler()), clf)
        X = {"m": data, "other": other}
        predictions.append(pipe.fit(X, y).predict_proba(X))
    np.testing.assert_allclose(*predictions, atol=1e-6)


def test_new_data_with_other_padding():
    fitted = modality_transformer(StandardScaler()).fit({"m": sequences()})
    new = sequences()[::-1] * 2
    out = fitted.transform({"m": new})["m"]
    bare = fitted.transformers_["m"]
    np.testing.assert_array_equal(out[REAL[::-1]], bare.transform(new[REAL[::-1]]))
    assert (out[~REAL[::-1]] == 0).all()
    short = fitted.transform({"m": sequences()[:, :2]})["m"]
    np.testing.assert_array_equal(lengths_to_the_encoders(short), [2, 2, 1, 1, 2, 2])


def test_labels_are_repeated_for_the_real_steps():
    x = sequences()
    labels = np.array(list("abcabc"))
    two = np.c_[Y, Y[::-1]]
    for y in (Y, list(Y), pd.Series(Y, index=range(10, 16)), Y.astype(object)):
        scaler = modality_transformer({"m": Recorder()}).fit({"m": x}, y)
        np.testing.assert_array_equal(scaler.transformers_["m"].y_, np.repeat(Y, LENGTHS))
        np.testing.assert_array_equal(scaler.transformers_["m"].X_, x[REAL])
    for y in (labels, list(labels), pd.Series(labels), two, two.tolist(), pd.DataFrame(two)):
        scaler = modality_transformer({"m": Recorder()}).fit({"m": x}, y)
        expected = np.repeat(np.asarray(y), LENGTHS, axis=0)
        np.testing.assert_array_equal(scaler.transformers_["m"].y_, expected)
    scores = f_classif(x[REAL], np.repeat(Y, LENGTHS))[0]
    out = transform(SelectKBest(k=1), x, Y)
    np.testing.assert_array_equal(out[:, :, 0], np.where(REAL, x[:, :, scores.argmax()], 0))


@pytest.mark.parametrize(
    "x, value",
    [
        (sequences() + 100, 0.0),
        (sequences()[[0, 5, 4]], 0.0),
        (sequences(), None),
        (sequences(), 1.0),
        (sequences(np.nan), 0.0),
        (sequences().astype(object), 0.0),
        (sequences()[:, :1], 0.0),
        (sequences()[:, :, None], 0.0),
        (np.zeros((2, 3, 2, 2)), 0.0),
    ],
    ids=[
        "no padding",
        "one feature left",
        "off",
        "other value",
        "nan",
        "object",
        "one step",
        "4-D",
        "4-D zeros",
    ],
)
def test_without_padding_the_whole_array_is_the_table(x, value):
    scaler = ModalityTransformer(Recorder(), padding_value=value)
    y = np.arange(len(x))
    out = scaler.fit_transform({"m": x}, y)["m"]
    recorder = scaler.transformers_["m"]
    flat = x.reshape(-1, x.shape[-1])
    np.testing.assert_array_equal(recorder.X_, flat)
    np.testing.assert_array_equal(recorder.y_, np.repeat(y, len(flat) // len(x)))
    np.testing.assert_array_equal(out, x)
    # Nothing is copied; what comes back is the transformer's own output.
    assert np.shares_memory(recorder.X_new_, x) == np.shares_memory(flat, x)
    assert np.shares_memory(out, recorder.X_new_)


def test_an_array_of_nothing_but_padding_keeps_first_steps():
    out = transform(FunctionTransformer(lambda v: v + 1), np.zeros((3, 4, 2)))
    assert (out[:, 0] == 1).all() and (out[:, 1:] == 0).all()


def test_nan_is_data():
    x = sequences()
    x[1, 5] = np.nan  # behind steps of zeros, so that those are no padding
    out = transform(make_pipeline(SimpleImputer(), StandardScaler()), x)
    expected = [9, 6, 1, 1, 9, 9]
    np.testing.assert_array_equal(lengths_to_the_encoders(out), expected)
    real = np.arange(9) < np.array(expected)[:, None]
    np.testing.assert_allclose(out[real].mean(0), 0, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, bool])
def test_sparse_output_of_integers(dtype):
    codes = np.array([[[1], [2], [0]], [[3], [0], [0]]]).astype(dtype)
    encoder = OneHotEncoder(dtype=np.uint8)
    out = transform(encoder, codes)
    used = np.unique(codes[[0, 0, 1], [0, 1, 0]])  # 0 only pads, and is no category
    expected = (codes == used) & (codes != 0)
    assert isinstance(out, np.ndarray) and out.dtype == np.uint8
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize(
    "value, kind, dtype",
    [
        (-1.0, np.int64, np.int64),
        (-1.0, np.uint8, np.float32),
        (-0.1, np.int64, np.float64),
        (-0.1, np.float16, np.float32),
        (-0.1, np.float32, np.float32),
        (-1e300, np.float32, np.float64),
        (-1.0, bool, np.float32),
        (-1.0, object, object),
        (-1.0, complex, complex),
    ],
)
def test_output_whose_type_does_not_hold_the_padding(value, kind, dtype):
    x = sequences(value)

    def small(v):
        return np.clip(v, 0, 9).astype(kind)

    out = transform(FunctionTransformer(small), x, padding_value=value)
    assert out.dtype == dtype
    np.testing.assert_array_equal(out[REAL], small(x[REAL]).astype(dtype))
    assert (out[~REAL] == np.asarray(value, dtype)).all()


def test_a_transformer_that_gives_a_column():
    x = sequences()
    out = transform(FunctionTransformer(lambda v: v.sum(axis=1, keepdims=True)), x)
    np.testing.assert_array_equal(out, x.sum(axis=2, keepdims=True) * REAL[:, :, None])


class MeanOverTime(TransformerMixin, BaseEstimator):
    """Takes sequences, as its tag says."""

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X.mean(axis=1)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags


@pytest.mark.parametrize(
    "function",
    [
        lambda v: v.mean(axis=1),
        lambda v: v[:, 0],
        lambda v: v.max(axis=1).tolist(),
        lambda v: pd.Series(v.sum(axis=1)),
    ],
    ids=["mean", "first step", "list", "Series"],
)
@pytest.mark.parametrize("n_features", [1, 5])
@pytest.mark.parametrize("padding_value", [None, 0.0])
def test_one_axis_for_a_table_of_steps_is_an_error(function, n_features, padding_value):
    x = sequences()[:, :, :n_features]
    with pytest.raises(ValueError, match=r"'m', Func.*one row for each step.*\(6, 9, \d\)") as info:
        transform(FunctionTransformer(function), x, padding_value=padding_value)
    for way in ("input_tags.three_d_array", "done before", "values.reshape(-1, 1)"):
        assert way in str(info.value)
    unchecked = modality_transformer({"m": FunctionTransformer(function)}).fit({"m": x})
    with pytest.raises(ValueError, match="one row for each step"):
        unchecked.transform({"m": x})


def test_what_the_error_names_sees_the_sequences():
    x = np.random.default_rng(0).normal(size=(6, 9, 5))
    np.testing.assert_array_equal(transform(MeanOverTime(), x), x.mean(axis=1))
    # A table of one row for each sample has features on axis 1.
    row_means = transform(FunctionTransformer(lambda v: v.mean(axis=1)), x[:, 0])
    np.testing.assert_array_equal(row_means, x[:, 0].mean(axis=1))


def test_one_value_for_each_text_of_a_sequence_is_kept():
    class Lower(TransformerMixin, BaseEstimator):
        def fit(self, X, y=None):
            return self

        def transform(self, X):
            return np.array([text.lower() for text in X])

        def __sklearn_tags__(self):
            tags = super().__sklearn_tags__()
            tags.input_tags.string, tags.input_tags.two_d_array = True, False
            return tags

    texts = np.array([["A", "b"], ["C", "D"]])[:, :, None]
    assert transform(Lower(), texts).tolist() == [[["a"], ["b"]], [["c"], ["d"]]]


def test_memory_maps(tmp_path):
    np.save(tmp_path / "x.npy", sequences())
    x = np.load(tmp_path / "x.npy", mmap_mode="r")
    out = transform(StandardScaler(copy=False), x)  # the real steps are a copy
    np.testing.assert_array_equal(out, transform(StandardScaler(), sequences()))


@pytest.mark.parametrize("layout", [np.asfortranarray, lambda x: x[:, ::-1].copy()[:, ::-1]])
def test_memory_layouts(layout):
    out = transform(StandardScaler(), layout(sequences()))
    np.testing.assert_array_equal(out, transform(StandardScaler(), sequences()))


def test_frames_inside():
    scaler = modality_transformer(StandardScaler()).set_output(transform="pandas")
    X = {"m": sequences(), "table": pd.DataFrame({"a": np.arange(6.0), "b": 0.0})}
    out = scaler.fit_transform(X)
    assert isinstance(out["table"], pd.DataFrame) and isinstance(out["m"], np.ndarray)
    np.testing.assert_array_equal(out["m"], transform(StandardScaler(), sequences()))
    # Tables and sparse matrices have no steps: rows of zeros count.
    counts = {"m": sparse.csr_array(np.eye(3)), "n": np.eye(3)}
    out = ModalityTransformer(StandardScaler(with_mean=False)).fit_transform(counts)
    np.testing.assert_allclose(out["m"].toarray(), np.eye(3) / np.eye(3).std(0))
    np.testing.assert_allclose(out["n"], np.eye(3) / np.eye(3).std(0))


def test_dropped_and_passed_through():
    X = {"m": sequences(), "n": sequences()}
    assert ModalityTransformer({"n": "drop"}).fit_transform(X)["m"] is X["m"]


def test_parameters():
    scaler = ModalityTransformer({"m": StandardScaler()}, padding_value=-1.0)
    assert clone(scaler).padding_value == scaler.get_params()["padding_value"] == -1.0
    assert scaler.set_params(padding_value=None).padding_value is None
    assert "padding_value=-1" in repr(ModalityTransformer(padding_value=-1))


def test_grid_search():
    clf = MultimodalInfoRegClassifier(max_epochs=1, random_state=0)
    pipe = make_pipeline(ModalityTransformer(StandardScaler()), clf)
    X = ModalityDict({"m": np.tile(sequences(), (4, 1, 1)), "n": np.tile(Y, 4)[:, None]})
    grid = {"modalitytransformer__padding_value": [0.0, None]}
    search = GridSearchCV(pipe, grid, cv=2, error_score="raise").fit(X, np.tile(Y, 4))
    best = search.best_estimator_[0]
    assert best.padding_value == search.best_params_["modalitytransformer__padding_value"]
    seen = best.transformers_["m"].n_samples_seen_
    assert seen == 4 * (54 if best.padding_value is None else LENGTHS.sum())


@pytest.mark.parametrize("x", [sequences(), sequences() + 100], ids=["padded", "full"])
def test_errors_name_the_modality(x):
    with pytest.raises(ValueError, match=r"Modality 'm', SelectKBest: .*inconsistent.*\[6, 5\]"):
        transform(SelectKBest(k=1), x, Y[:5])
    n_real = LENGTHS.sum() if (x == 0).any() else 54
    cut = FunctionTransformer(lambda v: v[:3])
    with pytest.raises(ValueError, match=rf"'m', FunctionT.* 3 rows for {n_real} steps"):
        transform(cut, x)
    with pytest.raises(ValueError, match=r"Modality 'm', StandardScaler: .*0 sample"):
        transform(StandardScaler(), x[:0])


def test_no_work_a_sample():
    """A hundred thousand samples take numpy's time, not Python's."""
    x = np.zeros((100_000, 3, 1), dtype=np.float32)
    x[:, 0] = x[::2, 1] = 1
    table, real = flatten_time_steps(x, 0.0)
    samples = sample_of_step(x.shape, real)
    assert table.shape == (150_000, 1) and real.sum() == len(samples) == 150_000


def test_padding_by_modality():
    """Blank rows at the foot of an image are data, where a sequence beside it is padded."""
    rng = np.random.default_rng(0)
    sequence, image = rng.normal(1, 1, (5, 6, 3)), rng.normal(1, 1, (5, 6, 3))
    sequence[:, 4:] = image[:, 4:] = 0
    X = {"sequence": sequence, "image": image}
    scaler = ModalityTransformer(StandardScaler(), padding_value={"sequence": 0.0})
    out = scaler.fit_transform(X)
    assert (out["sequence"][:, 4:] == 0).all()
    by_hand = (image - image.mean(axis=(0, 1))) / image.std(axis=(0, 1))
    np.testing.assert_allclose(out["image"], by_hand, atol=1e-12)
    np.testing.assert_array_equal(scaler.transform(X)["image"], out["image"])


@pytest.mark.parametrize(
    "padding_value, words",
    [
        (
            {"sequenc": 0.0},
            ["'padding_value' parameter", "names 'sequenc'", "did you mean 'sequence'"],
        ),
        (
            {"sequence": np.inf},
            ["padding_value['sequence']", "None or NaN or a finite number", "Got inf."],
        ),
    ],
)
def test_bad_padding_by_modality(padding_value, words):
    with pytest.raises(ValueError) as info:
        ModalityTransformer(StandardScaler(), padding_value=padding_value).fit(
            {"sequence": np.ones((2, 3, 4))}
        )
    for word in words:
        assert word in str(info.value)
