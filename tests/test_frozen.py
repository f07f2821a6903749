"""The comparison of two revisions: how it goes back to older names, and what counts as equal."""

import importlib.util
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"


def load(name):
    spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules[name]
    return module


frozen, fits = load("frozen"), load("frozen_fits")


class Old:
    def __init__(self, alpha=1.0, strength="coefficient", **kwargs):
        pass


class Middle:
    def __init__(self, alpha=1.0, pull="coefficient"):
        pass


class New:
    def __init__(self, alpha=1.0, way="gradient"):
        pass


class Both:
    def __init__(self, way="gradient", strength=1.0):
        pass


class Derived(Old):
    pass


def parameter(of, new, old, **more):
    return {"kind": "parameter", "of": of, "new": new, "old": old, **more}


CHAIN = [
    parameter("Method", "way", "pull", values={"gradient": "coefficient", "decoupled": "drift"}),
    parameter("Method", "pull", "strength", values={"coefficient": "code", "true": "yes"}),
]


class TestParameters:
    @pytest.mark.parametrize(
        "owner, wanted",
        [
            (New, {"alpha": 2, "way": "gradient"}),
            (Middle, {"alpha": 2, "pull": "coefficient"}),
            (Old, {"alpha": 2, "strength": "code"}),
            (Derived, {"alpha": 2, "strength": "code"}),
        ],
    )
    def test_one_table_serves_all_revisions(self, owner, wanted):
        for table in (CHAIN, CHAIN[::-1]):
            given = {"alpha": 2, "way": "gradient"}
            assert fits.translated(given, owner, table, ("Method",)) == wanted
            assert given == {"alpha": 2, "way": "gradient"}

    def test_the_new_name_stays_where_both_are_known(self):
        table = [parameter("Both", "way", "strength")]
        assert fits.translated({"way": "gradient"}, Both, table) == {"way": "gradient"}

    def test_an_old_name_is_never_made_a_new_one(self):
        table = [parameter("New", "way", "strength", values={"gradient": "coefficient"})]
        given = {"strength": "coefficient"}
        assert fits.translated(given, New, table) == given

    def test_other_classes_and_kinds_do_not_count(self):
        others = [
            parameter("Other", "way", "strength"),
            {"kind": "record", "new": "way", "old": "strength"},
        ]
        assert fits.translated({"way": 1}, Old, others) == {"way": 1}

    def test_base_classes_count(self):
        table = [parameter("Old", "way", "strength")]
        assert fits.translated({"way": 1}, Derived, table) == {"strength": 1}

    def test_values(self):
        table = [CHAIN[1]]
        for value, wanted in [
            ("coefficient", "code"),
            (True, "yes"),
            (False, False),
            (None, None),
            ("drift", "drift"),
            ({"audio": 1.0}, {"audio": 1.0}),
            ([1], [1]),
        ]:
            got = fits.translated({"pull": value}, Old, table, ("Method",))
            assert got == {"strength": wanted}

    def test_a_name_that_came_back(self):
        table = [parameter("X", "way", "strength"), parameter("X", "strength", "way")]
        assert fits.translated({"strength": 1}, New, table, ("X",)) == {"way": 1}
        assert fits.translated({"strength": 1}, Middle, table, ("X",)) == {"strength": 1}

    def test_nested(self):
        parts = {
            "method": {"Method": Old},
            "encoders": {"Small": New, "Large": Old},
        }
        table = [*CHAIN, parameter("Large", "way", "strength"), parameter("Old", "parts", "alpha")]
        given = {
            "method__way": "decoupled",
            "method__alpha": 1,
            "encoders__way": 2,
            "encoders__text__way": 3,
            "encoders__text__other": 4,
            "optimizer__way": 5,
        }
        assert fits.translated(given, Old, table, (), parts) == {
            "method__strength": "drift",
            "method__alpha": 1,
            "encoders__strength": 2,
            "encoders__text__strength": 3,
            "encoders__text__other": 4,
            "optimizer__way": 5,
        }
        # The part itself may have had another name.
        assert fits.translated({"parts__way": 6}, Old, table, (), parts) == {"alpha__way": 6}

    def test_functions(self):
        def preset(first, alpha):
            pass

        table = [parameter("preset", "leader", "first")]
        got = fits.translated({"leader": "audio", "alpha": 1}, preset, table)
        assert got == {"first": "audio", "alpha": 1}

    def test_nothing_is_renamed_without_a_table(self):
        given = {"way": 1, "method__way": 2}
        assert fits.translated(given, Old, []) == given


class TestLibrary:
    def library(self, *entries):
        library = fits.Library(SimpleNamespace(Old=Old), [])
        library.entries = list(entries)
        return library

    def test_attributes(self):
        library = self.library({"kind": "attribute", "new": "InfoReg", "old": "Old"})
        assert library.find("InfoReg") is Old
        assert library.find("Old") is Old
        with pytest.raises(AttributeError, match="Other"):
            library.find("Other")

    def test_records(self):
        library = self.library({"kind": "record", "new": "pull", "old": "coefficient"})
        history = [{"coefficient_audio": 1.0, "pull_text": 2.0}, {"coefficient_audio": 3.0}]
        assert library.curve(history, "pull", "audio").tolist() == [1, 3]
        np.testing.assert_array_equal(library.curve(history, "pull", "text"), [2, np.nan])
        assert library.curve(history, "pull", "video") is None
        assert library.curve(history, "valid_loss") is None

    def test_flags_stay_flags(self):
        history = [{"window_audio": True}, {"window_audio": False}]
        assert self.library().curve(history, "window", "audio").dtype == bool


