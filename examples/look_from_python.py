"""Make a look of your own from a formula, see whether it is a sane one, and use it here and elsewhere.

python examples/look_from_python.py [PICTURE]
"""

import sys
from pathlib import Path

import numpy as np

from morpho import luts
from morpho.images import read, sample, write

colors = luts.Lut.identity(33).lattice  # [r, g, b]: the colours that the nodes stand for, sRGB from 0 to 1
grey = colors.mean(axis=-1, keepdims=True)
contrast = colors + 0.15 * np.sin(2 * np.pi * (colors - 0.5)) / np.pi
split = np.array([0.02, 0.0, -0.03]) * (2 * grey - 1)  # warm lights, cool shadows
look = luts.Lut(np.clip(contrast + split, 0, 1), title="split tone")

report = luts.measure(look)
print(f"steps down: {report.steps_down}; CIEDE2000: mean {report.delta_e_mean:.1f}, largest {report.delta_e_max:.1f}")

picture = read(sys.argv[1]) if len(sys.argv) > 1 else sample()
write(luts.apply(picture, look), Path("graded.png"), format="PNG", overwrite=True)
luts.write("split-tone.cube", look, overwrite=True)  # for Resolve, darktable, ffmpeg, Photoshop
luts.write("split-tone.png", look, overwrite=True)  # the same as a Hald picture
print("graded.png, split-tone.cube, split-tone.png")
