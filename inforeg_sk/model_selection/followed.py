"""What follows the training of a member of a stack: regulation, history, early stopping."""

import time

import numpy as np
import torch

from ..methods import InfoReg
from ..methods.records import CurveKeys
from ..training.members import MemberRun, Verdict
from ..training.trained import EarlyStop

__all__ = ["FollowedRun"]


class FollowedRun(MemberRun):
    """How a member is regulated and stops, and its history."""

    def __init__(self, job):
        self._job = job
        self._method = method = job.plan.method
        self._modalities = job.plan.network.modalities
        self._settings = job.plan.settings
        self._regulates = type(method) is InfoReg
        self._traced = bool(self._settings.monitors)
        self._traces, self._row, self._best = [], {}, {}
        self._stopping = None
        if job.held_out is not None:
            estimator = job.estimator
            self._stopping = EarlyStop(estimator.n_iter_no_change, estimator.tol)
            job.early_stop = self._stopping
            rows = job.held_out.indices
            self._sizes = np.diff([*range(0, len(rows), job.batch_size), len(rows)])
            weight = job.samples.weight
            self._held_out_weight = None if weight is None else weight[rows].double().numpy()
        if self._regulates:
            self.unimodal_weight, self.beta, self.pull = (
                float(method.unimodal_weight),
                float(method.beta),
                method.pull,
            )
        encoders = job.plan.network.encoders
        self._regulated = [m for m, e in encoders.items() if any(True for _ in e.parameters())]

    def _put(self, quantity, values, labels=()):
        """Record values by label, the modalities if none are given; None: a scalar."""
        labels = self._modalities if labels == () else labels
        if (quantity, labels) not in self._job.claims:
            self._job.claims.append((quantity, labels))
        for label, value in zip(labels or (None,), values, strict=True):
            self._row[CurveKeys.key(quantity, label)] = value

    def begin_epoch(self, others, epoch):
        windows = {}  # members whose windows are decided in one go
        for i, other in enumerate(others):
            other._start_row(epoch)
            if other._regulates and other._traced:
                windows.setdefault(other._window_settings, []).append(i)
        alphas = [None] * len(others)
        for members in windows.values():
            found = [others[i] for i in members]
            method, names = found[0]._method, found[0]._modalities
            past = None
            if epoch:
                kept = method.window_smoothing + 1
                past = torch.tensor([m._traces[-kept:] for m in found], dtype=torch.float64)
            ratios, are_open = method.window(past, names)
            if past is None:
                ratios, are_open = ratios.expand(len(found), -1), are_open.expand(len(found), -1)
            for i, other, ratio, is_open in zip(
                members, found, ratios.tolist(), are_open.tolist(), strict=True
            ):
                other._put("window_ratio", ratio)
                other._put("window", is_open)
                strengths = other._method.strengths(is_open, names, other._regulated)
                if any(strengths.values()) and len(names) > 1:
                    alphas[i] = list(strengths.values())
        return alphas

    @property
    def _window_settings(self):
        method = self._method
        return (
            method.window_threshold,
            method.window_smoothing,
            method.padding,
            method.leader,
            method.first_epoch,
        )

    def _start_row(self, epoch):
        self._start = time.perf_counter()
        self._row = {"batches": [], "epoch": epoch + 1}
        active = self._settings.active
        if active is not None:
            self._put("active", [epoch in active] * len(self._modalities))
        if self._regulates:
            self._put("coefficient", [0.0] * len(self._modalities))

    def end_epoch(self, epoch, result):
        sizes, job = result.sizes, self._job
        n_samples = sum(sizes)
        pairs = zip(result.objective, sizes, strict=True)
        self._row["train_objective"] = sum(loss * n for loss, n in pairs) / n_samples
        for (quantity, labels), values in result.values.items():
            self._put(quantity, values, labels)
            if quantity == "fisher_trace":
                self._traces.append(values)
        losses = result.losses
        if job.total_weight is not None:
            factor = job.means.epoch_factor(n_samples, job.total_weight)
            losses = [loss * factor for loss in losses]
        self._row["batches"] = [
            {"train_loss": loss, "train_batch_size": n}
            for loss, n in zip(losses, sizes, strict=True)
        ]
        self._row["train_batch_count"] = len(sizes)
        if self._stopping is not None:
            held_out_losses = self._losses_of(result.held_out[0])
            self._row["batches"] += [
                {"valid_loss": loss, "valid_batch_size": n}
                for loss, n in zip(held_out_losses, self._sizes.tolist(), strict=True)
            ]
            self._row["valid_batch_count"] = len(held_out_losses)
        self._row["dur"] = time.perf_counter() - self._start
        self._score("train_loss", np.average(losses, weights=sizes))
        verdict = Verdict()
        if self._stopping is not None:
            loss = np.average(held_out_losses, weights=self._sizes)
            self._score("valid_loss", loss)
            right = result.held_out[1]
            if right is not None:
                self._score("valid_acc", float(right.mean()), lower_is_better=False)
            verdict = Verdict(*self._stopping.hear(loss, epoch + 1))
        job.rows.append(self._row)
        job.n_steps += len(sizes)
        return verdict

    def _losses_of(self, losses):
        """Losses of the held-out batches (list of float), as the training loop has them."""
        starts = np.cumsum([0, *self._sizes[:-1]])
        weight = self._held_out_weight
        if weight is None:
            return (np.add.reduceat(losses, starts) / self._sizes).tolist()
        means = self._job.means
        factor = means.epoch_factor(len(losses), weight.sum()) / means.mean()
        return (np.add.reduceat(losses * weight, starts) / self._sizes * factor).tolist()

    def _score(self, name, value, lower_is_better=True):
        """Record a value, and whether it is the best so far."""
        before = self._best.get(name, np.inf if lower_is_better else -np.inf)
        is_best = value < before if lower_is_better else value > before
        self._best[name] = value if is_best else before
        self._row[name], self._row[f"{name}_best"] = value, bool(is_best)
