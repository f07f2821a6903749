"""Texts as the token ids and masks that a language model takes."""

from collections.abc import Mapping

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from .._output import OwnOutput
from ..network.checks import check_positive

__all__ = ["Tokens"]

_ACCEPTED = "Tokens takes texts (str), one a sample, shape (n_samples,)"


class Tokens(OwnOutput, TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):
    """Turn texts into the arrays of one modality, such as token ids and their mask.

    They are what `PretrainedEncoder` gives to a language model. Inside a `ModalityTransformer` the
    texts are the modality before, and the arrays together after.

    Parameters
    ----------
    tokenizer : callable
        A tokenizer of Hugging Face transformers, such as ``AutoTokenizer.from_pretrained(name)``
        gives, or anything with its signature: it is called as ``tokenizer(list_of_str,
        padding="max_length", truncation=True, max_length=max_length, return_tensors="np")`` and
        returns a mapping of names to arrays.
    max_length : int, default=128
        Tokens of each text that come out, those counted that the tokenizer adds itself: longer
        texts are cut, shorter ones padded. The model has to take as many; BERT takes 512.

    Raises
    ------
    TypeError
        If `tokenizer` is not callable or does not return a mapping of numeric arrays, or a sample
        is no text; it is named.
    ValueError
        If `max_length` is no positive integer; there are no samples, or they are no single column;
        the tokenizer has no padding token; or an array that it returns is not of shape
        ``(n_samples, max_length)``.

    Notes
    -----
    Nothing is learned: the vocabulary is the tokenizer's. One that is to be learned from texts is
    learned from the training texts beforehand, as ``examples/language_model.py`` does.

    All texts become equally long, whichever samples they come with, so that what is predicted has
    the shape of what was fitted. Time and memory of the model grow with `max_length`: choose it
    near the longest texts that matter.

    Which arrays come out is up to the tokenizer, ``model_input_names`` of those of transformers;
    the model gets all of them by name. If it does not take one of them, such as
    ``token_type_ids``, leave that name out of the list.

    A sample that lacks the modality (None) is an error here;
    ``ModalityTransformer(missing="allow")`` leaves such samples out, and
    ``MultimodalClassifier(missing="allow")`` takes what comes of it. The empty text is a text.

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

    In front of a language model (not run here, since it is downloaded):

    >>> from transformers import AutoModel, AutoTokenizer  # doctest: +SKIP
    >>> name = "google-bert/bert-base-uncased"
    >>> make_pipeline(  # doctest: +SKIP
    ...     ModalityTransformer({"text": Tokens(AutoTokenizer.from_pretrained(name))}),
    ...     MultimodalInfoRegClassifier(
    ...         encoders={"text": PretrainedEncoder(AutoModel.from_pretrained(name))}
    ...     ),
    ... )
    """

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
            By the tokenizer's names, and of the types that it gives: int64 in transformers.
        """
        self._check_parameters()
        texts = _as_texts(X)
        try:
            encoded = self.tokenizer(
                texts,
                padding="max_length",
                truncation=True,
                max_length=int(self.max_length),  # a search may put numpy's integers
                return_tensors="np",
            )
        except ValueError as error:
            if getattr(self.tokenizer, "pad_token", "") is not None:
                raise
            raise ValueError(
                f"{error} Tokens pads every text to max_length={self.max_length!r}, so the "
                "tokenizer needs a padding token before it is given to Tokens; any will do for a "
                "model that takes the attention_mask, such as the end of a text: "
                "tokenizer.pad_token = tokenizer.eos_token."
            ) from error
        return self._arrays(encoded, len(texts))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        tags.no_validation = True  # samples are texts, no numbers
        return tags

    def __sklearn_is_fitted__(self):
        return True  # nothing is learned

    def _arrays(self, encoded, n_samples):
        """What the tokenizer gave as a plain dict, checked."""
        if not isinstance(encoded, Mapping) or not encoded:
            raise TypeError(
                f"The tokenizer returned {_short(encoded)}: a mapping of names to arrays is "
                "needed, such as input_ids and attention_mask."
            )
        shape, arrays = (n_samples, self.max_length), {}
        for name, value in encoded.items():
            try:
                array = np.asarray(value)
            except ValueError as error:  # rows of unequal length
                raise ValueError(
                    f"The tokenizer returned {name!r} with rows of unequal length: an array of "
                    f"shape {shape} is needed, (n_samples, max_length)."
                ) from error
            if array.dtype.kind not in "biuf":
                raise TypeError(
                    f"The tokenizer returned {name!r} as {array.dtype}: numbers are needed."
                )
            if array.shape != shape:
                raise ValueError(
                    f"The tokenizer returned {name!r} of shape {array.shape}: {shape} is needed, "
                    "(n_samples, max_length)."
                )
            arrays[name] = array
        return arrays

    def _check_parameters(self):
        check_positive(max_length=self.max_length)
        if callable(self.tokenizer) and not isinstance(self.tokenizer, type):
            return
        hint = ""
        if isinstance(self.tokenizer, str):
            hint = " Load it first: transformers.AutoTokenizer.from_pretrained(name)."
        elif isinstance(self.tokenizer, type):
            hint = " Give an instance."
        elif hasattr(self.tokenizer, "encode_batch"):  # of the package tokenizers
            hint = (
                " Wrap it: transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, "
                "pad_token=...)."
            )
        raise TypeError(
            f"tokenizer={_short(self.tokenizer)}: a callable with the signature of a tokenizer of "
            f"transformers is needed.{hint}"
        )


def _as_texts(X):
    """Return the texts as a list of str, or say which sample is none."""
    if isinstance(X, Mapping) and not hasattr(X, "tocsr"):
        raise TypeError(
            f"{_ACCEPTED}; got a mapping of {', '.join(map(repr, X))}: give it one modality, as a "
            "ModalityTransformer does."
        )
    if isinstance(X, (str, bytes)):
        raise TypeError(f"{_ACCEPTED}; got the single value {_short(X)}: [value]?")
    if isinstance(X, np.ma.MaskedArray):
        X = np.where(np.ma.getmaskarray(X), None, np.ma.getdata(X).astype(object))
    elif hasattr(X, "to_numpy"):  # a column of a table
        X = X.to_numpy()
    try:
        # Without the type, numpy would make a text of a number that stands among texts.
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
            raise TypeError(f"Sample {index} is {_short(text)}: a text (str) is needed{_why(text)}")
    return [str(text) for text in array]  # numpy's str is not everyone's


def _why(value):
    """What may be behind a sample that is no text."""
    nan = isinstance(value, (float, np.floating)) and np.isnan(value)
    if value is None or nan or type(value).__name__ == "NAType":
        return "; ModalityTransformer(missing='allow') leaves out samples without one."
    if isinstance(value, bytes):
        return ": decode it first, value.decode('utf-8')."
    if isinstance(value, (list, tuple, np.ndarray)):
        return ": join words first, ' '.join(words)."
    return "."


def _short(value):
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
