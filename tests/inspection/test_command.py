"""The command hands on what it was given, writes the report, and says what is wrong."""

import json
import re
import runpy
import sys

import numpy as np
import pytest

from inforeg_sk import MultimodalClassifier, MultimodalRegressor
from inforeg_sk.inspection._compared import RIVALS
from inforeg_sk.inspection.command import main
from inforeg_sk.methods import METHODS


class Report:
    def __repr__(self):
        return "R² of all"

    def to_html(self, title):
        return f"<!DOCTYPE html>\n<title>{title}</title><p>R²</p>"

    def to_json(self):
        return '{"a": 1}'


class Asked:
    """In the place of `diagnose`."""

    times = 0

    def __call__(self, estimator, X, y, **settings):
        print("this may take a while")
        self.times += 1
        self.estimator, self.X, self.y, self.settings = estimator, X, y, settings
        return Report()


@pytest.fixture
def path(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {"audio": rng.normal(size=(40, 3)), "text": rng.normal(size=(40, 2))}
    np.savez(tmp_path / "data.npz", **arrays, y=np.arange(40) % 2, who=np.arange(40) // 4)
    return tmp_path / "data.npz"


CHOSEN = ["--modality", "audio", "--modality", "text"]


def test_what_is_handed_on(path):
    asked = Asked()
    options = ["--groups", "who", "--cv", "4", "--seeds", "2", "--scoring", "roc_auc"]
    options += ["--max-epochs", "7", "--methods", "joint*, mlp", "--n-jobs", "2"]
    assert main(["diagnose", str(path), *options], run=asked) == 0
    assert type(asked.estimator) is MultimodalClassifier and asked.estimator.max_epochs == 7
    assert list(asked.X) == ["audio", "text"] and asked.y.tolist() == [0, 1] * 20
    groups = asked.settings.pop("groups")
    assert groups.tolist() == (np.arange(40) // 4).tolist()
    assert asked.settings == {
        "cv": 4, "seeds": 2, "scoring": "roc_auc", "methods": ["joint*", "mlp"], "n_jobs": 2,
        "verbose": 1,
    }  # fmt: skip


def test_defaults_are_those_of_diagnose(path):
    asked = Asked()
    assert main(["diagnose", str(path), *CHOSEN, "--quiet"], run=asked) == 0
    assert asked.settings == {
        "cv": 5, "seeds": 3, "scoring": None, "groups": None, "n_jobs": None, "verbose": 0
    }  # fmt: skip
    assert repr(asked.estimator) == repr(MultimodalClassifier())


def test_task_and_missing_modalities(path, tmp_path, capsys):
    asked = Asked()
    main(["diagnose", str(path), *CHOSEN, "--task", "regression"], run=asked)
    assert type(asked.estimator) is MultimodalRegressor
    audio = np.ones((4, 2))
    audio[1] = np.nan
    np.savez(tmp_path / "some.npz", audio=audio, text=np.ones((4, 1)), y=[0.5, 1, 2, 3])
    assert main(["diagnose", str(tmp_path / "some.npz")], run=asked) == 0
    assert type(asked.estimator) is MultimodalRegressor and asked.estimator.missing == "allow"
    told = capsys.readouterr().err
    assert "1 samples lack audio: missing='allow'" in told and "target y: regression" in told


@pytest.mark.parametrize(
    "options, expected",
    [([], "R² of all\n"), (["--format", "json"], '{"a": 1}\n'), (["--format", "html"], "R²</p>")],
)
def test_only_the_report_is_printed(path, capsys, options, expected):
    assert main(["diagnose", str(path), *CHOSEN, *options], run=Asked()) == 0
    printed = capsys.readouterr()
    assert expected == printed.out or (expected in printed.out and "<!DOCTYPE" in printed.out)
    assert "this may take a while" in printed.err and "while" not in printed.out
    assert "arrays that are not used: 'who'" in printed.err


@pytest.mark.parametrize("name", ["report.txt", "report.HTML", "report.json"])
def test_the_name_of_the_file_says_its_format(path, tmp_path, capsys, name):
    output = tmp_path / name
    assert main(["diagnose", str(path), *CHOSEN, "--output", str(output)], run=Asked()) == 0
    text = output.read_text(encoding="utf-8")
    if name.endswith("txt"):
        assert text == "R² of all\n"
    elif name.endswith("json"):
        assert json.loads(text) == {"a": 1}
    else:
        assert text.startswith("<!DOCTYPE html>")
        assert "<p>R²</p>" in text and "data.npz</title>" in text
    assert capsys.readouterr().out == "R² of all\n"


def test_one_run_writes_several_files_and_prints_text(path, tmp_path, capsys):
    page, numbers = tmp_path / "a.html", tmp_path / "a.json"
    options = [*CHOSEN, "--output", str(page), "--output", str(numbers)]
    asked = Asked()
    assert main(["diagnose", str(path), *options], run=asked) == 0 and asked.times == 1
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert json.loads(numbers.read_text(encoding="utf-8")) == {"a": 1}
    assert capsys.readouterr().out == "R² of all\n"
    for wrong, match in (
        (["--output", str(page)], "a.html' is given twice"),
        (["--format", "json"], "--format is for one --output"),
    ):
        assert main(["diagnose", str(path), *options, *wrong], run=asked) == 2
        assert match in capsys.readouterr().err and asked.times == 1


def test_a_file_that_cannot_be_written_does_not_lose_the_report(path, tmp_path, capsys):
    def makes_a_folder_of_it(*args, **settings):
        (tmp_path / "a.html").mkdir()
        return Report()

    options = [*CHOSEN, "--output", str(tmp_path / "a.html")]
    assert main(["diagnose", str(path), *options], run=makes_a_folder_of_it) == 2
    printed = capsys.readouterr()
    assert printed.out == "R² of all\n" and "a.html" in printed.err


@pytest.mark.parametrize(
    "options, name, expected",
    [
        (["--rivals", "-evidence pool"], "rivals", set(RIVALS) - {"evidence pool"}),
        (["--rivals=-majority, -late fusion"], "rivals", {*RIVALS} - {"majority", "late fusion"}),
        (["--methods", "-mlp"], "methods", {"joint*", "inforeg"}),
        (["--methods=-inforeg,-joint*,-mlp"], "methods", set()),
    ],
)
def test_names_behind_a_minus_are_left_out_of_the_default(path, options, name, expected):
    asked = Asked()
    assert main(["diagnose", str(path), *CHOSEN, *options], run=asked) == 0
    assert set(asked.settings[name]) == expected


def test_what_cannot_be_left_out_is_named(path, capsys):
    for options, match in (
        (["--rivals", "-evidense pool"], "leaves out 'evidense pool'.*mean 'evidence pool'"),
        (["--methods", "-opm"], "leaves out 'opm'; the default is 'joint\\*', 'inforeg', 'mlp'"),
        (["--rivals", "majority,-late fusion"], "in front of all names, or of none"),
    ):
        asked = Asked()
        assert main(["diagnose", str(path), *CHOSEN, *options], run=asked) == 2
        assert re.search(match, capsys.readouterr().err) and asked.times == 0


def test_the_help_lists_the_names_that_options_take(capsys):
    with pytest.raises(SystemExit) as end:
        main(["diagnose", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert end.value.code == 0
    assert f"--methods takes: {', '.join(METHODS)}, joint*, mlp, concat" in told
    assert f"--rivals takes: {', '.join(RIVALS)}" in told
    assert "--rivals '-evidence pool'" in told and "lr and all else are set in Python" in told


def test_what_is_wrong_is_said_without_a_traceback(path, tmp_path, capsys):
    def said(*options, run=None):
        assert main(["diagnose", *map(str, options)], run=run or Asked()) == 2
        return capsys.readouterr().err

    assert "error: There is no file" in said(tmp_path / "none.npz")
    assert "no array 'z' (--target)" in said(path, "--target", "z")
    where = tmp_path / "none" / "report.html"
    assert "which is no folder" in said(path, *CHOSEN, "--output", where)
    assert "is a folder" in said(path, *CHOSEN, "--output", tmp_path)

    def refuses(*args, **settings):
        raise ValueError("cv is too large")

    message = said(path, *CHOSEN, run=refuses)
    assert message.endswith("error: cv is too large\n") and "Traceback" not in message
    with pytest.raises(ValueError, match="cv is too large"):
        main(["diagnose", str(path), *CHOSEN, "--traceback"], run=refuses)

    def interrupted(*args, **settings):
        raise KeyboardInterrupt

    assert main(["diagnose", str(path), *CHOSEN], run=interrupted) == 130


@pytest.mark.parametrize("options", [[], ["diagnos"], ["diagnose"], ["diagnose", "x", "--cv", "a"]])
def test_bad_options_end_with_the_usage(options, capsys):
    with pytest.raises(SystemExit) as end:
        main(options)
    assert end.value.code == 2 and "usage: python -m inforeg_sk" in capsys.readouterr().err


def test_a_real_report(path, capsys):
    options = ["--cv", "2", "--seeds", "1", "--max-epochs", "1", "--methods", "joint*"]
    options += ["--rivals", "majority,late fusion", "--format", "json"]
    assert main(["diagnose", str(path), *CHOSEN, *options]) == 0
    report = json.loads(capsys.readouterr().out)
    assert set(report["scores"]) == {"joint", "joint*", "majority", "late fusion"}
    assert report["modalities"] == ["audio", "text"] and report["n_samples"] == 40


def test_as_a_module_of_python(path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["inforeg_sk", "diagnose", str(path), "--target", "who_"])
    monkeypatch.delitem(sys.modules, "inforeg_sk.__main__", raising=False)
    with pytest.raises(SystemExit) as end:
        runpy.run_module("inforeg_sk", run_name="__main__")
    assert end.value.code == 2 and "did you mean 'who'" in capsys.readouterr().err
