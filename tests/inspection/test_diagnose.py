"""`diagnose` as a whole: what is planted, what is compared, forms of data, errors."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GroupKFold, KFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from inforeg_sk import (
    LateFusionClassifier,
    ModalityTransformer,
    MultimodalClassifier,
    MultimodalInfoRegClassifier,
    MultimodalRegressor,
    diagnose,
)
from inforeg_sk.inspection import _probe
from inforeg_sk.inspection._alone import alone_estimator
from inforeg_sk.inspection._task import Task, make_folds

N = 90
CHEAP = {"rivals": ["majority", "late fusion"], "methods": (), "cv": 2, "seeds": 1}


@pytest.fixture(scope="module", autouse=True)
def quick_probes():
    """Probes of one strength: how it is chosen is tested elsewhere, and takes most of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_probe, "_STRENGTHS", np.ones(1))
        yield


def network(**params):
    return MultimodalClassifier(**{"encoders__hidden": 8, "max_epochs": 3, "lr": 0.02, **params})


def make(seed=0, n=N, n_classes=3):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % n_classes
    means = np.eye(n_classes)[y]
    X = {
        "text": 3 * means + rng.standard_normal((n, n_classes)),
        "audio": 2 * means + rng.standard_normal((n, n_classes)),
    }
    return {name: x.astype(np.float32) for name, x in X.items()}, y


@pytest.fixture(scope="module")
def data():
    return make()


@pytest.fixture(scope="module")
def report(data):
    """Of all rows, over two folds and two seeds."""
    return diagnose(network(), *data, cv=2, seeds=2)


# What is measured


def test_all_rows_are_compared_by_default(report):
    assert set(report.scores_) == {
        "majority",
        "best single",
        "linear on all",
        "stacked linear",
        "late fusion",
        "evidence pool",
        "joint",
        "joint*",
        "inforeg",
        "mlp",
    }
    assert all(scores.shape == (2, 2) for scores in report.scores_.values())
    assert all(np.isfinite(scores).all() for scores in report.scores_.values())
    assert not report.data["failed"] and not report.data["left_out"]


def test_scores_are_those_of_single_fits_on_the_same_splits(data):
    X, y = data
    splits = list(KFold(2, shuffle=True, random_state=0).split(y))
    report = diagnose(network(), X, y, **{**CHEAP, "cv": splits, "seeds": [7]})
    for k, (train, test) in enumerate(splits):
        parts = [{name: x[rows] for name, x in X.items()} for rows in (train, test)]
        seed = report.data["network_seeds"][0][k]
        joint = network(random_state=seed).fit(parts[0], y[train])
        assert report.scores_["joint"][0, k] == pytest.approx(joint.score(parts[1], y[test]))
        by_modality = joint.score_by_modality(parts[1], y[test])
        experts = {n: alone_estimator(network(random_state=seed), n, tuple(X)) for n in X}
        late = LateFusionClassifier(experts).fit(parts[0], y[train])
        assert report.scores_["late fusion"][0, k] == late.score(parts[1], y[test])
        guess = DummyClassifier().fit(parts[0]["text"], y[train])
        expected = guess.score(parts[1]["text"], y[test])
        assert report.scores_["majority"][0, k] == expected
        for name in X:
            assert report.measures_["in_joint"][name][0, k] == pytest.approx(by_modality[name])
            alone = late.experts_[name].score({name: parts[1][name]}, y[test])
            assert report.measures_["alone"][name][0, k] == pytest.approx(alone)


def test_the_best_single_modality_is_chosen_on_the_other_folds(report):
    alone = report.data["alone_on_all"]
    for i in range(2):
        for k in range(2):
            other = 1 - k  # of two folds
            best = max(alone, key=lambda name: alone[name][i, other])
            assert report.scores_["best single"][i, k] == alone[best][i, k]


def test_shapley_values_add_up_to_the_gain_over_knowing_nothing(report):
    total = sum(report.measures_["shapley"].values())
    drops = sum(report.measures_["permutation_drop"].values())
    assert (total > 0).all() and (total <= report.scores_["joint"]).all()
    assert np.isfinite(drops).all()


