"""One transformer a modality."""

import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.feature_selection import SelectKBest
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, OneHotEncoder, StandardScaler

from inforeg_sk import ModalityDict, ModalityTransformer, MultimodalClassifier

TEXTS = np.array(["red apple", "green apple", "red car", "blue car", "green tea", "blue sky"] * 4)


@pytest.fixture
def X():
    rng = np.random.default_rng(0)
    return {
        "vector": rng.normal(3, 2, size=(24, 5)),
        "sequence": rng.normal(-1, 4, size=(24, 6, 3)),
        "other": rng.normal(size=(24, 2)),
    }


@pytest.fixture
def y():
    return np.arange(24) % 3


def quick(**params):
    return MultimodalClassifier(max_epochs=2, random_state=0, **params)


def test_agrees_with_the_bare_transformers(X, y):
    transformers = {"vector": PCA(2, random_state=0), "other": MinMaxScaler()}
    both = ModalityTransformer(transformers)
    out = both.fit_transform(X, y)
    assert isinstance(out, ModalityDict) and out.modalities == ("vector", "sequence", "other")
    assert both.modalities_ == ("vector", "sequence", "other")
    for name, bare in transformers.items():
        expected = clone(bare).fit(X[name])
        np.testing.assert_allclose(out[name], expected.transform(X[name]), atol=1e-12)
        new = {k: v[:5] + 1 for k, v in X.items()}
        np.testing.assert_array_equal(
            ModalityTransformer(transformers).fit(X).transform(new)[name],
            expected.transform(new[name]),
        )
    assert out["sequence"] is X["sequence"]


def test_fit_statistics_come_from_fit(X):
    scaler = ModalityTransformer({"vector": StandardScaler()}).fit(X)
    mean, std = X["vector"].mean(0), X["vector"].std(0)
    out = scaler.transform({k: v + 7 for k, v in X.items()})["vector"]
    np.testing.assert_allclose(out, (X["vector"] + 7 - mean) / std)


def test_single_transformer_is_cloned_for_each(X):
    given = StandardScaler()
    scaler = ModalityTransformer(given).fit(X)
    fitted = list(scaler.transformers_.values())
    assert len({id(t) for t in [*fitted, given]}) == 4
    assert not hasattr(given, "mean_")
    for name in ("vector", "other"):
        np.testing.assert_allclose(scaler.transformers_[name].mean_, X[name].mean(0))


def test_given_transformers_are_not_fitted(X):
    transformers = {"vector": StandardScaler(), "other": "drop"}
    scaler = ModalityTransformer(transformers)
    scaler.fit(X), scaler.fit_transform(X)
    assert scaler.transformers is transformers and list(transformers) == ["vector", "other"]
    assert not hasattr(transformers["vector"], "mean_")
    assert scaler.transformers_["vector"] is not transformers["vector"]


def test_a_set_parameter_replaces_rather_than_mutates(X):
    transformers = {"vector": StandardScaler()}
    scaler = ModalityTransformer(transformers).set_params(vector="drop")
    assert scaler.transformers == {"vector": "drop"}
    assert isinstance(transformers["vector"], StandardScaler)


@pytest.mark.parametrize("remainder, left", [("passthrough", True), ("drop", False)])
def test_remainder(X, remainder, left):
    out = ModalityTransformer({"vector": StandardScaler()}, remainder=remainder).fit_transform(X)
    assert list(out) == (["vector", "sequence", "other"] if left else ["vector"])


def test_drop_and_passthrough(X):
    both = ModalityTransformer({"vector": "drop", "other": "passthrough"}).fit(X)
    out = both.transform(X)
    assert list(out) == ["sequence", "other"] == list(both.modalities_)
    assert out["other"] is X["other"]
    assert both.transformers_ == {
        "vector": "drop",
        "sequence": "passthrough",
        "other": "passthrough",
    }
    assert ModalityTransformer().fit_transform(X) == X


def test_three_axes_are_scaled_over_samples_and_steps(X):
    out = ModalityTransformer({"sequence": StandardScaler()}).fit_transform(X)["sequence"]
    expected = (X["sequence"] - X["sequence"].mean((0, 1))) / X["sequence"].std((0, 1))
    np.testing.assert_allclose(out, expected)
    assert out.shape == (24, 6, 3)


