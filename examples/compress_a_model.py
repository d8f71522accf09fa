"""Compress a network of your own: train it, make its layers butterflies, teach them, export them.

python examples/compress_a_model.py

Needs `pip install "morpho[torch]"` and scikit-learn for its digits; with "morpho[onnx]" it writes an ONNX file too.
"""

import importlib.util
import tempfile

import torch
from torch import nn

from morpho import butterfly, datasets
from morpho.training import Fit, accuracy, fit


class Net(nn.Module):
    """Any module will do: what is no Linear or Conv layer stays as it is."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU())
        self.head = nn.Linear(256, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x))


data = datasets.load("digits")
steps = len(data.train) // 64
folder = tempfile.mkdtemp()


def batches(generator: torch.Generator):
    return datasets.batches(data.train, 64, generator=generator, drop_last=True)


def percent(model: nn.Module) -> str:
    return f"{accuracy(model, data.test.inputs, data.test.labels):.1%}"


torch.manual_seed(0)
dense = fit(Net(), Fit(epochs=15, learning_rate=0.1), batches, steps_per_epoch=steps, folder=f"{folder}/dense")

sample = data.train.inputs[:64].float() / 255  # with it, errors are weighted by what the layers meet
small = butterfly.convert(dense, budget=0.12, keep=["head"], sample=sample)
for layer in small.report.layers:
    print(f"{layer.name:8} {layer.chain or layer.reason}")
print(f"{small.report.parameters} of {small.report.dense_parameters} parameters ({small.report.share:.1%})")
print(f"accuracy: dense {percent(dense)}, projected {percent(small.model)}", end=", ")

plan = Fit(epochs=40, optimizer="adamw", learning_rate=5e-3, weight_decay=1e-4)
taught = butterfly.distil(small.model, dense, plan, batches, steps_per_epoch=steps, folder=f"{folder}/small")
print(f"taught by the dense one {percent(taught)}")

torch.save(taught.state_dict(), f"{folder}/small.pt")  # plain torch
if importlib.util.find_spec("onnxscript"):
    butterfly.to_onnx(taught, f"{folder}/small.onnx", sample)
    print(f"{folder}/small.onnx")
