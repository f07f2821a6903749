"""Reading of CMU-MOSI from the computational sequences (HDF5) of the CMU Multimodal SDK."""

import math
import os
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..utils.callers import warn_caller
from ..utils.files import BadFile, check_inside, check_size, named, shorten
from ..utils.parameters import InvalidParameterError
from ..utils.suggestions import did_you_mean
from ._csd import open_sequence
from ._home import find_home
from ._mosi_bunch import PARTS, check_sentiment, choose_rows, make_bunch

__all__ = ["load_sequences"]

# The names in the SDK's list first, then older ones, then those of the aligned files that the SDK's
# example saves.
_FILES = {
    "text": (
        "CMU_MOSI_TimestampedWordVectors.csd",
        "CMU_MOSI_TimestampedWordVectors_1.1.csd",
        "glove_vectors.csd",
    ),
    "audio": ("CMU_MOSI_COVAREP.csd", "COVAREP.csd"),
    "video": (
        "CMU_MOSI_Visual_Facet_42.csd",
        "CMU_MOSI_Visual_Facet_41.csd",
        "CMU_MOSI_VisualFacet_4.1.csd",
        "FACET_4.2.csd",
        "FACET_4.1.csd",
    ),
}
_LABELS = ("CMU_MOSI_Opinion_Labels.csd", "Opinion Segment Labels.csd")
# Where the SDK puts the files, and their folders on its server.
_FOLDERS = ("", "cmu_mosi", "cmumosi", "CMU-MOSI")
_SUBFOLDERS = ("", "language", "acoustic", "visual", "labels")

_HOW_TO_GET = (
    "Nothing is downloaded: get the files with the CMU Multimodal SDK (GitHub "
    "CMU-MultiComp-Lab/CMU-MultimodalSDK, cmu_mosi.highlevel and cmu_mosi.labels) and pass their "
    "folder as data_home, or name it in the environment variable INFOREG_SK_DATA. If the files "
    "have other names, pass them as files."
)

# The standard folds of the SDK, by video.
_FOLDS = {
    "train": """
        2iD-tVS8NPw 8d-gEyoeBzc Qr1Ca94K55A Ci-AH39fi3Y 8qrpnFRGt2A Bfr499ggo-0 QN9ZIUWUXsY
        9T9Hf74oK10 7JsX8y1ysxY 1iG0909rllw Oz06ZWiO20M BioHAh1qJAQ 9c67fiY0wGQ Iu2PFX3z_1s
        Nzq88NnDkEk Clx4VXItLTE 9J25DZhivz8 Af8D0E4ZXaw TvyZBvOMOTc W8NXH0Djyww 8OtFthrtaJM
        0h-zjBukYpk Vj1wYRQjB-o GWuJjcEuzt8 BI97DNYfe5I PZ-lDQFboO8 1DmNV9C1hbY OQvJTdtJ2H4
        I5y0__X72p0 9qR7uwkblbs G6GlGvlkxAQ 6_0THN4chvY Njd1F0vZSm4 BvYR0L6f2Ig 03bSnISJMiM
        Dg_0XKD0Mf4 5W7Z1C_fDaE VbQk4H8hgr0 G-xst2euQUc MLal-t_vJPM BXuRRbG0Ugk LSi-o-IrDMs
        Jkswaaud0hk 2WGyTLYerpo 6Egk_28TtTM Sqr0AcuoNnk POKffnXeBds 73jzhE8R1TQ OtBXNcAL_lE
        HEsqda8_d0Q VCslbP0mgZI IumbAb8q2dM
    """.split(),
    "validation": """
        WKA5OygbEKI c5xsKMxpXnc atnd_PF-Lbs bvLlb-M3UXU bOL9jKpeJRs _dI--eQ6qVU ZAIRrfG22O0
        X3j2zQgwYgE aiEXnCPZubE ZUXBRvtny7o
    """.split(),
    "test": """
        tmZoasNr4rU zhpQhgha_KU lXPQBPVc5Cw iiK8YX8oH1E tStelxIAHjw nzpVDcQ0ywM etzxEpPuc6I
        cW1FSBF59ik d6hH302o4v8 k5Y_838nuGo pLTX3ipuDJI jUzDDGyPkXU f_pcplsH_V0 yvsjCA6Y5Fc
        nbWiPyCm4g0 rnaNMUZpvvg wMbj6ajWbic cM3Yna7AavY yDtzw_Y-7RU vyB00TXsimI dq3Nf_lMPnE
        phBUpBr1hSo d3_k5Xpfmik v0zCBqDeKcE tIrG4oNLFzE fvVhgmXxadc ob23OKe5a9Q cXypl4FnoZo
        vvZ4IcEtiZc f9O3YtZ2VfI c7UH_rxdZv4
    """.split(),
}
_PART_OF = {video: part for part, videos in _FOLDS.items() for video in videos}

