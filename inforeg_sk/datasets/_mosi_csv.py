"""Reading of the csv files of CMU-MOSI that were published with bc-LSTM."""

import csv
import hashlib
from array import array

import numpy as np
from sklearn.utils import Bunch

from ..data.container import ModalityDict
from ..utils.files import (
    BadFile,
    UnreadableFileError,
    check_file,
    check_size,
    named,
    shorten,
)
from ._home import find_home, first_present

__all__ = ["CSV_PARTS", "load_csv"]

_MODALITIES = ("text", "audio", "video")
CSV_PARTS = ("train", "test")
_TARGET_NAMES = ("negative", "positive")
_TRANSCRIPTS = "transcripts.csv"
# transcripts.csv numbers the 93 videos; the published split is the first 62 against the rest.
_N_TRAIN_VIDEOS = 62

_KIND = "a csv file of CMU-MOSI"
_LONGEST_ROW = 2**20  # characters; the published rows have some thousand
_LONGEST_ID = 256  # characters; an array of texts takes four bytes for each, in every row
_CELLS_SHOWN = 6  # in a message
_ROW = 512  # bytes that a row of transcripts.csv takes beyond its texts
_CHUNK = 2**20

# SHA-256 of the published files (commit 111b401d867c of the source).
_SHA256 = {
    "audio_test0.csv": "ddd17eeefd3d951d51d4e2ef8a0d132652d8161e1886f71eb7262b7a14bffff6",
    "audio_train0.csv": "5435398a54664e7b00304587dc59ae84a438852be033c2a2fba779588624a2a1",
    "text_test0.csv": "a343e22272919d1384c2075dbcdd5fef5aa9f9366b0552a83f7c3147b64b047a",
    "text_train0.csv": "cc327045db6cc361a08b4037b97bb24de4ddb5efb381468c4835cc4a60674668",
    "transcripts.csv": "e7689e6d70720addd2a6b316419d245a68839c32b014ff426c406063ee777466",
    "video_test0.csv": "cab836253d81100f59d533fa2ff65cd53c486be3ec9fd82203c5e25a7a77265f",
    "video_train0.csv": "b6efc0413132d627efd06f67f1706830e775e90af9a75696f535c48dbc73f12f",
}

_HOW_TO_GET = (
    "Nothing is downloaded: get the folder bc-LSTM/data of the GitHub repository "
    "declare-lab/multimodal-deep-learning (its transcripts.csv gives the groups) and pass it as "
    "data_home, or name it in the environment variable INFOREG_SK_DATA."
)

_DESCR = """\
CMU-MOSI utterance features (bc-LSTM)
-------------------------------------

Opinion utterances cut from 93 YouTube movie reviews, each labelled negative (0) or positive (1).

:Samples: 2199 utterances; 1447 train (62 videos), 752 test (the 31 others)
:Modalities: text 100, audio 73, video 100 features; the columns have no published names
:Classes: train 738 negative, 709 positive; test 285 negative, 467 positive (majority .621)
:Order: train before test; in each, the positive utterances come first: shuffle when splitting
:Source: folder bc-LSTM/data of https://github.com/declare-lab/multimodal-deep-learning
:Licence: MIT for the repository; none is stated for the features

Known leak: the text and video features were extracted by networks trained on the training
labels, so cross-validation inside train looks far too good. Logistic regression, 5 folds of
whole videos inside train against test: text .98 and .75, video .91 and .52, audio .52 and .56.
Do not select models on these features by cross-validation; select on something else, such as
the published test split (and report that you did) or your own features: `transcripts` has no
such leak (tf-idf: .70 and .69).

32 video columns are constant and 79 % of the video values are zero.

Files that are not the published ones, by their SHA-256: {altered}.

References: Zadeh, Zellers, Pincus and Morency (2016), "MOSI: Multimodal Corpus of Sentiment
Intensity and Subjectivity Analysis in Online Opinion Videos", arXiv:1606.06259. Poria, Cambria,
Hazarika, Majumder, Zadeh and Morency (2017), "Context-Dependent Sentiment Analysis in
User-Generated Videos", ACL 2017.
"""

_NO_TRANSCRIPTS = (
    f"\nThere is no {_TRANSCRIPTS} in the folder of the features, so groups, utterance_ids and "
    "transcripts are None.\n"
)


