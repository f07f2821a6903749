"""Samples that lack modalities: complete data are as before, and what is refused."""

import numpy as np
import pandas as pd
import pytest
from missing import N, bits, make, make_complete
from sklearn.preprocessing import StandardScaler

from inforeg_sk import ModalityTransformer


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
        words = "'missing' parameter .* must be one of '{}', 'allow'\\. Got {!r}"
        with pytest.raises(ValueError, match=words.format("error", value)):
            make(missing=value).fit(*complete)
        with pytest.raises(ValueError, match=words.format("pass", value)):
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
