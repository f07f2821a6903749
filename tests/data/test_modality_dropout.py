"""Modalities dropped at random in training."""

import pickle
import re
from itertools import product

import numpy as np
import pytest
import torch
from missing import NAMES, bits, blank, draw_present, make, make_complete
from skorch.dataset import ValidSplit

from inforeg_sk import MultimodalClassifier, MultimodalInfoRegClassifier
from inforeg_sk.data.batches import Batch, sample_modality_dropout
from inforeg_sk.data.presence import Presence

RATE = "The 'modality_dropout' parameter of MultimodalInfoRegClassifier must be a float in [0, 1)"


class TestModalityDropout:
    def test_reproducible_and_zero_is_none(self, complete):
        X, y = complete
        plain = make().fit(X, y)
        assert bits(plain) == bits(make(modality_dropout=0.0).fit(X, y))
        assert bits(plain) == bits(make(modality_dropout={}).fit(X, y))
        assert bits(plain) == bits(make(modality_dropout={"text": 0.0}).fit(X, y))
        some = make(modality_dropout=0.4).fit(X, y)
        assert bits(some) == bits(make(modality_dropout=0.4).fit(X, y))
        assert bits(some) != bits(plain)
        assert bits(some) != bits(make(modality_dropout=0.4, random_state=1).fit(X, y))
        as_dict = make(modality_dropout=dict.fromkeys(NAMES, 0.4)).fit(X, y)
        assert bits(some) == bits(as_dict)

    def test_initial_weights_and_order_are_those_without(self, complete):
        X, y = complete
        seen = {0.0: [], 0.5: []}

        class Spy(MultimodalClassifier):
            def train_step(self, batch, **fit_params):
                seen[self.modality_dropout].append(batch[1].clone())
                return super().train_step(batch, **fit_params)

        weights = [bits(make(Spy, modality_dropout=rate, lr=0.0).fit(X, y)) for rate in seen]
        assert weights[0] == weights[1]
        for a, b in zip(*seen.values(), strict=True):
            assert torch.equal(a, b)

    @pytest.mark.parametrize("rates", [0.5, {"audio": 0.9, "video": 0.9}])
    def test_which_samples_reach_the_network(self, partial, rates):
        X, y = partial
        seen = {"train": [], "other": []}

        class Spy(MultimodalClassifier):
            def infer(self, x, **fit_params):
                out = super().infer(x, **fit_params)
                present = out.presence.matrix(NAMES)
                seen["train" if self.module_.training else "other"].append(present)
                return out

        clf = make(
            Spy,
            modality_dropout=rates,
            max_epochs=20,
            train_split=ValidSplit(4, stratified=True),
        ).fit(X, y)
        trained = torch.cat(seen["train"]).numpy()
        assert trained.any(axis=1).all()  # never all
        share = np.array([draw_present()[name].mean() for name in NAMES])
        kept = trained.mean(axis=0) / share
        if isinstance(rates, dict):
            assert kept[1] == pytest.approx(1, abs=0.06) and (kept[[0, 2]] < 0.55).all()
        else:
            assert (kept > 0.5).all() and (kept < 0.8).all()
        # Neither in validation nor in prediction.
        whole = make_complete()[0]
        before = np.stack([draw_present()[name] for name in NAMES], axis=1).sum()
        # After the last epoch the fit looks at 32 samples of its training part.
        valid_rows = (sum(len(p) for p in seen["other"]) - 32) // 20
        assert valid_rows in (19, 20, 21)
        per_epoch = torch.cat(seen["other"])[: 20 * valid_rows].reshape(20, valid_rows, 3)
        assert (per_epoch == per_epoch[0]).all()
        seen["other"].clear()
        first = clf.predict_proba(X)
        assert torch.cat(seen["other"]).sum() == before
        assert np.array_equal(first, clf.predict_proba(X))
        seen["other"].clear()
        clf.predict(whole)
        assert seen["other"] and all(p.all() for p in seen["other"])

    def test_dropping_is_missing(self, partial):
        # An epoch with what was dropped taken out of the data is the same epoch bit for bit.
        X, y = partial
        kept = []

        class Spy(MultimodalInfoRegClassifier):
            def infer(self, x, **fit_params):
                if self.module_.training:
                    kept.append({n: mask.clone() for n, mask in x.presence.masks.items()})
                return super().infer(x, **fit_params)

        settings = {
            "max_epochs": 1,
            "iterator_train__shuffle": False,
            "batch_size": 16,
            "dtype": "float64",
            "standardize": False,  # by what there is in the data, dropped or not
        }
        dropped = make(Spy, modality_dropout=0.5, **settings).fit(X, y)
        whole = torch.ones(16, dtype=torch.bool)
        there = {n: torch.cat([k.get(n, whole) for k in kept]).numpy() for n in NAMES}
        assert all(there[n].sum() < draw_present()[n].sum() for n in NAMES)
        missing = make(Spy, **settings).fit(blank(X, there), y)
        assert bits(dropped) == bits(missing)
        assert max(c[0] for c in dropped.curves_["coefficient"].values()) > 0
        for curve in ("fisher_trace", "performance_score", "coefficient"):
            assert dropped.curves_[curve] == missing.curves_[curve]

    def test_goes_on_where_it_was_and_with_a_subset(self, partial):
        X, y = partial
        clf = make(modality_dropout=0.4).fit(X, y)
        again = pickle.loads(pickle.dumps(clf))
        assert bits(clf.partial_fit(X, y)) == bits(again.partial_fit(X, y))
        full = make_complete(3)[0]
        clf.partial_fit({"text": full["text"], "video": full["video"]}, y)
        clf.partial_fit({"text": full["text"]}, y)
        assert np.isfinite(clf.predict_proba(X)).all()

    def test_a_refused_value_leaves_the_model_as_it_was(self, partial):
        X, y = partial
        clf, reference = make().fit(X, y), make().fit(X, y)
        clf.set_params(modality_dropout=2.0)
        with pytest.raises(ValueError, match=re.escape(RATE) + r".* Got 2\.0"):
            clf.partial_fit(X, y)
        clf.set_params(modality_dropout=0.0)
        # Training goes on as if nothing had been tried.
        same = bits(clf.partial_fit(X, y)) == bits(reference.partial_fit(X, y))
        assert same

    def test_one_modality_is_never_dropped(self, complete):
        X, y = complete
        X = {"text": X["text"]}
        plain, dropped = make().fit(X, y), make(modality_dropout=0.8).fit(X, y)
        assert bits(plain) == bits(dropped)

    def test_allowed_where_missing_is_an_error(self, complete):
        X, y = complete
        clf = make(missing="error", modality_dropout=0.3).fit(X, y)
        assert np.isfinite(clf.predict_proba(X)).all()
        with pytest.raises(ValueError, match="missing="):
            clf.predict(blank(X, draw_present()))

    @pytest.mark.parametrize(
        "value, words",
        [
            (1.0, [RATE, "or a dict of these by modality. Got 1.0."]),
            (-0.1, [RATE, "Got -0.1."]),
            (float("nan"), [RATE, "Got nan."]),
            ("0.5", [RATE, "Got '0.5'."]),
            (None, [RATE, "Got None."]),
            (True, [RATE, "Got True."]),
            ([0.1, 0.2], [RATE, "Got [0.1, 0.2]."]),
            ({"text": 1.5}, ["modality_dropout['text']", "must be a float in [0, 1). Got 1.5."]),
            (
                {"texts": 0.5},
                [
                    "'modality_dropout' parameter",
                    "unknown modality 'texts'",
                    "are 'audio', 'text', 'video'",
                    "did you mean 'text'?",
                ],
            ),
        ],
    )
    def test_bad_values_are_named(self, complete, value, words):
        X, y = complete
        with pytest.raises(ValueError) as info:
            make(modality_dropout=value).fit(X, y)
        for word in words:
            assert word in str(info.value)

    @pytest.mark.parametrize(
        "rates, there",
        [
            ((0.3, 0.6), (True, True)),
            ((0.0, 0.9), (True, True)),
            ((0.5, 0.5), (False, True)),
            ((0.2, 0.5, 0.8), (True, True, True)),
            ((0.2, 0.5, 0.8), (True, False, True)),
            ((0.9, 0.0, 0.4), (True, False, True)),
            ((0.9, 0.0, 0.4), (False, False, True)),
        ],
    )
    def test_probabilities_are_exact(self, rates, there):
        n = 40_000
        names = NAMES[: len(rates)]
        rates_of, there_of = dict(zip(names, rates)), dict(zip(names, there))
        lacking = [name for name in names if not there_of[name]]
        presence = Presence(n, {name: torch.zeros(n, dtype=torch.bool) for name in lacking})
        batch = Batch({name: torch.zeros(n, 1) for name in names}, presence)
        kept = sample_modality_dropout(batch, rates_of, torch.Generator().manual_seed(0))
        drawn = np.stack([kept[name].numpy() for name in names], axis=1)
        have = [i for i, name in enumerate(names) if there_of[name]]
        expected = {}
        for pattern in product([False, True], repeat=len(have)):
            p = np.prod([1 - rates[i] if k else rates[i] for i, k in zip(have, pattern)])
            if any(pattern):
                key = tuple(i in have and pattern[have.index(i)] for i in range(len(names)))
                expected[key] = expected.get(key, 0) + p
            else:  # one of those it has, each with the same probability
                for keep in have:
                    key = tuple(i == keep for i in range(len(names)))
                    expected[key] = expected.get(key, 0) + p / len(have)
        assert sum(expected.values()) == pytest.approx(1)
        for pattern in product([False, True], repeat=len(names)):
            share = (drawn == pattern).all(axis=1).mean()
            p = expected.get(pattern, 0.0)
            # 4.5 standard errors; exactly 0 where it cannot be.
            assert abs(share - p) <= 4.5 * np.sqrt(p * (1 - p) / n), pattern

    def test_the_batch_keeps_what_was_drawn(self):
        tensors = {"a": torch.arange(6)[:, None], "b": {"ids": torch.arange(6)}}
        batch = Batch(tensors, Presence(6))
        mask = torch.tensor([True, False, True, True, False, True])
        first = batch.keep({"a": mask, "b": ~mask})
        assert first["a"][:, 0].tolist() == [0, 2, 3, 5] and first["b"]["ids"].tolist() == [1, 4]
        second = first.keep({"a": mask & (torch.arange(6) > 2)})
        assert second["a"][:, 0].tolist() == [3, 5]
        assert second.presence.rows("a").tolist() == [3, 5]
        assert second.presence.rows("b").tolist() == [1, 4]
        assert batch["a"].shape == (6, 1) and not batch.presence.masks


def test_dropout_of_a_modality_that_partial_fit_does_not_get(complete):
    X, y = complete
    clf = make(modality_dropout={"text": 0.5}, max_epochs=1).fit(X, y)
    clf.partial_fit({"audio": X["audio"], "video": X["video"]}, y)
    assert len(clf.history) == 2
