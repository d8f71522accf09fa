"""Other people's programs that apply a lookup table."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from morpho.luts import Lut

__all__ = ["by_ffmpeg", "by_opencolorio", "by_pillow"]


def by_opencolorio(image: NDArray[Any], lut: Lut, interpolation: str) -> NDArray[Any]:
    """In floats from end to end; only the result is rounded."""
    import PyOpenColorIO as ocio

    assert lut.lattice is not None
    transform = ocio.Lut3DTransform(gridSize=len(lut.lattice))
    transform.setInterpolation(ocio.INTERP_TETRAHEDRAL if interpolation == "tetrahedral" else ocio.INTERP_LINEAR)
    transform.setData(lut.lattice.astype(np.float32).ravel())  # blue fastest
    depth = ocio.BIT_DEPTH_UINT8 if image.dtype == np.uint8 else ocio.BIT_DEPTH_UINT16
    processor = ocio.Config.CreateRaw().getProcessor(transform)
    result = np.empty_like(image)
    height, width, channels = image.shape
    source, target = (ocio.PackedImageDesc(a, width, height, channels, depth, *_strides(a)) for a in (image, result))
    processor.getOptimizedCPUProcessor(depth, depth, ocio.OPTIMIZATION_LOSSLESS).apply(source, target)
    return result


def _strides(array: NDArray[Any]) -> tuple[int, int, int]:
    return array.strides[2], array.strides[1], array.strides[0]


def by_pillow(image: NDArray[np.uint8], lut: Lut) -> NDArray[np.uint8]:
    """Trilinear, 8 bits."""
    from PIL import Image, ImageFilter

    assert lut.lattice is not None
    red_fastest = np.ascontiguousarray(lut.lattice.transpose(2, 1, 0, 3), dtype=np.float32)
    table = ImageFilter.Color3DLUT(len(lut.lattice), red_fastest.ravel())
    return np.asarray(Image.fromarray(image).filter(table))


def by_ffmpeg(image: NDArray[Any], lut: Lut, interpolation: str, folder: Path) -> NDArray[Any]:
    """From a .cube file, as raw video of one frame."""
    import imageio_ffmpeg

    assert lut.lattice is not None
    rows = lut.lattice.transpose(2, 1, 0, 3).reshape(-1, 3)
    lines = [f"LUT_3D_SIZE {len(lut.lattice)}", *(" ".join(f"{value:.9f}" for value in row) for row in rows)]
    (folder / "look.cube").write_text("\n".join(lines) + "\n")
    size, kind = f"{image.shape[1]}x{image.shape[0]}", "rgb24" if image.dtype == np.uint8 else "rgb48le"
    raw = ["-f", "rawvideo", "-pix_fmt", kind]
    way = ["-vf", f"lut3d=look.cube:interp={interpolation}"]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", *raw, "-s", size, "-i", "-", *way, *raw, "-"]
    done = subprocess.run(command, input=image.tobytes(), capture_output=True, check=True, cwd=folder)
    return np.frombuffer(done.stdout, dtype=image.dtype).reshape(image.shape)
