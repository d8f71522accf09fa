"""``morpho lut`` as a new user meets it."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from morpho.cli.app import main
from morpho.images import read, to_srgb
from morpho.luts import Lut, apply, compose, evaluate, measure, mix
from morpho.luts import read as read_lut
from morpho.luts import write as write_lut
from tests.images.samples import exif_block, smooth
from tests.luts.looks import curves_of, lattice_of, noise, ramp, warm

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a photo, ``cat.png``, and three tables: warm, negative, shaped."""
    monkeypatch.chdir(tmp_path)
    Image.fromarray(smooth(12, 16)).save("cat.png")
    write_lut("warm.cube", lattice_of(warm, 17))
    negative = Lut.identity(2).lattice
    assert negative is not None
    write_lut("negative.cube", Lut(1 - negative))
    write_lut("shaped.cube", Lut(lattice_of(warm, 17).lattice, curves_of(5), title="a shaper"))
    return tmp_path


def lut(*words: str) -> int:
    return main(["lut", *words])


def test_apply(capsys: Capture) -> None:
    assert lut("apply", "negative.cube", "cat.png") == 0
    np.testing.assert_array_equal(read("cat_negative.png").pixels, 255 - read("cat.png").pixels)
    captured = capsys.readouterr()
    assert captured.out.startswith("cat.png -> cat_negative.png  16 x 12  ")
    assert "(negative: " in captured.out
    assert captured.err == ""


@pytest.mark.parametrize(
    ("words", "result"),
    [
        (["-o", "dog.png"], "dog.png"),
        (["-o", "out/"], "out/cat_warm.png"),
        (["-o", "{lut}{strength}_{stem}{ext}"], "warm1_cat.png"),
        (["--format", "tif"], "cat_warm.tif"),
        (["--strength", "1"], "cat_warm.png"),
        (["--interpolation", "tetrahedral", "--threads", "1"], "cat_warm.png"),
    ],
)
def test_options_of_apply(words: list[str], result: str) -> None:
    assert lut("apply", "warm.cube", "cat.png", *words) == 0
    np.testing.assert_array_equal(read(result).pixels, apply(read("cat.png").pixels, read_lut("warm.cube")))


def test_strength_and_interpolation() -> None:
    table, pixels = read_lut("warm.cube"), read("cat.png").pixels
    assert lut("apply", "warm.cube", "cat.png", "-o", "a.png", "--strength", "0.4") == 0
    np.testing.assert_array_equal(read("a.png").pixels, apply(pixels, mix(table, 0.4)))
    assert lut("apply", "shaped.cube", "cat.png", "-o", "b.png", "--strength", "0") == 0
    np.testing.assert_array_equal(read("b.png").pixels, pixels)
    write_lut("noise.cube", noise(5))
    assert lut("apply", "noise.cube", "cat.png", "-o", "c.png", "--interpolation", "trilinear") == 0
    expected = apply(pixels, noise(5), interpolation="trilinear")
    np.testing.assert_array_equal(read("c.png").pixels, expected)
    assert (expected != apply(pixels, noise(5))).any()


def test_a_hald_picture_is_applied_like_its_cube() -> None:
    assert lut("convert", "warm.cube", "warm.png", "--level", "8") == 0
    assert lut("apply", "warm.png", "cat.png", "-o", "a.png") == 0
    difference = read("a.png").pixels.astype(int) - apply(read("cat.png").pixels, read_lut("warm.cube"))
    assert np.abs(difference).max() <= 1


def test_pictures_of_all_sorts_keep_what_they_have() -> None:
    Image.fromarray(smooth(9, 7, 4)).save("alpha.png")
    Image.fromarray(smooth(9, 7)[..., 0]).save("grey.png")
    Image.fromarray(smooth(9, 7)[..., 0].astype(np.uint16) * 257).save("deep.png")
    Image.fromarray(smooth(9, 7)).save("turned.jpg", exif=b"Exif\0\0" + exif_block(orientation=6))
    names = ["alpha.png", "grey.png", "deep.png", "turned.jpg"]
    assert lut("apply", "negative.cube", *names, "--workers", "3") == 0
    for name in names[:3]:
        before, after = read(name), read(name.replace(".", "_negative."))
        assert after.pixels.dtype == before.pixels.dtype
        np.testing.assert_array_equal(after.color, np.iinfo(before.pixels.dtype).max - before.color)
        if before.alpha is not None and after.alpha is not None:
            np.testing.assert_array_equal(after.alpha, before.alpha)
    turned = read("turned_negative.jpg")
    assert (turned.width, turned.height) == (9, 7)
    assert turned.metadata.exif is not None


