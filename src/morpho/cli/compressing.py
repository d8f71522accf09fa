"""What `morpho compress` does with torch: find the dense network, choose chains, convert.

This module imports torch: the verb imports it when it runs.
"""

from __future__ import annotations

import json as jsonlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from morpho import nets
from morpho.artifacts import Card, read_card
from morpho.artifacts.header import read_header
from morpho.butterfly import files
from morpho.butterfly.chain import Chain
from morpho.butterfly.convert import Compressed, convert, convertible
from morpho.butterfly.evaluate import Score
from morpho.butterfly.export import to_onnx
from morpho.butterfly.released import released_chain
from morpho.butterfly.search import Family
from morpho.butterfly.train import RECIPES, Recipe, built
from morpho.cli.butterfly_runs import Job, Training, recipe_called
from morpho.cli.chains import read_chains
from morpho.cli.layer_table import as_json, print_report, timed, with_positions
from morpho.cli.recipes import new_card
from morpho.console import note
from morpho.errors import ArtifactError, InputError
from morpho.nets.files import KIND as DENSE

__all__ = ["Done", "Given", "Wish", "carry_out", "compressed", "given_file", "given_recipe", "job_for", "random_sample"]

#: Items in the batch that is timed.
_BATCH = 64
_RELEASED = "released-"


