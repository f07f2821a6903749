"""Deep ensembles: what they say is worked out by hand from their members."""

import logging
import pickle

import joblib
import missing
import numpy as np
import pytest
import regression
import sklearn
from entry_points import PLAIN, TABLE, WEIGHT, N, X, Y, make, make_2d, rows
from searches import near
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from inforeg_sk import (
    DeepEnsembleClassifier,
    DeepEnsembleRegressor,
    ModalityTransformer,
    MultimodalInfoRegClassifier,
    MultimodalInfoRegRegressor,
)

close, equal = np.testing.assert_allclose, np.testing.assert_array_equal


def ensemble(estimator=None, cls=DeepEnsembleClassifier, **kwargs):
    return cls(estimator or make(), **{"n_members": 3, "random_state": 0, **kwargs})


@pytest.fixture(scope="module")
def fitted():
    return ensemble().fit(X, Y)


def members_probabilities(model, data=X):
    return np.stack([member.predict_proba(data) for member in model.members_])


def test_probabilities_and_labels_are_those_of_the_mean_member(fitted):
    mean = members_probabilities(fitted).mean(axis=0)
    close(fitted.predict_proba(X), mean, rtol=1e-14)
    close(fitted.predict_log_proba(X), np.log(mean), rtol=1e-12)
    equal(fitted.predict(X), np.array(["anger", "fear", "joy"])[mean.argmax(axis=1)])
    assert fitted.score(X, Y) == accuracy_score(Y, fitted.predict(X))
    weighted = accuracy_score(Y, fitted.predict(X), sample_weight=WEIGHT)
    assert fitted.score(X, Y, sample_weight=WEIGHT) == weighted != fitted.score(X, Y)


def test_the_spread_is_the_standard_deviation_over_the_members(fitted):
    each = members_probabilities(fitted)
    close(fitted.predict_std(X), each.std(axis=0, ddof=0), rtol=1e-9, atol=1e-15)
    assert (fitted.predict_std(X) > 0).all()


def test_uncertainty_is_the_decomposition_of_the_entropy_by_hand(fitted):
    each = members_probabilities(fitted)
    found = fitted.uncertainty(X)
    for i in (0, 17):  # in plain sums
        mean = [np.mean([p[i, c] for p in each]) for c in range(3)]
        total = -sum(m * np.log(m) for m in mean)
        aleatoric = np.mean([-sum(p[i, c] * np.log(p[i, c]) for c in range(3)) for p in each])
        # Mutual information: the members' mean Kullback-Leibler divergence from their mean.
        epistemic = np.mean(
            [sum(p[i, c] * np.log(p[i, c] / mean[c]) for c in range(3)) for p in each]
        )
        close([u[i] for u in found], [total, aleatoric, epistemic], rtol=1e-9)
    close(found.total, found.aleatoric + found.epistemic, rtol=1e-12)


def test_uncertainty_of_known_members(fitted, monkeypatch):
    sure = np.array([[1.0, 0.0]])
    answers = [sure, sure[:, ::-1]]
    monkeypatch.setattr(fitted, "_each", lambda method, data: iter(answers))
    monkeypatch.setattr(fitted, "members_", [None, None])
    # Each is sure, and they disagree: all of log 2 is epistemic.
    close(fitted.uncertainty(X), [[np.log(2)], [0], [np.log(2)]])
    with np.errstate(all="raise"):
        monkeypatch.setattr(fitted, "_each", lambda method, data: iter([sure, sure]))
        equal(fitted.predict_log_proba(X), [[0, -np.inf]])


def test_members_differ_and_a_single_one_is_the_estimator_with_its_seed(fitted):
    seeds = [member.random_state for member in fitted.members_]
    assert len(set(seeds)) == 3 and fitted.estimator.random_state == 0
    alone = ensemble(n_members=1).fit(X, Y)
    assert alone.members_[0].random_state == seeds[0]
    for member, seed in zip(fitted.members_, seeds, strict=True):
        near(member.predict_proba(X), make(random_state=seed).fit(PLAIN, Y).predict_proba(X))
    expected = make(random_state=seeds[0]).fit(PLAIN, Y).predict_proba(X)
    equal(alone.predict_proba(X), expected)
    equal(alone.predict_std(X), np.zeros((N, 3)))


