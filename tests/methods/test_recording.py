"""What methods record: by name and label, in any order, in some batches only, scalars too."""

import numpy as np
import pytest
import torch

from inforeg_sk import BalancingMethod, InfoReg, MultimodalClassifier, MultimodalInfoRegClassifier
from inforeg_sk.functional import numbers
from inforeg_sk.methods import Curve

NAMES = ("audio", "text", "video")
# Three batches an epoch, in the order of the samples.
IN_ORDER = {"batch_size": 30, "iterator_train__shuffle": False, "max_epochs": 2, "random_state": 0}


def fit(record, trimodal, base=BalancingMethod, **settings):
    """Fit with a method that calls ``record(batch, i)`` in the i-th batch of each epoch."""

    class Recording(base):
        def on_epoch_start(self, epoch):
            super().on_epoch_start(epoch)
            self.i = 0

        def on_gradients(self, batch):
            super().on_gradients(batch)
            record(batch, self.i)
            self.i += 1

    X, y = trimodal
    return MultimodalClassifier(Recording(), **{**IN_ORDER, **settings}).fit(X, y)


def test_m_plus_1_numbers_with_their_labels(trimodal):
    def record(batch, i):
        batch.record("blend", torch.tensor([10.0 + i, 1, 2, 3]), labels=("joint", *NAMES))

    clf = fit(record, trimodal)
    blend = clf.curves_["blend"]
    assert list(blend) == [
        "text",
        "audio",
        "video",
        "joint",
    ]  # modalities first, in the order given
    assert {label: values.tolist() for label, values in blend.items()} == {
        "joint": [11, 11],
        "audio": [1, 1],
        "text": [2, 2],
        "video": [3, 3],
    }
    assert clf.history[0, "blend_joint"] == 11
    plain = fit(lambda batch, i: None, trimodal).curves_
    for name in NAMES:
        assert np.array_equal(clf.curves_["fisher_trace"][name], plain["fisher_trace"][name])


def test_m_plus_1_numbers_without_labels_are_refused_by_name(trimodal):
    match = (
        r"record\('blend'\): values of shape \(4,\) do not match the 3 modalities 'audio', 'text'"
    )
    with pytest.raises(ValueError, match=match):
        fit(lambda batch, i: batch.record("blend", torch.zeros(4)), trimodal)


def test_values_land_by_label_in_any_order(trimodal):
    def record(batch, i):
        order = NAMES if i % 2 else NAMES[::-1]
        batch.record("a", {name: torch.tensor(float(NAMES.index(name))) for name in order})
        batch.record("b", [float(NAMES.index(name)) for name in order], labels=order)

    clf = fit(record, trimodal)
    for quantity in ("a", "b"):
        found = {name: clf.curves_[quantity][name].tolist() for name in NAMES}
        assert found == {"audio": [0, 0], "text": [1, 1], "video": [2, 2]}


def test_some_batches_only_and_some_labels_only(trimodal):
    def record(batch, i):
        if i == 1:
            batch.record("rare", torch.tensor([1.0, 2, 3]))
        if i:
            batch.record("one", {"text": 5.0 * i})
        if i == 0 and batch.epoch.index == 1:
            batch.record("late", 7)

    curves = fit(record, trimodal).curves_
    assert [curves["rare"][name].tolist() for name in NAMES] == [[1, 1], [2, 2], [3, 3]]
    assert {k: v.tolist() for k, v in curves["one"].items()} == {"text": [7.5, 7.5]}
    assert np.isnan(curves["late"][0]) and curves["late"][1] == 7


def test_scalars(trimodal):
    def record(batch, i):
        batch.record("number", i)
        batch.record("tensor", batch.joint_loss)
        batch.record("truth", torch.tensor(i < 2))

    clf = fit(record, trimodal)
    assert clf.curves_["number"].tolist() == [1, 1]
    assert clf.curves_["truth"] == pytest.approx([2 / 3, 2 / 3])
    # Batches are of one size, so the mean of their losses is the joint loss of the epoch.
    assert clf.curves_["tensor"] == pytest.approx(clf.history[:, "train_loss"], rel=1e-6)


