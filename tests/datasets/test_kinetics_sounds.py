"""load_kinetics_sounds on small folders of the layouts in use."""

import numpy as np
import pytest
from clips import make_kinetics_sounds, touch

from inforeg_sk import ModalityDict
from inforeg_sk.datasets import load_kinetics_sounds

TRAIN = [
    (f"{video}_{start:06d}_{start + 10:06d}", label)
    for video, label in [("synthetic-a", 16), ("synthetic_b", 16), ("synthetic-c", 25)]
    for start in (0, 7)
] + [("-ynthetic-d_000000_000010", 25), ("-ynthetic-d_000007_000017", 25)]
TEST = [
    (f"{video}_125", label)
    for video, label in [
        ("synthetic-a", 16),
        ("synthetic_b", 16),
        ("synthetic-c", 25),
        ("-ynthetic-d", 25),
    ]
]
CLIPS = [name for name, _ in TRAIN + TEST]


@pytest.fixture
def folder(tmp_path):
    return make_kinetics_sounds(tmp_path, video=lambda path, label: touch(path / "frame_00001.jpg"))


def on_disk(name):
    """The name on disk, which the test list shortens."""
    video, start = name[:11], int(name[12:].split("_")[0])
    return f"{video}_{start:06d}_{start + 10:06d}"


def test_layout(folder):
    sounds = load_kinetics_sounds(folder)
    assert isinstance(sounds.data, ModalityDict)
    assert sounds.clips.tolist() == CLIPS
    places = [folder / ("train" if i < 8 else "test") / on_disk(x) for i, x in enumerate(CLIPS)]
    assert sounds.data["video"].tolist() == [str(x) for x in places]
    assert sounds.data["audio"].tolist() == [str(x / f"{x.name}.wav") for x in places]
    assert sounds.target.tolist() == [label for _, label in TRAIN + TEST]
    assert sounds.target.dtype == np.int64
    assert sounds.groups.tolist() == [x[:11] for x in CLIPS]
    assert sounds.train_indices.tolist() == list(range(8))
    assert sounds.validation_indices.tolist() == []
    assert sounds.test_indices.tolist() == [8, 9, 10, 11]
    assert "12; 8 train, 0 validation, 4 test" in sounds.DESCR
    assert "4, of which 4 are both in test and in another part" in sounds.DESCR
    X, y = load_kinetics_sounds(folder, return_X_y=True)
    assert X == sounds.data and y.tolist() == sounds.target.tolist()


def test_classes(folder):
    names = load_kinetics_sounds(folder).target_names.tolist()
    assert len(names) == len(set(names)) == 31 and names == sorted(names)
    # Clips of Kinetics-400 whose class and number in the lists are both known.
    known = {13: "harmonica", 15: "organ", 16: "piano", 19: "trumpet"}
    assert all(names[i] == f"playing {name}" for i, name in known.items())
    assert [names[i] for i in (23, 25, 28, 29)] == [
        "shoveling snow",
        "singing",
        "tapping guitar",
        "tapping pen",
    ]


def test_video_files_and_classes_in_folders(tmp_path):
    lines = []
    for name, label in TRAIN + TEST:
        kind = {16: "playing_piano", 25: "singing"}[label]
        touch(tmp_path / "audio" / kind / f"{name}.wav")
        touch(tmp_path / "videos" / kind / f"{on_disk(name)}.mp4")
        # The other form of the lists: a path with blanks after it.
        lines.append(f"k400/{kind}/{name}.mp4 10 {label}")
    (tmp_path / "train.txt").write_text("\n".join(lines[:8]))
    (tmp_path / "test.txt").write_text("\n".join(lines[8:]))
    sounds = load_kinetics_sounds(tmp_path)
    assert sounds.clips.tolist() == CLIPS
    videos = tmp_path / "videos"
    assert sounds.data["video"][8] == str(videos / "playing_piano" / f"{on_disk(CLIPS[8])}.mp4")
    assert sounds.data["audio"][8] == str(
        tmp_path / "audio" / "playing_piano" / "synthetic-a_125.wav"
    )
    # Frames in folders that are named as the files were.
    frames = [tmp_path / "frames" / f"{on_disk(CLIPS[i])}.mp4" for i in (0, 9)]
    touch(*(path / "00000.jpg" for path in frames))
    dropped = load_kinetics_sounds(tmp_path, video="frames", missing="drop")
    assert dropped.data["video"].tolist() == [str(path) for path in frames]
    assert dropped.dropped == [x for i, x in enumerate(CLIPS) if i not in (0, 9)]


