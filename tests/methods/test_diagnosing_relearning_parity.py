"""D&R against its slow statement: weights, purities and shares, and wrong rules that show."""

import numpy as np
import pytest
from peer_networks import THREE, TWO
from peer_parity import BATCH, EPOCHS, SGD, Normed, fit_fast
from peers import base, dr
from skorch.dataset import ValidSplit

from inforeg_sk import DiagnosingRelearning

SPLIT = ValidSplit(4)


def bands(values, n_clusters):
    """Clusters by where the first column is in [0, 1]: no random starts."""
    return np.clip(np.floor(np.asarray(values)[:, 0] * n_clusters), -5, n_clusters - 1).astype(int)


class Bands:
    """Takes the place of k-means."""

    def __init__(self, n_clusters, **kwargs):
        self.n_clusters = n_clusters

    def fit(self, values, sample_weight):
        self.labels_ = bands(values, self.n_clusters)
        return self


@pytest.fixture(autouse=True)
def without_random_starts(monkeypatch):
    monkeypatch.setattr("inforeg_sk.methods.diagnosing_relearning.KMeans", Bands)


def compare(names, every, times, epochs=EPOCHS, **settings):
    method = DiagnosingRelearning(every, times)
    fast, (network, X, y, _) = fit_fast(method, names, epochs, train_split=SPLIT, **settings)
    fit_rows, held_out = (np.array(p.indices) for p in SPLIT(list(range(len(y))), y))
    order = [fit_rows[i : i + BATCH] for i in range(0, len(fit_rows), BATCH)]

    def state(wrong):
        return dr.train(
            network,
            X,
            y,
            [order] * epochs,
            **SGD,
            cluster=lambda values, n_clusters, modality, part: bands(values, n_clusters),
            fit_rows=fit_rows,
            held_out=held_out,
            every=every,
            times=times,
            wrong=wrong,
        )

    return fast, state


@pytest.mark.parametrize("names", [TWO, THREE], ids=len)
@pytest.mark.parametrize("fusion", ["concat", "mlp"])
@pytest.mark.parametrize(("every", "times"), [(3, 2), (4, 9)])
def test_it_is_the_slow_statement(names, fusion, every, times):
    fast, state = compare(names, every, times, fusion=fusion)
    expected = state(None)
    assert base.disagreement(fast.module_.named_parameters(), expected) < 1e-8
    for epoch in range(EPOCHS):
        shares, purities = (
            {m: fast.curves_[what][m][epoch] for m in names}
            for what in ("relearning_share", "purity_held_out")
        )
        entries = expected.records["reset"][epoch]
        assert shares == pytest.approx(entries[0] if entries else dict.fromkeys(names, 0.0))
        if entries:
            pairs = expected.records["purity"][epoch][0]
            assert purities == pytest.approx({m: pair[1] for m, pair in pairs.items()})
    assert sum(map(bool, expected.records["reset"])) == 2


def test_every_wrong_rule_shows():
    fast, state = compare(THREE, 1, 3, epochs=4, encoders=Normed, random_state=3)
    parameters = dict(fast.module_.named_parameters())
    assert base.disagreement(parameters, state(None)) < 1e-8
    hidden = [w for w in dr.WRONG if base.disagreement(parameters, state(w)) < 1e-6]
    assert not hidden
