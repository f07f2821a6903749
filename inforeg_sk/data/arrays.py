"""Modalities as checked arrays, and which samples lack which of them."""

import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from scipy import sparse

from .container import forms_of, n_rows
from .conversion import reshape_advice
from .numeric import refuse_dates, refuse_other_columns, warn_of_merged_values
from .padding import real_lengths, real_steps
from .presence import CHUNK, Presence, find_present, scatter_rows, stack_rows
from .tables import column_labels, is_table

__all__ = ["CheckedModalities", "check_arrays"]

# Words in the names of what says which samples belong together.
_WORDS = "group groups fold id ids person patient participant subject speaker who user session site"
_GROUPS = frozenset(_WORDS.split())


class CheckedModalities(NamedTuple):
    """The modalities of some samples."""

    arrays: dict  # modality -> array, or dict of arrays by part; one that all lack is left out
    presence: Presence

    @property
    def n_samples(self):
        return self.presence.n_samples


def check_arrays(given, n_samples, dtype, *, missing="error", expected=(), warn=False):
    """Check the modalities and return them as finite arrays of one floating type.

    Parameters
    ----------
    given : ModalityDict, or dict of str to array-like, or to mapping of such
        The modalities, all of one length. A `ModalityDict` knows as what they were given, for
        errors.
    n_samples : int
    dtype : numpy dtype
        Floating type of the result. In a modality that is made of several arrays integers become
        int64 and booleans stay: they are indices and masks.
    missing : {"error", "allow"}, default="error"
        What a sample without any value is (all NaN; all masked; None): an error, or missing.
    expected : tuple of str, default=()
        Further modalities, which all samples lack if `given` does not name them.
    warn : bool, default=False
        Whether to warn where the floating type merges different values.

    Returns
    -------
    CheckedModalities
        In sorted-name order. An array that already has the type is not copied; a sparse matrix
        stays one (CSR). Values of samples that lack a modality are left as they are.

    Raises
    ------
    TypeError
        If a modality is not numeric.
    ValueError
        If there is no sample, or a modality is 1-D, complex, has no values, or holds infinity or
        NaN, or if a sample lacks every modality. In sequences, ``(n_samples, n_steps,
        n_features)``, steps of NaN at the end of a sample are padding.
    """
    if n_samples == 0:
        raise ValueError("Found array with 0 sample(s): at least 1 sample is required.")
    forms, given = forms_of(given), dict(given.items())
    names = sorted({*given, *expected})
    arrays, masks = {}, {}
    for name in names:
        if name not in given:
            masks[name] = np.zeros(n_samples, dtype=bool)
            continue
        present = find_present(given[name]) if missing == "allow" else None
        if present is not None:
            masks[name] = present
            if not present.any():
                continue
        form = forms.get(name, "array")
        arrays[name] = _modality(name, given[name], dtype, present, warn, form)
    if len(masks) == len(names):
        empty = ~np.logical_or.reduce(list(masks.values()))
        if empty.any():
            raise ValueError(
                f"{int(empty.sum())} of {n_samples} samples have no modality at all, the first is "
                f"sample {int(np.argmax(empty))}: each needs at least one; drop such samples first."
            )
    presence = Presence.from_arrays(n_samples, masks) if masks else Presence(n_samples)
    return CheckedModalities(arrays, presence)


def _modality(name, value, dtype, present, warn, form):
    """Array of a modality, or dict of arrays; the samples that are `present` (None: all) count."""
    if not isinstance(value, Mapping):
        return _numeric(name, value, dtype, present, warn=warn, form=form)
    for part in value:
        if isinstance(value[part], Mapping):
            raise TypeError(
                f"Modality {name!r}: its part {part!r} is a mapping again; a modality is an array "
                "or a mapping of arrays."
            )
    return {
        part: _numeric(f"{name}[{part}]", value[part], dtype, present, part=True, warn=warn)
        for part in sorted(value)
    }


