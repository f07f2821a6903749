"""Similarity of gradients is that of gradients by hand, and measuring leaves no trace."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from inforeg_sk import ModalityTransformer, MultimodalClassifier, MultimodalRegressor
from inforeg_sk.inspection import GradientSimilarityDisplay, gradient_similarity


class Encoder(nn.Sequential):
    """Dropout and batch normalisation: layers that are not the same in training."""

    def __init__(self, input_shape):
        layers = nn.Linear(input_shape[-1], 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Dropout(0.5)
        super().__init__(*layers)
        self.out_features = 4


def cosines(gradients):
    return np.array([[torch.cosine_similarity(a, b, dim=0).item() for b in gradients]
                     for a in gradients])  # fmt: skip


def by_hand(clf, X, y, rows, weight=None):
    """Gradients of each batch in each encoder, by torch's backward on a copy."""
    network = pickle.loads(pickle.dumps(clf)).module_.eval()
    found = {name: [] for name in X}
    for chosen in rows:
        network.zero_grad()
        batch = {name: torch.as_tensor(v[chosen], dtype=torch.float32) for name, v in X.items()}
        target = torch.as_tensor(np.searchsorted(clf.classes_, y[chosen]))
        losses = nn.functional.cross_entropy(network(batch).logits, target, reduction="none")
        w = torch.ones(len(chosen)) if weight is None else torch.as_tensor(weight[chosen])
        ((losses * w).sum() / w.sum()).backward()
        for name, encoder in network.encoders.items():
            flat = [p.grad.flatten().double() for p in encoder.parameters()]
            found[name].append(torch.cat(flat))
    return found


@pytest.mark.parametrize("weighted", [False, True])
def test_they_are_cosines_of_gradients_by_hand(fitted, data, weighted):
    X, y = data
    weight = np.random.default_rng(0).uniform(0.5, 2, len(y)) if weighted else None
    found = gradient_similarity(fitted, X, y, n_batches=3, batch_size=20, sample_weight=weight)
    rows = np.split(np.arange(60), 3)
    gradients = by_hand(fitted, X, y, rows, weight)
    assert found.modalities == ("strong", "weak") and found.batch_size == 20
    for i, name in enumerate(found.modalities):
        expected = cosines(gradients[name])
        assert found.similarity[i] == pytest.approx(expected, abs=1e-5)
        off = expected[0, 1], expected[0, 2], expected[1, 2]
        assert found.mean[i] == pytest.approx(np.mean(off), abs=1e-5)
        assert found.norm[i] == pytest.approx([g.norm().item() for g in gradients[name]], rel=1e-4)
    assert found.similarity.diagonal(axis1=1, axis2=2).tolist() == [[1.0] * 3] * 2


def test_measuring_leaves_the_estimator_and_the_random_state_as_they_were(data):
    X, y = data
    clf = MultimodalClassifier(encoders=Encoder, max_epochs=1, random_state=0).fit(X, y)
    clf.module_.train()
    before = pickle.dumps(clf.module_.state_dict()), torch.get_rng_state(), np.random.get_state()
    gradients = [None if p.grad is None else p.grad.clone() for p in clf.module_.parameters()]
    modes = [module.training for module in clf.module_.modules()]
    first = gradient_similarity(clf, X, y, n_batches=3, random_state=1)
    second = gradient_similarity(clf, X, y, n_batches=3, random_state=1)
    assert np.array_equal(first.similarity, second.similarity)  # no dropout
    assert pickle.dumps(clf.module_.state_dict()) == before[0]
    assert torch.equal(torch.get_rng_state(), before[1])
    assert np.array_equal(np.random.get_state()[1], before[2][1])
    assert [module.training for module in clf.module_.modules()] == modes
    for p, gradient in zip(clf.module_.parameters(), gradients, strict=True):
        assert (p.grad is None) is (gradient is None)
        assert p.grad is None or torch.equal(p.grad, gradient)
    other = gradient_similarity(clf, X, y, n_batches=3, random_state=2)
    assert not np.array_equal(first.similarity, other.similarity)


