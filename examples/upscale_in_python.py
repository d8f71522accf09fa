"""Upscale a picture from Python, and see what the tables change.

python examples/upscale_in_python.py [PICTURE]
"""

import sys
from pathlib import Path

import numpy as np

import morpho
from morpho.images import imresize, read, sample, write

picture = read(sys.argv[1]) if len(sys.argv) > 1 else sample()
upscaler = morpho.Upscaler.load("hklut-s", scale=4)
larger = upscaler(picture)
write(larger, Path("larger.png"), format="PNG", overwrite=True)

plain = imresize(picture.color, scale=4)
change = np.abs(larger.color.astype(int) - plain).mean() * 255 / np.iinfo(plain.dtype).max
print(f"{picture.width}x{picture.height} -> larger.png, {larger.width}x{larger.height}")
print(f"tables: {upscaler.tables.nbytes / 1024:.0f} KiB; mean difference to bicubic: {change:.2f} grey levels")
