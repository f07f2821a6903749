"""A modality that is made of several arrays, such as token ids and their mask."""

import pickle

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from torch import nn

from inforeg_sk import ModalityDict, MultimodalInfoRegClassifier, MultimodalRegressor

N, STEPS, WORDS = 60, 5, 9


class BagOfTokens(nn.Module):
    """Mean embedding of the tokens that are no padding, beside the scores."""

    seen = []

    def __init__(self, input_shape, width=4):
        super().__init__()
        assert input_shape == {"ids": (STEPS,), "real": (STEPS,), "share": (2,)}
        self.embedding = nn.Embedding(WORDS, width)
        self.out = nn.Linear(width + 2, width)

    def forward(self, x):
        self.seen.append({part: (value.dtype, value.device) for part, value in x.items()})
        real = x["real"].unsqueeze(2)
        mean = (self.embedding(x["ids"]) * real).sum(dim=1) / real.sum(dim=1).clamp(min=1)
        return torch.relu(self.out(torch.cat([mean, x["share"]], dim=1)))


class Flat(nn.Module):
    """Whatever there is, as one vector."""

    def __init__(self, input_shape):
        super().__init__()
        self.parts = sorted(input_shape)
        self.out = nn.LazyLinear(3)
        self.out(torch.zeros(2, sum(int(np.prod(s)) for s in input_shape.values())))

    def forward(self, x):
        return self.out(torch.cat([x[part].flatten(1).float() for part in self.parts], dim=1))


def make_data(seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, N)
    ids = rng.integers(0, WORDS - 1, (N, STEPS)).astype(np.int32)
    ids[np.arange(N), rng.integers(0, 2, N)] = np.where(y, WORDS - 1, 0)
    real = np.arange(STEPS) < rng.integers(2, STEPS + 1, (N, 1))
    share = rng.normal(size=(N, 2)).astype(np.float32)
    return {
        "text": {"ids": ids, "real": real, "share": share},
        "audio": rng.normal(size=(N, 3)) + 0.3 * y[:, None],
    }, y


def make(cls=MultimodalInfoRegClassifier, encoder=BagOfTokens, **kwargs):
    settings = {"max_epochs": 3, "random_state": 0, "encoders": {"text": encoder}}
    return cls(**settings | kwargs)


@pytest.fixture
def data():
    return make_data()


class TestContainer:
    def test_nesting_and_selection(self, data):
        X, _ = data
        container = ModalityDict(X)
        assert isinstance(container["text"], ModalityDict)
        assert container.shape == (N,) and container.modalities == ("text", "audio")
        assert container["text"].modalities == ("ids", "real", "share")
        assert container["text"]["ids"] is X["text"]["ids"]  # nothing is copied
        rows = np.array([5, 2, 9])
        mask = np.zeros(N, bool)
        mask[rows] = True
        for key, expected in ((rows, rows), (mask, np.sort(rows)), (slice(3, 6), range(3, 6))):
            chosen = container[key]
            assert len(chosen) == len(chosen["text"]) == 3
            for part, values in X["text"].items():
                assert np.array_equal(chosen["text"][part], values[list(expected)])
                assert chosen["text"][part].dtype == values.dtype
        assert len(container[4]["text"]["ids"]) == 1

    def test_repr(self, data):
        text = "{ids (5,), real (5,), share (2,)}"
        assert repr(ModalityDict(data[0])) == f"ModalityDict(60 samples: text {text}, audio (3,))"

    def test_equality(self, data):
        X, _ = data
        first = ModalityDict(X)
        assert first == ModalityDict(pickle.loads(pickle.dumps(X)))
        other = pickle.loads(pickle.dumps(X))
        other["text"]["ids"][3, 1] += 1
        assert first != ModalityDict(other)
        del other["text"]["share"]
        assert first != ModalityDict(other)
        assert first != ModalityDict({**X, "text": X["text"]["ids"]})
        assert ModalityDict({**X, "text": X["text"]["ids"]}) != first

    def test_pickling(self, data):
        first = ModalityDict(data[0])
        again = pickle.loads(pickle.dumps(first))
        assert again == first and isinstance(again["text"], ModalityDict)

    def test_train_test_split(self, data):
        X, y = data
        train, test, y_train, _ = train_test_split(ModalityDict(X), y, test_size=15, random_state=0)
        assert len(train) == 45 and len(test["text"]["real"]) == 15
        # Parts, modalities and labels stay together.
        rows = [int(np.flatnonzero((X["audio"] == a).all(axis=1))[0]) for a in train["audio"]]
        assert np.array_equal(train["text"]["ids"], X["text"]["ids"][rows])
        assert np.array_equal(y_train, y[rows])


