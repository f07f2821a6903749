"""Ensembles and other meta-estimators of scikit-learn around our classifier."""

import numpy as np
from entry_points import (
    BINARY,
    CODE,
    MEMBERS,
    PLAIN,
    TABLE,
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
    make_2d,
    members_by_hand,
    probabilities_by_hand,
    rows,
)
from searches import near
from sklearn import (
    base,
    calibration,
    dummy,
    ensemble,
    feature_selection,
    frozen,
    linear_model,
    model_selection,
    multiclass,
    multioutput,
    semi_supervised,
)

from inforeg_sk import ModalityDict


@entry_point("ensemble.VotingClassifier", variant="hard")
def test_hard_voting_counts_the_members_labels():
    voting = ensemble.VotingClassifier(MEMBERS).fit(X, Y)
    votes = np.stack([p.argmax(axis=1) for p in members_by_hand()])
    counts = np.stack([(votes == k).sum(axis=0) for k in range(3)])
    equal(voting.predict(X), np.unique(Y)[counts.argmax(axis=0)])


@entry_point("ensemble.VotingClassifier", variant="soft")
def test_soft_voting_averages_the_members_probabilities():
    voting = ensemble.VotingClassifier(MEMBERS, voting="soft", weights=[1, 2, 3]).fit(X, Y)
    expected = np.average(members_by_hand(), axis=0, weights=[1, 2, 3])
    close(voting.predict_proba(X), expected)
    equal(voting.predict(X), np.unique(Y)[expected.argmax(axis=1)])


@entry_point("ensemble.StackingClassifier")
def test_stacking_fits_on_out_of_fold_probabilities():
    final = linear_model.LogisticRegression()
    stack = ensemble.StackingClassifier(MEMBERS[:2], final, cv=3).fit(X, Y)
    close(stack.transform(X), np.hstack(members_by_hand()[:2]))
    # Stacking fits its members on encoded labels, in the same order as ours.
    out_of_fold = np.hstack([probabilities_by_hand(clf) for _, clf in MEMBERS[:2]])
    by_hand = base.clone(final).fit(out_of_fold, Y)
    close(stack.final_estimator_.coef_, by_hand.coef_, rtol=1e-5)
    close(stack.predict_proba(X), by_hand.predict_proba(stack.transform(X)), rtol=1e-5)
    equal(stack.classes_, np.unique(Y))


@entry_point("ensemble.StackingClassifier", variant="prefit")
def test_stacking_keeps_fitted_members():
    fitted = [(name, base.clone(clf).fit(X, Y)) for name, clf in MEMBERS[:2]]
    stack = ensemble.StackingClassifier(fitted, cv="prefit").fit(X, Y)
    assert stack.estimators_[0] is fitted[0][1]
    close(stack.transform(X), np.hstack(members_by_hand()[:2]))


@entry_point("calibration.CalibratedClassifierCV", variant="sigmoid")
def test_sigmoid_calibration_averages_the_folds():
    found = calibration.CalibratedClassifierCV(make(), cv=3).fit(X, BINARY)
    raw = []
    for inner, (train, _) in zip(found.calibrated_classifiers_, folds(y=BINARY)):
        p = fitted_on(train, y=BINARY).predict_proba(PLAIN)
        equal(inner.estimator.predict_proba(X), p)
        raw.append(inner.calibrators[0].predict(p[:, 1]))
    close(found.predict_proba(X)[:, 1], np.mean(raw, axis=0))
    assert len(raw) == 3


@entry_point("calibration.CalibratedClassifierCV", variant="isotonic")
def test_isotonic_calibration_gives_probabilities_and_labels():
    found = calibration.CalibratedClassifierCV(make(), method="isotonic", cv=3).fit(X, Y)
    p = found.predict_proba(X)
    close(p.sum(axis=1), 1)
    assert np.mean(found.predict(X) == Y) > 0.7
    assert found.predict(X).dtype == Y.dtype


