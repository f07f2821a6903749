"""Samples that lack modalities: what is accepted, what comes out, and what never matters."""

import pickle
from itertools import combinations, product

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from skorch.callbacks import EarlyStopping
from skorch.dataset import ValidSplit

from inforeg_sk import (
    ModalityDict,
    ModalityTransformer,
    MultimodalClassifier,
    MultimodalInfoRegClassifier,
    MultimodalInfoRegRegressor,
)
from inforeg_sk.training.batches import Batch, Presence, draw_kept

NAMES = ("audio", "text", "video")
N = 80


def draw_present(n=N, share=0.4, seed=1):
    rng = np.random.default_rng(seed)
    present = {name: rng.random(n) >= share for name in NAMES}
    nobody = ~np.logical_or.reduce(list(present.values()))
    present["text"] |= nobody
    return present


def make_complete(seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, N)
    shapes = {"audio": (5, 3), "text": (6,), "video": (4,)}
    X = {
        name: rng.normal(size=(N, *shape)) + y.reshape(-1, *[1] * len(shape))
        for name, shape in shapes.items()
    }
    return X, np.array(["anger", "fear", "joy"])[y]


def blank(X, present):
    out = {name: values.copy() for name, values in X.items()}
    for name, mask in present.items():
        out[name][~mask] = np.nan
    return out


@pytest.fixture
def complete():
    return make_complete()


@pytest.fixture
def partial():
    X, y = make_complete()
    return blank(X, draw_present()), y


@pytest.fixture(scope="module")
def fitted():
    X, y = make_complete()
    X = blank(X, draw_present())
    return make().fit(X, y), X, y


def make(cls=MultimodalInfoRegClassifier, **kwargs):
    settings = {"max_epochs": 3, "random_state": 0, "missing": "allow", "lr": 0.01}
    return cls(**settings | kwargs)


def bits(estimator):
    return [p.detach().numpy().tobytes() for p in estimator.module_.parameters()]


def rows_of(X, rows):
    return {name: values[rows] for name, values in X.items()}


class TestCompleteData:
    def test_allowing_changes_nothing_bit_for_bit(self, complete):
        X, y = complete
        strict, lenient = make(missing="error").fit(X, y), make().fit(X, y)
        assert bits(strict) == bits(lenient)
        assert np.array_equal(strict.predict_proba(X), lenient.predict_proba(X))
        for curve in ("fisher_trace", "performance_score", "coefficient", "window_ratio"):
            for name in X:
                a, b = strict.curves_[curve][name], lenient.curves_[curve][name]
                assert np.array_equal(a, b, equal_nan=True), curve
        assert strict.score_by_modality(X, y) == lenient.score_by_modality(X, y)


