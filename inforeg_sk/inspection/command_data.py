"""Data of the command line: modalities, target and groups from an npz or a csv file."""

import csv
import re
import zipfile
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..data.container import ModalityDict
from ..ensemble.experts import rows_with
from ..utils.suggestions import did_you_mean
from ._task import MOST_CLASSES

__all__ = ["CommandData", "CommandError", "infer_task", "read_data"]

_RANGE = re.compile(r"(\d*):(\d*)")
_POSITIONS = re.compile(r"[\d:,\s]+")
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")
_UNKNOWN = ("", "nan", "na", "n/a", "null")


class CommandError(Exception):
    """What the user got wrong; the command prints it without a traceback."""


class CommandData(NamedTuple):
    """What a file has.

    Parameters
    ----------
    X : ModalityDict
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
    groups : ndarray of shape (n_samples,) or None
    lacking : dict of str to int
        Of the modalities that samples lack: how many.
    notes : list of str
        What the user should know of how the file was read.
    """

    X: ModalityDict
    y: np.ndarray
    groups: np.ndarray | None
    lacking: dict
    notes: list


def read_data(path, target="y", groups=None, modalities=()):
    """Read a file.

    Parameters
    ----------
    path : str or Path
        An npz file of arrays, or a csv file whose first line has the names of the columns.
    target, groups : str
        Name of the array or column; `groups` may be None.
    modalities : sequence of str, default=()
        ``"name=columns"`` each, of a csv file: names, patterns such as ``text_*``, positions from 0
        and ranges such as ``0:300``, separated by commas. Of an npz file ``"array"`` or
        ``"name=array"``, or none for all arrays; or columns, if it has one 2-D array only.

    Returns
    -------
    CommandData

    Raises
    ------
    CommandError
    """
    path = Path(path)
    if not path.exists():
        raise CommandError(f"There is no file {str(path)!r}{_near(path)}")
    if path.is_dir():
        raise CommandError(f"{str(path)!r} is a folder; a file .npz or .csv is expected.")
    read = _READERS.get(path.suffix.lower())
    if read is None:
        raise CommandError(
            f"{str(path)!r} must be a file .npz (numpy.savez), .csv or .tsv. A single array is "
            "written as one by numpy.savez('data.npz', name=array, y=labels)."
        )
    source = read(path)
    y = source.beside(target, "target")
    own = None if groups is None else source.beside(groups, "groups")
    notes: list[str] = []
    X = source.modalities(_parsed(modalities), {target, groups} - {None}, len(y), notes)
    X = ModalityDict(X)
    lacking = {name: int((~rows_with(X, name)).sum()) for name in X}
    return CommandData(X, y, own, {m: n for m, n in lacking.items() if n}, notes)


def infer_task(y):
    """Whether a target is of classes or of numbers.

    Parameters
    ----------
    y : ndarray

    Returns
    -------
    {"classification", "regression"}

    Raises
    ------
    CommandError
        If it may be either.
    """
    if y.ndim > 1:
        if y.dtype.kind in "biuf" and np.isin(y, (0, 1)).all() and (y.sum(axis=1) == 1).all():
            raise CommandError(
                "The target has one 1 in each row, as classes in one-hot form have: save "
                "y.argmax(axis=1), or give --task regression."
            )
        return "regression"
    if y.dtype.kind not in "iuf":
        return "classification"
    if y.dtype.kind == "f" and (y != np.round(y)).any():
        return "regression"
    found = len(np.unique(y))
    if found > MOST_CLASSES:
        raise CommandError(
            f"The target has {found} different whole numbers, which may be classes or values: give "
            "--task classification or --task regression."
        )
    return "classification"


