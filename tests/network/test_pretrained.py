"""Wrapped modules: what they give is found, pooled over real steps, frozen or trained."""

import copy
import pickle
from collections import namedtuple
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from inforeg_sk import MultimodalInfoRegClassifier
from inforeg_sk.data.spec import ArraySpec
from inforeg_sk.network import PretrainedEncoder, build_network

# Right-padded, whole, left-padded, with a hole, nothing real.
MASK = torch.tensor(
    [[1, 1, 0, 0, 0], [1, 1, 1, 1, 1], [0, 0, 1, 1, 1], [0, 1, 0, 1, 0], [0, 0, 0, 0, 0]]
)
Pair = namedtuple("Pair", ["logits", "aux"])


class Gives(nn.Module):
    """Gives what it was made with, whatever it is asked."""

    def __init__(self, output):
        super().__init__()
        self.given = output

    def forward(self, x=None, **arrays):
        return self.given


class Words(nn.Module):
    """A model of text with a language model's arguments."""

    def __init__(self, n_words=20, width=6):
        super().__init__()
        self.table = nn.Embedding(n_words, width)
        self.norm = nn.BatchNorm1d(width)
        self.dropout = nn.Dropout(0.5)

    def forward(self, input_ids, attention_mask):
        z = self.table(input_ids)
        z = self.norm(z.transpose(1, 2)).transpose(1, 2)
        return {"last_hidden_state": self.dropout(z), "first": z[:, 0]}


def tokens(n=8, n_steps=5, seed=0):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, n_steps + 1, n)
    mask = (np.arange(n_steps) < lengths[:, None]).astype(np.int64)
    return {"input_ids": rng.integers(1, 20, (n, n_steps)) * mask, "attention_mask": mask}


