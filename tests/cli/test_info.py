"""``morpho info``, ``list`` and ``check`` tell what is there, whatever the file is."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from morpho.artifacts import Card, save, store
from morpho.cli.app import main
from morpho.fields import files
from tests.fields.small import field

Capture = pytest.CaptureFixture[str]
CARD = Card(
    kind="hklut",
    name="hklut-s-x4",
    version="1",
    licence="Apache-2.0",
    recipe={"steps": 10},
    data=["T91", "BSDS200"],
    numbers={"set5_psnr_y": 30.34, "bytes": 102400},
)


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "weights"
    monkeypatch.setattr(store, "_WEIGHTS", folder)
    save(folder / "hklut-s-x4.safetensors", {"a": np.zeros(3, np.int8)}, CARD)
    return folder


def rows(text: str) -> dict[str, str]:
    """The last row of each name in a two-column table."""
    return {name: rest.strip() for name, _, rest in (line.partition("  ") for line in text.splitlines())}


@pytest.mark.parametrize("by_name", [True, False])
def test_info_shows_the_card(weights: Path, by_name: bool, capsys: Capture) -> None:
    assert main(["info", "hklut-s-x4" if by_name else str(weights / "hklut-s-x4.safetensors")]) == 0
    out = capsys.readouterr().out
    for part in ("hklut", "Apache-2.0", "set5_psnr_y = 30.34", "steps = 10", "T91", "BSDS200"):
        assert part in out


def test_info_as_json(weights: Path, capsys: Capture) -> None:
    assert main(["info", "hklut-s-x4", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["numbers"] == {"set5_psnr_y": 30.34, "bytes": 102400}
    assert Path(facts["file"]) == weights / "hklut-s-x4.safetensors"


def test_info_of_a_picture(tmp_path: Path, capsys: Capture) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "photo.jpg"
    Image.new("RGB", (30, 20)).save(path, exif=exif, dpi=(300, 300), icc_profile=b"p" * 100)
    assert main(["info", str(path)]) == 0
    shown = rows(capsys.readouterr().out)
    expected = {"format": "JPEG", "width": "30", "height": "20", "mode": "RGB", "dpi": "300 x 300"}
    expected |= {"orientation": "6", "EXIF": "1 tags", "ICC profile": "100 B", "XMP": "none"}
    assert {key: shown[key] for key in expected} == expected


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"hello", "neither a picture that Pillow reads nor a .safetensors artefact"),
        ("a.png", b"", "neither a picture"),
        ("a.safetensors", b"hello", "too short"),
        ("a.jpg", b"\xff\xd8\xff\xe0\x00\x10JFIF", "a.jpg"),
    ],
)
def test_info_of_something_else_is_a_sentence(
    name: str, content: bytes, message: str, tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / name).write_bytes(content)
    assert main(["info", str(tmp_path / name)]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert "unexpected" not in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("hklut-s-x3", "did you mean hklut-s-x4"),
        ("missing.png", "does not exist"),
        ("no/such/thing", "does not exist"),
        (".", "is not a file"),
    ],
)
def test_info_of_nothing_is_a_sentence(weights: Path, name: str, message: str, capsys: Capture) -> None:
    assert main(["info", name]) == 1
    assert message in capsys.readouterr().err


def test_info_of_a_field_in_capitals(tmp_path: Path, capsys: Capture) -> None:
    files.save(tmp_path / "photo.field", field(), 8)
    (tmp_path / "photo.field").rename(tmp_path / "PHOTO.FIELD")
    assert main(["info", str(tmp_path / "PHOTO.FIELD")]) == 0
    assert "field of the kind image" in capsys.readouterr().out


def test_info_of_a_field(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "photo.field"
    files.save(path, field(), 8)
    assert main(["info", str(path), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    size = path.stat().st_size
    parameters = sum(tensor.size for tensor in field().tensors.values())
    assert facts["kind"] == "field of the kind image" and facts["model"].startswith("scone (width 24")
    assert facts["parameters"] == parameters and facts["bits per parameter"] == round(8 * size / parameters, 3)
    assert facts["bits per sample"] == round(8 * size / 600, 4) and facts["signal"]["shape"] == [20, 30]
    assert main(["info", str(path)]) == 0
    assert "psnr = 31.5" in capsys.readouterr().out
    path.write_bytes(path.read_bytes()[:-1])
    assert main(["info", str(path)]) == 1
    assert "truncated" in capsys.readouterr().err


def test_info_shows_a_hostile_card_without_obeying_it(tmp_path: Path, capsys: Capture) -> None:
    card = Card(kind="\x1b[31mtoy", name="\x07", version="[bold]1", licence="x")
    save(tmp_path / "a.safetensors", {}, card)
    assert main(["info", str(tmp_path / "a.safetensors")]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\x07" not in out
    assert "[bold]1" in out


def test_list_shows_what_matches(weights: Path, capsys: Capture) -> None:
    assert main(["list", "hklut*"]) == 0
    out = capsys.readouterr().out
    assert "hklut-s-x4" in out
    assert "set5_psnr_y 30.34" in out


def test_list_as_json_lines(weights: Path, capsys: Capture) -> None:
    assert main(["list", "--json"]) == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(r["name"], r["kind"]) for r in records] == [("hklut-s-x4", "hklut")]
    assert records[0]["bytes"] == (weights / "hklut-s-x4.safetensors").stat().st_size


def test_list_without_a_match_is_a_sentence(weights: Path, capsys: Capture) -> None:
    assert main(["list", "icelut*"]) == 1
    assert "no artefact matches 'icelut*'" in capsys.readouterr().err


def test_check_reports_this_installation(capsys: Capture) -> None:
    assert main(["check", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["numpy"] == np.__version__
    assert report["cores"] >= 1
    assert {"vector units", "gpu", "kernel cache", "compiled kernels", "torch"} <= set(report)


def test_check_counts_the_kernels_that_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("MORPHO_CACHE", str(tmp_path))
    assert main(["check", "--json"]) == 0
    assert "none yet" in json.loads(capsys.readouterr().out)["compiled kernels"]
    (tmp_path / "kernel_loops-0123.o").touch()
    assert main(["check", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["compiled kernels"], report["kernel cache"]) == ("1 kept", str(tmp_path))
