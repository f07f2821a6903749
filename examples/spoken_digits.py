"""From wav files to a score in one Pipeline: spoken digits beside written ones
============================================================================

720 recordings of six speakers (Free Spoken Digit Dataset), each paired by a seeded rule with one
of scikit-learn's images of the same digit. The Pipeline takes paths: librosa makes log-mel
spectrograms of them, each modality is scaled, and the classifier is trained. Whole speakers are
left out, one after another: the table shows accuracy on unseen speakers, as mean and standard
deviation over the six.

What comes out (defaults, one seed, 2026-11-24): audio alone 66.4 +- 16.6, image alone 96.0 +- 0.6,
joint 91.9 +- 6.6, joint* 94.9 +- 7.8, InfoReg 91.7 +- 9.3, InfoReg* 96.2 +- 4.0. The audio is
fitted fast and generalises badly to a new speaker: the joint network is worse than image alone.
Unimodal losses, and InfoReg on top of them, bring it back to that level; but with six speakers,
most of these differences are smaller than the effect of one speaker more or less.

Nothing is chosen by these figures: the settings are the library's defaults. With ``--search`` a
GridSearchCV chooses the number of mel bands and alpha together for each speaker left out, by
cross-validation over the five others; spectrograms are kept in a cache, so that each is computed
once for each number of bands.

Run it with the folder of the wav files (``{digit}_{speaker}_{index}.wav``) as the first argument
or, with ``fsdd`` in it, in the environment variable INFOREG_SK_DATA.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, LeaveOneGroupOut
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from inforeg_sk import ModalityDict, ModalityTransformer, MultimodalInfoRegClassifier
from inforeg_sk.features import LogMel

METHODS = {
    "joint": {"clf__alpha": 0, "clf__unimodal_weight": 0},
    "joint*": {"clf__alpha": 0, "clf__unimodal_weight": 1},
    "InfoReg": {"clf__unimodal_weight": 0},
    "InfoReg*": {"clf__unimodal_weight": 1},
}
GRID = {"read__audio__n_mels": [16, 32], "clf__alpha": [0, 3]}


def find(folder):
    """Return the folder of the recordings, or exit with a message that says how to get them."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    home = os.environ.get("INFOREG_SK_DATA", beside)
    folder = Path(home) / "fsdd" if folder is None else Path(folder)
    if not list(folder.glob("?_*_*.wav")):
        sys.exit(
            f"No recordings in {folder}: get the folder `recordings` of the GitHub repository "
            "Jakobovski/free-spoken-digit-dataset and name it as the argument."
        )
    return folder


def load(folder):
    """Paths and images, digits, and speakers."""
    paths = sorted(folder.glob("?_*_*.wav"))
    y = np.array([int(path.stem.split("_")[0]) for path in paths])
    speakers = np.array([path.stem.split("_")[1] for path in paths])
    digits, rng = load_digits(), np.random.default_rng(0)
    images = np.empty((len(y), 64))
    for k in range(10):
        rows, there = np.flatnonzero(y == k), np.flatnonzero(digits.target == k)
        images[rows] = digits.data[rng.choice(there, len(rows), replace=len(rows) > len(there))]
    return ModalityDict({"audio": list(map(str, paths)), "image": images}), y, speakers


def pipeline(memory, max_epochs):
    front_end = LogMel(8000, 0.8, n_fft=256, hop_length=200, n_mels=32, ref="max")
    return Pipeline(
        [
            ("read", ModalityTransformer({"audio": front_end})),
            ("scale", ModalityTransformer(StandardScaler())),
            ("clf", MultimodalInfoRegClassifier(random_state=0, max_epochs=max_epochs)),
        ],
        memory=memory,
    )


def print_row(label, scores):
    print(f"{label:<14}{100 * np.mean(scores):>7.1f} +- {100 * np.std(scores, ddof=1):.1f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", help="folder of the wav files")
    parser.add_argument("--search", action="store_true", help="also search, in some minutes")
    parser.add_argument("--max-epochs", type=int, default=100)
    args = parser.parse_args()

    start = time.perf_counter()
    X, y, speakers = load(find(args.folder))
    folds = list(LeaveOneGroupOut().split(y, groups=speakers))
    print(f"{X}, {len(folds)} speakers\n\naccuracy on the speaker left out, %")
    with tempfile.TemporaryDirectory() as memory:
        model = pipeline(memory, args.max_epochs)

        def scores(model, X):
            return [clone(model).fit(X[a], y[a]).score(X[b], y[b]) for a, b in folds]

        joint = clone(model).set_params(**METHODS["joint"])
        print_row("audio alone", scores(joint, ModalityDict({"audio": X["audio"]})))
        image = clone(joint).set_params(read="passthrough")
        print_row("image alone", scores(image, ModalityDict({"image": X["image"]})))
        for name, settings in METHODS.items():
            print_row(name, scores(clone(model).set_params(**settings), X))
        if args.search:
            found = []
            for train, test in folds:
                search = GridSearchCV(model, GRID, cv=LeaveOneGroupOut())
                search.fit(X[train], y[train], groups=speakers[train])
                found.append(search.score(X[test], y[test]))
                print(f"  without {speakers[test[0]]}: {search.best_params_}")
            print_row("searched", found)
    print(f"\n{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