def test_an_int_repeats_a_fit_whatever_n_jobs_and_none_does_not(fitted):
    with joblib.parallel_backend("threading"):
        divided = ensemble(n_jobs=2).fit(X, Y)
    for again in (ensemble().fit(PLAIN, Y), divided):
        assert [m.random_state for m in again.members_] == [m.random_state for m in fitted.members_]
        near(again.predict_proba(X), fitted.predict_proba(X))
    fresh = [ensemble(random_state=None).fit(X, Y).predict_proba(X) for _ in range(2)]
    assert (fresh[0] != fresh[1]).any()
    more = ensemble(n_members=4).fit(X, Y)
    assert more.members_[2].random_state == fitted.members_[2].random_state


def test_modalities_alone_are_averaged_and_scored(fitted):
    found = fitted.predict_proba_by_modality(X)
    assert list(found) == ["strong", "weak"] == list(fitted.modalities_)
    scores = fitted.score_by_modality(X, Y, WEIGHT)
    for name, values in found.items():
        each = [member.predict_proba_by_modality(X)[name] for member in fitted.members_]
        close(values, np.mean(each, axis=0), rtol=1e-14)
        labels = fitted.classes_[values.argmax(axis=1)]
        assert scores[name] == accuracy_score(Y, labels, sample_weight=WEIGHT)
    with pytest.raises(ValueError, match="'samples' parameter of score_by_modality"):
        fitted.score_by_modality(X, Y, samples="all")


def test_missing_modalities():
    data, y = missing.make_complete()
    present = missing.draw_present()
    data = missing.blank(data, present)
    model = ensemble(missing.make()).fit(data, y)
    alone = model.predict_proba_by_modality(data)["audio"]
    equal(np.isnan(alone).all(axis=1), ~present["audio"])
    rows_ = present["audio"]
    expected = accuracy_score(y[rows_], model.classes_[alone[rows_].argmax(axis=1)])
    assert model.score_by_modality(data, y, samples="each")["audio"] == expected
    common = np.logical_and.reduce(list(present.values()))
    expected = accuracy_score(y[common], model.classes_[alone[common].argmax(axis=1)])
    assert model.score_by_modality(data, y)["audio"] == expected
    assert np.isfinite(model.predict_std({"text": data["text"][present["text"]]})).all()


@pytest.mark.parametrize("outputs", [1, 2])
def test_a_regressor(outputs):
    data, y = regression.make_data(60)
    y = y if outputs == 1 else np.stack([y, -2 * y], axis=1)
    model = ensemble(regression.make(max_epochs=2), DeepEnsembleRegressor).fit(data, y)
    each = np.stack([member.predict(data) for member in model.members_])
    close(model.predict(data), each.mean(axis=0), rtol=1e-12)
    close(model.predict_std(data), each.std(axis=0), rtol=1e-6)
    assert model.predict(data).shape == model.predict_std(data).shape == y.shape
    assert model.score(data, y, WEIGHT[:60]) == r2_score(
        y, model.predict(data), sample_weight=WEIGHT[:60]
    )
    by_modality = model.predict_by_modality(data)
    scores = model.score_by_modality(data, y)
    for name, values in by_modality.items():
        found = [member.predict_by_modality(data)[name] for member in model.members_]
        close(values, np.mean(found, axis=0), rtol=1e-12)
        close(scores[name], r2_score(y, values))
    assert not hasattr(model, "predict_proba") and not hasattr(model, "classes_")


def test_defaults_and_kinds():
    for cls, estimator, kind in [
        (DeepEnsembleClassifier, MultimodalInfoRegClassifier, is_classifier),
        (DeepEnsembleRegressor, MultimodalInfoRegRegressor, is_regressor),
    ]:
        model = cls()
        assert kind(model) and model.n_members == 10 and model.estimator is None
        assert type(model._base()) is estimator
        assert sklearn.utils.get_tags(model).input_tags.dict
    assert sklearn.utils.get_tags(ensemble(make(missing="allow"))).input_tags.allow_nan


def test_sample_weights_and_further_arguments_reach_each_member():
    held_out = (rows(np.arange(9)), Y[:9])
    model = ensemble(n_members=2).fit(X, Y, WEIGHT, validation_data=held_out)
    for member in model.members_:
        alone = make(random_state=member.random_state)
        alone.fit(PLAIN, Y, sample_weight=WEIGHT, validation_data=held_out)
        near(member.predict_proba(X), alone.predict_proba(X))
        assert member.history[:, "valid_loss"] == alone.history[:, "valid_loss"]


