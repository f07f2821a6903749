"""TCMax in a fit: its loss by brute force, and what it refuses."""

from itertools import product

import numpy as np
import pytest
import torch
from stacked_batches import assert_a_stack_is_a_loop
from torch import nn

from inforeg_sk import MultimodalClassifier, MultimodalRegressor, TCMax
from inforeg_sk.network import Concat
from inforeg_sk.testing import method_checks

SGD = {
    "optimizer": torch.optim.SGD,
    "lr": 0.05,
    "batch_size": 10,
    "max_epochs": 1,
    "random_state": 0,
    "dtype": "float64",
    "encoders__hidden": 8,
}


@pytest.mark.parametrize("check", [pytest.param(c, id=n) for n, c in method_checks(TCMax())])
def test_passes_check_method(check):
    check()


class Uneven(Concat):
    """A concatenation whose first modality has the whole bias."""

    def unimodal_logits(self, features, head):
        found = super().unimodal_logits(features, head)
        first = next(iter(found))
        share = head.bias / len(found)
        return {m: u - share + (head.bias if m == first else 0) for m, u in found.items()}


@pytest.mark.parametrize("fusion", ["concat", Uneven])
@pytest.mark.parametrize("prior_offset", [False, True])
@pytest.mark.parametrize("names", [("text", "video"), ("audio", "text", "video")])
def test_gradients_are_those_of_the_sum_over_all_re_pairings(trimodal, names, prior_offset, fusion):
    """The network itself runs over re-paired features; its logits have the log prior once."""
    X, y = trimodal
    seen = []

    class Watched(TCMax):
        def loss(self, batch):
            network, loss = batch.network, super().loss(batch)
            rows = torch.tensor(list(product(range(10), repeat=len(names))))
            z = {m: batch.features[m][rows[:, i]] for i, m in enumerate(batch.modalities)}
            f = network.head(network.fusion(z))
            f = f if network.log_prior is None else f + network.log_prior
            true = batch.logits.gather(1, batch.target[:, None]).mean()
            slow = f.flatten().logsumexp(dim=0) - true - np.log(len(rows) * 3)
            of = list(network.parameters())
            seen.append((batch.gradients(loss, of), batch.gradients(slow, of), slow.item()))
            return loss

    settings = {**SGD, "prior_offset": prior_offset, "fusion": fusion}
    clf = MultimodalClassifier(Watched(), **settings).fit({m: X[m] for m in names}, y)
    assert len(seen) == 9
    for got, expected, _ in seen:
        for gradient, other in zip(got, expected, strict=True):
            torch.testing.assert_close(gradient, other, rtol=1e-9, atol=1e-13)
    mean = np.mean([loss for *_, loss in seen])
    assert clf.history[0, "train_objective"] == pytest.approx(mean, rel=1e-12)


def test_predicted_probabilities_are_the_softmax_of_all_logits(trimodal):
    """So `f` of the definition has the log prior in it."""
    X, y = trimodal
    y = np.where(np.arange(90) < 60, "joy", y)
    clf = MultimodalClassifier("tcmax", **{**SGD, "lr": 0.0}, prior_offset=True).fit(X, y)
    nn.init.zeros_(clf.module_.head.weight)
    nn.init.zeros_(clf.module_.head.bias)
    counts = np.unique(y, return_counts=True)[1] + 0.5
    np.testing.assert_allclose(clf.predict_proba(X)[0], counts / counts.sum(), rtol=1e-12)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"fusion": "mlp"}, "TCMax needs unimodal logits that add up"),
        ({"criterion__label_smoothing": 0.1}, "TCMax has a loss of its own.*label_smoothing=0.1"),
        ({"class_weight": "balanced"}, "TCMax needs samples without weights"),
        ({"modality_dropout": 0.2}, "TCMax needs samples that have all modalities"),
    ],
)
def test_what_it_is_not_defined_for_is_refused(trimodal, settings, match):
    with pytest.raises(ValueError, match=match):
        MultimodalClassifier(TCMax(), **SGD, **settings).fit(*trimodal)


def test_a_criterion_of_the_users_own_is_refused(trimodal):
    class Focal(nn.CrossEntropyLoss):
        pass

    with pytest.raises(ValueError, match=r"TCMax has a loss of its own.*Got Focal"):
        MultimodalClassifier(TCMax(), criterion=Focal, **SGD).fit(*trimodal)


def test_a_regressor_is_refused(trimodal):
    with pytest.raises(ValueError, match="TCMax is defined for classification only"):
        MultimodalRegressor(TCMax(), **SGD).fit(trimodal[0], np.arange(90.0))


@pytest.mark.parametrize("with_prior", [False, True])
def test_networks_trained_as_one_learn_as_each_by_itself(with_prior):
    assert_a_stack_is_a_loop(TCMax(), with_prior=with_prior)
