"""scikit-learn's entry points, one by one, with a `ModalityDict` and our classifier.

`WALKS` is the table: each entry is a name in scikit-learn and a function that calls it and checks
its result against a loop written out by hand on plain arrays. `IMPOSSIBLE` lists what does not
work, why, and the error; it is tested as well, so that the list stays true.
"""

import copy
import importlib
import pickle
from types import SimpleNamespace

import joblib
import numpy as np
import pytest
import sklearn
from sklearn import (
    base,
    calibration,
    compose,
    dummy,
    ensemble,
    feature_selection,
    frozen,
    inspection,
    linear_model,
    metrics,
    model_selection,
    multiclass,
    multioutput,
    neighbors,
    pipeline,
    preprocessing,
    semi_supervised,
    utils,
)
from sklearn.decomposition import PCA
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.fixes import parse_version
from skorch.dataset import ValidSplit

from inforeg_sk import (
    ColumnsToModalities,
    ModalityDict,
    ModalityTransformer,
    MultimodalInfoRegClassifier,
)
from inforeg_sk.datasets import make_multimodal_classification

SKLEARN = parse_version(sklearn.__version__)

N = 90
X, _code = make_multimodal_classification(
    N,
    modalities={
        "strong": {"n_features": 6, "strength": 3.0},
        "weak": {"n_features": 4, "strength": 1.5},
    },
    random_state=0,
)
PLAIN = {name: X[name] for name in X}  # what the loops by hand use: no container of ours
Y = np.array(["anger", "fear", "joy"])[_code]
BINARY = np.where(_code == 0, "no", "yes")
GROUPS = np.arange(N) % 9
WEIGHT = np.random.default_rng(0).uniform(0.2, 2.0, N)
TABLE = np.hstack([X["strong"], X["weak"]])
COLUMNS = {"strong": slice(0, 6), "weak": slice(6, None)}


def make(**settings):
    """A small classifier of the dict's modalities."""
    defaults = {"max_epochs": 2, "batch_size": 16, "lr": 0.02, "random_state": 0}
    return MultimodalInfoRegClassifier(**{**defaults, **settings})


def make_2d(**settings):
    """The same for the table of all columns."""
    return make(modalities=COLUMNS, **settings)


def rows(index, data=PLAIN):
    return {name: array[index] for name, array in data.items()}


def fitted_on(index, clf=None, y=Y, **fit_params):
    return base.clone(make() if clf is None else clf).fit(rows(index), y[index], **fit_params)


def folds(cv=3, y=Y, groups=None):
    """Folds that scikit-learn makes without seeing the modalities."""
    cv = model_selection.check_cv(cv, y, classifier=True)
    return list(cv.split(np.zeros((len(y), 1)), y, groups))


def scores_by_hand(clf, cv=3, y=Y):
    return [
        np.mean(fitted_on(train, clf, y).predict(rows(test)) == y[test])
        for train, test in folds(cv, y)
    ]


def probabilities_by_hand(clf, cv=3, y=Y):
    out = np.empty((len(y), len(np.unique(y))))
    for train, test in folds(cv, y):
        out[test] = fitted_on(train, clf, y).predict_proba(rows(test))
    return out


def same_rows(container, index):
    assert isinstance(container, ModalityDict)
    assert list(container) == list(PLAIN)
    for name in PLAIN:
        np.testing.assert_array_equal(container[name], PLAIN[name][index])


close = np.testing.assert_allclose
equal = np.testing.assert_array_equal


def pyplot():
    """matplotlib's pyplot, or a skip."""
    return pytest.importorskip("matplotlib.pyplot")


# The table

WALKS = {}


def walks(name, variant="", takes="modalities", marks=()):
    """Register a function as the walk of the scikit-learn entry point `name`.

    `takes` says what goes in: a `ModalityDict` ("modalities"), the 2-D array of all columns with
    the classifier's ``modalities=`` ("table"), or only the estimator ("nothing").
    """

    def register(function):
        key = f"{name}[{variant}]" if variant else name
        assert key not in WALKS and takes in ("modalities", "table", "nothing")
        WALKS[key] = SimpleNamespace(name=name, walk=function, takes=takes, marks=marks)
        return function

    return register


def resolve(name):
    """The object of scikit-learn with this dotted name, such as ``Pipeline.set_output``."""
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(["sklearn", *parts[:cut]]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:]:
            found = getattr(found, part)
        return found
    return getattr(sklearn, name)


# Splitters

SPLITTERS = {
    "KFold": model_selection.KFold(4, shuffle=True, random_state=0),
    "StratifiedKFold": model_selection.StratifiedKFold(4),
    "GroupKFold": model_selection.GroupKFold(4),
    "StratifiedGroupKFold": model_selection.StratifiedGroupKFold(3),
    "RepeatedKFold": model_selection.RepeatedKFold(n_splits=3, n_repeats=2, random_state=0),
    "RepeatedStratifiedKFold": model_selection.RepeatedStratifiedKFold(
        n_splits=3, n_repeats=2, random_state=0
    ),
    "ShuffleSplit": model_selection.ShuffleSplit(3, test_size=0.3, random_state=0),
    "StratifiedShuffleSplit": model_selection.StratifiedShuffleSplit(
        3, test_size=0.3, random_state=0
    ),
    "GroupShuffleSplit": model_selection.GroupShuffleSplit(3, test_size=0.3, random_state=0),
    "LeaveOneOut": model_selection.LeaveOneOut(),
    "LeavePOut": model_selection.LeavePOut(2),
    "LeaveOneGroupOut": model_selection.LeaveOneGroupOut(),
    "LeavePGroupsOut": model_selection.LeavePGroupsOut(2),
    "TimeSeriesSplit": model_selection.TimeSeriesSplit(4, gap=1),
    "PredefinedSplit": model_selection.PredefinedSplit(np.arange(N) % 4 - 1),
}


def _register_splitter(name, cv):
    @walks(f"model_selection.{name}")
    def walk():
        n = 12 if name == "LeavePOut" else N  # pairs of 90 are many
        data, y, groups = X[:n], Y[:n], GROUPS[:n] if "Group" in name else None
        expected = list(cv.split(np.zeros((n, 1)), y, groups))
        found = list(cv.split(data, y, groups))
        assert len(found) == len(expected) == cv.get_n_splits(data, y, groups)
        for (train, test), (train_expected, test_expected) in zip(found, expected):
            equal(train, train_expected)
            equal(test, test_expected)
            same_rows(data[train], train)
            same_rows(data[test], test)
        # The last fold through a fit; the container's rows against rows of plain arrays.
        equal(
            make().fit(data[train], y[train]).predict_proba(data[test]),
            fitted_on(train).predict_proba(rows(test)),
        )


for _name, _cv in SPLITTERS.items():
    _register_splitter(_name, _cv)


@walks("model_selection.train_test_split")
def _():
    train, test, y_train, y_test, i_train, i_test = model_selection.train_test_split(
        X, Y, np.arange(N), test_size=0.2, stratify=Y, random_state=0
    )
    assert (len(train), len(test)) == (72, 18)
    assert sorted([*i_train, *i_test]) == list(range(N))
    same_rows(train, i_train)
    same_rows(test, i_test)
    equal(y_train, Y[i_train])
    assert np.unique(y_test, return_counts=True)[1].tolist() == [6, 6, 6]


@walks("model_selection.check_cv")
def _():
    cv = model_selection.check_cv(5, Y, classifier=True)
    assert isinstance(cv, model_selection.StratifiedKFold)
    assert [len(test) for _, test in cv.split(X, Y)] == [18] * 5