def test_weights_are_routed_where_they_are_asked_for():
    with sklearn.config_context(enable_metadata_routing=True):
        clf = make().set_fit_request(sample_weight=True).set_score_request(sample_weight=False)
        model = ensemble(clf)
        assert not hasattr(model, "set_fit_request") or "sample_weight" not in str(
            model.set_fit_request.__signature__
        )
        expected = ensemble(clf).fit(X, Y, sample_weight=WEIGHT).predict_proba(X)
        pipe = make_pipeline(ModalityTransformer("passthrough"), model)
        equal(pipe.fit(X, Y, sample_weight=WEIGHT).predict_proba(X), expected)
        scores = cross_val_score(
            model, X, Y, cv=2, params={"sample_weight": WEIGHT}, error_score="raise"
        )
        assert len(scores) == 2
        with pytest.raises(sklearn.exceptions.UnsetMetadataPassedError, match="sample_weight"):
            ensemble().fit(X, Y, sample_weight=WEIGHT)
    assert (ensemble(clf).fit(X, Y).predict_proba(X) != expected).any()


class Counting(ModalityTransformer):
    fits = 0

    def fit(self, X, y=None, **params):
        Counting.fits += 1
        return super().fit(X, y, **params)

    def fit_transform(self, X, y=None, **params):
        Counting.fits += 1
        return super().fit_transform(X, y, **params)


def test_the_front_of_a_pipeline_is_fitted_once_for_all_members():
    pipe = Pipeline([("scale", Counting(StandardScaler())), ("clf", make())])
    model = ensemble(pipe).fit(X, Y, WEIGHT)
    assert Counting.fits == 1 and len({id(member[0]) for member in model.members_}) == 1
    scaled = {name: StandardScaler().fit_transform(PLAIN[name]) for name in PLAIN}
    seeds = [member[-1].random_state for member in model.members_]
    alone = [make(random_state=s).fit(scaled, Y, sample_weight=WEIGHT) for s in seeds]
    near(model.predict_proba(X), np.mean([m.predict_proba(scaled) for m in alone], axis=0))
    near(model.predict_proba(X), members_probabilities(model).mean(axis=0))
    assert model.modalities_ == ("strong", "weak") and set(model.score_by_modality(X, Y)) == set(X)
    with pytest.raises(TypeError, match="got sample_weight and clf__sample_weight"):
        model.fit(X, Y, WEIGHT, clf__sample_weight=WEIGHT)
    single = ensemble(Pipeline([("clf", make())]), n_members=2).fit(X, Y)
    near(single.predict_proba(X), ensemble(n_members=2).fit(X, Y).predict_proba(X))


def test_tables_and_their_columns():
    model = ensemble(make_2d()).fit(TABLE, Y)
    assert model.n_features_in_ == 10 and not hasattr(model, "feature_names_in_")
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(TABLE).add_prefix("x")
    names = {"a": list(frame.columns[:6]), "b": list(frame.columns[6:])}
    model = ensemble(make(modalities=names)).fit(frame, Y)
    assert list(model.feature_names_in_) == list(frame.columns)
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame[frame.columns[::-1]])


def test_clones_pickles_searches_and_cross_validation(fitted):
    again = pickle.loads(pickle.dumps(fitted))
    equal(again.predict_proba(X), fitted.predict_proba(X))
    assert clone(fitted).get_params()["estimator__lr"] == fitted.estimator.lr
    search = GridSearchCV(ensemble(n_members=2), {"estimator__alpha": [0, 5]}, cv=2).fit(X, Y)
    assert search.best_estimator_.members_[0].alpha == search.best_params_["estimator__alpha"]
    pipe = make_pipeline(ModalityTransformer(StandardScaler()), ensemble(n_members=2))
    assert len(cross_val_score(pipe, X, Y, cv=2, error_score="raise")) == 2


def test_members_that_need_fits_of_their_own(caplog):
    class OfTheUser(MultimodalInfoRegClassifier):
        pass

    clf = OfTheUser(max_epochs=1)
    with caplog.at_level(logging.INFO, "inforeg_sk.model_selection"):
        model = ensemble(clf, n_members=2).fit(X, Y)
    reason = "OfTheUser is none of the estimators of this library"
    assert caplog.messages == [f"2 fits, one after another: {reason}"]
    for member in model.members_:
        alone = clone(clf).set_params(random_state=member.random_state).fit(X, Y)
        equal(member.predict_proba(X), alone.predict_proba(X))


class FailsAtTimes(MultimodalInfoRegClassifier):
    """Fails in each third fit, or is interrupted there."""

    raised, fits = KeyError("told to fail"), 0

    def fit_loop(self, *args, **kwargs):
        FailsAtTimes.fits += 1
        if FailsAtTimes.fits % 3 == 0:
            raise self.raised
        return super().fit_loop(*args, **kwargs)


