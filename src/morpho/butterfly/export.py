"""Compressed networks for elsewhere: dense again for plain torch, or as an ONNX file."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from morpho.atomic import replacing
from morpho.butterfly.grouped import in_fast_form
from morpho.butterfly.layers import ButterflyConv1d, ButterflyConv2d, ButterflyLinear
from morpho.butterfly.reordered import sink_permutations
from morpho.errors import ArtifactError, InputError, OutputExistsError, require

__all__ = ["merge", "to_onnx"]

_BUTTERFLIES = (ButterflyLinear, ButterflyConv1d, ButterflyConv2d)
#: The largest difference between torch's and ONNX Runtime's outputs, as a part of the largest output.
_TOLERANCE = 1e-5


def merge(model: nn.Module) -> nn.Module:
    """A copy in which every butterfly is a dense layer again: as large as before, for tools that know no butterflies.

    The copy of a network of `morpho.nets` has the tensors of the dense network, so `morpho.nets.save` takes it.

    >>> from morpho.butterfly import Chain
    >>> merge(nn.Sequential(ButterflyLinear(Chain.parse("(2,3)(4,2)"))))
    Sequential(
      (0): Linear(in_features=6, out_features=8, bias=True)
    )
    """
    if isinstance(model, _BUTTERFLIES):
        return model.merge()
    result = copy.deepcopy(model)
    for name, layer in [*result.named_modules()]:
        if isinstance(layer, _BUTTERFLIES):
            _put(result, name, layer.merge())
    return result


def to_onnx(
    model: nn.Module,
    path: Path | str,
    sample: Tensor,
    *,
    batch: int = 256,
    smallest: bool = False,
    opset: int = 18,
    overwrite: bool = False,
) -> None:
    """Write a network as an ONNX file, with which any runtime computes any number of items at once.

    Neighbouring factors are multiplied out where that is predicted to be faster, up to a dense layer where butterflies
    do not pay; convolutions become convolutions in groups.

    Args:
        model: a converted network, or any other; it is exported in evaluation mode and left as it is.
        path: the file.
        sample: inputs ``(N, ...)``, N of at least 2.
        batch: how many items at once it is to be fast for.
        smallest: whether to multiply nothing out, which makes a small file, and not always a fast one.
        opset: the version of ONNX's operators.
        overwrite: whether an existing file may be replaced.

    Raises:
        InputError: the sample has fewer than two items.
        MissingExtraError: onnx or onnxscript is not installed.
        ArtifactError: the network cannot be exported; or ONNX Runtime, where it is installed, computes outputs that
            differ by 1e-5 of the largest or more. No file is written then.
        OutputExistsError: the file exists and ``overwrite`` is false.
    """
    path = Path(path)
    if path.exists() and not overwrite:
        raise OutputExistsError(f"{path} exists already: choose another name or allow overwriting")
    for module in ("onnx", "onnxscript"):
        require(module, "onnx")
    if len(sample) < 2:
        raise InputError(f"a sample of {len(sample)} items does not show which size is the batch's: give two or more")
    model = copy.deepcopy(model).cpu().float().eval()
    sample = sample.detach().cpu().float()
    with torch.no_grad():
        form = _fast_form(model, sample, 0 if smallest else batch)
        content = _exported(form, sample, opset)
        _check(model, content, sample)
    with replacing(path, overwrite=overwrite) as file:
        file.write(content)


def _fast_form(model: nn.Module, sample: Tensor, batch: int) -> nn.Module:
    """A copy whose butterflies have the form that is fast for so many items."""
    if isinstance(model, _BUTTERFLIES):
        model = nn.Sequential(model)
    result, places = copy.deepcopy(model), _places(model, sample)
    for name, layer in [*result.named_modules()]:
        if isinstance(layer, _BUTTERFLIES):
            _put(result, name, in_fast_form(layer, batch * places.get(name, 1)))
    return result.eval()


def _places(model: nn.Module, sample: Tensor) -> dict[str, int]:
    """For how many columns of its product each butterfly is used per item."""
    places: dict[str, int] = {}

    def watch(name: str) -> Callable[..., None]:
        def note(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            channels = output.shape[-1 if isinstance(layer, ButterflyLinear) else 1]
            places[name] = output.numel() // channels // len(sample)

        return note

    layers = [(name, layer) for name, layer in model.named_modules() if isinstance(layer, _BUTTERFLIES)]
    hooks = [layer.register_forward_hook(watch(name)) for name, layer in layers]
    try:
        model(sample)
    finally:
        for hook in hooks:
            hook.remove()
    return places


def _put(model: nn.Module, name: str, layer: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    setattr(model.get_submodule(parent), last, layer)


def _exported(model: nn.Module, sample: Tensor, opset: int) -> bytes:
    with _quietly():
        try:
            program = torch.onnx.export(
                model,
                (sample,),
                input_names=["input"],
                output_names=["output"],
                opset_version=opset,
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                dynamo=True,
                verbose=False,
            )
        except Exception as error:  # the exporter raises what it meets, of many kinds
            first = str(error).strip().partition("\n")[0]
            raise ArtifactError(
                f"the network cannot be exported ({first:.120}): its forward must be made of tensor operations only"
            ) from error
    assert program is not None
    graph = program.model_proto
    sink_permutations(graph)
    _anonymise(graph)
    content: bytes = graph.SerializeToString()
    return content


def _anonymise(model: Any) -> None:
    """Drop the exporter's notes: they hold lines and paths of the code, and a third of a small file."""
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")


@contextmanager
def _quietly() -> Iterator[None]:
    """What the exporter warns of concerns its own future, and that torchvision is not there."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _check(model: nn.Module, content: bytes, sample: Tensor) -> None:
    """Compare with ONNX Runtime, where it is installed: for the sample, and for one item of it."""
    try:
        import onnxruntime
    except ImportError:
        return
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    for inputs in (sample, sample[:1]):
        expected = model(inputs).numpy()
        found: NDArray[Any] = session.run(None, {"input": inputs.numpy()})[0]
        error = np.abs(found - expected).max() / max(np.abs(expected).max(), 1e-30)
        if not error < _TOLERANCE:
            raise ArtifactError(
                f"the exported network differs from the original by {error:.1e} of the largest output: "
                "export it merged, or with another opset"
            )
