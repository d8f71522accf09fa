"""Networks by their names in the literature."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from inspect import signature
from typing import Any

import torch

from morpho.errors import InputError
from morpho.nets.airbench import Airbench
from morpho.nets.lenet import LeNet
from morpho.nets.mlp import MLP
from morpho.nets.network import Network
from morpho.nets.pointnet import PointNet
from morpho.nets.preact import PreActResNet18
from morpho.nets.resnet import cifar_resnet, resnet18
from morpho.nets.small_pointnet import SmallPointNet
from morpho.nets.vgg import VGG16, VGGLike
from morpho.nets.wide import WideResNet

__all__ = ["NAMES", "Named", "build"]


@dataclass(frozen=True)
class Named:
    """A network that can be built by its name.

    Attributes:
        make: makes one; its keyword arguments are the options.
        shape: of one input with the default options; a point net takes any number of points.
        about: one line on it.
    """

    make: Callable[..., Network]
    shape: tuple[int, ...]
    about: str


_CIFAR = (3, 32, 32)

#: The networks by name. Besides these, ``wrn-D-K`` is any wide residual network.
NAMES: dict[str, Named] = {
    "mlp": Named(MLP, (1, 8, 8), "multilayer perceptron; by default for 8 x 8 digits"),
    "lenet": Named(LeNet, (1, 28, 28), "the DeBut papers' LeNet for MNIST"),
    "vgg-like": Named(VGGLike, (1, 28, 28), "All-DeBut's four convolutions for MNIST"),
    "vgg16-bn": Named(VGG16, _CIFAR, "VGG-16 with batch norm, for CIFAR"),
    "airbench": Named(Airbench, _CIFAR, "a CNN that learns CIFAR-10 within minutes"),
    **{
        f"resnet{depth}": Named(partial(cifar_resnet, depth), _CIFAR, f"ResNet-{depth} for CIFAR, widths 16 to 64")
        for depth in (8, 14, 20, 32, 44, 56, 110)
    },
    "resnet18": Named(resnet18, _CIFAR, "ResNet-18 for CIFAR, widths 64 to 512"),
    "preact-resnet18": Named(PreActResNet18, _CIFAR, "pre-activation ResNet-18 for CIFAR"),
    **{
        f"wrn-{depth}-{widen}": Named(partial(WideResNet, depth, widen), _CIFAR, f"WideResNet-{depth}-{widen}")
        for depth, widen in ((16, 4), (28, 10), (34, 10))
    },
    "pointnet": Named(PointNet, (1024, 3), "PointNet's classifier with both T-nets"),
    "small-pointnet": Named(SmallPointNet, (1024, 3), "a PointNet without T-nets, narrower"),
}


def build(name: str, *, seed: int = 0, **options: Any) -> Network:
    """Build a network with fresh weights; the same name, seed and options give the same ones.

    Args:
        name: one of `NAMES`, or ``wrn-D-K``.
        seed: of the initial weights; the global generator is left as it was.
        options: keyword arguments of the network, such as ``classes``.

    Raises:
        InputError: there is no such network or option, or an option's value does not fit.

    >>> build("lenet", classes=7).classifier
    Linear(in_features=64, out_features=7, bias=True)
    >>> build("resnet21")
    Traceback (most recent call last):
    morpho.errors.InputError: there is no network called 'resnet21': did you mean resnet32, resnet20, resnet18?
    """
    make = _find(name)
    known = set(signature(make).parameters)
    for option in options:
        if option not in known:
            raise InputError(f"{name} has no option {option!r:.40}: {_remedy(option, known)}")
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would touch the GPUs' generators too
        try:
            return make(**options)
        except InputError:
            raise
        except (TypeError, ValueError, RuntimeError, OverflowError) as error:
            raise InputError(f"{name} cannot be built with {options!r:.80} ({error!s:.80}): correct them") from error


def _find(name: str) -> Callable[..., Network]:
    if name in NAMES:
        return NAMES[name].make
    wide = re.fullmatch(r"wrn-(\d{1,3})-(\d{1,2})", name)
    if wide:
        return partial(WideResNet, int(wide[1]), int(wide[2]))
    raise InputError(f"there is no network called {name!r:.40}: {_remedy(name, NAMES)}")


def _remedy(word: str, known: Iterable[str]) -> str:
    near = get_close_matches(word, known, n=3, cutoff=0.6)
    return f"did you mean {', '.join(near)}?" if near else f"there are {', '.join(sorted(known))}"
