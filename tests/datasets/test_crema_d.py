"""load_crema_d on small folders of the published layout."""

import numpy as np
import pytest
import torch
from clips import EMOTIONS, SOUNDS, make_crema_d, touch
from sklearn.pipeline import Pipeline, make_pipeline
from skorch.callbacks import Callback, LRScheduler

from inforeg_sk import ModalityDict, ModalityTransformer, MultimodalInfoRegClassifier
from inforeg_sk.datasets import load_crema_d

NAMES = sorted(path.stem for path in (SOUNDS / "AudioWAV").iterdir())
LISTED = [
    line.split(",")[0]
    for part in ("train", "test")
    for line in (SOUNDS / f"{part}.csv").read_text().split()
]


@pytest.fixture
def folder(tmp_path):
    return make_crema_d(tmp_path, video=lambda path, label: touch(path))


def add(folder, *names):
    for name in names:
        touch(folder / "AudioWAV" / f"{name}.wav", folder / "VideoFlash" / f"{name}.flv")


def test_lists(folder):
    emotions = load_crema_d(folder)
    assert isinstance(emotions.data, ModalityDict)
    assert emotions.clips.tolist() == LISTED
    assert emotions.data["audio"].tolist() == [str(folder / f"AudioWAV/{x}.wav") for x in LISTED]
    assert emotions.data["video"].tolist() == [str(folder / f"VideoFlash/{x}.flv") for x in LISTED]
    # The authors' numbers: NEU 0, HAP 1, SAD 2, FEA 3, DIS 4, ANG 5.
    assert emotions.target.tolist() == [EMOTIONS.index(x[9:12]) for x in LISTED]
    assert emotions.target.dtype == np.int64
    assert emotions.target_names.tolist() == "neutral happy sad fear disgust anger".split()
    assert emotions.groups.tolist() == [int(x[:4]) for x in LISTED]
    assert emotions.sentences.tolist() == [x[5:8] for x in LISTED]
    assert emotions.levels.tolist() == [x[13:] for x in LISTED]
    assert emotions.train_indices.tolist() == list(range(18))
    assert emotions.validation_indices.tolist() == []
    assert emotions.test_indices.tolist() == list(range(18, 24))
    assert emotions.dropped == []
    assert "24; 18 train, 0 validation, 6 test" in emotions.DESCR
    assert "4 of 4 actors are both in test and in another part" in emotions.DESCR
    X, y = load_crema_d(folder, return_X_y=True)
    assert X == emotions.data and y.tolist() == emotions.target.tolist()


def test_actors(folder):
    emotions = load_crema_d(folder, split="actors")
    assert emotions.clips.tolist() == NAMES
    # The rule, stated again.
    order = list(np.random.RandomState(0).permutation(np.arange(1001, 1092)))
    assert 1003 in order[:18] and 1067 in order[18:27]
    assert set(emotions.groups[emotions.test_indices]) == {1003}
    assert set(emotions.groups[emotions.validation_indices]) == {1067}
    assert set(emotions.groups[emotions.train_indices]) == {1081, 1085}
    assert "0 of 4 actors are both in test and in another part" in emotions.DESCR
    for part in ("train", "validation", "test"):  # as many of each emotion
        counts = np.bincount(emotions.target[emotions[f"{part}_indices"]], minlength=6)
        assert len(set(counts)) == 1
    for file in folder.glob("*.csv"):
        file.unlink()
    assert load_crema_d(folder, split="actors").data == emotions.data


def test_other_actors(folder):
    def test_part(**params):
        emotions = load_crema_d(folder, split="actors", **params)
        return set(emotions.groups[emotions.test_indices])

    order = list(np.random.RandomState(2).permutation(np.arange(1001, 1092)))
    expected = {1003, 1067, 1081, 1085} & set(order[:40])
    assert test_part(random_state=2, test_actors=40) == expected == {1003, 1081}
    assert test_part(validation_actors=0) == {1003}
    # The part of an actor does not depend on who else is there.
    for path in folder.glob("*/1085*"):
        path.unlink()
    assert test_part() == {1003}


def test_validation_list(folder):
    lines = (folder / "train.csv").read_text().splitlines(keepends=True)
    (folder / "train.csv").write_text("".join(lines[4:]))
    # A mark of the byte order, blanks and empty lines do not count.
    text = "\ufeff" + "\n".join(lines[:4]).replace(",", " , ")
    (folder / "validation.csv").write_text(text, encoding="utf-8")
    emotions = load_crema_d(folder)
    assert emotions.clips.tolist() == LISTED[4:18] + LISTED[:4] + LISTED[18:]
    assert emotions.validation_indices.tolist() == [14, 15, 16, 17]
    assert emotions.test_indices.tolist() == list(range(18, 24))