# Cross-validation


@walks("model_selection.cross_val_score")
def _():
    found = model_selection.cross_val_score(make(), X, Y, cv=3)
    equal(found, scores_by_hand(make()))
    assert found.mean() > 0.6  # the equality is not between failures


@walks("model_selection.cross_val_score", "groups")
def _():
    cv = model_selection.GroupKFold(3)
    found = model_selection.cross_val_score(make(), X, Y, cv=cv, groups=GROUPS)
    by_hand = [
        fitted_on(train).score(rows(test), Y[test]) for train, test in folds(cv, groups=GROUPS)
    ]
    equal(found, by_hand)


@walks("model_selection.cross_val_score", "threads")
def _():
    with joblib.parallel_config(backend="threading"):
        found = model_selection.cross_val_score(make(), X, Y, cv=3, n_jobs=3)
    equal(found, scores_by_hand(make()))


@walks("model_selection.cross_val_score", "processes", marks=pytest.mark.slow)
def _():
    found = model_selection.cross_val_score(make(), X, Y, cv=4, n_jobs=2)
    equal(found, scores_by_hand(make(), 4))


@walks("model_selection.cross_validate")
def _():
    found = model_selection.cross_validate(
        make(),
        X,
        Y,
        cv=3,
        scoring=["accuracy", "neg_log_loss", "roc_auc_ovr"],
        return_train_score=True,
        return_estimator=True,
        return_indices=True,
    )
    for i, (train, test) in enumerate(folds()):
        equal(found["indices"]["train"][i], train)
        equal(found["indices"]["test"][i], test)
        clf = fitted_on(train)
        for part, index in (("train", train), ("test", test)):
            p = clf.predict_proba(rows(index))
            equal(found["estimator"][i].predict_proba(X[index]), p)
            close(found[f"{part}_accuracy"][i], np.mean(clf.classes_[p.argmax(1)] == Y[index]))
            close(found[f"{part}_neg_log_loss"][i], -metrics.log_loss(Y[index], p))
            close(
                found[f"{part}_roc_auc_ovr"][i],
                metrics.roc_auc_score(Y[index], p, multi_class="ovr"),
            )


@walks("model_selection.cross_validate", "fit parameters are sliced")
def _():
    found = model_selection.cross_validate(
        make(), X, Y, cv=3, params={"sample_weight": WEIGHT}, return_estimator=True
    )
    for clf, (train, _) in zip(found["estimator"], folds()):
        by_hand = fitted_on(train, sample_weight=WEIGHT[train])
        equal(clf.predict_proba(X), by_hand.predict_proba(PLAIN))
        assert abs(by_hand.predict_proba(PLAIN) - fitted_on(train).predict_proba(PLAIN)).max() > 0


@walks("model_selection.cross_val_predict", "predict")
def _():
    found = model_selection.cross_val_predict(make(), X, Y, cv=3)
    equal(found, np.unique(Y)[probabilities_by_hand(make()).argmax(axis=1)])


@walks("model_selection.cross_val_predict", "predict_proba")
def _():
    found = model_selection.cross_val_predict(make(), X, Y, cv=3, method="predict_proba")
    equal(found, probabilities_by_hand(make()))


@walks("model_selection.learning_curve")
def _():
    sizes, train_scores, test_scores = model_selection.learning_curve(
        make(), X, Y, cv=3, train_sizes=[20, 40, 60]
    )
    equal(sizes, [20, 40, 60])
    for j, (train, test) in enumerate(folds()):
        for i, size in enumerate(sizes):
            clf = fitted_on(train[:size])
            assert train_scores[i, j] == clf.score(rows(train[:size]), Y[train[:size]])
            assert test_scores[i, j] == clf.score(rows(test), Y[test])


@walks("model_selection.learning_curve", "incremental")
def _():
    sizes, train_scores, test_scores = model_selection.learning_curve(
        make(), X, Y, cv=3, train_sizes=[20, 40, 60], exploit_incremental_learning=True
    )
    for j, (train, test) in enumerate(folds()):
        clf = make()
        for i, batch in enumerate(np.split(train, [20, 40])):
            clf.partial_fit(rows(batch), Y[batch], classes=np.unique(Y))
            assert train_scores[i, j] == clf.score(rows(train[: sizes[i]]), Y[train[: sizes[i]]])
            assert test_scores[i, j] == clf.score(rows(test), Y[test])
        assert len(clf.history) == 3


@walks("model_selection.validation_curve")
def _():
    train_scores, test_scores = model_selection.validation_curve(
        make(), X, Y, param_name="lr", param_range=[0.0, 0.02], cv=3
    )
    assert train_scores.shape == (2, 3)
    equal(test_scores[0], scores_by_hand(make(lr=0.0)))
    equal(test_scores[1], scores_by_hand(make(lr=0.02)))
    assert test_scores[1].mean() > test_scores[0].mean() + 0.2


@walks("model_selection.permutation_test_score")
def _():
    score, permuted, p = model_selection.permutation_test_score(
        make(), X, Y, cv=3, n_permutations=9, random_state=0
    )
    close(score, np.mean(scores_by_hand(make())))
    # The first permutation by hand: the labels are shuffled, the modalities are not.
    shuffled = Y[np.random.RandomState(0).permutation(N)]
    close(permuted[0], np.mean(scores_by_hand(make(), y=shuffled)))
    close(p, (np.sum(permuted >= score) + 1) / 10)
    assert p == 0.1


@walks("model_selection.LearningCurveDisplay")
def _():
    pyplot()
    display = model_selection.LearningCurveDisplay.from_estimator(
        make(), X, Y, cv=3, train_sizes=[30, 60]
    )
    expected = model_selection.learning_curve(make(), X, Y, cv=3, train_sizes=[30, 60])
    equal(display.train_sizes, expected[0])
    equal(display.test_scores, expected[2])
    equal(display.lines_[1].get_ydata(), expected[2].mean(axis=1))


@walks("model_selection.ValidationCurveDisplay")
def _():
    pyplot()
    display = model_selection.ValidationCurveDisplay.from_estimator(
        make(), X, Y, param_name="max_epochs", param_range=[1, 3], cv=3
    )
    equal(display.test_scores[1], scores_by_hand(make(max_epochs=3)))
    equal(display.lines_[1].get_ydata(), display.test_scores.mean(axis=1))


# Searches

GRID = {"alpha": [0.0, 5.0], "encoders__hidden": [4, 8]}
PULLED = {"window_threshold": -np.inf, "max_epochs": 3}  # so that alpha matters in so short a fit


def check_search(search, by_hand_of):
    """Every candidate's score by hand, and the refitted winner."""
    results = search.cv_results_
    for i, params in enumerate(results["params"]):
        by_hand = scores_by_hand(base.clone(by_hand_of).set_params(**params))
        equal([results[f"split{k}_test_score"][i] for k in range(3)], by_hand)
    best = base.clone(by_hand_of).set_params(**search.best_params_).fit(PLAIN, Y)
    equal(search.predict_proba(X), best.predict_proba(PLAIN))
    equal(search.predict(X), best.predict(PLAIN))
    equal(search.classes_, np.unique(Y))
    assert search.score(X, Y) == best.score(PLAIN, Y)


