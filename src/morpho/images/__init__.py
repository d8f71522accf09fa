"""Pictures: reading, writing, resizing, measuring. NumPy and Pillow only; Pillow is loaded on first use."""

from morpho.images.color import delta_e2000 as delta_e2000
from morpho.images.color import luma as luma
from morpho.images.color import srgb_to_lab as srgb_to_lab
from morpho.images.folder import find_pictures as find_pictures
from morpho.images.folder import read_photo as read_photo
from morpho.images.folder import read_photos as read_photos
from morpho.images.io import SUFFIXES as SUFFIXES
from morpho.images.io import format_of as format_of
from morpho.images.io import read as read
from morpho.images.io import write as write
from morpho.images.metadata import Metadata as Metadata
from morpho.images.metrics import psnr as psnr
from morpho.images.metrics import psnr_y as psnr_y
from morpho.images.metrics import ssim as ssim
from morpho.images.metrics import ssim_y as ssim_y
from morpho.images.picture import Picture as Picture
from morpho.images.profile import to_srgb as to_srgb
from morpho.images.resize import imresize as imresize
from morpho.images.resize import modcrop as modcrop
from morpho.images.sample import sample as sample

__all__ = [
    "SUFFIXES",
    "Metadata",
    "Picture",
    "delta_e2000",
    "find_pictures",
    "format_of",
    "imresize",
    "luma",
    "modcrop",
    "psnr",
    "psnr_y",
    "read",
    "read_photo",
    "read_photos",
    "sample",
    "srgb_to_lab",
    "ssim",
    "ssim_y",
    "to_srgb",
    "write",
]