def test_frozen_encoders_have_none(data):
    X, y = data
    clf = MultimodalClassifier(max_epochs=1, random_state=0).fit(X, y)
    clf.module_.encoders["weak"].requires_grad_(False)
    found = gradient_similarity(clf, X, y, n_batches=3)
    assert np.isnan(found.similarity[1]).all() and np.isnan(found.mean[1])
    assert np.isfinite(found.similarity[0]).all()
    display = GradientSimilarityDisplay(dict(zip(found.modalities, found.similarity))).plot()
    assert [ax.get_title().split("\n")[0] for ax in display.axes_] == ["strong", "weak"]
    assert display.axes_[1].get_title() == "weak\nmean nan"


def test_batches_in_which_nobody_has_the_modality_are_left_out(data):
    X, y = data
    X = {name: v.astype(float) for name, v in X.items()}
    X["weak"][:40] = np.nan
    clf = MultimodalClassifier(max_epochs=1, missing="allow", random_state=0).fit(X, y)
    found = gradient_similarity(clf, X, y, n_batches=3, batch_size=40)
    weak = found.similarity[1]
    assert np.isnan(weak[0]).all() and np.isnan(weak[:, 0]).all()
    assert found.mean[1] == pytest.approx(weak[1, 2])


def test_pipelines_regressors_and_pools(data, pool):
    X, y = data
    pipe = make_pipeline(
        ModalityTransformer(StandardScaler()), MultimodalClassifier(max_epochs=1, random_state=0)
    ).fit(X, y)
    inside = gradient_similarity(pipe[-1], pipe[:-1].transform(X), y, n_batches=2)
    assert np.array_equal(
        gradient_similarity(pipe, X, y, n_batches=2).similarity, inside.similarity
    )
    reg = MultimodalRegressor(max_epochs=1, random_state=0).fit(X, X["weak"][:, 0])
    found = gradient_similarity(reg, X, X["weak"][:, 0], n_batches=2)
    assert np.isfinite(found.similarity).all()
    found = gradient_similarity(pool, X, y, n_batches=2)
    expected = gradient_similarity(pool.network_, X, y, n_batches=2)
    assert np.array_equal(found.similarity, expected.similarity)


@pytest.mark.parametrize(
    "settings, match",
    [
        ({"n_batches": 1}, "'n_batches' parameter of gradient_similarity must be"),
        ({"n_batches": 500}, "must leave each batch 1 of the 120 samples. Got 500"),
        ({"batch_size": 100}, "must leave each batch 100 of the 120 samples. Got 12"),
        ({"batch_size": 0}, "'batch_size' parameter of gradient_similarity must be"),
    ],
)
def test_bad_batches(fitted, data, settings, match):
    with pytest.raises(ValueError, match=match):
        gradient_similarity(fitted, *data, **settings)


# Display


def test_images_are_the_numbers_and_titles_their_means(fitted, data):
    display = GradientSimilarityDisplay.from_estimator(fitted, *data, n_batches=4)
    found = gradient_similarity(fitted, *data, n_batches=4)
    assert list(display.images_) == ["strong", "weak"]
    for i, (name, image) in enumerate(display.images_.items()):
        assert np.array_equal(image.get_array(), found.similarity[i])
        assert image.get_clim() == (-1, 1)
        assert display.axes_[i].get_title() == f"{name}\nmean {found.mean[i]:.2f}"
    assert display.figure_.get_suptitle() == "InfoReg(alpha=2.0)"
    assert display.ax_.get_xlabel() == f"batch (n = {found.batch_size})"


def test_matrices_on_given_axes(plt):
    matrices = {name: np.eye(3) for name in "abc"}
    _, axes = plt.subplots(1, 3)
    display = GradientSimilarityDisplay(matrices, name="mine").plot(axes, cmap="viridis")
    assert display.axes_ == list(axes) and plt.get_fignums() == [1]
    assert display.images_["a"].get_cmap().name == "viridis"
    assert display.figure_.get_suptitle() == "" and display.ax_.get_title().startswith("mine\n")
    alone = GradientSimilarityDisplay({"X": np.eye(2)}, name="mine").plot()
    assert alone.ax_.get_title() == "mine\nX\nmean 0.00"


@pytest.mark.parametrize("matrices", [{}, [1.0], {"a": [[1.0, 0.0]]}, {"a": [1.0]}])
def test_bad_matrices(plt, matrices):
    with pytest.raises(ValueError, match="similarity"):
        GradientSimilarityDisplay(matrices).plot()
    assert plt.get_fignums() == []