class TestErrors:
    def test_unequal_numbers_of_rows(self, data):
        X, y = data
        X["text"]["real"] = X["text"]["real"][:-1]
        for action in (ModalityDict, lambda X: make().fit(X, y)):
            with pytest.raises(ValueError, match=r"'text'.*'ids' has 60, 'real' has 59"):
                action(X)
        short = {part: values[:50] for part, values in make_data()[0]["text"].items()}
        with pytest.raises(ValueError, match="'text' has 50, 'audio' has 60"):
            ModalityDict({"text": short, "audio": X["audio"]})

    def test_empty_mapping(self, data):
        X, y = data
        with pytest.raises(ValueError, match=r"'text'.*empty"):
            ModalityDict({**X, "text": {}})

    def test_names_of_parts(self, data):
        X, _ = data
        with pytest.raises(TypeError, match=r"'text'.*strings.*3"):
            ModalityDict({**X, "text": {3: X["audio"]}})

    def test_nested_twice(self, data):
        X, y = data
        X["text"]["more"] = {"ids": X["text"]["ids"]}
        with pytest.raises(TypeError, match=r"'text'.*'more'.*mapping again"):
            make(encoder=Flat).fit(X, y)

    @pytest.mark.parametrize("encoders", ["auto", "mlp", {"text": "gru"}, {"audio": "mlp"}])
    def test_encoders_that_take_one_array(self, data, encoders):
        with pytest.raises((TypeError, ValueError), match=r"'text'") as caught:
            make(encoders=encoders).fit(*data)
        message = str(caught.value)
        assert "several arrays" in message or "mapping" in message, message

    def test_float_part_with_nan(self, data):
        X, y = data
        X["text"]["share"][7, 1] = np.nan
        for missing in ("error", "allow"):
            with pytest.raises(ValueError, match=r"text\[share\]'.*NaN.*row 7"):
                make(missing=missing).fit(X, y)
        X["text"]["share"][7] = np.nan
        with pytest.raises(ValueError, match=r"text\[share\]'.*NaN.*row 7.*missing='allow'"):
            make().fit(X, y)

    @pytest.mark.parametrize(
        "change",
        [
            lambda t: {k: v for k, v in t.items() if k != "share"},
            lambda t: {**t, "more": t["share"]},
            lambda t: {**t, "ids": t["ids"][:, :4]},
            lambda t: {**t, "ids": t["ids"].astype(float)},
            lambda t: {**t, "real": t["real"].astype(int)},
            lambda t: {**t, "share": t["share"] > 0},
            lambda t: t["share"],
        ],
        ids=["part lost", "part more", "shape", "floats", "int mask", "bool floats", "array"],
    )
    def test_other_parts_than_at_fit(self, data, change):
        X, y = data
        clf = make().fit(X, y)
        before = clf.predict_proba(X)
        other = {**X, "text": change(X["text"])}
        for action in (clf.predict, lambda X: clf.partial_fit(X, y), clf.transform_by_modality):
            with pytest.raises(ValueError, match=r"'text' has samples of shape .* fitted with"):
                action(other)
        assert np.array_equal(before, clf.predict_proba(X))

    def test_an_array_became_several(self, data):
        X, y = data
        clf = make().fit(X, y)
        with pytest.raises(ValueError, match=r"'audio' has samples of shape"):
            clf.predict({**X, "audio": {"a": X["audio"]}})

    @pytest.mark.parametrize("missing", ["error", "allow"])
    def test_token_lists_of_unequal_lengths(self, data, missing):
        X, y = data
        lengths = np.arange(N) % 3 + 2
        ragged = [np.arange(length) for length in lengths]
        text = {"input_ids": ragged, "attention_mask": [np.ones(n, int) for n in lengths]}
        with pytest.raises(ValueError, match=r"'text\[\w+\]'.*unequal lengths.*padding"):
            make(encoder=WordIds, missing=missing).fit({**X, "text": text}, y)
        lists = {part: [row.tolist() for row in rows] for part, rows in text.items()}
        with pytest.raises(ValueError, match=r"'text\[\w+\]'.*unequal lengths"):
            make(encoder=WordIds, missing=missing).fit({**X, "text": lists}, y)

    @pytest.mark.parametrize("rows_as", [np.array, list])
    def test_token_lists_of_unequal_lengths_with_none(self, data, rows_as):
        X, y = data
        ids = [None if i == 3 else rows_as(list(range(i % 3 + 2))) for i in range(N)]
        text = {"input_ids": ids, "attention_mask": np.ones((N, STEPS), int)}
        with pytest.raises(ValueError, match=r"'text\[input_ids\]'.*unequal lengths"):
            make(encoder=WordIds, missing="allow").fit({**X, "text": text}, y)

    @pytest.mark.parametrize("bad", [WORDS, -1, 10_000])
    def test_an_index_beyond_the_table_names_the_modality(self, data, bad):
        X, y = data
        clf = make(device="cpu").fit(X, y)  # a GPU would be unusable afterwards
        before = clf.predict_proba(X)
        other = {**X, "text": {**X["text"], "ids": X["text"]["ids"].copy()}}
        other["text"]["ids"][N - 1, 0] = bad
        for action in (clf.predict, clf.transform_by_modality, clf.predict_proba_by_modality):
            with pytest.raises(IndexError, match=r"modality 'text'.*ids beyond its table"):
                action(other)
        for missing in ("error", "allow"):
            with pytest.raises(IndexError, match=r"modality 'text'.*ids beyond its table"):
                make(missing=missing, device="cpu").fit(other, y)
        gone = np.ma.array(other["audio"], mask=False)
        gone[::2] = np.ma.masked
        with pytest.raises(IndexError, match=r"modality 'text'"):
            make(missing="allow", device="cpu").fit({**other, "audio": gone}, y)
        assert np.array_equal(clf.predict_proba(X), before)

    def test_text_in_a_part(self, data):
        X, y = data
        X["text"]["ids"] = np.array([["word"] * STEPS] * N)
        with pytest.raises((TypeError, ValueError), match=r"text\[ids\]'.*not numeric"):
            make().fit(X, y)