@walks("model_selection.GridSearchCV")
def _():
    clf = make(**PULLED)
    search = model_selection.GridSearchCV(clf, GRID, cv=3).fit(X, Y)
    assert len(search.cv_results_["params"]) == 4
    check_search(search, clf)
    # The parameters reached the fits: both change the probabilities.
    one = base.clone(clf).set_params(alpha=5.0).fit(X, Y).predict_proba(X)
    assert abs(one - base.clone(clf).set_params(alpha=0.0).fit(X, Y).predict_proba(X)).max() > 1e-4
    assert search.best_estimator_.encoders_["strong"][0].out_features in (4, 8)


@walks("model_selection.GridSearchCV", "processes", marks=pytest.mark.slow)
def _():
    clf = make(**PULLED)
    check_search(model_selection.GridSearchCV(clf, GRID, cv=3, n_jobs=2).fit(X, Y), clf)


@walks("model_selection.GridSearchCV", "a bad candidate")
def _():
    grid = {"alpha": [1.0, -1.0]}
    search = model_selection.GridSearchCV(make(), grid, cv=3)
    with pytest.warns(UserWarning, match="non-finite"):
        with pytest.warns(sklearn.exceptions.FitFailedWarning, match="alpha"):
            search.fit(X, Y)
    equal(np.isnan(search.cv_results_["mean_test_score"]), [False, True])
    assert search.best_params_ == {"alpha": 1.0}


@walks("model_selection.RandomizedSearchCV")
def _():
    space = {"lr": np.geomspace(1e-3, 1e-1, 50), "optimizer__weight_decay": [0.0, 0.1]}
    search = model_selection.RandomizedSearchCV(make(), space, n_iter=4, cv=3, random_state=0)
    search.fit(X, Y)
    drawn = list(model_selection.ParameterSampler(space, 4, random_state=0))
    assert search.cv_results_["params"] == drawn
    check_search(search, make())


@walks("model_selection.HalvingGridSearchCV")
def _():
    search = model_selection.HalvingGridSearchCV(
        make(), {"lr": [1e-4, 1e-3, 1e-2, 3e-2]}, cv=3, factor=2, min_resources=20, random_state=0
    ).fit(X, Y)
    assert search.n_resources_ == [20, 40, 80]
    assert search.n_candidates_ == [4, 2, 1]
    best = make().set_params(**search.best_params_).fit(PLAIN, Y)
    equal(search.predict_proba(X), best.predict_proba(PLAIN))


@walks("model_selection.HalvingGridSearchCV", "max_epochs")
def _():
    search = model_selection.HalvingGridSearchCV(
        make(),
        {"lr": [1e-4, 1e-3, 1e-2, 3e-2]},
        resource="max_epochs",
        min_resources=1,
        max_resources=4,
        cv=3,
        factor=2,
        random_state=0,
    ).fit(X, Y)
    assert search.n_resources_ == [1, 2, 4]
    results = search.cv_results_
    for i, params in enumerate(results["params"]):
        assert params["max_epochs"] == results["n_resources"][i]
        clf = make().set_params(**params)
        close(results["mean_test_score"][i], np.mean(scores_by_hand(clf)))
    assert len(search.best_estimator_.history) == 4


@walks("model_selection.HalvingRandomSearchCV")
def _():
    search = model_selection.HalvingRandomSearchCV(
        make(),
        {"lr": np.geomspace(1e-4, 3e-2, 50)},
        n_candidates=4,
        cv=3,
        factor=2,
        min_resources=20,
        random_state=0,
    ).fit(X, Y)
    assert search.n_resources_ == [20, 40, 80]
    best = make().set_params(**search.best_params_).fit(PLAIN, Y)
    equal(search.predict_proba(X), best.predict_proba(PLAIN))


@walks("model_selection.HalvingRandomSearchCV", "max_epochs")
def _():
    search = model_selection.HalvingRandomSearchCV(
        make(),
        {"lr": np.geomspace(1e-4, 3e-2, 50)},
        resource="max_epochs",
        max_resources=4,
        n_candidates=4,
        cv=3,
        factor=2,
        random_state=0,
    ).fit(X, Y)
    assert search.n_resources_ == [1, 2, 4]
    assert len(search.best_estimator_.history) == search.best_estimator_.max_epochs == 4
    assert search.score(X, Y) == search.best_estimator_.score(PLAIN, Y)


@walks("model_selection.TunedThresholdClassifierCV")
def _():
    tuned = model_selection.TunedThresholdClassifierCV(
        make(), scoring="balanced_accuracy", cv=3, store_cv_results=True
    ).fit(X, BINARY)
    p = make().fit(PLAIN, BINARY).predict_proba(PLAIN)[:, 1]
    equal(tuned.predict_proba(X)[:, 1], p)
    equal(tuned.predict(X), np.where(p >= tuned.best_threshold_, "yes", "no"))
    assert len(tuned.cv_results_["thresholds"]) == 100
    assert tuned.best_score_ > 0.7


@walks("model_selection.FixedThresholdClassifier")
def _():
    p = make().fit(PLAIN, BINARY).predict_proba(PLAIN)
    for label, column in (("yes", 1), ("no", 0)):
        fixed = model_selection.FixedThresholdClassifier(
            make(), threshold=0.7, pos_label=label
        ).fit(X, BINARY)
        other = "no" if label == "yes" else "yes"
        equal(fixed.predict(X), np.where(p[:, column] >= 0.7, label, other))


# Pipelines and transformers


def scaled_by_hand():
    return {name: StandardScaler().fit_transform(PLAIN[name]) for name in PLAIN}


@walks("pipeline.Pipeline")
def _():
    pipe = pipeline.Pipeline([("scale", ModalityTransformer(StandardScaler())), ("clf", make())])
    by_hand = make().fit(scaled_by_hand(), Y)
    equal(pipe.fit(X, Y).predict_proba(X), by_hand.predict_proba(scaled_by_hand()))
    assert pipe.score(X, Y) == by_hand.score(scaled_by_hand(), Y)
    equal(pipe.classes_, by_hand.classes_)
    # In cross-validation the scaler sees the training rows only.
    found = model_selection.cross_val_predict(pipe, X, Y, cv=3, method="predict_proba")
    for train, test in folds():
        scalers = {name: StandardScaler().fit(PLAIN[name][train]) for name in PLAIN}
        cut = [{n: scalers[n].transform(PLAIN[n][i]) for n in PLAIN} for i in (train, test)]
        equal(found[test], make().fit(cut[0], Y[train]).predict_proba(cut[1]))


_centred = []


def centre(data):
    """Subtract the means, and count the calls."""
    _centred.append(len(data))
    return ModalityDict({name: data[name] - data[name].mean(axis=0) for name in data})


@walks("pipeline.Pipeline", "memory")
def _(tmp_path):
    def fit():
        steps = [("centre", FunctionTransformer(centre)), ("clf", make())]
        return pipeline.Pipeline(steps, memory=str(tmp_path / "cache")).fit(X, Y)

    _centred.clear()
    first = fit()
    assert _centred == [N]
    # A second, equal fit takes the transformed modalities from the cache.
    second = fit()
    assert _centred == [N]
    centred = {name: PLAIN[name] - PLAIN[name].mean(axis=0) for name in PLAIN}
    by_hand = make().fit(centred, Y).predict_proba(centred)
    equal(first.predict_proba(X), by_hand)
    equal(second.predict_proba(X), by_hand)


@walks("pipeline.Pipeline", "slice")
def _():
    pipe = pipeline.make_pipeline(ModalityTransformer({"weak": PCA(2)}), make()).fit(X, Y)
    features = pipe[:-1].transform(X)
    assert features["weak"].shape == (N, 2)
    equal(features["strong"], PLAIN["strong"])
    names = pipe[:-1].get_feature_names_out()
    assert names[-1] == "weak__pca1" and len(names) == 8


