"""Data of all kinds that blocks are made of, and when two batches are the same."""

import numpy as np
import torch
from scipy import sparse

from inforeg_sk import MultimodalClassifier

rng = np.random.default_rng(0)
N = 53
Y = rng.integers(3, size=N).astype(str)
HOLES = rng.normal(size=(N, 3))
HOLES[::3] = np.nan
KINDS = {
    "complete": {"a": rng.normal(size=(N, 4)), "b": rng.normal(size=(N, 2, 3))},
    "incomplete": {"a": rng.normal(size=(N, 4)), "b": HOLES},
    "sparse": {"a": sparse.random(N, 6, 0.4, format="csr", random_state=0), "b": HOLES[:, :1]},
    "several": {"a": {"i": rng.integers(9, size=(N, 2)), "m": rng.normal(size=(N, 2))}, "b": HOLES},
}


class Mean(torch.nn.Module):
    """Takes a dict of arrays."""

    def __init__(self, input_shape):
        super().__init__()
        self.layer = torch.nn.Linear(2, 2)

    def forward(self, x):
        return self.layer(x["m"])


def dataset_of(kind, weighted=True):
    encoders = {"a": Mean} if kind == "several" else "auto"
    clf = MultimodalClassifier(encoders=encoders, missing="allow", max_epochs=1, random_state=0)
    clf.fit(KINDS[kind], Y)
    dataset = clf.get_dataset(KINDS[kind], Y)
    dataset.weight = np.linspace(0, 1, N).astype("f4") if weighted else None
    return dataset


def parts(value):
    return value.values() if isinstance(value, dict) else [value]


def assert_same(ours, theirs):
    (X, target), (X_, target_) = ours, theirs
    assert torch.equal(target, target_) and list(X) == list(X_)
    assert X.n_samples == X_.n_samples
    for name in X:
        for a, b in zip(parts(X[name]), parts(X_[name]), strict=True):
            assert a.dtype == b.dtype and torch.equal(a.nan_to_num(9), b.nan_to_num(9))
    assert set(X.presence.masks) == set(X_.presence.masks)
    for name, mask in X.presence.masks.items():
        assert torch.equal(mask, X_.presence.masks[name])
        assert torch.equal(X.presence.rows(name), X_.presence.rows(name))
    assert (X.weight is None) == (X_.weight is None)
    assert X.weight is None or torch.equal(X.weight, X_.weight)
    assert np.array_equal(X.y, X_.y)
