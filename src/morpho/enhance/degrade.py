"""Photographs made worse at random: what an enhancer learns to undo where there are no retouched pairs."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from morpho.errors import InputError

__all__ = ["MILD", "Degradation"]

#: BT.601 weights of gamma-encoded R, G, B.
_LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True, kw_only=True)
class Degradation:
    """How strongly exposure, contrast, colour and tone are changed; one draw per picture, in this order.

    Attributes:
        saturation: factor of the distance to luma, uniform between the two.
        contrast: factor of the distance to a point between mid-grey and the mean, uniform between the two.
        exposure: mean and standard deviation in stops, in linear light.
        white_balance: standard deviation in stops of red against blue, in linear light.
        tint: standard deviation in stops of green.
        gamma: standard deviation of the logarithm of an exponent.

    Raises:
        InputError: a deviation is negative, or a factor not positive.
    """

    saturation: tuple[float, float] = (0.55, 1.1)
    contrast: tuple[float, float] = (0.55, 1.05)
    exposure: tuple[float, float] = (-0.5, 0.5)
    white_balance: float = 0.2
    tint: float = 0.1
    gamma: float = 0.15

    def __post_init__(self) -> None:
        deviations = (self.exposure[1], self.white_balance, self.tint, self.gamma)
        factors = (*self.saturation, *self.contrast)
        if not (all(value >= 0 for value in deviations) and all(value > 0 for value in factors)):
            raise InputError("a degradation needs positive factors and deviations that are not negative")

    def __call__(self, pictures: Tensor, generator: torch.Generator) -> Tensor:
        """Degrade pictures, each in its own way.

        Args:
            pictures: ``(B, K, 3)``, K pixels each, sRGB from 0 to 1.
            generator: where the randomness comes from.

        Returns:
            ``(B, K, 3)``, rounded to the grey levels of 8 bits, from 0 to 1.
        """
        count = len(pictures)

        def uniform(low: float, high: float) -> Tensor:
            return low + (high - low) * torch.rand(count, 1, 1, generator=generator)

        def normal(mean: float, deviation: float) -> Tensor:
            return mean + deviation * torch.randn(count, 1, 1, generator=generator)

        luma = (pictures * torch.tensor(_LUMA)).sum(-1, keepdim=True)
        colors = luma + (pictures - luma) * uniform(*self.saturation)
        pivot = colors.mean((1, 2), keepdim=True) / 2 + 0.25
        colors = (pivot + (colors - pivot) * uniform(*self.contrast)).clamp(0, 1)
        warmth, green = normal(0, self.white_balance), normal(0, self.tint)
        stops = normal(*self.exposure) + torch.cat([warmth, green, -warmth], dim=-1)
        colors = encode(linear(colors) * torch.exp2(stops)).clamp(0, 1)
        colors = colors ** torch.exp(normal(0, self.gamma))
        return (255 * colors).round() / 255


#: Small changes, so that few real pairs are seen in many variants.
MILD = Degradation(
    saturation=(0.85, 1.15),
    contrast=(0.85, 1.15),
    exposure=(0.0, 0.25),
    white_balance=0.08,
    tint=0.04,
    gamma=0.08,
)


def linear(encoded: Tensor) -> Tensor:
    """Undo the transfer curve of sRGB (IEC 61966-2-1)."""
    return torch.where(encoded > 0.04045, ((encoded + 0.055) / 1.055) ** 2.4, encoded / 12.92)


def encode(light: Tensor) -> Tensor:
    """The transfer curve of sRGB, continued above 1."""
    return torch.where(light > 0.0031308, 1.055 * light.clamp(min=1e-6) ** (1 / 2.4) - 0.055, 12.92 * light)
