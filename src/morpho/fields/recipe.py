"""How a field is fitted: every choice that `morpho.fields.train.fit` leaves to its user."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self, get_args

from morpho.errors import InputError
from morpho.fields.model import Model, Scone
from morpho.fields.signal import Signal

__all__ = ["Interpolation", "Precision", "Recipe", "Sampling"]

#: Which samples a step sees, see `morpho.fields.sampling.Sampler`.
Sampling = Literal["even", "random", "hard"]
#: How values between samples are found.
Interpolation = Literal["linear", "cubic", "directed"]
#: Of the matrix products of gradients.
Precision = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How to fit.

    Attributes:
        model: the function, with its hyper-parameters.
        steps: gradient steps; where ``psnr`` ends the fit, at most; where ``seconds`` does, it has no meaning.
        batch: samples per step; 0 for all of them, as published for pictures.
        learning_rate: of Adam, at its highest; None for what suits the model and the signal.
        beta2: of Adam, the decay of its mean of squares: 0.99 follows a short fit better than the usual 0.999.
        final_rate: the part of it that is left at the end of the cosine.
        warmup: steps over which the rate rises, linearly.
        clip: largest norm of the gradient; 0 for any.
        average: decay per step of a running mean of the weights, which is then what is kept; 0 for none. With
            ``psnr`` there is one in any case.
        sampler: which samples a step sees: ``even``, all of them in turn; ``random``, as published; ``hard``, a share
            from where the error is large, which is better than ``random`` and not than ``even``.
        between: share of the points that lie between samples, at random, and are to have interpolated values: it
            makes a field behave there, at a price on the samples.
        interpolation: of those values: ``linear``, ``cubic``, or ``directed``, which follows the edges of a picture and
            is for pictures alone.
        psnr: end when the signal's PSNR in dB reaches this; 0 for no such goal.
        seconds: end after so much time of training, measurements aside; 0 for any. The rate then follows time.
        bits: per weight in the file: 32, 16, or 2 to 12 with rounding that the last part of the fit makes up for.
        size: bytes of the file at most, where weights are of 2 to 12 bits: their step sizes then follow this, and what
            errors cost, instead of the bits; 0 for any number.
        finetune: that part; None for 0.05 of 8 bits and more, and twice as much for each bit less, 0.2 at most: coarse
            weights need time to make up for each other, and fine ones lose by it. With ``size`` at least 0.1.
        precision: of the matrix products of gradients: ``float32``, ``bfloat16``, or ``auto`` for the latter where the
            machine multiplies it faster. Everything else is float32.
        seed: of the initial weights and of the draws.

    Raises:
        InputError: a value is out of range.
    """

    model: Model = field(default_factory=Scone)
    steps: int = 2000
    batch: int = 8192
    learning_rate: float | None = None
    beta2: float = 0.99
    final_rate: float = 0.01
    warmup: int = 50
    clip: float = 1.0
    average: float = 0.0
    sampler: Sampling = "even"
    between: float = 0.0
    interpolation: Interpolation = "linear"
    psnr: float = 0.0
    seconds: float = 0.0
    bits: int = 32
    size: int = 0
    finetune: float | None = None
    precision: Precision = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.steps < 1 or min(self.batch, self.warmup, self.seed) < 0:
            raise InputError("steps must be at least 1, and batch, warmup and seed not negative")
        if self.learning_rate is not None and not 0 < self.learning_rate < math.inf:
            raise InputError(f"the learning rate {self.learning_rate} is not a positive number")
        if not (0 <= self.final_rate <= 1 and 0 <= self.average < 1 and 0 < self.beta2 < 1 and self.clip >= 0):
            raise InputError("final_rate, beta2 and average must be in 0..1 (1 excluded), and clip not negative")
        if self.precision not in get_args(Precision):
            raise InputError("the precision must be auto, float32 or bfloat16")
        if self.sampler not in get_args(Sampling) or self.interpolation not in get_args(Interpolation):
            raise InputError("the sampler must be even, random or hard; the interpolation linear, cubic or directed")
        if not (0 <= self.between < 1 and 0 < self.settling <= 1):
            raise InputError("between must be in 0..1 (1 excluded), and finetune in 0..1 (0 excluded)")
        if not (0 <= self.psnr <= 100 and 0 <= self.seconds < math.inf):
            raise InputError("psnr must be in 0..100 dB, and seconds not negative")
        if self.bits not in (16, 32) and not 2 <= self.bits <= 12:
            raise InputError(f"{self.bits} bits per weight are not possible: use 2 to 12, 16 or 32")
        if self.size < 0 or (self.size and self.bits > 12):
            raise InputError("size must not be negative, and goes with 2 to 12 bits per weight alone")

    @classmethod
    def published(cls, model: Model, *, kind: str = "image", **changes: Any) -> Self:
        """Return SCONE's own recipe: Adam along a cosine to 1e-6 in 10,000 steps, no warm-up, no clipping.

        Args:
            model: any; the recipe is that of all models in the paper's code.
            kind: of the signal: pictures are fitted as a whole at each step with a rate of 1e-4, videos by 2^18 random
                samples, signed distances by 27,000 with 5e-4.
            changes: other attributes.

        >>> Recipe.published(Scone()).batch, Recipe.published(Scone(), kind="sdf").learning_rate
        (0, 0.0005)
        """
        batch = {"image": 0, "video": 2**18}.get(kind, 27_000)
        rate = 1e-4 if kind in ("image", "video") else 5e-4
        options: dict[str, Any] = {"model": model, "steps": 10_000, "batch": batch, "seed": 42, "sampler": "random"}
        options |= {"learning_rate": rate, "final_rate": 1e-6 / rate, "beta2": 0.999, "warmup": 0, "clip": 0.0}
        options |= {"precision": "float32"}
        return cls(**options | changes)

    @property
    def settling(self) -> float:
        """The part of the fit in which weights are rounded: ``finetune``, or what suits the bits.

        >>> [Recipe(bits=bits).settling for bits in (16, 8, 7, 6, 4)], Recipe(bits=8, size=9000).settling
        ([0.05, 0.05, 0.1, 0.2, 0.2], 0.1)
        """
        if self.finetune is not None:
            return self.finetune
        return 0.05 * 2.0 ** min(max(8 - self.bits, int(self.size > 0)), 2)

    def rate(self, signal: Signal) -> float:
        """Return the learning rate: the recipe's, or else what suits the model for the signal."""
        if self.learning_rate is not None:
            return self.learning_rate
        if signal.kind not in ("image", "video"):  # a shape's samples depend too much on each other to be counted
            return self.model.learning_rate
        weights = self.model.parameters(signal.dimensions, signal.channels)
        factor = self.model.goal_factor if self.psnr else 1.0
        steps = 0 if self.psnr or self.seconds else self.steps  # which are then only a bound
        return factor * self.model.rate_for(signal.samples * signal.channels / weights, steps)

    def to_json(self) -> dict[str, Any]:
        """Return the recipe as JSON has it."""
        return asdict(self) | {"model": self.model.to_json()}
