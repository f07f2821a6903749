"""The examples run as their readers run them."""

import http.client
import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from inforeg_sk import ModalityDict, diagnose
from inforeg_sk.datasets import load_av_digits

ROOT = Path(__file__).resolve().parent.parent


def run(name, *arguments, folder):
    """What an example prints, run in `folder`."""
    command = [sys.executable, ROOT / "examples" / name, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_quickstart(tmp_path):
    pytest.importorskip("matplotlib")
    figure = tmp_path / "figure.png"
    few = ("--seeds", "2", "--epochs", "12")
    printed = run("plot_quickstart.py", *few, "--figure", figure, folder=tmp_path)
    tables = printed.split("Trained with ")[1:]
    assert len(tables) == 2
    for table, least in zip(tables, (15, 10), strict=True):
        rows = {line.split("  ")[0]: line for line in table.splitlines()}
        mean = {
            name: [float(cell.split()[-1]) for cell in rows[name].split("+-")[:-1]]
            for name in ("joint", "joint*", "InfoReg (paper)", "InfoReg", "InfoReg*")
        }
        # What the example is there to show: the image starves, and unimodal losses feed it.
        assert mean["joint"][2] < mean["joint*"][2] - least
        assert mean["joint"][0] < mean["joint*"][0]
        assert table.count(" the noise)") == 4
    assert figure.read_bytes().startswith(b"\x89PNG") and figure.stat().st_size > 20_000


@pytest.mark.slow
def test_spoken_digits(tmp_path, fsdd_home):
    pytest.importorskip("librosa")
    printed = run("spoken_digits.py", fsdd_home, "--max-epochs", "5", folder=tmp_path)
    rows = {line.split("  ")[0]: line for line in printed.splitlines() if "+-" in line}
    assert {"audio alone", "image alone", "joint", "joint*", "InfoReg", "InfoReg*"} == set(rows)
    assert float(rows["image alone"].split("+-")[0].split()[-1]) > 60
    assert list(tmp_path.iterdir()) == []  # the cache is gone


@pytest.mark.slow
def test_language_model(tmp_path, mosi_home):
    pytest.importorskip("transformers")
    printed = run("language_model.py", mosi_home, "--seeds", "1", "--epochs", "4", folder=tmp_path)
    rows = {line[:32].strip(): line[32:].split() for line in printed.splitlines()[2:-1]}
    assert set(rows) == {
        f"{way}, {what}"
        for way in ("vectorizer", "language model")
        for what in ("text alone", "joint", "InfoReg*")
    }
    assert all(len(cells) == (2 if "alone" in name else 3) for name, cells in rows.items())
    # A model of random weights has learnt words: the most frequent class would give 62.1.
    assert float(rows["language model, text alone"][0]) > 64


@pytest.mark.slow
def test_sentiment_regression(tmp_path):
    printed = run("sentiment_regression.py", "--seeds", "1", "--epochs", "6", folder=tmp_path)
    assert "audio (50, 5)" in printed and "1284 to train on, 686 to test on" in printed
    rows = {line[:20].strip(): line[20:].split() for line in printed.splitlines()[5:]}
    mae = {name: float(cells[0]) for name, cells in rows.items()}
    for method in ("joint", "joint*", "InfoReg", "InfoReg*"):
        assert mae[method] < mae["mean of train"] - 0.2
        assert 0.55 < float(rows[method][1]) < 0.9
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_search_on_a_cluster(tmp_path):
    pytest.importorskip("distributed", reason="needs the extra dask")
    printed = run("search_on_a_cluster.py", "--max-epochs", "2", folder=tmp_path).splitlines()
    assert [printed[i] for i in (0, 2, 4)] == [
        "in this process",
        "by 2 workers",
        "scores are equal",
    ]
    # What was best, and its score: the same, but for the time.
    assert printed[1].partition(" s, ")[2] == printed[3].partition(" s, ")[2] != ""


@pytest.mark.slow
def test_tables(tmp_path):
    printed = run("tables.py", "--folds", "2", "--epochs", "10", folder=tmp_path)
    rows = {line[:25].strip(): line[25:].split() for line in printed.splitlines()[1:6]}
    assert list(rows) == [
        "linear on all",
        "stacked linear",
        "late fusion of networks",
        "one network",
        "pool",
    ]
    assert all(float(accuracy) > 0.9 for accuracy, _ in rows.values())
    assert [line.split()[0] for line in printed.splitlines()[-4:]] == [
        "mean",
        "error",
        "largest",
        "joint",
    ]


@pytest.mark.slow
def test_diagnosis(tmp_path):
    pytest.importorskip("matplotlib")
    figure = tmp_path / "figure.png"
    few = ("--seeds", "1", "--every", "3", "--n-jobs", "1")
    printed = run("plot_diagnosis.py", *few, "--figure", figure, folder=tmp_path)
    told = printed.partition("Compared")[0]
    # What the demo is there to show: joint training loses the image, and what fixes it.
    assert "- image: " in told and "Recommended: " in told
    rows = {line[:16].strip(): line[16:].split() for line in printed.splitlines()}
    assert float(rows["late fusion"][0]) > float(rows["joint"][0]) + 2
    assert figure.read_bytes().startswith(b"\x89PNG") and figure.stat().st_size > 20_000


# Those for four kinds of users, run in this process at a small size


def imported(name, monkeypatch):
    """An example as a module, beside which it finds the others."""
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    module = importlib.import_module(name)
    monkeypatch.setitem(sys.modules, name, module)
    return module


def main(module, monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", [module.__name__, *map(str, arguments)])
    module.main()


def test_patients_are_joined_by_their_names_and_those_in_no_table_are_left_out(monkeypatch, capsys):
    pd = pytest.importorskip("pandas")
    example = imported("plot_patients", monkeypatch)
    ids = pd.Index(["a", "b", "c", "d"], name="patient")
    patients = pd.DataFrame({"hospital": list("xxyy"), "outcome": list("0101")}, index=ids)
    tables = {
        "labs": pd.DataFrame({"iron": [3.0, 1.0]}, index=["d", "a"]),
        "visit": pd.DataFrame({"age": [40.0, 50.0]}, index=["a", "b"]),
    }
    X, y, hospitals = example.join(patients, tables)
    np.testing.assert_array_equal(X["labs"]["iron"], [1, np.nan, 3])
    np.testing.assert_array_equal(X["visit"]["age"], [40, 50, np.nan])
    assert (list(y), list(hospitals)) == (["0", "1", "1"], ["x", "x", "y"])
    assert "3 patients, 1 more are in no table" in capsys.readouterr().out
    twice = {"labs": pd.concat([tables["labs"], tables["labs"]])}
    with pytest.raises(ValueError, match="'labs' has a patient twice"):
        example.join(patients, twice)


def test_the_area_under_the_curve_of_patients_is_scikit_learns(monkeypatch):
    pytest.importorskip("pandas")
    example = imported("plot_patients", monkeypatch)
    rng = np.random.default_rng(0)
    y, rated = rng.random(50) < 0.3, rng.integers(6, size=50)  # with ties
    assert example.area(y, rated) == pytest.approx(roc_auc_score(y, rated))
    assert np.isnan(example.area(y[y], rated[y]))


@pytest.mark.slow
def test_patients_of_csv_files_get_a_diagnosis_and_a_table(tmp_path, monkeypatch, capsys):
    pytest.importorskip("pandas")
    example = imported("plot_patients", monkeypatch)
    patients, tables = example.make_tables(240, 12)
    for name, table in {"patients": patients, **tables}.items():
        table.to_csv(tmp_path / f"{name}.csv")
    fewer = {"cv": 2, "methods": (), "rivals": ["majority", "linear on all"]}
    monkeypatch.setattr(
        example, "diagnose", lambda *data, **settings: diagnose(*data, **{**settings, **fewer})
    )
    main(example, monkeypatch, tmp_path, "--epochs", "3")
    printed = capsys.readouterr().out
    assert "simulated" not in printed and "Recommended: " in printed
    told = printed.partition("AUC in % on hospitals")[2].splitlines()
    rows = {line[:32].strip(): line[32:].split("(") for line in told[2:]}
    assert len(rows) == len(example.rivals(1)) + 1  # and what is recommended
    assert float(rows["logistic regression, imputed"][0]) > 65  # 50 is guessing
    assert all(len(cells) == 4 for cells in rows.values())


@pytest.mark.slow
def test_recordings_are_read_to_disk_and_speakers_kept_apart(tmp_path, monkeypatch, capsys):
    for library in ("librosa", "soundfile", "PIL"):
        pytest.importorskip(library)
    example = imported("plot_recordings", monkeypatch)
    example.write_av_digits(tmp_path / "files", 120)
    samples, y, speakers = example.find(tmp_path / "files")
    assert len(samples) == 120 and set(y) <= set(load_av_digits().target_names)
    main(example, monkeypatch, tmp_path / "files", "--epochs", "1")
    printed = capsys.readouterr().out
    assert "sound (32, 32), picture (3, 1, 8, 8)" in printed and "MB of memmap" in printed
    rows = {line[:30].strip(): line[30:].split() for line in printed.splitlines()}
    assert float(rows["linear on all"][0]) > 40  # 10 is guessing
    assert [len(rows[name]) for name in ("joint", "InfoReg*")] == [3, 3]


def test_sounds_that_are_written_give_the_spectrograms_that_they_are_of(tmp_path, monkeypatch):
    for library in ("librosa", "soundfile", "PIL"):
        pytest.importorskip(library)
    example = imported("plot_recordings", monkeypatch)
    example.write_av_digits(tmp_path, 10)
    samples, _, _ = example.find(tmp_path)
    front_end = example.LogMel(16_000, 0.775, n_fft=512, hop_length=400, n_mels=32, ref="max")
    paths = [example.one_of(sample, example.SOUNDS)[0] for sample in samples]
    heard = example.to_disk(front_end, paths, tmp_path / "sound.npy")
    assert isinstance(heard, np.memmap)
    rows = [int(sample.name.rpartition("_")[2]) for sample in samples]
    for row, values in zip(rows, heard, strict=True):
        meant = load_av_digits().data["audio"][row]
        assert np.corrcoef(meant.ravel(), values.ravel())[0, 1] > 0.8


def test_the_columns_of_the_table_of_cmu_mosi_are_sorted_by_name(monkeypatch):
    example = imported("cmu_mosi", monkeypatch)
    rng, y = np.random.default_rng(0), np.arange(80) % 2
    text = rng.normal(size=(80, 4)) + 3 * y[:, None]
    X = ModalityDict({"text": text, "audio": rng.normal(size=(80, 4))})  # not in this order
    rows = np.arange(80)
    both, audio, told_by_text = example.evaluate(X, y, rows[:40], rows[40:], {}, 0, 15)
    assert min(both, told_by_text) > 0.9 and audio < 0.75


@pytest.mark.slow
def test_nested_search_reports_the_trap_and_three_comparisons(monkeypatch, capsys):
    monkeypatch.setenv("INFOREG_SK_DATA", str(ROOT / "tests"))  # without the files
    example = imported("plot_nested_search", monkeypatch)
    monkeypatch.setattr(example, "GRID", {"alpha": [0, 3]})
    main(example, monkeypatch, "--folds", "2", "--repeats", "1", "--epochs", "3")
    printed = capsys.readouterr().out
    assert "Without them: the same on synthetic data." in printed
    chosen = re.search(r"chosen \('alpha',\): (.*)", printed).group(1)
    assert sum(map(int, re.findall(r"(\d+) times", chosen))) == 2
    told = printed.partition("The search against")[2]
    assert [line.split()[0] for line in told.splitlines()[1:4]] == ["joint", "linear", "stacked"]
    assert len(re.findall(r"p [01]\.\d+: (?:told apart|cannot be told apart)", printed)) == 4


def test_outer_folds_keep_videos_whole_and_differ_between_repetitions(monkeypatch):
    example = imported("plot_nested_search", monkeypatch)
    videos = np.arange(60) // 5
    folds = example.outer_folds(videos, 3, 2)
    assert all(not set(videos[train]) & set(videos[test]) for train, test in folds)
    assert [len(folds), sum(len(test) for _, test in folds)] == [6, 120]
    assert not any(np.array_equal(a[1], b[1]) for a in folds[:3] for b in folds[3:])


@pytest.fixture(scope="module")
def saved_service(tmp_path_factory):
    """The example, and the folder of a model of it that was trained for an epoch."""
    pytest.importorskip("safetensors")
    with pytest.MonkeyPatch.context() as patch:
        example = imported("plot_service", patch)
    digits, folder = load_av_digits(), tmp_path_factory.mktemp("service")
    X, y = digits.data[:200], digits.target[:200]
    model = example.build(max_epochs=1).fit(X, y)
    example.save(model, X, folder)
    return example, folder, model, digits.data[-2:]


def test_the_service_answers_as_the_model_that_was_saved(saved_service):
    example, folder, model, X = saved_service
    server, thread = example.serve(*example.load(folder))
    try:
        for names in (["audio", "image"], ["image"]):
            status, answer = example.ask(server, {name: X[name].tolist() for name in names})
            assert (status, answer["used"]) == (200, names)
            expected = model.predict_proba({name: X[name] for name in names})
            np.testing.assert_allclose(answer["probabilities"], expected, atol=2e-6)
            assert answer["classes"] == list(range(10))
        status, answer = example.ask(server, {"picture": X["image"].tolist()})
        assert status == 400 and "no field 'picture'" in answer["error"]
        client = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
        client.putrequest("POST", "/predict")
        client.putheader("Content-Length", str(example.MAX_BYTES + 1))
        client.endheaders()
        assert client.getresponse().status == 413  # before anything was sent
        client.close()
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()
    assert not thread.is_alive()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("[1", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("{}", "at least one of the fields"),
        ('{"image": [["a", "b"]]}', "nested lists of numbers"),
        ('{"image": [[1, 2], [3]]}', "nested lists of numbers"),
        ('{"image": [[1, null]]}', "nested lists of numbers"),
        ('{"image": [1, 2]}', r"shape \(2,\)"),
        ('{"image": []}', r"shape \(2,\)"),
        ('{"image": [[1, NaN]]}', "finite"),
        ('{"image": [[1, 1e300]]}', "finite"),
        ('{"image": [[1, 2]], "audio": [[1], [2]]}', "same number of samples"),
    ],
    ids=range(11),
)
def test_the_service_refuses_a_request(body, message, monkeypatch):
    example = imported("plot_service", monkeypatch)
    with pytest.raises(example.BadRequest, match=message):
        example.read_samples(body, {"image": [2], "audio": [1]})


def test_the_service_does_not_load_what_does_not_fit(saved_service, tmp_path):
    example, folder, _, _ = saved_service
    weights, about = "weights.safetensors", json.loads((folder / "model.json").read_text())
    (tmp_path / weights).write_bytes((folder / weights).read_bytes())
    old = {**about, "versions": {**about["versions"], "inforeg_sk": "0.0.1"}}
    (tmp_path / "model.json").write_text(json.dumps(old))
    with pytest.raises(ValueError, match=r"The model is of inforeg_sk 0\.0\.1"):
        example.load(tmp_path)
    (tmp_path / "model.json").write_text(json.dumps(about))
    (tmp_path / weights).write_bytes((folder / weights).read_bytes()[:-1] + b"x")
    with pytest.raises(ValueError, match=r"not the file that model\.json was written for"):
        example.load(tmp_path)
