"""A language model as the encoder of a modality: transcripts of CMU-MOSI beside audio features
============================================================================================

The modality "text" starts as an array of strings. Two ways to encode it are compared, each alone
and together with the audio, trained jointly and with InfoReg*:

- ``vectorizer``: scikit-learn's TfidfVectorizer, reduced by TruncatedSVD, and an MLP;
- ``language model``: Tokens turns the texts into several arrays, such as token ids and their mask,
  which together are one modality; a transformers model, wrapped in PretrainedEncoder, encodes them
  with its own learning rate.

By default the language model is a very small BERT with random weights, so that nothing has to be
downloaded; its vocabulary is learned from the training texts, before the Pipeline is made.
``--model`` takes the name or the folder of a pretrained one, ``--frozen`` leaves its weights as
they are.

Transcripts do not leak labels, unlike the published text features (datasets/cmu_mosi/README.rst);
the official test videos are used only for the table, and nothing is chosen by it.

What comes out (3 seeds, 20 epochs, the small BERT, 2026-11-25): text alone 66.8 +- 0.5 by the
vectorizer and 68.1 +- 1.1 by the BERT; with audio, joint 66.4 +- 0.5 and 68.3 +- 0.5, InfoReg* 65.8
+- 0.8 and 67.7 +- 0.5. The audio adds nothing, and how it is trained makes no difference.

Run it with the folder of the csv files and ``transcripts.csv`` as the first argument or in the
environment variable INFOREG_SK_DATA. Needs the package transformers.
"""

import argparse
import os
import sys
from pathlib import Path

import numpy as np
import torch
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import AutoModel, AutoTokenizer, BertConfig, BertModel, PreTrainedTokenizerFast

from inforeg_sk import ModalityDict, ModalityTransformer, MultimodalInfoRegClassifier
from inforeg_sk.datasets import load_cmu_mosi
from inforeg_sk.features import Tokens
from inforeg_sk.network import PretrainedEncoder

METHODS = {"joint": {"alpha": 0, "unimodal_weight": 0}, "InfoReg*": {}}


def word_tokenizer(texts, n_words=2000):
    """A tokenizer of the most frequent words of the given texts."""
    words = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.WordLevelTrainer(vocab_size=n_words, special_tokens=["[PAD]", "[UNK]"])
    words.train_from_iterator([str(text) for text in texts], trainer)
    return PreTrainedTokenizerFast(tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]")


def language_model(args, texts):
    """The tokenizer, the encoder, and the learning rate of its weights."""
    if args.model is None:
        torch.manual_seed(0)
        tokenizer = word_tokenizer(texts)
        config = BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=64,
            max_position_embeddings=args.length,
        )
        model, lr = BertModel(config), 1e-3
    else:
        tokenizer = AutoTokenizer.from_pretrained(args.model)
        model, lr = AutoModel.from_pretrained(args.model), 2e-5
    return tokenizer, PretrainedEncoder(model, frozen=args.frozen), lr


def pipelines(args, texts):
    """Name -> (transformer of the text, settings of the classifier); vocabulary of `texts`."""
    tokenizer, encoder, lr = language_model(args, texts)
    settings = {"encoders": {"text": encoder, "audio": "mlp"}}
    if not args.frozen:
        group = ("encoder_text.*", {"lr": lr, "weight_decay": 0.01})
        settings["optimizer__param_groups"] = [group]
    reduced = make_pipeline(TfidfVectorizer(min_df=2), TruncatedSVD(100, random_state=0))
    return {
        "vectorizer": (make_pipeline(reduced, StandardScaler()), {}),
        "language model": (Tokens(tokenizer, max_length=args.length), settings),
    }


def run(way, names, method, seed, data, args):
    """Accuracy on the test part: of all modalities, and of each alone in the same network."""
    X, y, train, test = data
    transformer, settings = way
    X = ModalityDict({name: X[name] for name in names})
    transformers = {"text": transformer, "audio": StandardScaler()}
    if settings:
        settings = {**settings, "encoders": {n: settings["encoders"][n] for n in names}}
    model = make_pipeline(
        ModalityTransformer({name: transformers[name] for name in names}),
        MultimodalInfoRegClassifier(
            max_epochs=args.epochs, random_state=seed, **METHODS[method], **settings
        ),
    ).fit(X[train], y[train])
    alone = model[-1].score_by_modality(model[:-1].transform(X[test]), y[test])
    return {"all": model.score(X[test], y[test]), **alone}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("home", nargs="?", help="folder of the csv files and transcripts.csv")
    parser.add_argument("--model", help="name or folder of a pretrained transformers model")
    parser.add_argument("--frozen", action="store_true")
    parser.add_argument("--length", type=int, default=32, help="tokens of a text")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    if args.home is None and "INFOREG_SK_DATA" not in os.environ and beside.is_dir():
        args.home = beside
    try:
        mosi = load_cmu_mosi(args.home)
    except FileNotFoundError as error:
        sys.exit(str(error))
    if mosi.transcripts is None:
        sys.exit("No transcripts.csv beside the features: see datasets/cmu_mosi/README.rst.")
    X = ModalityDict({"text": mosi.transcripts, "audio": mosi.data["audio"]})
    data = (X, mosi.target, mosi.train_indices, mosi.test_indices)

    print(f"{X}; accuracy on the test part, {args.seeds} seeds, {args.epochs} epochs")
    print(f"{'':<32}" + "".join(f"{name:>14}" for name in ("all", "text", "audio")))
    frequent = 100 * max(np.bincount(mosi.target[mosi.test_indices])) / len(mosi.test_indices)
    # Once for all fits: each copies the encoder and starts from its weights.
    for name, way in pipelines(args, X["text"][mosi.train_indices]).items():
        for names, method in (
            (["text"], "joint"),
            (["text", "audio"], "joint"),
            (["text", "audio"], "InfoReg*"),
        ):
            scores = [run(way, names, method, seed, data, args) for seed in range(args.seeds)]
            title = f"{name}, {'text alone' if len(names) == 1 else method}"
            cells = ""
            for key in ("all", *names):
                values = 100 * np.array([score[key] for score in scores])
                spread = f" +- {values.std(ddof=1):.1f}" if len(values) > 1 else ""
                cells += f"{f'{values.mean():.1f}{spread}':>14}"
            print(f"{title:<32}{cells}", flush=True)
    print(f"Always answering the test part's most frequent class gives {frequent:.1f}.")


if __name__ == "__main__":
    main()
