"""Shared by crema_d.py and kinetics_sounds.py: the setting of the InfoReg paper, and the table.

ResNet-18 from scratch for sound and video, concatenation, SGD with learning rate 0.002, momentum
0.9, weight decay 1e-4, batches of 64, 50 epochs, a learning rate divided by 10 after 30 of them,
3 frames per clip. This is what the authors' code of November 2025 does; the paper itself states no
optimizer. Where this setting differs from their code:

- Their training crops and mirrors each frame at random, anew in each epoch, and draws the frames
  at random. Here the frames are read once: the middle ones of three equal parts, whole.
- They report the epoch that is best on the test part. Here it is the last one, and nothing is
  chosen on the test part.

Spectrograms and frames are read once and held in memory: 1.8 MB per clip at ``--size 224``, 13 GB
for CREMA-D; ``--size 112`` is a quarter of it. With ``--memory`` they are also kept on disk, for
the next run.
"""

import argparse
import sys
import time

import numpy as np
import torch
from joblib import Memory
from skorch.callbacks import LRScheduler

from inforeg_sk import InfoReg, ModalityTransformer, MultimodalClassifier, presets
from inforeg_sk.features import VideoFrames

METHODS = {
    "joint": {"alpha": 0.0, "unimodal_weight": 0.0},
    "joint*": {"alpha": 0.0, "unimodal_weight": 1.0},
    "inforeg": presets.method_settings(presets.PAPER),
    "inforeg*": presets.method_settings(presets.PAPER_STAR),
    "authors": presets.method_settings(
        presets.authors_code("audio", {"audio": 0.95, "video": 0.1})
    ),
}
COLUMNS = ("all", "audio", "video")


def parser(description):
    """Parser of the options that both scripts have."""
    options = argparse.ArgumentParser(description=description)
    add = options.add_argument
    add("root", nargs="?", help="folder of the clips; else $INFOREG_SK_DATA")
    add("--lists", help="folder of the lists of train and test, if it is another")
    add("--audio", default="auto", help="folder of the sounds in root")
    add("--video", default="auto", help="folder of the videos or frames in root")
    add("--missing", choices=["error", "drop", "allow"], default="error", help="clips not on disk")
    add("--method", nargs="+", choices=METHODS, default=list(METHODS), metavar="METHOD")
    add("--seeds", type=int, default=3, help="how many, from 0 on")
    add("--epochs", type=int, default=50)
    add("--batch-size", type=int, default=64)
    add("--size", type=int, default=224, help="height and width of the frames")
    add("--device", default="auto")
    add("--workers", type=int, default=1, help="clips read at once")
    add("--memory", help="folder to keep spectrograms and frames in")
    return options


def classifier(method, seed, args):
    """The paper's network and training, with one of `METHODS`."""
    return MultimodalClassifier(
        method=InfoReg(**METHODS[method]),
        encoders="resnet18",
        fusion="concat",
        prior_offset=False,
        standardize=False,
        optimizer=torch.optim.SGD,
        optimizer__momentum=0.9,
        optimizer__weight_decay=1e-4,
        lr=0.002,
        batch_size=args.batch_size,
        max_epochs=args.epochs,
        callbacks=[LRScheduler(torch.optim.lr_scheduler.StepLR, step_size=30, gamma=0.1)],
        device=args.device,
        random_state=seed,
        missing="allow" if args.missing == "allow" else "error",
    )


def load(loader, args, **settings):
    """Load the data set, or exit with a message that says what is missing."""
    try:
        return loader(
            args.root,
            lists=args.lists,
            audio=args.audio,
            video=args.video,
            missing=args.missing,
            **settings,
        )
    except FileNotFoundError as error:
        sys.exit(str(error))


def read(front_end, X):
    return front_end.fit_transform(X)


def run(name, bunch, sound, published, args):
    """Train each method with each seed, and print the table.

    Parameters
    ----------
    name : str
        Of the data set.
    bunch : Bunch
        As returned by the loaders.
    sound : transformer
        Front end of the sounds.
    published : dict of str to tuple of 3 float
        The paper's accuracies by method, in percent: of all, of audio and of video alone.
    args : argparse.Namespace
    """
    start = time.perf_counter()
    train, test = bunch.train_indices, bunch.test_indices
    frames = VideoFrames(n_frames=3, fps=3, size=args.size, n_jobs=args.workers)
    front_end = ModalityTransformer(
        {"audio": sound, "video": frames},
        padding_value=None,
        missing="allow" if args.missing == "allow" else "pass",
    )
    cached = Memory(args.memory, verbose=0).cache(read) if args.memory else read
    # These front ends learn nothing, so each part can be transformed by itself.
    X_train, X_test = cached(front_end, bunch.data[train]), cached(front_end, bunch.data[test])
    y_train, y_test = bunch.target[train], bunch.target[test]
    print(f"{name}: {len(train)} clips to train on, {len(test)} to test on")
    print(f"{X_train}, read in {time.perf_counter() - start:.0f} s\n")

    table = {}
    for method in args.method:
        rows = []
        for seed in range(args.seeds):
            start = time.perf_counter()
            model = classifier(method, seed, args).fit(X_train, y_train)
            alone = model.score_by_modality(X_test, y_test)
            rows.append([model.score(X_test, y_test), *(alone[x] for x in COLUMNS[1:])])
            seconds = time.perf_counter() - start
            print(f"{method}, seed {seed}: {seconds:.0f} s", file=sys.stderr, flush=True)
        table[method] = 100 * np.array(rows)

    print(f"Accuracy on the test part in %, after epoch {args.epochs}; seeds: {args.seeds}")
    print(f"{'':<10}" + "".join(f"{x:>15}" for x in COLUMNS) + "   published: all, audio, video")
    for method, rows in table.items():
        figures = " ".join(f"{x:6.2f}" for x in published.get(method, ())) or "-"
        print(f"{method:<10}{''.join(map(cell, rows.T))}   {figures}")
    frequent = 100 * np.bincount(y_test).max() / len(y_test)
    print(f"Always answering the test part's most frequent class gives {frequent:.1f}.")
    if published:
        print("The published figures are of single runs, at the epoch best on the test part.")


def cell(scores):
    """Mean and standard deviation over the seeds."""
    spread = f"+- {scores.std(ddof=1):4.1f}" if len(scores) > 1 else ""
    return f"{scores.mean():7.1f} {spread:<7}"