@walks("pipeline.make_pipeline", takes="table")
def _():
    # A table in, modalities within.
    pipe = pipeline.make_pipeline(
        ColumnsToModalities(COLUMNS), ModalityTransformer(StandardScaler()), make()
    )
    by_hand = make().fit(scaled_by_hand(), Y).predict_proba(scaled_by_hand())
    equal(pipe.fit(TABLE, Y).predict_proba(TABLE), by_hand)
    pipe.set_params(modalitytransformer__transformers__with_std=False)
    assert abs(pipe.fit(TABLE, Y).predict_proba(TABLE) - by_hand).max() > 1e-3


@walks("pipeline.Pipeline.set_output")
def _():
    pandas = pytest.importorskip("pandas")
    pipe = pipeline.make_pipeline(ModalityTransformer(StandardScaler()), make())
    pipe.set_output(transform="pandas").fit(X, Y)
    inner = pipe[:-1].transform(X)
    assert isinstance(inner, ModalityDict)
    for name in X:
        assert isinstance(inner[name], pandas.DataFrame)
        equal(inner[name].to_numpy(), scaled_by_hand()[name])
    by_hand = make().fit(scaled_by_hand(), Y)
    equal(pipe.predict_proba(X), by_hand.predict_proba(scaled_by_hand()))


@walks("set_config", "transform_output")
def _():
    pandas = pytest.importorskip("pandas")
    with sklearn.config_context(transform_output="pandas"):
        inner = ModalityTransformer(StandardScaler()).fit_transform(X)
    assert isinstance(inner["weak"], pandas.DataFrame)


@walks("preprocessing.FunctionTransformer")
def _():
    def only_strong(data):
        return ModalityDict({"strong": data["strong"]})

    pipe = pipeline.make_pipeline(FunctionTransformer(only_strong), make()).fit(X, Y)
    assert pipe[-1].modalities_ == ("strong",)
    strong = {"strong": PLAIN["strong"]}
    equal(pipe.predict_proba(X), make().fit(strong, Y).predict_proba(strong))
    assert FunctionTransformer().fit_transform(X) is X


@walks("pipeline.FeatureUnion", takes="table")
def _():
    # On the table, before it is cut: a union stacks columns.
    union = pipeline.FeatureUnion([("scaled", StandardScaler()), ("pca", PCA(3))])
    columns = {"all": slice(0, 10), "pca": slice(10, 13)}
    pipe = pipeline.make_pipeline(union, make(modalities=columns)).fit(TABLE, Y)
    parts = {
        "all": StandardScaler().fit_transform(TABLE),
        "pca": PCA(3).fit_transform(TABLE),
    }
    assert pipe[-1].modalities_ == ("all", "pca")
    close(pipe.predict_proba(TABLE), make().fit(parts, Y).predict_proba(parts), atol=1e-6)


@walks("compose.ColumnTransformer", takes="table")
def _():
    columns = compose.ColumnTransformer(
        [("scaled", StandardScaler(), slice(0, 6)), ("rest", "passthrough", slice(6, None))]
    )
    pipe = pipeline.make_pipeline(columns, make_2d()).fit(TABLE, Y)
    parts = {"strong": scaled_by_hand()["strong"], "weak": PLAIN["weak"]}
    equal(pipe.predict_proba(TABLE), make().fit(parts, Y).predict_proba(parts))


@walks("compose.make_column_selector", takes="table")
def _():
    pandas = pytest.importorskip("pandas")
    names = [f"s{i}" for i in range(6)] + [f"w{i}" for i in range(4)]
    frame = pandas.DataFrame(TABLE, columns=names)
    clf = make(
        modalities={
            "strong": compose.make_column_selector(pattern="^s"),
            "weak": compose.make_column_selector(pattern="^w"),
        }
    )
    found = model_selection.cross_val_predict(clf, frame, Y, cv=3, method="predict_proba")
    equal(found, probabilities_by_hand(make()))


# Ensembles and other meta-estimators

MEMBERS = [("a", make()), ("b", make(random_state=1, alpha=0.0)), ("c", make(random_state=2))]


def members_by_hand(y=Y):
    return [base.clone(clf).fit(PLAIN, y).predict_proba(PLAIN) for _, clf in MEMBERS]


@walks("ensemble.VotingClassifier", "hard")
def _():
    voting = ensemble.VotingClassifier(MEMBERS).fit(X, Y)
    votes = np.stack([p.argmax(axis=1) for p in members_by_hand()])
    counts = np.stack([(votes == k).sum(axis=0) for k in range(3)])
    equal(voting.predict(X), np.unique(Y)[counts.argmax(axis=0)])


@walks("ensemble.VotingClassifier", "soft")
def _():
    voting = ensemble.VotingClassifier(MEMBERS, voting="soft", weights=[1, 2, 3]).fit(X, Y)
    expected = np.average(members_by_hand(), axis=0, weights=[1, 2, 3])
    close(voting.predict_proba(X), expected)
    equal(voting.predict(X), np.unique(Y)[expected.argmax(axis=1)])


@walks("ensemble.StackingClassifier")
def _():
    final = linear_model.LogisticRegression()
    stack = ensemble.StackingClassifier(MEMBERS[:2], final, cv=3).fit(X, Y)
    close(stack.transform(X), np.hstack(members_by_hand()[:2]))
    # Stacking fits its members on encoded labels, in the same order as ours.
    out_of_fold = np.hstack([probabilities_by_hand(clf) for _, clf in MEMBERS[:2]])
    by_hand = base.clone(final).fit(out_of_fold, Y)
    close(stack.final_estimator_.coef_, by_hand.coef_, rtol=1e-5)
    close(stack.predict_proba(X), by_hand.predict_proba(stack.transform(X)), rtol=1e-5)
    equal(stack.classes_, np.unique(Y))


@walks("ensemble.StackingClassifier", "prefit")
def _():
    fitted = [(name, base.clone(clf).fit(X, Y)) for name, clf in MEMBERS[:2]]
    stack = ensemble.StackingClassifier(fitted, cv="prefit").fit(X, Y)
    assert stack.estimators_[0] is fitted[0][1]
    close(stack.transform(X), np.hstack(members_by_hand()[:2]))


@walks("calibration.CalibratedClassifierCV", "sigmoid")
def _():
    found = calibration.CalibratedClassifierCV(make(), cv=3).fit(X, BINARY)
    raw = []
    for inner, (train, _) in zip(found.calibrated_classifiers_, folds(y=BINARY)):
        p = fitted_on(train, y=BINARY).predict_proba(PLAIN)
        equal(inner.estimator.predict_proba(X), p)
        raw.append(inner.calibrators[0].predict(p[:, 1]))
    close(found.predict_proba(X)[:, 1], np.mean(raw, axis=0))
    assert len(raw) == 3


@walks("calibration.CalibratedClassifierCV", "isotonic")
def _():
    found = calibration.CalibratedClassifierCV(make(), method="isotonic", cv=3).fit(X, Y)
    p = found.predict_proba(X)
    close(p.sum(axis=1), 1)
    assert np.mean(found.predict(X) == Y) > 0.7
    assert found.predict(X).dtype == Y.dtype


