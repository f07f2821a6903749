"""A transformer for each modality where samples lack some of them."""

import numpy as np
import pandas as pd
import pytest
from missing import NAMES, N, blank, draw_present, frame, make, make_complete, masked_rows
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.model_selection import cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from inforeg_sk import ModalityDict, ModalityTransformer


@pytest.fixture
def complete():
    return make_complete()


@pytest.fixture
def partial():
    X, y = make_complete()
    return blank(X, draw_present()), y


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