@entry_point("calibration.CalibratedClassifierCV", variant="one model")
def test_calibration_of_one_model_uses_out_of_fold_values():
    found = calibration.CalibratedClassifierCV(make(), cv=3, ensemble=False).fit(X, BINARY)
    (inner,) = found.calibrated_classifiers_
    p = make().fit(PLAIN, BINARY).predict_proba(PLAIN)[:, 1]
    equal(inner.estimator.predict_proba(X)[:, 1], p)
    # The sigmoid is fitted on out-of-fold values, and is applied to those of the one model.
    out_of_fold = probabilities_by_hand(make(), y=BINARY)[:, 1]
    sigmoid = calibration._SigmoidCalibration().fit(out_of_fold, (BINARY == "yes").astype(int))
    close(found.predict_proba(X)[:, 1], sigmoid.predict(p), rtol=1e-6)


@entry_point("calibration.CalibratedClassifierCV", variant="weights")
def test_calibration_slices_weights():
    found = calibration.CalibratedClassifierCV(make(), cv=3).fit(X, BINARY, sample_weight=WEIGHT)
    for inner, (train, _) in zip(found.calibrated_classifiers_, folds(y=BINARY)):
        by_hand = fitted_on(train, y=BINARY, sample_weight=WEIGHT[train])
        equal(inner.estimator.predict_proba(X), by_hand.predict_proba(PLAIN))


@entry_point("frozen.FrozenEstimator")
def test_frozen_estimator_is_calibrated_as_it_is():
    clf = make().fit(X[:45], BINARY[:45])
    before = clf.predict_proba(PLAIN)
    found = calibration.CalibratedClassifierCV(frozen.FrozenEstimator(clf)).fit(X[45:], BINARY[45:])
    equal(clf.predict_proba(PLAIN), before)
    sigmoid = calibration._SigmoidCalibration().fit(
        before[45:, 1], (BINARY[45:] == "yes").astype(int)
    )
    close(found.predict_proba(X)[:, 1], sigmoid.predict(before[:, 1]), rtol=1e-6)


@entry_point("multiclass.OneVsRestClassifier")
def test_one_vs_rest_fits_each_label():
    found = multiclass.OneVsRestClassifier(make()).fit(X, Y)
    for inner, label in zip(found.estimators_, np.unique(Y)):
        by_hand = make().fit(PLAIN, (label == Y).astype(int))
        equal(inner.predict_proba(X), by_hand.predict_proba(PLAIN))
    votes = np.stack([e.predict_proba(X)[:, 1] for e in found.estimators_], axis=1)
    close(found.predict_proba(X), votes / votes.sum(axis=1, keepdims=True))
    equal(found.predict(X), np.unique(Y)[votes.argmax(axis=1)])


@entry_point("multiclass.OneVsOneClassifier", takes="table")
def test_one_vs_one_fits_each_pair():
    found = multiclass.OneVsOneClassifier(make_2d()).fit(TABLE, Y)
    pairs = [(0, 1), (0, 2), (1, 2)]
    for inner, (i, j) in zip(found.estimators_, pairs):
        keep = np.isin(CODE, (i, j))
        by_hand = make().fit(rows(keep), (CODE[keep] == j).astype(int))
        equal(inner.predict_proba(TABLE), by_hand.predict_proba(PLAIN))
    assert found.score(TABLE, Y) > 0.7


@entry_point("multiclass.OutputCodeClassifier", takes="table")
def test_output_code_fits_each_column_of_the_code():
    # On the table: where a column of the random code is constant, X is checked as an array.
    found = multiclass.OutputCodeClassifier(make_2d(), code_size=2, random_state=0)
    found.fit(TABLE, Y)
    assert found.code_book_.shape == (3, 6)
    votes = np.empty((N, 6))
    for k, bits in enumerate(found.code_book_.T):
        if np.ptp(bits) == 0:
            votes[:, k] = bits[0] > 0
            continue
        by_hand = make().fit(PLAIN, (bits[CODE] > 0).astype(int))
        votes[:, k] = by_hand.predict_proba(PLAIN)[:, 1]
    distance = ((votes[:, None, :] - found.code_book_) ** 2).sum(axis=2)
    equal(found.predict(TABLE), np.unique(Y)[distance.argmin(axis=1)])


