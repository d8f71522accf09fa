"""``morpho info``: what a file is."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import Any

from morpho.artifacts import locate, read_card
from morpho.artifacts.store import FIELD_SUFFIX, SUFFIX
from morpho.console import format_bytes, print_table, printable
from morpho.errors import ImageError, InputError

__all__ = ["info"]


def info(file: str, /, *, json: bool = False) -> None:
    """Say what a file is: an artefact's card, a field, a picture's properties, or a lookup table's size.

    Args:
        file: a file, or the name of a shipped artefact such as hklut-s-x4.
        json: print one JSON object instead of a table.
    """
    facts = describe(file)
    if json:
        print(jsonlib.dumps(facts, ensure_ascii=False))
        return
    print_table(["what", "here"], [(key, cell) for key, value in facts.items() for cell in _cells(value)])


def describe(file: str) -> dict[str, Any]:
    """Return what is known about a file or a shipped artefact, in the order to show it.

    Raises:
        ArtifactError: it is a name and not that of an artefact, or the artefact is damaged.
        LutError: it is a .cube file, and damaged.
        InputError: the file is neither an artefact nor a lookup table nor a picture.
    """
    path = Path(file)
    if not path.exists() and path.name == file and not path.suffix:
        path = locate(file)
    if not path.is_file():
        what = "is not a file" if path.exists() else "does not exist"
        raise InputError(f"{path} {what}: give a picture, an artefact, or a name that `morpho list` shows")
    size = {"file": str(path), "size": format_bytes(path.stat().st_size)}
    if path.suffix.lower() == ".cube":
        return size | _lookup_table(path)
    if path.suffix.lower() == FIELD_SUFFIX:
        return size | _field(path)
    return size | (_artifact(path) if path.suffix == SUFFIX else _picture(path))


def _artifact(path: Path) -> dict[str, Any]:
    card: dict[str, Any] = jsonlib.loads(read_card(path).to_json())
    first = ("kind", "name", "version", "licence", "numbers", "recipe", "data", "seed", "commit")
    return {key: card[key] for key in first}


def _field(path: Path) -> dict[str, Any]:
    """Read a field; its weights are decoded, since only that tells whether they are whole."""
    from morpho.fields.files import load

    field = load(path)
    signal, model = field.signal.to_json(), field.model.to_json()
    parameters = sum(tensor.size for tensor in field.tensors.values())
    bits = 8 * path.stat().st_size
    return {
        "kind": f"field of the kind {signal.pop('kind')}",
        "name": field.card.name,
        "model": f"{model.pop('name')} ({', '.join(f'{key} {value}' for key, value in model.items())})",
        "parameters": parameters,
        "bits per parameter": round(bits / parameters, 3),
        "bits per sample": round(bits / field.signal.samples, 4),
        "signal": signal,
        "numbers": field.card.numbers,
        "recipe": field.card.recipe,
        "licence": field.card.licence,
        "seed": field.card.seed,
        "commit": field.card.commit,
    }


def _lookup_table(path: Path) -> dict[str, Any]:
    from morpho.luts import read

    lut = read(path)
    return {
        "kind": "lookup table of colours",
        "title": lut.title,
        "nodes": lut.nodes,
        "curve samples": None if lut.curves is None else len(lut.curves),
        "more": "morpho lut info",
    }


def _picture(path: Path) -> dict[str, Any]:
    """Read a picture's header with Pillow; the pixels are not decoded."""
    import warnings

    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a large picture is no danger while only its header is read
            with Image.open(path) as picture:
                return _properties(picture)
    except UnidentifiedImageError as error:
        raise InputError(
            f"{path} is neither a picture that Pillow reads nor a {SUFFIX} artefact: morpho cannot read it"
        ) from error
    except Image.DecompressionBombError as error:
        raise ImageError(f"{path} is absurdly large for a picture ({error}): it is not opened") from error
    except (OSError, ValueError, SyntaxError) as error:
        raise ImageError(f"{path} cannot be read ({printable(str(error))}): it may be truncated") from error


def _properties(picture: Any) -> dict[str, Any]:
    exif = picture.getexif()
    dpi = picture.info.get("dpi")
    return {
        "kind": "picture",
        "format": picture.format,
        "width": picture.width,
        "height": picture.height,
        "mode": picture.mode,
        "frames": getattr(picture, "n_frames", 1),
        "dpi": None if dpi is None else f"{float(dpi[0]):g} x {float(dpi[1]):g}",
        "orientation": exif.get(0x0112),
        "EXIF": f"{len(exif)} tags" if exif else "none",
        "ICC profile": _length(picture.info.get("icc_profile")),
        "XMP": _length(picture.info.get("xmp")),
    }


def _length(block: bytes | str | None) -> str:
    return format_bytes(len(block)) if block else "none"


def _cells(value: Any) -> list[Any]:
    """One table row per cell: an object's entries each take a row."""
    if isinstance(value, dict):
        return [f"{key} = {jsonlib.dumps(part)}" for key, part in value.items()] or ["none"]
    if isinstance(value, list):
        return value or ["none"]
    return [value]