def load_csv(data_home, split, return_X_y, reading):
    """Return the `Bunch`, or its data and target, of `load_cmu_mosi` with ``features="csv"``."""
    parts = CSV_PARTS if split is None else (split,)
    home, folder, looked = _find_folder(data_home)

    features, labels, read = {name: [] for name in _MODALITIES}, [], []
    for part in parts:
        paths = {
            m: _find_file(home, folder, looked, m, f"{m}_{part}0.csv", reading.follow_links)
            for m in _MODALITIES
        }
        tables = {m: _call(reading, _read_features, path) for m, path in paths.items()}
        read += paths.values()
        labels.append(_common_labels(folder, {paths[m].name: y for m, (_, y) in tables.items()}))
        for name, (X, _) in tables.items():
            if features[name] and features[name][0].shape[1] != X.shape[1]:
                raise UnreadableFileError(
                    f"Modality {name!r} has {features[name][0].shape[1]} features in train and "
                    f"{X.shape[1]} in test ({folder})."
                )
            features[name].append(X)

    data = ModalityDict({name: np.concatenate(X) for name, X in features.items()})
    target = np.concatenate(labels)
    if return_X_y:
        return data, target

    ids = words = groups = None
    transcripts = first_present([folder / _TRANSCRIPTS], home, reading.follow_links)
    if transcripts is not None:
        rows = _call(reading, _read_transcripts, transcripts)
        read.append(transcripts)
        aligned = [
            row
            for part, y in zip(parts, labels, strict=True)
            for row in _align(transcripts, rows, part, y)
        ]
        ids = np.array([utterance for utterance, *_ in aligned])
        words = np.array([text for _, text, *_ in aligned], dtype=object)
        groups = np.array([utterance.rpartition("_")[0] for utterance in ids])

    altered = [path.name for path in read if _call(reading, _sha256, path) != _SHA256[path.name]]
    n_train = len(labels[0]) if parts[0] == "train" else 0
    return Bunch(
        data=data,
        target=target,
        target_names=np.array(_TARGET_NAMES),
        groups=groups,
        utterance_ids=ids,
        transcripts=words,
        train_indices=np.arange(n_train),
        test_indices=np.arange(n_train, len(target)),
        altered=altered,
        DESCR=_DESCR.format(altered=", ".join(altered) or "none")
        + (_NO_TRANSCRIPTS if groups is None else ""),
    )


def _call(reading, function, path):
    """Return ``function(path, max_bytes)``, with the file named in every error."""
    with named(path, _KIND):
        return reading.call(function, path, reading.max_bytes)


def _find_folder(data_home):
    """Return `data_home`, the folder of the csv files and the folders that were considered."""
    what = "text_train0.csv and the other CMU-MOSI files"
    home = find_home("data_home", data_home, what, _HOW_TO_GET)
    looked = [home, home / "cmu_mosi"]
    names = [(m, f"{m}_{part}0.csv") for m in _MODALITIES for part in CSV_PARTS]
    for folder in looked:
        places = [place for m, n in names for place in (folder / n, folder / m / n)]
        if first_present(places, home, follow_links=True) is not None:
            return home, folder, [folder]
    return home, home, looked


def _find_file(home, folder, looked, modality, name, follow_links):
    """Return the path of a csv file, which may be in a folder of its modality."""
    path = first_present([folder / name, folder / modality / name], home, follow_links)
    if path is not None:
        return path
    places = ", ".join(str(place) for base in looked for place in (base, base / modality))
    raise FileNotFoundError(f"{name} is not in any of: {places}. {_HOW_TO_GET}")


def _sha256(path, max_bytes):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


class _Lines:
    """The lines of a text file for `csv.reader`, which joins those of a row in quotes.

    `used` counts the characters since the last row; the caller sets it to 0 at each.
    """

    def __init__(self, file):
        self.file = file
        self.used = 0

    def __iter__(self):
        return self

    def __next__(self):
        line = self.file.readline(_LONGEST_ROW - self.used + 1)
        self.used += len(line)
        if self.used > _LONGEST_ROW:
            raise BadFile(f"a row is longer than {_LONGEST_ROW} characters.")
        if not line:
            raise StopIteration
        return line


def _rows(path):
    """Yield the number of each row that is not blank, and its cells."""
    check_file(path)
    number = 0
    with open(path, newline="", encoding="utf-8") as file:
        lines = _Lines(file)
        try:
            for cells in csv.reader(lines):
                lines.used = 0
                if cells:
                    number += 1
                    yield number, cells
        except (csv.Error, BadFile) as error:
            raise UnreadableFileError(f"{path}, after row {number}: {error}") from error
        except UnicodeDecodeError as error:
            raise UnreadableFileError(
                f"{path}: the text is not UTF-8 (byte {error.object[error.start]:#x})."
            ) from error


def _read_features(path, max_bytes):
    """Return the features (float64) and the labels (int64) of one csv file."""
    with named(path, _KIND):
        return _split_table(path, _read_table(path, max_bytes))