def _numeric(name, value, dtype, present, part=False, warn=False, form="array"):
    if sparse.issparse(value):
        return _sparse(name, value.tocsr(), dtype, present)
    if np.ma.is_masked(value):
        _check_mask(name, value, present)
    table = not isinstance(value, np.ndarray) and is_table(value)
    if table:
        refuse_other_columns(name, value)
    array = np.asarray(value)
    if array.dtype == object:
        if hasattr(value, "isna"):  # pandas' own types, whose NA is not a float
            array = _from_frame(value, array)
        array = _without_objects(name, array, present, part)
    if array.ndim < (1 if part else 2):
        raise ValueError(
            f"Modality {name!r} has shape {array.shape} and type {array.dtype}: one row a sample "
            "is needed, (n_samples, n_features) or (n_samples, n_steps, n_features). "
            f"{_advice_on_one_axis(name, array, form)}"
        )
    if 0 in array.shape:
        raise ValueError(f"Modality {name!r} is empty: 0 feature(s) in shape {array.shape}.")
    if array.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: modality {name!r} is {array.dtype}.")
    if part and array.dtype.kind in "biu":
        if array.dtype.kind == "u" and array.max() > np.iinfo(np.int64).max:
            raise ValueError(f"Modality {name!r} has integers above those of int64.")
        return array if array.dtype == bool else array.astype(np.int64, copy=False)
    if array.dtype.kind not in "biuf":
        array = _parse(name, array, dtype)
    with np.errstate(over="ignore"):  # an overflow becomes infinite, and is reported below
        converted = array if array.dtype == dtype else array.astype(dtype)
    _check_finite(name, converted, array, present, padded=not part and array.ndim == 3)
    if warn:
        labels = column_labels(value) if table else None
        warn_of_merged_values(name, array, converted, present, labels)
    return converted


def _advice_on_one_axis(name, array, form):
    """What to do with a modality of one axis; groups and texts would be no modality as columns."""
    integers = array.dtype.kind in "iu"
    if integers and not _GROUPS.isdisjoint(re.split(r"[^a-z]+", name.lower())):
        return "By its name it has groups: pass it as groups=, or drop it."
    if array.dtype.kind in "USTO" and array.size and isinstance(array.flat[0], str | bytes):
        return (
            "Encode it first (ModalityTransformer) if it is text; if it names groups of samples, "
            "pass it as groups=, or drop it."
        )
    return (
        f"{reshape_advice(form)}, or encode it first (ModalityTransformer) if it is text or of "
        "unequal lengths."
    )


def _check_mask(name, value, present):
    """Raise unless what a masked array masks is samples as a whole, and they may be missing."""
    masked = np.ma.getmaskarray(value).reshape(n_rows(value), -1).any(axis=1)
    if present is not None:
        masked &= present
    if masked.any():
        raise ValueError(
            f"Modality {name!r} has masked values in row {int(np.argmax(masked))}: all values must "
            "be present; impute them, or drop such samples first, or take samples that are masked "
            "as a whole as missing (missing='allow')."
        )


def _sparse(name, value, dtype, present):
    """A sparse matrix (CSR) of the floating type; batches of it are dense."""
    if 0 in value.shape:
        raise ValueError(f"Modality {name!r} is empty: 0 feature(s) in shape {value.shape}.")
    if value.dtype.kind not in "biuf":
        kind = "Complex data" if value.dtype.kind == "c" else f"{value.dtype} data"
        raise ValueError(f"{kind} not supported: modality {name!r} is {value.dtype}.")
    with np.errstate(over="ignore"):
        converted = value.astype(dtype, copy=False)
    bad = ~np.isfinite(converted.data)
    if bad.any():
        row_of = np.repeat(np.arange(value.shape[0]), np.diff(value.indptr))
        if present is not None:
            bad &= present[row_of]
        if bad.any():
            row = int(row_of[bad].min())
            _check_finite(name, converted[[row]].toarray(), value[[row]].toarray(), None, row)
    return converted