_EPSILON = 1e-5  # seconds; the SDK takes closer times as equal
_LABEL_BYTES = 500  # memory that a labelled segment takes

_NOTES = """\
Files: {files}.
The steps of an utterance are those whose interval overlaps that of the utterance, as the SDK aligns
to the labels; a file that is aligned to the labels has them already. Padding steps, NaN, are at the
end.
Utterances without any step, which have one of zeros: {empty}.
Utterances with more steps than n_steps, cut: {cut}.
Labelled segments without duration, left out: {n_dropped}."""


class _Segment(NamedTuple):
    video: str
    number: int
    start: float  # seconds
    end: float
    sentiment: float

    @property
    def name(self):
        return f"{self.video}[{self.number}]"  # as in the SDK

    @property
    def lasts(self):
        # The SDK's maintainers set the duration of withdrawn segments to 0, and it skips these.
        return abs(self.start - self.end) >= _EPSILON


def load_sequences(data_home, files, n_steps, split, target, drop_zeros, reading):
    """Return the `Bunch` of `load_cmu_mosi` with ``features="sdk"``."""
    names = _file_names(files)
    modalities = [name for name in names if name != "labels"]
    limits = _step_limits(n_steps, modalities)
    paths = _find_files(data_home, names, reading.follow_links)

    with named(paths["labels"], "an HDF5 file"):  # what a worker says of a crash names no file
        labelled, segments = reading.call(_read_segments, paths["labels"], reading.max_bytes)
    names_of_all = {segment.name for segment in labelled}
    origin = np.array([_PART_OF[segment.video] for segment in segments])
    sentiment = np.array([segment.sentiment for segment in segments])
    ids = np.array([segment.name for segment in segments])
    rows = choose_rows(origin, sentiment, split, drop_zeros)

    arrays, lengths, empty, cut = {}, {}, {}, {}
    for name in modalities:
        # The longest of all segments counts, so that a part is the same when loaded alone.
        with named(paths[name], "an HDF5 file"):
            arrays[name], found = reading.call(
                _read_modality,
                paths[name],
                names_of_all,
                segments,
                rows,
                limits[name],
                reading.max_bytes,
            )
        lengths[name] = np.minimum(found, arrays[name].shape[1])
        empty[name] = ids[rows][found == 0]
        cut[name] = int((found > lengths[name]).sum())
    return make_bunch(
        arrays,
        sentiment[rows],
        origin[rows],
        target,
        drop_zeros,
        groups=np.array([segment.video for segment in segments])[rows],
        utterance_ids=ids[rows],
        transcripts=None,
        annotations=None,
        lengths=lengths,
        empty=empty,
        files={name: str(path) for name, path in paths.items()},
        title="computational sequences (CMU Multimodal SDK)",
        source="GitHub CMU-MultiComp-Lab/CMU-MultimodalSDK, standard data set cmu_mosi",
        notes=_NOTES.format(
            files=", ".join(f"{name} {path.name}" for name, path in paths.items()),
            empty=", ".join(f"{name} {len(names)}" for name, names in empty.items()),
            cut=", ".join(f"{name} {n}" for name, n in cut.items()),
            n_dropped=sum(not segment.lasts for segment in labelled),
        ),
    )


