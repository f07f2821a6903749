"""Audio front ends in scikit-learn: parameters, names, jobs, memory, pipelines."""

from pathlib import Path

import joblib
import numpy as np
import pytest
from recordings import FRONT_ENDS, flatten, make, six_recordings
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils import get_tags

from inforeg_sk import ModalityDict, ModalityTransformer, MultimodalInfoRegClassifier
from inforeg_sk.datasets import load_av_digits
from inforeg_sk.features import MFCC, LogMel, LogSTFT

librosa = pytest.importorskip("librosa")


@pytest.fixture
def paths(tmp_path):
    return six_recordings(tmp_path)


@pytest.mark.parametrize("kind", FRONT_ENDS)
def test_parameters_clone_and_repr(kind):
    front_end = make(kind, n_jobs=3, short="tile")
    again = clone(front_end)
    assert again is not front_end
    assert again.get_params() == front_end.get_params()
    assert again.set_params(duration=2.0).duration == 2.0
    assert "hop_length=100" in repr(front_end)
    assert kind().get_params()["sample_rate"] == 22050


@pytest.mark.parametrize("kind", FRONT_ENDS)
def test_fit_remembers_nothing(paths, kind):
    front_end = make(kind)
    before = dict(vars(front_end))
    assert front_end.fit(paths) is front_end
    assert vars(front_end) == before
    tags = get_tags(front_end)
    assert tags.input_tags.one_d_array and tags.input_tags.string and not tags.requires_fit
    np.testing.assert_array_equal(make(kind).transform(paths), front_end.fit_transform(paths))


@pytest.mark.parametrize(
    "kind, first, last", [(LogSTFT, "logstft0", "logstft128"), (LogMel, "logmel0", "logmel19"),
                          (MFCC, "mfcc0", "mfcc9_delta2")]
)  # fmt: skip
def test_names(paths, kind, first, last):
    front_end = make(kind)
    names = front_end.get_feature_names_out()
    assert (names[0], names[-1], len(set(names))) == (first, last, len(names))
    assert len(names) == front_end.fit_transform(paths[:1]).shape[-1]
    modalities = ModalityTransformer({"audio": front_end}).fit({"audio": paths})
    assert modalities.get_feature_names_out()[0] == f"audio__{first}"
    modalities.set_output(transform="pandas")
    assert modalities.transform({"audio": paths})["audio"].shape == (6, 41, len(names))


def test_two_jobs_are_one(tmp_path, paths):
    X = np.array([*paths, str(tmp_path / "none.wav")])
    results = []
    for n_jobs in (1, 2):
        with pytest.warns(UserWarning, match="Sample 6"):
            results.append(make(MFCC, n_jobs=n_jobs, on_error="zeros").fit_transform(X))
        with pytest.raises(ValueError, match=r"Sample 6 .*none\.wav"):
            make(MFCC, n_jobs=n_jobs).fit_transform(X)
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize("n_jobs", [None, 1, 2, -1])
def test_joblib_is_told_the_jobs(paths, monkeypatch, n_jobs):
    told = []

    def parallel(n_jobs, **more):
        told.append(n_jobs)
        return joblib.Parallel(n_jobs=1, **more)

    monkeypatch.setattr("inforeg_sk.features._audio_base.Parallel", parallel)
    make(LogMel, n_jobs=n_jobs).fit_transform(paths)
    assert told == [n_jobs]


def test_progress_is_shown_on_long_work_only(paths, capsys, monkeypatch):
    make(LogMel, verbose=True).fit_transform(paths)
    assert capsys.readouterr().err == ""
    import tqdm

    plain = tqdm.tqdm
    monkeypatch.setattr(tqdm, "tqdm", lambda *args, **more: plain(*args, **{**more, "delay": 0}))
    make(LogMel, verbose=True).fit_transform(paths)
    assert "LogMel" in (shown := capsys.readouterr().err)
    assert "6/6" in shown


@pytest.fixture
def count(monkeypatch):
    """How many spectrograms were computed so far."""
    calls = []
    plain = librosa.feature.melspectrogram
    monkeypatch.setattr(
        librosa.feature, "melspectrogram", lambda **more: calls.append(1) or plain(**more)
    )
    return lambda: len(calls)


