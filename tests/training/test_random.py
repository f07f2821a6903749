"""Reproducibility: seeds, threads, and generators that are not ours."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import nn

from inforeg_sk import MultimodalInfoRegClassifier
from inforeg_sk.training.random import initialisation, isolated


def make(**kwargs):
    settings = {"max_epochs": 4, "batch_size": 32, "random_state": 0, "window_threshold": -1e9}
    return MultimodalInfoRegClassifier(**{**settings, "encoders__dropout": 0.2, **kwargs})


def result(clf):
    """Everything that a fit learned, as bytes."""
    parameters = [p.detach().cpu().numpy().tobytes() for p in clf.module_.parameters()]
    curves = [
        values.tobytes()
        for name in ("fisher_trace", "window_ratio", "coefficient", "performance_score")
        for values in clf.curves_[name].values()
    ]
    return parameters + curves


def states():
    return torch.get_rng_state().numpy().tobytes(), np.random.get_state()[1].tobytes()


def test_same_seed_same_bits_and_global_generators_untouched(trimodal):
    X, y = trimodal
    before = states()
    first = result(make().fit(X, y))
    assert states() == before
    torch.rand(3), np.random.rand(3)
    assert result(make().fit(X, y)) == first
    assert result(make(random_state=1).fit(X, y)) != first
    clf = make().fit(X, y)
    before = states()
    clf.predict(X), clf.partial_fit(X, y), clf.score_by_modality(X, y)
    assert states() == before


def test_random_state_has_scikit_learns_meaning(trimodal):
    X, y = trimodal
    instance = np.random.RandomState(0)
    assert result(make(random_state=instance).fit(X, y)) == result(make().fit(X, y))
    # The instance moves on.
    assert result(make(random_state=instance).fit(X, y)) != result(make().fit(X, y))
    state = np.random.get_state()
    try:
        np.random.seed(0)
        first = result(make(random_state=None).fit(X, y))
        np.random.seed(0)
        assert result(make(random_state=None).fit(X, y)) == first
    finally:
        np.random.set_state(state)


class Foreign(nn.Sequential):
    """An encoder with torch's own dropout, which draws on the global generator."""

    def __init__(self, input_shape):
        super().__init__(nn.Flatten(), nn.LazyLinear(5), nn.Dropout(0.5))


def test_foreign_dropout_is_reproducible_in_serial_fits(trimodal):
    X, y = trimodal

    def make_foreign():
        return MultimodalInfoRegClassifier(encoders=Foreign, max_epochs=3, random_state=0)

    before = states()
    first = result(make_foreign().fit(X, y))
    torch.rand(5)
    middle = states()
    assert result(make_foreign().fit(X, y)) == first
    assert states() == middle != before


def test_fits_in_threads_equal_serial_ones(trimodal):
    X, y = trimodal
    seeds = list(range(8))
    serial = [result(make(random_state=seed).fit(X, y)) for seed in seeds]
    before = states()
    threads = torch.get_num_threads()
    with ThreadPoolExecutor(4, initializer=torch.set_num_threads, initargs=(threads,)) as pool:
        fits = pool.map(lambda seed: result(make(random_state=seed).fit(X, y)), seeds)
        assert list(fits) == serial
    assert states() == before


def test_nested_isolation_restores_once():
    device, before = torch.device("cpu"), states()
    first, second = torch.Generator().manual_seed(1), torch.Generator().manual_seed(2)
    start = first.get_state()
    with isolated(first, device):
        outer = torch.rand(1)
        with isolated(second, device):
            torch.rand(1)
        assert states() != before
    assert states() == before
    first.set_state(start)
    with isolated(first, device):
        assert torch.equal(torch.rand(1), outer)
    with pytest.raises(ZeroDivisionError), isolated(second, device):
        1 / 0
    assert states() == before


def test_initialisation_restores_after_an_error():
    before = states()
    with pytest.raises(ZeroDivisionError), initialisation(3):
        torch.rand(1) / (1 // 0)
    assert states() == before


def test_an_interrupted_fit_keeps_what_was_learned(trimodal):
    from skorch.callbacks import Callback

    class Interrupt(Callback):
        def on_batch_end(self, net, **kwargs):
            if len(net.history) == 3:
                raise KeyboardInterrupt

    X, y = trimodal
    before = states()
    clf = make(callbacks=[Interrupt()]).fit(X, y)
    assert states() == before
    assert clf.predict(X).shape == y.shape
    # Curves show the two whole epochs; going on works.
    assert len(clf.curves_["fisher_trace"]["text"]) == 2
    clf.set_params(callbacks=None).partial_fit(X, y)
    assert np.isfinite(clf.curves_["fisher_trace"]["text"]).all()