def _file_names(files):
    """Return the possible names of each file, by modality and with ``"labels"``."""
    if files is None:
        return {**_FILES, "labels": _LABELS}
    if not set(files) - {"labels"}:
        raise InvalidParameterError(
            "The 'files' parameter of load_cmu_mosi must name at least one modality in addition to "
            f"'labels'. Got {files!r}."
        )
    return {"labels": _LABELS, **{name: (file,) for name, file in files.items()}}


def _step_limits(n_steps, modalities):
    """Return the number of steps, or None, of each modality."""
    limits = n_steps if isinstance(n_steps, Mapping) else dict.fromkeys(modalities, n_steps)
    unknown = [name for name in limits if name not in modalities]
    if unknown:
        raise InvalidParameterError(
            "The 'n_steps' parameter of load_cmu_mosi must name modalities of the data, "
            f"{', '.join(map(repr, modalities))}. Got {unknown[0]!r}"
            f"{did_you_mean(unknown[0], modalities) or '.'}"
        )
    return {name: limits.get(name) for name in modalities}


def _find_files(data_home, names, follow_links):
    """Return the path of each file."""
    listed = ", ".join(str(candidates[0]) for candidates in names.values())
    home = find_home("data_home", data_home, f"the files {listed}", _HOW_TO_GET)
    folders = [home / folder / sub for folder in _FOLDERS for sub in _SUBFOLDERS]
    paths = {}
    for name, candidates in names.items():
        places = [folder / candidate for candidate in candidates for folder in folders]
        # A pipe is found, too, and refused by name when it is read.
        present = (x for x in places if os.path.exists(x) and not os.path.isdir(x))
        paths[name] = next(present, None)
        if paths[name] is None:
            bases = ", ".join(str(home / folder) for folder in _FOLDERS)
            raise FileNotFoundError(
                f"{' or '.join(map(str, candidates))} ({name}) is not in any of: {bases}, nor in "
                f"the folders {', '.join(_SUBFOLDERS[1:])} there. {_HOW_TO_GET}"
            )
        # A path that leads out of the folder by its own words is what the user means.
        if not any(Path(x).is_absolute() or ".." in Path(x).parts for x in candidates):
            check_inside(paths[name], home, follow_links)
    return paths


def _read_segments(path, max_bytes):
    """Return all labelled segments, and those to load, by part, video and number."""
    segments = []
    with open_sequence(path, max_bytes) as entries:
        n_labels = sum(len(entry.intervals) for entry in entries.values())
        check_size(f"the {n_labels} labels", n_labels * _LABEL_BYTES, max_bytes)
        for key, entry in entries.items():
            match = re.fullmatch(r"([^\[\]]+)(?:\[(\d+)\])?", key)
            shape = entry.features.shape
            if match is None or shape[1] != 1 or (match[2] and shape[0] != 1):
                raise BadFile(
                    f"{entry.where}: labels must belong to a video, such as '03bSnISJMiM', with "
                    "one per segment, or to one segment, such as '03bSnISJMiM[2]'; features has "
                    f"the shape {shape}."
                )
            numbers = [int(match[2])] if match[2] else range(shape[0])
            segments += [
                _Segment(match[1], number, *times, float(rating))
                for number, times, (rating,) in zip(
                    numbers, entry.intervals.tolist(), entry.read(), strict=True
                )
            ]
        (name, n), *_ = Counter(segment.name for segment in segments).most_common(1) or [("", 0)]
        if n > 1:
            raise BadFile(f"it labels the segment {name} twice.")

        kept = [s for s in segments if s.lasts]
        order = {video: i for i, video in enumerate(dict.fromkeys(s.video for s in kept))}
        outside = [video for video in order if video not in _PART_OF]
        if outside:
            warn_caller(
                f"{path}: {len(outside)} videos are not in the standard folds and are left out: "
                f"{', '.join(shorten(x, 40) for x in outside[:5])}"
                f"{', ...' if len(outside) > 5 else ''}."
            )
            kept = [s for s in kept if s.video in _PART_OF]
        if not kept:
            raise BadFile("it labels no segment of any video of the standard folds.")
        kept.sort(key=lambda s: (PARTS.index(_PART_OF[s.video]), order[s.video], s.number))
        check_sentiment(path, np.array([s.sentiment for s in kept]), [s.name for s in kept])
    return segments, kept


