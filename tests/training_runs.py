"""Small fits whose window opens and whose pull acts, and their weights."""

import numpy as np

from inforeg_sk import MultimodalInfoRegClassifier

# A window that opens and a pull that acts, at these sizes.
ACTIVE = {"window_threshold": -1e9, "unimodal_weight": 1.0, "alpha": 2.0}


def make(**kwargs):
    settings = {"max_epochs": 4, "batch_size": 32, "random_state": 0, "device": "cpu", **ACTIVE}
    return MultimodalInfoRegClassifier(**{**settings, **kwargs})


def weights(clf):
    return {n: p.detach().numpy().copy() for n, p in clf.module_.named_parameters()}


def equal(first, second):
    return first.keys() == second.keys() and all(np.array_equal(first[k], second[k]) for k in first)
