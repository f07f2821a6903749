"""Splitters and cross-validation of scikit-learn with a `ModalityDict` and our classifier."""

import joblib
import numpy as np
import pytest
from entry_points import (
    GROUPS,
    PLAIN,
    WEIGHT,
    N,
    X,
    Y,
    close,
    entry_point,
    equal,
    fitted_on,
    folds,
    make,
    probabilities_by_hand,
    pyplot,
    rows,
    same_rows,
    scores_by_hand,
)
from sklearn import metrics, model_selection

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


@entry_point(*(f"model_selection.{name}" for name in SPLITTERS))
@pytest.mark.parametrize("name, cv", SPLITTERS.items(), ids=list(SPLITTERS))
def test_splitter_gives_the_folds_of_a_table(name, cv):
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


@entry_point("model_selection.train_test_split")
def test_train_test_split_keeps_rows_and_labels_together():
    train, test, y_train, y_test, i_train, i_test = model_selection.train_test_split(
        X, Y, np.arange(N), test_size=0.2, stratify=Y, random_state=0
    )
    assert (len(train), len(test)) == (72, 18)
    assert sorted([*i_train, *i_test]) == list(range(N))
    same_rows(train, i_train)
    same_rows(test, i_test)
    equal(y_train, Y[i_train])
    assert np.unique(y_test, return_counts=True)[1].tolist() == [6, 6, 6]


@entry_point("model_selection.check_cv")
def test_check_cv_stratifies_by_the_labels():
    cv = model_selection.check_cv(5, Y, classifier=True)
    assert isinstance(cv, model_selection.StratifiedKFold)
    assert [len(test) for _, test in cv.split(X, Y)] == [18] * 5


# Cross-validation


@entry_point("model_selection.cross_val_score")
def test_cross_val_score_equals_folds_by_hand():
    found = model_selection.cross_val_score(make(), X, Y, cv=3)
    equal(found, scores_by_hand(make()))
    assert found.mean() > 0.6  # the equality is not between failures


@entry_point("model_selection.cross_val_score", variant="groups")
def test_cross_val_score_with_groups_equals_folds_by_hand():
    cv = model_selection.GroupKFold(3)
    found = model_selection.cross_val_score(make(), X, Y, cv=cv, groups=GROUPS)
    by_hand = [
        fitted_on(train).score(rows(test), Y[test]) for train, test in folds(cv, groups=GROUPS)
    ]
    equal(found, by_hand)


@entry_point("model_selection.cross_val_score", variant="threads")
def test_cross_val_score_in_threads_equals_folds_by_hand():
    with joblib.parallel_config(backend="threading"):
        found = model_selection.cross_val_score(make(), X, Y, cv=3, n_jobs=3)
    equal(found, scores_by_hand(make()))


@entry_point("model_selection.cross_val_score", variant="processes")
@pytest.mark.slow
def test_cross_val_score_in_processes_equals_folds_by_hand():
    found = model_selection.cross_val_score(make(), X, Y, cv=4, n_jobs=2)
    equal(found, scores_by_hand(make(), 4))


@entry_point("model_selection.cross_validate")
def test_cross_validate_gives_the_scores_of_folds_by_hand():
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


@entry_point("model_selection.cross_validate", variant="fit parameters are sliced")
def test_cross_validate_slices_fit_parameters():
    found = model_selection.cross_validate(
        make(), X, Y, cv=3, params={"sample_weight": WEIGHT}, return_estimator=True
    )
    for clf, (train, _) in zip(found["estimator"], folds()):
        by_hand = fitted_on(train, sample_weight=WEIGHT[train])
        equal(clf.predict_proba(X), by_hand.predict_proba(PLAIN))
        assert abs(by_hand.predict_proba(PLAIN) - fitted_on(train).predict_proba(PLAIN)).max() > 0


@entry_point("model_selection.cross_val_predict", variant="predict")
def test_cross_val_predict_equals_folds_by_hand():
    found = model_selection.cross_val_predict(make(), X, Y, cv=3)
    equal(found, np.unique(Y)[probabilities_by_hand(make()).argmax(axis=1)])


@entry_point("model_selection.cross_val_predict", variant="predict_proba")
def test_cross_val_predict_of_probabilities_equals_folds_by_hand():
    found = model_selection.cross_val_predict(make(), X, Y, cv=3, method="predict_proba")
    equal(found, probabilities_by_hand(make()))


@entry_point("model_selection.learning_curve")
def test_learning_curve_scores_fits_of_the_first_rows():
    sizes, train_scores, test_scores = model_selection.learning_curve(
        make(), X, Y, cv=3, train_sizes=[20, 40, 60]
    )
    equal(sizes, [20, 40, 60])
    for j, (train, test) in enumerate(folds()):
        for i, size in enumerate(sizes):
            clf = fitted_on(train[:size])
            assert train_scores[i, j] == clf.score(rows(train[:size]), Y[train[:size]])
            assert test_scores[i, j] == clf.score(rows(test), Y[test])


@entry_point("model_selection.learning_curve", variant="incremental")
def test_incremental_learning_curve_scores_partial_fits():
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


@entry_point("model_selection.validation_curve")
def test_validation_curve_equals_folds_by_hand():
    train_scores, test_scores = model_selection.validation_curve(
        make(), X, Y, param_name="lr", param_range=[0.0, 0.02], cv=3
    )
    assert train_scores.shape == (2, 3)
    equal(test_scores[0], scores_by_hand(make(lr=0.0)))
    equal(test_scores[1], scores_by_hand(make(lr=0.02)))
    assert test_scores[1].mean() > test_scores[0].mean() + 0.2


@entry_point("model_selection.permutation_test_score")
def test_permutation_test_score_shuffles_labels_only():
    score, permuted, p = model_selection.permutation_test_score(
        make(), X, Y, cv=3, n_permutations=9, random_state=0
    )
    close(score, np.mean(scores_by_hand(make())))
    # The first permutation by hand: the labels are shuffled, the modalities are not.
    shuffled = Y[np.random.RandomState(0).permutation(N)]
    close(permuted[0], np.mean(scores_by_hand(make(), y=shuffled)))
    close(p, (np.sum(permuted >= score) + 1) / 10)
    assert p == 0.1


@entry_point("model_selection.LearningCurveDisplay")
def test_learning_curve_display_draws_the_curve():
    pyplot()
    display = model_selection.LearningCurveDisplay.from_estimator(
        make(), X, Y, cv=3, train_sizes=[30, 60]
    )
    expected = model_selection.learning_curve(make(), X, Y, cv=3, train_sizes=[30, 60])
    equal(display.train_sizes, expected[0])
    equal(display.test_scores, expected[2])
    equal(display.lines_[1].get_ydata(), expected[2].mean(axis=1))


@entry_point("model_selection.ValidationCurveDisplay")
def test_validation_curve_display_draws_folds_by_hand():
    pyplot()
    display = model_selection.ValidationCurveDisplay.from_estimator(
        make(), X, Y, param_name="max_epochs", param_range=[1, 3], cv=3
    )
    equal(display.test_scores[1], scores_by_hand(make(max_epochs=3)))
    equal(display.lines_[1].get_ydata(), display.test_scores.mean(axis=1))