@pytest.mark.parametrize("text", ["playing_piano", "playing piano", "Playing Piano", "16", "016"])
def test_class_by_name(folder, text):
    lines = [f"{name},{text if label == 16 else 'singing'}" for name, label in TRAIN]
    (folder / "my_train.txt").write_text("\n".join(lines))
    assert load_kinetics_sounds(folder).target.tolist() == [label for _, label in TRAIN + TEST]


def test_validation_list(folder):
    lines = (folder / "my_train.txt").read_text().splitlines()
    (folder / "my_train.txt").write_text("\n".join(lines[:6]))
    (folder / "my_val.txt").write_text("\n".join(lines[6:]))
    sounds = load_kinetics_sounds(folder)
    assert sounds.clips.tolist() == CLIPS
    assert sounds.validation_indices.tolist() == [6, 7]


def test_places(folder, tmp_path_factory, monkeypatch):
    reference = load_kinetics_sounds(folder).data
    (folder / "data" / "KineticSound").mkdir(parents=True)
    for part in ("train", "test"):
        (folder / f"my_{part}.txt").rename(folder / "data" / "KineticSound" / f"my_{part}.txt")
    assert load_kinetics_sounds(folder).data == reference
    home = tmp_path_factory.mktemp("home")
    (home / "kinetics_sounds").symlink_to(folder)
    monkeypatch.setenv("INFOREG_SK_DATA", str(home))
    assert len(load_kinetics_sounds(follow_links=True).data) == 12
    lists = folder / "data" / "KineticSound"
    assert load_kinetics_sounds(folder, lists=lists).data == reference


# Bad input


def test_no_root_and_no_lists(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no folder .*absent.*Kinetics-400"):
        load_kinetics_sounds(tmp_path / "absent")
    (folder / "my_test.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"none of test \(my_test.txt or test.txt"):
        load_kinetics_sounds(folder)
    (folder / "my_train.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"my_train\.txt .* not in any of: .*KineticSound"):
        load_kinetics_sounds(folder)


def test_missing_clips(folder):
    (folder / "train" / CLIPS[2] / f"{CLIPS[2]}.wav").unlink()
    (folder / "test" / on_disk(CLIPS[9]) / "frame_00001.jpg").unlink()
    with pytest.raises(FileNotFoundError, match="audio: 1 of 12 clips have no wav file") as info:
        load_kinetics_sounds(folder)
    assert CLIPS[2] in str(info.value) and "missing='drop'" in str(info.value)
    sounds = load_kinetics_sounds(folder, missing="drop")
    assert sounds.dropped == [CLIPS[2], CLIPS[9]]
    assert sounds.test_indices.tolist() == [7, 8, 9]
    assert "2 clips without sound or video" in sounds.DESCR


@pytest.mark.parametrize(
    "line, message",
    [
        ("synthetic-z_3,10,31", "class '31' is unknown; expected 0 to 30"),
        ("synthetic-z_3,10,finger snapping", "class 'finger snapping' is unknown"),
        ("synthetic-z_3,10,-1", "class '-1' is unknown"),
        ("synthetic-z,10,3", "'synthetic-z' is not a clip"),
        ("synthetic-zz_3,10,3", "'synthetic-zz_3' is not a clip"),
        ("synthetic-z_3", "expected a clip, a number"),
        ("synthetic-z_3,ten,3", "expected a clip, a number"),
        ("synthetic-z_3 13 10 3", "expected a clip, a number"),
    ],
)
def test_bad_line(folder, line, message):
    with (folder / "my_test.txt").open("a") as file:
        file.write(line)
    with pytest.raises(ValueError, match=message) as info:
        load_kinetics_sounds(folder)
    assert f"{folder / 'my_test.txt'}, line 5 ({line!r})" in str(info.value)


def test_listed_twice(folder):
    with (folder / "my_test.txt").open("a") as file:
        file.write("synthetic-a_7,10,16")  # in train, in the other way of writing
    with pytest.raises(ValueError, match=r"synthetic-a_7 is listed twice.*my_train.txt, line 2"):
        load_kinetics_sounds(folder)


def test_unknown_choice(folder):
    with pytest.raises(
        ValueError, match=r"'missing' .* must be one of 'error', 'drop', 'allow'. Got 'skip'"
    ):
        load_kinetics_sounds(folder, missing="skip")
