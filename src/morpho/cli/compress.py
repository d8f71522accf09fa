"""``morpho compress``: a network whose layers are butterflies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from morpho.cli.chains import Budget, FamilyName
from morpho.cli.options import whole
from morpho.cli.recipes import check_output, is_first_process
from morpho.errors import InputError, OutputExistsError, require

if TYPE_CHECKING:
    from morpho.butterfly.train import Recipe

__all__ = ["Shape", "Source", "compress"]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Source:
    """Where the dense network comes from.

    Attributes:
        net: For weights without a card: the network that they are of, such as resnet20.
        options: For weights without a card: an option of that network, NAME=VALUE, such as classes=100.
        recipe: The recipe whose data and training are used; by default the one on the file's card.
    """

    net: str | None = None
    options: Annotated[tuple[str, ...], Parameter(name="--option", show_default=False)] = ()
    recipe: str | None = None


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Shape:
    """What the layers become.

    Attributes:
        budget: Parameters of the result: a part of the network's (0.05 or 5%), or a number of them.
        policy: Chains without a budget: released-5 (the published rules at that level, for 3x3 convolutions), or a
            file of chains, one line per layer; - keeps a layer.
        family: The chains that are searched: debut (deformable butterflies), general (with blocks of low rank),
            monarch, or low-rank (truncated SVD).
        keep: Layers that stay as they are.
        order: How the columns of a convolution are counted: channel (fast), or spatial as in the published code.
    """

    budget: Budget = None
    policy: str | None = None
    family: FamilyName | None = None
    keep: Annotated[tuple[str, ...], Parameter(consume_multiple=True, show_default=False)] = ()
    order: Literal["channel", "spatial"] = "channel"


def compress(
    model: Annotated[str, Parameter(name="MODEL")],
    /,
    *,
    output: Annotated[Path, Parameter(name=("--output", "-o"))],
    source: Source = Source(),
    shape: Shape = Shape(),
    data: Path | None = None,
    finetune: bool = False,
    epochs: Annotated[int | None, Parameter(converter=whole, validator=Number(gte=1))] = None,
    seed: Annotated[int, Parameter(converter=whole, validator=Number(gte=0))] = 0,
    device: str = "auto",
    resume: bool = False,
    onnx: bool = False,
    json: bool = False,
    overwrite: bool = False,
) -> None:
    """Replace the Linear and Conv layers of a network by butterflies, chains of sparse factors.

    MODEL is a file of `morpho train butterfly --dense`, another .safetensors file of weights with --net, or a recipe
    such as mlp-digits, lenet-mnist, cnn-cifar10 or pointnet-modelnet10: its dense network is trained first, then the
    compressed one on its answers. Weights of a file are projected onto the chains; at a few percent of the parameters
    that alone loses most of the accuracy, and --finetune wins it back. Data are needed for recipes and for --finetune;
    with data, the search also knows how large the numbers are that each layer meets.

    Args:
        model: A .safetensors file; or a recipe, whose dense network is trained first: mlp-digits, lenet-mnist,
            cnn-cifar10, pointnet-modelnet10.
        output: The file to write, NAME.safetensors.
        source: Where the dense network comes from.
        shape: What the layers become.
        data: The folder of the recipe's data; by default MORPHO_DATA. mlp-digits needs none.
        finetune: Train the compressed network on the dense one's answers.
        epochs: Of each training.
        seed: Of everything random.
        device: auto, cpu, cuda or mps.
        resume: Continue trainings from their checkpoints in OUTPUT.run.
        onnx: Also write OUTPUT.onnx, for any runtime, checked with ONNX Runtime where that is installed.
        json: Print one JSON object instead of the table.
        overwrite: Replace existing files.
    """
    is_file = "/" in model or model.endswith(".safetensors") or Path(model).exists()
    _check(Path(model) if is_file else None, output, source, shape, onnx=onnx, overwrite=overwrite)
    require("torch", "torch")
    from morpho.cli import compressing
    from morpho.cli.butterfly_runs import Training

    given = compressing.given_file(Path(model), **vars(source)) if is_file else compressing.given_recipe(model)
    run = Training(folder=output.with_suffix(".run"), epochs=epochs, seed=seed, device=device, resume=resume)
    job = compressing.job_for(given, data, run, finetune=finetune)
    wish = compressing.Wish(**_wish(shape, given.recipe if given.model is None else None), seed=seed)
    done = compressing.carry_out(given, wish, job, train=finetune or given.model is None)
    if not is_first_process():
        return
    done.save(output, onnx=output.with_suffix(".onnx") if onnx else None, overwrite=overwrite)
    done.report(output, json=json)


def _check(model: Path | None, output: Path, source: Source, shape: Shape, *, onnx: bool, overwrite: bool) -> None:
    """Refuse what cannot work, before the work."""
    if model is not None and model.exists() and output.exists() and output.samefile(model):
        raise OutputExistsError(f"{output} is the input itself, which is never overwritten: choose another name")
    check_output(output, overwrite=overwrite)
    if onnx and output.with_suffix(".onnx").exists() and not overwrite:
        raise OutputExistsError(f"{output.with_suffix('.onnx')} exists already: choose another name or add --overwrite")
    if onnx:
        require("onnx", "onnx")
    if model is None and (source.net or source.options or source.recipe):
        raise InputError("--net, --option and --recipe are for files: give the file's name, or leave them out")
    if shape.policy is not None and (shape.budget is not None or shape.family is not None):
        raise InputError("--policy fixes the chains: leave out --budget and --family, which are for a search")
    if model is not None and shape.policy is None and shape.budget is None:
        raise InputError("nothing says how small the network is to become: give --budget, such as 0.05, or --policy")


def _wish(shape: Shape, recipe: Recipe | None) -> dict[str, Any]:
    """What was asked for, and for the rest what the recipe says."""
    asked = {**vars(shape), "family": (shape.family or "debut").replace("-", "_")}
    if recipe is None:
        return asked
    if shape.policy is None and shape.budget is None:
        asked["budget"] = recipe.budget
    return {**asked, "keep": shape.keep or recipe.keep, "single": recipe.single}
