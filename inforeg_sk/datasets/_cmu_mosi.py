"""Loader of CMU-MOSI: the csv features of bc-LSTM, the processed pickles, the SDK's sequences."""

from numbers import Integral

from ..utils.isolation import readers
from ..utils.parameters import (
    ByName,
    Interval,
    InvalidParameterError,
    IsNone,
    Options,
    check_parameter,
)
from ._arguments import BOOL, HOME, PATHS_BY_NAME, check_arguments
from ._mosi_bunch import PARTS, TARGETS
from ._mosi_csd import load_sequences
from ._mosi_csv import CSV_PARTS, load_csv
from ._mosi_pickle import PICKLES, load_pickle
from ._reading import READING, Reading

__all__ = ["load_cmu_mosi"]

_OWNER = "load_cmu_mosi"
_STEPS = [IsNone(), Interval(Integral, 1)]
# `split` is checked with `features`, on which it depends.
_CONSTRAINTS = {
    "data_home": HOME,
    "features": [Options("csv", *PICKLES, "sdk")],
    "target": [Options(*TARGETS)],
    "drop_zeros": [BOOL],
    "padding": [Options("end", "keep")],
    "files": [IsNone(), PATHS_BY_NAME],
    "n_steps": [*_STEPS, ByName(*_STEPS)],
    **READING,
    "return_X_y": [BOOL],
}


