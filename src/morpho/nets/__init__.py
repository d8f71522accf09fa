"""Networks of the literature for small pictures and point clouds, each readable on one page."""

from morpho.nets.airbench import Airbench as Airbench
from morpho.nets.airbench import whiten as whiten
from morpho.nets.files import assign as assign
from morpho.nets.files import load as load
from morpho.nets.files import load_plain as load_plain
from morpho.nets.files import save as save
from morpho.nets.files import tensors_of as tensors_of
from morpho.nets.lenet import LeNet as LeNet
from morpho.nets.mlp import MLP as MLP
from morpho.nets.network import Network as Network
from morpho.nets.network import count_parameters as count_parameters
from morpho.nets.normalise import Normalise as Normalise
from morpho.nets.pointnet import PointNet as PointNet
from morpho.nets.pointnet import orthogonality as orthogonality
from morpho.nets.preact import PreActResNet18 as PreActResNet18
from morpho.nets.registry import NAMES as NAMES
from morpho.nets.registry import Named as Named
from morpho.nets.registry import build as build
from morpho.nets.resnet import ResNet as ResNet
from morpho.nets.resnet import cifar_resnet as cifar_resnet
from morpho.nets.resnet import resnet18 as resnet18
from morpho.nets.small_pointnet import SmallPointNet as SmallPointNet
from morpho.nets.vgg import VGG16 as VGG16
from morpho.nets.vgg import VGGLike as VGGLike
from morpho.nets.wide import WideResNet as WideResNet

__all__ = [
    "MLP",
    "NAMES",
    "VGG16",
    "Airbench",
    "LeNet",
    "Named",
    "Network",
    "Normalise",
    "PointNet",
    "PreActResNet18",
    "ResNet",
    "SmallPointNet",
    "VGGLike",
    "WideResNet",
    "assign",
    "build",
    "cifar_resnet",
    "count_parameters",
    "load",
    "load_plain",
    "orthogonality",
    "resnet18",
    "save",
    "tensors_of",
    "whiten",
]