def _near(path):
    """End a message on a file that is not there: the one of a near name that can be read."""
    if not path.parent.is_dir():
        return f": there is no folder {str(path.parent)!r}."
    files = [p for p in path.parent.iterdir() if p.suffix.lower() in _READERS and p.is_file()]
    # All of them end alike, which would make any two names near.
    near = get_close_matches(path.stem, [p.stem for p in files], n=1)
    names = sorted(p.name for p in files if p.stem in near)
    return f"; did you mean {names[0]!r}?" if names else "."


def _parsed(modalities):
    """``--modality`` options as a dict of name to specification; None: the name alone."""
    found: dict[str, str | None] = {}
    for text in modalities:
        name, sign, spec = text.partition("=")
        name = name.strip()
        if not name or (sign and not spec.strip()):
            raise CommandError(
                f"--modality must be NAME=COLUMNS, such as audio=0:40. Got {text!r}."
            )
        if name in found:
            raise CommandError(f"--modality {name!r} is given twice: separate columns by commas.")
        found[name] = spec.strip() if sign else None
    return found


def _known(name, names, what, option):
    if name not in names:
        raise CommandError(
            f"There is no {what} {name!r} ({option}). The file has {_listed(names)}"
            f"{did_you_mean(name, names)}"
        )
    return name


def _listed(names, most=12):
    shown = [repr(str(name)) for name in names]
    more = f" and {len(shown) - most} more" if len(shown) > most else ""
    return ", ".join(shown[:most]) + more


class _Arrays:
    """An npz file."""

    def __init__(self, path):
        if not zipfile.is_zipfile(path):
            raise CommandError(f"{str(path)!r} is not an npz file, as numpy.savez writes it.")
        self._path = path
        with np.load(path, allow_pickle=False) as file:
            self.names = list(file.files)

    def _load(self, name):
        with np.load(self._path, allow_pickle=False) as file:
            try:
                return file[name]
            except ValueError as error:
                raise CommandError(
                    f"The array {name!r} cannot be read ({error}). Arrays of Python objects are "
                    "pickles, which may run any code and are never loaded: save numbers or texts, "
                    "such as y.astype(str)."
                ) from error

    def beside(self, name, role):
        """Target or groups."""
        values = self._load(_known(name, self.names, "array", f"--{role}"))
        if values.ndim == 0 or (values.ndim > 1 and role == "groups") or values.ndim > 2:
            raise CommandError(
                f"The {role} {name!r} must have one value per sample. Got the shape {values.shape}."
            )
        if values.ndim == 2 and values.shape[1] == 1:
            values = values[:, 0]
        if values.dtype.kind == "f" and np.isnan(values).any():
            row = int(np.flatnonzero(np.isnan(values.reshape(len(values), -1)).any(axis=1))[0])
            raise CommandError(f"The {role} {name!r} is unknown (NaN) in row {row}.")
        return values

    def modalities(self, specs, taken, n_samples, notes):
        """Arrays by modality."""
        free = [name for name in self.names if name not in taken]
        if not specs:
            return self._all(free, n_samples, notes)
        names = {m: m if spec is None else spec for m, spec in specs.items()}
        tables = [name for name in free if self._shape(name) == 2]
        if len(free) == len(tables) == 1 and all(map(_POSITIONS.fullmatch, names.values())):
            table = self._load(free[0])
            _check_rows(free[0], table, n_samples)
            columns = _Table([str(i) for i in range(table.shape[1])])
            return {m: table[:, columns.chosen(m, spec)] for m, spec in names.items()}
        found = {}
        for m, name in names.items():
            if name in taken:
                raise CommandError(f"Modality {m!r} is {name!r}, the target or the groups.")
            found[m] = self._load(_known(name, free, "array", "--modality"))
            _check_rows(name, found[m], n_samples)
        left = [name for name in free if name not in names.values()]
        if left:
            notes.append(f"arrays that are not used: {_listed(left)}")
        return found

    def _shape(self, name):
        return self._load(name).ndim

    def _all(self, free, n_samples, notes):
        found, other, single = {}, [], []
        for name in free:
            values = self._load(name)
            if values.ndim == 0 or len(values) != n_samples:
                _refuse_modality(name, values, n_samples)
                other.append(f"{name!r} of shape {values.shape}")
            elif values.ndim == 1 or values.dtype.kind not in "iufb":
                single.append(name)
            else:
                found[name] = values
        if single:
            raise CommandError(
                f"{_listed(single)}: one value per sample, or texts. Say what the modalities are, "
                f"by --modality {next(iter(found), 'NAME')} and so on; --groups names what no fold "
                "may cut."
            )
        if other:
            told = ", ".join(other)
            notes.append(f"arrays that do not have {n_samples} rows are not used: {told}")
        if not found:
            raise CommandError(f"The file has no array of {n_samples} rows beside the target.")
        return found