def test_a_subclass_of_inforeg_that_records_more_has_the_traces_of_inforeg(trimodal):
    X, y = trimodal
    settings = {**IN_ORDER, "max_epochs": 6}

    class More(InfoReg):
        def on_gradients(self, batch):
            batch.record("before", torch.zeros(4), labels=("joint", *NAMES))
            super().on_gradients(batch)
            batch.record("after", {"video": 1.0, "audio": 2.0})
            batch.record("scalar", 3.0)

    fits = [
        MultimodalInfoRegClassifier(method=method, window_smoothing=1, **settings).fit(X, y)
        for method in (InfoReg, More)
    ]
    plain, more = (clf.curves_ for clf in fits)
    assert any(window.any() for window in plain["window"].values())
    assert set(more) == {*plain, "before", "after", "scalar"}
    for quantity, curve in plain.items():
        for name, values in curve.items():
            assert np.array_equal(values, more[quantity][name], equal_nan=True), quantity
    for first, second in zip(*(clf.module_.parameters() for clf in fits), strict=True):
        assert torch.equal(first, second)


@pytest.mark.parametrize(
    "quantity, values, labels, match",
    [
        ("fisher_trace", torch.zeros(3), None, "'fisher_trace'.*recorded twice.*'audio'"),
        ("train_loss", 1.0, None, "'train_loss' in the history.*belongs to the training loop"),
        ("window", {"ratio_text": 1.0}, None, "'window_ratio_text'.*belongs to 'window_ratio'"),
        ("x", torch.zeros(3, 1), None, r"'x'\): values of shape \(3, 1\)"),
        (
            "x",
            torch.zeros(2),
            ("joint", "audio", "text"),
            r"shape \(2,\) do not match the 3 labels",
        ),
        ("x", {"audio": torch.zeros(2)}, None, "value of 'audio' must be a single number"),
        ("x", {}, None, "labels must be strings"),
        ("", 1.0, None, "non-empty string"),
    ],
)
def test_what_is_wrong_is_refused_by_name(trimodal, quantity, values, labels, match):
    with pytest.raises((TypeError, ValueError), match=match):
        fit(lambda batch, i: batch.record(quantity, values, labels), trimodal, base=InfoReg)


def test_an_epochs_own_records_and_how_batches_are_reduced(trimodal):
    class Summed(BalancingMethod):
        curves = {"total": Curve("A sum", reduction="sum"), "on": Curve("A flag", flag=True)}

        def on_epoch_start(self, epoch):
            epoch.record("total", {"joint": -1.0})  # replaced by what batches record
            epoch.record("on", torch.tensor([True, False, epoch.index == 1]))

        def on_gradients(self, batch):
            batch.record("total", {"joint": 2.0})

        def on_epoch_end(self, epoch):
            epoch.record("past", len(epoch.past("fisher_trace")))

    X, y = trimodal
    curves = MultimodalClassifier(Summed(), **IN_ORDER).fit(X, y).curves_
    assert curves["total"]["joint"].tolist() == [6, 6]
    assert curves["past"].tolist() == [0, 1]
    assert {n: v.tolist() for n, v in curves["on"].items()} == {
        "audio": [True, True],
        "text": [False, False],
        "video": [False, True],
    }
    assert curves["on"]["audio"].dtype == bool


def test_the_printed_log_leaves_out_labelled_records(trimodal, capsys):
    def record(batch, i):
        batch.record("blend", torch.zeros(3))
        batch.record("temperature", 1.5)

    fit(record, trimodal, verbose=1)
    header = capsys.readouterr().out.splitlines()[0]
    assert "temperature" in header and "blend" not in header and "fisher_trace" not in header


def test_all_records_of_an_epoch_move_in_one_list(trimodal, monkeypatch):
    lists, tolist = [], torch.Tensor.tolist

    def spy(tensor):
        lists.append(tensor.numel())
        return tolist(tensor)

    def record(batch, i):
        if i == 1:
            batch.record("rare", torch.zeros(5), labels=list("vwxyz"))
        batch.record("scalar", i)

    monkeypatch.setattr(numbers, "on_host", lambda device: False)  # as on a GPU
    monkeypatch.setattr(torch.Tensor, "tolist", spy)
    fit(record, trimodal)
    # Two losses, traces, scores and the scalar in three batches, and the rare one.
    assert lists.count(3 * (2 + 3 + 3 + 1) + 5) == 2
