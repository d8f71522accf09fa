"""Teach a compressed network what its dense teacher knows: softened answers, and optionally contrasted features."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from morpho.callable_module import make_callable
from morpho.errors import InputError
from morpho.training import Fit, fit
from morpho.training.fit import Augment, Batches

__all__ = ["Distillation", "contrastive", "distil", "soft_cross_entropy"]


@dataclass(frozen=True, kw_only=True)
class Distillation:
    """Weights of the loss ``gamma CE + alpha T^2 KL + beta CRD``.

    The published training uses the same three terms with T = 4; its weights are not published, and these are the usual
    ones of knowledge distillation. The contrastive term takes its negatives from the batch, not from a memory
    of 16,384 as the release does, so that it needs no state beside the network. Source: alldebut.

    Attributes:
        gamma: weight of the cross-entropy with the labels.
        alpha: weight of the divergence from the teacher's softened answers.
        beta: weight of the contrast of features; 0 leaves it out.
        temperature: softens both answers.
        tau: temperature of the contrast.
        width: dimensions in which features are compared.

    Raises:
        InputError: a weight is negative, all are zero, or a temperature is not positive.
    """

    gamma: float = 0.1
    alpha: float = 0.9
    beta: float = 0.0
    temperature: float = 4.0
    tau: float = 0.07
    width: int = 128

    def __post_init__(self) -> None:
        weights = (self.gamma, self.alpha, self.beta)
        if not (all(0 <= weight < math.inf for weight in weights) and max(weights) > 0):
            raise InputError(f"the weights gamma, alpha, beta = {weights} must not be negative, nor all zero")
        if not (0 < self.temperature < math.inf and 0 < self.tau < math.inf and self.width >= 1):
            raise InputError("temperature, tau and width must be positive")


def soft_cross_entropy(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """The divergence ``T^2 KL(teacher || student)`` of softened answers, logits ``(N, classes)``.

    Source: Hinton et al., arXiv 1503.02531.

    >>> logits = torch.tensor([[1.0, 2.0, 3.0]])
    >>> float(soft_cross_entropy(logits, logits + 5, 4.0))
    0.0
    """
    wanted = functional.log_softmax(teacher / temperature, 1)
    given = functional.log_softmax(student / temperature, 1)
    return functional.kl_div(given, wanted, reduction="batchmean", log_target=True).clamp_min(0) * temperature**2


def contrastive(student: Tensor, teacher: Tensor, tau: float) -> Tensor:
    """How badly the student's feature finds the teacher's of the same item among the batch's, and the other way.

    Args:
        student: embeddings ``(N, D)``.
        teacher: of the same items, ``(N, D)``.
        tau: temperature.

    >>> eye = torch.eye(3)
    >>> float(contrastive(eye, eye, 0.07)) < float(contrastive(eye, eye.roll(1, 0), 0.07))
    True
    """
    closeness = functional.normalize(student, dim=1) @ functional.normalize(teacher, dim=1).T / tau
    same = torch.arange(len(closeness), device=closeness.device)
    return (functional.cross_entropy(closeness, same) + functional.cross_entropy(closeness.T, same)) / 2


def distil(
    student: nn.Module,
    teacher: nn.Module,
    plan: Fit,
    batches: Batches,
    *,
    steps_per_epoch: int,
    folder: Path | str,
    distillation: Distillation | None = None,
    augment: Augment | None = None,
    measure: Callable[[nn.Module], dict[str, float]] | None = None,
    every: int = 1,
    device: str = "auto",
    resume: bool = False,
    label: str = "distil",
) -> nn.Module:
    """Train a student on labels and on its teacher's answers; the arguments are those of `morpho.training.fit`.

    Raises:
        InputError: features are to be contrasted and a network does not have ``features`` and ``classifier``.
    """
    chosen = distillation or Distillation()
    teacher = copy.deepcopy(teacher).eval().requires_grad_(False)  # the caller's stays as it is
    with torch.random.fork_rng(devices=[]):  # the maps begin alike, whatever was drawn before
        torch.manual_seed(plan.seed)
        pupil = _Pupil(student, teacher, chosen)

    def loss(wrapped: nn.Module, inputs: Tensor, labels: Tensor) -> Tensor:
        with torch.no_grad():
            known = teacher.to(inputs.device)(inputs) if chosen.alpha else None
            features = teacher.to(inputs.device).features(inputs) if chosen.beta else None  # type: ignore[operator]
        logits, pair = wrapped(inputs, features)
        value = chosen.gamma * functional.cross_entropy(logits, labels)
        if known is not None:
            value = value + chosen.alpha * soft_cross_entropy(logits, known, chosen.temperature)
        return value if pair is None else value + chosen.beta * contrastive(pair[0], pair[1], chosen.tau)

    trained = fit(
        pupil,
        _Taught(**vars(plan), distillation=chosen),
        batches,
        steps_per_epoch=steps_per_epoch,
        folder=folder,
        loss=loss,
        augment=augment,
        measure=(lambda kept: measure(kept.student)) if measure else None,
        every=every,
        device=device,
        resume=resume,
        label=label,
    )
    return trained.student


@dataclass(frozen=True, kw_only=True)
class _Taught(Fit):
    """A plan with the loss, which a checkpoint must not change either."""

    distillation: Distillation


class _Pupil(nn.Module):
    """The student, with the two linear maps into the space where features are compared."""

    def __init__(self, student: nn.Module, teacher: nn.Module, chosen: Distillation) -> None:
        super().__init__()
        self.student = student
        self.maps: nn.ModuleList | None = None
        if chosen.beta:
            self.maps = nn.ModuleList(nn.Linear(_width(net), chosen.width) for net in (student, teacher))

    def forward(self, inputs: Tensor, features: Tensor | None = None) -> tuple[Tensor, tuple[Tensor, Tensor] | None]:
        if features is None or self.maps is None:
            return self.student(inputs), None
        own = self.student.features(inputs)  # type: ignore[operator]
        return self.student.classifier(own), (self.maps[0](own), self.maps[1](features))  # type: ignore[operator]


def _width(network: nn.Module) -> int:
    classifier = getattr(network, "classifier", None)
    width = getattr(classifier, "in_features", None)
    if not hasattr(network, "features") or width is None:
        raise InputError(
            f"the features of a {type(network).__name__} cannot be contrasted: it needs features() and a classifier, "
            "or leave beta at 0"
        )
    return int(width)


make_callable(__name__, "distil")
