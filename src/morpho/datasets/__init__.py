"""Readers of data sets, in their official form or from the shared pack; batches and augmentation."""

from morpho.datasets import augment as augment
from morpho.datasets.batches import batches as batches
from morpho.datasets.cifar import cifar10_lossless as cifar10_lossless
from morpho.datasets.labelled import Dataset as Dataset
from morpho.datasets.labelled import Labelled as Labelled
from morpho.datasets.registry import READERS as READERS
from morpho.datasets.registry import load as load

__all__ = ["READERS", "Dataset", "Labelled", "augment", "batches", "cifar10_lossless", "load"]