def _read_table(path, max_bytes):
    """Return the numbers of a csv file."""
    numbers, width = array("d"), None  # 8 bytes each
    for row, cells in _rows(path):
        try:
            numbers.extend(map(float, cells))
        except ValueError:
            column = next(i for i, cell in enumerate(cells) if not _is_number(cell))
            raise UnreadableFileError(
                f"{path}, row {row}, column {column + 1}: expected a number, got "
                f"{shorten(repr(cells[column]))}."
            ) from None
        if len(cells) < 2 or (width is not None and len(cells) != width):
            raise UnreadableFileError(
                f"{path}, row {row}: expected {width or 'at least 2'} columns (the features, then "
                f"the label), got {len(cells)}."
            )
        width = len(cells)
        check_size(f"its content, up to row {row},", 8 * len(numbers), max_bytes)
    if width is None:
        raise BadFile("it holds no rows.")
    return np.frombuffer(numbers).reshape(-1, width)


def _split_table(path, table):
    """Return the features and the labels, checked."""
    if not np.isfinite(table).all():
        row, column = np.argwhere(~np.isfinite(table))[0]
        raise UnreadableFileError(
            f"{path}, row {row + 1}, column {column + 1}: expected a finite number, got "
            f"{table[row, column]}."
        )
    labels = table[:, -1]
    if not np.isin(labels, (0, 1)).all():
        row = np.flatnonzero(~np.isin(labels, (0, 1)))[0]
        raise UnreadableFileError(
            f"{path}, row {row + 1}: the last column is the label, 0 or 1; got {labels[row]:g}."
        )
    return np.ascontiguousarray(table[:, :-1]), labels.astype(np.int64)


def _is_number(cell):
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _common_labels(folder, labels):
    """Return the labels that all files, ``{file: labels}``, share."""
    if len({len(y) for y in labels.values()}) > 1:
        counts = ", ".join(f"{name} has {len(y)}" for name, y in labels.items())
        raise UnreadableFileError(f"{folder}: The files have different numbers of rows: {counts}.")
    (first, y_first), *others = labels.items()
    for name, y in others:
        if not np.array_equal(y, y_first):
            row = np.flatnonzero(y != y_first)[0]
            raise UnreadableFileError(
                f"{folder}: Labels disagree: row {row + 1} is {y_first[row]} in {first} and "
                f"{y[row]} in {name}; the files must list the same utterances in the same order."
            )
    return y_first


def _read_transcripts(path, max_bytes):
    """Return the rows (utterance id, words, number of the video, label) of transcripts.csv."""
    with named(path, _KIND):
        rows, n_bytes = [], 0
        for number, cells in _rows(path):
            try:
                utterance, words, video, label = cells
                row = (utterance, words, int(video), int(label))
            except ValueError:
                row = ("", "", 0, -1)
            if not _is_utterance(row[0]) or row[3] not in (0, 1):
                raise UnreadableFileError(
                    f"{path}, row {number}: expected an utterance id such as "
                    f"'03bSnISJMiM_11' (at most {_LONGEST_ID} characters), its words, the number "
                    "of the video and a label 0 or 1; got "
                    f"{shorten(repr(cells[:_CELLS_SHOWN]))}."
                )
            n_bytes += 4 * (len(utterance) + len(words)) + _ROW
            check_size(f"its content, up to row {number},", n_bytes, max_bytes)
            rows.append(row)
        return rows


def _is_utterance(text):
    return "_" in text and "\0" not in text and len(text) <= _LONGEST_ID


def _align(path, rows, part, labels):
    """Return the rows of transcripts.csv in the order of the feature files of one part."""
    rows = [row for row in rows if (row[2] <= _N_TRAIN_VIDEOS) == (part == "train")]
    if len(rows) != len(labels):
        videos = f"1 to {_N_TRAIN_VIDEOS}" if part == "train" else f"from {_N_TRAIN_VIDEOS + 1}"
        raise UnreadableFileError(
            f"{path} has {len(rows)} utterances of the {part} videos (numbered {videos}) "
            f"but the {part} files have {len(labels)} rows."
        )
    rows = sorted(rows, key=lambda row: -row[3])  # stable: file order within a class
    expected = np.array([row[3] for row in rows])
    if not np.array_equal(expected, labels):
        at = np.flatnonzero(expected != labels)[0]
        raise UnreadableFileError(
            f"Labels disagree: row {at + 1} of the {part} files is {labels[at]}, but by "
            f"{path} it is utterance {rows[at][0]} with label {expected[at]}."
        )
    return rows