def _refuse_modality(name, values, n_samples):
    """Raise where an array of another length than the target looks like a modality."""
    if values.ndim >= 2 and values.dtype.kind in "iufb":
        raise CommandError(
            f"{name!r} has {len(values)} rows, but the target has {n_samples}: it looks like a "
            "modality, whose rows are the samples. Make them the same, or name the modalities that "
            "you mean by --modality."
        )


def _check_rows(name, values, n_samples):
    if values.ndim == 0 or len(values) != n_samples:
        rows = values.shape[0] if values.ndim else "no"
        raise CommandError(f"{name!r} has {rows} rows, but the target has {n_samples}.")


class _Columns:
    """A csv file."""

    def __init__(self, path):
        self._path, self._delimiter = path, "\t" if path.suffix.lower() == ".tsv" else ","
        try:
            with path.open(newline="", encoding="utf-8-sig") as file:
                first = next((line for line in file if line.strip()), "")
                self._delimiter = _delimiter(first, self._delimiter)
                file.seek(0)
                reader = csv.reader(file, delimiter=self._delimiter, strict=True)
                rows = [(reader.line_num, row) for row in reader if row]
        except (UnicodeDecodeError, csv.Error) as error:
            raise CommandError(f"{str(path)!r} cannot be read as UTF-8 csv: {error}.") from error
        if len(rows) < 2:
            raise CommandError(f"{str(path)!r} has no rows under a line of column names.")
        (_, names), *body = rows
        self.names = [name.strip() for name in names]
        if any(_number(name) is not None for name in self.names):
            raise CommandError(
                "The first line of a csv file must have the names of the columns. Got "
                f"{_listed(self.names, 5)}."
            )
        twice = [name for name in self.names if self.names.count(name) > 1]
        if twice:
            raise CommandError(f"The column {twice[0]!r} is there twice: rename one.")
        for line, row in body:
            if len(row) != len(names):
                raise CommandError(
                    f"Line {line} has {len(row)} cells, but there are {len(names)} columns."
                )
        self._lines = [line for line, _ in body]
        self._cells = np.array([row for _, row in body], dtype=object).T

    def _texts(self, name):
        return [cell.strip() for cell in self._cells[self.names.index(name)]]

    def beside(self, name, role):
        """Target or groups: whole numbers, numbers, or texts."""
        texts = self._texts(_known(name, self.names, "column", f"--{role}"))
        for line, text in zip(self._lines, texts, strict=True):
            if text.lower() in _UNKNOWN:
                raise CommandError(f"The {role} {name!r} is unknown in line {line}: {text!r}.")
            self._refuse_decimal_comma(text, name, line)
        for kind in (int, float):
            try:
                return np.array([kind(text) for text in texts])
            except (ValueError, OverflowError):
                continue
        return np.array(texts)

    def modalities(self, specs, taken, n_samples, notes):
        """Tables by modality (ndarray of float64); NaN where a cell is empty."""
        if not specs:
            raise CommandError(
                "Say which columns of a csv file make up which modality, such as --modality "
                "audio=pitch,energy --modality text=text_*"
            )
        table, found, used = _Table(self.names), {}, set(taken)
        for m, spec in specs.items():
            positions = table.chosen(m, m if spec is None else spec)
            names = [self.names[i] for i in positions]
            for name in names:
                if name in taken:
                    raise CommandError(
                        f"Modality {m!r} has the column {name!r}, which is the target or the "
                        "groups: it would give the answer away. Leave it out."
                    )
            used |= set(names)
            found[m] = np.column_stack([self._numbers(name, m) for name in names])
            self._check_known(found[m], m, names)
        if self._delimiter == ";":
            notes.append("the separator of columns is ';'")
        left = [name for name in self.names if name not in used]
        if left:
            notes.append(f"columns that are not used: {_listed(left)}")
        return found

    def _numbers(self, name, modality):
        values = np.empty(len(self._lines))
        for i, text in enumerate(self._texts(name)):
            value = np.nan if text.lower() in _UNKNOWN else _number(text)
            self._refuse_decimal_comma(text, name, self._lines[i])
            if value is None:
                raise CommandError(
                    f"The column {name!r} of modality {modality!r} must hold numbers. Got {text!r} "
                    f"in line {self._lines[i]}: encode texts as numbers first."
                )
            values[i] = value
        return values

    def _refuse_decimal_comma(self, text, name, line):
        if self._delimiter != "," and _DECIMAL_COMMA.fullmatch(text):
            raise CommandError(
                f"{str(self._path)!r}, line {line}, column {name!r}: write numbers with a point. "
                f"Got {text!r}."
            )

    def _check_known(self, table, modality, names):
        """Raise where a sample has some values of a modality only, or an infinite one."""
        unknown = np.isnan(table)
        bad = np.isinf(table) | (unknown & ~unknown.all(axis=1, keepdims=True))
        if not bad.any():
            return
        i, j = np.argwhere(bad)[0].tolist()
        text = self._texts(names[j])[i]
        raise CommandError(
            f"{str(self._path)!r}, line {self._lines[i]}, column {names[j]!r} of modality "
            f"{modality!r}: {text!r} is not a finite number. Fill it in, drop the line, or, for a "
            "sample that lacks the modality, leave all of its columns empty."
        )