def test_wide_gamut_is_converted_unless_told_otherwise(data_free_profile: bytes) -> None:
    Image.fromarray(smooth(12, 16)).save("wide.png", icc_profile=data_free_profile)
    assert lut("apply", "warm.cube", "wide.png", "-o", "a.png") == 0
    assert lut("apply", "warm.cube", "wide.png", "-o", "b.png", "--keep-profile") == 0
    table, wide = read_lut("warm.cube"), read("wide.png")
    np.testing.assert_array_equal(read("a.png").pixels, apply(to_srgb(wide).pixels, table))
    np.testing.assert_array_equal(read("b.png").pixels, apply(wide.pixels, table))
    assert read("b.png").metadata.icc == data_free_profile
    assert (read("a.png").pixels != read("b.png").pixels).any()


@pytest.fixture
def data_free_profile() -> bytes:
    """sRGB's own profile with red and green exchanged: valid, and far from sRGB."""
    from morpho.images.profile import srgb_profile

    return srgb_profile().replace(b"rXYZ", b"_XYZ").replace(b"gXYZ", b"rXYZ").replace(b"_XYZ", b"gXYZ")


def test_compare_puts_before_beside_after() -> None:
    assert lut("apply", "negative.cube", "cat.png", "--compare") == 0
    sheet = read("cat_negative_compare.png").pixels
    pixels = read("cat.png").pixels
    np.testing.assert_array_equal(sheet[:, :16], pixels)
    np.testing.assert_array_equal(sheet[:, -16:], 255 - pixels)


def test_json_stdin_and_stdout(monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    assert lut("apply", "warm.cube", "cat.png", "none.png", "--json", "--workers", "1") == 1
    records = [json.loads(line) for line in capsysbinary.readouterr().out.splitlines()]
    assert [(record["status"], record["model"]) for record in records] == [("done", "warm"), ("failed", "warm")]

    class Stdin:
        buffer = io.BytesIO(Path("cat.png").read_bytes())

    monkeypatch.setattr("sys.stdin", Stdin)
    assert lut("apply", "negative.cube", "-", "-o", "-") == 0
    np.testing.assert_array_equal(read(capsysbinary.readouterr().out).pixels, 255 - read("cat.png").pixels)


def test_the_table_is_never_overwritten(capsys: Capture) -> None:
    write_lut("look.png", Lut.identity(4))
    before = Path("look.png").read_bytes()
    assert lut("apply", "look.png", "cat.png", "-o", "look.png", "--overwrite") == 1
    assert "look.png is the table itself, which is never overwritten" in capsys.readouterr().err
    for words in (
        ["convert", "warm.cube", "warm.cube"],
        ["mix", "warm.cube", "negative.cube", "-o", "./negative.cube"],
    ):
        assert lut(*words, "--overwrite") == 1
        assert "is an input itself, which is never overwritten" in capsys.readouterr().err
    assert Path("look.png").read_bytes() == before


BAD = {
    "none.cube": (None, "none.cube does not exist: check the path"),
    "short.cube": ("LUT_3D_SIZE 2\n0 0 0\n", "short.cube, line 2: the file ends after 1 of 8 rows: it is truncated"),
    "word.cube": ("LUT_3D_SIZE 2\n0 0 red\n", "word.cube, line 2: 'red' is no number"),
    "escape.cube": ("LUT_3D_SIZE \x1b[31m\n", "escape.cube, line 1: LUT_3D_SIZE is '\\x1b[31m', which is no whole"),
    "broken.png": ("no picture", "broken.png is not a picture in a known format"),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("words", [["apply", "NAME", "cat.png"], ["info", "NAME"], ["convert", "NAME", "x.cube"]])
def test_bad_tables_get_a_sentence(name: str, words: list[str], capsys: Capture) -> None:
    content, sentence = BAD[name]
    if content is not None:
        Path(name).write_text(content)
    assert lut(*(word.replace("NAME", name) for word in words)) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith(f"morpho: {sentence}")
    assert captured.err.count("\n") == 1
    assert captured.out == ""
    assert not Path("x.cube").exists()


def test_a_picture_that_is_no_hald_picture(capsys: Capture) -> None:
    assert lut("apply", "cat.png", "cat.png") == 1
    assert "cat.png has 16 x 12 pixels and is no Hald picture" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["apply", "warm.cube", "cat.png", "--strength", "1.5"], "1.5 is not within 0 to 1"),
        (["apply", "warm.cube", "cat.png", "--strength", "nan"], "nan is not within 0 to 1"),
        (["apply", "warm.cube", "cat.png", "--interpolation", "nearest"], "interpolation"),
        (["apply", "warm.cube"], "requires an argument"),
        (["mix", "warm.cube"], "requires an argument"),
        (["mix", "warm.cube", "-o", "x.cube", "--weight", "2"], "2 is not within 0 to 1"),
        (["convert", "warm.cube", "x.cube", "--size", "1"], "--size"),
        (["convert", "warm.cube", "x.cube", "--size", "2.5"], "2.5 is no whole number"),
        (["convert", "warm.cube", "x.png", "--level", "17"], "--level"),
        (["convert", "warm.cube", "x.cube", "--dialect", "nuke"], "--dialect"),
    ],
)
def test_wrong_usage(words: list[str], sentence: str, capsys: Capture) -> None:
    assert lut(*words) == 2
    assert sentence in capsys.readouterr().err


