"""Samples that lack modalities: all forms that say so mean the same."""

import pickle

import numpy as np
import pandas as pd
import pytest
from missing import (
    FORMS,
    NAMES,
    N,
    bits,
    blank,
    draw_present,
    list_of_arrays,
    make,
    make_complete,
    masked_rows,
    nan_rows,
    object_rows,
)
from scipy import sparse

from inforeg_sk import ModalityDict


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
        reference = make(standardize=False).fit(blank(X, present), y)
        expected = reference.predict_proba(blank(X, present))
        rows = nan_rows(X["text"], present["text"])
        if one:  # of a missing sample one NaN is enough
            rows[~present["text"], 1:] = 0
        given = {**blank(X, present), "text": kind(rows)}
        clf = make(standardize=False).fit(given, y)
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
