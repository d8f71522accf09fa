"""What a fit takes where a person says nothing: the model, its number of weights, the steps."""

from __future__ import annotations

from morpho.errors import InputError
from morpho.fields.model import Model
from morpho.fields.registry import for_signal, matched
from morpho.fields.signal import Signal

__all__ = ["SIZED_BITS", "default_model", "default_parameters", "default_steps", "model_for", "parameters_within"]

#: A picture has about this many values per weight, as a photo of 768 x 512 has with the published model.
_VALUES_PER_WEIGHT = 6
_FEWEST, _MOST, _MOST_FOR_A_GOAL = 5_000, 200_000, 500_000
#: Of shapes: their surfaces are smooth, however fine the grid.
_SHAPE = 100_000
#: The side of a grid in whose frequencies surfaces are fitted, whatever grid they are scored on.
_SMOOTH = 256
#: Weights times steps: a minute or two on two cores, at the default batch.
_WORK = 2.5e8
_LEAST_STEPS, _MOST_STEPS = 1_000, 5_000
#: The bits of weights whose steps follow a size, and are then seldom as fine as these allow.
SIZED_BITS = 8
#: Bytes of a file beside its weights; floats have names, offsets and the recipe of the training beside them.
_BESIDE, _BESIDE_FLOATS = 700, 2700
#: What small tensors take more, whose weights have more bits; and bits per weight where step sizes follow a size.
_MORE, _EACH = 550, 5.5


def default_model() -> str:
    """Return the name of the model that is fitted where none is named."""
    return "scone+"


def default_parameters(signal: Signal, psnr: float | None = None) -> int:
    """Return how many weights a field gets where nothing is said: 100,000 for a shape, else a sixth of its values.

    Args:
        signal: what is fitted.
        psnr: the PSNR in dB that is to be reached: 40 takes a weight for 1.6 values, five more twice as many.

    >>> signal = Signal(kind="image", shape=(256, 256), channels=3)
    >>> default_parameters(signal), default_parameters(signal, 40), default_parameters(signal, 35)
    (32768, 122880, 61440)
    """
    if signal.kind in ("sdf", "occupancy"):
        return _SHAPE
    each = _VALUES_PER_WEIGHT if psnr is None else min(1.6 * 2 ** ((40 - psnr) / 5), 2 * _VALUES_PER_WEIGHT)
    most = _MOST if psnr is None else _MOST_FOR_A_GOAL
    return int(min(max(signal.samples * signal.channels / each, _FEWEST), most))


def parameters_within(size: int, bits: int | None = None) -> int:
    """Return how many weights fit into a file of ``size`` bytes.

    Args:
        size: of the file.
        bits: per weight, of which the code seldom takes all; by default as many weights as are best, if their step
            sizes are chosen for the size (`morpho.fields.Recipe.size`).

    Raises:
        InputError: so few bytes hold no field.

    >>> parameters_within(50_000, 8), parameters_within(50_000)
    (47750, 71709)
    """
    left = size - _BESIDE
    if bits is not None:
        left = size - _BESIDE_FLOATS if bits > 12 else int(0.98 * size) - _BESIDE - _MORE
    if left < 100:
        raise InputError(f"{size} bytes are too few for a field: allow {size - left + 500}")
    return int(left * 8 / (bits or _EACH))


def default_steps(parameters: int) -> int:
    """Return how many steps take a minute or two on two cores.

    >>> default_steps(200_000), default_steps(30_000)
    (1250, 5000)
    """
    return int(min(max(_WORK / parameters, _LEAST_STEPS), _MOST_STEPS))


def model_for(model: Model, signal: Signal, parameters: int) -> Model:
    """Return a model of at most so many weights, with frequencies that follow the signal's resolution.

    Raises:
        InputError: even the smallest model of its kind is larger.

    >>> from morpho.fields.model import Scone
    >>> model_for(Scone(), Signal(kind="image", shape=(512, 768), channels=3), 196_608).width
    252
    """
    dimensions, channels = signal.dimensions, signal.channels
    sized = matched(model, parameters, dimensions, channels)
    pixels = signal.kind in ("image", "video")
    shape = signal.shape if pixels else tuple(min(side, _SMOOTH) for side in signal.shape)
    return matched(for_signal(sized, shape, channels), parameters, dimensions, channels)