@walks("calibration.CalibratedClassifierCV", "one model")
def _():
    found = calibration.CalibratedClassifierCV(make(), cv=3, ensemble=False).fit(X, BINARY)
    (inner,) = found.calibrated_classifiers_
    p = make().fit(PLAIN, BINARY).predict_proba(PLAIN)[:, 1]
    equal(inner.estimator.predict_proba(X)[:, 1], p)
    # The sigmoid is fitted on out-of-fold values, and is applied to those of the one model.
    out_of_fold = probabilities_by_hand(make(), y=BINARY)[:, 1]
    sigmoid = calibration._SigmoidCalibration().fit(out_of_fold, (BINARY == "yes").astype(int))
    close(found.predict_proba(X)[:, 1], sigmoid.predict(p), rtol=1e-6)


@walks("calibration.CalibratedClassifierCV", "weights")
def _():
    found = calibration.CalibratedClassifierCV(make(), cv=3).fit(X, BINARY, sample_weight=WEIGHT)
    for inner, (train, _) in zip(found.calibrated_classifiers_, folds(y=BINARY)):
        by_hand = fitted_on(train, y=BINARY, sample_weight=WEIGHT[train])
        equal(inner.estimator.predict_proba(X), by_hand.predict_proba(PLAIN))


@walks("frozen.FrozenEstimator")
def _():
    clf = make().fit(X[:45], BINARY[:45])
    before = clf.predict_proba(PLAIN)
    found = calibration.CalibratedClassifierCV(frozen.FrozenEstimator(clf)).fit(X[45:], BINARY[45:])
    equal(clf.predict_proba(PLAIN), before)
    sigmoid = calibration._SigmoidCalibration().fit(
        before[45:, 1], (BINARY[45:] == "yes").astype(int)
    )
    close(found.predict_proba(X)[:, 1], sigmoid.predict(before[:, 1]), rtol=1e-6)


@walks("multiclass.OneVsRestClassifier")
def _():
    found = multiclass.OneVsRestClassifier(make()).fit(X, Y)
    for inner, label in zip(found.estimators_, np.unique(Y)):
        by_hand = make().fit(PLAIN, (label == Y).astype(int))
        equal(inner.predict_proba(X), by_hand.predict_proba(PLAIN))
    votes = np.stack([e.predict_proba(X)[:, 1] for e in found.estimators_], axis=1)
    close(found.predict_proba(X), votes / votes.sum(axis=1, keepdims=True))
    equal(found.predict(X), np.unique(Y)[votes.argmax(axis=1)])


@walks("multiclass.OneVsOneClassifier", takes="table")
def _():
    found = multiclass.OneVsOneClassifier(make_2d()).fit(TABLE, Y)
    pairs = [(0, 1), (0, 2), (1, 2)]
    for inner, (i, j) in zip(found.estimators_, pairs):
        keep = np.isin(_code, (i, j))
        by_hand = make().fit(rows(keep), (_code[keep] == j).astype(int))
        equal(inner.predict_proba(TABLE), by_hand.predict_proba(PLAIN))
    assert found.score(TABLE, Y) > 0.7


@walks("multiclass.OutputCodeClassifier", takes="table")
def _():
    # On the table: where a column of the random code is constant, X is checked as an array.
    found = multiclass.OutputCodeClassifier(make_2d(), code_size=2, random_state=0)
    found.fit(TABLE, Y)
    assert found.code_book_.shape == (3, 6)
    votes = np.empty((N, 6))
    for k, bits in enumerate(found.code_book_.T):
        if np.ptp(bits) == 0:
            votes[:, k] = bits[0] > 0
            continue
        by_hand = make().fit(PLAIN, (bits[_code] > 0).astype(int))
        votes[:, k] = by_hand.predict_proba(PLAIN)[:, 1]
    distance = ((votes[:, None, :] - found.code_book_) ** 2).sum(axis=2)
    equal(found.predict(TABLE), np.unique(Y)[distance.argmin(axis=1)])


@walks("multioutput.MultiOutputClassifier")
def _():
    both = np.stack([_code, _code == 0], axis=1)
    found = multioutput.MultiOutputClassifier(make()).fit(X, both)
    for i in range(2):
        by_hand = make().fit(PLAIN, both[:, i])
        equal(found.predict(X)[:, i], by_hand.predict(PLAIN))
        equal(found.predict_proba(X)[i], by_hand.predict_proba(PLAIN))


@walks("multioutput.ClassifierChain", takes="table")
def _():
    both = np.stack([_code == 0, _code == 1], axis=1).astype(int)
    found = multioutput.ClassifierChain(make_2d()).fit(TABLE, both)
    # The chain's column joins "weak", whose slice is open at its end.
    first = make().fit(PLAIN, both[:, 0]).predict(PLAIN)
    train = PLAIN | {"weak": np.column_stack([PLAIN["weak"], both[:, 0]])}
    test = PLAIN | {"weak": np.column_stack([PLAIN["weak"], first])}
    second = make().fit(train, both[:, 1]).predict(test)
    equal(found.predict(TABLE), np.stack([first, second], axis=1))


@walks("ensemble.BaggingClassifier", takes="table")
def _():
    found = ensemble.BaggingClassifier(make_2d(), n_estimators=3, random_state=0).fit(TABLE, Y)
    assert len(found.estimators_) == 3
    assert all(e.modalities_ == ("strong", "weak") for e in found.estimators_)
    close(
        found.predict_proba(TABLE),
        np.mean([e.predict_proba(TABLE) for e in found.estimators_], axis=0),
    )
    # Resampled rows and the members' own seeds make different models.
    assert abs(np.diff([e.predict_proba(TABLE) for e in found.estimators_], axis=0)).max() > 0.01
    assert found.score(TABLE, Y) > 0.7


@walks("ensemble.AdaBoostClassifier", takes="table")
def _():
    found = ensemble.AdaBoostClassifier(make_2d(), n_estimators=3, random_state=0)
    found.fit(TABLE, Y)
    # The first member is fitted with equal weights.
    inner = found.estimators_[0]
    by_hand = base.clone(inner).fit(TABLE, Y, sample_weight=np.full(N, 1 / N))
    equal(inner.predict_proba(TABLE), by_hand.predict_proba(TABLE))
    close(found.estimator_errors_[0], np.mean(by_hand.predict(TABLE) != Y))
    votes = sum(
        w * (e.predict(TABLE)[:, None] == np.unique(Y))
        for w, e in zip(found.estimator_weights_, found.estimators_)
    )
    equal(found.predict(TABLE), np.unique(Y)[votes.argmax(axis=1)])


@walks("semi_supervised.SelfTrainingClassifier", takes="table")
def _():
    partial = np.where(np.arange(N) < 45, _code, -1)
    found = semi_supervised.SelfTrainingClassifier(make_2d(), threshold=0.6, max_iter=2)
    found.fit(TABLE, partial)
    p = make().fit(rows(slice(0, 45)), _code[:45]).predict_proba(rows(slice(45, N)))
    sure = np.flatnonzero(p.max(axis=1) > 0.6)
    assert 0 < len(sure) < 45
    equal(found.transduction_[45:][sure], p.argmax(axis=1)[sure])
    equal(np.flatnonzero(found.labeled_iter_[45:] == 1), sure)


@walks("feature_selection.SequentialFeatureSelector", takes="table")
def _():
    # It cuts columns away, so it makes sense for a single modality only.
    cv = model_selection.StratifiedKFold(2)
    found = feature_selection.SequentialFeatureSelector(make(), n_features_to_select=1, cv=cv)
    found.fit(TABLE, Y)
    by_hand = [
        np.mean(model_selection.cross_val_score(make(), ModalityDict({"X": c[:, None]}), Y, cv=cv))
        for c in TABLE.T
    ]
    equal(np.flatnonzero(found.get_support()), [np.argmax(by_hand)])