def test_info(capsys: Capture) -> None:
    assert lut("info", "warm.cube", "negative.cube", "shaped.cube") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["what", "warm.cube", "negative.cube", "shaped.cube"]
    cells = {line[:22].strip(): line[22:].split("   ") for line in lines[2:]}
    rows = {what: [cell.strip() for cell in row if cell.strip()] for what, row in cells.items()}
    assert rows["lattice"] == ["17 nodes", "2 nodes", "17 nodes"]
    assert rows["curves"] == ["none", "none", "5 samples"]
    assert rows["title"] == ["warm", "negative", "a shaper"]
    assert rows["steps down on greys"] == ["0", "765", "0"]
    assert rows["change, largest"][1] == "255.00 levels"
    assert rows["can be undone"] == ["yes", "no", "yes"]  # the negative turns every tetrahedron inside out


def test_info_as_json(capsys: Capture) -> None:
    assert lut("info", "warm.cube", "none.cube", "shaped.cube", "--json", "--inverse", "negative.cube") == 1
    captured = capsys.readouterr()
    records = [json.loads(line) for line in captured.out.splitlines()]
    assert [record["file"] for record in records] == ["warm.cube", "shaped.cube"]
    assert records[0]["delta_e_mean"] == measure(read_lut("warm.cube")).delta_e_mean
    assert records[1]["curves_domain"] == {"low": [0, 0, 0], "high": [1, 1, 1]}
    assert records[0]["round_trip"]["max"] > 100
    assert captured.err == "morpho: none.cube does not exist: check the path\n"


def test_a_negative_undoes_itself(capsys: Capture) -> None:
    assert lut("info", "negative.cube", "--inverse", "negative.cube") == 0
    assert "undone, largest error    0.00 levels" in capsys.readouterr().out


def test_the_general_info_knows_tables(capsys: Capture) -> None:
    assert main(["info", "shaped.cube", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["kind"], facts["title"], facts["nodes"], facts["curve samples"]) == (
        "lookup table of colours",
        "a shaper",
        17,
        5,
    )


def test_convert(capsys: Capture) -> None:
    assert lut("convert", "warm.cube", "same.cube") == 0
    assert capsys.readouterr().out == "warm.cube -> same.cube  17 nodes per axis, the same colours\n"
    assert lut("convert", "warm.cube", "fine.cube", "--size", "33") == 0
    assert capsys.readouterr().out.endswith("33 nodes per axis, the same colours\n")
    assert lut("convert", "warm.cube", "coarse.cube", "--size", "4") == 0
    assert "4 nodes per axis, at most " in capsys.readouterr().out
    assert lut("convert", "warm.cube", "warm.png", "--level", "5") == 0
    assert read("warm.png").pixels.shape == (125, 125, 3)


def test_convert_between_dialects() -> None:
    assert lut("convert", "shaped.cube", "resolve.cube", "--dialect", "resolve") == 0
    assert lut("convert", "shaped.cube", "adobe.cube", "--dialect", "adobe") == 0
    assert lut("convert", "shaped.cube", "sized.cube", "--size", "33") == 0
    assert lut("convert", "shaped.cube", "small.cube", "--size", "33", "--dialect", "adobe") == 0
    kinds = [read_lut(f"{name}.cube") for name in ("resolve", "adobe", "sized", "small")]
    assert [(kind.curves is not None, kind.nodes) for kind in kinds] == [
        (True, 17),
        (False, 65),
        (True, 33),
        (False, 33),
    ]
    for kind in kinds:
        np.testing.assert_allclose(
            evaluate(kind, ramp(300)), evaluate(read_lut("shaped.cube"), ramp(300)), atol=4 / 255
        )


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["convert", "warm.cube", "negative.cube"], "negative.cube exists already"),
        (["convert", "warm.cube", "x.png", "--size", "9"], "x.png is a picture, whose size follows from its level"),
        (["convert", "warm.cube", "x.png", "--dialect", "adobe"], "a dialect is for .cube files"),
        (["convert", "warm.cube", "x.cube", "--level", "8"], "a level is for Hald pictures"),
        (["convert", "warm.cube", "x.jpg"], "JPEG would change the colours"),
        (["convert", "warm.cube", "x.3dl"], "x.3dl names no format of tables"),
        (["compose", "warm.cube", "-o", "x.cube"], "one table (warm.cube) is composed already"),
    ],
)
def test_what_cannot_be_converted(words: list[str], sentence: str, capsys: Capture) -> None:
    assert lut(*words) == 1
    assert sentence in capsys.readouterr().err
    assert not Path("x.png").exists() and not Path("x.cube").exists()