def _delimiter(line, usual):
    """What separates the columns of a line of names: ``;`` where there is no other."""
    (names,) = csv.reader([line], delimiter=usual) if line else ([],)
    return ";" if len(names) == 1 and ";" in names[0] else usual


class _Table:
    """Names of columns, and what a specification chooses of them."""

    def __init__(self, names):
        self._names = names

    def chosen(self, modality, spec):
        """Positions of columns (list of int), none of them twice."""
        found: dict[int, Any] = {}
        for part in (part.strip() for part in spec.split(",")):
            found.update(dict.fromkeys(self._one(modality, part)))
        return list(found)

    def _one(self, modality, part):
        names, n = self._names, len(self._names)
        if part in names:
            return [names.index(part)]
        span = _RANGE.fullmatch(part)
        if span or part.isdecimal():
            start, stop = span.groups() if span else (part, str(int(part) + 1))
            start, stop = int(start or 0), int(stop or n)
            if not start < stop <= n:
                raise CommandError(
                    f"Modality {modality!r}: columns {part} are not among the {n} columns, which "
                    "are counted from 0."
                )
            return range(start, stop)
        if any(sign in part for sign in "*?["):
            matched = [i for i, name in enumerate(names) if fnmatchcase(name, part)]
            if not matched:
                raise CommandError(
                    f"Modality {modality!r}: no column is called like {part!r}. The file has "
                    f"{_listed(names)}."
                )
            return matched
        raise CommandError(
            f"Modality {modality!r}: there is no column {part!r}. The file has {_listed(names)}"
            f"{did_you_mean(part, names)}"
        )


def _number(text):
    """A text as a number, or None."""
    try:
        return float(text)
    except ValueError:
        return None


_READERS = {".npz": _Arrays, ".csv": _Columns, ".tsv": _Columns}
