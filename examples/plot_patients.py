"""Tables of patients: several tables, hospitals kept apart, patients who lack a table
===================================================================================

Each table is a modality, each row a patient, and not all patients are in all tables. The example

1. joins tables of pandas by patient, where a row of NaN says that the patient is not in a table;
2. keeps hospitals whole, since a model for new hospitals must be scored on hospitals that it has
   not seen, and shows what folds that mix patients would have promised;
3. asks `diagnose` on the training hospitals what to use, in three folds and one seed;
4. scores its answer and the rivals on the other hospitals, on patients with all tables and on those
   who lack some.

Run it with a folder of csv files: ``patients.csv`` with the columns ``patient``, ``hospital`` and
``outcome`` (two classes), and one file for each table with ``patient`` and numbers. Without a
folder it simulates 600 patients of 20 hospitals, and the figures then say nothing about medicine.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import rankdata
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, GroupShuffleSplit, KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from inforeg_sk import (
    LateFusionClassifier,
    ModalitiesToColumns,
    ModalityDict,
    ModalityTransformer,
    MultimodalInfoRegClassifier,
    StackedModalitiesClassifier,
    diagnose,
)
from inforeg_sk.functional import bootstrap_interval

# Columns of a simulated table, how far an illness moves them, and the share of patients without it.
TABLES = {"visit": (8, 0.4, 0.0), "labs": (15, 0.4, 0.15), "imaging": (20, 0.5, 0.35)}


def make_tables(n_patients=600, n_hospitals=20, random_state=0):
    """Simulated tables in the form of the files (DataFrame of patients, dict of DataFrame).

    Hospitals have devices of their own, which shift what they measure, and see more or fewer ill
    people: a model that recognizes the hospital does well on its patients only. Some hospitals make
    few images.
    """
    rng = np.random.default_rng(random_state)
    hospital = np.arange(n_patients) % n_hospitals
    ill = rng.random(n_patients) < rng.uniform(0.1, 0.9, n_hospitals)[hospital]
    ids = pd.Index([f"P{i:04d}" for i in range(n_patients)], name="patient")
    patients = pd.DataFrame(
        {
            "hospital": [f"H{h:02d}" for h in hospital],
            "outcome": np.where(ill, "ill", "well"),
        },
        index=ids,
    )
    tables = {}
    for name, (n_columns, strength, absent) in TABLES.items():
        effect = strength * rng.choice([-1, 1], n_columns)
        device = rng.normal(0, 1.5, (n_hospitals, n_columns))
        values = ill[:, None] * effect + device[hospital] + rng.normal(size=(n_patients, n_columns))
        values[rng.random(values.shape) < 0.02] = np.nan  # single values, which are imputed
        share = np.clip(absent * rng.uniform(0, 2, n_hospitals), 0, 0.9)[hospital]
        table = pd.DataFrame(values, ids, [f"{name}_{i}" for i in range(n_columns)])
        tables[name] = table[rng.random(n_patients) >= share].sample(frac=1, random_state=0)
    return patients, tables


def read_tables(folder):
    """Tables of a folder of csv files, as `make_tables` makes them."""
    tables = {path.stem: pd.read_csv(path, index_col=0) for path in sorted(folder.glob("*.csv"))}
    patients = tables.pop("patients").astype({"hospital": str, "outcome": str})
    return patients, tables


def join(patients, tables):
    """One row for each patient in each table; those who are in none are left out, with a line."""
    for name, table in tables.items():
        if table.index.has_duplicates:
            raise ValueError(f"Table {name!r} has a patient twice: take one visit or a mean first.")
    known = [table.reindex(patients.index).notna().any(axis=1) for table in tables.values()]
    kept = patients[np.any(known, axis=0)]
    print(f"{len(kept)} patients, {len(patients) - len(kept)} more are in no table")
    X = ModalityDict({name: table.reindex(kept.index) for name, table in tables.items()})
    return X, kept["outcome"].to_numpy(), kept["hospital"].to_numpy()


def rivals(epochs):
    """What to compare: name to estimator. All of them take patients who lack tables."""

    def each():
        return make_pipeline(SimpleImputer(keep_empty_features=True), StandardScaler())

    prepare = ModalityTransformer(each(), missing="allow")
    side_by_side = ModalityTransformer(SimpleImputer(keep_empty_features=True), missing="allow")
    columns = ModalitiesToColumns(missing="allow")
    linear = LogisticRegression(C=0.1, max_iter=1000)
    return {
        "logistic regression, imputed": make_pipeline(side_by_side, columns, each(), linear),
        "trees": make_pipeline(side_by_side, columns, HistGradientBoostingClassifier(max_iter=50)),
        "stacked linear": make_pipeline(prepare, StackedModalitiesClassifier(missing="allow")),
        "late fusion, linear": make_pipeline(
            prepare, LateFusionClassifier(linear, missing="allow")
        ),
        "network": make_pipeline(
            prepare,
            MultimodalInfoRegClassifier(
                missing="allow", modality_dropout=0.3, max_epochs=epochs, random_state=0
            ),
        ),
    }


def area(y, positive):
    """Area under the ROC curve: how often an ill patient is rated above one who is well.

    It is scikit-learn's `roc_auc_score`, for hundreds of calls; NaN of one class.
    """
    n_ill, n_well = np.count_nonzero(y), np.count_nonzero(~y)
    if not n_ill or not n_well:
        return np.nan
    above = rankdata(positive)[y].sum() - n_ill * (n_ill + 1) / 2
    return above / (n_ill * n_well)


def auc(y, positive, rows, hospitals):
    """Area under the ROC curve in % of some rows, with its 95 % interval over whole hospitals."""
    rows = np.flatnonzero(rows)

    def statistic(drawn):
        return 100 * area(y[rows[drawn]], positive[rows[drawn]])

    told = bootstrap_interval(
        statistic, len(rows), groups=hospitals[rows], n_resamples=200, random_state=0
    )
    return f"{told.estimate:6.1f} ({told.low:.0f} to {told.high:.0f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, help="folder of the csv files")
    parser.add_argument("--epochs", type=int, default=30, help="(default: %(default)s)")
    args = parser.parse_args()
    if args.folder is None:
        print("No folder is given: these patients are simulated, and say nothing about medicine.")
    X, y, hospitals = join(*(make_tables() if args.folder is None else read_tables(args.folder)))
    lacks = {name: X[name].isna().all(axis=1).to_numpy() for name in X}
    complete = ~np.any(list(lacks.values()), axis=0)
    shares = ", ".join(f"{name} {100 * rows.mean():.0f} %" for name, rows in lacks.items())
    print(f"{X}\n{len(np.unique(hospitals))} hospitals; without a table: {shares}\n")

    # A third of the hospitals is put aside. All choices are made on the others.
    splitter = GroupShuffleSplit(1, test_size=1 / 3, random_state=0)
    train, test = next(splitter.split(y, groups=hospitals))
    models = rivals(args.epochs)
    print("AUC in %, by cross-validation of the training hospitals:")
    foldings = {
        "patients mixed": KFold(3, shuffle=True, random_state=0).split(train),
        "hospitals whole": GroupKFold(3).split(train, groups=hospitals[train]),
    }
    chosen = ("logistic regression, imputed", "trees")
    print(f"{'':<18}" + "".join(f"{name:>30}" for name in chosen))
    for name, folds in foldings.items():
        folds, cells = list(folds), []
        for model in (models[row] for row in chosen):
            scores = cross_val_score(model, X[train], y[train], cv=folds, scoring="roc_auc")
            cells.append(100 * scores.mean())
        print(f"{name:<18}" + "".join(f"{cell:30.1f}" for cell in cells))

    report = diagnose(
        models["network"],
        X[train],
        y[train],
        cv=3,
        groups=hospitals[train],
        seeds=1,
        scoring="roc_auc",
        methods=["joint"],
        rivals=["majority", "linear on all", "stacked linear", "late fusion"],
    )
    print(f"\n{report}\n")

    models[f"recommended: {report.recommended_}"] = report.recommendation_
    print("AUC in % on hospitals that were not seen (95 % interval over hospitals)")
    parts = {
        f"all ({len(test)})": np.ones(len(test), bool),
        f"complete ({complete[test].sum()})": complete[test],
        f"lack a table ({(~complete[test]).sum()})": ~complete[test],
    }
    print(f"{'':<32}" + "".join(f"{name:>22}" for name in parts))
    for name, model in models.items():
        model.fit(X[train], y[train])
        positive = model.predict_proba(X[test])[:, 1]
        labels = y[test] == model.classes_[1]
        cells = [auc(labels, positive, rows, hospitals[test]) for rows in parts.values()]
        print(f"{name:<32}" + "".join(f"{cell:>22}" for cell in cells))


if __name__ == "__main__":
    main()