def test_three_axes_may_change_their_last(X):
    out = ModalityTransformer({"sequence": PCA(2)}).fit(X).transform(X)["sequence"]
    assert out.shape == (24, 6, 2)
    flat = PCA(2).fit_transform(X["sequence"].reshape(-1, 3)).reshape(24, 6, 2)
    np.testing.assert_allclose(np.abs(out), np.abs(flat))


def test_four_axes_and_sparse_output():
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 3, size=(4, 5, 2, 1))
    out = ModalityTransformer({"m": OneHotEncoder()}).fit_transform({"m": codes})["m"]
    np.testing.assert_array_equal(out, np.eye(3)[codes[..., 0]])


def test_texts_to_sparse(y):
    X = {"text": TEXTS, "other": np.ones((24, 1))}
    out = ModalityTransformer({"text": CountVectorizer()}).fit_transform(X)["text"]
    assert sparse.issparse(out) and out.format == "csr"
    expected = CountVectorizer().fit_transform(TEXTS)
    assert (out != expected).nnz == 0
    # The classifier takes it as it is, and sees what it would in a dense array (which the network
    # would center).
    raw = quick(standardize=False)
    sparse_fit = raw.fit({"text": out, "other": X["other"]}, y)
    dense = {"text": out.toarray(), "other": X["other"]}
    np.testing.assert_array_equal(
        sparse_fit.predict_proba({"text": out, "other": X["other"]}),
        quick(standardize=False).fit(dense, y).predict_proba(dense),
    )


def test_texts_to_vectors_to_a_classifier(y):
    X = ModalityDict({"text": TEXTS, "other": np.random.default_rng(0).normal(size=(24, 2))})
    svd = make_pipeline(TfidfVectorizer(), TruncatedSVD(2, random_state=0))
    model = make_pipeline(ModalityTransformer({"text": svd}), quick()).fit(X, y)
    expected = quick().fit({**X, "text": clone(svd).fit_transform(TEXTS)}, y)
    np.testing.assert_array_equal(
        model.predict_proba(X),
        expected.predict_proba({**X, "text": clone(svd).fit_transform(TEXTS)}),
    )
    names = model[0].get_feature_names_out()
    assert names[:2].tolist() == ["text__truncatedsvd0", "text__truncatedsvd1"]


def test_supervised_transformer_uses_y(X, y):
    X = {**X, "vector": X["vector"].copy()}
    X["vector"][:, 3] = y + 1e-3 * X["vector"][:, 0]  # the one column that tells the class
    out = ModalityTransformer({"vector": SelectKBest(k=1)}).fit_transform(X, y)["vector"]
    np.testing.assert_array_equal(out, X["vector"][:, [3]])
    out = ModalityTransformer({"vector": SelectKBest(k=1)}).fit(X, y).transform(X)["vector"]
    np.testing.assert_array_equal(out, X["vector"][:, [3]])


def test_supervised_transformer_of_steps_gets_each_samples_label_for_each_step(X, y):
    X = {"sequence": X["sequence"].copy()}
    X["sequence"][:, :, 1] = y[:, None] + 1e-3 * X["sequence"][:, :, 0]
    out = ModalityTransformer({"sequence": SelectKBest(k=1)}).fit_transform(X, y)["sequence"]
    np.testing.assert_array_equal(out, X["sequence"][:, :, [1]])


def test_a_transformer_without_fit_transform(X):
    class Half(BaseEstimator):
        def fit(self, X, y=None):
            self.fitted_ = True
            return self

        def transform(self, X):
            assert self.fitted_
            return X / 2

    out = ModalityTransformer({"vector": Half()}).fit_transform(X)["vector"]
    np.testing.assert_array_equal(out, X["vector"] / 2)


# Names and output containers


