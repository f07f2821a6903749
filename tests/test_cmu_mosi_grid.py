"""The main job on real input: GridSearchCV over alpha on CMU-MOSI features."""

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from inforeg_sk import ModalityDict, ModalityTransformer, MultimodalInfoRegClassifier
from inforeg_sk.datasets import load_cmu_mosi

ALPHAS = [0, 0.3, 1, 3]
# A window that is open, so that alpha makes a difference. It makes most in the first epochs: after
# two, no two alphas had the same scores, after three only two had their own.
OPEN = {"window_threshold": -np.inf, "max_epochs": 2, "random_state": 0}


@pytest.fixture(scope="module")
def mosi(mosi_home):
    return load_cmu_mosi(mosi_home, split="train")


def manual(X, y, folds, alpha):
    """Fold by fold without any scikit-learn tool: plain dicts, scaling by hand."""
    scores = []
    for train, test in folds:
        mean = {m: X[m][train].mean(axis=0) for m in X}
        scale = {m: X[m][train].std(axis=0) for m in X}
        scaled = {m: (X[m] - mean[m]) / np.where(scale[m] == 0, 1, scale[m]) for m in X}
        clf = MultimodalInfoRegClassifier(alpha=alpha, **OPEN)
        clf.fit({m: scaled[m][train] for m in X}, y[train])
        predicted = clf.predict({m: scaled[m][test] for m in X})
        scores.append(np.mean(predicted == y[test]))
    return scores


@pytest.mark.slow
def test_grid_over_alpha_is_the_same_in_parallel_serially_and_by_hand(mosi):
    clf = MultimodalInfoRegClassifier(**OPEN)
    folds = list(GroupKFold(3).split(mosi.target, groups=mosi.groups))
    found = {}
    for n_jobs in (1, 2):
        search = GridSearchCV(
            make_pipeline(ModalityTransformer(StandardScaler()), clf),
            {"multimodalinforegclassifier__alpha": ALPHAS},
            cv=folds,
            n_jobs=n_jobs,
        ).fit(mosi.data, mosi.target)
        found[n_jobs] = np.array(
            [search.cv_results_[f"split{i}_test_score"] for i in range(len(folds))]
        ).T
    by_hand = [manual(dict(mosi.data), mosi.target, folds, alpha) for alpha in ALPHAS]
    assert np.array_equal(found[1], found[2])
    assert np.array_equal(found[1], by_hand)
    assert len(np.unique(found[1], axis=0)) > 1


@pytest.mark.slow
def test_grid_on_the_bare_classifier(mosi):
    X, y = ModalityDict({m: v[::4] for m, v in mosi.data.items()}), mosi.target[::4]
    grid = {"alpha": ALPHAS}
    clf = MultimodalInfoRegClassifier(max_epochs=3, random_state=0)
    one = GridSearchCV(clf, grid, cv=2, n_jobs=1).fit(X, y)
    two = GridSearchCV(clf, grid, cv=2, n_jobs=2).fit(X, y)
    assert np.array_equal(one.cv_results_["mean_test_score"], two.cv_results_["mean_test_score"])
    np.testing.assert_array_equal(one.predict(X), two.predict(X))
    assert sorted(one.best_estimator_.curves_["fisher_trace"]) == ["audio", "text", "video"]
