"""Tables: the labels of their columns and rows, and whether those of one call agree."""

import numpy as np

from ..utils.callers import warn_caller

__all__ = [
    "check_column_labels",
    "check_row_labels",
    "column_labels",
    "is_table",
    "row_labels",
    "rows_index",
    "shared_column_labels",
    "warn_of_shuffled_rows",
]

# As many labels are listed in a message, as scikit-learn does.
_SHOWN = 5

_ON_PURPOSE = (
    " If y was shuffled on purpose, as permutation_test_score does, give y.to_numpy(), which has "
    "no labels."
)


def is_table(value):
    """Whether a value has columns: a DataFrame of pandas, polars or the like."""
    return hasattr(value, "columns") and hasattr(value, "shape")


def column_labels(table):
    """Labels of the columns of a table.

    Parameters
    ----------
    table : DataFrame

    Returns
    -------
    tuple, or None
        Of str as a rule, of tuples for columns of several levels. None for labels that were not
        given by anybody: the numbers from 0, in order.
    """
    labels = tuple(table.columns)
    return None if _are_default(labels) else labels


def _are_default(labels):
    """Whether labels of columns are the numbers from 0, in order, that nobody gave."""
    return labels == tuple(range(len(labels)))


def shared_column_labels(name, values):
    """Labels of the columns that all tables of a list share.

    Parameters
    ----------
    name : str
        The modality, for the error.
    values : sequence
        The samples of a modality.

    Returns
    -------
    tuple, or None
        None if they are not tables, or without labels.

    Raises
    ------
    ValueError
        If two tables have other columns, or the same in another order.
    """
    first = None
    for i, value in enumerate(values):
        if not is_table(value):
            continue
        labels = tuple(value.columns)
        if first is None:
            first, where = labels, i
        elif labels != first:
            raise ValueError(
                f"Modality {name!r}: the table of sample {i} has the columns "
                f"{_listed(labels)}, and that of sample {where} {_listed(first)}: give all the "
                "same columns in the same order, such as table[columns]."
            )
    return None if first is None or _are_default(first) else first


def check_column_labels(fitted, given, owner):
    """Compare the columns of tables with those of ``fit``.

    Parameters
    ----------
    fitted, given : dict of str to tuple or None
        Labels by modality, of ``fit`` and of now; None: an array, or a table without labels.
        Modalities that `given` does not name are not compared.
    owner : str
        Name of the estimator.

    Raises
    ------
    ValueError
        If both have labels, and they differ or come in another order.

    Warns
    -----
    UserWarning
        If only one of them has labels.
    """
    for name, labels in given.items():
        expected = fitted.get(name)
        if labels == expected:
            continue
        if expected is None and all(isinstance(label, int) for label in labels):
            expected = tuple(range(len(labels)))  # numbers, in another order
        if labels is None or expected is None:
            now, then = "X does not have valid", "with"
            if expected is None:
                now, then = "X has", "without"
            warn_caller(
                f"Modality {name!r}: {now} feature names, but {owner} was fitted {then} feature "
                "names: the columns are taken in the order they have.",
            )
            continue
        message = (
            f"Modality {name!r}: the feature names should match those that were passed during "
            "fit.\n"
        )
        unseen = [label for label in labels if label not in expected]
        missing = [label for label in expected if label not in labels]
        if unseen:
            message += f"Feature names unseen at fit time:\n{_lines(unseen)}"
        if missing:
            message += f"Feature names seen at fit time, yet now missing:\n{_lines(missing)}"
        if not unseen and not missing:
            message += "Feature names must be in the same order as they were in fit.\n"
        raise ValueError(f"{message}Give the columns as in fit, table[columns].")


def row_labels(value):
    """Labels of the rows of a table or Series.

    Parameters
    ----------
    value : object

    Returns
    -------
    pandas.Index, or None
        None for a value without labels, and for those that nobody gave: the numbers from 0, in
        order.
    """
    index = rows_index(value)
    return None if index is None or _is_default(index) else index