class TestEstimator:
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_types_reach_the_encoder(self, data, dtype):
        X, y = data
        BagOfTokens.seen.clear()
        clf = make(dtype=dtype, device="cpu").fit(X, y)
        clf.predict(X)
        kinds = {part: {seen[part][0] for seen in BagOfTokens.seen} for part in X["text"]}
        expected = {"ids": torch.int64, "real": torch.bool, "share": getattr(torch, dtype)}
        assert kinds == {part: {kind} for part, kind in expected.items()}
        assert {device.type for seen in BagOfTokens.seen for _, device in seen.values()} == {"cpu"}

    @pytest.mark.parametrize("kind", [np.int8, np.uint8, np.uint16, np.int64])
    def test_any_integers(self, data, kind):
        X, y = data
        reference = make().fit(X, y).predict_proba(X)
        X["text"]["ids"] = X["text"]["ids"].astype(kind)
        assert np.array_equal(make().fit(X, y).predict_proba(X), reference)

    def test_order_of_parts_and_containers(self, data):
        X, y = data
        reference = make().fit(X, y).predict_proba(X)
        backwards = {k: dict(reversed(v.items())) if k == "text" else v for k, v in X.items()}
        assert np.array_equal(make().fit(backwards, y).predict_proba(backwards), reference)
        assert np.array_equal(make().fit(ModalityDict(X), y).predict_proba(X), reference)
        tensors = {
            k: {p: torch.as_tensor(a) for p, a in v.items()} for k, v in X.items() if k == "text"
        }
        assert np.array_equal(make().fit({**X, **tensors}, y).predict_proba(X), reference)

    def test_it_learns_and_is_regulated(self, data):
        X, y = data
        clf = make(max_epochs=60, lr=0.02).fit(X, y)
        assert clf.score(X, y) > 0.9
        assert clf.score_by_modality(X, y)["text"] > 0.8
        assert any((c > 0).any() for c in clf.curves_["coefficient"].values())
        assert clf.transform_by_modality(X)["text"].shape == (N, 4)

    def test_pickling_and_cloning(self, data):
        X, y = data
        clf = make().fit(X, y)
        again = pickle.loads(pickle.dumps(clf))
        assert np.array_equal(again.predict_proba(X), clf.predict_proba(X))
        assert np.array_equal(clone(clf).fit(X, y).predict_proba(X), clf.predict_proba(X))

    def test_going_on(self, data):
        X, y = data
        clf = make().fit(X, y).partial_fit(X, y)
        assert len(clf.history) == 4

    def test_settings_reach_the_encoder(self, data):
        X, y = data
        clf = make(encoders__text__width=6).fit(X, y)
        assert clf.transform_by_modality(X)["text"].shape == (N, 6)

    def test_cross_validation(self, data):
        X, y = data
        scores = cross_val_score(make(max_epochs=40, lr=0.02), ModalityDict(X), y, cv=3)
        assert scores.mean() > 0.6

    @pytest.mark.slow
    def test_search_in_two_processes(self, data):
        X, y = data
        grid = {"alpha": [0.0, 2.0]}
        parallel = GridSearchCV(make(encoder=Flat), grid, cv=2, n_jobs=2).fit(ModalityDict(X), y)
        serial = GridSearchCV(make(encoder=Flat), grid, cv=2).fit(ModalityDict(X), y)
        key = "mean_test_score"
        assert np.isfinite(serial.cv_results_[key]).all()
        np.testing.assert_allclose(parallel.cv_results_[key], serial.cv_results_[key])

    def test_a_regressor(self, data):
        X, y = data
        reg = make(MultimodalRegressor, max_epochs=60, lr=0.02).fit(X, 10.0 + y)
        assert reg.score(X, 10.0 + y) > 0.5

    @pytest.mark.parametrize("missing", [False, True])
    def test_a_sparse_part(self, data, missing):
        X, y = data
        share = X["text"]["share"] * (X["text"]["share"] > 0)
        if missing:
            share[::4] = np.nan
        dense = {**X, "text": {**X["text"], "share": share}}
        settings = {"missing": "allow" if missing else "error"}
        reference = make(**settings).fit(dense, y)
        for kind in (sparse.csr_array, sparse.csc_matrix):
            given = {**X, "text": {**X["text"], "share": kind(share)}}
            BagOfTokens.seen.clear()
            clf = make(**settings).fit(given, y)
            assert {seen["share"][0] for seen in BagOfTokens.seen} == {torch.float32}
            assert np.array_equal(clf.predict_proba(given), reference.predict_proba(dense))
            rows = np.arange(2, N, 3)
            chosen = ModalityDict(given)[rows]
            assert sparse.issparse(chosen["text"]["share"])
            np.testing.assert_allclose(
                clf.predict_proba(chosen), reference.predict_proba(dense)[rows], rtol=1e-5
            )

    def test_a_part_of_one_number_a_sample(self, data):
        X, y = data
        X["text"] = {"length": X["text"]["real"].sum(axis=1), "ids": X["text"]["ids"]}
        clf = make(encoder=ScalarAndIds).fit(X, y)
        assert clf.predict(X).shape == (N,)