def test_each_seed_has_folds_of_its_own_but_those_given_stay(data):
    X, y = data
    task = Task.of(network(), X)
    own, _ = make_folds(task, X, y, None, 3, [0, 1])
    given, _ = make_folds(task, X, y, None, KFold(3), [0, 1])
    assert not own.same and given.same and own.n_folds == given.n_folds == 3
    first, second = own.folds[0], own.folds[3]
    assert first.place == (0, 0) and second.place == (1, 0)
    assert not np.array_equal(first.X_test["text"], second.X_test["text"])
    assert np.array_equal(given.folds[0].X_test["text"], given.folds[3].X_test["text"])
    assert len({fold.seed for fold in own.folds}) == 6  # no two folds share initial weights
    assert np.bincount(first.y_test).tolist() == [10, 10, 10]


def test_rivals_without_chance_are_fitted_once_where_all_seeds_have_the_same_folds(data, capsys):
    given = {"rivals": ["majority", "linear on all"], "methods": (), "cv": KFold(2), "seeds": 2}
    report = diagnose(network(), *data, **given, verbose=1)
    assert "2 folds x 2 seeds, 12 fits of networks, 4 of rivals" in capsys.readouterr().out
    for row in given["rivals"]:
        first, second = report.scores_[row]
        assert np.isfinite(first).all() and np.array_equal(first, second)
    assert not np.array_equal(*report.scores_["joint"])


def test_the_estimator_and_the_data_stay_as_they_are(data):
    X, y = data
    before, given = {name: x.copy() for name, x in X.items()}, network()
    diagnose(given, X, y, **CHEAP)
    assert not hasattr(given, "module_") and given.random_state is None
    assert all(np.array_equal(X[name], before[name]) for name in X)


# What is planted


def planted(kind, seed, n=240):
    rng = np.random.default_rng(seed)
    if kind == "xor":
        a, b = np.arange(n) % 2, np.arange(n) // 2 % 2
        y, shown = a ^ b, {"left": a, "right": b}
        X = {k: np.column_stack([4.0 * v - 2, rng.standard_normal(n)]) for k, v in shown.items()}
        X = {name: x + 0.5 * rng.standard_normal(x.shape) for name, x in X.items()}
    else:
        y = rng.integers(0, 2, n)
        shown = 1.5 * (2 * y - 1)[:, None]
        X = {"signal": shown + rng.standard_normal((n, 3)), "noise": rng.standard_normal((n, 4))}
    return {name: x.astype(np.float32) for name, x in X.items()}, y


def test_a_modality_of_noise_is_named_and_dropped():
    X, y = planted("noise", 0)
    X["more"] = X["signal"][:, ::-1] + np.float32(0.5)
    given = {"methods": (), "rivals": ["majority"], "cv": 5, "seeds": 1}
    report = diagnose(network(max_epochs=8), X, y, **given)
    first = report.verdicts_[0]
    assert (first.kind, first.modality) == ("adds nothing", "noise")
    assert "without noise" in report.scores_ and report.recommended_ == "without noise"
    made = report.recommendation_.fit(X, y)
    assert made[-1].modalities_ == ("signal", "more") and made.score(X, y) > 0.9


def test_what_only_makes_sense_together_is_named_and_nothing_starves():
    X, y = planted("xor", 0)
    given = {"methods": ["mlp"], "rivals": ["majority", "late fusion"], "cv": 3, "seeds": 2}
    report = diagnose(network(max_epochs=15, encoders__hidden=16), X, y, **given)
    assert [v.kind for v in report.verdicts_] == ["only together"]
    assert report.recommended_ == "mlp" and report.recommendation_.fusion == "mlp"


# Forms of data


def test_a_pipelines_steps_are_fitted_on_each_training_part():
    X, y = make()
    seen = []

    class Recording(StandardScaler):
        def fit(self, X, y=None):
            seen.append(len(X))
            return super().fit(X, y)

    pipe = make_pipeline(ModalityTransformer({"text": Recording()}), network())
    report = diagnose(pipe, X, y, **CHEAP)
    assert seen and max(seen) == N / 2
    made = report.recommendation_
    assert isinstance(made, Pipeline) and isinstance(made[0], ModalityTransformer)
    assert made.fit(X, y).predict(X).shape == (N,)


