"""The maths of D&R against scikit-learn and by hand."""

from math import nan, tanh

import numpy as np
import torch
from sklearn.metrics.cluster import contingency_matrix
from sklearn.preprocessing import MinMaxScaler

from inforeg_sk.functional import cluster_purity, min_max_scaled, relearning_share


def test_scaled_features_are_those_of_scikit_learn():
    z = np.random.default_rng(0).normal(size=(9, 4))
    z[:, 2] = 5.0  # constant
    np.testing.assert_allclose(
        min_max_scaled(torch.from_numpy(z)), MinMaxScaler().fit_transform(z), atol=1e-12
    )


def test_purity_is_that_of_the_contingency_table():
    rng = np.random.default_rng(0)
    cluster, target = rng.integers(0, 4, 50), rng.integers(0, 3, 50)
    expected = contingency_matrix(target, cluster).max(axis=0).sum() / 50
    got = cluster_purity(torch.from_numpy(cluster), torch.from_numpy(target), 4, 3)
    assert got.item() == expected


def test_purity_of_weighted_samples_is_that_of_repeated_samples():
    rng = np.random.default_rng(1)
    cluster, target, n = (torch.from_numpy(rng.integers(0, 3, 30)) for _ in range(3))
    repeated = cluster.repeat_interleave(n), target.repeat_interleave(n)
    assert cluster_purity(cluster, target, 3, 3, n) == cluster_purity(*repeated, 3, 3)


def test_purity_of_no_samples_is_not_defined():
    none = torch.zeros(0, dtype=torch.int64)
    assert cluster_purity(none, none, 2, 2).isnan()


def test_share_by_hand():
    training, held_out = torch.tensor([0.9, 0.5, 0.4, nan]), torch.tensor([0.6, 0.5, 0.6, 0.5])
    got = relearning_share(training.double(), held_out.double(), 3.0)
    np.testing.assert_allclose(got, [tanh(0.9), 0, tanh(0.6), 0], rtol=1e-6)


def test_leading_axes_are_free():
    generator = torch.Generator().manual_seed(0)
    cluster, target = torch.randint(0, 3, (2, 4, 20), generator=generator)
    stacked = cluster_purity(cluster, target, 3, 3)
    assert stacked.tolist() == [
        cluster_purity(c, t, 3, 3).item() for c, t in zip(cluster, target, strict=True)
    ]