@walks("dummy.DummyClassifier")
def _():
    # The baseline to compare with takes the same container.
    found = model_selection.cross_val_score(dummy.DummyClassifier(), X, Y, cv=3)
    close(found, 1 / 3, atol=0.02)


# Inspection


@walks("inspection.permutation_importance", takes="table")
def _():
    clf = make_2d().fit(TABLE, Y)
    found = inspection.permutation_importance(clf, TABLE, Y, n_repeats=2, random_state=0)
    assert found.importances.shape == (10, 2)
    # scikit-learn draws one seed and permutes each column with it.
    seed = np.random.RandomState(0).randint(np.iinfo(np.int32).max + 1)
    for column in (0, 9):
        order, rng = np.arange(N), np.random.RandomState(seed)
        shuffled = TABLE.copy()
        for repeat in range(2):
            rng.shuffle(order)
            shuffled[:, column] = shuffled[order, column]
            cut = {"strong": shuffled[:, :6], "weak": shuffled[:, 6:]}
            drop = clf.score(TABLE, Y) - np.mean(clf.predict(cut) == Y)
            close(found.importances[column, repeat], drop, atol=1e-12)


@walks("inspection.partial_dependence", takes="table")
def _():
    clf = make_2d().fit(TABLE, Y)
    found = inspection.partial_dependence(
        clf, TABLE, [7], grid_resolution=4, response_method="predict_proba"
    )
    for i, value in enumerate(found["grid_values"][0]):
        moved = TABLE.copy()
        moved[:, 7] = value
        close(found["average"][:, i], clf.predict_proba(moved).mean(axis=0))
    assert np.ptp(found["average"]) > 0


@walks("inspection.PartialDependenceDisplay", takes="table")
def _():
    pyplot()
    clf = make_2d().fit(TABLE, Y)
    display = inspection.PartialDependenceDisplay.from_estimator(
        clf, TABLE, [0], target="fear", grid_resolution=4
    )
    expected = inspection.partial_dependence(clf, TABLE, [0], grid_resolution=4)
    close(display.lines_[0, 0].get_ydata(), expected["average"][1])


@walks("inspection.DecisionBoundaryDisplay", takes="table")
def _():
    pyplot()
    two = TABLE[:, [0, 6]]
    clf = make(modalities={"strong": [0], "weak": [1]}).fit(two, BINARY)
    display = inspection.DecisionBoundaryDisplay.from_estimator(
        clf, two, grid_resolution=5, response_method="predict_proba"
    )
    grid = np.column_stack([display.xx0.ravel(), display.xx1.ravel()])
    close(display.response.ravel(), clf.predict_proba(grid)[:, 1])


# Metrics and displays


@walks("metrics.make_scorer")
def _():
    clf = make().fit(PLAIN, Y)
    scorer = metrics.make_scorer(
        metrics.log_loss, greater_is_better=False, response_method="predict_proba"
    )
    close(scorer(clf, X, Y), -metrics.log_loss(Y, clf.predict_proba(PLAIN)))
    # Without pos_label=None, scikit-learn 1.6 looks for its default, 1, among the labels.
    f1 = metrics.make_scorer(metrics.f1_score, average="macro", pos_label=None)
    by_hand = metrics.f1_score(Y, clf.predict(PLAIN), average="macro")
    assert f1(clf, X, Y) == by_hand
    assert f1(clf, X, Y, sample_weight=WEIGHT) != by_hand


@walks("metrics.get_scorer")
def _():
    clf = make().fit(PLAIN, Y)
    p = clf.predict_proba(PLAIN)
    expected = {
        "accuracy": np.mean(clf.predict(PLAIN) == Y),
        "roc_auc_ovo": metrics.roc_auc_score(Y, p, multi_class="ovo"),
        "top_k_accuracy": metrics.top_k_accuracy_score(Y, p),
        "neg_log_loss": -metrics.log_loss(Y, p),
        "matthews_corrcoef": metrics.matthews_corrcoef(Y, clf.predict(PLAIN)),
    }
    for name, value in expected.items():
        close(metrics.get_scorer(name)(clf, X, Y), value, err_msg=name)
    binary = make().fit(PLAIN, BINARY)
    p = binary.predict_proba(PLAIN)[:, 1]
    close(metrics.get_scorer("roc_auc")(binary, X, BINARY), metrics.roc_auc_score(BINARY, p))


@walks("metrics.check_scoring")
def _():
    clf = make().fit(PLAIN, Y)
    assert metrics.check_scoring(clf)(clf, X, Y) == clf.score(PLAIN, Y)
    several = metrics.check_scoring(clf, scoring=["accuracy", "balanced_accuracy"])
    assert set(several(clf, X, Y)) == {"accuracy", "balanced_accuracy"}


@walks("metrics.ConfusionMatrixDisplay")
def _():
    pyplot()
    clf = make().fit(PLAIN, Y)
    display = metrics.ConfusionMatrixDisplay.from_estimator(clf, X, Y)
    equal(display.confusion_matrix, metrics.confusion_matrix(Y, clf.predict(PLAIN)))
    assert display.confusion_matrix.sum() == N


def binary_pair():
    clf = make().fit(PLAIN, BINARY)
    return clf, clf.predict_proba(PLAIN)[:, 1]


@walks("metrics.RocCurveDisplay")
def _():
    pyplot()
    clf, p = binary_pair()
    display = metrics.RocCurveDisplay.from_estimator(clf, X, BINARY)
    close(display.roc_auc, metrics.roc_auc_score(BINARY, p))
    close(display.tpr, metrics.roc_curve(BINARY, p, pos_label="yes")[1])


@walks("metrics.RocCurveDisplay", "cross-validation")
def _():
    pyplot()
    if not hasattr(metrics.RocCurveDisplay, "from_cv_results"):
        pytest.skip("needs scikit-learn 1.7")
    results = model_selection.cross_validate(
        make(), X, BINARY, cv=3, return_estimator=True, return_indices=True
    )
    display = metrics.RocCurveDisplay.from_cv_results(results, X, BINARY)
    p = probabilities_by_hand(make(), y=BINARY)[:, 1]
    by_hand = [metrics.roc_auc_score(BINARY[t], p[t]) for _, t in folds(y=BINARY)]
    close(display.roc_auc, by_hand)


@walks("metrics.PrecisionRecallDisplay")
def _():
    pyplot()
    clf, p = binary_pair()
    display = metrics.PrecisionRecallDisplay.from_estimator(clf, X, BINARY)
    by_hand = metrics.average_precision_score(BINARY, p, pos_label="yes")
    close(display.average_precision, by_hand)


@walks("metrics.DetCurveDisplay")
def _():
    pyplot()
    clf, p = binary_pair()
    display = metrics.DetCurveDisplay.from_estimator(clf, X, BINARY)
    by_hand = metrics.det_curve(BINARY, p, pos_label="yes")
    # The display leaves out points on straight lines, and clips 0 to the smallest float.
    drawn = np.stack([display.fpr, display.fnr], axis=1)
    distance = abs(drawn[:, None] - np.stack(by_hand[:2], axis=1)).max(axis=2)
    close(distance.min(axis=1), 0, atol=1e-12)


