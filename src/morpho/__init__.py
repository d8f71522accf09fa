"""morpho: vision models small enough for the edge and sturdy enough for the open world.

    import morpho

    big = morpho.upscale(image, scale=4)        # (H, W, C) uint8 or uint16 -> (4H, 4W, C)
    better = morpho.enhance(photo)              # retouched, of the same size
    small = morpho.butterfly.convert(model, budget=0.05)  # a network at 5 % of its parameters (needs torch)
    pixels = morpho.fields.load("photo.field").render()  # a picture that is stored as a neural field

The names below are loaded at first use, so that ``import morpho`` stays instant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from morpho import butterfly as butterfly
    from morpho import fields as fields
    from morpho.citation import cite as cite
    from morpho.enhance import Enhancer as Enhancer
    from morpho.enhance.enhancer import enhance as enhance
    from morpho.errors import ArtifactError as ArtifactError
    from morpho.errors import DataError as DataError
    from morpho.errors import ImageError as ImageError
    from morpho.errors import InputError as InputError
    from morpho.errors import LutError as LutError
    from morpho.errors import MissingExtraError as MissingExtraError
    from morpho.errors import MorphoError as MorphoError
    from morpho.errors import OutputExistsError as OutputExistsError
    from morpho.images import Picture as Picture
    from morpho.upscale import Upscaler as Upscaler
    from morpho.upscale.upscaler import upscale as upscale

__version__ = "0.1.0"

#: Public name -> where it lives, as ``module`` or ``module:attribute``.
#: ``upscale`` and ``enhance`` are modules that can be called: see ``morpho.callable_module``.
_HOMES = {
    "ArtifactError": "morpho.errors:ArtifactError",
    "DataError": "morpho.errors:DataError",
    "Enhancer": "morpho.enhance:Enhancer",
    "ImageError": "morpho.errors:ImageError",
    "InputError": "morpho.errors:InputError",
    "LutError": "morpho.errors:LutError",
    "MissingExtraError": "morpho.errors:MissingExtraError",
    "MorphoError": "morpho.errors:MorphoError",
    "OutputExistsError": "morpho.errors:OutputExistsError",
    "Picture": "morpho.images:Picture",
    "Upscaler": "morpho.upscale:Upscaler",
    "butterfly": "morpho.butterfly",
    "cite": "morpho.citation:cite",
    "enhance": "morpho.enhance",
    "fields": "morpho.fields",
    "upscale": "morpho.upscale",
}

__all__ = [
    "ArtifactError",
    "DataError",
    "Enhancer",
    "ImageError",
    "InputError",
    "LutError",
    "MissingExtraError",
    "MorphoError",
    "OutputExistsError",
    "Picture",
    "Upscaler",
    "__version__",
    "butterfly",
    "cite",
    "enhance",
    "fields",
    "upscale",
]


if not TYPE_CHECKING:  # a type checker that saw this would accept any name at all

    def __getattr__(name: str) -> Any:
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module 'morpho' has no attribute {name!r}")
        from importlib import import_module

        module_name, _, attribute = home.partition(":")
        module = import_module(module_name)
        value = getattr(module, attribute) if attribute else module
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
