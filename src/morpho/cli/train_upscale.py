"""``morpho train upscale``: tables from photographs, in one of three ways."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from morpho.cli.options import Scale
from morpho.cli.recipes import changed, check_output, described_folders, is_first_process, new_card, plain
from morpho.console import format_bytes, format_seconds, note
from morpho.errors import InputError, require
from morpho.images import read_photos
from morpho.records import Stopwatch
from morpho.upscale import files
from morpho.upscale.corpus import Photo
from morpho.upscale.fit import FitRecipe, fit_photos
from morpho.upscale.tables import Tables
from morpho.upscale.upscaler import Upscaler

__all__ = ["RecipeOptions", "train_upscale"]

Mode = Literal["fit", "network", "finetune"]
#: The factors of a scale where none are given: HKLUT-S.
_FACTORS = {2: (2,), 3: (3,), 4: (2, 2)}


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class RecipeOptions:
    """What changes a mode's default recipe; what is left out stays as it is there.

    Attributes:
        steps: network, finetune: gradient steps.
        batch: network, finetune: crops per step.
        crop: network, finetune: low-resolution pixels per side of a crop.
        learning_rate: network, finetune: of Adam, at the start.
        slope: network, finetune: weight of the gradient through the nibbles; 0 is the published form.
        variations: Copies of each photo with other tones and sizes.
        smoothness: fit: weight of the differences between neighbouring entries.
        megapixels: fit: at most so many million high-resolution values.
        seed: Of everything random.
    """

    steps: int | None = None
    batch: int | None = None
    crop: int | None = None
    learning_rate: float | None = None
    slope: float | None = None
    variations: int | None = None
    smoothness: float | None = None
    megapixels: float | None = None
    seed: int | None = None


def train_upscale(
    mode: Mode,
    photos: list[Path],
    /,
    *,
    output: Annotated[Path, Parameter(name=("--output", "-o"))],
    scale: Scale = None,
    factors: str | None = None,
    start: Annotated[str | None, Parameter(name="--from")] = None,  # torchrun takes --start for its own
    changes: RecipeOptions = RecipeOptions(),
    device: str = "auto",
    threads: int | None = None,
    resume: bool = False,
    overwrite: bool = False,
) -> None:
    """Make tables for `morpho upscale` from folders of photographs.

    fit solves a sparse least-squares problem: no network, no torch, a minute. network trains the paper's
    networks with their tables in the loop. finetune trains the entries of given tables. The last two need
    `pip install "morpho[torch]"`, run under torchrun too, and can be stopped and resumed: their checkpoint
    and log.jsonl are in OUTPUT.run. Options left out take the recipe's defaults.

    Args:
        mode: fit, network or finetune.
        photos: Folders of photographs; never a test set.
        output: The file to write, NAME.safetensors.
        scale: 2, 3 or 4 (the default), where --factors is not given.
        factors: The stages' factors, such as 2,2 or 2,1,2.
        start: finetune: tables to start from, a name or file.
        changes: Changes to the mode's recipe.
        device: network, finetune: auto, cpu, cuda or mps.
        threads: fit: how many threads; by default one per core.
        resume: network, finetune: continue from the checkpoint.
        overwrite: Replace an existing OUTPUT.
    """
    check_output(output, overwrite=overwrite)
    chosen = _factors(factors, scale or 4)
    _refuse_options_of_others(
        mode,
        fit={"--threads": threads},
        network={"--resume": resume, "--device": device != "auto"},
        finetune={"--resume": resume, "--device": device != "auto", "--from": start},
    )
    watch = Stopwatch()
    pictures = read_photos(photos)
    if mode == "fit":
        recipe = changed(FitRecipe(factors=chosen), changes, mode=mode, verb="train upscale")
        tables, held = fit_photos(recipe, pictures, threads=threads)
    else:
        tables, held, recipe = _by_gradients(mode, chosen, changes, pictures, start, output, resume, device)
    if not is_first_process():
        return
    described = {"mode": mode, **plain(recipe), **({"from": start} if start else {})}
    card = new_card(files.KIND, output, described, described_folders(photos), {"held_psnr_y": held})
    files.save(output, tables, card, overwrite=overwrite)
    note(
        f"{output}: factors {','.join(map(str, chosen))}, tables of {format_bytes(tables.nbytes)}, "
        f"{held:.3f} dB on held-out photos, {format_seconds(watch.seconds)}"
    )


def _refuse_options_of_others(mode: str, **options: dict[str, object]) -> None:
    """Refuse an option that was given and that only other modes have."""
    for values in options.values():
        for option, value in values.items():
            if value and option not in options[mode]:
                raise InputError(f"{option} is no option of {mode}: see `morpho train upscale --help`")


def _by_gradients(
    mode: Literal["network", "finetune"],
    factors: tuple[int, ...],
    changes: RecipeOptions,
    pictures: list[Photo],
    start: str | None,
    output: Path,
    resume: bool,
    device: str,
) -> tuple[Tables, float, Any]:
    require("torch", "torch")
    from morpho.upscale import train

    recipe = changed(train.RECIPES[mode](factors), changes, mode=mode, verb="train upscale")
    begin = None if start is None else Upscaler.load(start).tables
    folder = output.with_suffix(".run")
    tables, held = train.train(recipe, pictures, start=begin, folder=folder, resume=resume, device=device)
    return tables, held, recipe


def _factors(text: str | None, scale: int) -> tuple[int, ...]:
    if text is None:
        if scale not in _FACTORS:
            raise InputError(f"scale {scale} is not supported: use 2, 3 or 4, or give --factors")
        return _FACTORS[scale]
    try:
        factors = tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(f"--factors {text!r} is no list of whole numbers: give for example 2,1,2") from error
    if not all(1 <= factor <= 4 for factor in factors) or prod(factors) not in (2, 3, 4):
        raise InputError(f"--factors {text} is not supported: factors of 1 to 4 with a product of 2, 3 or 4")
    return factors
