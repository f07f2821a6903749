"""Branches joined by gates: the gates by hand, their running means, and who sees whom."""

import numpy as np
import pytest
import torch

from inforeg_sk.network.branches import BranchHeads, GatedBranches

WIDTHS = {"a": 3, "b": 2, "c": 4}


@pytest.fixture
def network():
    torch.manual_seed(0)
    fusion, head = GatedBranches(WIDTHS).double(), BranchHeads(WIDTHS, 5).double()
    features = {m: torch.randn(6, d, dtype=torch.float64) for m, d in WIDTHS.items()}
    return fusion, head, features


def by_hand(fusion, features):
    """Gates of each modality in numpy."""
    weights = {n: p.detach().numpy() for n, p in fusion.named_parameters()}
    z = np.concatenate([features[m].detach().numpy() for m in WIDTHS], axis=1)
    e = np.maximum(z @ weights["squeeze.weight"].T + weights["squeeze.bias"], 0)
    assert e.shape[1] == 4  # half of 3 + 2 + 4 features
    return {
        m: 1 / (1 + np.exp(-(e @ weights[f"gates.{i}.weight"].T + weights[f"gates.{i}.bias"])))
        for i, m in enumerate(WIDTHS)
    }


def test_gates_heads_and_their_mean_by_hand(network):
    fusion, head, features = network
    gates, logits = by_hand(fusion, features), {}
    for (m, gate), branch in zip(gates.items(), head.branches, strict=True):
        weight, bias = branch.weight.detach().numpy(), branch.bias.detach().numpy()
        logits[m] = (gate * features[m].numpy()) @ weight.T + bias
    for m, found in fusion.branch_logits(features, head).items():
        np.testing.assert_allclose(found.detach(), logits[m], rtol=1e-12)
    joint = head(fusion(features)).detach()
    np.testing.assert_allclose(joint, sum(logits.values()) / 3, rtol=1e-12, atol=1e-14)


def test_the_running_mean_is_over_training_passes_only(network):
    fusion, head, features = network
    assert all((mean == 0.5).all() for mean in fusion.gate_means.values())
    seen = []
    for i in range(4):
        moved = {m: z + i for m, z in features.items()}
        fusion.train(i != 2)
        fusion(moved)
        fusion.branch_logits(moved, head), fusion.unimodal_logits(moved, head)
        if i != 2:
            seen.append(by_hand(fusion, moved))
    for m, mean in fusion.gate_means.items():
        expected = np.mean([gates[m].mean(axis=0) for gates in seen], axis=0)
        np.testing.assert_allclose(mean, expected, rtol=1e-12)
    assert fusion.n_passes.item() == 3
    # They are part of what is saved.
    assert {"n_passes", "gate_mean_0", "gate_mean_1", "gate_mean_2"} <= set(fusion.state_dict())


@pytest.mark.parametrize("m", WIDTHS)
def test_a_re_balanced_branch_sees_its_own_features_only(network, m):
    fusion, head, features = network
    fusion(features)
    fusion.rebalanced = m
    features = {name: z.requires_grad_() for name, z in features.items()}
    logits = fusion.branch_logits(features, head)
    means = fusion.gate_means[m]
    branch = head.branches[list(WIDTHS).index(m)]
    torch.testing.assert_close(logits[m], branch(means * features[m]))
    for name, found in logits.items():
        z = list(features.values())
        gradients = torch.autograd.grad(found.sum(), z, retain_graph=True, allow_unused=True)
        reached = {k for k, g in zip(features, gradients, strict=True) if g is not None}
        # The others' gates stay as they are.
        assert reached == ({m} if name == m else set(WIDTHS))
    sum(found.sum() for found in logits.values()).backward()
    for name, gate in zip(WIDTHS, fusion.gates, strict=True):
        assert (gate.weight.grad is None) == (name == m)  # None, not 0: optimizers skip it
    assert fusion.squeeze.weight.grad is not None


def test_evaluation_knows_no_re_balancing(network):
    fusion, head, features = network
    fusion(features)
    plain = fusion.eval()(features)
    fusion.rebalanced = "b"
    assert torch.equal(fusion(features), plain)


def test_unimodal_logits_depend_on_one_modality(network):
    fusion, head, features = network
    fusion(features)
    before = fusion.unimodal_logits(features, head)
    after = fusion.unimodal_logits({**features, "b": features["b"] + 1}, head)
    for m in WIDTHS:
        assert torch.equal(before[m], after[m]) == (m != "b")


def test_features_of_a_shorter_type_are_taken():
    fusion, head = GatedBranches(WIDTHS), BranchHeads(WIDTHS, 2)
    features = {m: torch.ones(4, d, dtype=torch.bfloat16) for m, d in WIDTHS.items()}
    assert fusion(features).dtype == torch.float32
    assert {u.dtype for u in fusion.branch_logits(features, head).values()} == {torch.float32}
