"""Joint training, unimodal losses and InfoReg in regression: R^2 on held-out samples.

Four sets: scikit-learn's diabetes data (body measures, blood values), and three synthetic ones, in
which the modalities' contributions add up; all modalities tell the same; and the one that is
shaped like CMU-MOSI's ``aligned_50`` in ``examples/sentiment_regression.py``. Default settings, 40
epochs. The table is why `MultimodalInfoRegRegressor` leaves the unimodal losses out by default; it
was decided after a first look at two seeds of these sets.

On 2026-11-25 (one CPU core, Python 3.11, torch 2.13.0, scikit-learn 1.9.1), mean and standard
deviation over 5 seeds of the weights::

                      joint           joint*          InfoReg         InfoReg*
    diabetes      0.430 +- 0.004  0.387 +- 0.005  0.429 +- 0.004  0.387 +- 0.003
    additive      0.811 +- 0.003  0.748 +- 0.003  0.810 +- 0.002  0.753 +- 0.003
    redundant     0.816 +- 0.002  0.713 +- 0.003  0.818 +- 0.001  0.717 +- 0.002
    mosi_shaped   0.473 +- 0.009  0.381 +- 0.012  0.495 +- 0.010  0.390 +- 0.005

Run it from the repository: ``python benchmarks/regression.py``. It takes about 4 minutes.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tasks import additive, diabetes, redundant

from inforeg_sk import ModalityTransformer, MultimodalInfoRegRegressor
from inforeg_sk.datasets import load_cmu_mosi

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "examples"))
from sentiment_regression import METHODS, write_synthetic


def mosi_shaped(rng):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "aligned_50.pkl"
        write_synthetic(path, rng)
        b = load_cmu_mosi(path, features="aligned_50", target="real")
    return b.data, b.target, b.train_indices, b.test_indices


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=5)
    args = parser.parse_args()
    print(f"R^2, {args.seeds} seeds (of the weights); then each modality by itself, mean")
    for make in (diabetes, additive, redundant, mosi_shaped):
        X, y, train, test = make(np.random.default_rng(0))
        print(f"\n{make.__name__:<12} {X}")
        for method, settings in METHODS.items():
            joint, alone = [], []
            for seed in range(args.seeds):
                model = make_pipeline(
                    ModalityTransformer(StandardScaler()),
                    MultimodalInfoRegRegressor(max_epochs=40, random_state=seed, **settings),
                ).fit(X[train], y[train])
                joint.append(model.score(X[test], y[test]))
                alone.append(model[-1].score_by_modality(model[:-1].transform(X[test]), y[test]))
            means = ", ".join(f"{m} {np.mean([s[m] for s in alone]):.3f}" for m in alone[0])
            print(f"{method:<12} {np.mean(joint):.3f} +- {np.std(joint, ddof=1):.3f}   {means}")


if __name__ == "__main__":
    main()
