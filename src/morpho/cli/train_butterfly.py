"""``morpho train butterfly``: a recipe's dense network, or its compressed one, taught by the dense one."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from morpho.cli.chains import Budget, FamilyName
from morpho.cli.options import whole
from morpho.cli.recipes import check_output, is_first_process
from morpho.console import format_seconds, note
from morpho.errors import InputError, require
from morpho.records import Stopwatch

if TYPE_CHECKING:
    from morpho.butterfly.train import Recipe

__all__ = ["RecipeOptions", "train_butterfly"]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class RecipeOptions:
    """What changes a recipe; what is left out stays as it is there.

    Attributes:
        budget: Parameters of the result: a part of the dense network's (0.05 or 5%), or a number of them.
        family: The chains that are searched: debut, general, monarch or low-rank.
        keep: Layers that stay as they are.
        epochs: Of each training.
        batch: Items per step, of the training that the file comes from.
        learning_rate: Of that training, at its peak.
        seed: Of everything random.
    """

    budget: Budget = None
    family: FamilyName = "debut"
    keep: Annotated[tuple[str, ...], Parameter(consume_multiple=True, show_default=False)] = ()
    epochs: Annotated[int | None, Parameter(converter=whole, validator=Number(gte=1))] = None
    batch: Annotated[int | None, Parameter(converter=whole, validator=Number(gte=1))] = None
    learning_rate: Annotated[float | None, Parameter(validator=Number(gt=0, lt=math.inf))] = None
    seed: Annotated[int, Parameter(converter=whole, validator=Number(gte=0))] = 0


def train_butterfly(
    recipe: Annotated[str, Parameter(name="RECIPE")],
    /,
    *,
    output: Annotated[Path, Parameter(name=("--output", "-o"))],
    data: Path | None = None,
    dense: bool = False,
    teacher: Path | None = None,
    changes: RecipeOptions = RecipeOptions(),
    device: str = "auto",
    resume: bool = False,
    overwrite: bool = False,
) -> None:
    """Train a compressed network on the answers of its dense teacher; or the teacher, with --dense.

    Recipes are mlp-digits (needs no data), lenet-mnist, cnn-cifar10 and pointnet-modelnet10. Nothing is selected by
    the test part of the data; the accuracy on it is on the file's card. Needs `pip install "morpho[torch]"`, runs
    under torchrun too, and can be stopped and resumed: checkpoints, logs and the teacher are in OUTPUT.run.

    Args:
        recipe: Which network on which data: mlp-digits, lenet-mnist, cnn-cifar10, pointnet-modelnet10.
        output: The file to write, NAME.safetensors.
        data: The folder of the data; by default MORPHO_DATA.
        dense: Train the dense network only.
        teacher: A dense network of the recipe, from --dense; without it, one is trained first.
        changes: Changes to the recipe.
        device: auto, cpu, cuda or mps.
        resume: Continue from the checkpoints.
        overwrite: Replace an existing OUTPUT.
    """
    check_output(output, overwrite=overwrite)
    if dense and (teacher is not None or changes.budget is not None or changes.keep or changes.family != "debut"):
        raise InputError("--dense trains the dense network: leave out --teacher, --budget, --family and --keep")
    require("torch", "torch")
    from morpho.cli import compressing
    from morpho.cli.butterfly_runs import Training, recipe_called

    watch, seed = Stopwatch(), changes.seed
    chosen = _changed(recipe_called(recipe), changes, dense=dense)
    run = Training(folder=output.with_suffix(".run"), epochs=changes.epochs, seed=seed, device=device, resume=resume)
    if dense:
        score = run.job(recipe, chosen, data).save_dense(output, overwrite=overwrite)
        if is_first_process():
            note(f"{output}: accuracy {score.accuracy:.2%} on {score.n} test items, {format_seconds(watch.seconds)}")
        return
    given = compressing.given_teacher(teacher, recipe, chosen)
    wish = compressing.Wish.of(chosen, changes.family, seed)
    done = compressing.carry_out(given, wish, compressing.job_for(given, data, run, finetune=True), train=True)
    if is_first_process():
        done.save(output, onnx=None, overwrite=overwrite)
        done.tell(output)


def _changed(recipe: Recipe, changes: RecipeOptions, *, dense: bool) -> Recipe:
    fit = recipe.teacher if dense else recipe.student
    fit = replace(fit, batch=changes.batch or fit.batch, learning_rate=changes.learning_rate or fit.learning_rate)
    recipe = replace(recipe, teacher=fit) if dense else replace(recipe, student=fit)
    return replace(recipe, budget=changes.budget or recipe.budget, keep=changes.keep or recipe.keep)