def test_feature_names(X):
    frame = pd.DataFrame(X["other"], columns=["pitch", "energy"])
    X = {**X, "other": frame, "text": TEXTS}
    both = ModalityTransformer(
        {"vector": PCA(2), "other": StandardScaler(), "text": CountVectorizer()},
    ).fit(X)
    words = sorted({word for text in TEXTS for word in text.split()})
    assert both.get_feature_names_out().tolist() == [
        "vector__pca0",
        "vector__pca1",
        *[f"sequence__x{i}" for i in range(3)],
        "other__pitch",
        "other__energy",
        *[f"text__{word}" for word in words],
    ]
    raw = ModalityTransformer(remainder="drop").fit({"text": TEXTS, "other": frame})
    assert raw.get_feature_names_out().tolist() == ["text__x0", "other__pitch", "other__energy"]


def test_feature_names_of_several_arrays(X):
    several = {
        "scores": np.ones((24, 2)),
        "ids": np.ones((24, 3), int),
        "steps": np.ones((24, 5, 2)),
        "length": np.arange(24),
    }
    X = {"s": several, "other": X["other"]}
    both = ModalityTransformer({"other": StandardScaler()}).fit(X)
    assert sorted(both.get_feature_names_out()) == [
        *("other__x0", "other__x1"),
        *("s__ids__x0", "s__ids__x1", "s__ids__x2", "s__length__x0"),
        *("s__scores__x0", "s__scores__x1", "s__steps__x0", "s__steps__x1"),
    ]
    assert list(both.transform(X)["s"]) == list(several)


def test_feature_names_leave_out_what_is_dropped(X):
    kept = ModalityTransformer({"vector": "drop", "sequence": "drop"}).fit(X)
    assert kept.get_feature_names_out().tolist() == ["other__x0", "other__x1"]
    with pytest.raises(NotFittedError):
        ModalityTransformer().get_feature_names_out()

    class Nameless(TransformerMixin, BaseEstimator):
        def fit(self, X, y=None):
            return self

        def transform(self, X):
            return X

    with pytest.raises(AttributeError, match="'vector', Nameless, does not provide"):
        ModalityTransformer({"vector": Nameless()}).fit(X).get_feature_names_out()


@pytest.mark.parametrize("how", ["method", "method after fit", "pipeline", "global"])
def test_pandas_output(X, y, how):
    scaler = ModalityTransformer({"vector": StandardScaler(), "sequence": StandardScaler()})
    expected = ModalityTransformer(scaler.transformers).fit_transform(X)
    if how == "global":
        with sklearn.config_context(transform_output="pandas"):
            out = scaler.fit_transform(X)
            predictions = make_pipeline(scaler, quick()).fit(X, y).predict_proba(X)
    elif how == "pipeline":
        pipe = make_pipeline(scaler, quick()).set_output(transform="pandas").fit(X, y)
        out, predictions = pipe[:-1].transform(X), pipe.predict_proba(X)
    elif how == "method":
        out = scaler.set_output(transform="pandas").fit_transform(X)
        predictions = quick().fit(out, y).predict_proba(out)
    else:
        scaler.fit(X)
        out = scaler.set_output(transform="pandas").transform(X)
        predictions = quick().fit(out, y).predict_proba(out)
    assert isinstance(out, ModalityDict)
    assert isinstance(out["vector"], pd.DataFrame)
    assert isinstance(out["sequence"], np.ndarray) and out["sequence"].shape == (24, 6, 3)
    np.testing.assert_array_equal(out["vector"], expected["vector"])
    np.testing.assert_array_equal(out["sequence"], expected["sequence"])
    np.testing.assert_array_equal(predictions, quick().fit(expected, y).predict_proba(expected))


def test_frames_keep_their_names(X):
    frame = pd.DataFrame(X["vector"], columns=list("abcde"), index=range(100, 124))
    scaler = ModalityTransformer({"vector": StandardScaler()}).set_output(transform="pandas")
    out = scaler.fit_transform({"vector": frame})["vector"]
    assert list(out.columns) == list("abcde") and list(out.index) == list(range(100, 124))
    with pytest.raises(ValueError, match="'vector': the feature names"):
        scaler.transform({"vector": frame.rename(columns={"a": "z"})})


# Parameters


