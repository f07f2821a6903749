"""Small folders in the layouts of CREMA-D and Kinetics-Sounds, made of sounds and encoded clips."""

import shutil
from pathlib import Path

import numpy as np

SOUNDS = Path(__file__).resolve().parent / "data" / "crema_d"
EMOTIONS = ["NEU", "HAP", "SAD", "FEA", "DIS", "ANG"]
# By label: clips of two films each. 11 characters, as YouTube's names have.
FILMS = {16: ["synthetic-a", "synthetic_b"], 25: ["synthetic-c", "-ynthetic-d"]}


def picture(label, i, size=(32, 40)):
    """A frame with a bar whose place goes by the label, and whose colour by time."""
    frame = np.full((*size, 3), 40, np.uint8)
    frame[:, 4 + 6 * (label % 6) : 10 + 6 * (label % 6)] = 120 + 10 * i
    return frame


def write_video(path, label, n_frames=12, fps=10):
    """Encode a clip of `n_frames`; .flv has the codec of CREMA-D's files."""
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("flv" if path.suffix == ".flv" else "mpeg4", rate=fps)
        stream.height, stream.width, stream.pix_fmt = 32, 40, "yuv420p"
        for i in range(n_frames):
            frame = av.VideoFrame.from_ndarray(picture(label, i), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def write_frames(folder, label, n_frames=3):
    """The frames of a clip as images."""
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    for i in range(n_frames):
        Image.fromarray(picture(label, i)).save(folder / f"{i:05d}.jpg")


def touch(*paths):
    """Empty files, for loaders that open none."""
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def make_crema_d(folder, video=write_video):
    """Sounds, lists and videos of 24 clips; `video` is called with a path and a label."""
    shutil.copytree(SOUNDS, folder, dirs_exist_ok=True)
    for sound in sorted((folder / "AudioWAV").iterdir()):
        label = EMOTIONS.index(sound.stem.split("_")[2])
        video(folder / "VideoFlash" / f"{sound.stem}.flv", label)
    return folder


def make_kinetics_sounds(folder, video=write_frames):
    """Clips of 2 classes in folders with frames and wav: 8 in train, 4 in test."""
    sounds = sorted((SOUNDS / "AudioWAV").glob("1003*"))
    lines = {"train": [], "test": []}
    for label, films in FILMS.items():
        for film in films:
            for i, start in enumerate((0, 7, 125)):
                # The published lists name clips in these two ways.
                part = "test" if i == 2 else "train"
                name = f"{film}_{start:06d}_{start + 10:06d}"
                listed = name if part == "train" else f"{film}_{start}"
                lines[part].append(f"{listed},10,{label}\n")
                video(folder / part / name, label)
                shutil.copy(sounds[i + (label == 25)], folder / part / name / f"{name}.wav")
    for part, text in lines.items():
        (folder / f"my_{part}.txt").write_text("".join(text))
    return folder
