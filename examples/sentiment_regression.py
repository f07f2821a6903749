"""Sentiment as a number: MultimodalInfoRegRegressor on CMU-MOSI's processed pickles
=================================================================================

Trains on the official training part and prints, for the test part, the mean absolute error and
the correlation that most papers report, with the accuracy of the sign (utterances rated 0 left out)
and of the seven classes; then what each modality predicts by itself in the same network. Nothing is
chosen on the test part.

    python examples/sentiment_regression.py MOSI/Processed --features aligned_50

Without the pickle (see datasets/cmu_mosi/README.rst) the script runs on a synthetic data set in
the same layout: 1284, 229 and 686 utterances of 50 steps, a sentiment from -3 to 3 in steps of
0.2, which the text shows best, the audio less and the video least. The figures then only show that
the code works; they say nothing about sentiment.
"""

import argparse
import pickle
import tempfile
from pathlib import Path

import numpy as np
from sklearn.dummy import DummyRegressor
from sklearn.metrics import mean_absolute_error
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from inforeg_sk import ModalityDict, ModalityTransformer, MultimodalInfoRegRegressor
from inforeg_sk.datasets import load_cmu_mosi

METHODS = {
    "joint": {"alpha": 0, "unimodal_weight": 0},
    "joint*": {"alpha": 0, "unimodal_weight": 1},
    "InfoReg": {"unimodal_weight": 0},
    "InfoReg*": {"unimodal_weight": 1},
}
PARTS = {"train": 1284, "valid": 229, "test": 686}
# Features of a step, and how far the sentiment moves them.
MODALITIES = {"text": (32, 0.30), "audio": (5, 0.20), "vision": (20, 0.08)}


def write_synthetic(path, rng):
    """Write a data set in the layout of ``aligned_50.pkl``."""
    directions = {name: rng.normal(size=d) for name, (d, _) in MODALITIES.items()}
    file = {}
    for part, n in PARTS.items():
        sentiment = np.round(np.clip(rng.normal(0, 1.6, n), -3, 3) * 5) / 5
        lengths = rng.integers(5, 51, n)
        there = np.arange(50) < lengths[:, None]
        content = {
            "id": np.array([f"{part}{i // 20}$_${i % 20}" for i in range(n)]),
            "regression_labels": sentiment.astype(np.float32),
        }
        for name, (d, strength) in MODALITIES.items():
            # What speakers do differs from what they feel, for the whole utterance.
            felt = sentiment + rng.normal(0, 0.7, n)
            steps = strength * felt[:, None, None] * directions[name] / np.sqrt(d)
            steps = steps + rng.normal(size=(n, 50, d))
            content[name] = (steps * there[:, :, None]).astype(np.float32)
        file[part] = content
    path.write_bytes(pickle.dumps(file))


def scores(y, predicted):
    """Mean absolute error, correlation, and the two accuracies in percent."""
    rated = y != 0
    constant = np.ptp(predicted) == 0
    return np.array(
        [
            mean_absolute_error(y, predicted),
            np.nan if constant else np.corrcoef(y, predicted)[0, 1],
            100 * np.mean((predicted[rated] > 0) == (y[rated] > 0)),
            100 * np.mean(np.round(np.clip(predicted, -3, 3)) == np.round(y)),
        ]
    )


def show(title, rows):
    rows = np.atleast_2d(rows)
    spread = rows.std(axis=0, ddof=1) if len(rows) > 1 else None
    digits = (3, 3, 1, 1)
    cells = [f"{mean:.{d}f}" for mean, d in zip(rows.mean(axis=0), digits)]
    if spread is not None:
        cells = [f"{c} +- {s:.{d}f}" for c, s, d in zip(cells, spread, digits)]
    print(f"{title:<20}" + "".join(f"{cell:>17}" for cell in cells), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("home", nargs="?", help="the pickle, or the folder that it lies in")
    parser.add_argument("--features", default="aligned_50")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = args.home
        if home is None:
            print("Without the pickle: synthetic data in its layout.")
            home = Path(folder) / f"{args.features}.pkl"
            write_synthetic(home, np.random.default_rng(0))
        mosi = load_cmu_mosi(home, features=args.features, target="real")
    X, y, train, test = mosi.data, mosi.target, mosi.train_indices, mosi.test_indices

    print(f"{X}, {len(train)} to train on, {len(test)} to test on")
    print(f"{args.seeds} seeds, {args.epochs} epochs, the defaults otherwise\n")
    print(
        f"{'':<20}" + "".join(f"{x:>17}" for x in ("MAE", "correlation", "sign %", "7 classes %"))
    )
    mean = DummyRegressor().fit(np.zeros((len(train), 1)), y[train])
    show("mean of train", scores(y[test], mean.predict(np.zeros((len(test), 1)))))
    for method, settings in METHODS.items():
        joint, alone = [], {name: [] for name in X}
        for seed in range(args.seeds):
            model = make_pipeline(
                ModalityTransformer(StandardScaler()),
                MultimodalInfoRegRegressor(max_epochs=args.epochs, random_state=seed, **settings),
            ).fit(X[train], y[train])
            joint.append(scores(y[test], model.predict(X[test])))
            by_modality = model[-1].predict_by_modality(model[:-1].transform(X[test]))
            for name, predicted in by_modality.items():
                alone[name].append(scores(y[test], predicted))
        show(method, joint)
        for name, rows in alone.items():
            show(f"  {name} by itself", rows)
    for name in X:
        rows = []
        for seed in range(args.seeds):
            model = make_pipeline(
                ModalityTransformer(StandardScaler()),
                MultimodalInfoRegRegressor(max_epochs=args.epochs, random_state=seed),
            ).fit(ModalityDict({name: X[name][train]}), y[train])
            rows.append(scores(y[test], model.predict(ModalityDict({name: X[name][test]}))))
        show(f"{name} trained alone", rows)


if __name__ == "__main__":
    main()
