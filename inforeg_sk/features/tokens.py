"""Texts as the token ids and masks that a language model takes."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from ..utils.output import SetOutputNoOpMixin
from ..utils.parameters import Constraint, InvalidParameterError, IsCallable, check_parameters
from ._constraints import COUNT

__all__ = ["Tokens"]

_ACCEPTED = "Tokens takes texts (str), one per sample, of shape (n_samples,)"


class _Tokenizer(IsCallable):
    """An object that is called as a tokenizer of transformers; a class is not."""

    def accepts(self, value):
        return super().accepts(value) and not isinstance(value, type)


_TOKENIZER = _Tokenizer("a callable with the signature of a tokenizer of transformers")


class Tokens(SetOutputNoOpMixin, TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):
    """Turn texts into the arrays of one modality, such as token ids and their mask.

    `PretrainedEncoder` passes these arrays to a language model. In a `ModalityTransformer`, a
    modality of texts becomes a modality of several arrays.

    Parameters
    ----------
    tokenizer : callable
        A tokenizer of Hugging Face transformers, such as the result of
        ``AutoTokenizer.from_pretrained(name)``, or anything with its signature. It is called as
        ``tokenizer(list_of_str, padding="max_length", truncation=True, max_length=max_length,
        return_tensors="np")`` and must return a mapping from names to arrays.
    max_length : int, default=128
        Number of tokens of each text, including those that the tokenizer adds itself. Longer
        texts are cut, shorter ones padded. The model must accept that many; BERT accepts 512.

    Raises
    ------
    TypeError
        If `tokenizer` is not callable or does not return a mapping of numeric arrays, or a sample
        is not a text; the message names it.
    ValueError
        If `max_length` is not a positive integer; if there are no samples, or they are not a
        single column; if the tokenizer has no padding token; or if an array that it returns is
        not of shape ``(n_samples, max_length)``.

    Notes
    -----
    Nothing is learned: the vocabulary is that of the tokenizer. To learn a vocabulary, learn it
    from the training texts beforehand, as ``examples/language_model.py`` does.

    All texts get the same length, whatever the other samples are, so that arrays have the same
    shape in ``predict`` as in ``fit``. Time and memory of the model grow with `max_length`: choose
    it near the longest texts that matter.

    The tokenizer decides which arrays it returns (those of transformers by ``model_input_names``),
    and the model gets all of them by name. If the model does not accept one of them, such as
    ``token_type_ids``, leave that name out of the list.

    A sample that lacks the modality (None) is an error here;
    ``ModalityTransformer(missing="allow")`` leaves such samples out, and
    ``MultimodalClassifier(missing="allow")`` accepts its result. An empty text counts as a text.

    Examples
    --------
    Letters by their place in the alphabet, and 0 for padding:

    >>> import numpy as np
    >>> from inforeg_sk.features import Tokens
    >>> def letters(texts, padding, truncation, max_length, return_tensors):
    ...     ids = np.zeros((len(texts), max_length), dtype=np.int64)
    ...     for row, text in zip(ids, texts):
    ...         numbers = [ord(letter) - 96 for letter in text[:max_length]]
    ...         row[: len(numbers)] = numbers
    ...     return {"input_ids": ids, "attention_mask": np.sign(ids)}
    >>> arrays = Tokens(letters, max_length=4).fit_transform(["cab", "badge"])
    >>> arrays["input_ids"]
    array([[3, 1, 2, 0],
           [2, 1, 4, 7]])
    >>> arrays["attention_mask"]
    array([[1, 1, 1, 0],
           [1, 1, 1, 1]])

    In front of a language model (not run here, since this downloads it):

    >>> from transformers import AutoModel, AutoTokenizer  # doctest: +SKIP
    >>> name = "google-bert/bert-base-uncased"
    >>> make_pipeline(  # doctest: +SKIP
    ...     ModalityTransformer({"text": Tokens(AutoTokenizer.from_pretrained(name))}),
    ...     MultimodalInfoRegClassifier(
    ...         encoders={"text": PretrainedEncoder(AutoModel.from_pretrained(name))}
    ...     ),
    ... )
    """

    _parameter_constraints: ClassVar[dict[str, list[Constraint]]] = {
        "tokenizer": [_TOKENIZER],
        "max_length": [COUNT],
    }

    def __init__(self, tokenizer, max_length=128):
        self.tokenizer = tokenizer
        self.max_length = max_length

    def fit(self, X, y=None):
        """Check the parameters and that `X` holds texts; nothing is learned.

        Parameters
        ----------
        X : array-like of str of shape (n_samples,) or (n_samples, 1)
            The texts.
        y : ignored

        Returns
        -------
        self : Tokens
        """
        self._check_parameters()
        _as_texts(X)
        return self

    def transform(self, X):
        """Tokenize.

        Parameters
        ----------
        X : array-like of str of shape (n_samples,) or (n_samples, 1)
            The texts.

        Returns
        -------
        dict of str to ndarray of shape (n_samples, max_length)
            With the names and dtypes that the tokenizer gives: int64 in transformers.
        """
        self._check_parameters()
        texts = _as_texts(X)
        try:
            encoded = self.tokenizer(
                texts,
                padding="max_length",
                truncation=True,
                max_length=int(self.max_length),  # a search may set a numpy integer
                return_tensors="np",
            )
        except ValueError as error:
            if getattr(self.tokenizer, "pad_token", "") is not None:
                raise
            raise ValueError(
                f"{error} Tokens pads every text to max_length={self.max_length!r}, so the "
                "tokenizer needs a padding token before it is given to Tokens. For a model that "
                "takes the attention_mask, any token works, such as the one that ends a text: "
                "tokenizer.pad_token = tokenizer.eos_token."
            ) from error
        return self._arrays(encoded, len(texts))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        tags.no_validation = True  # samples are texts, not numbers
        return tags

    def __sklearn_is_fitted__(self):
        return True  # nothing is learned

    def _arrays(self, encoded, n_samples):
        """Check what the tokenizer returned, and return it as a plain dict."""
        if not isinstance(encoded, Mapping) or not encoded:
            raise TypeError(
                f"The tokenizer returned {_short(encoded)}; it must return a mapping from names "
                "to arrays, such as input_ids and attention_mask."
            )
        shape, arrays = (n_samples, self.max_length), {}
        for name, value in encoded.items():
            try:
                array = np.asarray(value)
            except ValueError as error:  # rows of unequal length
                raise ValueError(
                    f"The tokenizer returned {name!r} with rows of unequal length; its shape must "
                    f"be {shape}, (n_samples, max_length)."
                ) from error
            if array.dtype.kind not in "biuf":
                raise TypeError(
                    f"The tokenizer returned {name!r} as {array.dtype}; it must hold numbers."
                )
            if array.shape != shape:
                raise ValueError(
                    f"The tokenizer returned {name!r} of shape {array.shape}; its shape must be "
                    f"{shape}, (n_samples, max_length)."
                )
            arrays[name] = array
        return arrays

    def _check_parameters(self):
        try:
            check_parameters(self)
        except InvalidParameterError as error:
            if _TOKENIZER.accepts(self.tokenizer):  # the error is another parameter's
                raise
            raise InvalidParameterError(f"{error}{_tokenizer_hint(self.tokenizer)}") from None


def _as_texts(X):
    """Return the texts as a list of str; raise an error that names a sample that is not one."""
    if isinstance(X, Mapping) and not hasattr(X, "tocsr"):
        raise TypeError(
            f"{_ACCEPTED}; got a mapping of {', '.join(map(repr, X))}. Give it one modality, as a "
            "ModalityTransformer does."
        )
    if isinstance(X, (str, bytes)):
        raise TypeError(
            f"{_ACCEPTED}; got the single value {_short(X)}. Did you mean [{_short(X)}]?"
        )
    if isinstance(X, np.ma.MaskedArray):
        X = np.where(np.ma.getmaskarray(X), None, np.ma.getdata(X).astype(object))
    elif hasattr(X, "to_numpy"):  # a column of a table
        X = X.to_numpy()
    try:
        # Without the dtype, numpy would turn a number among texts into a text.
        array = np.asarray(X, dtype=object)
    except ValueError as error:  # arrays of unequal shapes
        raise TypeError(f"{_ACCEPTED}; got {_short(X)}.") from error
    if array.ndim == 0:
        raise TypeError(f"{_ACCEPTED}; got {_short(X)}.")
    if len(array) == 0:
        raise ValueError(f"Found array with 0 sample(s): {_ACCEPTED}, at least one.")
    if array.ndim == 2 and array.shape[1] == 1:  # one column of a table
        array = array[:, 0]
    if array.ndim != 1:
        raise ValueError(f"{_ACCEPTED}; got an array of shape {array.shape}.")
    for index, text in enumerate(array):
        if not isinstance(text, str):
            raise TypeError(f"Sample {index} is {_short(text)}; it must be a str.{_hint(text)}")
    return [str(text) for text in array]  # not every tokenizer accepts numpy's str


def _hint(value):
    """Return what to do about a sample that is not a text."""
    nan = isinstance(value, (float, np.floating)) and np.isnan(value)
    if value is None or nan or type(value).__name__ == "NAType":
        return " ModalityTransformer(missing='allow') leaves out samples without a text."
    if isinstance(value, bytes):
        return " Decode it first: value.decode('utf-8')."
    if isinstance(value, (list, tuple, np.ndarray)):
        return " Join its words first: ' '.join(words)."
    return ""


def _tokenizer_hint(tokenizer):
    """Return what to do about an object that is not a tokenizer but leads to one."""
    if isinstance(tokenizer, str):
        return " Load it first: transformers.AutoTokenizer.from_pretrained(name)."
    if isinstance(tokenizer, type):
        return " Give an instance."
    if hasattr(tokenizer, "encode_batch"):  # of the package tokenizers
        return (
            " Wrap it: transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, "
            "pad_token=...)."
        )
    return ""


def _short(value):
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