class WordIds(nn.Module):
    """Mean embedding of the real tokens; keeps the types that it got."""

    seen = set()

    def __init__(self, input_shape):
        super().__init__()
        assert input_shape == {"attention_mask": (STEPS,), "input_ids": (STEPS,)}
        self.embedding = nn.Embedding(WORDS, 4)

    def forward(self, x):
        self.seen.update((part, value.dtype) for part, value in x.items())
        mask = x["attention_mask"].unsqueeze(2)
        return (self.embedding(x["input_ids"]) * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)


class ScalarAndIds(nn.Module):
    """Takes a part without axes of its own: the shape of a sample is ()."""

    def __init__(self, input_shape):
        super().__init__()
        assert input_shape == {"ids": (STEPS,), "length": ()}
        self.out = nn.Linear(STEPS + 1, 2)

    def forward(self, x):
        return self.out(torch.cat([x["ids"].float(), x["length"][:, None].float()], dim=1))


class TestMissing:
    def masked(self, X, there):
        text = {part: np.ma.array(values, mask=False) for part, values in X["text"].items()}
        for part in text.values():
            part[~there] = np.ma.masked
        return {**X, "text": text}

    def test_one_part_says_it_for_all(self, data):
        X, y = data
        there = np.random.default_rng(0).random(N) < 0.6
        reference = make(missing="allow").fit(self.masked(X, there), y)
        expected = reference.predict_proba(self.masked(X, there))
        share = X["text"]["share"].copy()
        share[~there] = np.nan
        garbage = X["text"]["ids"].copy()
        garbage[~there] = 10_000  # an index that no embedding has
        given = {**X, "text": {**X["text"], "ids": garbage, "share": share}}
        clf = make(missing="allow").fit(given, y)
        assert np.array_equal(clf.predict_proba(given), expected)
        # Selection keeps the masks.
        rows = np.arange(0, N, 4)
        chosen = ModalityDict(self.masked(X, there))[rows]
        np.testing.assert_allclose(clf.predict_proba(chosen), expected[rows], rtol=1e-5)

    @pytest.mark.parametrize("both", [True, False])
    @pytest.mark.parametrize("rows_as", [np.array, list])
    def test_lists_with_none(self, data, both, rows_as):
        X, y = data
        there = np.random.default_rng(2).random(N) < 0.7
        whole = {"input_ids": X["text"]["ids"], "attention_mask": X["text"]["real"].astype(int)}
        masked = {**X, "text": self.masked({"text": whole}, there)["text"]}
        # One part may say it for both.
        lists = {
            part: [
                rows_as(row) if here or (part == "attention_mask" and not both) else None
                for row, here in zip(values, there, strict=True)
            ]
            for part, values in whole.items()
        }
        given = {**X, "text": lists}
        reference = make(encoder=WordIds, missing="allow").fit(masked, y)
        expected = reference.predict_proba(masked)
        WordIds.seen.clear()
        clf = make(encoder=WordIds, missing="allow").fit(given, y)
        assert np.array_equal(clf.predict_proba(given), expected)
        assert WordIds.seen == {(part, torch.int64) for part in whole}
        assert clf.score_by_modality(given, y) == reference.score_by_modality(masked, y)
        rows = np.arange(1, N, 3)
        chosen = clf.predict_proba(ModalityDict(given)[rows])
        np.testing.assert_allclose(chosen, expected[rows], rtol=1e-5)
        with pytest.raises(ValueError, match=r"'text\[.*row \d+.*missing='allow'"):
            make(encoder=WordIds).fit(given, y)

    def test_masked_where_missing_is_an_error(self, data):
        X, y = data
        there = np.arange(N) != 8
        with pytest.raises(ValueError, match=r"'text\[.*row 8.*missing='allow'"):
            make().fit(self.masked(X, there), y)

    def test_modality_dropout(self, data):
        X, y = data
        clf = make(modality_dropout=0.4, max_epochs=5).fit(X, y)
        assert np.isfinite(clf.predict_proba(X)).all()
        with pytest.raises(ValueError, match="misses 'text'"):
            clf.predict({"audio": X["audio"]})
        clf.set_params(missing="allow")
        assert clf.predict({"audio": X["audio"]}).shape == (N,)
        assert clf.predict({"text": X["text"]}).shape == (N,)
