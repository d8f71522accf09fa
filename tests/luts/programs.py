"""Other programs that read files of tables, and apply them."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import PyOpenColorIO as ocio
from numpy.typing import NDArray


def opencolorio(path: Path, colors: NDArray[Any], *, lattice: bool = True) -> NDArray[np.float32]:
    """What OpenColorIO makes of float colours with a file."""
    interpolation = ocio.INTERP_TETRAHEDRAL if lattice else ocio.INTERP_LINEAR
    transform = ocio.FileTransform(str(path), interpolation=interpolation)
    processor = ocio.Config.CreateRaw().getProcessor(transform)
    result = np.array(colors, np.float32).reshape(-1, 3)
    processor.getOptimizedCPUProcessor(ocio.OPTIMIZATION_NONE).applyRGB(result)
    return result.reshape(colors.shape)


def ffmpeg(folder: Path, pixels: NDArray[np.uint8], graph: str, *more: str) -> NDArray[np.uint8]:
    """What a filter graph of ffmpeg makes of a picture; files are named relative to the folder."""
    height, width = pixels.shape[:2]
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-i", "-"]
    tail = ["-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *raw, *more, "-filter_complex", graph, *tail]
    done = subprocess.run(command, input=pixels.tobytes(), capture_output=True, cwd=folder, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return np.frombuffer(done.stdout, np.uint8).reshape(pixels.shape)