class TestErrors:
    def test_nan_under_error_names_the_way_out(self, complete):
        X, y = complete
        X["video"][7] = np.nan
        with pytest.raises(ValueError, match=r"'video'.*row 7.*missing='allow'"):
            make(missing="error").fit(X, y)
        X, y = make_complete()
        clf = make(missing="error").fit(X, y)
        X["audio"][3] = np.nan
        with pytest.raises(ValueError, match=r"'audio'.*row 3.*missing='allow'"):
            clf.predict(X)

    @pytest.mark.parametrize(
        "masked", [np.ma.masked_all((N, 6)), np.ma.array(np.ones((N, 6), int), mask=False)]
    )
    def test_masked_under_error_names_the_way_out(self, complete, masked):
        X, y = complete
        masked[:] = X["text"]
        masked[5] = np.ma.masked
        with pytest.raises(ValueError, match=r"'text'.*row 5.*missing='allow'"):
            make(missing="error").fit({**X, "text": masked}, y)

    @pytest.mark.parametrize(
        "name, where", [("text", (9, 2)), ("audio", (9, 1)), ("video", (9, 0))]
    )
    def test_partial_nan_is_an_error(self, complete, name, where):
        X, y = complete
        X["text"][4] = np.nan  # a missing one beside it
        X[name][where] = np.nan
        with pytest.raises(ValueError, match=rf"'{name}'.*NaN.*row 9"):
            make().fit(X, y)

    def test_partly_masked_and_infinite_are_errors(self, complete):
        X, y = complete
        text = np.ma.array(X["text"])
        text[6, 1] = np.ma.masked
        with pytest.raises(ValueError, match=r"'text'.*row 6"):
            make().fit({**X, "text": text}, y)
        X["text"][8] = np.inf
        with pytest.raises(ValueError, match=r"'text'.*infinity.*row 8"):
            make().fit(X, y)

    def test_a_sample_without_any_modality_is_named(self, complete, fitted):
        X, y = complete
        for name in X:
            X[name][[12, 30]] = np.nan
        with pytest.raises(ValueError, match=r"2 of 80 samples .*sample 12:"):
            make().fit(X, y)
        clf = fitted[0]
        for action in (clf.predict, clf.predict_proba_by_modality, clf.transform_by_modality):
            with pytest.raises(ValueError, match=r"2 of 80 samples .*sample 12:"):
                action(X)
        # Also where all that is left out of the mapping is what the sample would have.
        rest = {name: values for name, values in make_complete()[0].items() if name != "text"}
        rest["audio"][2] = rest["video"][2] = np.nan
        with pytest.raises(ValueError, match=r"1 of 80 samples .*sample 2:"):
            clf.predict(rest)

    def test_a_modality_missing_throughout_cannot_be_learnt(self, complete):
        X, y = complete
        X["video"][:] = np.nan
        with pytest.raises(ValueError, match=r"'video' is missing in every sample"):
            make().fit(X, y)

    def test_unknown_and_no_modalities_at_predict(self, fitted):
        clf, X, y = fitted
        with pytest.raises(ValueError, match="smell"):
            clf.predict({**X, "smell": np.ones((N, 2))})
        with pytest.raises(ValueError, match="empty"):
            clf.predict({})
        strict = make(missing="error").fit(*make_complete())
        with pytest.raises(ValueError, match="misses 'video'"):
            strict.predict({name: np.nan_to_num(X[name]) for name in ("audio", "text")})

    def test_an_absent_modality_names_the_way_out(self, complete):
        X, y = complete
        short = {name: X[name] for name in ("audio", "text")}
        words = r"misses 'video': .*'audio', 'text', 'video'.*missing='allow'"
        clf = make(missing="error").fit(X, y)
        for action in (clf.predict, clf.score_by_modality, clf.partial_fit):
            with pytest.raises(ValueError, match=words):
                action(short, *([] if action == clf.predict else [y]))
        with pytest.raises(ValueError, match=words):
            ModalityTransformer(StandardScaler()).fit(X).transform(short)
        # It would not help a name that is unknown.
        with pytest.raises(ValueError, match="unknown 'smell'") as caught:
            clf.predict({**short, "smell": X["video"]})
        assert "allow" not in str(caught.value)

    @pytest.mark.parametrize("kind", ["Int64", "Float64"])
    def test_nullable_frames(self, complete, kind):
        X, y = complete
        whole = np.round(10 * X["text"])
        table = pd.DataFrame(whole).astype(kind)
        table.iloc[9, 2] = pd.NA
        for missing in ("error", "allow"):
            clf = make(missing=missing)
            with pytest.raises(ValueError, match=r"'text' contains NaN in row 9.*1 of its 6"):
                clf.fit({**X, "text": table}, y)
        with pytest.raises(ValueError, match=r"'text' contains NaN in row 9"):
            make().fit(X, y).predict({**X, "text": table})
        table.iloc[[9, 40]] = pd.NA
        clf = make().fit({**X, "text": table}, y)
        whole[[9, 40]] = np.nan
        reference = make().fit({**X, "text": whole}, y)
        assert bits(clf) == bits(reference)
        assert np.array_equal(
            clf.predict_proba({**X, "text": table}), reference.predict_proba({**X, "text": whole})
        )

    @pytest.mark.parametrize("missing", ["error", "allow"])
    @pytest.mark.parametrize("gone", [False, True])
    def test_a_frame_with_a_text_stays_refused(self, complete, missing, gone):
        X, y = complete
        table = pd.DataFrame(X["text"]).astype(object)
        table.iloc[9, 2] = "1.5"
        if gone:
            table.iloc[20] = None
        words = "not numeric" if missing == "allow" or not gone else "NaN in row 20"
        with pytest.raises(ValueError, match=rf"'text' .*{words}"):
            make(missing=missing).fit({**X, "text": table}, y)
        table.iloc[9, 2] = 1.5
        X["text"][9, 2] = 1.5
        if gone:
            X["text"][20] = np.nan
        given = make().fit({**X, "text": table}, y)
        assert bits(given) == bits(make().fit(X, y))

    @pytest.mark.parametrize("value", ["drop", None, True, "Allow"])
    def test_bad_values_of_missing(self, complete, value):
        with pytest.raises(ValueError, match=r"missing=.*'error' and 'allow'"):
            make(missing=value).fit(*complete)
        with pytest.raises(ValueError, match=r"missing=.*'pass' and 'allow'"):
            ModalityTransformer(missing=value).fit(complete[0])

    def test_a_failed_fit_leaves_the_model_as_it_was(self, partial):
        X, y = partial
        clf = make().fit(X, y)
        before = clf.predict_proba(X)
        bad = make_complete()[0]
        bad["video"][:] = np.nan
        with pytest.raises(ValueError, match="'video' is missing in every sample"):
            clf.fit(bad, y)
        assert np.array_equal(before, clf.predict_proba(X))


