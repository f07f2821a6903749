"""torch's own optimizers do their step in one kernel; others run as they are."""

import numpy as np
import pytest
import torch
from torch import nn

from inforeg_sk import MultimodalClassifier, MultimodalInfoRegClassifier
from inforeg_sk.datasets import make_multimodal_classification
from inforeg_sk.training import DecayAdamW
from inforeg_sk.training.optimizer import takes_fused

X, Y = make_multimodal_classification(90, random_state=0)


class Own(torch.optim.AdamW):
    """A user's subclass."""


@pytest.mark.parametrize("kind", [DecayAdamW, torch.optim.AdamW, torch.optim.Adam, torch.optim.SGD])
def test_torchs_optimizers_are_fused(kind):
    assert takes_fused(kind, {"lr": 0.1}, nn.Linear(2, 2))
    clf = MultimodalClassifier(optimizer=kind, max_epochs=1, random_state=0).fit(X, Y)
    assert clf.optimizer_.defaults["fused"] is True


@pytest.mark.parametrize(
    ("kind", "settings", "module"),
    [
        (Own, {}, nn.Linear(2, 2)),
        (torch.optim.RMSprop, {}, nn.Linear(2, 2)),
        (torch.optim.AdamW, {"fused": False}, nn.Linear(2, 2)),
        (torch.optim.AdamW, {"foreach": True}, nn.Linear(2, 2)),
        (torch.optim.SGD, {}, nn.Embedding(3, 2, sparse=True)),
        (torch.optim.SGD, {}, nn.Linear(2, 2, device="meta")),
    ],
)
def test_what_is_decided_otherwise_or_not_possible_stays(kind, settings, module):
    assert not takes_fused(kind, settings, module)


@pytest.mark.parametrize("kind", [torch.optim.AdamW, torch.optim.SGD])
def test_fused_steps_equal_separate_ones(kind):
    made = [
        MultimodalInfoRegClassifier(
            optimizer=kind, dtype="float64", max_epochs=14, lr=0.01, random_state=0, **settings
        ).fit(X, Y)
        for settings in ({}, {"optimizer__fused": False})
    ]
    fused, separate = ([p.detach().numpy() for p in m.module_.parameters()] for m in made)
    for a, b in zip(fused, separate, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-10)


def test_a_modality_that_is_absent_does_not_decay():
    # Its encoder has no gradient in a batch without it: no step, no weight decay.
    half = {name: value.copy() for name, value in X.items()}
    name = next(iter(half))
    clf = MultimodalClassifier(missing="allow", fisher=None, random_state=0).partial_fit(half, Y)
    before = [p.detach().clone() for p in clf.encoders_[name].parameters()]
    half[name] = np.full_like(half[name], np.nan)
    clf.partial_fit(half, Y)
    for a, b in zip(before, clf.encoders_[name].parameters(), strict=True):
        assert torch.equal(a, b)