def test_memory_keeps_the_features(tmp_path, paths, count):
    y = [0, 1, 0, 1, 0, 1]
    steps = (make(LogMel), FunctionTransformer(flatten), LogisticRegression())
    pipe = make_pipeline(*steps, memory=str(tmp_path / "memory"))
    first = pipe.fit([Path(p) for p in paths], y).predict_proba(paths)
    assert count() == 12
    again = clone(pipe).fit([Path(p) for p in paths], y)  # other path objects, same paths
    assert count() == 12
    np.testing.assert_array_equal(again.predict_proba(paths), first)
    again.set_params(logmel__n_mels=10).fit([Path(p) for p in paths], y)
    assert count() == 18 + 6


def test_memory_keeps_modalities(tmp_path, paths, count):
    X = ModalityDict({"audio": paths, "image": np.eye(6)})
    pipe = make_pipeline(
        ModalityTransformer({"audio": make(LogMel)}),
        MultimodalInfoRegClassifier(max_epochs=1, random_state=0),
        memory=str(tmp_path / "memory"),
    )
    for alpha in (0, 1):
        pipe.set_params(multimodalinforegclassifier__alpha=alpha).fit(X, [0, 1] * 3)
        assert count() == 6
    # Within one modality's own pipeline, too.
    inner = make_pipeline(make(LogMel), FunctionTransformer(flatten), memory=pipe.memory)
    for _ in range(2):
        ModalityTransformer({"audio": inner}).fit_transform(X)
    assert count() == 12


def test_paths_are_hashed_as_strings(tmp_path):
    def fresh():
        return np.array([tmp_path / f"{i}.wav" for i in range(3)], dtype=object)

    used = fresh()
    assert [p.name for p in used if hash(p) and p.suffix] and not used[0].exists()
    assert joblib.hash(used) == joblib.hash(fresh())


@pytest.fixture(scope="module")
def sounds_and_images():
    """The 40 shipped recordings, each with its image."""
    digits = load_av_digits()
    rows = digits.sample_indices
    X = ModalityDict({"audio": digits.sample_paths, "image": digits.data["image"][rows]})
    assert len(X) == 40
    return X, digits.target[rows]


def digits_mel(**settings):
    return LogMel(16000, 0.775, n_fft=512, hop_length=400, n_mels=32, **settings)


def test_in_a_multimodal_pipeline(sounds_and_images):
    X, y = sounds_and_images
    pipe = make_pipeline(
        ModalityTransformer({"audio": make_pipeline(digits_mel(), FunctionTransformer(flatten))}),
        ModalityTransformer(StandardScaler()),
        MultimodalInfoRegClassifier(max_epochs=2, random_state=0),
    ).fit(X, y)
    assert pipe.predict(X).shape == (40,)
    assert set(pipe[-1].score_by_modality(pipe[:-1].transform(X), y)) == {"audio", "image"}
    sequences = make_pipeline(
        ModalityTransformer({"audio": make_pipeline(digits_mel())}),
        MultimodalInfoRegClassifier(encoders={"audio": "gru"}, max_epochs=2, random_state=0),
    ).fit(X, y)
    assert sequences.predict_proba(X).shape == (40, 10)


def test_an_error_names_the_modality(sounds_and_images):
    X, y = sounds_and_images
    swapped = ModalityDict({"audio": ["I am happy", "so sad"], "image": X["image"][:2]})
    with pytest.raises(ValueError, match=r"Modality 'audio', LogMel: Sample 0 \('I am happy'\)"):
        ModalityTransformer({"audio": digits_mel()}).fit_transform(swapped)


def test_grid_search_over_the_bands(sounds_and_images, tmp_path):
    X, y = sounds_and_images
    pipe = make_pipeline(
        ModalityTransformer({"audio": digits_mel()}),
        MultimodalInfoRegClassifier(max_epochs=2, random_state=0),
        memory=str(tmp_path),
    )
    grid = {"modalitytransformer__audio__n_mels": [8, 16]}
    search = GridSearchCV(pipe, grid, cv=2, error_score="raise").fit(X, y)
    audio = search.best_estimator_[0].transform(X)["audio"]
    assert audio.shape == (40, 32, search.best_params_["modalitytransformer__audio__n_mels"])
