"""Metadata routing: what transformers ask for reaches them, with the samples it belongs to."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.model_selection import cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.fixes import parse_version
from sklearn.utils.metadata_routing import get_routing_for_object

from inforeg_sk import ModalityDict, ModalityTransformer, MultimodalClassifier

N = 20
W = np.arange(1.0, N + 1)
Y = np.arange(N) % 2


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@pytest.fixture
def X():
    rng = np.random.default_rng(0)
    return {"a": rng.normal(size=(N, 3)), "b": rng.normal(size=(N, 2))}


class Recorder(TransformerMixin, BaseEstimator):
    """Keeps what it is given."""

    def fit(self, X, y=None, sample_weight=None, note=None):
        self.X_, self.y_, self.weight_, self.note_ = X, y, sample_weight, note
        return self

    def transform(self, X, shift=None):
        return X if shift is None else X + np.reshape(shift, (-1, 1))


def weighted(**kwargs):
    return StandardScaler(**kwargs).set_fit_request(sample_weight=True)


@pytest.mark.parametrize("method", ["fit", "fit_transform"])
@pytest.mark.parametrize("single", [True, False])
def test_weights_reach_each_transformer_that_asks(routing, X, method, single):
    transformers = weighted() if single else {"a": weighted(), "b": StandardScaler()}
    if not single:
        transformers["b"].set_fit_request(sample_weight=False)
    both = ModalityTransformer(transformers)
    getattr(both, method)(X, Y, sample_weight=W)
    for name in X:
        weights = W if single or name == "a" else None
        mean = np.average(X[name], axis=0, weights=weights)
        np.testing.assert_allclose(both.transformers_[name].mean_, mean)


def test_a_pipeline_hands_weights_on_as_to_a_column_transformer(routing, X):
    table = np.c_[X["a"], X["b"]]
    columns = ColumnTransformer([("a", weighted(), [0, 1, 2]), ("b", weighted(), [3, 4])])
    theirs = make_pipeline(columns).fit(table, Y, sample_weight=W)[0]
    clf = MultimodalClassifier(max_epochs=1, random_state=0).set_fit_request(sample_weight=True)
    ours = make_pipeline(ModalityTransformer(weighted()), clf).fit(X, Y, sample_weight=W)[0]
    for name in X:
        mean = theirs.named_transformers_[name].mean_
        np.testing.assert_allclose(ours.transformers_[name].mean_, mean)


def test_cross_validation_cuts_weights_with_the_samples(routing, X):
    clf = MultimodalClassifier(max_epochs=1, random_state=0)
    clf.set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
    pipe = make_pipeline(ModalityTransformer(weighted()), clf)
    if parse_version(sklearn.__version__) < parse_version("1.7"):
        pipe.set_score_request(sample_weight=True)  # later pipelines pass the request on
    folds = cross_validate(
        pipe,
        ModalityDict(X),
        Y,
        cv=2,
        params={"sample_weight": W},
        return_estimator=True,
        return_indices=True,
        error_score="raise",
    )
    for fitted, rows in zip(folds["estimator"], folds["indices"]["train"]):
        mean = np.average(X["a"][rows], axis=0, weights=W[rows])
        np.testing.assert_allclose(fitted[0].transformers_["a"].mean_, mean)


@pytest.mark.parametrize("weights", [W, list(W), pd.Series(W, index=range(40, 60))])
def test_weights_are_repeated_for_the_real_steps(routing, weights):
    x = np.random.default_rng(0).normal(3, 1, size=(N, 4, 2))
    lengths = np.arange(N) % 4 + 1
    real = np.arange(4) < lengths[:, None]
    x[~real] = np.nan
    both = ModalityTransformer(weighted()).fit({"m": x}, sample_weight=weights)
    mean = np.average(x[real], axis=0, weights=np.repeat(W, lengths))
    np.testing.assert_allclose(both.transformers_["m"].mean_, mean)


def test_weights_are_cut_for_missing_samples(routing, X):
    X["a"][[0, 7, 8]] = np.nan
    present = ~np.isnan(X["a"][:, 0])
    both = ModalityTransformer(weighted(), missing="allow").fit(X, sample_weight=W)
    mean = np.average(X["a"][present], axis=0, weights=W[present])
    np.testing.assert_allclose(both.transformers_["a"].mean_, mean)
    np.testing.assert_allclose(both.transformers_["b"].mean_, np.average(X["b"], axis=0, weights=W))


@pytest.mark.parametrize("missing", ["pass", "allow"])
@pytest.mark.parametrize("shape", [(N, 3), (N, 4, 3)])
@pytest.mark.parametrize("n", [N - 1, N + 5])
def test_another_number_of_weights_or_targets_is_an_error(routing, shape, missing, n):
    x = np.random.default_rng(0).normal(size=shape)
    x[0] = np.nan
    both = ModalityTransformer(weighted(), missing=missing)
    with pytest.raises(ValueError, match=rf"'m', StandardScaler: .*\[20, {n}\]: sample_weight"):
        both.fit({"m": x}, sample_weight=np.ones(n))
    with pytest.raises(ValueError, match=rf"'m', StandardScaler: .*\[20, {n}\]: y"):
        both.fit({"m": x}, np.ones(n))


def test_what_is_not_one_a_sample_is_handed_on_as_it_is(routing, X):
    recorder = Recorder().set_fit_request(sample_weight=True, note=True)
    for note in ("a text", {"x": 1}, [1, 2], 3.0, None):
        both = ModalityTransformer(recorder).fit(X, Y, sample_weight=W, note=note)
        assert both.transformers_["a"].note_ == note
        np.testing.assert_array_equal(both.transformers_["a"].weight_, W)


def test_metadata_of_transform(routing, X):
    recorder = Recorder().set_transform_request(shift=True)
    both = ModalityTransformer({"a": recorder, "b": "drop"}).fit(X)
    np.testing.assert_array_equal(both.transform(X, shift=W)["a"], X["a"] + W[:, None])
    assert both.transform(X)["a"] is X["a"]


def test_without_fit_transform_each_method_gets_its_own(routing, X):
    class Halves(BaseEstimator):
        def fit(self, X, y=None, sample_weight=None):
            self.weight_ = sample_weight
            return self

        def transform(self, X, shift=None):
            return X + shift

    halves = Halves().set_fit_request(sample_weight=True).set_transform_request(shift=True)
    both = ModalityTransformer({"a": halves})
    out = both.fit_transform(X, sample_weight=W, shift=2.0)["a"]
    np.testing.assert_array_equal(out, X["a"] + 2)
    np.testing.assert_array_equal(both.transformers_["a"].weight_, W)


def test_what_nobody_said_yes_or_no_to_is_refused(routing, X):
    with pytest.raises(UnsetMetadataPassedError, match=r"StandardScaler\.fit"):
        ModalityTransformer({"a": StandardScaler()}).fit(X, sample_weight=W)


@pytest.mark.parametrize("transformers", ["passthrough", "drop", {"a": "drop"}])
def test_what_nobody_takes_is_refused(routing, X, transformers):
    with pytest.raises(TypeError, match=r"unexpected argument.*sample_weight"):
        ModalityTransformer(transformers).fit(X, sample_weight=W)


@pytest.mark.parametrize("method", ["fit", "fit_transform", "transform"])
def test_without_routing_metadata_are_refused(X, method):
    both = ModalityTransformer(StandardScaler()).fit(X)
    with pytest.raises(ValueError, match="enable_metadata_routing=True"):
        getattr(both, method)(X, sample_weight=W)
    with pytest.raises(ValueError, match="enable_metadata_routing=True"):
        make_pipeline(both).fit(X, modalitytransformer__sample_weight=W)


@pytest.mark.parametrize("name", ["self", "method_mapping", "owner", "a b", "keys", "fit"])
def test_any_name_of_a_modality(routing, X, name):
    X = {name: X["a"]}
    both = ModalityTransformer({name: weighted()}).fit(X, sample_weight=W)
    mean = np.average(X[name], axis=0, weights=W)
    np.testing.assert_allclose(both.transformers_[name].mean_, mean)
    assert f"transformers[{name!r}]" in str(get_routing_for_object(both))
