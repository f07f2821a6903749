"""Samples that lack modalities: predictions, scores and training."""

import pickle
from itertools import combinations

import numpy as np
import pytest
import torch
from missing import (
    NAMES,
    N,
    bits,
    blank,
    draw_present,
    make,
    make_complete,
    masked_rows,
    nan_rows,
    rows_of,
)
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV, cross_validate
from skorch.callbacks import EarlyStopping
from skorch.dataset import ValidSplit

from inforeg_sk import ModalityDict, MultimodalInfoRegRegressor


class TestPrediction:
    def test_any_subset_and_no_influence_of_other_samples(self, fitted):
        clf, X, _ = fitted
        whole = clf.predict_proba(X)
        assert np.isfinite(whole).all()
        for i in range(0, N, 7):
            alone = clf.predict_proba(rows_of(X, [i]))
            np.testing.assert_allclose(alone[0], whole[i], rtol=1e-5, atol=1e-7)
        full = make_complete(2)[0]
        for size in (1, 2, 3):
            for kept in combinations(NAMES, size):
                got = clf.predict_proba({name: full[name] for name in kept})
                np.testing.assert_allclose(got.sum(axis=1), 1)
                assert set(clf.predict({name: full[name] for name in kept})) <= set(clf.classes_)

    def test_zero_features_by_hand(self, partial):
        X, y = partial
        clf = make(dtype="float64").fit(X, y)
        features = clf.transform_by_modality(X)
        W, b = (clf.head_.weight.detach().numpy(), clf.head_.bias.detach().numpy())
        logits, start = np.tile(b, (N, 1)), 0
        unimodal = {}
        for name in clf.modalities_:
            width = features[name].shape[1]
            part = features[name] @ W[:, start : start + width].T
            unimodal[name] = part + b / 3
            there = ~np.isnan(X[name].reshape(N, -1)[:, 0])
            assert np.array_equal(np.isnan(features[name]), np.tile(~there[:, None], width))
            logits[there] += part[there]
            start += width
        np.testing.assert_allclose(clf.forward(X).numpy(), logits, rtol=1e-12, atol=1e-12)
        e = np.exp(logits)
        np.testing.assert_allclose(clf.predict_proba(X), e / e.sum(axis=1, keepdims=True))
        for name, proba in clf.predict_proba_by_modality(X).items():
            e = np.exp(unimodal[name])
            np.testing.assert_allclose(proba, e / e.sum(axis=1, keepdims=True))

    @pytest.mark.parametrize("fusion", ["mlp", "sum", "gated", "film", "attention"])
    def test_one_modality_alone_is_its_unimodal_prediction(self, partial, fusion):
        # Taking all others away is how the unimodal logits are defined (concatenation shares the
        # bias among them instead).
        X, y = partial
        extra = {"fusion__conditioning": "text"} if fusion in ("gated", "film") else {}
        clf = make(fusion=fusion, dtype="float64", **extra).fit(X, y)
        full = make_complete(3)[0]
        by_modality = clf.predict_proba_by_modality(full)
        for name in NAMES:
            alone = clf.predict_proba({name: full[name]})
            np.testing.assert_allclose(alone, by_modality[name], rtol=1e-12)

    def test_scores_by_hand(self, fitted):
        clf, X, y = fitted
        there = {name: ~np.isnan(X[name].reshape(N, -1)[:, 0]) for name in NAMES}
        common = np.logical_and.reduce(list(there.values()))
        assert 5 < common.sum() < 40
        weight = np.random.default_rng(0).uniform(0, 2, N)
        proba = clf.predict_proba_by_modality(X)
        predicted = {name: clf.classes_[p.argmax(axis=1)] for name, p in proba.items()}
        for w in (None, weight):
            for samples in ("common", "each"):
                got = clf.score_by_modality(X, y, w, samples=samples)
                assert list(got) == list(NAMES)
                for name in NAMES:
                    rows = common if samples == "common" else there[name]
                    weights = None if w is None else w[rows]
                    assert got[name] == pytest.approx(
                        accuracy_score(y[rows], predicted[name][rows], sample_weight=weights)
                    )
        assert clf.score_by_modality(X, y) == clf.score_by_modality(X, list(y), samples="common")
        with pytest.raises(
            ValueError, match=r"'samples' parameter .* 'common', 'each'\. Got 'all'"
        ):
            clf.score_by_modality(X, y, samples="all")

    def test_scores_of_what_is_there(self, fitted):
        clf, _, _ = fitted
        X, y = make_complete(5)
        short = {name: X[name] for name in ("text", "video")}
        by_modality = clf.score_by_modality(X, y)
        assert clf.score_by_modality(short, y) == {k: by_modality[k] for k in short}
        assert clf.score_by_modality(short, y, samples="each") == {k: by_modality[k] for k in short}
        half = np.arange(N) < N // 2
        apart = blank(X, {"text": half, "video": ~half, "audio": np.zeros(N, bool)})
        with pytest.raises(ValueError, match=r"samples='each'"):
            clf.score_by_modality(apart, y)
        assert set(clf.score_by_modality(apart, y, samples="each")) == {"text", "video"}