def warn_of_shuffled_rows(what, index, y):
    """Warn if the rows of X were shuffled and those of y were not, or the other way round.

    Those that were have the labels 0, 1, ... in another order, and the others have them in order,
    as nobody gave any.

    Parameters
    ----------
    what : str
        What the labels belong to, such as ``"modality 'text'"``.
    index : pandas.Index
    y : object
        Anything but a Series or DataFrame of pandas has no labels.

    Warns
    -----
    UserWarning
    """
    own = rows_index(y)
    if own is None or len(own) != len(index) or _is_default(own) == _is_default(index):
        return
    labels, order = np.asarray(index if _is_default(own) else own), np.arange(len(index))
    if labels.dtype.kind not in "iu" or np.array_equal(labels, order):
        return
    if np.array_equal(np.sort(labels), order):
        shuffled, other = (what, "y") if _is_default(own) else ("y", what)
        reindex = f"bring y into the order of X, y.reindex({_code(what)}.index)"
        by_position = "give y.to_numpy(), which has no labels"
        if shuffled == "y":
            advice = (
                f"If {what} was made anew of rows in the order of y, {by_position}. If not, "
                f"samples get the targets of others: {reindex}."
            )
        else:
            advice = (
                f"It seems that the rows of {what} were shuffled and those of y were not, so that "
                f"samples get the targets of others: {reindex}. If the rows belong together by "
                f"position, {by_position}."
            )
        warn_caller(
            f"The rows of {shuffled} have the labels 0 to {len(labels) - 1} in another order "
            f"({_listed(labels.tolist())}), and {other} has them in order. {advice}"
        )


def rows_index(value):
    """Labels of the rows of a table or Series of pandas, given or not; None for anything else."""
    index = getattr(value, "index", None)
    return index if hasattr(index, "get_indexer") and hasattr(index, "equals") else None


def _is_default(index):
    """Whether labels are the numbers from 0, in order, that nobody gave."""
    return getattr(index, "start", None) == 0 and getattr(index, "step", None) == 1


def check_row_labels(labels, advice=""):
    """Raise if values of one call have rows of other labels, or the same in another order.

    Rows belong together by their position. Labels that say otherwise are no detail: the values
    of different samples would become one.

    Parameters
    ----------
    labels : dict of str to pandas.Index or None
        By what they belong to, such as ``"modality 'text'"`` or ``"y"``; None is not compared.
    advice : str, default=""
        What is added to an error.

    Raises
    ------
    ValueError
    """
    given = [(what, index) for what, index in labels.items() if index is not None]
    for what, index in given[1:]:
        first, reference = given[0]
        if index is reference or index.equals(reference):
            continue
        by_position = (
            "If the rows belong together by position, drop the labels: "
            f"table.reset_index(drop=True).{_ON_PURPOSE * ('y' in (first, what))}{advice}"
        )
        if not index.is_unique or not reference.is_unique:
            raise ValueError(
                f"The rows of {first} and {what} have other labels{_first_other(reference, index)}."
                " Some labels occur more than once, so rows can only be matched by position: bring "
                f"both into one order. {by_position}"
            )
        only = [(first, _without(reference, index)), (what, _without(index, reference))]
        if not any(len(labels) for _, labels in only):
            raise ValueError(
                f"The rows of {first} and {what} have the same labels in another order"
                f"{_first_other(reference, index)}: bring them into one order with reindex, such "
                f"as {_code(what)}.reindex({_code(first)}.index). {by_position}"
            )
        where = "; ".join(
            f"{len(labels)} only in {owner}, such as {labels[0]!r}"
            for owner, labels in only
            if len(labels)
        )
        raise ValueError(
            f"The rows of {first} and {what} have different labels: {where}. Reindex both to the "
            "labels they share, index = a.index.intersection(b.index) and table.reindex(index); or "
            "reindex the modalities to all labels and let samples without a row lack the modality, "
            f"index = a.index.union(b.index) with missing='allow'. {by_position}"
        )


def _without(index, other):
    return index[other.get_indexer(index) < 0]


def _first_other(a, b):
    for i, (x, y) in enumerate(zip(a, b)):
        if x != y:
            return f" (row {i}: {x!r} and {y!r})"
    return f" ({len(a)} and {len(b)} of them)"


def _code(what):
    """How a user would write it: ``modality 'text'`` as ``X['text']``."""
    if not what.startswith("modality "):
        return what
    return f"X[{what.removeprefix('modality ').replace(', array ', '][')}]"


def _lines(labels):
    shown = "".join(f"- {label}\n" for label in sorted(labels, key=str)[:_SHOWN])
    return shown + ("- ...\n" if len(labels) > _SHOWN else "")


def _listed(labels):
    shown = ", ".join(map(repr, labels[:_SHOWN]))
    return shown + (", ..." if len(labels) > _SHOWN else "")
