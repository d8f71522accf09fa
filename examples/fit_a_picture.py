"""Fit a small neural field to a picture, draw what its stages do, use it between the pixels and for a gradient.

python examples/fit_a_picture.py [PICTURE]

Needs `pip install "morpho[torch]"` and a minute or two.
"""

import sys
from pathlib import Path

import numpy as np
import torch

from morpho import fields
from morpho.fields.picture import draw_errors, draw_stages
from morpho.images import Picture, imresize, read, sample, write

pixels = read(sys.argv[1]).pixels if len(sys.argv) > 1 else imresize(sample().pixels, scale=0.5)
height, width, channels = pixels.shape
colour = {1: "grey", 2: "grey-alpha", 3: "rgb", 4: "rgba"}[channels]
signal = fields.Signal(kind="image", shape=(height, width), channels=channels, depth=8 * pixels.itemsize, colour=colour)
model = fields.for_signal(fields.build("scone", width=64), signal.shape, channels)

recipe = fields.Recipe(model=model, steps=500, batch=4096)
field = fields.fit(fields.GridTarget(signal, pixels), recipe, report=lambda now: print(f"\r{now.score:.2f} dB", end=""))
fields.save("photo.field", field, bits=16, overwrite=True)
field = fields.load("photo.field")
size = Path("photo.field").stat().st_size
print(
    f"\nphoto.field: {size} bytes, {8 * size / (height * width):.2f} bits per pixel, "
    f"{field.card.numbers['psnr']:.2f} dB"
)

write(Picture(field.render(size=(4 * height, 4 * width))), "larger.png", overwrite=True)
write(Picture(draw_stages(field)), "stages.png", overwrite=True)
write(Picture(draw_errors(pixels, field.render())), "errors.png", overwrite=True)
print("larger.png, stages.png, errors.png")

points = torch.zeros(1, 2, requires_grad=True)  # the middle of the picture, (row, column)
(slope,) = torch.autograd.grad(field(points).sum(), points)
print(f"in the middle: {field(np.zeros((1, 2)))[0].round(3)}, and its slope {slope[0].numpy().round(2)}")