class TestTraining:
    @pytest.mark.parametrize("form", [nan_rows, masked_rows])
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_what_stands_at_a_missing_sample_never_matters(self, complete, form, dtype):
        X, y = complete
        present = draw_present()
        first = make(dtype=dtype).fit(blank(X, present), y)
        given = {name: form(values, present[name]) for name, values in X.items()}
        assert bits(first) == bits(make(dtype=dtype).fit(given, y))

    @pytest.mark.parametrize(
        "shape, encoder",
        [((5, 3), "gru"), ((5, 3), "transformer"), ((1, 8, 8), "cnn"), ((3, 32, 32), "resnet18")],
    )
    @pytest.mark.parametrize("n_present", [1, 3])
    def test_encoders_with_one_sample_and_more(self, shape, encoder, n_present):
        # In one of the batches a single sample has the modality: no variance of its own.
        rng = np.random.default_rng(0)
        n = 12
        X = {"signal": rng.normal(size=(n, *shape)), "text": rng.normal(size=(n, 4))}
        y = np.arange(n) % 2
        X["signal"][n_present:6] = np.nan
        clf = make(
            encoders={"signal": encoder},
            batch_size=6,
            iterator_train__shuffle=False,
            max_epochs=1,
        ).fit(X, y)
        assert all(np.isfinite(p.detach().numpy()).all() for p in clf.module_.parameters())
        assert all(b.isfinite().all() for b in clf.module_.buffers())
        assert np.isfinite(clf.predict_proba(X)).all()
        # The modes are as before: training statistics are taken in the other batch.
        norms = [m for m in clf.module_.modules() if hasattr(m, "num_batches_tracked")]
        expected = {1} if n_present == 1 else {2}
        assert {int(m.num_batches_tracked) for m in norms} <= expected
        assert (encoder == "resnet18") <= bool(norms)

    def test_batches_of_one_sample(self, partial):
        X, y = partial
        clf = make(batch_size=1, max_epochs=1).fit(rows_of(X, slice(0, 20)), y[:20])
        assert np.isfinite(clf.predict_proba(X)).all()
        assert all(np.isfinite(s).all() for s in clf.curves_["performance_score"].values())

    def test_partial_fit_and_warm_start_with_a_subset(self, partial):
        X, y = partial
        clf = make(warm_start=True).fit(X, y)
        weights = {
            n: [p.detach().clone() for p in e.parameters()] for n, e in clf.encoders_.items()
        }
        full = make_complete(4)[0]
        short = {name: full[name] for name in ("text", "video")}
        clf.partial_fit(short, y)
        clf.fit(short, y)
        assert len(clf.history) == 3 + 1 + 3
        for name, before in weights.items():
            moved = [
                not torch.equal(a, b) for a, b in zip(before, clf.encoders_[name].parameters())
            ]
            assert all(moved) if name != "audio" else not any(moved), name
        assert np.isnan(clf.curves_["performance_score"]["audio"][3:]).all()
        assert np.isfinite(clf.curves_["performance_score"]["text"]).all()
        first = make().partial_fit(X, y)
        assert bits(first) == bits(make(max_epochs=1).fit(X, y))

    def test_validation_split_and_early_stopping(self, partial):
        X, y = partial
        stop = EarlyStopping(monitor="valid_loss", patience=2, load_best=True)
        clf = make(train_split=ValidSplit(4, stratified=True), max_epochs=40, callbacks=[stop])
        clf.set_params(lr=0.1).fit(X, y)
        losses = clf.history[:, "valid_loss"]
        assert len(losses) < 40 and np.isfinite(losses).all()
        assert np.isfinite(clf.history[:, "valid_acc"]).all()
        assert np.isfinite(clf.predict_proba(X)).all()

    def test_pickling(self, fitted):
        clf, X, _ = fitted
        again = pickle.loads(pickle.dumps(clf))
        assert np.array_equal(again.predict_proba(X), clf.predict_proba(X))
        assert again.predict({"text": X["text"][~np.isnan(X["text"][:, 0])]}).shape

    def test_search_and_cross_validation(self, partial):
        X, y = partial
        X = ModalityDict(X)
        search = GridSearchCV(make(max_epochs=2), {"modality_dropout": [0.0, 0.3]}, cv=2)
        search.fit(X, y)
        assert np.isfinite(search.cv_results_["mean_test_score"]).all()
        scores = cross_validate(make(max_epochs=20), X, y, cv=3)["test_score"]
        assert scores.mean() > 0.5  # chance is a third
        masked = ModalityDict({n: masked_rows(v, draw_present()[n]) for n, v in X.items()})
        again = cross_validate(make(max_epochs=20), masked, y, cv=3)["test_score"]
        assert np.array_equal(scores, again)

    def test_workers(self, partial):
        X, y = partial
        plain = make(max_epochs=1).fit(X, y)
        workers = make(max_epochs=1, iterator_train__num_workers=1).fit(X, y)
        assert bits(plain) == bits(workers)

    def test_a_regressor_too(self, partial):
        X, y = partial
        target = (y == "joy") + 2.0 * (y == "fear")
        reg = make(MultimodalInfoRegRegressor).fit(X, target)
        assert np.isfinite(reg.predict({"video": make_complete()[0]["video"]})).all()
        by_modality = reg.predict_by_modality(X)
        for name in NAMES:
            lacks = np.isnan(X[name].reshape(N, -1)[:, 0])
            assert np.array_equal(np.isnan(by_modality[name]), lacks)
