"""``morpho eval fields``: PSNR, SSIM and bits of a field beside its original, and pictures of its errors and stages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio

from morpho.cli.app import main
from morpho.fields.field import Field
from morpho.images import Picture, read, write
from tests.cli.fields import save_field

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Field:
    """A field x.field, and as its original a.png what it decodes to, with noise."""
    monkeypatch.chdir(tmp_path)
    field = save_field("x.field")
    noise = np.random.default_rng(1).integers(-9, 10, (24, 36, 3))
    write(Picture(np.clip(field.render() + noise, 0, 255).astype(np.uint8)), "a.png")
    return field


def evaluate(*words: str) -> int:
    return main(["eval", "fields", *words])


def test_a_picture(photo: Field, capsys: Capture) -> None:
    assert evaluate("a.png", "x.field", "--json") == 0
    facts: dict[str, Any] = json.loads(capsys.readouterr().out)
    original = read("a.png").pixels
    size = Path("x.field").stat().st_size
    assert facts["psnr"] == pytest.approx(peak_signal_noise_ratio(original, photo.render()), abs=1e-3)
    assert 0 < facts["ssim"] < 1
    assert facts["bytes"] == size
    assert facts["bits_per_sample"] == pytest.approx(8 * size / (24 * 36), abs=1e-4)
    assert facts["parameters"] == sum(tensor.size for tensor in photo.tensors.values())
    assert (facts["kind"], facts["model"], facts["field"]) == ("image", "scone", "x.field")


def test_the_table_says_the_protocol(capsys: Capture) -> None:
    assert evaluate("a.png", "x.field") == 0
    out = capsys.readouterr().out
    assert "psnr" in out
    assert out.splitlines()[-1].startswith("PSNR over all channels of the decoded integers")


def test_an_exact_field_has_no_psnr(photo: Field, capsys: Capture) -> None:
    write(Picture(photo.render()), "same.png")
    assert evaluate("same.png", "x.field", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["psnr"], facts["ssim"]) == (None, 1.0)


def test_a_picture_too_small_for_ssim(capsys: Capture) -> None:
    field = save_field("small.field", shape=(6, 8))
    write(Picture(255 - field.render()), "small.png")
    assert evaluate("small.png", "small.field", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["ssim"] is None
    assert facts["psnr"] > 0


def test_pictures_of_errors_and_stages() -> None:
    assert evaluate("a.png", "x.field", "--errors", "e.png", "--stages", "new/s.png") == 0
    assert read("e.png").width >= 36
    assert read("new/s.png").width > 8 * 100
    assert evaluate("a.png", "x.field", "--errors", "e.png") == 1
    assert evaluate("a.png", "x.field", "--errors", "e.png", "--overwrite") == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["no.png", "x.field"], "no.png does not exist"),
        (["a.png", "no.field"], "no.field"),
        (["x.field", "a.png"], "a.png"),
        (["other.png", "x.field"], "x.field is of 24 x 36, 3 channels, and other.png of 24 x 30, 3 channels"),
        (["grey.png", "x.field"], "and grey.png of 24 x 36, 1 channels"),
        (["a.png", "clip.field"], "clip.field is a field of the kind 'video', and a.png is of 'image'"),
        (["a.png", "siren.field", "--stages", "s.png"], "no collage stages"),
        (["a.png", "x.field", "--errors", "e.txt"], "names no picture format"),
        (["a.png", "x.field", "--stages", "a.png"], "a.png exists already: choose another name with --stages"),
    ],
)
def test_what_cannot_work(words: list[str], message: str, capsys: Capture) -> None:
    save_field("clip.field", "video")
    save_field("siren.field", model="siren")
    write(Picture(np.zeros((24, 30, 3), np.uint8)), "other.png")
    write(Picture(np.zeros((24, 36, 1), np.uint8)), "grey.png")
    assert evaluate(*words) == 1
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""