def test_defects(folder):
    defects = ["1064_IEO_DIS_MD", "1064_TIE_SAD_XX", "1076_MTI_NEU_XX", "1076_MTI_SAD_XX"]
    with (folder / "train.csv").open("a") as file:
        file.write("".join(f"{name},{name[9:12]}\n" for name in defects))
    emotions = load_crema_d(folder)  # whether they are there or not
    assert emotions.dropped == defects and len(emotions.data) == 24
    assert "Left out: 1064_IEO_DIS_MD, 1064_TIE_SAD_XX" in emotions.DESCR
    add(folder, *defects)
    assert load_crema_d(folder, split="actors").dropped == defects
    kept = load_crema_d(folder, defects="keep")
    assert kept.dropped == [] and kept.clips[18:22].tolist() == defects


# Where the files lie


def test_frames_and_folders(folder):
    for name in NAMES:
        touch(folder / "Image-01-FPS" / name / "00000.jpg")
    assert load_crema_d(folder).data["video"][0].endswith(".flv")  # files come first
    frames = load_crema_d(folder, video="Image-01-FPS", audio="AudioWAV").data
    expected = [str(folder / "Image-01-FPS" / x) for x in LISTED]
    assert frames["video"].tolist() == expected
    for name in NAMES[1:]:
        (folder / "VideoFlash" / f"{name}.flv").unlink()
    assert load_crema_d(folder).data == frames  # one stray file does not count
    # The layout of the older code.
    (folder / "AudioWAV").rename(folder / "audio")
    (folder / "Image-01-FPS").rename(folder / "visual")
    assert load_crema_d(folder).data["video"][3] == str(folder / "visual" / LISTED[3])


def test_several_places(folder):
    touch(folder / "old" / f"{LISTED[2]}.wav")
    with pytest.raises(ValueError, match=r"audio: clip .* in more than one place") as info:
        load_crema_d(folder)
    assert LISTED[2] in str(info.value) and str(folder / "old") in str(info.value)
    assert len(load_crema_d(folder, audio="AudioWAV").data) == 24


def test_places(folder, tmp_path_factory, monkeypatch):
    reference = load_crema_d(folder).data
    assert load_crema_d(str(folder)).data == reference
    (folder / "data" / "CREMAD").mkdir(parents=True)
    for part in ("train", "test"):
        (folder / f"{part}.csv").rename(folder / "data" / "CREMAD" / f"{part}.csv")
    assert load_crema_d(folder).data == reference
    elsewhere = tmp_path_factory.mktemp("lists")
    for part in ("train", "test"):
        (folder / "data" / "CREMAD" / f"{part}.csv").rename(elsewhere / f"{part}.csv")
    assert load_crema_d(folder, lists=elsewhere).data == reference
    home = tmp_path_factory.mktemp("home")
    (home / "crema_d").symlink_to(folder)
    monkeypatch.setenv("INFOREG_SK_DATA", str(home))
    again = load_crema_d(lists=elsewhere, follow_links=True)
    assert again.data["audio"][0] == str(home / "crema_d" / "AudioWAV" / f"{LISTED[0]}.wav")
    monkeypatch.delenv("INFOREG_SK_DATA")
    with pytest.raises(FileNotFoundError, match="INFOREG_SK_DATA is not set"):
        load_crema_d()


def test_links_that_lead_back_are_followed_once(folder):
    (folder / "VideoFlash" / "back").symlink_to(folder)
    assert len(load_crema_d(folder).data) == 24


# Bad input


