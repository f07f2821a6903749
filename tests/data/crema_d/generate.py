"""Make the small sounds and lists beside this file, in the layout of CREMA-D.

    python tests/data/crema_d/generate.py

No recording of a person: 24 synthetic tones of 0.3 s (8 bits, mono, 16 kHz), one for each of four
actors and six emotions. The pitch goes by the emotion, with an actor's own offset, overtones and
noise of a fixed seed. The lists share actors, as the published ones do.
"""

import wave
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
RATE = 16000
EMOTIONS = ["NEU", "HAP", "SAD", "FEA", "DIS", "ANG"]
# Sentence and level by actor. With the loader's default split by actors 1003 is in test and 1067
# in validation.
ACTORS = {1003: ("WSI", "XX"), 1067: ("TSI", "XX"), 1081: ("DFA", "XX"), 1085: ("IEO", "HI")}


def clips():
    """Names of the clips, by actor and emotion."""
    for actor, (sentence, level) in ACTORS.items():
        for emotion in EMOTIONS:
            yield f"{actor}_{sentence}_{emotion}_{'XX' if emotion == 'NEU' else level}"


def sound(name):
    """Samples of one clip as unsigned bytes."""
    actor, _, emotion, _ = name.split("_")
    pitch = 150 * 1.4 ** EMOTIONS.index(emotion) + (int(actor) - 1000) / 5
    seconds = np.arange(int(0.3 * RATE)) / RATE
    tone = sum(np.sin(2 * np.pi * pitch * k * seconds) / k for k in (1, 2, 3))
    noise = np.random.RandomState(int(actor)).normal(size=len(seconds))
    samples = np.hanning(len(seconds)) * (0.4 * tone + 0.05 * noise)
    return np.clip(np.rint(128 + 127 * samples), 0, 255).astype(np.uint8)


def main():
    folder = HERE / "AudioWAV"
    folder.mkdir(exist_ok=True)
    names = list(clips())
    for name in names:
        with wave.open(str(folder / f"{name}.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(1)
            file.setframerate(RATE)
            file.writeframes(sound(name).tobytes())
    # Another emotion of each actor in the test list, and one more: 18 and 6.
    test = [names[i] for i in (0, 5, 7, 14, 16, 21)]
    train = [name for name in reversed(names) if name not in test]
    for part, listed in (("train", train), ("test", test)):
        lines = [f"{name},{name.split('_')[2]}\n" for name in listed]
        (HERE / f"{part}.csv").write_text("".join(lines))


if __name__ == "__main__":
    main()
