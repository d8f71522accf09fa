"""``morpho enhance`` as a new user meets it."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from morpho.cli.app import main
from morpho.enhance import Enhancer
from morpho.images import Metadata, Picture, read, to_srgb, write
from morpho.images.profile import srgb_profile
from morpho.luts import apply, files
from tests.enhance.synthetic import save_tables
from tests.images.profiles import P3, SRGB_CURVE, matrix_profile, table_profile
from tests.images.samples import ICC, exif_block, smooth

Capture = pytest.CaptureFixture[str]
COMMAND = [sys.executable, "-c", "import sys; from morpho.cli.app import main; sys.exit(main())", "enhance"]
DISPLAY_P3 = matrix_profile(P3, SRGB_CURVE)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of weights of an installation that ships synthetic tables."""
    folder = tmp_path_factory.mktemp("weights")
    save_tables(folder)
    save_tables(folder, name="gentle", most=0.1)
    return folder


@pytest.fixture(autouse=True)
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installed: Path) -> Path:
    """An empty working folder with one photo, ``cat.png``."""
    monkeypatch.setattr("morpho.artifacts.store._WEIGHTS", installed)
    monkeypatch.chdir(tmp_path)
    Image.fromarray(smooth(12, 16)).save("cat.png")
    return tmp_path


def enhance(*words: str) -> int:
    return main(["enhance", *words])


def put(name: str, pixels: Any, icc: bytes | None = None) -> Picture:
    picture = Picture(np.asarray(pixels), Metadata(icc=icc))
    write(picture, name, quality=95)
    return picture


def test_the_plain_command(capsys: Capture) -> None:
    assert enhance("cat.png") == 0
    found = read("cat_enhanced.png").pixels
    np.testing.assert_array_equal(found, Enhancer.load()(smooth(12, 16)))
    assert found.mean() > smooth(12, 16).mean() + 10
    captured = capsys.readouterr()
    assert captured.out.startswith("cat.png -> cat_enhanced.png  16 x 12  ")
    assert "icelut" in captured.out
    assert captured.err == ""


@pytest.mark.parametrize(
    ("words", "result", "strength", "model"),
    [
        (["--strength", "0.5"], "cat_enhanced.png", 0.5, "icelut"),
        (["--strength", "0"], "cat_enhanced.png", 0.0, "icelut"),
        (["-m", "gentle"], "cat_enhanced.png", 1.0, "gentle"),
        (["-o", "dog.bmp"], "dog.bmp", 1.0, "icelut"),
        (["-o", "out/"], "out/cat_enhanced.png", 1.0, "icelut"),
        (["--strength", ".25", "-o", "{stem}_{model}_{strength}{ext}"], "cat_icelut_0.25.png", 0.25, "icelut"),
        (["--threads", "1", "--workers", "2"], "cat_enhanced.png", 1.0, "icelut"),
    ],
)
def test_options(words: list[str], result: str, strength: float, model: str) -> None:
    assert enhance("cat.png", *words) == 0
    expected = Enhancer.load(model, strength=strength)(smooth(12, 16))
    np.testing.assert_array_equal(read(result).pixels, expected)


def test_own_tables(installed: Path) -> None:
    assert enhance("cat.png", "--tables", str(installed / "gentle.safetensors")) == 0
    np.testing.assert_array_equal(read("cat_enhanced.png").pixels, Enhancer.load("gentle")(smooth(12, 16)))


def test_metadata_are_kept_unless_stripped() -> None:
    exif = b"Exif\0\0" + exif_block(orientation=6)
    Image.fromarray(smooth(12, 16)).save("cat.jpg", exif=exif, icc_profile=srgb_profile(), dpi=(300, 300))
    assert enhance("cat.jpg") == 0
    assert enhance("cat.jpg", "--strip", "-o", "bare.jpg") == 0
    with Image.open("cat_enhanced.jpg") as image:
        assert image.size == (12, 16)  # turned upright
        assert image.info["icc_profile"] == srgb_profile()
        assert image.getexif()[0x0112] == 1
        assert image.info["dpi"] == (300, 300)
    with Image.open("bare.jpg") as image:
        assert not image.getexif()
        assert "icc_profile" not in image.info


def test_threads_follow_the_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    used = []

    def run(plan: Any, enhancer: Enhancer, options: Any, **others: Any) -> int:
        used.append(enhancer.threads)
        return 0

    monkeypatch.setattr("morpho.cli.photos.run", run)
    put("dog.png", photo(3, 3, 3))
    for words in (["cat.png"], ["cat.png", "dog.png", "--workers", "2"], ["cat.png", "--threads", "3"]):
        assert enhance(*words) == 0
    assert used == [None, 1, 3]


# --- kinds of pictures ---