class TestTable:
    def test_the_table_is_valid(self):
        assert isinstance(fits.load_renames(), list)

    @pytest.mark.parametrize(
        "entry",
        [
            {"kind": "class", "new": "a", "old": "b"},
            {"kind": "parameter", "new": "a", "old": "b"},
            {"kind": "record", "new": "a"},
            {"kind": "record", "new": "a", "old": "a"},
        ],
    )
    def test_bad_entries(self, entry, tmp_path):
        path = tmp_path / "renames.json"
        path.write_text(json.dumps([entry]))
        with pytest.raises(ValueError, match=r"renames\.json has the entry"):
            fits.load_renames(path)

    def test_cases_have_names_of_their_own(self):
        names = [case.name for case in fits.CASES]
        assert len(names) == len(set(names)) >= 100
        assert not any("/" in name for name in names)


def only(old, new):
    """The differences of one array."""
    key = "case/float64/thing"
    return frozen.compare({key: np.asarray(old)}, {key: np.asarray(new)})


class TestComparison:
    @pytest.mark.parametrize(
        "value",
        [
            [1.0, np.nan, np.inf, -0.0],
            np.float32([[1.0], [np.nan]]),
            [True, False],
            ["anger", "joy"],
            0.5,
            [],
            [3, 4],
        ],
    )
    def test_equal(self, value):
        assert only(value, np.array(value)) == []

    def test_nan_of_other_bits_is_nan(self):
        other = np.array([0x7FF8000000000001], dtype=np.uint64).view(np.float64)
        assert only([np.nan], other) == []

    @pytest.mark.parametrize(
        "old, new, text",
        [
            ([1.0, 2.0], [1.0, np.nextafter(2.0, 3.0)], "1 of 2 values, at most 4.44e-16 absolute"),
            ([0.0], [-0.0], "1 of 1 values, at most 0 absolute"),
            ([np.nan, 1.0], [1.0, np.nan], "2 of 2 values, at most nan"),
            ([1.0], [1], "type float64 became int64"),
            ([True], [1], "type bool became int64"),
            ([1.0], np.float32([1.0]), "type float64 became float32"),
            ([1.0], [[1.0]], "shape (1,) became (1, 1)"),
            ([1.0], [1.0, 2.0], "shape (1,) became (2,)"),
            (["joy", "fear"], ["joy", "anger"], "1 of 2 values"),
            ("ValueError", "TypeError", "ValueError became TypeError"),
            ([True, False], [True, True], "1 of 2 values, at most 1 absolute and 1 relative"),
        ],
    )
    def test_different(self, old, new, text):
        [found] = only(old, new)
        assert found.key == "case/float64/thing"
        assert found.text.startswith(text)

    def test_text_may_be_stored_in_other_widths(self):
        assert only(["joy"], np.array(["joy"], dtype="U20")) == []

    def test_missing_keys(self):
        old, new = {"case/float64/a": np.ones(1)}, {"case/float64/b": np.ones(1)}
        assert frozen.compare(old, new) == [
            ("case/float64/a", "only on the old side"),
            ("case/float64/b", "only on the new side"),
        ]

    def test_first_epoch_of_a_curve(self):
        old, new = np.array([1.0, 2.0, 3.0, np.nan]), np.array([1.0, 2.5, 3.5, np.nan])
        [found] = frozen.compare(
            {"case/float32/window_ratio/audio": old}, {"case/float32/window_ratio/audio": new}
        )
        assert found.text == "2 of 4 values, at most 0.5 absolute and 0.2 relative, " + (
            "first in epoch 1"
        )
        [found] = only(old, new)
        assert "epoch" not in found.text


class TestReport:
    def test_equal(self, capsys):
        results = {"a/float64/score": np.ones(()), "b/float64/refused": np.array("ValueError")}
        assert frozen.report(results, dict(results))
        printed = capsys.readouterr().out
        assert "2 fits, of which 1 refused as they have to be and 0 failed\n2 arrays" in printed
        assert printed.endswith("equal bit for bit\n")

    def test_an_error_on_both_sides_is_no_success(self, capsys):
        results = {"a/float64/raised": np.array("ValueError")}
        assert not frozen.report(results, dict(results))
        assert "failed: a/float64 (old: ValueError, new: ValueError)" in capsys.readouterr().out

    def test_an_error_on_one_side_takes_one_line(self, capsys):
        old = {"a/float64/raised": np.array("KeyError")}
        new = {"a/float64/score": np.ones(()), "a/float64/prediction": np.ones(3)}
        assert not frozen.report(old, new)
        printed = capsys.readouterr().out
        assert "3 differ" in printed and "failed: a/float64 (old: KeyError)" in printed
        assert "only on" not in printed

    def test_a_difference(self, capsys):
        old = {f"a/float64/{i}": np.zeros(2) for i in range(60)}
        assert not frozen.report(old, {key: value + 1 for key, value in old.items()})
        printed = capsys.readouterr().out
        assert "1 fits" in printed and "60 differ" in printed and "and 10 more" in printed
        assert "equal" not in printed

    def test_nothing_was_run(self, capsys):
        assert not frozen.report({}, {})
        assert "no case was run" in capsys.readouterr().out