def tensors(arrays):
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def double_mean(hidden, mask):
    """A callable pooling that pickle can find."""
    return 2 * (hidden * mask[:, :, None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)


def pool_by_hand(how, hidden, mask):
    """Step by step, in numpy."""
    rows = []
    for steps, real in zip(hidden, mask, strict=True):
        kept = [step for step, r in zip(steps, real, strict=True) if r]
        if not kept:
            rows.append(np.zeros(hidden.shape[2]))
        elif how == "mean":
            rows.append(sum(kept) / len(kept))
        elif how == "max":
            rows.append(np.array([max(step[i] for step in kept) for i in range(len(kept[0]))]))
        else:
            rows.append(kept[0 if how == "first" else -1])
    return np.stack(rows)


# Pooling


@pytest.mark.parametrize("pooling", ["mean", "first", "last", "max"])
@pytest.mark.parametrize("kind", [torch.int64, torch.bool, torch.float64])
def test_pooling_by_hand(pooling, kind):
    torch.manual_seed(0)
    hidden = torch.randn(5, 5, 3, dtype=torch.float64) - 2  # all below 0: zeros would be the max
    expected = pool_by_hand(pooling, hidden.numpy(), MASK.numpy())
    hidden[MASK == 0] = torch.nan  # must not leak
    encoder = PretrainedEncoder(Gives(hidden), pooling=pooling)
    got = encoder({"input_ids": MASK, "attention_mask": MASK.to(kind)})
    np.testing.assert_allclose(got.numpy(), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("pooling", ["mean", "first", "last", "max"])
@pytest.mark.parametrize("x", [torch.zeros(5, 2), {"input_ids": torch.zeros(5, 2)}])
def test_without_a_mask_all_steps_count(pooling, x):
    hidden = torch.randn(5, 4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = pool_by_hand(pooling, hidden.numpy(), np.ones((5, 4)))
    got = PretrainedEncoder(Gives(hidden), pooling=pooling)(x)
    np.testing.assert_allclose(got.numpy(), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("pooling", ["mean", "first", "last", "max"])
def test_masked_steps_get_no_gradient(pooling):
    hidden = torch.randn(5, 5, 3, generator=torch.Generator().manual_seed(0), requires_grad=True)
    PretrainedEncoder(Gives(hidden), pooling=pooling)({"attention_mask": MASK}).sum().backward()
    assert (hidden.grad[MASK == 0] == 0).all()
    # What comes out is a mean or a choice: each feature's gradient sums to 1.
    expected = (MASK.sum(dim=1) > 0).float()[:, None].expand(5, 3)
    torch.testing.assert_close(hidden.grad.sum(dim=1), expected)


def test_mean_in_half_precision_does_not_overflow():
    hidden = torch.full((1, 500, 1), 1000.0, dtype=torch.float16)  # the sum is above 65,504
    got = PretrainedEncoder(Gives(hidden))(torch.zeros(1, 2))
    assert got.dtype == torch.float16
    assert got.item() == 1000


def test_callable_pooling_gets_hidden_states_and_a_mask_of_bool():
    hidden, seen = torch.randn(5, 5, 3), []

    def pooling(*args):
        seen.extend(args)
        return args[0][:, 1]

    encoder = PretrainedEncoder(Gives(hidden), pooling=pooling)
    assert torch.equal(encoder({"attention_mask": MASK}), hidden[:, 1])
    assert seen[0] is hidden
    assert torch.equal(seen[1], MASK.bool())


def test_a_module_that_pools_is_trained_though_the_rest_is_frozen():
    class Weighted(nn.Linear):
        def forward(self, hidden, mask):
            scores = super().forward(hidden)[:, :, 0].masked_fill(~mask, -1e9)
            return (scores.softmax(dim=1)[:, :, None] * hidden).sum(dim=1)

    encoder = PretrainedEncoder(Words(), frozen=True, pooling=Weighted(6, 1)).train()
    encoder(tensors(tokens())).square().sum().backward()
    assert {n for n, p in encoder.named_parameters() if p.requires_grad} == {
        "pooling.weight",
        "pooling.bias",
    }
    assert encoder.pooling.training
    assert encoder.pooling.weight.grad.abs().sum() > 0


# What a module may give


@pytest.mark.parametrize(
    "give",
    [
        lambda z: z,
        lambda z: (z, None),
        lambda z: [z],
        lambda z: Pair(z, torch.zeros(4, 3)),
        lambda z: {"last_hidden_state": z, "pooler_output": None},
        lambda z: SimpleNamespace(last_hidden_state=z),
        lambda z: z[:, :, None, None],
    ],
)
def test_the_main_entry_is_found(give):
    z = torch.randn(4, 3)
    assert torch.equal(PretrainedEncoder(Gives(give(z)))(torch.zeros(4, 2)), z)


@pytest.mark.parametrize(
    "give",
    [
        lambda z: {"last_hidden_state": torch.zeros(4, 5, 3), "logits": z},
        lambda z: SimpleNamespace(logits=z),
        lambda z: Pair(aux=None, logits=z),
    ],
)
def test_another_entry_by_name(give):
    z = torch.randn(4, 3)
    encoder = PretrainedEncoder(Gives(give(z)), output="logits")
    assert torch.equal(encoder(torch.zeros(4, 2)), z)


def test_a_module_of_torch_that_gives_a_tuple():
    gru = nn.GRU(3, 4, batch_first=True)
    x = torch.randn(2, 6, 3)
    assert torch.equal(PretrainedEncoder(gru, pooling="last")(x), gru(x)[1][0])


@pytest.mark.parametrize(
    "given, settings, error, match",
    [
        ({"logits": torch.zeros(4, 3)}, {}, TypeError, "dict without 'last_hidden_state'; it has"),
        ({"a": None}, {"output": "a"}, TypeError, "dict without 'a'; it has 'a'"),
        (torch.zeros(4, 3), {"output": "mean"}, TypeError, "Tensor without 'mean'. Choose"),
        ((None, 1), {}, TypeError, "Gives gave a tuple that begins with NoneType: a tensor"),
        ((), {}, TypeError, "gave tuple without"),
        ({"a": (1, 2)}, {"output": "a"}, TypeError, "gave, as 'a', tuple: a tensor is needed"),
        (torch.zeros(4), {}, ValueError, r"gave a tensor of shape \(4,\)"),
        (torch.zeros(4, 3, 2, 2), {}, ValueError, r"shape \(4, 3, 2, 2\): \(n_samples, n_features"),
        (
            torch.zeros(5, 3, 2),
            {},
            ValueError,
            r"mask has shape \(5, 5\), but .* 3 steps",
        ),
    ],
)
def test_what_cannot_be_used_is_said(given, settings, error, match):
    encoder = PretrainedEncoder(Gives(given), **settings)
    with pytest.raises(error, match=match):
        encoder({"attention_mask": MASK})


@pytest.mark.parametrize(
    "module, settings, error, match",
    [
        ("bert", {}, TypeError, "'module' .* must be a torch module. Got 'bert'; load it first"),
        (nn.GRU, {}, TypeError, "'module' .* a torch module. Got <class .*GRU'>; give an instance"),
        (len, {}, TypeError, "'module' .* must be a torch module. Got <built-in function len>"),
        (nn.ReLU(), {"pooling": "maen"}, ValueError, "'pooling' .*'maen'; did you mean 'mean'"),
        (
            nn.ReLU(),
            {"pooling": None},
            TypeError,
            "'pooling' .* must be one of 'mean', 'first', .* Got None",
        ),
        (nn.ReLU(), {"pooling": nn.Linear}, TypeError, "of a class, an instance"),
        (nn.ReLU(), {"output": 0}, TypeError, "'output' .* or the name of an entry. Got 0"),
    ],
)
def test_wrong_settings(module, settings, error, match):
    with pytest.raises(error, match=match):
        PretrainedEncoder(module, **settings)


# Frozen and not


def test_frozen():
    torch.manual_seed(0)
    encoder = PretrainedEncoder(Words(), frozen=True).train()
    assert encoder.training
    assert not any(part.training for part in encoder.module.modules())
    assert not any(p.requires_grad for p in encoder.parameters())
    state = copy.deepcopy(encoder.state_dict())
    x = tensors(tokens())
    first, second = encoder(x), encoder(x)
    assert torch.equal(first, second)  # no dropout
    assert not first.requires_grad
    assert all(torch.equal(state[k], v) for k, v in encoder.state_dict().items())
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("mode", [True, False])
def test_freezing_leaves_the_given_module_to_be_tuned_elsewhere(mode):
    torch.manual_seed(0)
    words = Words().train(mode)
    frozen = PretrainedEncoder(words, frozen=True)
    assert all(p.requires_grad for p in words.parameters())
    assert all(part.training is mode for part in words.modules())
    clf, _ = fitted(PretrainedEncoder(words), lr=0.01)
    assert (clf.curves_["fisher_trace"]["text"] > 0).all()
    trained = dict(clf.encoders_["text"].named_parameters())
    for name, start in frozen.named_parameters():
        assert not torch.equal(trained[name], start), name
    # In one network, side by side.
    shapes = {n: {k: ArraySpec((5,), "int") for k in tokens()} for n in ("a", "b")}
    both = {"a": frozen, "b": PretrainedEncoder(words)}
    network = build_network(shapes, 3, encoders=both, dtype=torch.float32)
    x = tensors(tokens())
    network({"a": x, "b": x}).logits.square().sum().backward()
    assert all(p.grad is None for p in network.encoders["a"].parameters())
    assert all(p.grad.abs().sum() > 0 for p in network.encoders["b"].parameters())


def test_frozen_inside_other_modules():
    """``train`` of a module calls that of its parts; layers on top are trained."""
    stack = nn.Sequential(PretrainedEncoder(Words(), frozen=True), nn.Linear(6, 4)).train()
    assert not stack[0].module.dropout.training
    stack(tensors(tokens())).sum().backward()
    assert stack[1].weight.grad.abs().sum() > 0


def test_not_frozen_everything_is_trained():
    torch.manual_seed(0)
    encoder = PretrainedEncoder(Words()).train()
    assert encoder.module.dropout.training
    encoder(tensors(tokens())).square().sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in encoder.parameters())
    assert encoder.module.norm.running_mean.abs().sum() > 0
    encoder.eval()
    assert not encoder.module.dropout.training
    with torch.no_grad():
        assert not encoder(tensors(tokens())).requires_grad


def test_parts_that_the_user_froze_stay_so():
    words = Words()
    words.table.requires_grad_(False)
    encoder = PretrainedEncoder(words)
    assert {n for n, p in encoder.named_parameters() if not p.requires_grad} == {
        "module.table.weight"
    }


@pytest.mark.parametrize("frozen", [True, False])
@pytest.mark.parametrize("pooling", ["mean", double_mean])
@pytest.mark.parametrize("again", [copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))])
def test_copies(frozen, pooling, again):
    encoder = PretrainedEncoder(Words(), frozen=frozen, pooling=pooling).eval()
    other, x = again(encoder), tensors(tokens())
    assert torch.equal(encoder(x), other(x))
    assert other.module is not encoder.module
    other.train()
    assert other.module.training is not frozen
    assert all(p.requires_grad is not frozen for p in other.parameters())


def test_integers_stay_integers_in_another_type():
    encoder = PretrainedEncoder(Words().to(torch.bfloat16)).to(torch.float64).eval()
    assert encoder(tensors(tokens())).dtype == torch.float64


# In the network and the estimator


def test_in_a_network():
    """Its width is found with a mask of zeros, in evaluation mode, without a trace."""
    shapes = {"text": {k: ArraySpec((5,), "int") for k in ("attention_mask", "input_ids")}}
    words = Words()
    encoder = PretrainedEncoder(words, frozen=True)
    network = build_network(shapes, 3, encoders={"text": encoder}, dtype=torch.float64)
    inner = network.encoders["text"]
    assert network.widths == {"text": 6}
    assert inner.module is not words
    assert inner.training
    assert not inner.module.training
    assert network({"text": tensors(tokens())}).logits.shape == (8, 3)


def fitted(encoder, **settings):
    text, rng = tokens(40), np.random.default_rng(1)
    X = {"text": text, "audio": rng.normal(size=(40, 3))}
    clf = MultimodalInfoRegClassifier(
        encoders={"text": encoder}, max_epochs=3, random_state=0, **settings
    )
    return clf.fit(X, text["input_ids"][:, 0] > 9), X


def test_a_frozen_encoder_has_no_trace_and_keeps_its_weights():
    torch.manual_seed(0)
    words = Words()
    clf, X = fitted(PretrainedEncoder(words, frozen=True))
    assert (clf.curves_["fisher_trace"]["text"] == 0).all()
    assert (clf.curves_["fisher_trace"]["audio"] > 0).all()
    trained = clf.encoders_["text"].module.state_dict()
    # Not even the optimizer's weight decay moves them.
    assert all(torch.equal(trained[k], v) for k, v in words.state_dict().items())
    assert clf.predict(X).shape == (40,)


def test_an_encoder_that_is_trained_has_a_trace_and_a_learning_rate_of_its_own():
    torch.manual_seed(0)
    words, moved = Words(), {}
    for lr in (1e-3, 1e-6):
        group = {"lr": lr, "weight_decay": 0.0}
        clf, _ = fitted(
            PretrainedEncoder(words), optimizer__param_groups=[("encoder_text.*", group)]
        )
        assert (clf.curves_["fisher_trace"]["text"] > 0).all()
        after = clf.encoders_["text"].module.table.weight
        moved[lr] = (after - words.table.weight).abs().max().item()
    n_steps = 3 * 2  # 40 samples in batches of 32
    # A step of Adam is no longer than about its learning rate (float32 rounds at 1e-7).
    assert 1e-4 < moved[1e-3] <= 1.1 * n_steps * 1e-3
    assert 0 < moved[1e-6] <= 1.1 * n_steps * 1e-6 + 1e-6


# With Hugging Face transformers


@pytest.fixture(scope="module")
def transformers():
    return pytest.importorskip("transformers")


@pytest.fixture
def bert(transformers):
    """A tiny BERT with random weights."""
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=50,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=16,
    )
    return transformers.BertModel(config)