def nan_rows(values, mask):
    out = values.copy()
    out[~mask] = np.nan
    return out


def masked_rows(values, mask):
    out = np.ma.array(values.copy())
    out[~mask] = 1e300  # garbage beneath the mask
    out[~mask] = np.ma.masked
    out.data[~mask] = 1e300
    return out


def list_of_arrays(values, mask):
    return [row if there else None for row, there in zip(values, mask)]


def object_rows(values, mask):
    out = values.astype(object)
    out[~mask] = None
    return out


def frame(values, mask):
    return pd.DataFrame(nan_rows(values, mask)) if values.ndim == 2 else nan_rows(values, mask)


def nullable_frame(values, mask):
    if values.ndim != 2:
        return nan_rows(values, mask)
    return pd.DataFrame(nan_rows(values, mask)).astype("Float64")


def column_by_column(values, mask):
    return np.asfortranarray(nan_rows(values, mask))


def torch_rows(values, mask):
    return torch.as_tensor(nan_rows(values, mask))


FORMS = [
    nan_rows,
    masked_rows,
    list_of_arrays,
    object_rows,
    frame,
    nullable_frame,
    column_by_column,
    torch_rows,
]


class TestRepresentation:
    @pytest.mark.parametrize("form", FORMS)
    def test_all_forms_mean_the_same(self, complete, form):
        X, y = complete
        present = draw_present()
        other = {name: form(values, present[name]) for name, values in X.items()}
        reference, clf = make().fit(blank(X, present), y), make().fit(other, y)
        assert bits(reference) == bits(clf)
        expected = reference.predict_proba(blank(X, present))
        assert np.array_equal(expected, clf.predict_proba(other))
        # Rows are selected with what is missing, by all of scikit-learn's ways.
        rows = np.arange(N)[::3]
        chosen = clf.predict_proba(ModalityDict(other)[rows])
        np.testing.assert_allclose(chosen, expected[rows], rtol=1e-5, atol=1e-7)

    @pytest.mark.parametrize("form", FORMS)
    def test_all_forms_under_error_name_the_way_out(self, complete, form):
        X, y = complete
        given = form(X["text"], np.arange(N) != 5)
        with pytest.raises((TypeError, ValueError), match=r"'text'.*row 5.*missing='allow'"):
            make(missing="error").fit({**X, "text": given}, y)

    @pytest.mark.parametrize(
        "kind",
        [
            sparse.csr_array,
            sparse.csr_matrix,
            sparse.csc_array,
            sparse.coo_array,
            sparse.dok_array,
            sparse.lil_matrix,
        ],
    )
    @pytest.mark.parametrize("one", [False, True])
    def test_sparse_rows(self, complete, kind, one):
        X, y = complete
        X["text"] *= X["text"] > 0.5
        X["text"][5] = 0  # a sample of zeros is there
        present = draw_present()
        present["text"][5] = True
        reference = make().fit(blank(X, present), y)
        expected = reference.predict_proba(blank(X, present))
        rows = nan_rows(X["text"], present["text"])
        if one:  # of a missing sample one NaN is enough
            rows[~present["text"], 1:] = 0
        given = {**blank(X, present), "text": kind(rows)}
        clf = make().fit(given, y)
        assert bits(clf) == bits(reference)
        assert np.array_equal(clf.predict_proba(given), expected)
        features = clf.transform_by_modality(given)["text"]
        assert np.array_equal(np.isnan(features).all(axis=1), ~present["text"])
        assert clf.score_by_modality(given, y) == reference.score_by_modality(blank(X, present), y)
        chosen = np.arange(N)[::3]
        np.testing.assert_allclose(
            clf.predict_proba(ModalityDict(given)[chosen]), expected[chosen], rtol=1e-5, atol=1e-7
        )
        rows[7] = [np.nan, 1, 0, 0, 0, 0]
        with pytest.raises(ValueError, match=r"'text' contains NaN in row 7"):
            make().fit({**given, "text": kind(rows)}, y)

    def test_integers_with_a_mask(self, complete):
        X, y = complete
        present = draw_present()
        whole = np.round(10 * X["text"]).astype(int)
        masked = np.ma.array(whole, mask=False)
        masked[~present["text"]] = np.ma.masked
        floats = nan_rows(whole.astype(float), present["text"])
        X = blank(X, {"audio": present["audio"], "video": present["video"]})
        first = make().fit({**X, "text": masked}, y)
        second = make().fit({**X, "text": floats}, y)
        assert bits(first) == bits(second)

    @pytest.mark.parametrize("as_frame", [False, True])
    def test_a_table_cut_into_modalities(self, complete, as_frame):
        X, y = complete
        X = {"text": X["text"], "video": X["video"]}
        present = {name: draw_present()[name] for name in X}
        present["text"] |= ~present["video"]
        X = blank(X, present)
        table = np.hstack([X["text"], X["video"]])
        if as_frame:
            table = pd.DataFrame(table, columns=[f"c{i}" for i in range(10)])
        clf = make(modalities={"text": slice(0, 6), "video": slice(6, 10)}).fit(table, y)
        reference = make().fit(X, y)
        assert bits(clf) == bits(reference)
        assert np.array_equal(clf.predict_proba(table), reference.predict_proba(X))
        strict = make(missing="error", modalities={"text": slice(0, 6), "video": slice(6, 10)})
        with pytest.raises(ValueError, match="missing='allow'"):
            strict.fit(table, y)

    @pytest.mark.parametrize("left", NAMES)
    def test_leaving_out_is_missing_in_all(self, fitted, left):
        clf, _, y = fitted
        X = make_complete(1)[0]
        short = {name: values for name, values in X.items() if name != left}
        expected = clf.predict_proba({**X, left: np.full_like(X[left], np.nan)})
        assert np.array_equal(clf.predict_proba(short), expected)
        masked = np.ma.masked_all(X[left].shape, int)
        assert np.array_equal(clf.predict_proba({**X, left: masked}), expected)

    def test_none_in_every_row_is_missing_in_all(self, complete):
        # Part of a list of arrays, such as a fold, in which nobody has the modality.
        X, y = complete
        half = np.arange(N) < N // 2
        given = ModalityDict({**X, "text": list_of_arrays(X["text"], half)})
        clf = make().fit(given, y)
        rest = {name: values[~half] for name, values in X.items() if name != "text"}
        assert np.array_equal(clf.predict_proba(given[~half]), clf.predict_proba(rest))

    def test_nan_rows_of_an_array_that_also_has_a_mask(self, complete):
        X, y = complete
        both = np.ma.array(X["text"].copy())
        both[3] = np.ma.masked
        both[4] = np.nan
        clf = make().fit({**X, "text": both}, y)
        X["text"][[3, 4]] = np.nan
        assert bits(clf) == bits(make().fit(X, y))

    def test_none_in_every_row_cannot_be_learnt(self, complete):
        X, y = complete
        with pytest.raises(ValueError, match="'text' is missing in every sample"):
            make().fit({**X, "text": [None] * N}, y)

    def test_equality_of_containers_sees_the_mask(self):
        values = np.arange(6).reshape(3, 2)
        a, b = (ModalityDict({"ids": np.ma.array(values, mask=False)}) for _ in range(2))
        assert a == b
        b["ids"][1] = np.ma.masked
        assert a != b

    def test_the_callers_arrays_stay_as_they_are(self, complete):
        X, y = complete
        present = draw_present()
        for form in (nan_rows, masked_rows, object_rows):
            given = {name: form(values, present[name]) for name, values in X.items()}
            copies = pickle.dumps(given)
            make(modality_dropout=0.3).fit(given, y).predict(given)
            assert pickle.dumps(given) == copies


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

    @pytest.mark.parametrize("fusion", ["sum", "gated", "film", "attention"])
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
        with pytest.raises(ValueError, match="samples='all'"):
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
                seen["train" if self.module_.training else "other"].append(out.present)
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
        valid_rows = sum(len(p) for p in seen["other"]) // 20
        assert valid_rows in (19, 20, 21)
        per_epoch = torch.cat(seen["other"]).reshape(20, valid_rows, 3)
        assert (per_epoch == per_epoch[0]).all()
        seen["other"].clear()
        first = clf.predict_proba(X)
        assert torch.cat(seen["other"]).sum() == before
        assert np.array_equal(first, clf.predict_proba(X))
        seen["other"].clear()
        clf.predict(whole)
        assert all(p is None or p.all() for p in seen["other"])

    def test_dropping_is_missing(self, partial):
        # An epoch with what was dropped taken out of the data is the same epoch bit for bit.
        X, y = partial
        kept = []

        class Spy(MultimodalInfoRegClassifier):
            def infer(self, x, **fit_params):
                if self.module_.training:
                    kept.append({name: p.mask.clone() for name, p in x.presence.items()})
                return super().infer(x, **fit_params)

        settings = {
            "max_epochs": 1,
            "iterator_train__shuffle": False,
            "batch_size": 16,
            "dtype": "float64",
        }
        dropped = make(Spy, modality_dropout=0.5, **settings).fit(X, y)
        whole = torch.ones(16, dtype=torch.bool)
        there = {n: torch.cat([k.get(n, whole) for k in kept]).numpy() for n in NAMES}
        assert all(there[n].sum() < draw_present()[n].sum() for n in NAMES)
        missing = make(**settings).fit(blank(X, there), y)
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
        with pytest.raises(ValueError, match=r"modality_dropout=2\.0"):
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
            (1.0, "modality_dropout=1.0"),
            (-0.1, "modality_dropout=-0.1"),
            (float("nan"), "modality_dropout=nan"),
            ("0.5", "modality_dropout='0.5'"),
            (None, "modality_dropout=None"),
            (True, "modality_dropout=True"),
            ([0.1, 0.2], r"modality_dropout=\[0.1"),
            ({"text": 1.5}, r"modality_dropout\['text'\]=1.5"),
            ({"texts": 0.5}, "modality_dropout names the unknown modality 'texts'.*'text'"),
        ],
    )
    def test_bad_values_are_named(self, complete, value, words):
        X, y = complete
        with pytest.raises(ValueError, match=words):
            make(modality_dropout=value).fit(X, y)

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
        presence = {
            name: Presence(torch.zeros(n, dtype=torch.bool), torch.zeros(0, dtype=torch.int64))
            for name in names
            if not there_of[name]
        }
        batch = Batch({name: torch.zeros(n, 1) for name in names}, n, presence)
        kept = draw_kept(batch, rates_of, torch.Generator().manual_seed(0))
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
        batch = Batch({"a": torch.arange(6)[:, None], "b": {"ids": torch.arange(6)}}, 6)
        mask = torch.tensor([True, False, True, True, False, True])
        first = batch.keep({"a": mask, "b": ~mask})
        assert first["a"][:, 0].tolist() == [0, 2, 3, 5] and first["b"]["ids"].tolist() == [1, 4]
        second = first.keep({"a": mask & (torch.arange(6) > 2)})
        assert second["a"][:, 0].tolist() == [3, 5]
        assert second.presence["a"].rows.tolist() == [3, 5]
        assert second.presence["b"].rows.tolist() == [1, 4]
        assert batch["a"].shape == (6, 1) and not batch.presence


