"""Inspection, metrics and displays of scikit-learn with a `ModalityDict` and our classifier."""

import numpy as np
import pytest
from entry_points import (
    BINARY,
    PLAIN,
    TABLE,
    WEIGHT,
    N,
    X,
    Y,
    close,
    entry_point,
    equal,
    folds,
    make,
    make_2d,
    probabilities_by_hand,
    pyplot,
)
from sklearn import calibration, inspection, metrics, model_selection

# Inspection


@entry_point("inspection.permutation_importance", takes="table")
def test_permutation_importance_shuffles_columns_of_the_table():
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


@entry_point("inspection.partial_dependence", takes="table")
def test_partial_dependence_averages_probabilities():
    clf = make_2d().fit(TABLE, Y)
    found = inspection.partial_dependence(
        clf, TABLE, [7], grid_resolution=4, response_method="predict_proba"
    )
    for i, value in enumerate(found["grid_values"][0]):
        moved = TABLE.copy()
        moved[:, 7] = value
        close(found["average"][:, i], clf.predict_proba(moved).mean(axis=0))
    assert np.ptp(found["average"]) > 0


@entry_point("inspection.PartialDependenceDisplay", takes="table")
def test_partial_dependence_display_draws_the_average():
    pyplot()
    clf = make_2d().fit(TABLE, Y)
    display = inspection.PartialDependenceDisplay.from_estimator(
        clf, TABLE, [0], target="fear", grid_resolution=4
    )
    expected = inspection.partial_dependence(clf, TABLE, [0], grid_resolution=4)
    close(display.lines_[0, 0].get_ydata(), expected["average"][1])


@entry_point("inspection.DecisionBoundaryDisplay", takes="table")
def test_decision_boundary_display_shows_probabilities():
    pyplot()
    two = TABLE[:, [0, 6]]
    clf = make(modalities={"strong": [0], "weak": [1]}).fit(two, BINARY)
    display = inspection.DecisionBoundaryDisplay.from_estimator(
        clf, two, grid_resolution=5, response_method="predict_proba"
    )
    grid = np.column_stack([display.xx0.ravel(), display.xx1.ravel()])
    close(display.response.ravel(), clf.predict_proba(grid)[:, 1])


# Metrics and displays


@entry_point("metrics.make_scorer")
def test_made_scorer_equals_its_metric():
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


@entry_point("metrics.get_scorer")
def test_named_scorers_equal_their_metrics():
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


@entry_point("metrics.check_scoring")
def test_default_scoring_is_the_score_method():
    clf = make().fit(PLAIN, Y)
    assert metrics.check_scoring(clf)(clf, X, Y) == clf.score(PLAIN, Y)
    several = metrics.check_scoring(clf, scoring=["accuracy", "balanced_accuracy"])
    assert set(several(clf, X, Y)) == {"accuracy", "balanced_accuracy"}


@entry_point("metrics.ConfusionMatrixDisplay")
def test_confusion_matrix_display_counts_predictions():
    pyplot()
    clf = make().fit(PLAIN, Y)
    display = metrics.ConfusionMatrixDisplay.from_estimator(clf, X, Y)
    equal(display.confusion_matrix, metrics.confusion_matrix(Y, clf.predict(PLAIN)))
    assert display.confusion_matrix.sum() == N


def binary_pair():
    clf = make().fit(PLAIN, BINARY)
    return clf, clf.predict_proba(PLAIN)[:, 1]


@entry_point("metrics.RocCurveDisplay")
def test_roc_curve_display_equals_the_curve():
    pyplot()
    clf, p = binary_pair()
    display = metrics.RocCurveDisplay.from_estimator(clf, X, BINARY)
    close(display.roc_auc, metrics.roc_auc_score(BINARY, p))
    close(display.tpr, metrics.roc_curve(BINARY, p, pos_label="yes")[1])


@entry_point("metrics.RocCurveDisplay", variant="cross-validation")
def test_roc_curves_of_folds_equal_those_by_hand():
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


@entry_point("metrics.PrecisionRecallDisplay")
def test_precision_recall_display_equals_average_precision():
    pyplot()
    clf, p = binary_pair()
    display = metrics.PrecisionRecallDisplay.from_estimator(clf, X, BINARY)
    by_hand = metrics.average_precision_score(BINARY, p, pos_label="yes")
    close(display.average_precision, by_hand)


@entry_point("metrics.DetCurveDisplay")
def test_det_curve_display_draws_points_of_the_curve():
    pyplot()
    clf, p = binary_pair()
    display = metrics.DetCurveDisplay.from_estimator(clf, X, BINARY)
    by_hand = metrics.det_curve(BINARY, p, pos_label="yes")
    # The display leaves out points on straight lines, and clips 0 to the smallest float.
    drawn = np.stack([display.fpr, display.fnr], axis=1)
    distance = abs(drawn[:, None] - np.stack(by_hand[:2], axis=1)).max(axis=2)
    close(distance.min(axis=1), 0, atol=1e-12)


@entry_point("calibration.CalibrationDisplay")
def test_calibration_display_equals_the_curve():
    pyplot()
    clf, p = binary_pair()
    display = calibration.CalibrationDisplay.from_estimator(clf, X, BINARY, n_bins=4)
    true, predicted = calibration.calibration_curve(BINARY, p, n_bins=4, pos_label="yes")
    close(display.prob_true, true)
    close(display.prob_pred, predicted)