@pytest.mark.parametrize("pooling", ["mean", "first", "last", "max"])
def test_bert_padded_is_bert_unpadded(bert, pooling):
    encoder, arrays = PretrainedEncoder(bert, pooling=pooling).eval(), tensors(tokens(n_steps=9))
    together = encoder(arrays)
    assert together.shape == (8, 16)
    lengths = arrays["attention_mask"].sum(dim=1).tolist()
    assert len(set(lengths)) > 3
    for i, n in enumerate(lengths):
        alone = encoder({"input_ids": arrays["input_ids"][i : i + 1, :n]})
        torch.testing.assert_close(together[i : i + 1], alone, rtol=0, atol=1e-5)


def test_berts_pooler_output(bert):
    x = tensors(tokens())
    expected = bert.eval()(**x).pooler_output
    torch.testing.assert_close(PretrainedEncoder(bert, output="pooler_output")(x), expected)
    bert.pooler = None
    with pytest.raises(TypeError, match="without 'pooler_output'; it has 'last_hidden_state'"):
        PretrainedEncoder(bert, output="pooler_output")(x)


def test_bert_as_a_tuple(bert):
    bert.eval()
    x, expected = tensors(tokens()), PretrainedEncoder(bert, pooling="first")
    bert.config.return_dict = False
    assert isinstance(bert(**x), tuple)
    assert torch.equal(expected(x), bert(**x)[0][:, 0])


def test_bert_frozen(bert):
    encoder, x = PretrainedEncoder(bert, frozen=True).train(), tensors(tokens())
    assert bert.config.hidden_dropout_prob > 0
    assert torch.equal(encoder(x), encoder(x))
    assert not encoder(x).requires_grad
    other = pickle.loads(pickle.dumps(copy.deepcopy(encoder)))
    assert torch.equal(encoder(x), other(x))


def test_bert_trained_in_the_estimator(bert):
    clf, X = fitted(PretrainedEncoder(bert), dtype="float64")
    assert (clf.curves_["fisher_trace"]["text"] > 0).all()
    proba = pickle.loads(pickle.dumps(clf)).predict_proba(X)
    np.testing.assert_array_equal(proba, clf.predict_proba(X))
    before = bert.embeddings.word_embeddings.weight
    after = clf.encoders_["text"].module.embeddings.word_embeddings.weight
    assert after.dtype == torch.float64
    assert not torch.equal(before.double(), after)
