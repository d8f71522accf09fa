"""Reorderings of channels in an ONNX graph, moved to where they cost least.

A permutation of the channels, a copy of all activations, commutes with whatever treats all channels alike: ReLU,
pooling, and, with its parameters reordered, batch norm. It ends in the weights of the next layer. So a runtime copies
nothing, and sees batch norms right behind convolutions, into which it folds them.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from morpho.errors import require

__all__ = ["sink_permutations"]

Indices: TypeAlias = NDArray[np.int64]

#: Operators that treat all channels alike, and keep them in axis 1.
_ALIKE = frozenset(
    ("Relu", "Gelu", "LeakyRelu", "Elu", "Selu", "Sigmoid", "Tanh", "Erf", "Identity",
     "MaxPool", "AveragePool", "GlobalMaxPool", "GlobalAveragePool")
)  # fmt: skip
_REDUCTIONS = frozenset(("ReduceMax", "ReduceMean", "ReduceSum", "ReduceMin"))


def sink_permutations(model: Any) -> None:
    """Move every permutation of axis 1 down its graph as far as it goes, in place.

    Args:
        model: an ``onnx.ModelProto``.
    """
    graph = _Graph(model.graph)
    while any(graph.sink(node) for node in [*model.graph.node] if graph.permutation(node) is not None):
        pass
    graph.tidy()


class _Graph:
    """A graph with its constants at hand."""

    def __init__(self, graph: Any) -> None:
        self.onnx = require("onnx", "onnx")
        self.graph = graph
        self.constants = {tensor.name: tensor for tensor in graph.initializer}

    def constant(self, name: str) -> NDArray[Any]:
        array: NDArray[Any] = self.onnx.numpy_helper.to_array(self.constants[name])
        return array

    def add(self, like: str, array: NDArray[Any]) -> str:
        """A new constant; its name."""
        name = f"{like}_{len(self.constants)}"
        tensor = self.onnx.numpy_helper.from_array(np.ascontiguousarray(array), name)
        self.graph.initializer.append(tensor)
        self.constants[name] = tensor
        return name

    def permutation(self, node: Any) -> Indices | None:
        """The permutation of axis 1 that a node does; None where it does something else."""
        if node.op_type != "Gather" or node.input[1] not in self.constants or self.attribute(node, "axis", 0) != 1:
            return None
        indices = self.constant(node.input[1])
        if indices.ndim != 1 or not np.array_equal(np.sort(indices), np.arange(len(indices))):
            return None
        return indices

    def attribute(self, node: Any, name: str, default: Any) -> Any:
        found = [self.onnx.helper.get_attribute_value(a) for a in node.attribute if a.name == name]
        return found[0] if found else default

    def users(self, name: str) -> list[Any]:
        return [node for node in self.graph.node if name in node.input]

    def sink(self, gather: Any) -> bool:
        """Move a permutation past the one node that uses it, or into it; whether that was possible."""
        order, name = self.permutation(gather), gather.output[0]
        users = self.users(name)
        if order is None or len(users) != 1 or name in (output.name for output in self.graph.output):
            return False
        user = users[0]
        if [*user.input].count(name) != 1 or user.input[0] != name or len(user.output) != 1:
            return False
        if self.absorb(user, order):
            user.input[0] = gather.input[0]
            self.graph.node.remove(gather)
            return True
        if self.passes(user, order):
            self.swap(gather, user)
            return True
        return False

    def absorb(self, user: Any, order: Indices) -> bool:
        """Reorder the weights of a layer instead of its input."""
        if user.op_type == "Gather" and (then := self.permutation(user)) is not None:
            user.input[1] = self.add(user.input[1], order[then])
            return True
        dense = user.op_type == "Conv" and self.attribute(user, "group", 1) == 1
        linear = user.op_type == "Gemm" and self.attribute(user, "transA", 0) == 0
        if not (dense or linear) or user.input[1] not in self.constants:
            return False
        axis = 0 if linear and self.attribute(user, "transB", 0) == 0 else 1
        user.input[1] = self.add(user.input[1], np.take(self.constant(user.input[1]), np.argsort(order), axis))
        return True

    def passes(self, user: Any, order: Indices) -> bool:
        """Whether a node may come before the permutation instead; its parameters are reordered."""
        if user.op_type == "BatchNormalization" and all(name in self.constants for name in user.input[1:]):
            for number, name in enumerate([*user.input]):
                if number:
                    user.input[number] = self.add(name, self.constant(name)[np.argsort(order)])
            return True
        if user.op_type in _REDUCTIONS and len(user.input) == 2 and user.input[1] in self.constants:
            return all(axis > 1 for axis in np.atleast_1d(self.constant(user.input[1])))
        return user.op_type in _ALIKE and len(user.input) == 1

    def swap(self, gather: Any, user: Any) -> None:
        source, between, result = gather.input[0], gather.output[0], user.output[0]
        user.input[0], user.output[0] = source, between
        gather.input[0], gather.output[0] = between, result
        nodes = [node for node in self.graph.node if node != gather]
        nodes.insert(nodes.index(user) + 1, gather)
        copies = [self.onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
        del self.graph.node[:]
        self.graph.node.extend(copies)
        # Shapes that were noted are now those of other values.
        kept = [value for value in self.graph.value_info if value.name != between]
        del self.graph.value_info[:]
        self.graph.value_info.extend(kept)

    def tidy(self) -> None:
        """Drop constants that nothing uses any more."""
        used = {name for node in self.graph.node for name in node.input}
        kept = [tensor for tensor in self.graph.initializer if tensor.name in used]
        del self.graph.initializer[:]
        self.graph.initializer.extend(kept)