def test_no_root(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no folder .*absent.*git-lfs"):
        load_crema_d(tmp_path / "absent")


def test_no_lists(folder):
    (folder / "test.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"has a list of train but none of test \(test.csv"):
        load_crema_d(folder)
    (folder / "train.csv").unlink()
    with pytest.raises(FileNotFoundError) as info:
        load_crema_d(folder)
    message = str(info.value)
    assert "train.csv" in message and str(folder / "data" / "CREMAD") in message
    assert "OGM-GE_CVPR2022" in message


@pytest.mark.parametrize(
    "place, message",
    [
        ("AudioWAV", "audio: 4 of 24 clips have no wav file"),
        ("VideoFlash", "video: 4 of 24 clips have no video file under"),
    ],
)
def test_missing_clips(folder, place, message):
    lost = [LISTED[i] for i in (1, 5, 6, 20)]
    for name in lost:
        next((folder / place).glob(f"{name}.*")).unlink()
    with pytest.raises(FileNotFoundError, match=message) as info:
        load_crema_d(folder)
    assert ", ".join(lost[:3]) + ", ..." in str(info.value) and "git-lfs" in str(info.value)
    emotions = load_crema_d(folder, missing="drop")
    assert emotions.dropped == lost
    assert emotions.train_indices.tolist() == list(range(15))
    assert emotions.test_indices.tolist() == list(range(15, 20))
    with pytest.raises(FileNotFoundError, match=message):
        load_crema_d(folder, split="actors")


def test_nothing_there(folder):
    for path in (folder / "AudioWAV").iterdir():
        path.unlink()
    with pytest.raises(FileNotFoundError, match="None of 24 clips has a wav file and a video"):
        load_crema_d(folder, missing="drop")
    for path in (folder / "VideoFlash").iterdir():
        path.unlink()
    for name in NAMES:
        touch(folder / "AudioWAV" / f"{name}.wav")
    with pytest.raises(FileNotFoundError, match="24 of 24 clips have no video file or folder of"):
        load_crema_d(folder)


def test_no_clips_of_a_part(folder):
    for path in folder.glob("*/1003*"):
        path.unlink()
    with pytest.raises(FileNotFoundError, match="No clip of the part test is under"):
        load_crema_d(folder, split="actors")


def test_files_not_fetched(folder):
    path = folder / "AudioWAV" / f"{LISTED[7]}.wav"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 72862\n")
    with pytest.raises(FileNotFoundError, match=r"audio: 1 of 24 files are pointers.*git lfs pull"):
        load_crema_d(folder)


@pytest.mark.parametrize(
    "line, message",
    [
        ("1081_DFA_ANG_XX,FURY", "emotion 'FURY' is unknown; expected one of NEU, HAP, SAD"),
        ("1081_DFA_ANG_XX,ANG,3", "expected a clip and its emotion"),
        ("1081_DFA_ANG_XX", "expected a clip and its emotion"),
        ("1092_DFA_ANG_XX,ANG", "'1092_DFA_ANG_XX' is not a clip of CREMA-D"),
        ("1081_DFA_ANG_X,ANG", "'1081_DFA_ANG_X' is not a clip of CREMA-D"),
        ("1081_DFA_ANG_XX,SAD", "the list says SAD, but the clip's name says ANG"),
    ],
)
def test_bad_line(folder, line, message):
    lines = (folder / "test.csv").read_text().splitlines()
    (folder / "test.csv").write_text("\n".join([*lines[:2], line, *lines[2:]]))
    with pytest.raises(ValueError, match=message) as info:
        load_crema_d(folder)
    assert f"{folder / 'test.csv'}, line 3 ({line!r})" in str(info.value)


def test_listed_twice(folder):
    with (folder / "test.csv").open("a") as file:
        file.write(f"{LISTED[0]},{LISTED[0][9:12]}\n")
    with pytest.raises(ValueError, match="listed twice") as info:
        load_crema_d(folder)
    message = str(info.value)
    assert LISTED[0] in message and "test.csv, line 7" in message
    assert "train.csv, line 1" in message


def test_bad_list(folder):
    (folder / "test.csv").write_text("\n\n")
    with pytest.raises(ValueError, match=r"test\.csv lists no clips"):
        load_crema_d(folder)
    (folder / "test.csv").write_bytes(b"\xff\xfe1\x00")
    with pytest.raises(ValueError, match=r"test\.csv: it is not text in UTF-8"):
        load_crema_d(folder)


@pytest.mark.parametrize(
    "params, message",
    [
        ({"split": "speakers"}, "'split' .* must be one of 'lists', 'actors'. Got 'speakers'"),
        ({"split": None}, "'split' parameter of load_crema_d must be one of"),
        ({"defects": "mend"}, "'defects' .* must be one of 'drop', 'keep'. Got 'mend'"),
        ({"missing": True}, "'missing' .* must be one of 'error', 'drop', 'allow'. Got True"),
        ({"test_actors": 0}, r"'test_actors' .* must be an int in \[1, inf\). Got 0"),
        (
            {"validation_actors": 1.5},
            r"'validation_actors' .* must be an int in \[0, inf\). Got 1\.5",
        ),
        ({"random_state": -1}, r"'random_state' .* must be an int in \[0, inf\). Got -1"),
        (
            {"test_actors": 60, "validation_actors": 31},
            "leave some of the 91 actors to train on. Got 60 and 31",
        ),
    ],
)
def test_bad_parameters(folder, params, message):
    with pytest.raises(ValueError, match=message):
        load_crema_d(folder, **{"split": "actors", **params})


def test_bad_folder(folder):
    with pytest.raises(FileNotFoundError, match=r"video='Flash': .*AudioWAV, VideoFlash"):
        load_crema_d(folder, video="Flash")
    with pytest.raises(
        TypeError, match=r"'audio' .* must be 'auto' or the name of a folder. Got None"
    ):
        load_crema_d(folder, audio=None)
    with pytest.raises(TypeError, match=r"'lists' .* must be None or a path. Got 3"):
        load_crema_d(folder, lists=3)


# From the folder to predictions


class Start(Callback):
    """Keeps the first layer of each encoder as it is before training."""

    weights = {}

    def on_train_begin(self, net, **kwargs):
        for name, encoder in net.encoders_.items():
            self.weights[name] = encoder.conv1.weight.detach().clone()


@pytest.mark.slow
def test_folder_to_predictions(tmp_path):
    pytest.importorskip("librosa")
    pytest.importorskip("av")
    from inforeg_sk.features import LogSTFT, VideoFrames

    emotions, start = load_crema_d(make_crema_d(tmp_path), split="actors"), Start()
    front_ends = {"audio": LogSTFT.crema_d(), "video": VideoFrames(size=32)}
    model = Pipeline(
        [
            ("read", ModalityTransformer(front_ends, padding_value=None)),
            (
                "clf",
                MultimodalInfoRegClassifier(
                    encoders="resnet18",
                    optimizer=torch.optim.SGD,
                    optimizer__momentum=0.9,
                    optimizer__weight_decay=1e-4,
                    lr=0.002,
                    batch_size=6,
                    max_epochs=2,
                    callbacks=[LRScheduler(torch.optim.lr_scheduler.StepLR, step_size=1), start],
                    device="cpu",
                    random_state=0,
                ),
            ),
        ]
    )
    train, test = emotions.train_indices, emotions.test_indices
    X, y = emotions.data, emotions.target
    model.fit(X[train], y[train])
    Z, clf = model[:-1].transform(X[test]), model[-1]
    # 3 s at 22050 Hz: 1 + 66150 // 353 frames of 1 + 512 // 2 frequencies.
    assert Z["audio"].shape == (6, 188, 257) and Z["video"].shape == (6, 3, 3, 32, 32)
    assert np.isfinite(Z["audio"]).all() and np.isfinite(Z["video"]).all()
    assert len(np.unique(Z["video"].reshape(6, -1), axis=0)) == 6  # another picture an emotion
    assert len(clf.history) == 2 and np.isfinite(clf.history[:, "train_objective"]).all()
    predicted = model.predict(X[test])
    assert predicted.shape == (6,) and set(predicted) <= set(range(6))
    np.testing.assert_allclose(model.predict_proba(X[test]).sum(axis=1), 1, rtol=1e-5)
    for name in ("audio", "video"):
        now, before = clf.encoders_[name].conv1.weight, start.weights[name]
        assert now.isfinite().all() and not torch.equal(now, before)
        assert torch.allclose(now, before, atol=0.1)  # trained, not drawn anew
        assert (clf.curves_["fisher_trace"][name] > 0).all()


@pytest.mark.slow
def test_clips_without_sound_or_video_are_missing_modalities(tmp_path):
    pytest.importorskip("librosa")
    pytest.importorskip("av")
    from inforeg_sk.features import LogMel, VideoFrames

    folder = make_crema_d(tmp_path)
    gone = {
        "audio": folder / "AudioWAV" / "1003_WSI_ANG_XX.wav",
        "video": folder / "VideoFlash" / "1081_DFA_NEU_XX.flv",
    }
    both = "1067_TSI_SAD_XX"
    for path in [
        *gone.values(),
        folder / f"AudioWAV/{both}.wav",
        folder / f"VideoFlash/{both}.flv",
    ]:
        path.unlink()
    emotions = load_crema_d(folder, missing="allow")
    X, clips = emotions.data, emotions.clips.tolist()
    assert len(clips) == 23 and emotions.dropped == [both]
    for name, path in gone.items():
        assert [clip for clip, p in zip(clips, X[name]) if p is None] == [path.stem]
    front_ends = {"audio": LogMel(n_mels=8), "video": VideoFrames(size=16)}
    model = make_pipeline(
        ModalityTransformer(front_ends, padding_value=None, missing="allow"),
        MultimodalInfoRegClassifier(
            encoders__video__channels=(4,),
            missing="allow",
            max_epochs=2,
            batch_size=8,
            random_state=0,
        ),
    ).fit(X, emotions.target)
    p = model[-1].predict_proba_by_modality(model[:-1].transform(X))
    for name, path in gone.items():
        assert np.isnan(p[name]).all(axis=1).nonzero()[0].tolist() == [clips.index(path.stem)]
    # One modality may be absent throughout, too.
    there = [path is not None for path in X["video"]]
    assert model.predict({"video": X["video"][there]}).shape == (22,)