@entry_point("multioutput.MultiOutputClassifier")
def test_multi_output_fits_each_target():
    both = np.stack([CODE, CODE == 0], axis=1)
    found = multioutput.MultiOutputClassifier(make()).fit(X, both)
    for i in range(2):
        by_hand = make().fit(PLAIN, both[:, i])
        equal(found.predict(X)[:, i], by_hand.predict(PLAIN))
        equal(found.predict_proba(X)[i], by_hand.predict_proba(PLAIN))


@entry_point("multioutput.ClassifierChain", takes="table")
def test_chain_appends_earlier_targets_to_the_table():
    both = np.stack([CODE == 0, CODE == 1], axis=1).astype(int)
    found = multioutput.ClassifierChain(make_2d()).fit(TABLE, both)
    # The chain's column joins "weak", whose slice is open at its end.
    first = make().fit(PLAIN, both[:, 0]).predict(PLAIN)
    train = PLAIN | {"weak": np.column_stack([PLAIN["weak"], both[:, 0]])}
    test = PLAIN | {"weak": np.column_stack([PLAIN["weak"], first])}
    second = make().fit(train, both[:, 1]).predict(test)
    equal(found.predict(TABLE), np.stack([first, second], axis=1))


@entry_point("ensemble.BaggingClassifier", takes="table")
def test_bagging_averages_different_members():
    found = ensemble.BaggingClassifier(make_2d(), n_estimators=3, random_state=0).fit(TABLE, Y)
    assert len(found.estimators_) == 3
    assert all(e.modalities_ == ("strong", "weak") for e in found.estimators_)
    near(
        found.predict_proba(TABLE),
        np.mean([e.predict_proba(TABLE) for e in found.estimators_], axis=0),
    )
    # Resampled rows and the members' own seeds make different models.
    assert abs(np.diff([e.predict_proba(TABLE) for e in found.estimators_], axis=0)).max() > 0.01
    assert found.score(TABLE, Y) > 0.7


@entry_point("ensemble.AdaBoostClassifier", takes="table")
def test_ada_boost_weighs_the_members_votes():
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


@entry_point("semi_supervised.SelfTrainingClassifier", takes="table")
def test_self_training_labels_the_sure_rows():
    partial = np.where(np.arange(N) < 45, CODE, -1)
    found = semi_supervised.SelfTrainingClassifier(make_2d(), threshold=0.6, max_iter=2)
    found.fit(TABLE, partial)
    p = make().fit(rows(slice(0, 45)), CODE[:45]).predict_proba(rows(slice(45, N)))
    sure = np.flatnonzero(p.max(axis=1) > 0.6)
    assert 0 < len(sure) < 45
    equal(found.transduction_[45:][sure], p.argmax(axis=1)[sure])
    equal(np.flatnonzero(found.labeled_iter_[45:] == 1), sure)


@entry_point("feature_selection.SequentialFeatureSelector", takes="table")
def test_sequential_selection_takes_the_best_column():
    # It cuts columns away, so it makes sense for a single modality only.
    cv = model_selection.StratifiedKFold(2)
    found = feature_selection.SequentialFeatureSelector(make(), n_features_to_select=1, cv=cv)
    found.fit(TABLE, Y)
    by_hand = [
        np.mean(model_selection.cross_val_score(make(), ModalityDict({"X": c[:, None]}), Y, cv=cv))
        for c in TABLE.T
    ]
    equal(np.flatnonzero(found.get_support()), [np.argmax(by_hand)])


@entry_point("dummy.DummyClassifier")
def test_dummy_classifier_takes_a_container():
    # The baseline to compare with takes the same container.
    found = model_selection.cross_val_score(dummy.DummyClassifier(), X, Y, cv=3)
    close(found, 1 / 3, atol=0.02)
