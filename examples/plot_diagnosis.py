"""Is a modality starving, how badly, and what fixes it? One call on bundled data.
===============================================================================

Handwritten digits with the spoken name of the digit (av digits, part of the package). The network
is trained as the methods' authors do it, by SGD with momentum and one loss on both modalities
together: the sound is easy to learn and takes over, and the image is left behind.

`diagnose` fits this network on three folds, twice; no voice of a held-out fold is heard in
training. It fits each modality alone, and the same network with a loss for each modality too
("joint*"); it reads all encoders by linear probes, and fits what a user would do without this
library: late fusion, stacked and plain linear models. It says in words what can be said, with
intervals that hold for the whole report, and recommends an estimator. All 1,797 samples are used:
on data of your own, keep a test part back for the estimator that you choose by the report.

The left panel shows where the image is lost: what the network makes of it ("in joint") is far below
what a probe reads from the same encoder ("probe, as given"), so the head neglects it; and this is
below the probe of an encoder that was trained alone. Whether that second difference is certain,
so that the encoder starves, too, the report says. The right panel shows it happen: the accuracy of
each modality by itself on held-out samples, epoch by epoch.
"""

import argparse
import time
from pathlib import Path

import matplotlib
import torch
from skorch.dataset import ValidSplit

from inforeg_sk import MultimodalClassifier, diagnose
from inforeg_sk.callbacks import ScoreByModality
from inforeg_sk.datasets import load_av_digits
from inforeg_sk.inspection import ScoreByModalityDisplay

SGD = {"optimizer": torch.optim.SGD, "optimizer__momentum": 0.9, "lr": 0.01, "max_epochs": 30}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--figure", default="diagnosis.png", help="where to save the figure")
    parser.add_argument("--seeds", type=int, default=2, help="(default: %(default)s)")
    parser.add_argument("--every", type=int, default=1, help="take one of so many samples")
    parser.add_argument("--n-jobs", type=int, default=2, help="processes (default: %(default)s)")
    given = parser.parse_args()
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    start = time.perf_counter()
    digits = load_av_digits()
    rows = slice(None, None, given.every)
    X, y, groups = digits.data[rows], digits.target[rows], digits.groups[rows]
    network = MultimodalClassifier(**SGD)
    report = diagnose(
        network,
        X,
        y,
        cv=3,
        groups=groups,
        seeds=given.seeds,
        methods=["joint*"],
        rivals=["majority", "best single", "linear on all", "stacked linear", "late fusion"],
        n_jobs=given.n_jobs,
    )
    print(report)

    # One fit more, to see it happen.
    network.set_params(
        train_split=ValidSplit(5, stratified=True),
        callbacks=[("by_modality", ScoreByModality(joint=True))],
        random_state=0,
    )
    network.fit(X, y)
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.5), layout="constrained")
    report.plot(ax=left)
    ScoreByModalityDisplay.from_estimator(network, ax=right, name="joint training, one fit")
    figure.savefig(given.figure, dpi=120)
    print(f"Figure: {Path(given.figure).name}. All took {time.perf_counter() - start:.0f} s.")


if __name__ == "__main__":
    main()
