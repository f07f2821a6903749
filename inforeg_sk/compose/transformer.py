"""One transformer for each modality; the padding of sequences is left out."""

from collections.abc import Mapping
from numbers import Real
from typing import ClassVar

import numpy as np
from scipy import sparse
from sklearn.base import TransformerMixin, clone
from sklearn.utils.metadata_routing import process_routing
from sklearn.utils.validation import check_is_fitted

from ..data.checks import check_known_modalities, check_rows_beside
from ..data.container import ModalityDict
from ..data.tables import check_column_labels
from ..utils.compat import BaseComposition, parallel_block, raise_for_params
from ..utils.parameters import (
    ByName,
    Constraint,
    Interval,
    IsNaN,
    IsNone,
    Options,
    check_parameters,
)
from ..utils.suggestions import did_you_mean
from .metadata import make_router, route_name
from .names import check_names, set_by_name
from .rows import ravel_column
from .run import is_keyword, run_transformer

__all__ = ["ModalityTransformer"]


class ModalityTransformer(TransformerMixin, BaseComposition, auto_wrap_output_keys=None):
    """Apply one scikit-learn transformer to each modality.

    Parameters
    ----------
    transformers : transformer, "passthrough" or dict
        A dict from modality name to a transformer, ``"passthrough"`` (the modality is kept as it
        is) or ``"drop"``; or one transformer, which is cloned for every modality.
    remainder : {"passthrough", "drop"}, default="passthrough"
        What happens to modalities that the dict does not name.
    padding_value : float, None, or dict of str to these, default=NaN
        In a modality of sequences, shape ``(n_samples, n_steps, n_features)``, the steps at the
        end of a sample that hold this value in all features are padding: a transformer neither
        learns from them nor changes them; a sample of nothing else keeps its first step. NaN is
        how `PadSequences` pads; a sample of nothing but NaN is no padding but a missing one. To
        data that are padded with zeros say ``padding_value=0``; then images and spectrograms of
        shape ``(n_samples, height, width)`` beside them want None, or their blank last rows are
        taken for padding: a dict gives it by modality, and one left out has none. None: every step
        is real. The encoders ``"gru"`` and ``"transformer"`` have the same parameter, with the same
        rule and the same default; give both the same value.
    missing : {"pass", "allow"}, default="pass"
        What happens to a sample that lacks a modality (all its values are NaN; or masked; or None):
        it is given to the transformer like any other, for example to be imputed; or it is left out
        of the transformer's work and stays missing, and a modality that all samples lack, or that
        the data given to ``transform`` do not have, is left out of the result. That is what
        ``MultimodalClassifier(missing="allow")`` takes.

    Attributes
    ----------
    transformers_ : dict of str to transformer, "passthrough" or "drop"
        What was fitted, by modality.
    modalities_ : tuple of str
        Names of the modalities that come out.

    Raises
    ------
    TypeError
        If a transformer has no ``fit`` and ``transform``.
    ValueError
        If a transformer names a modality that the data do not have, or the data given to
        ``transform`` miss one. An error of a transformer is raised again with the name of its
        modality in front. If a transformer returns another number of rows than it got, or, by
        their index, the rows in another order. If a transformer splits the steps of a sample into
        several folds. If a dict names a modality like a parameter of ModalityTransformer, such as
        ``"remainder"``. If a `padding_value` is none of a finite number, NaN and None, or is
        given for a modality that the data do not have.

    Notes
    -----
    Most transformers take 2-D tables. A modality with more axes, such as sequences of shape
    ``(n_samples, n_steps, n_features)``, is given to its transformer as a table with one row for
    each step of each sample, and takes its own shape again afterwards: ``StandardScaler`` then
    scales each feature over all samples and steps. The target and the weight of a sample are
    repeated for each of its steps. Transformers that take raw values (a text vectorizer on an array
    of strings) get the 1-D array, also from a table of one column. A transformer may return a
    mapping of arrays, as `Tokens` does; the modality is then made of several arrays.

    Rows out are rows in: a transformer returns one row for each row that it gets, in the same
    order. One that splits rows into folds, such as ``TargetEncoder`` or a search, would have the
    steps of one sample in several folds, and is refused for sequences; a splitter by groups, such
    as ``GroupKFold``, is accepted.

    With ``sklearn.set_config(enable_metadata_routing=True)``, metadata go to the transformers that
    ask for them, as in a ``ColumnTransformer``: after
    ``StandardScaler().set_fit_request(sample_weight=True)`` the scaler weights its samples.

    Padding is left out because most transformers refuse NaN, and since padding by zeros would
    count as data: it would pull each mean towards zero, and scaling would move it to other values,
    by which the encoders of sequences no longer know it. Only numeric sequences are searched for
    padding, and only the end of each sample, so such steps before its last real step are data. The
    padding comes out as `padding_value`, also with another number of features. A real step at the
    end of a sample that a transformer happens to map to a finite `padding_value` in all features,
    as a scaler does where all are at their mean and it is 0, is padding to the encoders; with NaN
    none is.

    The parameters of a dict's transformers are searched as ``text__n_components``, those of a
    single transformer as ``transformers__n_components``. With ``set_output(transform="pandas")``
    2-D outputs are DataFrames inside the `ModalityDict`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.preprocessing import StandardScaler
    >>> from inforeg_sk import ModalityTransformer
    >>> X = {"text": np.array([[0.0], [2.0]]), "audio": np.array([[1.0, 5.0], [3.0, 7.0]])}
    >>> scaler = ModalityTransformer({"audio": StandardScaler()}).fit(X)
    >>> scaler.transform(X)["audio"]
    array([[-1., -1.],
           [ 1.,  1.]])
    >>> scaler.get_feature_names_out()
    array(['text__x0', 'audio__x0', 'audio__x1'], dtype=object)

    Two samples of two steps and of one, padded to three: the mean is that of 1, 2 and 6, and the
    padding stays NaN.

    >>> nan = np.nan
    >>> X = {"audio": np.array([[[1.0], [2.0], [nan]], [[6.0], [nan], [nan]]])}
    >>> centred = ModalityTransformer(StandardScaler(with_std=False)).fit_transform(X)
    >>> centred["audio"][:, :, 0]
    array([[-2., -1., nan],
           [ 3., nan, nan]])
    """

    # What `transformers` holds is checked with the data, whose modalities it names.
    _parameter_constraints: ClassVar[dict[str, list[Constraint]]] = {
        "remainder": [Options("passthrough", "drop")],
        "padding_value": [
            IsNone(),
            IsNaN(),
            Interval(Real),
            ByName(IsNone(), IsNaN(), Interval(Real)),
        ],
        "missing": [Options("pass", "allow")],
    }

    def __init__(
        self,
        transformers="passthrough",
        *,
        remainder="passthrough",
        padding_value=np.nan,
        missing="pass",
    ):
        self.transformers = transformers
        self.remainder = remainder
        self.padding_value = padding_value
        self.missing = missing

    # For `BaseComposition`, which lists the parameters of a list of pairs.
    @property
    def _pairs(self):
        return list(self.transformers.items()) if isinstance(self.transformers, Mapping) else []

    def get_params(self, deep=True):
        if isinstance(self.transformers, Mapping):
            own = super().get_params(deep=False)
            return {**self._get_params("_pairs", deep=deep), **own}
        return super().get_params(deep=deep)

    def set_params(self, **params):
        """Set parameters; see `get_params` for their names.

        Parameters
        ----------
        **params : dict
            Of a dict's transformers, ``text=...`` replaces one, in a new dict, and
            ``text__n_components=...`` sets its parameter. Should one modality's name begin
            another's, the longest name wins.

        Returns
        -------
        self : ModalityTransformer

        Raises
        ------
        ValueError
            If there is no such parameter, or a modality of the dict has the name of a parameter of
            ModalityTransformer.
        """
        if "transformers" in params:
            self.transformers = params.pop("transformers")
        if not isinstance(self.transformers, Mapping):
            return super().set_params(**params)
        own = super().get_params(deep=False)
        check_names(self.transformers, own)
        self.transformers, rest = set_by_name(self.transformers, params)
        return super().set_params(**rest)

    def get_metadata_routing(self):
        """Say which metadata the transformers ask for; see scikit-learn's metadata routing.

        Returns
        -------
        MetadataRouter
        """
        return make_router(self, self.transformers)

    def fit(self, X, y=None, **params):
        """Fit each modality's transformer.

        Parameters
        ----------
        X : dict of arrays or ModalityDict
            The modalities.
        y : array-like of shape (n_samples,) or (n_samples, n_targets), default=None
            The target, for transformers that use it.
        **params : dict
            Metadata that transformers ask for, such as ``sample_weight`` of shape (n_samples,), if
            scikit-learn's metadata routing is enabled. What has one entry for each sample goes with
            the samples, as `y` does.

        Returns
        -------
        self : ModalityTransformer
        """
        self._fit(X, y, "fit", params)
        return self

    def fit_transform(self, X, y=None, **params):
        """Fit and return the transformed modalities; see `fit` and `transform`."""
        return self._collect(self._fit(X, y, "fit_transform", params))

    def transform(self, X, **params):
        """Transform each modality.

        Parameters
        ----------
        X : dict of arrays or ModalityDict
            The modalities that ``fit`` saw.
        **params : dict
            Metadata that transformers ask for, as in ``fit``.

        Returns
        -------
        ModalityDict
        """
        raise_for_params(params, self, "transform")
        check_is_fitted(self, "transformers_")
        X = ModalityDict(X)
        partial = self.missing == "allow"
        check_known_modalities(X.modalities, self._n_columns, "ModalityTransformer", partial)
        # A list of texts has no columns to name, though fit may have had a table of them.
        labels = {n: c for n, c in X.column_labels.items() if n not in X or len(X[n].shape) > 1}
        check_column_labels(self._labels, labels, "ModalityTransformer")
        # One with a default tag, which says 2-D, was still fitted with texts: it gets texts.
        columns = {n: ravel_column(X[n]) for n in self._one_axis if n in X and _is_column(X[n])}
        X = ModalityDict({**X, **columns}) if columns else X
        chosen = {n: t for n, t in self.transformers_.items() if n in X}
        return self._collect(self._run(chosen, X, None, "transform", params, self._n_columns))

    def _fit(self, X, y, method, params):
        raise_for_params(params, self, method)
        check_parameters(self)
        X = ModalityDict(X)
        check_rows_beside(X, {"y": y, **params})
        chosen = {name: t if isinstance(t, str) else clone(t) for name, t in self._choose(X)}
        output = self._run(chosen, X, y, method, params, X)
        self.transformers_ = chosen
        self._labels = X.column_labels
        self.modalities_ = tuple(n for n, t in chosen.items() if not is_keyword(t, "drop"))
        self._one_axis = [
            n for n, t in chosen.items() if not isinstance(t, str) and _has_one_axis(X[n])
        ]
        self._n_columns = {n: X[n].shape[-1] if len(X[n].shape) > 1 else 1 for n in X}
        self._columns = {name: names for name in X if (names := _column_names(X[name]))}
        return output

    def _run(self, chosen, X, y, method, params, modalities):
        """Run a method of each transformer; `modalities` are those of ``fit``."""
        padding, skip = self._padding(modalities), self.missing == "allow"
        routed = process_routing(self, method, **params)
        metadata = {n: routed.get(route_name(self.transformers, n), {}) for n in chosen}
        return {
            n: run_transformer(n, t, X[n], y, method, padding[n], skip, metadata[n])
            for n, t in chosen.items()
        }

    def _padding(self, X):
        """The padding value of each modality."""
        given = self.padding_value
        if not isinstance(given, Mapping):
            return dict.fromkeys(X, given)
        for name in given:
            if name not in X:
                raise ValueError(
                    f"The 'padding_value' parameter of ModalityTransformer names {name!r}, but the "
                    f"data's modalities are {', '.join(map(repr, X))}{did_you_mean(name, X)}"
                )
        return {name: given.get(name) for name in X}

    def _choose(self, X):
        """Yield name and transformer for each modality, checked."""
        given = self.transformers
        if not isinstance(given, Mapping):
            given = dict.fromkeys(X, given)
        unknown = [name for name in given if name not in X]
        if unknown:
            raise ValueError(
                f"transformers names {', '.join(map(repr, unknown))}, but the data's modalities "
                f"are {', '.join(map(repr, X))}."
            )
        if isinstance(self.transformers, Mapping):
            check_names(given, self.get_params(deep=False))
        for name in X:
            transformer = given.get(name, self.remainder)
            if is_keyword(transformer, "drop", "passthrough"):
                yield name, transformer
            elif isinstance(transformer, type) or not (
                hasattr(transformer, "fit") and hasattr(transformer, "transform")
            ):
                raise TypeError(
                    f"The transformer of modality {name!r} is {transformer!r}: it is a "
                    "transformer (an instance with fit and transform), 'passthrough' or 'drop'."
                )
            else:
                yield name, transformer

    def _collect(self, output):
        kept = {name: value for name, value in output.items() if value is not None}
        if not kept:
            raise ValueError("ModalityTransformer dropped every modality; keep at least one.")
        return ModalityDict(kept)

    def get_feature_names_out(self, input_features=None):
        """Names of the output columns, each with its modality in front.

        Parameters
        ----------
        input_features : ignored
            The names come from the DataFrames seen in ``fit``, else they are ``x0``, ``x1``, ...

        Returns
        -------
        ndarray of str
            ``"text__x0"`` and so on, modality after modality.
        """
        check_is_fitted(self, "transformers_")
        names = []
        for name in self.modalities_:
            transformer = self.transformers_[name]
            columns = self._columns.get(name)
            if columns is None:
                columns = [f"x{i}" for i in range(self._n_columns[name])]
            if not is_keyword(transformer, "passthrough"):
                if not hasattr(transformer, "get_feature_names_out"):
                    raise AttributeError(
                        f"The transformer of modality {name!r}, {type(transformer).__name__}, "
                        "does not provide get_feature_names_out."
                    )
                # Raw input, such as texts, has no columns to name.
                raw = getattr(transformer, "n_features_in_", None) is None
                columns = transformer.get_feature_names_out(None if raw else columns)
            names += [f"{name}__{column}" for column in columns]
        return np.asarray(names, dtype=object)

    def set_output(self, *, transform=None):
        """Choose the container of 2-D outputs for each transformer; see scikit-learn.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"}, default=None
            None leaves the choice as it is.

        Returns
        -------
        self : ModalityTransformer
        """
        given = self.transformers
        inner = list(given.values()) if isinstance(given, Mapping) else [given]
        for transformer in inner + list(getattr(self, "transformers_", {}).values()):
            if hasattr(transformer, "set_output"):
                transformer.set_output(transform=transform)
        return self

    def __sklearn_is_fitted__(self):
        return hasattr(self, "transformers_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.dict = True
        tags.input_tags.two_d_array = False
        return tags

    def _sk_visual_block_(self):
        given = getattr(self, "transformers_", self.transformers)
        if not isinstance(given, Mapping):
            given = {"each modality": given}
        return parallel_block(list(given.values()), list(given))


def _has_one_axis(value):
    return len(value.shape) == 1 and not isinstance(value, ModalityDict)


def _is_column(value):
    return value.shape[1:] == (1,) and not sparse.issparse(value)


def _column_names(value):
    """Names of the columns that a modality's values have, or None."""
    if hasattr(value, "columns"):
        return [str(column) for column in value.columns]
    if isinstance(value, ModalityDict):  # several arrays
        widths = {part: a.shape[-1] if len(a.shape) > 1 else 1 for part, a in value.items()}
        return [f"{part}__x{i}" for part, width in widths.items() for i in range(width)]
    return None
