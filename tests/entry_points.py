"""What the tests of scikit-learn's entry points share: small data, loops by hand, and marks.

Each test file ``estimator/test_sklearn_*.py`` calls names of scikit-learn with a `ModalityDict` and
our classifier, and checks the result against a loop written out by hand on plain arrays. The marks
`entry_point` and `refused` say which names, so that ``test_sklearn_table.py`` can count them.
"""

from types import SimpleNamespace

import numpy as np
import pytest
from sklearn import base, model_selection
from sklearn.preprocessing import StandardScaler

from inforeg_sk import ModalityDict, MultimodalInfoRegClassifier
from inforeg_sk.datasets import make_multimodal_classification

N = 90
X, CODE = make_multimodal_classification(
    N,
    modalities={
        "strong": {"n_features": 6, "strength": 3.0},
        "weak": {"n_features": 4, "strength": 1.5},
    },
    random_state=0,
)
PLAIN = {name: X[name] for name in X}  # what the loops by hand use: no container of ours
Y = np.array(["anger", "fear", "joy"])[CODE]
BINARY = np.where(CODE == 0, "no", "yes")
GROUPS = np.arange(N) % 9
WEIGHT = np.random.default_rng(0).uniform(0.2, 2.0, N)
TABLE = np.hstack([X["strong"], X["weak"]])
COLUMNS = {"strong": slice(0, 6), "weak": slice(6, None)}


def entry_point(*names, variant="", takes="modalities"):
    """Mark a test as that of scikit-learn's entry points `names`.

    `takes` says what goes in: a `ModalityDict` ("modalities"), the 2-D array of all columns with
    the classifier's ``modalities=`` ("table"), or only the estimator ("nothing").
    """
    assert takes in ("modalities", "table", "nothing")
    return _mark(names, variant=variant, takes=takes, reason=None)


def refused(*names, reason, variant=""):
    """Mark a test as that of entry points that do not work, for this reason."""
    assert reason
    return _mark(names, variant=variant, takes=None, reason=reason)


def _mark(names, variant, **says):
    def mark(function):
        function.entry_points = [
            SimpleNamespace(name=name, key=f"{name}[{variant}]" if variant else name, **says)
            for name in names
        ]
        return function

    return mark


def make(**settings):
    """A small classifier of the dict's modalities."""
    defaults = {"max_epochs": 2, "batch_size": 16, "lr": 0.02, "random_state": 0}
    return MultimodalInfoRegClassifier(**{**defaults, **settings})


def make_2d(**settings):
    """The same for the table of all columns."""
    return make(modalities=COLUMNS, **settings)


MEMBERS = [("a", make()), ("b", make(random_state=1, alpha=0.0)), ("c", make(random_state=2))]


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


def members_by_hand(y=Y):
    return [base.clone(clf).fit(PLAIN, y).predict_proba(PLAIN) for _, clf in MEMBERS]


def scaled_by_hand():
    return {name: StandardScaler().fit_transform(PLAIN[name]) for name in PLAIN}


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