@walks("calibration.CalibrationDisplay")
def _():
    pyplot()
    clf, p = binary_pair()
    display = calibration.CalibrationDisplay.from_estimator(clf, X, BINARY, n_bins=4)
    true, predicted = calibration.calibration_curve(BINARY, p, n_bins=4, pos_label="yes")
    close(display.prob_true, true)
    close(display.prob_pred, predicted)


# Utilities


@walks("base.clone", takes="nothing")
def _():
    clf = make(method__score="probability_sum", encoders__strong__hidden=5).fit(X, Y)
    fresh = base.clone(clf)
    assert not hasattr(fresh, "classes_")
    with pytest.raises(sklearn.exceptions.NotFittedError):
        utils.validation.check_is_fitted(fresh)
    assert fresh.get_params(deep=False) == clf.get_params(deep=False)
    equal(fresh.fit(X, Y).predict_proba(X), clf.predict_proba(X))


@walks("base.is_classifier", takes="nothing")
def _():
    assert base.is_classifier(make()) and not base.is_regressor(make())


@walks("utils.validation.check_is_fitted", takes="nothing")
def _():
    utils.validation.check_is_fitted(make().fit(X, Y))
    with pytest.raises(sklearn.exceptions.NotFittedError):
        utils.validation.check_is_fitted(make())


@walks("utils.shuffle")
def _():
    shuffled, y, index = utils.shuffle(X, Y, np.arange(N), random_state=0)
    same_rows(shuffled, index)
    equal(y, Y[index])
    assert sorted(index) == list(range(N)) and list(index) != sorted(index)


@walks("utils.resample")
def _():
    sample, index = utils.resample(X, np.arange(N), n_samples=60, stratify=Y, random_state=0)
    same_rows(sample, index)
    assert len(np.unique(index)) < len(sample) == 60
    assert np.unique(Y[index], return_counts=True)[1].tolist() == [20, 20, 20]


@walks("utils.indexable")
def _():
    data, y, nothing = utils.indexable(X, Y.tolist(), None)
    assert data is X and nothing is None
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        utils.indexable(X, Y[:-1])


@walks("utils._safe_indexing")
def _():
    mask = np.arange(N) % 3 == 0
    for index in ([3, 1, 1], np.array([5, 0]), mask, mask.tolist(), slice(10, 20)):
        same_rows(utils._safe_indexing(X, index), index)


@walks("utils.check_consistent_length")
def _():
    utils.check_consistent_length(X, Y, None)
    with pytest.raises(ValueError, match=r"\[90, 89\]"):
        utils.check_consistent_length(X, Y[1:])


@walks("utils.validation._num_samples")
def _():
    assert utils.validation._num_samples(X) == N


@walks("utils.gen_batches")
def _():
    # Out of core: a slice at a time.
    ours, by_hand = make(), make()
    for batch in utils.gen_batches(N, 30):
        ours.partial_fit(X[batch], Y[batch], classes=np.unique(Y))
        by_hand.partial_fit(rows(batch), Y[batch], classes=np.unique(Y))
    assert len(ours.history) == 3
    equal(ours.predict_proba(X), by_hand.predict_proba(PLAIN))


@walks("utils.estimator_html_repr", takes="nothing")
def _():
    pipe = pipeline.make_pipeline(ModalityTransformer({"weak": PCA(2)}), make(alpha=0.5))
    html = utils.estimator_html_repr(pipe)
    for text in ("MultimodalInfoRegClassifier", "ModalityTransformer", "alpha"):
        assert text in html


@walks("utils.get_tags", takes="nothing")
def _():
    assert utils.get_tags(make()).estimator_type == "classifier"


# Metadata routing


@walks("config_context", "weights and groups by routing")
def _():
    with sklearn.config_context(enable_metadata_routing=True):
        # groups is a parameter of fit too: that these are for the splitter only must be said.
        clf = make().set_fit_request(sample_weight=True, groups=False)
        clf.set_score_request(sample_weight=True)
        found = model_selection.cross_validate(
            clf,
            X,
            Y,
            cv=model_selection.GroupKFold(3),
            params={"sample_weight": WEIGHT, "groups": GROUPS},
            return_estimator=True,
        )
    for i, (train, test) in enumerate(folds(model_selection.GroupKFold(3), groups=GROUPS)):
        by_hand = fitted_on(train, sample_weight=WEIGHT[train])
        equal(found["estimator"][i].predict_proba(X), by_hand.predict_proba(PLAIN))
        score = by_hand.score(rows(test), Y[test], sample_weight=WEIGHT[test])
        assert found["test_score"][i] == score


@walks("config_context", "groups for the validation split")
def _():
    seen = []

    class Recorder(ValidSplit):
        def __call__(self, dataset, y=None, groups=None):
            train, valid = super().__call__(dataset, y, groups)
            seen.append((groups, train.indices, valid.indices))
            return train, valid

    with sklearn.config_context(enable_metadata_routing=True):
        clf = make(train_split=Recorder(model_selection.GroupKFold(3)))
        clf.set_fit_request(groups=True)
        model_selection.cross_validate(
            clf, X, Y, cv=model_selection.GroupKFold(3), params={"groups": GROUPS}
        )
    assert len(seen) == 3
    for (groups, train, valid), (outer, _) in zip(
        seen, folds(model_selection.GroupKFold(3), groups=GROUPS)
    ):
        equal(groups, GROUPS[outer])
        assert len(train) + len(valid) == len(outer)
        assert not set(groups[train]) & set(groups[valid])


@walks("config_context", "weights in a search over a pipeline")
def _():
    with sklearn.config_context(enable_metadata_routing=True):
        clf = make().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        pipe = pipeline.Pipeline([("scale", ModalityTransformer(StandardScaler())), ("clf", clf)])
        if SKLEARN < parse_version("1.7"):
            pipe.set_score_request(sample_weight=True)  # later pipelines pass the request on
        search = model_selection.GridSearchCV(pipe, {"clf__lr": [1e-3, 0.02]}, cv=3)
        search.fit(X, Y, sample_weight=WEIGHT)
    for i, lr in enumerate([1e-3, 0.02]):
        for k, (train, test) in enumerate(folds()):
            scalers = {name: StandardScaler().fit(PLAIN[name][train]) for name in PLAIN}
            cut = [{n: scalers[n].transform(PLAIN[n][j]) for n in PLAIN} for j in (train, test)]
            by_hand = make(lr=lr).fit(cut[0], Y[train], sample_weight=WEIGHT[train])
            score = by_hand.score(cut[1], Y[test], sample_weight=WEIGHT[test])
            close(search.cv_results_[f"split{k}_test_score"][i], score)
    best = make(lr=search.best_params_["clf__lr"])
    best.fit(scaled_by_hand(), Y, sample_weight=WEIGHT)
    equal(search.predict_proba(X), best.predict_proba(scaled_by_hand()))


@walks("config_context", "weights in an incremental learning curve")
def _():
    if SKLEARN < parse_version("1.9"):
        pytest.skip("scikit-learn (1.6.1 at least) hands partial_fit the weights of all samples")
    with sklearn.config_context(enable_metadata_routing=True):
        # learning_curve asks for fit's request as well, though it calls partial_fit only.
        clf = make().set_fit_request(sample_weight=True).set_partial_fit_request(sample_weight=True)
        clf.set_score_request(sample_weight=True)
        _, _, test_scores = model_selection.learning_curve(
            clf,
            X,
            Y,
            cv=3,
            train_sizes=[30, 60],
            exploit_incremental_learning=True,
            params={"sample_weight": WEIGHT},
        )
    for j, (train, test) in enumerate(folds()):
        by_hand = make()
        for i, batch in enumerate(np.split(train, [30])):
            by_hand.partial_fit(
                rows(batch), Y[batch], classes=np.unique(Y), sample_weight=WEIGHT[batch]
            )
            score = by_hand.score(rows(test), Y[test], sample_weight=WEIGHT[test])
            close(test_scores[i, j], score)