def photo(*shape: int, dtype: str = "uint8") -> Any:
    values = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)
    return values // 2


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("side", [(1, 1), (1, 40), (7, 9)])
def test_every_kind(side: tuple[int, int], channels: int, dtype: str) -> None:
    pixels = photo(*side, channels, dtype=dtype)
    put("a.png", pixels)
    assert enhance("a.png") == 0
    result = read("a_enhanced.png").pixels
    assert (result.shape, result.dtype) == (pixels.shape, pixels.dtype)
    if channels in (2, 4):
        np.testing.assert_array_equal(result[..., -1], pixels[..., -1])
    np.testing.assert_array_equal(result, Enhancer.load()(pixels))


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("color", [(0, 0, 0), (90, 90, 90), (255, 255, 255), (30, 200, 10)])
def test_constant_colours(color: tuple[int, int, int], dtype: str) -> None:
    unit = 257 if dtype == "uint16" else 1
    put("a.png", np.full((5, 6, 3), np.array(color) * unit, dtype))
    assert enhance("a.png") == 0
    result = read("a_enhanced.png").pixels
    assert (result == result[0, 0]).all()
    if color in ((0, 0, 0), (255, 255, 255)):
        np.testing.assert_array_equal(result[0, 0] // unit, color)
    else:
        assert (result[0, 0] != np.array(color) * unit).any()


def test_fully_transparent_stays_as_it_is() -> None:
    pixels = photo(6, 7, 4)
    pixels[..., 3] = 0
    put("a.png", pixels)
    assert enhance("a.png", "--cube", "a.cube") == 0
    np.testing.assert_array_equal(read("a_enhanced.png").pixels, pixels)
    assert apply(pixels, files.read("a.cube")).tobytes() == pixels.tobytes()


# --- colour profiles ---


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_wide_gamut_is_converted_and_not_misread(dtype: str) -> None:
    wide = put("wide.png", photo(20, 30, 3, dtype=dtype), DISPLAY_P3)
    assert enhance("wide.png") == 0
    result = read("wide_enhanced.png")
    np.testing.assert_array_equal(result.pixels, Enhancer.load()(to_srgb(wide).pixels))
    assert result.metadata.icc == srgb_profile()
    assert enhance("wide.png", "--keep-profile", "-o", "kept.png") == 0
    kept = read("kept.png")
    np.testing.assert_array_equal(kept.pixels, Enhancer.load()(wide.pixels))
    assert kept.metadata.icc == DISPLAY_P3
    assert np.abs(kept.pixels.astype(int) - result.pixels).mean() > 1


def test_strength_0_of_a_wide_picture_looks_the_same() -> None:
    wide = put("wide.png", photo(20, 30, 3), DISPLAY_P3)
    assert enhance("wide.png", "--strength", "0", "--compare") == 0
    np.testing.assert_array_equal(read("wide_enhanced.png").pixels, to_srgb(wide).pixels)
    sheet = read("wide_enhanced_compare.png").pixels  # both halves are in the colours that the sheet says
    np.testing.assert_array_equal(sheet[:, :30], sheet[:, -30:])


def test_wide_gamut_jpeg() -> None:
    put("wide.jpg", smooth(40, 50), DISPLAY_P3)
    assert enhance("wide.jpg", "-o", "result.png") == 0
    np.testing.assert_array_equal(read("result.png").pixels, Enhancer.load()(to_srgb(read("wide.jpg")).pixels))


@pytest.mark.parametrize(
    ("icc", "dtype", "what"),
    [
        (ICC, "uint8", "is no ICC profile"),
        (DISPLAY_P3[:-9], "uint8", "is damaged"),
        (table_profile(), "uint16", "holds tables"),
    ],
)
def test_unusable_profiles(capsys: Capture, icc: bytes, dtype: str, what: str) -> None:
    put("a.png", photo(5, 5, 3, dtype=dtype), icc)
    assert enhance("a.png") == 1
    said = capsys.readouterr().err
    assert said.startswith(f"morpho: a.png: the embedded colour profile {what}")
    assert "add --keep-profile" in said
    assert said.count("\n") == 1
    assert enhance("a.png", "--keep-profile") == 0
    assert read("a_enhanced.png").metadata.icc == icc


# --- looks for other programs ---


def test_cube_does_what_the_verb_did(capsys: Capture) -> None:
    assert enhance("cat.png", "--cube", "look.cube", "--json", "--strength", "0.7") == 0
    look = files.read("look.cube")
    assert look.nodes == 33
    # Written with eight decimals: a rounding may fall the other way.
    found, expected = apply(smooth(12, 16), look), read("cat_enhanced.png").pixels
    assert np.abs(found.astype(int) - expected).max() <= 1
    assert (found == expected).mean() > 0.99
    assert json.loads(capsys.readouterr().out)["cube"] == "look.cube"


@pytest.mark.parametrize("cube", ["looks/{stem}.cube", "looks/", "looks", "{parent}/looks/{stem}.cube"])
def test_cubes_of_several_pictures(cube: str) -> None:
    put("dog.png", photo(9, 9, 3))
    assert enhance("cat.png", "dog.png", "--cube", cube, "-o", "{stem}_new.png") == 0
    for name in ("cat", "dog"):
        expected = Enhancer.load().lut(read(f"{name}.png")).lattice
        assert expected is not None
        np.testing.assert_allclose(files.read(f"looks/{name}.cube").lattice, expected, atol=1e-8)  # type: ignore[arg-type]


def test_cube_of_a_wide_picture_is_for_srgb() -> None:
    wide = put("wide.png", photo(20, 30, 3), DISPLAY_P3)
    assert enhance("wide.png", "--cube", "look.cube") == 0
    expected = Enhancer.load().lut(to_srgb(wide)).lattice
    np.testing.assert_allclose(files.read("look.cube").lattice, expected, atol=1e-8)  # type: ignore[arg-type]


def test_cubes_are_not_overwritten_unless_asked(capsys: Capture) -> None:
    Path("look.cube").write_text("mine")
    assert enhance("cat.png", "--cube", "look.cube") == 1
    assert "look.cube exists: add --overwrite" in capsys.readouterr().err
    assert Path("look.cube").read_text() == "mine"
    assert not Path("cat_enhanced.png").exists()
    assert enhance("cat.png", "--cube", "look.cube", "--overwrite") == 0
    assert files.read("look.cube").nodes == 33


def test_cube_with_the_picture_on_stdout() -> None:
    words = ["cat.png", "-o", "-", "--cube", "look.cube", "-q", "--tables", str(save_tables(Path()))]
    done = subprocess.run([*COMMAND, *words], capture_output=True, check=True)
    with Image.open(io.BytesIO(done.stdout)) as image:
        np.testing.assert_array_equal(np.asarray(image), Enhancer.load()(smooth(12, 16)))
    assert files.read("look.cube").nodes == 33


# --- many, and what goes wrong ---


def test_batch_with_one_broken_file(capsys: Capture) -> None:
    put("grey.png", photo(9, 7, 1))
    put("deep.png", photo(9, 7, 3, dtype="uint16"))
    Path("broken.png").write_bytes(Path("cat.png").read_bytes()[:60])
    assert enhance("*.png", "--json", "--cube", "{stem}.cube", "--workers", "2") == 1
    captured = capsys.readouterr()
    records = {record["input"]: record for record in map(json.loads, captured.out.splitlines())}
    assert {name: record["status"] for name, record in records.items()} == {
        "broken.png": "failed",
        "cat.png": "done",
        "deep.png": "done",
        "grey.png": "done",
    }
    assert {record["model"] for record in records.values()} == {"icelut"}
    assert captured.err.splitlines()[-1] == "morpho: 1 of 4 pictures failed"
    assert sorted(path.name for path in Path().glob("*.cube")) == ["cat.cube", "deep.cube", "grey.cube"]


def test_folders_and_shards() -> None:
    for i in range(6):
        Path(f"album/{i % 2}").mkdir(parents=True, exist_ok=True)
        put(f"album/{i % 2}/{i}.png", photo(4, 4, 3))
    for part in ("1/2", "2/2"):
        assert enhance("album", "-r", "-o", "out", "--cube", "looks", "--shard", part, "-q") == 0
    assert sorted(path.as_posix() for path in Path("out").rglob("*.png")) == [
        f"out/{i % 2}/{i}_enhanced.png" for i in (0, 2, 4, 1, 3, 5)
    ]
    assert len(list(Path("looks").rglob("*.cube"))) == 6
    assert Path("looks/1/3.cube").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("none.png", "none.png does not exist"),
        ("cat.png -m nothing", "no artefact called 'nothing'"),
        ("cat.png --tables none.safetensors", "none.safetensors"),
        ("cat.png --model icelut --tables cat.png", "contradict each other"),
        ("cat.png --cube=-", "--cube takes a file, a folder or a template"),
        ("cat.png --cube look.txt", "look.txt is no name for a lookup table: let --cube end in .cube"),
        ("cat.png --cube {colour}.cube", "unknown field {colour}"),
        ("cat.png dog.png --cube look.cube", "several pictures cannot all become look.cube"),
        ("cat.png dog.png --cube {model}.cube", "cat.png and dog.png would both become icelut.cube"),
        ("cat.png sub/cat.png --cube {stem}.cube", "template such as {parent}/{stem}.cube after --cube"),
        ("cat.png look.cube --cube looks/", "look.cube is not a picture"),
        ("look.cube --cube look.cube -o a.png", "look.cube is the input look.cube, and inputs are never overwritten"),
    ],
)
def test_bad_input_is_one_sentence_and_status_1(capsys: Capture, words: str, sentence: str) -> None:
    put("dog.png", photo(3, 3, 3))
    Path("sub").mkdir()
    put("sub/cat.png", photo(3, 3, 3))
    Path("look.cube").write_text("LUT_3D_SIZE 2\n")
    assert enhance(*words.split(), "-q", "--workers", "1") == 1
    said = capsys.readouterr().err
    assert said.startswith("morpho: ")
    assert sentence in said
    assert "unexpected" not in said
    assert Path("look.cube").read_text() == "LUT_3D_SIZE 2\n"


@pytest.mark.parametrize("strength", ["1.01", "-0.1", "nan", "inf", "much"])
def test_strengths_out_of_range(capsys: Capture, strength: str) -> None:
    assert enhance("cat.png", "--strength", strength) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not Path("cat_enhanced.png").exists()
