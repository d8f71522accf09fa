"""``morpho train enhance``: tables from photographs, from retouched pairs, or from both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from morpho.cli.recipes import changed, check_output, described_folders, is_first_process, new_card, plain
from morpho.console import format_bytes, format_seconds, note
from morpho.enhance import files
from morpho.enhance.corpus import read_pairs, rgb
from morpho.errors import InputError, require
from morpho.images import find_pictures, read_photos
from morpho.records import Stopwatch

__all__ = ["RecipeOptions", "train_enhance"]

Name = Literal["default", "refine", "published"]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class RecipeOptions:
    """What changes a recipe; what is left out stays as it is there.

    Attributes:
        steps: Gradient steps.
        batch: Pictures per step.
        share: Of a batch, the part that comes from pairs, where there are photos too.
        learning_rate: Of Adam, at the start.
        smoothness: Weight of the lattices' second differences.
        monotony: Weight of what goes down along its own axis.
        held_every: One photo in so many is held out and measured; 0 for none.
        seed: Of everything random.
    """

    steps: int | None = None
    batch: int | None = None
    share: float | None = None
    learning_rate: float | None = None
    smoothness: float | None = None
    monotony: float | None = None
    held_every: int | None = None
    seed: int | None = None


def train_enhance(
    *,
    output: Annotated[Path, Parameter(name=("--output", "-o"))],
    photos: Annotated[list[Path] | None, Parameter(consume_multiple=True)] = None,
    pairs: tuple[Path, Path] | None = None,
    recipe: Name = "default",
    start: Annotated[Path | None, Parameter(name="--from")] = None,  # torchrun takes --start for its own
    changes: RecipeOptions = RecipeOptions(),
    device: str = "auto",
    resume: bool = False,
    overwrite: bool = False,
) -> None:
    """Make tables for `morpho enhance`.

    Photos must be well exposed: they are made worse at random, and the tables learn to undo that. Pairs are two
    folders with pictures of the same names: photos, and what a retoucher made of them. `published` is the paper's
    network and training, which needs pairs alone, such as MIT-Adobe FiveK at 480 pixels in Zeng's split of 4,500 and
    500 (other splits and renderings of FiveK give other numbers: never compare across them). Needs
    `pip install "morpho[torch]"`, runs under torchrun too, and can be stopped and resumed: checkpoint and log.jsonl
    are in OUTPUT.run.

    Args:
        output: The file to write, NAME.safetensors.
        photos: Folders of well-exposed photographs.
        pairs: The folder of photos, and the folder of their retouched versions.
        recipe: default; refine, a short run with pairs that goes on --from a run of the default; or published.
        start: The checkpoint.pt of a run of the same shape to begin with.
        changes: Changes to the recipe.
        device: auto, cpu, cuda or mps.
        resume: Continue from the checkpoint.
        overwrite: Replace an existing OUTPUT.
    """
    check_output(output, overwrite=overwrite)
    if not photos and pairs is None:
        raise InputError("there is nothing to train on: give --photos, --pairs or both")
    if recipe == "refine" and start is None and not resume:
        raise InputError("refine goes on from a run: give its checkpoint.pt with --from")
    require("torch", "torch")
    from morpho.enhance import train
    from morpho.training import last_numbers

    chosen = changed(train.RECIPES[recipe](), changes, mode=recipe, verb="train enhance")
    folder, watch = output.with_suffix(".run"), Stopwatch()
    network = train.train(
        chosen,
        photos=[rgb(photo) for photo in read_photos(photos or ())],
        pairs=() if pairs is None else read_pairs(*pairs),
        start=start,
        folder=folder,
        resume=resume,
        device=device,
    )
    if not is_first_process():
        return
    tables = network.tables()
    described = {"recipe": recipe, **plain(chosen), **({"from": str(start)} if start else {})}
    card = new_card(files.KIND, output, described, _sources(photos or (), pairs), last_numbers(folder))
    files.save(output, tables, card, overwrite=overwrite)
    note(f"{output}: tables of {format_bytes(tables.nbytes)}, {format_seconds(watch.seconds)}")


def _sources(photos: Sequence[Path], pairs: tuple[Path, Path] | None) -> list[str]:
    """What was trained on, in words."""
    data = described_folders(photos)
    if pairs is not None:
        inputs, targets = (folder.resolve() for folder in pairs)
        data.append(f"{inputs.parent.name}/{inputs.name} and {targets.name} ({len(find_pictures(inputs))} pairs)")
    return data
