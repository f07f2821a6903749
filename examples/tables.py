"""Tables of features: one network, its rivals, and a pool of all kinds of experts
===============================================================================

Wisconsin breast cancer: 30 measures of cell nuclei, in three modalities (mean, standard error and
largest value of each). Rows are cross-validated accuracies and log-losses; then what the pool says
of the modalities. On data like these a network has no advantage, and the pool finds out by itself
whom to listen to: ``benchmarks/RIVALS.rst`` has twelve real sets.

Run it with ``python examples/tables.py``; it takes about a minute.
"""

import argparse

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from inforeg_sk import (
    EvidencePool,
    LateFusionClassifier,
    ModalitiesToColumns,
    ModalityDict,
    MultimodalInfoRegClassifier,
    StackedModalitiesClassifier,
)


def load():
    """Three modalities of ten features each, and the diagnosis."""
    bunch = load_breast_cancer()
    parts = np.split(bunch.data, 3, axis=1)
    X = ModalityDict(dict(zip(("mean", "error", "largest"), parts, strict=True)))
    return X, bunch.target_names[bunch.target]


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=100)
    arguments = parser.parse_args()
    X, y = load()
    network = MultimodalInfoRegClassifier(max_epochs=arguments.epochs, random_state=0)
    linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    rows = {
        "linear on all": make_pipeline(ModalitiesToColumns(), *linear),
        "stacked linear": StackedModalitiesClassifier(),
        "late fusion of networks": LateFusionClassifier(network),
        "one network": network,
        "pool": EvidencePool(network, random_state=0),
    }
    cv = StratifiedKFold(arguments.folds, shuffle=True, random_state=0)
    print(f"{'':<25}accuracy  log-loss")
    for name, model in rows.items():
        scores = cross_validate(model, X, y, cv=cv, scoring=("accuracy", "neg_log_loss"))
        accuracy, loss = scores["test_accuracy"].mean(), -scores["test_neg_log_loss"].mean()
        print(f"{name:<25}{accuracy:8.3f}{loss:10.3f}", flush=True)
    pool = rows["pool"].fit(X, y)
    print("\nOut-of-fold log-loss without each block (+- standard error), and its weight:")
    for name, of_block in pool.block_importance_.items():
        print(
            f"{name:<10}{of_block.increase:+.4f} +- {of_block.standard_error:.4f}"
            f"{pool.block_weights_[name]:8.2f}"
        )


if __name__ == "__main__":
    main()