def load_cmu_mosi(
    data_home=None,
    *,
    features="csv",
    split=None,
    target="binary",
    drop_zeros=False,
    padding="end",
    files=None,
    n_steps=None,
    max_bytes=2**33,
    follow_links=False,
    isolate=False,
    time_limit=600,
    return_X_y=False,
):
    """Load the CMU-MOSI sentiment features (classification).

    Reads the utterance features of CMU-MOSI [1]_ in the layout published with bc-LSTM [2]_:
    ``{text,audio,video}_{train,test}0.csv``, without a header, with one utterance per row and the
    label in the last column; the sequences of features in one of the processed pickles in common
    use (Notes); or the computational sequences (HDF5) of the CMU Multimodal SDK [7]_, cut into the
    labelled utterances. The files are not part of the package and are not downloaded.

    =================   ===================================
    Classes             2 (negative, positive)
    Samples             2199 (1447 train, 752 test)
    Modalities          text 100, audio 73, video 100
    =================   ===================================

    The table describes the csv files.

    Parameters
    ----------
    data_home : str or path-like, default=None
        The folder with the csv files, either directly or in one subfolder per modality, as in the
        source repository; or a folder that contains it as ``cmu_mosi``. If None, the folder that
        the environment variable ``INFOREG_SK_DATA`` names. For a pickle, its path is accepted too,
        and it may be in a subfolder ``Processed`` or ``MOSI/Processed``. The SDK's files may be in
        a subfolder ``cmumosi`` or ``CMU-MOSI``, and in it in the subfolders of the SDK's server.
    features : {"csv", "aligned_50", "unaligned_50", "mosi_data", "sdk"}, default="csv"
        The csv files; the pickle with this name (``aligned_50.pkl`` and so on); or the SDK's
        computational sequences, which need h5py (``pip install 'inforeg-sk[hdf5]'``).
    split : {"train", "validation", "test"}, default=None
        The published part to load. If None, all, in this order. The csv files have no
        validation part.
    target : {"binary", "three", "seven", "real"}, default="binary"
        How the sentiment s, from -3 to 3, is encoded: ``"binary"``, 0 where s < 0 and 1 where s >=
        0; ``"three"``, negative, neutral (s = 0) and positive as 0, 1 and 2; ``"seven"``, s
        rounded, halves to even, -3 to 3 as 0 to 6; ``"real"``, s. The Notes say who uses which.
        The csv files have binary labels only.
    drop_zeros : bool, default=False
        Whether to leave out the utterances with s = 0, so that ``"binary"`` is negative against
        positive. Only for ``target="binary"``, and not for the csv files.
    padding : {"end", "keep"}, default="end"
        How the steps that pad a sequence come: as NaN at its end, where the sequence encoders
        expect them, or all zero where the file has them (some pad in front). For the pickles;
        ignored otherwise: the csv files have no padding, and sequences of the SDK's are padded with
        NaN at the end.
    files : dict of str to str or path-like, default=None
        For ``"sdk"`` only: the file of each modality, as a name below `data_home` or a full path.
        Any names of modalities are allowed. ``"labels"`` is the file with the sentiment, by
        default ``CMU_MOSI_Opinion_Labels.csd``. If None, ``"text"`` is
        ``CMU_MOSI_TimestampedWordVectors.csd``, ``"audio"`` ``CMU_MOSI_COVAREP.csd`` and
        ``"video"`` ``CMU_MOSI_Visual_Facet_42.csd``, else ``..._41.csd``; older names of these
        files work too.
    n_steps : int or dict of str to int, default=None
        For ``"sdk"`` only: the number of steps, for all modalities or by modality, that utterances
        are cut or padded to. If None, the length of the longest utterance: nothing is cut, but the
        published audio and video have many steps per second, so this may take gigabytes.
    max_bytes : int, default=2**33
        The most memory, in bytes, that the content of one file may take. A file that claims more
        is refused before anything is allocated.
    follow_links : bool, default=False
        Whether to read a file in `data_home` that is a symbolic link to outside of it. A link that
        is itself passed as `data_home`, or in `files`, is always followed.
    isolate : bool, default=False
        Whether to read the files in a worker process, with `max_bytes` (on Linux) and
        `time_limit`. A file that crashes a library is then an error that names it. Starting the
        worker takes a few seconds.
    time_limit : float, default=600
        Seconds that reading one file may take with ``isolate=True``.
    return_X_y : bool, default=False
        If True, return ``(data, target)`` instead of the `Bunch`.

    Returns
    -------
    dataset : :class:`~sklearn.utils.Bunch`
        Dictionary-like object, with the following attributes.

        data : ModalityDict
            Arrays of float64 ``"text"``, ``"audio"`` and ``"video"``, one utterance per row; for
            a pickle or the SDK, of shape (n_samples, n_steps, n_features), padded with NaN, and
            float32 if the file has that.
        target : ndarray of shape (n_samples,), int64 (float64 with ``target="real"``)
            0 for negative, 1 for positive; or see `target`.
        target_names : ndarray of str, or None with ``target="real"``
            ``["negative", "positive"]``, or the classes of `target`; the upper class of
            ``"binary"`` is ``"non-negative"`` if it includes zeros.
        groups : ndarray of shape (n_samples,), str, or None
            The video of each utterance, for grouped cross-validation. None if
            ``transcripts.csv`` is not in the folder of the features; `DESCR` then says so.
        utterance_ids : ndarray of shape (n_samples,), str, or None
            The video and the number of the utterance in it, such as ``"03bSnISJMiM_11"``; the
            SDK counts from 0 and writes ``"03bSnISJMiM[10]"``.
        transcripts : ndarray of shape (n_samples,), object, or None
            The words of each utterance. None for the SDK.
        train_indices, test_indices : ndarray of int
            Positions of the published parts in `data`; empty for a part that is not loaded.
        validation_indices : ndarray of int
            Likewise. With the csv files, this and all attributes below are absent, except the last
            two.
        sentiment : ndarray of shape (n_samples,), float64
            The rating, from -3 to 3.
        lengths : dict of str to ndarray of int, or None
            Numbers of steps that are not padding, by modality: as the file says, else up to the
            last step that is not all zero. None for a modality that is not a sequence.
        non_finite : dict of str to int
            How many values of each modality were infinite or NaN in the files, and are now 0.
        annotations : ndarray of str, or None
            The names of the polarities in the file. None for the SDK.
        empty : dict of str to ndarray of str
            For ``"sdk"`` only: the utterances in which a modality has no step. There it has a
            single one, of zeros.
        files : dict of str to str
            For ``"sdk"`` only: the paths that were read.
        altered : list of str
            For the csv files only: those that differ from the published ones, by their SHA-256.
        DESCR : str
            Description of the data set, with its known leak.

    (data, target) : tuple if ``return_X_y`` is True

    Raises
    ------
    FileNotFoundError
        If a file does not exist; the message says where the loader looked and how to get it.
    ImportError
        If ``features="sdk"`` and h5py is not installed.
    TypeError
        If `data_home` is not a path, or `files` is not a dict from names to paths.
    ValueError
        If an argument has a value that it does not accept, or the files are malformed, exceed
        `max_bytes`, are links that lead out of `data_home`, or disagree on the number of
        utterances or on the labels. The message names the file.
    pickle.UnpicklingError
        If a pickle is damaged, exceeds `max_bytes`, or names anything that arrays of numbers and
        texts do not need; nothing in it is run. It is a ValueError, too.

    Warns
    -----
    UserWarning
        If the SDK's labels have videos outside its standard folds; they are left out.

    Notes
    -----
    The text and video features were extracted by networks trained on the training labels.
    Cross-validation inside train therefore looks far too good (text .98, against .75 in test).

    The features have no ids, so the ids come from ``transcripts.csv`` (utterance, words, number of
    the video, label): the videos numbered up to 62 are train, and within a part the positive
    utterances come first, in the order of ``transcripts.csv``. The loader checks the numbers of
    rows and the labels against this.

    The pickles are those of MMSA [3]_ (``aligned_50``, ``unaligned_50``) and MultiBench [4]_
    (``mosi_data``). Their ``"vision"`` is ``"video"`` here; their sentiment is
    ``regression_labels``, else ``labels``. Values that are infinite (the audio of ``mosi_data``
    holds -inf) or NaN become 0, as -inf does in the code of MMSA and of [6]_. Samples of unequal
    length are padded with NaN at the end. A modality with more all-zero steps in front than at
    the end, over the whole file, counts as padded in front, and its padding is moved to the end. A
    sample of nothing but padding keeps its first step, of zeros.
    Such modalities with equally many steps are aligned and move together, by the padding that they
    have in common.

    The SDK's sequences are split by its standard folds (52, 10 and 31 videos), which are not the
    parts of the csv files. The loader finds the steps of an utterance as the SDK's ``align`` to
    the labels does: a step belongs to an utterance if their intervals have more than 1e-5 s in
    common. Steps are in the order of their starts, and nothing is averaged. A file that is aligned
    to the labels (its keys are those of utterances, ``video[k]``) is used as it is. Unlike the
    SDK, the loader keeps utterances that lack a modality (`empty`). It leaves out segments without
    duration.

    ``"binary"`` is the rule of Zadeh et al. (2017) [5]_, with ``drop_zeros=True`` that of
    Tsai et al. (2019) [6]_; later papers, such as Self-MM, report both. ``"seven"`` is the
    accuracy "Acc-7" and ``"real"`` the mean absolute error and correlation of all these.
    ``"three"`` is the classification label of MMSA. MultiBench's classification counts zeros as
    negative: that is ``sentiment > 0``.

    References
    ----------
    .. [1] A. Zadeh, R. Zellers, E. Pincus and L.-P. Morency (2016). "MOSI: Multimodal Corpus of
       Sentiment Intensity and Subjectivity Analysis in Online Opinion Videos".
       arXiv:1606.06259.
    .. [2] S. Poria, E. Cambria, D. Hazarika, N. Majumder, A. Zadeh and L.-P. Morency (2017).
       "Context-Dependent Sentiment Analysis in User-Generated Videos". ACL 2017.
    .. [3] H. Mao, Z. Yuan, H. Xu, W. Yu, Y. Liu and K. Gao (2022). "M-SENA: An Integrated
       Platform for Multimodal Sentiment Analysis". ACL 2022, system demonstrations.
    .. [4] P. P. Liang et al. (2021). "MultiBench: Multiscale Benchmarks for Multimodal
       Representation Learning". NeurIPS 2021, datasets and benchmarks.
    .. [5] A. Zadeh, M. Chen, S. Poria, E. Cambria and L.-P. Morency (2017). "Tensor Fusion
       Network for Multimodal Sentiment Analysis". EMNLP 2017.
    .. [6] Y.-H. H. Tsai, S. Bai, P. P. Liang, J. Z. Kolter, L.-P. Morency and R. Salakhutdinov
       (2019). "Multimodal Transformer for Unaligned Multimodal Language Sequences". ACL 2019.
    .. [7] A. Zadeh, P. P. Liang, S. Poria, P. Vij, E. Cambria and L.-P. Morency (2018).
       "Multi-attention Recurrent Network for Human Communication Comprehension". AAAI 2018.

    Examples
    --------
    >>> from inforeg_sk.datasets import load_cmu_mosi
    >>> mosi = load_cmu_mosi("bc-LSTM/data")  # doctest: +SKIP
    >>> mosi.data  # doctest: +SKIP
    ModalityDict(2199 samples: text (100,), audio (73,), video (100,))
    >>> X_test = mosi.data[mosi.test_indices]  # doctest: +SKIP
    >>> y_test = mosi.target[mosi.test_indices]  # doctest: +SKIP
    >>> len(X_test), round(float(y_test.mean()), 3)  # doctest: +SKIP
    (752, 0.621)
    >>> mosi = load_cmu_mosi("MOSI/Processed", features="aligned_50")  # doctest: +SKIP
    >>> mosi = load_cmu_mosi("cmumosi", features="sdk", n_steps=50)  # doctest: +SKIP
    """
    check_arguments(
        _OWNER,
        _CONSTRAINTS,
        data_home=data_home,
        features=features,
        target=target,
        drop_zeros=drop_zeros,
        padding=padding,
        files=files,
        n_steps=n_steps,
        max_bytes=max_bytes,
        follow_links=follow_links,
        isolate=isolate,
        time_limit=time_limit,
        return_X_y=return_X_y,
    )
    parts = CSV_PARTS if features == "csv" else PARTS
    check_parameter("split", split, [IsNone(), Options(*parts)], _OWNER)
    _check_combination(features, target, drop_zeros, files, n_steps)
    with readers(isolate, time_limit=time_limit, max_bytes=max_bytes) as call:
        reading = Reading(call, max_bytes, follow_links)
        if features == "csv":
            return load_csv(data_home, split, return_X_y, reading)
        if features == "sdk":
            bunch = load_sequences(data_home, files, n_steps, split, target, drop_zeros, reading)
        else:
            bunch = load_pickle(data_home, features, split, target, drop_zeros, padding, reading)
    return (bunch.data, bunch.target) if return_X_y else bunch


def _check_combination(features, target, drop_zeros, files, n_steps):
    """Raise if arguments are incompatible."""
    if features == "csv" and target != "binary":
        raise InvalidParameterError(
            f"The 'target' parameter of {_OWNER} must be 'binary' with features='csv', whose files "
            f"have binary labels only. Got {target!r}."
        )
    if drop_zeros and (target != "binary" or features == "csv"):
        raise InvalidParameterError(
            f"The 'drop_zeros' parameter of {_OWNER} must be False unless target='binary' and "
            "features is a pickle or 'sdk': the csv files do not mark zeros, and the other targets "
            f"keep them. Got {drop_zeros!r} with target={target!r}, features={features!r}."
        )
    for name, value in (("files", files), ("n_steps", n_steps)):
        if features != "sdk" and value is not None:
            raise InvalidParameterError(
                f"The {name!r} parameter of {_OWNER} must be None unless features='sdk'. Got "
                f"{value!r} with features={features!r}."
            )