def _from_frame(value, array):
    if any(isinstance(item, (str, bytes)) for item in array.flat):
        return array  # refused later, even where it reads as numbers
    try:
        return value.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError):  # dates and the like, which raise their own error below
        return array


def _without_objects(name, array, present, part):
    """An array of objects without the None of missing samples; rows of equal shape are stacked."""
    if present is None:
        missing = find_present(array)
        if missing is not None:
            raise ValueError(_not_finite(name, "NaN", int(np.argmin(missing))))
        return _stack(name, array, part)
    if array.ndim > 1:
        array = array.copy()
        array[~present] = np.nan
        return array
    rows = _stack(name, array[present], part)
    if rows.dtype == object:
        return array
    # What stands for a missing sample is never read; integers stay integers.
    return np.ma.getdata(scatter_rows(rows, present, keep_integers=part))


def _stack(name, array, part):
    stacked = stack_rows(array)
    ragged = stacked.dtype == object and array.ndim == 1 and hasattr(array[0], "__len__")
    if part and ragged and not isinstance(array[0], (str, bytes)):
        raise ValueError(
            f"Modality {name!r} has rows of unequal lengths: pad them to one, such as by "
            "padding='max_length' of a tokenizer."
        )
    return stacked


def _parse(name, array, dtype):
    """Convert an array of objects that hold numbers; text is refused even where it reads as one."""
    try:
        if array.dtype.kind != "O":
            raise ValueError(f"{array.dtype} values")
        refuse_dates(name, array)
        text = next((value for value in array.flat if isinstance(value, (str, bytes))), None)
        if text is not None:
            raise ValueError(f"it holds the text {text!r}")
        return array.astype(dtype)
    except (OverflowError, TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(
            f"Modality {name!r} is not numeric ({error}): numbers are needed; encode text or "
            "categories first, for example in a ModalityTransformer."
        ) from error


def _check_finite(name, array, original, present, first=0, padded=False):
    """Raise unless all values of the samples that are `present` (None: of all) are finite.

    `first` is the number of the first row, for the message. With `padded`, NaN in all values of the
    steps at the end of a sample is padding, but a sample needs one step that is not.
    """
    for start in range(0, len(array), CHUNK):
        part = array[start : start + CHUNK]
        # One pass and no copy in the usual case: a sum is finite unless something is not, or it
        # overflows itself, and then every value is looked at.
        with np.errstate(over="ignore", invalid="ignore"):
            if np.isfinite(part.sum(dtype=np.float64)):
                continue
        bad = ~np.isfinite(part)
        if padded:
            lengths = real_lengths(part, np.nan)
            lengths[lengths == 0] = part.shape[1]
            bad &= real_steps(lengths, part.shape[1])[:, :, None]
        bad = bad.reshape(len(part), -1)
        if present is not None:
            bad &= present[start : start + CHUNK, None]
        if not bad.any():
            continue
        row = int(np.flatnonzero(bad.any(axis=1))[0])
        value = np.asarray(original[start + row], dtype=np.float64).ravel()[np.argmax(bad[row])]
        if np.isfinite(value):
            raise ValueError(
                f"Modality {name!r} contains a value too large for {array.dtype} ({value:g}) in "
                f"row {first + start + row}: scale it, or use dtype='float64'."
            )
        what = "NaN" if np.isnan(value) else "infinity"
        nans = np.isnan(part[row])
        raise ValueError(_not_finite(name, what, first + start + row, nans, padded))


def _not_finite(name, what, row, nans=None, padded=False):
    """A message; `nans` says which values of the row are NaN, None: all."""
    advice = ""
    if nans is None or nans.all():
        advice = ", or take them as missing (missing='allow')"
    elif nans.any():
        advice = (
            f" ({int(nans.sum())} of its {nans.size} values; a sample is missing only where all "
            f"are NaN{', a step is padding only at the end and where all are NaN' * padded})"
        )
    return (
        f"Modality {name!r} contains {what} in row {row}: all values must be finite; impute or "
        f"drop such samples first{advice}."
    )