@walks("config_context", "weights without a request are refused")
def _():
    with sklearn.config_context(enable_metadata_routing=True):
        with pytest.raises(sklearn.exceptions.UnsetMetadataPassedError, match="sample_weight"):
            model_selection.cross_validate(make(), X, Y, params={"sample_weight": WEIGHT})


# Saving


@pytest.mark.parametrize("how", ["pickle", "joblib", "joblib, mapped", "deepcopy"])
def test_saving(how, tmp_path):
    pipe = pipeline.make_pipeline(ModalityTransformer(StandardScaler()), make()).fit(X, Y)
    saved = (X, pipe)
    if how == "pickle":
        data, loaded = pickle.loads(pickle.dumps(saved))
    elif how == "deepcopy":
        data, loaded = copy.deepcopy(saved)
    else:
        joblib.dump(saved, tmp_path / "saved")
        mode = "r" if "mapped" in how else None
        data, loaded = joblib.load(tmp_path / "saved", mmap_mode=mode)
        assert isinstance(data["strong"], np.memmap) == (mode == "r")
    assert data == X
    equal(loaded.predict_proba(data), pipe.predict_proba(X))
    equal(loaded.fit(data, Y).predict_proba(data), pipe.predict_proba(X))


@pytest.mark.parametrize(
    "walk", [pytest.param(w.walk, id=key, marks=w.marks) for key, w in WALKS.items()]
)
def test_entry_point(walk, tmp_path):
    walk(tmp_path) if walk.__code__.co_argcount else walk()


# What does not work, and why

NEEDS_A_TABLE = "it converts X to one 2-D array; give it that and the classifier modalities="
INDEXES_COLUMNS = "it takes the columns of X by number, of which a container has none"
WAY_OUT = r"not one array.*modalities="

IMPOSSIBLE = {}


def impossible(name, reason, error, match, variant=""):
    """Register what fails, why, and the error that says so."""

    def register(function):
        key = f"{name}[{variant}]" if variant else name
        assert key not in IMPOSSIBLE
        IMPOSSIBLE[key] = SimpleNamespace(
            name=name, reason=reason, error=error, match=match, call=function
        )
        return function

    return register


def _register_tables():
    tools = {
        "ensemble.BaggingClassifier": ensemble.BaggingClassifier(make()),
        "ensemble.AdaBoostClassifier": ensemble.AdaBoostClassifier(make()),
        "multiclass.OneVsOneClassifier": multiclass.OneVsOneClassifier(make()),
        "multioutput.ClassifierChain": multioutput.ClassifierChain(make()),
        "semi_supervised.SelfTrainingClassifier": semi_supervised.SelfTrainingClassifier(make()),
        "feature_selection.SequentialFeatureSelector": feature_selection.SequentialFeatureSelector(
            make(), n_features_to_select=1
        ),
        "preprocessing.StandardScaler": preprocessing.StandardScaler(),
        "neighbors.KNeighborsClassifier": neighbors.KNeighborsClassifier(),
        "multiclass.OutputCodeClassifier": multiclass.OutputCodeClassifier(make(), random_state=0),
    }
    for name, tool in tools.items():
        y = np.stack([_code == 0, _code == 1], axis=1) if "Chain" in name else _code
        impossible(name, NEEDS_A_TABLE, TypeError, WAY_OUT)(
            lambda tool=tool, y=y: base.clone(tool).fit(X, y)
        )


_register_tables()


@impossible(
    "ensemble.StackingClassifier",
    "passthrough joins X to the probabilities as columns",
    TypeError,
    WAY_OUT,
    "passthrough",
)
def _():
    ensemble.StackingClassifier(MEMBERS[:2], cv=2, passthrough=True).fit(X, Y)


@impossible(
    "pipeline.FeatureUnion",
    "it joins the outputs of its transformers as columns of one array",
    (TypeError, ValueError),
    WAY_OUT + "|expected 2 dimensions",
)
def _():
    union = pipeline.FeatureUnion([("a", ModalityTransformer()), ("b", ModalityTransformer())])
    union.fit_transform(X)


@impossible(
    "inspection.permutation_importance",
    INDEXES_COLUMNS + "; ours permutes whole modalities",
    IndexError,
    "tuple index out of range",
)
def _():
    inspection.permutation_importance(make().fit(X, Y), X, Y)


@impossible("compose.ColumnTransformer", INDEXES_COLUMNS, IndexError, "tuple index out of range")
def _():
    compose.ColumnTransformer([("a", StandardScaler(), [0])]).fit(X)


@impossible(
    "inspection.partial_dependence", INDEXES_COLUMNS, IndexError, "tuple index out of range"
)
def _():
    inspection.partial_dependence(make().fit(X, Y), X, [0])


@impossible(
    "feature_selection.RFE",
    "a network has no coef_ or feature_importances_ of its columns",
    ValueError,
    "coef_.*feature_importances_",
)
def _():
    feature_selection.RFE(make_2d()).fit(TABLE, Y)


@impossible(
    "feature_selection.SelectFromModel",
    "a network has no coef_ or feature_importances_ of its columns",
    ValueError,
    "coef_.*feature_importances_",
)
def _():
    feature_selection.SelectFromModel(make_2d()).fit(TABLE, Y).transform(TABLE)


@impossible(
    "model_selection.cross_val_predict",
    "the classifier has predict_proba, and no decision_function",
    AttributeError,
    "decision_function",
    "decision_function",
)
def _():
    model_selection.cross_val_predict(make(), X, Y, cv=3, method="decision_function")


@impossible(
    "compose.TransformedTargetRegressor",
    "it transforms a regression target; labels are not numbers",
    ValueError,
    "could not convert string to float|not compatible with arrays of bytes/strings",
)
def _():
    compose.TransformedTargetRegressor(make()).fit(X, Y)


@impossible(
    "ensemble.BaggingClassifier",
    "max_features takes columns at random, and modalities= names columns by place",
    ValueError,
    "modalities",
    "max_features",
)
def _():
    ensemble.BaggingClassifier(make_2d(), max_features=0.3, random_state=0).fit(TABLE, Y)


@impossible("utils.check_array", NEEDS_A_TABLE, TypeError, WAY_OUT)
def _():
    utils.check_array(X)


@pytest.mark.parametrize("case", [pytest.param(c, id=key) for key, c in IMPOSSIBLE.items()])
def test_impossible(case):
    assert case.reason
    with pytest.raises(case.error, match=f"(?s){case.match}"):
        case.call()


# The tables themselves


def test_names_are_those_of_scikit_learn():
    for name in {case.name for case in (*WALKS.values(), *IMPOSSIBLE.values())}:
        assert callable(resolve(name)), name


def test_enough_entry_points():
    # Variants of one entry point count once; those that get a table or no data do not count.
    names = {case.name for case in WALKS.values() if case.takes == "modalities"}
    assert len(names) >= 55
    # Nothing is on both lists, but for what one of its options or the other input makes of it.
    clash = {k for k in IMPOSSIBLE if k in WALKS and WALKS[k].takes != "table"}
    assert clash == set()