class Tokens(TransformerMixin, BaseEstimator):
    """Counts into several arrays: an integer, a boolean and a float one."""

    def fit(self, X, y=None):
        self.seen_ = len(X)
        return self

    def transform(self, X):
        ids = np.array([[len(text), text.count("a")] for text in X], dtype=np.int32)
        return {"ids": ids, "mask": ids > 2, "share": ids / 10}


class TestTransformer:
    def test_missing_rows_are_left_out_and_stay_missing(self, partial):
        X, y = partial
        transformers = {"text": PCA(2, random_state=0), "audio": StandardScaler()}
        skip = ModalityTransformer(transformers, missing="allow")
        out = skip.fit_transform(X, y)
        for name, bare in transformers.items():
            there = ~np.isnan(X[name].reshape(N, -1)[:, 0])
            rows = X[name][there]
            expected = clone(bare).fit_transform(rows.reshape(-1, rows.shape[-1]))
            got = out[name][there]
            np.testing.assert_allclose(got.reshape(expected.shape), expected, atol=1e-12)
            assert np.isnan(out[name][~there]).all() and there.sum() < N
            np.testing.assert_allclose(skip.transform(X)[name], out[name], atol=1e-12)
        assert out["video"] is X["video"] or np.array_equal(out["video"], X["video"], True)

    def test_masked_rows_and_frames(self, complete):
        X, _ = complete
        present = draw_present()
        skip = ModalityTransformer(MinMaxScaler(), missing="allow")
        reference = skip.fit_transform(blank(X, present))
        masked = skip.fit_transform({k: masked_rows(v, present[k]) for k, v in X.items()})
        for name in NAMES:
            assert np.array_equal(reference[name], masked[name], equal_nan=True)
        table = frame(X["text"], present["text"])
        table.index = [f"row {i}" for i in range(N)]
        out = clone(skip).set_output(transform="pandas").fit_transform({"text": table})
        np.testing.assert_array_equal(out["text"].to_numpy(), reference["text"])
        assert len(out["text"]) == N

    def test_the_target_goes_with_the_rows(self, partial):
        X, y = partial
        skip = ModalityTransformer({"text": SelectKBest(k=2)}, missing="allow")
        there = ~np.isnan(X["text"][:, 0])
        for target in (y, list(y), pd.Series(y, index=np.arange(N) + 100)):
            out = clone(skip).fit(X, target).transform(X)["text"]
            expected = SelectKBest(k=2).fit_transform(X["text"][there], y[there])
            np.testing.assert_allclose(out[there], expected)

    def test_texts(self, complete):
        _, y = complete
        words = np.array([f"{label} word{i % 5}" for i, label in enumerate(y)], dtype=object)
        words[::4] = None
        X = {"words": words, "video": make_complete()[0]["video"]}
        steps = make_pipeline(TfidfVectorizer(), TruncatedSVD(3, random_state=0))
        skip = ModalityTransformer({"words": steps}, missing="allow")
        out = skip.fit_transform(X)["words"]
        there = np.arange(N) % 4 != 0
        np.testing.assert_allclose(out[there], clone(steps).fit_transform(words[there]), atol=1e-9)
        assert np.isnan(out[~there]).all()
        pipe = make_pipeline(skip, make(max_epochs=15)).fit(X, y)
        assert pipe.score(X, y) > 0.6
        as_list = {"words": list(words), "video": X["video"]}
        assert np.array_equal(pipe.predict(as_list), pipe.predict(X))

    def test_a_sparse_output_stays_sparse(self, complete):
        X, y = complete
        words = [None, *(str(label) for label in y[1:])]
        allow = ModalityTransformer({"words": TfidfVectorizer()}, missing="allow")
        out = allow.fit_transform({"words": words, "text": X["text"]})["words"]
        assert sparse.issparse(out) and out.shape == (N, len(np.unique(y)))
        dense = out.toarray()
        assert np.isnan(out[[0]].data).all() and out[[0]].nnz == 1
        np.testing.assert_allclose((dense[1:] ** 2).sum(axis=1), 1)
        assert dense.dtype == out.dtype == np.float64
        # The same whether some samples lack it, none does or one is asked for.
        pipe = make_pipeline(allow, make(max_epochs=15)).fit({"words": words, "text": X["text"]}, y)
        Xt = pipe[:-1].transform({"words": words, "text": X["text"]})
        assert pipe[-1].score_by_modality(Xt, y)["words"] == 1
        full = [str(label) for label in y]
        p = pipe.predict_proba({"words": full, "text": X["text"]})
        partly = pipe.predict_proba({"words": words, "text": X["text"]})
        np.testing.assert_allclose(p[1:], partly[1:], atol=1e-6)
        one = pipe.predict_proba({"words": full[:1], "text": X["text"][:1]})
        np.testing.assert_allclose(one, p[:1], atol=1e-6)

    def test_a_list_with_none_reaches_a_scaler(self, complete):
        X, y = complete
        rows = [None if i % 5 == 0 else row for i, row in enumerate(X["text"])]
        allow = ModalityTransformer(StandardScaler(), missing="allow")
        out = allow.fit_transform({"text": rows})["text"]
        there = np.arange(N) % 5 != 0
        np.testing.assert_allclose(out[there], StandardScaler().fit_transform(X["text"][there]))
        assert np.isnan(out[~there]).all()
        # No None among the rows that a fold got.
        left = np.array(rows, dtype=object)[there]
        assert left.dtype == object
        np.testing.assert_allclose(allow.transform({"text": left})["text"], out[there])
        clf = make(missing="allow").fit({"text": rows, "video": X["video"]}, y)
        p = clf.predict_proba({"text": left, "video": X["video"][there]})
        q = clf.predict_proba({"text": X["text"][there], "video": X["video"][there]})
        assert np.array_equal(p, q)

    def test_a_transformer_that_meets_none_says_what_helps(self):
        words = ["a b", None, "c d"]
        with pytest.raises(ValueError, match=r"'words', Tfidf.*Sample 1 has no value.*'allow'"):
            ModalityTransformer(TfidfVectorizer()).fit({"words": words})

    def test_several_arrays_come_out_masked(self):
        words = ["a cat", None, "banana", None, "dog"]
        skip = ModalityTransformer({"words": Tokens()}, missing="allow").fit({"words": words})
        assert skip.transformers_["words"].seen_ == 3
        out = skip.transform({"words": words})["words"]
        assert set(out) == {"ids", "mask", "share"}
        for part in ("ids", "mask"):
            assert np.ma.getmaskarray(out[part]).all(axis=1).tolist() == [0, 1, 0, 1, 0]
        assert out["ids"].dtype == np.int32 and out["mask"].dtype == bool
        assert out["ids"][[0, 2, 4]].tolist() == [[5, 2], [6, 3], [3, 0]]
        assert np.isnan(out["share"]).all(axis=1).tolist() == [0, 1, 0, 1, 0]
        whole = skip.transform({"words": ["a", "b"]})["words"]
        assert not np.ma.isMaskedArray(whole["ids"])

    def test_a_modality_that_transform_does_not_get(self, partial):
        X, y = partial
        skip = ModalityTransformer(StandardScaler(), missing="allow").fit(X)
        short = {name: X[name] for name in ("audio", "text")}
        assert skip.transform(short).modalities == ("audio", "text")
        gone = {**X, "video": np.full_like(X["video"], np.nan)}
        assert set(skip.transform(gone).modalities) == {"audio", "text"}
        pipe = make_pipeline(skip, make()).fit(X, y)
        full = make_complete(6)[0]
        del full["video"]
        gone = {**full, "video": np.full((N, 4), np.nan)}
        assert np.array_equal(pipe.predict_proba(full), pipe.predict_proba(gone))
        with pytest.raises(ValueError, match="'smell'"):
            skip.transform({**X, "smell": X["text"]})
        with pytest.raises(ValueError, match="misses 'video'"):
            ModalityTransformer(StandardScaler()).fit(make_complete()[0]).transform(short)

    def test_missing_throughout_in_fit(self, partial):
        X, _ = partial
        X["text"][:] = np.nan
        with pytest.raises(ValueError, match="'text' is missing in every sample"):
            ModalityTransformer(StandardScaler(), missing="allow").fit(X)

    def test_partly_missing_is_data(self, partial):
        # Such a row is the transformer's affair, for example to impute.
        X, _ = partial
        there = np.flatnonzero(~np.isnan(X["text"][:, 0]))
        X["text"][there[0], 1] = np.nan
        filled = ModalityTransformer({"text": SimpleImputer()}, missing="allow").fit_transform(X)
        mean = np.nanmean(X["text"][:, 1])
        assert filled["text"][there[0], 1] == pytest.approx(mean)
        assert np.isnan(filled["text"]).all(axis=1).sum() == N - len(there)

    def test_in_a_pipeline(self, partial):
        X, y = partial
        for steps in (StandardScaler(), {"text": PCA(2), "video": PCA(2), "audio": "passthrough"}):
            pipe = make_pipeline(ModalityTransformer(steps, missing="allow"), make(max_epochs=20))
            pipe.fit(X, y)
            assert pipe.score(X, y) > 0.6
            scores = cross_validate(
                pipe.set_params(multimodalinforegclassifier__max_epochs=2), ModalityDict(X), y, cv=2
            )["test_score"]
            assert np.isfinite(scores).all()

    def test_imputing_is_the_naive_alternative(self, partial):
        X, y = partial
        imputed = ModalityTransformer(SimpleImputer()).fit_transform(X)
        lacks = np.isnan(X["text"][:, 0])
        mean = np.nanmean(X["text"], axis=0)
        np.testing.assert_allclose(imputed["text"][lacks], np.tile(mean, (lacks.sum(), 1)))
        pipe = make_pipeline(ModalityTransformer(SimpleImputer()), make(missing="error"))
        assert np.isfinite(pipe.fit(X, y).predict_proba(X)).all()


def test_dropout_of_a_modality_that_partial_fit_does_not_get(complete):
    X, y = complete
    clf = make(modality_dropout={"text": 0.5}, max_epochs=1).fit(X, y)
    clf.partial_fit({"audio": X["audio"], "video": X["video"]}, y)
    assert len(clf.history) == 2