def _read_modality(path, names_of_all, segments, rows, limit, max_bytes):
    """Return the padded array of the segments in `rows`, and the number of steps of each."""
    with open_sequence(path, max_bytes) as entries:
        # A file that was aligned to the labels has their segments as keys. One that was aligned
        # to the words has more keys than there are segments, so its steps are chosen by time.
        aligned = set(entries) <= names_of_all
        keys = {}
        for key in entries:
            keys.setdefault(key if aligned else key.partition("[")[0], []).append(key)
        chosen, counts = _choose_steps(entries, keys, segments, aligned, limit, max_bytes)
        longest = max(counts)
        if not longest:
            raise BadFile(
                "it has no step in any labelled segment; it has keys such as "
                f"{next(iter(entries))!r}, and the labels have keys such as {segments[0].name!r}."
            )

        # float32 stays as it is. Numbers with the byte order of another machine become native.
        dtype = np.result_type(*{entry.features.dtype for entry in entries.values()})
        dtype = np.float32 if dtype.kind == "f" and dtype.itemsize <= 4 else np.float64
        n_steps = longest if limit is None else int(limit)
        width = next(iter(entries.values())).features.shape[1]
        shape = int(rows.sum()), n_steps, width
        _check_memory(math.prod(shape) * np.dtype(dtype).itemsize, max_bytes, shape)
        X = np.zeros(shape, dtype=dtype)
        units = {}
        for at, i in enumerate(np.flatnonzero(rows)):
            units.setdefault(segments[i].name if aligned else segments[i].video, []).append((at, i))
        for unit, wanted in units.items():  # one video in memory at a time
            if unit in keys:
                own = [entries[key] for key in keys[unit]]
                n_bytes = sum(x.features.size * x.features.dtype.itemsize for x in own)
                check_size(f"the features of {shorten(unit)}", n_bytes, max_bytes)
                features = np.concatenate([entry.read() for entry in own])
                for at, i in wanted:
                    steps = chosen[i][:n_steps]
                    with np.errstate(over="ignore"):  # infinite values are counted later
                        X[at, : len(steps)] = features[steps]
    return X, np.array(counts, dtype=np.int64)[rows]


def _choose_steps(entries, keys, segments, aligned, limit, max_bytes):
    """Return the positions of the steps of each segment, up to `limit`, and how many there are."""
    chosen, counts, ordered, n_bytes = [], [], {}, 0
    for segment in segments:
        unit = segment.name if aligned else segment.video
        if unit not in keys:
            steps = np.empty(0, np.int64)
        elif aligned:
            steps = np.arange(len(entries[unit].intervals))
        else:
            if unit not in ordered:
                times = np.concatenate([entries[key].intervals for key in keys[unit]])
                order = np.argsort(times[:, 0], kind="stable")
                ordered[unit] = order, times[order]
            order, times = ordered[unit]
            steps = order[_overlaps(times, segment)]
        counts.append(len(steps))
        chosen.append(steps if limit is None else steps[: int(limit)].copy())
        # Intervals of the same time can be in every segment.
        n_bytes += chosen[-1].nbytes
        _check_memory(n_bytes, max_bytes)
    return chosen, counts


def _check_memory(n_bytes, max_bytes, shape=None):
    """Raise if the steps of the utterances take too much memory; name the remedy."""
    if n_bytes > max_bytes:
        padded = f", padded to the shape {shape}," if shape else ""
        raise BadFile(
            f"its steps in the labelled segments{padded} would take {n_bytes} bytes of memory; "
            f"max_bytes={max_bytes} is the limit. Cut the utterances with n_steps, or raise "
            "max_bytes."
        )


def _overlaps(times, segment):
    """Return a mask of the steps in a segment, by the rule of the SDK's `align`.

    Step and segment may be apart by a rounding error, but must have more than that in common. The
    SDK also shortens the intervals, which are not needed any more.
    """
    start, end = times.T
    common = np.minimum(end, segment.end) - np.maximum(start, segment.start)
    meets = (segment.end - start > -_EPSILON) & (end - segment.start > -_EPSILON)
    return meets & (np.abs(common) > _EPSILON)
