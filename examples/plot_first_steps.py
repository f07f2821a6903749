"""A dict, a fit, and a look at each modality
==========================================

The shortest way from arrays to an answer: does joint training starve a modality of these data, and
does a loss for each modality help? Handwritten digits, each with its spoken name (part of the
package), one seed, SGD. ``plot_quickstart.py`` does the same over seeds, with six ways to train.
"""

import matplotlib.pyplot as plt
import torch

from inforeg_sk import ModalityDict, MultimodalClassifier, MultimodalInfoRegClassifier
from inforeg_sk.datasets import load_av_digits
from inforeg_sk.inspection import FisherTraceDisplay, ModalityAccuracyDisplay

# %%
# The data are a dict of arrays, one for each modality, with a sample in each row.

digits = load_av_digits()
train, test = digits.train_indices, digits.test_indices
X, y = digits.data[train], digits.target[train]
X_test, y_test = digits.data[test], digits.target[test]
print({name: values.shape for name, values in X.items()})

# %%
# Joint training: one network, one loss. It predicts well; what does each modality say in it?

sgd = {
    "optimizer": torch.optim.SGD,
    "optimizer__momentum": 0.9,
    "optimizer__weight_decay": 1e-4,
    "lr": 0.01,
    "max_epochs": 60,
}
joint = MultimodalClassifier(random_state=0, **sgd).fit(X, y)
print("joint", joint.score(X_test, y_test), joint.score_by_modality(X_test, y_test))

# %%
# A network for each modality by itself tells what the encoder could have learned.

alone = {}
for name in X:
    one = MultimodalClassifier(random_state=0, **sgd).fit(ModalityDict({name: X[name]}), y)
    alone[name] = one.score(ModalityDict({name: X_test[name]}), y_test)
print("alone", alone)

# %%
# The image scores far less than it does alone: a hint that it starves, of which ``diagnose`` makes
# sure. Unimodal losses are the first remedy to try.

remedy = MultimodalInfoRegClassifier(alpha=0, unimodal_weight=1, random_state=0, **sgd).fit(X, y)
print("remedy", remedy.score(X_test, y_test), remedy.score_by_modality(X_test, y_test))

# %%
# Side by side: bars are accuracies inside the network, marks what the modality reaches alone.

figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True, layout="constrained")
for ax, (title, model) in zip(axes, {"joint": joint, "unimodal losses": remedy}.items()):
    ModalityAccuracyDisplay.from_estimator(model, X_test, y_test, alone=alone, name=title, ax=ax)

# %%
# The Fisher trace, the squared norm of the gradient of an encoder, tells how much it takes up in an
# epoch. Bars mark the window in which InfoReg would hold the leading encoder back; with ``alpha=0``
# it does not.

figure, axes = plt.subplots(1, 2, figsize=(9, 3.2), sharey=True, layout="constrained")
for ax, (title, model) in zip(axes, {"joint": joint, "unimodal losses": remedy}.items()):
    FisherTraceDisplay.from_estimator(model, ax=ax, name=title)
