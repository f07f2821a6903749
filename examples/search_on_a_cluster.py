"""A search whose fits are made by the workers of a cluster
========================================================

BatchedGridSearchCV tries values of alpha and lr on the audio-visual digits that come with the
library, first in this process, then on a cluster of dask. Nothing but the ``with`` block differs,
and so do no scores: the script compares them, and fails if they differ.

The cluster is one of processes on this machine. For one of many machines, give the address of its
scheduler to ``Client`` instead; inforeg_sk must be installed on all of them. Workers may come and
go: what a lost one was training is trained again by another, with the same result. On one machine,
``BatchedGridSearchCV(n_jobs=2)`` does without a cluster.

It needs the extra ``dask``. A search of 40 fits takes seconds, as does the start of workers, so
that here the cluster saves no time; with larger networks or wider grids it does.
"""

import argparse
import time

import numpy as np
from dask.distributed import Client, LocalCluster
from joblib import parallel_config

from inforeg_sk import ModalityDict, MultimodalInfoRegClassifier
from inforeg_sk.datasets import load_av_digits
from inforeg_sk.model_selection import BatchedGridSearchCV

GRID = {"alpha": [0.0, 0.3, 1.0, 3.0], "lr": [1e-3, 3e-3]}


def search(X, y, max_epochs):
    """Search, and print how long it took and what is best."""
    start = time.perf_counter()
    model = MultimodalInfoRegClassifier(max_epochs=max_epochs, random_state=0, device="cpu")
    found = BatchedGridSearchCV(model, GRID, cv=5).fit(X, y)
    seconds = time.perf_counter() - start
    print(f"  {seconds:.1f} s, best {found.best_params_}, accuracy {found.best_score_:.4f}")
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--max-epochs", type=int, default=30)
    args = parser.parse_args()
    X, y = load_av_digits(split="train", return_X_y=True)
    X = ModalityDict(X)

    print("in this process")
    local = search(X, y, args.max_epochs)
    print(f"by {args.workers} workers")
    settings = {"n_workers": args.workers, "threads_per_worker": 1, "dashboard_address": ":0"}
    with LocalCluster(processes=True, **settings) as cluster, Client(cluster):
        with parallel_config("dask"):
            spread = search(X, y, args.max_epochs)
    # Stacks are of other sizes, which may change last bits of the weights, and so a sample or two.
    scores = [found.cv_results_["mean_test_score"] for found in (local, spread)]
    np.testing.assert_allclose(*scores, atol=2 / len(y))
    print("scores are equal")


# The workers import this file, and must not start workers of their own.
if __name__ == "__main__":
    main()
