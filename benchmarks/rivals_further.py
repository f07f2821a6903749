"""Two more tables beside the rivals: regression, and modalities that are absent at prediction.

``regression``: R^2 on five sets, two of them real (diabetes; the heart rate from other sensors of
the stress data), two of ``benchmarks/regression.py``, and one whose target is a product of two
modalities; three splits or draws each. ``absent``: trained
on complete samples; at prediction each modality is absent for 30 % of the samples, but never all of
a sample.

``python benchmarks/rivals_further.py regression absent`` appends to
``benchmarks/results/rivals_regression.jsonl`` and ``rivals_absent.jsonl``; what is there already is
not run again. ``python benchmarks/rivals.py show --write`` prints them.
"""

import argparse
import json
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from joblib import Parallel, delayed
from rivals import N_SPLITS, load
from rst_table import rst_table
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import RidgeCV
from sklearn.metrics import log_loss
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tasks import additive, diabetes, redundant

from inforeg_sk import (
    EvidencePool,
    LateFusionClassifier,
    LateFusionRegressor,
    ModalitiesToColumns,
    ModalityDict,
    MultimodalClassifier,
    MultimodalInfoRegClassifier,
    MultimodalInfoRegRegressor,
    MultimodalRegressor,
    StackedModalitiesRegressor,
)

FOLDER = Path(__file__).resolve().parent / "results"
SHARE = 0.3


def product(rng):
    X = {name: rng.normal(size=(1500, 10)) for name in "ab"}
    y = X["a"][:, 0] * X["b"][:, 0] + X["a"][:, 1] / 2 + 0.3 * rng.normal(size=1500)
    return ModalityDict(X), y, np.arange(1000), np.arange(1000, 1500)


def heart_rate(rng):
    """Mean heart rate from four other sensors at the wrist; other subjects in the test."""
    X, _, subject, _ = load("stress")
    rest = ModalityDict({name: X[name] for name in X if name != "hr"})
    chosen = rng.permutation(np.unique(subject))[: len(np.unique(subject)) // 3]
    inside = np.isin(subject, chosen)
    y = np.asarray(X["hr"])[:, 0]
    return rest, y, np.flatnonzero(~inside), np.flatnonzero(inside), subject


TARGETS = {
    "diabetes": diabetes,
    "additive": additive,
    "redundant": redundant,
    "heart rate": heart_rate,
    "product": product,
}


def ridge(name=None):
    chosen = None if name is None else [name]
    return make_pipeline(
        ModalitiesToColumns(modalities=chosen), StandardScaler(), RidgeCV(np.logspace(-2, 5, 15))
    )


class BestSingle(RegressorMixin, BaseEstimator):
    """Ridge regression on the modality that is best by cross-validation in the training part."""

    def fit(self, X, y):
        scores = {name: cross_val_score(ridge(name), X, y, cv=3).mean() for name in X}
        self.model_ = ridge(max(scores, key=scores.get)).fit(X, y)
        return self

    def predict(self, X):
        return self.model_.predict(X)


REGRESSORS = {
    "mean": lambda s: make_pipeline(ModalitiesToColumns(), DummyRegressor()),
    "best single": lambda s: BestSingle(),
    "linear on all": lambda s: ridge(),
    "stacked linear": lambda s: StackedModalitiesRegressor(),
    "stacked trees": lambda s: StackedModalitiesRegressor(
        ExtraTreesRegressor(300, min_samples_leaf=2, random_state=s)
    ),
    "late fusion": lambda s: LateFusionRegressor(MultimodalRegressor(random_state=s)),
    "joint": lambda s: MultimodalRegressor(random_state=s),
    "InfoReg": lambda s: MultimodalInfoRegRegressor(random_state=s),
    "mlp fusion": lambda s: MultimodalInfoRegRegressor(fusion="mlp", random_state=s),
    "pool, light": lambda s: EvidencePool(
        MultimodalInfoRegRegressor(), experts="light", random_state=s
    ),
    "pool": lambda s: EvidencePool(MultimodalInfoRegRegressor(), random_state=s),
}
TAKES_GROUPS = (EvidencePool, LateFusionRegressor, StackedModalitiesRegressor)
ABSENT_SETS = ["av digits", "UTD-MHAD", "prokaryotic"]
ABSENT = {
    "late fusion": lambda s, allow: LateFusionClassifier(
        MultimodalClassifier(random_state=s), missing=allow
    ),
    "joint*": lambda s, allow: MultimodalInfoRegClassifier(alpha=0, missing=allow, random_state=s),
    "pool, light": lambda s, allow: EvidencePool(
        MultimodalInfoRegClassifier(missing=allow), experts="light", random_state=s
    ),
    "pool": lambda s, allow: EvidencePool(
        MultimodalInfoRegClassifier(missing=allow), random_state=s
    ),
}


def regression(name, split, row):
    torch.set_num_threads(1)
    X, y, train, test, *groups = TARGETS[name](np.random.default_rng(split))
    model, given = REGRESSORS[row](split), {}
    if groups and isinstance(model, TAKES_GROUPS):
        given["groups"] = groups[0][train]
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X[train], y[train], **given)
        score = model.score(X[test], y[test])
    return {"r2": round(float(score), 4), "seconds": round(time.process_time() - start, 2)}


