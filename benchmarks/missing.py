"""Missing modalities beside naive imputation: what accuracy is left?

Two questions, on the official test parts of CMU-MOSI (features, 3 modalities) and UTD-MHAD (27
actions, 3 modalities):

1. ``random``: in training and test a modality is missing for 30 % of the samples, drawn at random.
   "text" and so on: that modality; "any": for 30 % of the samples one modality, drawn for each.
2. ``absent``: trained on complete samples; at prediction one modality is absent throughout.

The ways: ``allow`` (``missing="allow"``), ``dropout`` (the same, trained with
``modality_dropout=0.3``), and imputation: ``zeros`` for all missing values, or the ``mean`` of
each value over the training samples that have it. Beside them ``complete``: nothing missing; and,
for the second question, ``retrained``: a network that never had the absent modality.

Settings are the library's defaults; nothing is chosen by these figures, and the rate of modality
dropout was set before the first run. Modalities are standardised after imputation. A seed draws
what is missing as well as the weights. Run it from the repository with the real data (folder in
INFOREG_SK_DATA, or ../shared/data): ``python benchmarks/missing.py``. Results are appended to
``benchmarks/results/missing.jsonl``, and what is there already is not run again.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tasks import cmu_mosi_whole, load

from inforeg_sk import ModalityDict, ModalityTransformer, MultimodalInfoRegClassifier

RESULTS = Path(__file__).resolve().parent / "results" / "missing.jsonl"
SHARE = 0.3
WAYS = ("allow", "dropout", "zeros", "mean")
METHODS = {"InfoReg*": {}, "joint": {"alpha": 0, "unimodal_weight": 0}}


def cmu_mosi():
    X, y, [(train, test)] = cmu_mosi_whole()
    return (X[train], y[train]), (X[test], y[test])


def utd_mhad():
    [(X, y, _, (train, test))] = load("utd_mhad")
    return (X[train], y[train]), (X[test], y[test])


TASKS = {"cmu_mosi": cmu_mosi, "utd_mhad": utd_mhad}


def without(X, missing):
    """The modalities with NaN where a mask says that a sample lacks one."""
    data = {}
    for name, value in X.items():
        data[name] = np.array(value, dtype=np.float32)
        data[name][missing[name]] = np.nan
    return ModalityDict(data)


def draw(names, n_samples, pattern, rng):
    """Masks of what is missing, for exactly `SHARE` of the samples."""
    chosen = rng.permutation(n_samples) < round(SHARE * n_samples)
    which = rng.integers(len(names), size=n_samples) if pattern == "any" else names.index(pattern)
    return {name: chosen & (which == i) for i, name in enumerate(names)}


def impute(X, way, source):
    """Fill rows of NaN with zeros, or with the mean over the rows of `source` that are there."""
    if way in ("allow", "dropout", "complete"):
        return X
    filled = {}
    for name, value in X.items():
        there = ~np.isnan(source[name]).reshape(len(source), -1).all(axis=1)
        gone = np.isnan(value).reshape(len(X), -1).all(axis=1)
        filled[name] = value.copy()
        filled[name][gone] = 0 if way == "zeros" else source[name][there].mean(axis=0)
    return ModalityDict(filled)


def model(way, method, seed):
    settings = {"missing": "allow", **METHODS[method]}
    if way == "dropout":
        settings["modality_dropout"] = SHARE
    # Imputed zeros are values like others, not padding.
    scale = ModalityTransformer(StandardScaler(), padding_value=None, missing="allow")
    return make_pipeline(scale, MultimodalInfoRegClassifier(random_state=seed, **settings))


def random_rows(task, method, seed):
    """Accuracy with a modality missing at random."""
    (X, y), (X_test, y_test) = TASKS[task]()
    names = sorted(X)
    yield "-", "complete", model("complete", method, seed).fit(X, y).score(X_test, y_test)
    for pattern in ["any", *names] if method == "InfoReg*" else ["any"]:
        rng = np.random.default_rng(seed)
        train = without(X, draw(names, len(X), pattern, rng))
        test = without(X_test, draw(names, len(X_test), pattern, rng))
        for way in WAYS:
            fitted = model(way, method, seed).fit(impute(train, way, train), y)
            yield pattern, way, fitted.score(impute(test, way, train), y_test)


def absent_rows(task, method, seed):
    """Accuracy with one modality absent at prediction, after training on complete samples."""
    (X, y), (X_test, y_test) = TASKS[task]()
    names = sorted(X)
    fitted = {way: model(way, method, seed).fit(X, y) for way in ("complete", "dropout")}
    for way, pipe in fitted.items():
        yield "-", way, pipe.score(X_test, y_test)
    for absent in names:
        rest = [name for name in names if name != absent]
        left = ModalityDict({name: X_test[name] for name in rest})
        yield absent, "allow", fitted["complete"].score(left, y_test)
        yield absent, "dropout", fitted["dropout"].score(left, y_test)
        gone = {name: np.full(len(X_test), name == absent) for name in names}
        for way in ("zeros", "mean"):
            test = impute(without(X_test, gone), way, X)
            yield absent, way, fitted["complete"].score(test, y_test)
        alone = model("complete", method, seed).fit(ModalityDict({n: X[n] for n in rest}), y)
        yield absent, "retrained", alone.score(left, y_test)


QUESTIONS = {"random": random_rows, "absent": absent_rows}


def run(seeds):
    """Run what is not among the results yet, and append it."""
    done = set()
    if RESULTS.exists():
        done = {tuple(json.loads(line)["job"]) for line in RESULTS.read_text().splitlines()}
    for seed in range(seeds):
        for task in TASKS:
            for question, rows in QUESTIONS.items():
                for method in METHODS:
                    job = (task, question, method, seed)
                    if job in done:
                        continue
                    scores = list(rows(task, method, seed))
                    with RESULTS.open("a") as file:
                        file.write(json.dumps({"job": job, "scores": scores}) + "\n")


def table():
    """Print mean and standard deviation over the seeds, and the differences to the mean's."""
    records = []
    for line in RESULTS.read_text().splitlines():
        entry = json.loads(line)
        for missing, way, score in entry["scores"]:
            keys = ("task", "question", "method", "seed")
            records.append(
                {
                    **dict(zip(keys, entry["job"])),
                    "missing": missing,
                    "way": way,
                    "score": 100 * score,
                }
            )
    frame = pd.DataFrame(records)
    for (task, question, method), part in frame.groupby(["task", "question", "method"]):
        print(f"\n{task}, {question}, {method} ({part.seed.nunique()} seeds)")
        wide = part.pivot_table(index=["missing", "seed"], columns="way", values="score")
        ways = [w for w in ("complete", "retrained", *WAYS) if w in wide]
        print(f"{'missing':10}" + "".join(f"{way:>14}" for way in ways) + "   allow - mean")
        for missing, rows in wide.groupby("missing"):
            cells = [
                f"{rows[w].mean():.1f} +- {rows[w].std():.1f}" if rows[w].notna().all() else "-"
                for w in ways
            ]
            line = f"{missing:10}" + "".join(f"{cell:>14}" for cell in cells)
            if rows[["allow", "mean"]].notna().all(axis=None):
                gap = rows["allow"] - rows["mean"]
                line += f"   {gap.mean():+.1f} +- {gap.sem():.1f}"
            print(line)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=5)
    run(parser.parse_args().seeds)
    table()