@pytest.mark.parametrize(
    "raised, kind, said",
    [
        (KeyError("told"), RuntimeError, "KeyError: 'told'"),
        (ValueError("told"), ValueError, "told"),
        (TypeError("told"), TypeError, "told"),
    ],
)
def test_an_error_of_a_member_names_it_and_keeps_the_model(monkeypatch, raised, kind, said):
    model = ensemble(FailsAtTimes(max_epochs=1, random_state=0))
    monkeypatch.setattr(FailsAtTimes, "raised", raised)
    monkeypatch.setattr(FailsAtTimes, "fits", 0)
    model.set_params(n_members=2).fit(X, Y)
    before = model.predict_proba(X)
    monkeypatch.setattr(FailsAtTimes, "fits", 0)
    with pytest.raises(kind, match=rf"Member 2 of the 3 .* random_state=\d+, .*: {said}") as caught:
        model.set_params(n_members=3).fit(X, Y)
    assert caught.value.__cause__ is raised
    equal(model.predict_proba(X), before)


def test_an_interrupt_goes_through_and_keeps_the_model(monkeypatch):
    model = ensemble(FailsAtTimes(max_epochs=1, random_state=0), n_members=2)
    monkeypatch.setattr(FailsAtTimes, "fits", 0)
    before = model.fit(X, Y).predict_proba(X)
    monkeypatch.setattr(FailsAtTimes, "raised", KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt), pytest.warns(UserWarning, match="was interrupted"):
        model.set_params(n_members=5).fit(X, Y)
    assert FailsAtTimes.fits == 3  # the others were not begun
    equal(model.predict_proba(X), before)
    with pytest.raises(KeyboardInterrupt), pytest.warns(UserWarning, match="was interrupted"):
        monkeypatch.setattr(FailsAtTimes, "fits", 2)
        model.set_params(n_members=1).fit(X, Y)


def test_what_fails_in_all_members_is_the_estimators_own_error():
    match = "^The 'lr' parameter of MultimodalInfoRegClassifier must be"
    for n_members in (1, 3):
        with pytest.raises(ValueError, match=match):
            ensemble(make(lr=-1), n_members=n_members).fit(X, Y)
    with pytest.raises(ValueError, match="requires y to be passed"):
        ensemble().fit(X, None)


@pytest.mark.parametrize(
    "name, value",
    [
        ("n_members", 0),
        ("n_members", 2.5),
        ("n_jobs", "two"),
        ("estimator", regression.make()),
        ("estimator", LogisticRegression()),
        ("estimator", make_pipeline(StandardScaler(), LogisticRegression())),
        ("estimator", MultimodalInfoRegClassifier),
    ],
)
def test_wrong_parameters_are_refused_by_fit(name, value):
    match = rf"The '{name}' parameter of DeepEnsembleClassifier must be .* Got"
    with pytest.raises(ValueError, match=match):
        ensemble().set_params(**{name: value}).fit(X, Y)


def test_nothing_works_before_fit():
    model = ensemble()
    for call in (model.predict, model.predict_std, model.uncertainty, model.predict_proba):
        with pytest.raises(NotFittedError):
            call(X)
    for name in ("classes_", "modalities_", "n_features_in_", "members_"):
        assert not hasattr(model, name)


def test_there_is_no_partial_fit(fitted):
    assert not hasattr(fitted, "partial_fit")
    with pytest.raises(AttributeError, match="each of its members_ has"):
        fitted.partial_fit(X, Y)


def test_rows_in_another_order_are_refused(fitted):
    pd = pytest.importorskip("pandas")
    index = [f"s{i}" for i in range(N)]
    data = {name: pd.DataFrame(values, index=index) for name, values in PLAIN.items()}
    y = pd.Series(Y, index=index)
    assert fitted.score(data, y) == fitted.score(X, Y)
    for call in (fitted.score, fitted.score_by_modality):
        with pytest.raises(ValueError, match="order"):
            call(data, y[::-1])


@pytest.mark.slow
@pytest.mark.parametrize(
    "cls, estimator",
    [(DeepEnsembleClassifier, make), (DeepEnsembleRegressor, regression.make)],
)
@pytest.mark.filterwarnings("ignore")
def test_scikit_learns_checks_of_estimators_pass(cls, estimator):
    # Small data, not scaled: a fifth of the epochs at a higher rate, and double precision, since
    # nine digits are asked for, as for the estimators alone.
    settings = {"lr": 0.01, "max_epochs": 15, "encoders__hidden": 8, "batch_size": 32}
    settings["dtype"] = "float64"
    model = cls(estimator(**settings), n_members=2)
    records = check_estimator(model, on_fail=None, on_skip=None)
    failed = {r["check_name"]: repr(r["exception"]) for r in records if r["status"] == "failed"}
    assert failed == {} and len(records) > 50