def test_mix(capsys: Capture) -> None:
    assert lut("mix", "warm.cube", "-o", "weak.cube", "--weight", "0.25") == 0
    colors = ramp(200)
    one, two = (evaluate(read_lut(name), colors) for name in ("warm.cube", "negative.cube"))
    np.testing.assert_allclose(evaluate(read_lut("weak.cube"), colors), 0.75 * colors + 0.25 * one, atol=1e-7)
    assert lut("mix", "warm.cube", "negative.cube", "-o", "both.cube", "--weight", "0.25", "--size", "33") == 0
    np.testing.assert_allclose(evaluate(read_lut("both.cube"), colors), 0.75 * one + 0.25 * two, atol=1e-7)
    assert read_lut("both.cube").nodes == 33
    assert capsys.readouterr().out.splitlines() == [
        "warm.cube -> weak.cube  17 nodes per axis, the same colours",
        "warm.cube + negative.cube -> both.cube  33 nodes per axis, the same colours",
    ]
    assert lut("mix", "shaped.cube", "-o", "weak.cube", "--overwrite") == 0
    assert "65 nodes per axis, at most" in capsys.readouterr().out


def test_compose(capsys: Capture) -> None:
    assert lut("compose", "negative.cube", "warm.cube", "-o", "both.cube") == 0
    assert capsys.readouterr().out == "negative.cube + warm.cube -> both.cube  17 nodes per axis, the same colours\n"
    colors = ramp(200)
    np.testing.assert_allclose(evaluate(read_lut("both.cube"), colors), evaluate(read_lut("warm.cube"), 1 - colors))
    assert lut("compose", *["warm.cube"] * 3, "-o", "thrice.cube", "--size", "40") == 0
    assert "40 nodes per axis, at most" in capsys.readouterr().out
    table = read_lut("warm.cube")
    expected = compose(compose(table, table, 40), table, 40)
    np.testing.assert_allclose(evaluate(read_lut("thrice.cube"), colors), evaluate(expected, colors), atol=1e-7)


def test_curves_compose_to_curves_unless_a_size_is_asked_for() -> None:
    write_lut("one.cube", Lut(curves=curves_of(9)))
    assert lut("compose", "one.cube", "one.cube", "-o", "curves.cube") == 0
    assert read_lut("curves.cube").nodes is None
    assert lut("compose", "one.cube", "one.cube", "-o", "cube.cube", "--size", "17") == 0
    assert read_lut("cube.cube").nodes == 17
    assert lut("compose", "shaped.cube", "warm.cube", "-o", "kept.cube") == 0
    assert read_lut("kept.cube").curves is not None


def test_one_pixel_and_one_colour() -> None:
    for name, color in (("one.png", (3, 200, 77)), ("black.png", (0, 0, 0)), ("clear.png", (9, 9, 9, 0))):
        Image.new("RGBA" if len(color) == 4 else "RGB", (1, 1), color).save(name)
        assert lut("apply", "negative.cube", name) == 0
        expected = [255 - value for value in color[:3]] + list(color[3:])
        assert read(name.replace(".", "_negative.")).pixels[0, 0].tolist() == expected