def test_nested_parameters(X):
    scaler = ModalityTransformer({"vector": StandardScaler(), "other": "drop"})
    params = scaler.get_params()
    assert params["vector__with_mean"] is True and params["other"] == "drop"
    assert params["transformers"] is scaler.transformers
    assert set(scaler.get_params(deep=False)) == {
        "transformers",
        "remainder",
        "padding_value",
        "missing",
    }
    scaler.set_params(vector__with_mean=False, remainder="drop")
    assert scaler.transformers["vector"].with_mean is False and scaler.remainder == "drop"
    assert list(scaler.fit_transform(X)) == ["vector"]
    scaler.set_params(transformers={"other": PCA()}, other__n_components=1)
    assert scaler.transformers["other"].n_components == 1
    single = ModalityTransformer(StandardScaler())
    assert single.get_params()["transformers__with_mean"] is True
    assert single.set_params(transformers__with_mean=False).transformers.with_mean is False
    empty = ModalityTransformer({}).set_params(remainder="drop")
    assert empty.remainder == "drop" and empty.get_params()["transformers"] == {}


@pytest.mark.parametrize("given", [{"vector": StandardScaler()}, StandardScaler(), "passthrough"])
@pytest.mark.parametrize("name", ["txt__with_mean", "vectr", "remaindr"])
def test_unknown_parameters(given, name):
    with pytest.raises(ValueError, match="Invalid parameter"):
        ModalityTransformer(given).set_params(**{name: True})


def test_clone(X):
    scaler = ModalityTransformer({"vector": StandardScaler(with_std=False)}, remainder="drop")
    scaler.fit(X)
    copy = clone(scaler)
    assert copy.remainder == "drop" and not hasattr(copy, "transformers_")
    assert copy.transformers["vector"] is not scaler.transformers["vector"]
    assert copy.transformers["vector"].with_std is False


@pytest.mark.parametrize(
    "transformers, key",
    [
        ({"vector": StandardScaler()}, "modalitytransformer__vector__with_mean"),
        (StandardScaler(), "modalitytransformer__transformers__with_mean"),
    ],
)
def test_grid_search(X, y, transformers, key):
    pipe = make_pipeline(ModalityTransformer(transformers), quick())
    search = GridSearchCV(pipe, {key: [True, False]}, cv=2, error_score="raise")
    search.fit(ModalityDict(X), y)
    assert [p[key] for p in search.cv_results_["params"]] == [True, False]
    best = search.best_estimator_[0].transformers_["vector"]
    assert best.with_mean is search.best_params_[key]
    # The two settings give different data, so the search has really set them.
    out = [
        clone(pipe).set_params(**{key: value})[0].fit_transform(X)["vector"].mean()
        for value in (True, False)
    ]
    assert abs(out[0]) < 1e-12 < abs(out[1])


def test_grid_search_over_steps(X, y):
    pipe = make_pipeline(ModalityTransformer({"vector": StandardScaler()}), quick())
    grid = {"modalitytransformer__vector": ["drop", PCA(1)], "multimodalclassifier__lr": [0.01]}
    search = GridSearchCV(pipe, grid, cv=2, error_score="raise").fit(ModalityDict(X), y)
    assert len(search.cv_results_["params"]) == 2


def test_pickle_and_html(X):
    scaler = ModalityTransformer({"vector": StandardScaler(), "other": PCA(1)}).fit(X)
    again = pickle.loads(pickle.dumps(scaler))
    assert again.transform(X) == scaler.transform(X)
    assert "StandardScaler" in repr(scaler) and "ModalityTransformer" in repr(scaler)
    for estimator in (ModalityTransformer({"vector": StandardScaler()}), scaler):
        assert "ModalityTransformer" in estimator._repr_html_()
        assert "ModalityTransformer" in make_pipeline(estimator)._repr_html_()


# Errors


PADDING_VALUE = (
    "The 'padding_value' parameter of ModalityTransformer",
    "None or NaN or a finite number or a dict of these by modality",
)