def absent(name, split, row):
    torch.set_num_threads(1)
    X, y, groups, splits = load(name)
    train, test = splits[split]
    rng = np.random.default_rng(split)
    names = list(X)  # len(X) is the number of samples
    gone = rng.random((len(test), len(names))) < SHARE
    kept = rng.integers(len(names), size=len(test))
    gone[np.arange(len(test)), kept] &= ~gone.all(axis=1)
    holes = {}
    for i, (modality, values) in enumerate(X[test].items()):
        holes[modality] = np.array(values, dtype=np.float32)
        holes[modality][gone[:, i]] = np.nan
    model = ABSENT[row](split, "allow")
    given = {}
    if groups is not None and isinstance(model, EvidencePool):
        given["groups"] = groups[train]
        model.set_params(cv=min(5, len(np.unique(groups[train]))))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X[train], y[train], **given)
        proba = model.predict_proba(ModalityDict(holes)).astype(float)
    right = model.classes_[proba.argmax(axis=1)] == y[test]
    proba = np.clip(proba, 1e-7, None)
    loss = log_loss(y[test], proba / proba.sum(axis=1, keepdims=True), labels=model.classes_)
    return {"accuracy": round(100 * float(right.mean()), 3), "log_loss": round(float(loss), 4)}


TABLES = {
    "regression": (regression, TARGETS, REGRESSORS),
    "absent": (absent, ABSENT_SETS, ABSENT),
}


def results(table):
    path = FOLDER / f"rivals_{table}.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return {tuple(key): value for key, value in map(json.loads, lines)}


def run(table, n_jobs):
    measure, sets, rows = TABLES[table]
    done = results(table)
    missing = [
        (name, split, row)
        for row in rows
        for name in sets
        for split in range(N_SPLITS)
        if (name, split, row) not in done
    ]
    found = Parallel(n_jobs=n_jobs, return_as="generator")(delayed(measure)(*k) for k in missing)
    with (FOLDER / f"rivals_{table}.jsonl").open("a") as file:
        for key, value in zip(missing, found, strict=True):
            file.write(json.dumps([key, value]) + "\n")
            file.flush()
            print(*key, value, flush=True)


def mean_and_spread(found, digits):
    return f"{np.mean(found):.{digits}f} +- {np.std(found, ddof=1):.{digits}f}"


def sections():
    """What `rivals.py show` adds to its page (list of str)."""
    text = []
    titles = {
        "regression": ("Regression", [("R^2", "r2", 3)]),
        "absent": (
            "Modalities absent at prediction",
            [("Accuracy in %", "accuracy", 1), ("Log-loss", "log_loss", 3)],
        ),
    }
    for table, (title, keys) in titles.items():
        done = results(table)
        if not done:
            continue
        text += [title, "-" * len(title), "", *INTRODUCTIONS[table], ""]
        _, sets, rows = TABLES[table]
        for name, key, digits in keys:
            body = []
            for row in rows:
                found = [
                    [done[s, k, row][key] for k in range(N_SPLITS) if (s, k, row) in done]
                    for s in sets
                ]
                cells = [mean_and_spread(f, digits) if len(f) == N_SPLITS else "-" for f in found]
                body.append([row, *cells])
            text += [f"{name}:", "", *rst_table(["row", *sets], body)]
    return text


INTRODUCTIONS = {
    "regression": [
        f"Means and standard deviations over {N_SPLITS} draws or splits, by "
        "``benchmarks/rivals_further.py``. Diabetes and heart rate are real, others are made; in "
        '"product" the target is a product of two modalities, which no additive network can '
        "represent. InfoReg is ``MultimodalInfoRegRegressor()`` as it is."
    ],
    "absent": [
        f'Trained on complete samples, with ``missing="allow"``; at prediction each modality is '
        f"absent for {SHARE:.0%} of the samples, but never all of a sample. Means and standard "
        f"deviations over the {N_SPLITS} splits."
    ],
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("tables", nargs="+", choices=list(TABLES))
    parser.add_argument("--n-jobs", type=int, default=2)
    arguments = parser.parse_args()
    for table in arguments.tables:
        run(table, arguments.n_jobs)


if __name__ == "__main__":
    main()