@dataclass(frozen=True, kw_only=True)
class Given:
    """A dense network, and what is known of it.

    Attributes:
        model: None where it is yet to be trained.
        net: its name in `morpho.nets`.
        options: it was built with.
        name: of its recipe, or None.
        recipe: or None.
        licence: of its weights.
    """

    model: nn.Module | None
    net: str
    options: Mapping[str, Any]
    name: str | None
    recipe: Recipe | None
    licence: str = "Apache-2.0"


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What the layers are to become.

    Attributes:
        budget: a part or a number of parameters; None with a policy.
        policy: ``released-N`` or a file of chains; None with a budget.
        family: searched chains.
        keep: layers that stay.
        order: of a convolution's columns.
        single: whether a layer may become a single dense factor.
        seed: of random weights.
    """

    budget: float | None
    policy: str | None = None
    family: Family = "debut"
    keep: Sequence[str] = ()
    order: Any = "channel"
    single: bool = True
    seed: int = 0

    @classmethod
    def of(cls, recipe: Recipe, family: str, seed: int) -> Wish:
        """What a recipe asks for."""
        named: Any = family.replace("-", "_")
        return cls(budget=recipe.budget, family=named, keep=recipe.keep, single=recipe.single, seed=seed)


@dataclass(frozen=True, kw_only=True)
class Done:
    """A compressed network, and how it came to be.

    Attributes:
        given: what was given.
        wish: what was asked for.
        job: the recipe that was carried out, or None.
        dense: the dense network.
        result: the compressed one.
        scores: of both on the test part, or None without data.
        sample: a batch to time, or None where no size is known.
        trained: whether the compressed network was trained.
    """

    given: Given
    wish: Wish
    job: Job | None
    dense: nn.Module
    result: Compressed
    scores: tuple[Score, Score] | None
    sample: Tensor | None
    trained: bool

    def save(self, output: Path, *, onnx: Path | None, overwrite: bool) -> None:
        """Write the file, and the ONNX file beside it."""
        if onnx is not None and self.sample is None:
            raise InputError("the size of the network's inputs is not known here: leave out --onnx, export in Python")
        model = self.result.model.cpu().eval()
        files.save(output, model, self._card(output), overwrite=overwrite)
        if onnx is not None and self.sample is not None:
            to_onnx(model, onnx, self.sample[:2], overwrite=overwrite)

    def report(self, output: Path, *, json: bool) -> None:
        """Print what became of each layer, and what it costs."""
        times = None if self.sample is None else timed(self.dense, self.result, self.sample)
        report = with_positions(self.result.report, times)
        if json:
            print(jsonlib.dumps({"file": str(output), **self._numbers(), **as_json(report, times)}))
        else:
            print_report(report, times)
        self.tell(output)

    def tell(self, output: Path) -> None:
        """Say what was written."""
        report = self.result.report
        told = f"{output}: {report.parameters:,} parameters, {report.share:.2%} of {report.dense_parameters:,}"
        if self.scores is not None:
            dense, now = self.scores
            told += f"; accuracy {now.accuracy:.2%} (dense {dense.accuracy:.2%}) on {now.n} test items"
        note(told if self.trained else f"{told}; not trained yet: its weights are projections (--finetune trains)")

    def _numbers(self) -> dict[str, float]:
        if self.scores is None:
            return {}
        dense, now = self.scores
        return {"accuracy": round(now.accuracy, 5), "dense_accuracy": round(dense.accuracy, 5)}

    def _card(self, output: Path) -> Card:
        wish = self.wish
        asked = {"policy": wish.policy} if wish.policy else {"budget": wish.budget, "family": wish.family}
        recipe = {**asked, "net": self.given.net, "options": dict(self.given.options), "seed": wish.seed}
        if self.job is not None and self.trained:
            recipe = {**self.job.described(), **recipe}
        elif self.given.name is not None and self.given.recipe is not None:
            recipe = {"recipe": self.given.name, "dataset": self.given.recipe.dataset, **recipe}
        data = self.job.data_in_words() if self.job else []
        card = new_card(files.KIND, output, recipe, data, {**self._numbers(), "share": self.result.report.share})
        return replace(card, licence=self.given.licence)


def given_recipe(name: str) -> Given:
    """The network of a recipe, not trained yet."""
    recipe = recipe_called(name)
    return Given(model=None, net=recipe.net, options=recipe.options, name=name, recipe=recipe)


def given_teacher(path: Path | None, name: str, recipe: Recipe) -> Given:
    """The dense network of a recipe, from a file or not trained yet.

    Raises:
        ArtifactError: the file is missing or damaged, or is of another network than the recipe's.
    """
    if path is None:
        return Given(model=None, net=recipe.net, options=recipe.options, name=name, recipe=recipe)
    model, card = nets.load(path)
    net, options = card.recipe["net"], card.recipe.get("options", {})
    if net != recipe.net:
        raise ArtifactError(
            f"{path} is a network {net!r}, and the recipe {name} is for {recipe.net!r}: give one of that"
        )
    chosen = replace(recipe, options=options)
    return Given(model=model, net=net, options=options, name=name, recipe=chosen, licence=card.licence)


def given_file(path: Path, *, net: str | None, options: Sequence[str], recipe: str | None) -> Given:
    """The network of a file, with a card or without.

    Raises:
        ArtifactError: the file is missing or damaged, or is no dense network.
        InputError: it has no card and no network is named, or there is no such network, option or recipe.
    """
    header = read_header(path)
    if "card" not in header.metadata:
        if net is None:
            raise InputError(f"{path} has no card: say which network its weights are of with --net, such as resnet20")
        built = dict(_option(text) for text in options)
        model: nn.Module = nets.load_plain(path, net, built)
        chosen = replace(recipe_called(recipe), net=net, options=built) if recipe else None
        return Given(model=model, net=net, options=built, name=recipe, recipe=chosen)
    card = read_card(path)
    if net is not None or options:
        raise InputError(f"{path} has a card, which says what network it is: leave out --net and --option")
    if card.kind == "butterfly":
        raise InputError(f"{path} is compressed already: give the dense network that it was made of")
    if card.kind != DENSE:
        raise ArtifactError(f"{path} is of the kind {card.kind!r}: a network is needed here")
    return _with_card(path, card, recipe)


def job_for(given: Given, root: Path | None, run: Training, *, finetune: bool) -> Job | None:
    """The recipe to carry out, with its data; None where no data are asked for.

    Raises:
        InputError: there is no recipe that says which data, and how to train.
        DataError: the data are not there.
    """
    if given.model is not None and not finetune and root is None:
        return None
    if given.recipe is None or given.name is None:
        raise InputError(f"nothing says which data and training belong to it: give --recipe, {', '.join(RECIPES)}")
    return run.job(given.name, given.recipe, root)


def random_sample(given: Given) -> Tensor | None:
    """A batch of random inputs of the network's size, for timing; None where that is not known."""
    known = nets.NAMES.get(given.net)
    shape = list(known.shape if known else (3, 32, 32))
    options = dict(given.options)
    if given.net == "mlp" and "sizes" in options:
        channels = int(options.get("channels", 1))
        shape = [channels, 1, int(options["sizes"][0]) // channels]
    elif len(shape) == 3 and "channels" in options:
        shape[0] = int(options["channels"])
    sample = torch.rand(_BATCH, *shape, generator=torch.Generator().manual_seed(0))
    try:
        with torch.inference_mode():
            assert given.model is not None
            given.model.eval()(sample[:1])
    except (RuntimeError, InputError):
        return None
    return sample


def carry_out(given: Given, wish: Wish, job: Job | None, *, train: bool) -> Done:
    """Train the dense network where it is not there yet, convert it, and train the result where that is asked for."""
    dense = given.model
    if dense is None:
        assert job is not None
        compressed(built(job.recipe, job.data), wish, None)  # what cannot be met is refused before the training
        dense = job.teacher()
    dense = dense.cpu().eval()
    result = compressed(dense, wish, job.sample if job else None)
    if train and job is not None:
        result = job.train_student(result, dense)
    scores = (job.score(dense), job.score(result.model)) if job else None
    sample = job.sample if job else random_sample(replace(given, model=dense))
    return Done(
        given=given, wish=wish, job=job, dense=dense, result=result, scores=scores, sample=sample, trained=train
    )


def compressed(dense: nn.Module, wish: Wish, sample: Tensor | None) -> Compressed:
    """Convert a network as it was wished.

    Args:
        dense: the network.
        wish: budget or policy.
        sample: of the data, or None.

    Raises:
        InputError: the wish cannot be met; the sentence says what can.
    """
    same = {"keep": wish.keep, "order": wish.order, "seed": wish.seed, "sample": sample}
    if wish.policy is None:
        return convert(dense, budget=wish.budget, family=wish.family, single=wish.single, **same)
    chains, reasons = _policy(dense, wish.policy)
    chosen = {name: chain for name, chain in chains.items() if name not in wish.keep}
    if not chosen:
        why = next(iter(reasons.values()), "all layers are kept")
        raise InputError(f"the policy {wish.policy} converts no layer ({why}): take another, or a budget")
    done = convert(dense, policy=chosen, **same)
    rows = [replace(row, reason=reasons[row.name]) if _left_out(row, reasons) else row for row in done.report.layers]
    return replace(done, report=replace(done.report, layers=tuple(rows)))


def _left_out(row: Any, reasons: Mapping[str, str]) -> bool:
    return row.chain is None and row.reason.startswith("the policy") and row.name in reasons


def _with_card(path: Path, card: Card, recipe: str | None) -> Given:
    model, _ = nets.load(path)
    net, options = card.recipe["net"], card.recipe.get("options", {})
    named = recipe if recipe is not None else card.recipe.get("recipe")
    chosen = None
    if recipe is not None or named in RECIPES:
        chosen = replace(recipe_called(str(named)), net=net, options=options)
    name = str(named) if chosen else None
    return Given(model=model, net=net, options=options, name=name, recipe=chosen, licence=card.licence)


def _option(text: str) -> tuple[str, Any]:
    """Read ``classes=100``; what is no JSON is a text."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise InputError(f"the option {text!r} has no value: write NAME=VALUE, such as classes=100")
    try:
        return name.strip(), jsonlib.loads(value)
    except ValueError:
        return name.strip(), value


def _policy(model: nn.Module, policy: str) -> tuple[dict[str, Chain], dict[str, str]]:
    """The chains of a policy by layer, and why other layers have none."""
    layers = {name: layer for name, layer in model.named_modules() if convertible(layer) == ""}
    if policy.startswith(_RELEASED):
        return _released(layers, policy)
    path = Path(policy)
    if not path.suffix and not path.exists():
        raise InputError(f"{policy!r} is no policy: give released-5, or a file with one chain per layer")
    chains = read_chains(path, {name: _size(layer) for name, layer in layers.items()})
    return chains, {name: f"{path.name} keeps it" for name in layers if name not in chains}


def _released(layers: Mapping[str, nn.Module], policy: str) -> tuple[dict[str, Chain], dict[str, str]]:
    level = policy.removeprefix(_RELEASED)
    if not level.isascii() or not level.isdigit():
        raise InputError(f"the policy {policy!r} has no level: write released-5")
    chains, reasons = {}, {}
    for name, layer in layers.items():
        if not isinstance(layer, nn.Conv2d) or layer.kernel_size != (3, 3):
            reasons[name] = "the released rules are for 3x3 convolutions"
            continue
        try:
            chains[name] = released_chain(layer.out_channels, layer.in_channels, level=int(level))
        except InputError as error:
            reasons[name] = str(error)
    return chains, reasons


def _size(layer: nn.Module) -> tuple[int, int]:
    weight = layer.weight
    assert isinstance(weight, Tensor)
    return weight.shape[0], weight.numel() // weight.shape[0]