@pytest.mark.parametrize("method", ["fit", "fit_transform"])
@pytest.mark.parametrize(
    "params, error, words",
    [
        ({"transformers": {"vectr": PCA()}}, ValueError, ["'vectr'", "'vector'", "'sequence'"]),
        ({"transformers": {"vector": PCA}}, TypeError, ["'vector'", "PCA", "'passthrough'"]),
        ({"transformers": {"vector": None}}, TypeError, ["'vector'", "None", "'drop'"]),
        ({"transformers": {"vector": "pass"}}, TypeError, ["'vector'", "'pass'", "'drop'"]),
        ({"transformers": None}, TypeError, ["None", "fit and transform"]),
        ({"transformers": [("vector", PCA())]}, TypeError, ["PCA()", "fit and transform"]),
        (
            {"remainder": "keep"},
            ValueError,
            ["'remainder' parameter", "'passthrough', 'drop'.", "Got 'keep'."],
        ),
        ({"padding_value": -np.inf}, ValueError, [*PADDING_VALUE, "Got -inf."]),
        ({"padding_value": "0"}, ValueError, [*PADDING_VALUE, "Got '0'."]),
        ({"padding_value": True}, ValueError, [*PADDING_VALUE, "Got True."]),
        ({"padding_value": [0.0]}, ValueError, [*PADDING_VALUE, "Got [0.0]."]),
        ({"transformers": {"vector": PCA(99)}}, ValueError, ["Modality 'vector', PCA: ", "99"]),
        ({"transformers": {"vector": CountVectorizer()}}, ValueError, ["'vector', CountVec"]),
    ],
)
def test_bad_settings(X, params, error, words, method):
    scaler = ModalityTransformer(**params)
    before = set(vars(scaler))
    with pytest.raises(error) as info:
        getattr(scaler, method)(X)
    for word in words:
        assert word in str(info.value)
    assert set(vars(scaler)) == before
    with pytest.raises(NotFittedError):
        scaler.transform(X)


@pytest.mark.parametrize("error", [KeyError, AttributeError, ZeroDivisionError, TypeError])
def test_errors_of_a_transformer_name_the_modality(X, error):
    def fail(values):
        raise error("lost")

    scaler = ModalityTransformer({"other": FunctionTransformer(fail)})
    kind = TypeError if error is TypeError else ValueError
    for method in (scaler.fit_transform, scaler.fit(X).transform):
        with pytest.raises(kind, match=r"Modality 'other', FunctionTransformer: .*lost") as info:
            method(X)
        assert isinstance(info.value.__cause__, error)


def test_a_failed_fit_leaves_the_fitted_transformer(X):
    scaler = ModalityTransformer({"vector": StandardScaler()}).fit(X)
    before = scaler.transform(X)
    with pytest.raises(ValueError):
        scaler.fit({**X, "vector": np.full((24, 5), np.inf)})
    with pytest.raises(ValueError):
        scaler.fit({"other": X["other"]})
    assert scaler.transform(X) == before


def test_nothing_is_left(X):
    with pytest.raises(ValueError, match="dropped every modality"):
        ModalityTransformer("drop").fit_transform(X)


def test_rows_that_went_missing(X):
    cut = FunctionTransformer(lambda v: v[:3])
    with pytest.raises(ValueError, match=r"'vector', FunctionTransf.* 3 rows for 24 samples"):
        ModalityTransformer({"vector": cut}).fit_transform(X)


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda X: {"vector": X["vector"]}, ["misses 'sequence', 'other'", "fitted with"]),
        (lambda X: {**X, "new": X["other"]}, ["unknown 'new'", "'vector', 'sequence', 'other'"]),
        (lambda X: {**X, "vector": X["vector"][:, :2]}, ["'vector', StandardScaler", "2 features"]),
        (lambda X: {**X, "vector": X["vector"][:3]}, ["'vector' has 3"]),
    ],
)
def test_other_data_at_transform(X, change, words):
    scaler = ModalityTransformer({"vector": StandardScaler()}).fit(X)
    with pytest.raises(ValueError) as info:
        scaler.transform(change(X))
    for word in words:
        assert word in str(info.value)


@pytest.mark.parametrize("data", [None, np.ones((3, 2)), [1, 2]])
def test_not_modalities(data):
    with pytest.raises(TypeError, match=f"mapping.*got {type(data).__name__}"):
        ModalityTransformer().fit(data)