def test_a_table_is_cut_by_the_columns_of_the_estimator(data):
    X, y = data
    table = np.hstack([X["text"], X["audio"]])
    columns = {"text": slice(0, 3), "audio": slice(3, 6)}
    of_dict = diagnose(network(), X, y, **CHEAP)
    of_table = diagnose(network(modalities=columns), table, y, **CHEAP)
    assert of_table.modalities_ == ("text", "audio")
    for row, scores in of_dict.scores_.items():
        assert np.array_equal(of_table.scores_[row], scores)
    frame = pd.DataFrame(table, columns=list("abcdef"))
    names = {"text": ["a", "b", "c"], "audio": ["d", "e", "f"]}
    of_frame = diagnose(network(modalities=names), frame, y, **CHEAP)
    assert np.array_equal(of_frame.scores_["joint"], of_dict.scores_["joint"])
    assert of_frame.recommendation_.fit(frame, y).predict(frame).shape == (N,)


def test_groups_are_never_cut(data):
    X, y = data
    groups = np.repeat(np.arange(N // 3), 3)
    report = diagnose(network(early_stopping=True), X, y, groups=groups, **CHEAP)
    assert report.data["n_groups"] == N // 3 and report.data["n_test"] == N // 6
    splitter = diagnose(network(), X, y, groups=groups, **{**CHEAP, "cv": GroupKFold(3)})
    assert splitter.data["n_folds"] == 3


def test_missing_modalities_are_scored_where_they_are_present():
    X, y = make()
    X["text"][:20], X["audio"][20:35] = np.nan, np.nan
    rivals = ["majority", "best single", "linear on all", "stacked linear", "late fusion"]
    report = diagnose(network(missing="allow"), X, y, **{**CHEAP, "rivals": rivals})
    assert report.data["presence"]["text"] == {"text": 70, "audio": 55}
    assert report.data["n_complete"] == 55 and "all modalities 55" in repr(report)
    assert not report.data["failed"]
    assert all(np.isfinite(scores).all() for scores in report.scores_.values())
    assert "On these joint " in " ".join(repr(report).split())
    assert not np.array_equal(report.data["on_common"], report.scores_["joint"])
    assert report.recommended_ != "best single"  # it could not do without its modality
    assert report.recommendation_.fit(X, y).predict(X).shape == (N,)


@pytest.mark.parametrize("several", [False, True])
def test_regression_is_scored_by_r2(several):
    X, y = make()
    y = X["text"][:, 0] + X["audio"][:, 1]
    y = np.column_stack([y, -y]) if several else y
    estimator = MultimodalRegressor(encoders__hidden=8, max_epochs=3)
    rivals = ["majority", "best single", "linear on all", "late fusion"]
    report = diagnose(estimator, X, y, **{**CHEAP, "rivals": rivals})
    assert report.data["scoring"] == "r2" and "R²" in repr(report) and not report.data["percent"]
    assert report.recommended_ == "linear on all"
    assert report.recommendation_.fit(X, y).score(X, y) > 0.99


def test_a_regressor_on_what_looks_like_classes_warns(data, recwarn):
    X, y = data
    task = Task.of(MultimodalRegressor(), X)
    with pytest.warns(UserWarning, match=r"3 different whole numbers \(0, 1, 2\).*classifier"):
        make_folds(task, X, y, None, 2, [0])
    recwarn.clear()
    for values in (np.arange(N) % 21, y + 0.5, np.column_stack([y, -y])):
        make_folds(task, X, values, None, 2, [0])
    assert not recwarn.list


@pytest.mark.parametrize("scoring", ["neg_log_loss", "roc_auc_ovr", "balanced_accuracy"])
def test_any_scorer_scores_all_rows(data, scoring):
    report = diagnose(network(), *data, **{**CHEAP, "scoring": scoring})
    assert report.data["scoring"] == scoring and not report.data["failed"]
    assert report.data["percent"] == (scoring == "balanced_accuracy")
    if scoring == "neg_log_loss":
        assert report.scores_["majority"] == pytest.approx(-np.log(3))


def test_a_callable_scorer_is_handed_estimators_and_modalities(data):
    def scorer(estimator, X, y):
        return -log_loss(y, estimator.predict_proba(X))

    report = diagnose(network(), *data, **{**CHEAP, "scoring": scorer})
    by_name = diagnose(network(), *data, **{**CHEAP, "scoring": "neg_log_loss"})
    assert report.data["scoring"] == "scorer"
    assert report.scores_["joint"] == pytest.approx(by_name.scores_["joint"])


# What is compared


def test_the_network_as_given_is_not_compared_with_itself(data):
    given = {**CHEAP, "methods": "default", "rivals": ()}
    report = diagnose(MultimodalInfoRegClassifier(encoders__hidden=8, max_epochs=2), *data, **given)
    assert list(report.scores_) == ["inforeg", "joint", "joint*", "mlp"]
    assert report.data["given"] == "inforeg"
    interacting = diagnose(network(fusion="mlp"), *data, **given)
    assert list(interacting.scores_) == ["joint", "joint*", "inforeg", "concat"]
    assert interacting.data["interacting"] == ["joint", "concat"]


def test_methods_may_be_estimators_or_parameters(data):
    wide = {"wide": {"encoders__hidden": 16}, "stopped": network(max_epochs=1)}
    report = diagnose(network(), *data, **{**CHEAP, "methods": wide})
    assert {"wide", "stopped"} < set(report.scores_)


def test_a_method_that_fails_is_named_and_does_not_lose_the_rest(data):
    methods = {"broken": {"lr": -1.0}}
    with pytest.warns(UserWarning, match="leaves 'broken' out"):
        report = diagnose(network(), *data, **{**CHEAP, "methods": methods})
    assert "broken" not in report.scores_ and "joint" in report.scores_
    assert "'lr'" in report.data["failed"]["broken"] and "Failed: broken" in repr(report)


def test_rivals_that_cannot_take_the_data_are_named_with_their_error():
    X, y = make()
    steps = np.repeat(X["audio"][:, None], 4, axis=1)
    steps[::2, 2:] = np.nan  # padding
    estimator = network(encoders={"audio": "gru"})
    rivals = ["majority", "linear on all", "evidence pool"]
    given = {**CHEAP, "rivals": rivals}
    with pytest.warns(UserWarning, match="leaves 'linear on all' out"):
        report = diagnose(estimator, {**X, "audio": steps}, y, **given)
    assert "unequal lengths" in report.data["failed"]["linear on all"]
    assert list(report.scores_) == ["majority", "evidence pool", "joint"]


def test_rivals_left_out_are_named(data):
    report = diagnose(network(), *data, **CHEAP)
    assert report.data["left_out"] == [
        "best single",
        "linear on all",
        "stacked linear",
        "evidence pool",
    ]
    assert "Not compared (rivals=): best single, linear on all" in " ".join(repr(report).split())


def test_warnings_of_fits_are_counted_in_the_report_and_not_shown():
    X, y = make()
    X["audio"] = np.random.default_rng(0).standard_normal((N, 2)).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report = diagnose(network(max_epochs=20, lr=1e-6, batch_size=8), X, y, **CHEAP)
    assert any("guessing" in text for text in report.data["warnings"])
    told = " ".join(str(report).split())
    text, n = next(iter(report.data["warnings"].items()))
    assert f"{n} time{'' if n == 1 else 's'}: {' '.join(text.split())}" in told  # not cut off


def test_it_says_before_it_starts_what_it_will_cost(data, capsys):
    diagnose(network(), *data, **{**CHEAP, "verbose": 1})
    said = capsys.readouterr().out
    assert "2 folds x 1 seed, 6 fits of networks, 2 of rivals" in said
    assert "at most about" in said


def test_the_recommended_estimator_is_not_fitted_and_can_be_cloned(report, data):
    X, y = data
    made = clone(report.recommendation_).fit(X, y)
    assert made.score(X, y) > 0.5


# Errors


@pytest.mark.parametrize(
    ("changes", "kind", "text"),
    [
        ({"estimator": LogisticRegression()}, TypeError, "a Pipeline that ends in one"),
        ({"estimator": network}, TypeError, "a Pipeline that ends in one"),
        ({"estimator": MultimodalClassifier}, TypeError, r"add \(\): MultimodalClassifier\(\)$"),
        ({"estimator": LogisticRegression()}, TypeError, "rivals already; pass a network"),
        ({"X": make()[0]["text"]}, ValueError, "a dict of arrays, or as columns .* modalities="),
        ({"scoring": "roc_auc"}, ValueError, "takes two classes, and y has 3: use 'roc_auc_ovr'"),
        ({"scoring": "f1"}, ValueError, "use 'f1_macro'"),
        ({"groups": ["ann"] * N}, ValueError, r"one group, 'ann': .* as folds \(cv=2\)"),
        ({"X": {"text": make()[0]["text"]}}, ValueError, "at least two"),
        ({"y": np.arange(N) // (N - 1)}, ValueError, "Class 1 has 1 sample: at least 2"),
        ({"y": np.zeros(N, int)}, ValueError, "at least 2 classes; y has one class, 0"),
        ({"y": np.arange(N - 1) % 3}, ValueError, "y has 89 labels, but X has 90 samples"),
        ({"groups": [None, *"ab" * 44, "a"]}, ValueError, "no group in row 0"),
        ({"cv": []}, ValueError, "at least one split"),
        ({"cv": [(np.arange(50), np.arange(40, N))] * 2}, ValueError, "rows apart"),
        ({"cv": 1}, ValueError, r"must be in \[2, 90\]"),
        ({"cv": "five"}, TypeError, "an int, a splitter"),
        ({"scoring": "acuracy"}, ValueError, "did you mean 'accuracy'"),
        ({"scoring": 3}, TypeError, "the name of a scorer"),
        ({"methods": ["jont"]}, ValueError, "did you mean 'joint'"),
        ({"methods": {"late fusion": {}}}, ValueError, "another name"),
        ({"methods": {"mine": 3}}, TypeError, "neither an estimator nor a dict"),
        ({"rivals": ["trees"]}, ValueError, "known are 'majority'"),
        ({"seeds": 0}, ValueError, "'seeds' parameter"),
        ({"seeds": [1, 1]}, ValueError, "must not repeat"),
        ({"groups": np.arange(3)}, ValueError, "groups of diagnose must have"),
        ({"estimator": network(lr=-1.0)}, ValueError, "fold 0 of seed 0: .*'lr'"),
    ],
)
def test_errors_say_what_is_wrong(data, changes, kind, text):
    given = {"estimator": network(), "X": data[0], "y": data[1], **CHEAP, **changes}
    estimator, X, y = (given.pop(name) for name in ("estimator", "X", "y"))
    with pytest.raises(kind, match=text):
        diagnose(estimator, X, y, **given)


@pytest.mark.parametrize("as_table", [False, True])
@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (np.nan, ValueError, "'audio' contains NaN in row 71"),
        (np.inf, ValueError, "'audio' contains infinity in row 71"),
        (1e300, ValueError, "too large for float32 .* in row 71"),
        ("loud", (TypeError, ValueError), "'audio' is not numeric .*'loud'|string"),
    ],
)
def test_a_bad_value_is_named_by_its_row_before_anything_is_fitted(as_table, value, kind, text):
    X, y = make()
    X["audio"] = X["audio"].astype(object if isinstance(value, str) else float)
    X["audio"][71, 1] = value
    estimator = network(lr=-1.0)  # no fit would get past it
    if as_table:
        X = pd.DataFrame(np.hstack([X["text"], X["audio"]]), columns=list("abcdef"))
        estimator.set_params(modalities={"text": list("abc"), "audio": list("def")})
    with pytest.raises(kind, match=text):
        diagnose(estimator, X, y, **CHEAP)


LABELS = {"numbers": (int, "7"), "texts": (str, "'7'"), "objects": (object, "'7'")}


@pytest.mark.parametrize("kind", LABELS)
def test_a_class_of_few_samples_is_named(kind, data):
    dtype, shown = LABELS[kind]
    X, y = data
    y = np.where(np.arange(N) < 3, 7, y).astype(str if dtype is object else dtype).astype(dtype)
    task = Task.of(network(), X)
    with pytest.warns(UserWarning, match=f"Class {shown} has 3 samples, fewer than the 4 folds"):
        make_folds(task, X, y, None, 4, [0])
    with pytest.raises(ValueError, match=f"Class {shown} has 1 group: at least 2"):
        make_folds(task, X, y, np.arange(N) // 3, 4, [0])
    with pytest.raises(ValueError, match=f"leaves class {shown} out"):
        make_folds(task, X, y, None, [(np.arange(3, N), np.arange(3))], [0])


def test_a_sample_without_any_modality_is_named():
    X, y = make()
    X["text"][4], X["audio"][4] = np.nan, np.nan
    with pytest.raises(ValueError, match="sample 4"):
        diagnose(network(missing="allow"), X, y, **CHEAP)
