"""Frames of video files and of folders of images."""

import os
import sys
import warnings
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from inforeg_sk import ModalityDict, ModalityTransformer, MultimodalClassifier
from inforeg_sk.features import video
from inforeg_sk.features.video import VideoFrames

av = pytest.importorskip("av")
Image = pytest.importorskip("PIL.Image")

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
SIZE = (16, 24)


def grey_frames(n, step=10):
    """Frame i is grey of value `step` * i, which says which frame came out."""
    return (
        np.full((n, *SIZE, 3), step, np.uint8) * np.arange(n, dtype=np.uint8)[:, None, None, None]
    )


def write_video(path, frames, fps=10, codec="ffv1", pix_fmt="bgr0", times=None):
    """Encode without loss, but for a rounding of 1; `times` in ticks of 1 / `fps`."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=fps)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = pix_fmt
        for i, array in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(array, format="rgb24")
            if times is not None:
                frame.pts, frame.time_base = times[i], Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return str(path)


def write_folder(path, frames, name="frame{}.png"):
    path.mkdir()
    for i, array in enumerate(frames):
        Image.fromarray(array).save(path / name.format(i))
    return str(path)


def reader(**params):
    return VideoFrames(**{"size": SIZE, "normalize": None, **params})


def positions(paths, step=10, **params):
    """Which frames of grey clips came out."""
    frames = reader(**params).fit_transform(paths)
    grey = frames * 255 / step
    assert np.ptp(grey, axis=(1, 3, 4)).max() < 0.3  # one grey a frame
    return np.rint(grey.mean(axis=(1, 3, 4))).astype(int).tolist()


# 20 frames at 10 a second: at 0, 1/3, 2/3, 1, 4/3 and 5/3 s are frames 0, 3, 6, 10, 13 and 16,
# of which the middle ones of three parts are the 2nd, 4th and 6th.
@pytest.mark.parametrize("name", ["clip.mkv", "clip.avi"])
@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, [3, 10, 16]),
        ({"n_frames": 6}, [0, 3, 6, 10, 13, 16]),
        ({"n_frames": 4, "fps": 2}, [0, 5, 10, 15]),
        ({"n_frames": 2, "fps": 1.0}, [0, 10]),
        ({"n_frames": 4, "fps": None}, [2, 7, 12, 17]),
        ({"n_frames": 20, "fps": 10}, list(range(20))),
        ({"n_frames": 1}, [10]),
    ],
)
def test_frames_by_time(tmp_path, name, params, expected):
    path = write_video(tmp_path / name, grey_frames(20))
    assert positions([path], **params) == [expected]


def test_rounded_times_of_matroska_shift_no_frame(tmp_path):
    # At 30 a second, frame 20 is stored at 667 ms, after 2/3 s.
    path = write_video(tmp_path / "clip.mkv", grey_frames(90, 2), fps=30)
    expected = [[0, 10, 20, 30, 40, 50, 60, 70, 80]]
    assert positions([path], step=2, n_frames=9) == expected


def test_uneven_times(tmp_path):
    # On screen from 0, 0.1, 0.9 and 1.5 s: at 0, 0.5, 1 and 1.5 s are frames 0, 1, 2 and 3.
    path = write_video(tmp_path / "clip.mkv", grey_frames(4), times=[0, 1, 9, 15])
    assert positions([path], n_frames=4, fps=2) == [[0, 1, 2, 3]]
    # Time counts from the first frame on.
    path = write_video(tmp_path / "late.mkv", grey_frames(4), times=[20, 21, 29, 35])
    assert positions([path], n_frames=4, fps=2) == [[0, 1, 2, 3]]


def test_video_pixels(tmp_path):
    array = np.random.RandomState(0).randint(0, 256, (3, *SIZE, 3)).astype(np.uint8)
    path = write_video(tmp_path / "clip.avi", array, fps=3)
    frames = reader().fit_transform([path])
    assert frames.shape == (1, 3, 3, *SIZE) and frames.dtype == np.float32
    np.testing.assert_allclose(frames[0], array.transpose(3, 0, 1, 2) / 255, atol=1.1 / 255)


def test_lossy_video(tmp_path):
    path = write_video(tmp_path / "c.mp4", grey_frames(20), codec="mpeg4", pix_fmt="yuv420p")
    assert positions([path]) == [[3, 10, 16]]


def test_turned_video_is_turned_upright(tmp_path):
    array = np.zeros((3, 32, 64, 3), np.uint8)
    array[:, :, 32:] = 255  # the right half is white
    path = tmp_path / "clip.mp4"
    write_video(path, array, codec="mpeg4", pix_fmt="yuv420p")
    data = bytearray(path.read_bytes())
    # The matrix in the track's header: to be turned by 90 degrees clockwise.
    matrix = np.array([0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30], ">i4").tobytes()
    at = data.index(b"tkhd") + 44
    data[at : at + 36] = matrix
    path.write_bytes(data)
    frames = reader(size=(64, 32), fps=None).fit_transform([path])
    assert frames[0, :, :, :30].max() < 0.1 and frames[0, :, :, 34:].min() > 0.9


@pytest.mark.parametrize("name", ["{}.png", "clip3_frame_{}_left.png", "IMG{}.PNG"])
def test_folder_is_sorted_by_number(tmp_path, name):
    path = write_folder(tmp_path / "clip", grey_frames(12), name)
    (tmp_path / "clip" / "._0.png").write_bytes(b"a hidden file")
    (tmp_path / "clip" / "notes.txt").write_text("no image")
    assert positions([path], n_frames=12) == [list(range(12))]
    assert positions([path]) == [[2, 6, 10]]


def test_folder_is_the_array_it_was_made_of(tmp_path):
    array = np.random.RandomState(0).randint(0, 256, (3, 32, 48, 3)).astype(np.uint8)
    path = write_folder(tmp_path / "clip", array)
    plain = VideoFrames(size=(32, 48), normalize=None).fit_transform([path])[0]
    np.testing.assert_allclose(plain, array.transpose(3, 0, 1, 2) / 255, rtol=1e-6)

    # Halved, the bilinear filter weighs the pixels at -1, 0, 1 and 2 by 1, 3, 3 and 1 eighths.
    half = VideoFrames(size=(16, 24)).fit_transform([path])[0]
    rows = sum(w * array[:, 1 + k : 29 + k : 2].astype(float) for k, w in enumerate([1, 3, 3, 1]))
    both = sum(w * rows[:, :, 1 + k : 45 + k : 2] for k, w in enumerate([1, 3, 3, 1])) / 64
    expected = (both / 255 - MEAN) / STD
    np.testing.assert_allclose(
        half[:, :, 1:-1, 1:-1].transpose(1, 2, 3, 0), expected, atol=1.1 / 255 / min(STD)
    )


def test_turned_image_is_turned_upright(tmp_path):
    array = np.zeros((32, 64, 3), np.uint8)
    array[:, 32:] = 255  # the right half is white
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    (tmp_path / "clip").mkdir()
    Image.fromarray(array).save(tmp_path / "clip" / "0.png", exif=exif)
    frames = reader(size=(64, 32), n_frames=1).fit_transform([tmp_path / "clip"])
    assert frames[0, :, :, :32].max() == 0 and frames[0, :, :, 32:].min() == 1


def test_size_of_one_number_is_a_square(tmp_path):
    path = write_folder(tmp_path / "clip", grey_frames(3))
    transformer = VideoFrames(size=8).fit([path])
    assert transformer.size_ == (8, 8)
    assert transformer.transform([path]).shape == (1, 3, 3, 8, 8)
    assert VideoFrames().fit_transform([path]).shape == (1, 3, 3, 224, 224)


@pytest.fixture
def clips(tmp_path):
    """Six clips of 20 frames, half of them videos."""
    videos = [write_video(tmp_path / f"v{i}.avi", grey_frames(20)) for i in range(3)]
    return videos + [write_folder(tmp_path / f"f{i}", grey_frames(20)) for i in range(3)]


def test_random_frames_depend_on_seed_and_name_only(clips, tmp_path):
    kind = {"sampling": "random", "n_frames": 4, "fps": 10}
    first = positions(clips, **kind)
    assert first == positions(clips, **kind) == positions(clips, n_jobs=2, **kind)
    assert first[::-1] == positions(clips[::-1], **kind)
    assert first[4:5] == positions(clips[4:5], **kind)
    assert all(sorted(set(row)) == row for row in first)  # in the order of time, none twice
    assert len(set(map(tuple, first))) == len(clips)
    assert first != positions(clips, random_state=1, **kind)
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for path in clips:
        os.rename(path, moved / Path(path).name)
    assert first == positions([str(moved / Path(path).name) for path in clips], **kind)


def test_random_selection_is_uniform():
    counts = np.zeros(5)
    for i in range(2000):
        counts[video._choose(5, 2, [0, i], False)] += 1
    # 800 each; the standard deviation is 22.
    assert abs(counts - 800).max() < 90


def test_short_clip(tmp_path):
    good = write_video(tmp_path / "good.avi", grey_frames(20))
    # 0.5 s: frames at 0 and 1/3 s.
    short = write_video(tmp_path / "short.avi", grey_frames(5))
    folder = write_folder(tmp_path / "folder", grey_frames(1, 255))
    for sampling in ("uniform", "random"):
        assert positions([short], n_frames=4, sampling=sampling) == [[0, 3, 3, 3]]
    assert positions([folder], sampling="random") == [[0, 0, 0]]
    with pytest.raises(
        ValueError, match=r"sample 1, .*short\.avi.*has 2 frames, fewer than n_frames=3"
    ):
        reader(short="error").fit_transform([good, short])
    with pytest.raises(
        ValueError, match=r"sample 0, .*folder.*has 1 frames, fewer than n_frames=3"
    ):
        reader(short="error").fit_transform([folder])


def write_record(path):
    """Sound with a picture of its cover, which FFmpeg counts as a video."""
    with av.open(str(path), "w") as container:
        sound = container.add_stream("flac", rate=8000)
        cover = container.add_stream("mjpeg", rate=1)
        cover.width = cover.height = 32
        cover.pix_fmt = "yuvj420p"
        cover.disposition = 0x400  # an attached picture
        picture = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
        container.mux(cover.encode(picture) + cover.encode())
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4096), "i2"), "s16", "mono")
        frame.sample_rate = 8000
        resampler = av.AudioResampler(format="s16", layout=sound.layout.name, rate=8000)
        for part in resampler.resample(frame):
            container.mux(sound.encode(part))
        container.mux(sound.encode())


def broken(tmp_path, kind):
    path = tmp_path / f"{kind}.mp4"
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "noise":
        path.write_bytes(np.random.RandomState(0).bytes(5000))
    elif kind == "cut":
        write_video(path, grey_frames(20), codec="mpeg4", pix_fmt="yuv420p")
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif kind == "text":  # which FFmpeg would draw
        path = tmp_path / "text.txt"
        path.write_text("hello\n" * 100)
    elif kind == "image":
        path = tmp_path / "image.png"
        Image.new("RGB", (8, 8)).save(path)
    elif kind == "sound":
        path = tmp_path / "sound.wav"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("pcm_s16le", rate=8000)
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), "i2"), "s16", "mono")
            frame.sample_rate = 8000
            container.mux(stream.encode(frame))
            container.mux(stream.encode())
    elif kind == "record cover":
        path = tmp_path / "record.flac"
        write_record(path)
    elif kind == "no images":
        path.mkdir()
    elif kind == "bad image":
        write_folder(path, grey_frames(3))
        (path / "frame1.png").write_bytes(b"no image")
    elif kind == "deep image":
        write_folder(path, grey_frames(2))
        Image.fromarray(np.full((8, 8), 40000, np.uint16)).save(path / "frame2.png")
    return path


BROKEN = {
    "missing": "no such file",
    "empty": "is empty",
    "noise": "",
    "cut": "",
    "text": "not a video",
    "image": "not a video",
    "sound": "only audio",
    "record cover": "only audio",
    "no images": "no images",
    "bad image": "frame1.png",
    "deep image": "frame2.png.*8 bits",
}


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.parametrize("n_jobs", [None, 2])
def test_unreadable_sample_is_named(tmp_path, kind, n_jobs):
    good = write_folder(tmp_path / "good", grey_frames(3, 255))
    bad = broken(tmp_path, kind)
    name = f"sample 2, '.*{bad.name}': .*{BROKEN[kind]}"
    with pytest.raises(ValueError, match=name):
        reader(n_jobs=n_jobs).fit_transform([good, good, bad, good])
    with pytest.warns(UserWarning, match=f"1 of 4 samples(.|\n)*{name}") as caught:
        frames = reader(n_jobs=n_jobs, on_error="zeros").fit_transform([good, good, bad, good])
    assert len(caught) == 1
    assert frames.any(axis=(1, 2, 3, 4)).tolist() == [True, True, False, True]
    with pytest.warns(UserWarning, match="are NaN"):
        missing = reader(n_jobs=n_jobs, on_error="missing").fit_transform([good, bad])
    assert np.isnan(missing).all(axis=(1, 2, 3, 4)).tolist() == [False, True]


def test_errors_of_several_samples_make_one_warning(tmp_path):
    paths = [tmp_path / f"m{i}.mp4" for i in range(3)]
    with pytest.warns(UserWarning) as caught:
        assert not reader(on_error="zeros").fit(paths).transform(paths).any()
    assert len(caught) == 1 and caught[0].filename == __file__
    assert all(path.name in str(caught[0].message) for path in paths)
    with pytest.raises(ValueError, match="sample 0"):  # the first, however many at once
        reader(n_jobs=2).fit_transform(paths)


@pytest.mark.parametrize("on_error", ["zeros", "missing"])
def test_no_readable_sample_is_an_error_when_training(tmp_path, on_error):
    paths = [tmp_path / f"m{i}.mp4" for i in range(3)]
    with pytest.raises(ValueError, match=r"none of the 3 samples can be read(.|\n)*m0(.|\n)*m2"):
        reader(on_error=on_error).fit_transform(paths)
    with pytest.raises(ValueError, match=r"'video', VideoFrames: VideoFrames: none of the 3"):
        ModalityTransformer({"video": reader(on_error=on_error)}).fit_transform({"video": paths})


def test_error_names_the_modality(tmp_path):
    X = {"video": np.array([str(tmp_path / "missing.mp4")]), "x": np.zeros((1, 2))}
    with pytest.raises(ValueError, match=r"'video', VideoFrames: sample 0, .*missing"):
        ModalityTransformer({"video": reader()}).fit_transform(X)


@pytest.mark.parametrize(
    ("params", "accepted"),
    [
        ({"n_frames": 0}, "an int in [1, inf)"),
        ({"n_frames": 2.0}, "an int in [1, inf)"),
        ({"n_frames": True}, "an int in [1, inf)"),
        ({"fps": 0}, "None or a float in (0, inf)"),
        ({"fps": "3"}, "None or a float in (0, inf)"),
        ({"fps": float("nan")}, "None or a float in (0, inf)"),
        ({"size": 0}, "height, width"),
        ({"size": (8,)}, "height, width"),
        ({"size": (8, 8.5)}, "height, width"),
        ({"size": "ab"}, "height, width"),
        ({"size": None}, "height, width"),
        ({"sampling": "first"}, "one of 'uniform', 'random'"),
        ({"normalize": "resnet"}, "None or 'imagenet'"),
        ({"normalize": [1]}, "None or 'imagenet'"),
        ({"short": "loop"}, "one of 'repeat', 'error'"),
        ({"on_error": "drop"}, "one of 'raise', 'zeros', 'missing'"),
        ({"random_state": -1}, "an int in [0, inf)"),
        ({"random_state": None}, "an int in [0, inf)"),
        ({"n_jobs": 0}, "None or an int in [1, inf)"),
        ({"n_jobs": 1.5}, "None or an int in [1, inf)"),
        ({"verbose": "yes"}, "a bool"),
    ],
)
def test_parameters_are_checked_at_fit(params, accepted):
    ((name, value),) = params.items()
    with pytest.raises(ValueError) as raised:
        VideoFrames(**params).fit(["a.mp4"])
    message = str(raised.value)
    assert message.startswith(f"The '{name}' parameter of VideoFrames must be ")
    assert accepted in message and f" Got {value!r}" in message


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        ("a.mp4", ValueError, "one path"),
        ([], ValueError, "n_samples"),
        (np.array([["a.mp4", "b.mp4"]]), ValueError, r"\(1, 2\)"),
        (["a.mp4", None], TypeError, "sample 1 is None"),
        (["a.mp4", float("nan")], TypeError, "sample 1 is nan"),
        (np.zeros(3), TypeError, "sample 0 is 0.0"),
        (["a.mp4", ""], TypeError, "sample 1 is ''"),
    ],
)
def test_samples_are_checked_at_fit(X, error, message):
    with pytest.raises(error, match=message):
        VideoFrames().fit(X)


def test_containers_of_paths(clips):
    pd = pytest.importorskip("pandas")
    expected = reader().fit_transform(clips)
    table = pd.DataFrame({"path": clips})
    for X in (
        np.array(clips),
        [Path(p) for p in clips],
        table,
        table["path"],
        [[p] for p in clips],
    ):
        np.testing.assert_array_equal(reader().fit_transform(X), expected)


def test_clone_and_parameters():
    params = VideoFrames(size=(4, 6), sampling="random").get_params()
    assert params == clone(VideoFrames(**params)).get_params()
    assert params["size"] == (4, 6) and params["fps"] == 3
    assert VideoFrames().__sklearn_tags__().input_tags.string


def test_verbose_shows_progress(clips, capsys):
    reader().fit_transform(clips)
    assert capsys.readouterr().err == ""
    reader(verbose=True).fit_transform(clips)
    assert "6/6" in capsys.readouterr().err


def test_pipeline_with_memory_reads_once(clips, tmp_path, monkeypatch):
    read = []
    original = video.read_clip

    def count(path, *args):
        read.append(path)
        return original(path, *args)

    monkeypatch.setattr(video, "read_clip", count)
    X = ModalityDict({"video": np.array(clips)})
    pipe = make_pipeline(
        ModalityTransformer({"video": reader()}),
        FunctionTransformer(lambda X: X["video"]),
        memory=str(tmp_path / "cache"),
    )
    first = pipe.fit(X).transform(X)
    n_read = len(read)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clone(pipe).fit(X)
    assert n_read == 12 and len(read) == 12  # transform itself is not cached by scikit-learn
    np.testing.assert_array_equal(first, reader().fit_transform(clips))
    clone(pipe).set_params(modalitytransformer__video__fps=5).fit(X)
    assert len(read) == 24


@pytest.mark.parametrize(("name", "step"), [("av", "transform"), ("PIL.Image", "fit")])
def test_missing_library_is_named(clips, monkeypatch, name, step):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=rf"VideoFrames needs {name}.*inforeg-sk\[video\]"):
        getattr(reader(on_error="zeros").fit(clips) if step == "transform" else reader(), step)(
            clips
        )


@pytest.mark.slow
def test_into_resnet18(tmp_path):
    paths = [write_video(tmp_path / f"{i}.avi", grey_frames(10, 3 * i)) for i in range(8)]
    X = ModalityDict({"video": np.array(paths), "x": np.arange(16.0).reshape(8, 2)})
    y = np.arange(8) % 2
    pipe = make_pipeline(
        ModalityTransformer({"video": VideoFrames(size=32)}),
        MultimodalClassifier(
            encoders={"video": "resnet18"}, max_epochs=1, batch_size=4, random_state=0
        ),
    )
    assert pipe.fit(X, y).predict(X).shape == (8,)
    encoder = pipe[-1].module_.encoders["video"]
    assert type(encoder).__name__ == "ResNet18Encoder"


def test_set_output_reaches_the_step_behind(tmp_path):
    folder = write_folder(tmp_path / "clip", grey_frames(3, 255))
    flat = FunctionTransformer(lambda x: x[:, 0, 0, 0])
    pipe = make_pipeline(reader(), flat, StandardScaler()).set_output(transform="default")
    assert pipe.fit_transform([folder, folder]).shape[0] == 2
    assert reader().set_output(transform="pandas").fit_transform([folder]).shape[0] == 1
