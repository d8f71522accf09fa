"""``.cube`` files: what we write others read alike, what others write we read alike, and bad files get a sentence."""

from __future__ import annotations

import tempfile
import tracemalloc
from pathlib import Path
from time import perf_counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from morpho.errors import InputError, LutError, OutputExistsError
from morpho.luts import Domain, Lut, apply, evaluate
from morpho.luts.cube import Dialect, read, write
from tests.luts.looks import curves_of, file_text, lattice_of, noise, photo, ramp, saved, shaped, warm
from tests.luts.oracles import by_pillow
from tests.luts.programs import ffmpeg, opencolorio

ROWS8 = "".join(f"{r} {g} {b}\n" for b in (0, 1) for g in (0, 1) for r in (0, 1))
CUBE2 = f"LUT_3D_SIZE 2\n{ROWS8}"

#: Tables, and the dialect to write them in.
WRITTEN: dict[str, tuple[Lut, Dialect | None]] = {
    "lattice": (lattice_of(warm, 17), None),
    "lattice of a domain per channel": (
        Lut(noise(5).lattice, lattice_domain=Domain((-0.5, 0.0, 0.1), (1.0, 2.0, 0.8))),
        None,
    ),
    "values outside 0..1": (noise(4, spread=3.0), None),
    "two nodes": (noise(2), None),
    "curves": (Lut(curves=curves_of(33), curves_domain=Domain((-1.0, 0.0, 0.25), (2.0, 1.5, 0.75))), None),
    "lattice, Resolve": (lattice_of(warm, 9, -0.5, 1.5), "resolve"),
    "curves, Resolve": (Lut(curves=curves_of(256), curves_domain=Domain((0.0,) * 3, (4.0,) * 3)), "resolve"),
    "curves before a lattice, Resolve": (shaped(), None),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_opencolorio_reads_what_we_write(name: str, tmp_path: Path) -> None:
    lut, dialect = WRITTEN[name]
    write(tmp_path / "a.cube", lut, dialect=dialect)
    colors = ramp(2000, -0.3, 1.4)
    theirs = opencolorio(tmp_path / "a.cube", colors, lattice=lut.lattice is not None)
    np.testing.assert_allclose(theirs, evaluate(lut, colors), atol=2e-5)


@pytest.mark.parametrize("name", WRITTEN)
def test_round_trip(name: str, tmp_path: Path) -> None:
    lut, dialect = WRITTEN[name]
    write(tmp_path / "a.cube", lut, dialect=dialect)
    again = read(tmp_path / "a.cube")
    assert (again.lattice_domain, again.curves_domain) == (lut.lattice_domain, lut.curves_domain)
    assert again.title == lut.title
    for ours, theirs in ((lut.lattice, again.lattice), (lut.curves, again.curves)):
        assert (ours is None) == (theirs is None)
        if ours is not None and theirs is not None:
            np.testing.assert_allclose(theirs, ours, rtol=0, atol=5.0001e-9)


#: Files as others write them, all within what OpenColorIO understands.
FOREIGN: dict[str, str | bytes] = {
    "domain after and before": f"DOMAIN_MAX 1.5 1.5 2\nLUT_3D_SIZE 2\nDOMAIN_MIN -1 0 0\n{ROWS8}",
    "lower case, tabs": f'title\t"x"\nlut_3d_size\t2\n{ROWS8}'.replace(" ", "\t"),
    "line ends of Windows": CUBE2.replace("\n", "\r\n"),
    "comments and blank lines": f'# made by hand\n\nTITLE "a # b"\n  # more\n{CUBE2}\n# end\n\n',
    "exponents, signs, integers": "LUT_3D_SIZE 2\n" + ROWS8.replace("0", "-0.00000e+0").replace("1", "+1.0E-00"),
    "many decimals": file_text(noise(3), number="%.15f"),
    "no leading zero": file_text(noise(3)).replace(" 0.", " ."),
    "one-sided unknown keyword": f"CREATED_BY someone 3\n{CUBE2}",
    "Latin-1": f'TITLE "caf\xe9"\n{CUBE2}'.encode("latin-1"),
    "range of a lattice": f"LUT_3D_SIZE 2\nLUT_3D_INPUT_RANGE -0.25 1.25\n{ROWS8}",
    "range first": f"LUT_3D_INPUT_RANGE -0.25 1.25\nLUT_3D_SIZE 2\n{ROWS8}",
    "curves of a range": "LUT_1D_SIZE 3\nLUT_1D_INPUT_RANGE -1 2\n0 0 0.1\n.25 .5 .75\n1 .9 2\n",
    "both": "LUT_1D_SIZE 3\nLUT_1D_INPUT_RANGE -1 2\nLUT_3D_SIZE 2\nLUT_3D_INPUT_RANGE 0.1 0.8\n"
    f"0 0 0.1\n.25 .5 .75\n1 .9 2\n{ROWS8}",
    "both, lattice named first": f"LUT_3D_SIZE 2\nLUT_1D_SIZE 3\n0 0 0.1\n.25 .5 .75\n1 .9 2\n{ROWS8}",
}


@pytest.mark.parametrize("name", FOREIGN)
def test_we_read_what_opencolorio_reads(name: str, tmp_path: Path) -> None:
    path = saved(tmp_path, FOREIGN[name])
    lut = read(path)
    colors = ramp(500, -0.5, 1.5)
    theirs = opencolorio(path, colors, lattice=lut.lattice is not None)
    np.testing.assert_allclose(evaluate(lut, colors), theirs, atol=2e-6)


@pytest.mark.parametrize(
    "text",
    [
        f"\ufeff{CUBE2}".encode(),
        CUBE2.encode("utf-16"),
        CUBE2.replace("\n", "\r").encode(),
        CUBE2.replace("\n", " # and so on\n").encode(),
        CUBE2.rstrip("\n").encode(),
        f"DOMAIN_MIN 0 0 0\nDOMAIN_MAX 1 1 1\nLUT_1D_INPUT_RANGE 0 1.095\n{CUBE2}".encode(),  # Resolve ignores it too
        ("#\n" * 70000 + CUBE2.replace("\n0 0 1\n", "\n" + "#\n" * 70000 + "0 0 1\n")).encode(),
    ],
    ids=["byte order mark", "UTF-16", "CR", "trailing comments", "no last line end", "useless ranges", "long comments"],
)
def test_leniency_beyond_opencolorio(text: bytes, tmp_path: Path) -> None:
    lut = read(saved(tmp_path, text))
    assert lut.lattice is not None
    np.testing.assert_array_equal(lut.lattice, Lut.identity(2).lattice)
    assert lut.is_plain


@pytest.mark.parametrize(
    ("line", "title"),
    [
        ('TITLE "a # b" # c', "a # b"),
        ("Title plain words # c", "plain words"),
        ('TITLE "caf\xc3\xa9"', "caf\xe9"),
        ('TITLE "caf\xe9"', "caf\xe9"),
        ('TITLE ""', ""),
        ("TITLE", ""),
        ('# TITLE "in a comment" # x', "in a comment"),
        ("# TITLE of a chapter", ""),
        ('TITLE "first"\n# TITLE "old"', "first"),
        ('TITLE "open', "open"),
    ],
)
def test_titles(line: str, title: str, tmp_path: Path) -> None:
    assert read(saved(tmp_path, f"{line}\n{CUBE2}".encode("latin-1"))).title == title


def test_title_is_made_harmless(tmp_path: Path) -> None:
    write(tmp_path / "a.cube", Lut(Lut.identity(2).lattice, title='Bob\'s "best"\nLUT_3D_SIZE 3 \xfc'))
    assert read(tmp_path / "a.cube").title == "Bob's 'best' LUT_3D_SIZE 3 \xfc"


def test_video_range(tmp_path: Path) -> None:
    """Black in is 64/1023 of the table, white 940/1023; out the same way back."""
    look = lattice_of(warm, 9)
    text = file_text(look, head="LUT_IN_VIDEO_RANGE\nLUT_OUT_VIDEO_RANGE\n", number="%.9f")
    colors = ramp(300)
    video = evaluate(look, (64 + colors * 876) / 1023)
    expected = (video * 1023 - 64) / 876
    np.testing.assert_allclose(evaluate(read(saved(tmp_path, text)), colors), expected, atol=1e-8)


def test_video_range_of_what_is_no_colour(tmp_path: Path) -> None:
    path = saved(tmp_path, "LUT_1D_SIZE 2\nLUT_OUT_VIDEO_RANGE\n0 0 0\n1 1 999\n")
    with pytest.raises(LutError, match=r"look\.cube: the curves holds values"):
        read(path)


def test_video_range_of_output_touches_the_last_table_only(tmp_path: Path) -> None:
    text = f"LUT_1D_SIZE 2\nLUT_3D_SIZE 2\nLUT_OUT_VIDEO_RANGE\n0 0 0\n1 1 1\n{ROWS8}"
    lut = read(saved(tmp_path, text))
    assert lut.curves is not None and lut.lattice is not None
    assert lut.curves.tolist() == [[0.0] * 3, [1.0] * 3]
    assert lut.lattice[1, 1, 1, 0] == pytest.approx((1023 - 64) / 876)


def bad(change: str, instead: str) -> str:
    assert change in CUBE2
    return CUBE2.replace(change, instead, 1)


#: What is wrong, and the sentence behind the file's name.
BAD = {
    "": "has no LUT_1D_SIZE and no LUT_3D_SIZE: it is empty or no .cube file",
    "# nothing\n": "has no LUT_1D_SIZE and no LUT_3D_SIZE: it is empty or no .cube file",
    "0 0 0\n": "line 1: the rows begin before LUT_1D_SIZE or LUT_3D_SIZE has said how many they are",
    "<html>\n": "line 1: '<html>' is neither a keyword nor a number: is this a .cube file?",
    "LUT_3D_SIZE 2\n": "line 1: the file ends before the first of 8 rows: it is truncated, get a fresh copy",
    bad("1 1 1\n", ""): "line 8: the file ends after 7 of 8 rows: it is truncated, get a fresh copy",
    bad("2", "256"): "line 9: the file ends after 8 of 16777216 rows: it is truncated, get a fresh copy",
    f"{CUBE2}\n# x\n0 0 0\n": "line 12: this row is one too many: the sizes ask for 8 rows",
    bad("2", "1"): "line 1: LUT_3D_SIZE is '1', which is no whole number from 2 to 256",
    bad("2", "257"): "line 1: LUT_3D_SIZE is '257', which is no whole number from 2 to 256",
    bad("2", "-2"): "line 1: LUT_3D_SIZE is '-2', which is no whole number from 2 to 256",
    bad("2", "2.0"): "line 1: LUT_3D_SIZE is '2.0', which is no whole number from 2 to 256",
    bad("2", "\xb2"): "line 1: LUT_3D_SIZE is '\xc2\xb2', which is no whole number from 2 to 256",
    bad("2", "9" * 5000): f"line 1: LUT_3D_SIZE is '{'9' * 37}...', which is no whole number from 2 to 256",
    bad("2", ""): "line 1: LUT_3D_SIZE is followed by 0 words instead of 1: correct it",
    bad("2", "2 2 2"): "line 1: LUT_3D_SIZE is followed by 3 words instead of 1: correct it",
    "LUT_1D_SIZE 65537\n": "line 1: LUT_1D_SIZE is '65537', which is no whole number from 2 to 65536",
    "LUT_2D_SIZE 2\n": (
        "line 1: the keyword 'LUT_2D_SIZE' is unknown and may change the colours: remove it if it does not"
    ),
    f"domain_mid 1 1 1\n{CUBE2}": (
        "line 1: the keyword 'DOMAIN_MID' is unknown and may change the colours: remove it if it does not"
    ),
    f"LUT_3D_SIZE 2\n{CUBE2}": "line 2: LUT_3D_SIZE is there a second time, after line 1: remove one",
    bad("1 0 0", "1 0"): "line 3: a row has red, green and blue, but this one has 2 numbers",
    bad("1 0 0", "1 0 0 1"): "line 3: a row has red, green and blue, but this one has 4 numbers",
    CUBE2.replace("\n", " 1\n").replace("2 1", "2"): (
        "line 2: a row has red, green and blue, but this one has 4 numbers"
    ),
    bad("1 0 0", "1 nan 0"): "line 3: 'nan' is no colour: the program that wrote it divided by zero",
    bad("0 0 0", "NaN 0 0"): "line 2: 'NaN' is no colour: the program that wrote it divided by zero",
    bad("1 0 0", "1 0 -inf"): "line 3: '-inf' is no colour: the program that wrote it divided by zero",
    bad("1 0 0", "1 0 1e999"): "line 3: '1e999' is beyond +-1000, no colour: the file is damaged",
    bad("1 0 0", "1 0 1e4"): "line 3: '1e4' is beyond +-1000, no colour: the file is damaged",
    bad("1 0 0", "1,0 0,0 0,0"): "line 3: '1,0' is no number: decimals are written with a point",
    bad("1 0 0", "1_0 0 0"): "line 3: '1_0' is no number",
    bad("1 0 0", "0x1 0 0"): "line 3: '0x1' is no number",
    bad("1 0 0", "1 0 red"): "line 3: 'red' is no number",
    bad("1 0 0", "1e 0 0"): "line 3: '1e' is no number",
    bad("1 0 0", "DOMAIN_MAX 2 2 2"): "line 3: 'DOMAIN_MAX' comes after the first row: keywords belong before all rows",
    f"{CUBE2}TITLE x\n": "line 10: 'TITLE' comes after the first row: keywords belong before all rows",
    f"DOMAIN_MIN 1 0 0\n{CUBE2}": (
        "line 1: the domain (1.0, 0.0, 0.0) to (1.0, 1.0, 1.0) must be finite and grow in each channel: "
        "correct the range"
    ),
    f"LUT_3D_INPUT_RANGE 1 0\n{CUBE2}": (
        "line 1: the domain (1.0, 1.0, 1.0) to (0.0, 0.0, 0.0) must be finite and grow in each channel: "
        "correct the range"
    ),
    f"DOMAIN_MAX 1 1\n{CUBE2}": "line 1: DOMAIN_MAX is followed by 2 words instead of 3: correct it",
    f"DOMAIN_MAX 1 1 x\n{CUBE2}": "line 1: 'x' is no number",
    f"LUT_3D_INPUT_RANGE 0 2\nDOMAIN_MAX 1 1 3\n{CUBE2}": (
        "line 2: DOMAIN_MIN and DOMAIN_MAX contradict LUT_3D_INPUT_RANGE: remove one of them"
    ),
    f"DOMAIN_MAX 1 1 3\nLUT_1D_SIZE 2\nLUT_3D_SIZE 2\n0 0 0\n1 1 1\n{ROWS8}": (
        "line 1: DOMAIN_MIN and DOMAIN_MAX are ambiguous with two tables: use the INPUT_RANGEs"
    ),
}


@pytest.mark.parametrize("text", BAD, ids=[sentence[:60] for sentence in BAD.values()])
def test_bad_files_get_a_sentence_with_the_line(text: str, tmp_path: Path) -> None:
    path = saved(tmp_path, text)
    separator = ", " if BAD[text].startswith("line") else " "
    with pytest.raises(LutError) as caught:
        read(path)
    assert str(caught.value) == f"{path}{separator}{BAD[text]}"


def test_lines_are_counted_across_blocks(tmp_path: Path) -> None:
    rows = ["0.5 0.5 0.5"] * 65**3
    rows[200_000] = "0.5 0.5"
    path = saved(tmp_path, "LUT_3D_SIZE 65\n" + "\r\n".join(rows))
    with pytest.raises(LutError, match="line 200002: a row has red, green and blue, but this one has 2"):
        read(path)


def test_excess_is_found_in_a_later_block(tmp_path: Path) -> None:
    path = saved(tmp_path, "LUT_3D_SIZE 65\n" + "\n".join(["0.5 0.5 0.5"] * (65**3 + 5)))
    with pytest.raises(LutError, match=f"line {65**3 + 2}: this row is one too many"):
        read(path)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("none.cube", None, "does not exist: check the path"),
        ("", None, "is a folder: name a .cube file in it"),
        ("wide.cube", b"\xff\xfeL\x00\x00\xd8L\x00", "is damaged UTF-16 text: get a fresh copy"),
        ("zip.cube", b"PK\x03\x04\x00\xff" * 9, "line 1: 'PK\\x03\\x04\\x00ÿPK.*is neither a keyword nor a number"),
    ],
)
def test_what_is_no_text_file(name: str, content: bytes | None, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / name if content is None else saved(tmp_path, content, name)
    with pytest.raises(LutError, match=sentence.replace("\\x", "\\\\x")):
        read(path)


def test_a_promised_giant_takes_no_memory(tmp_path: Path) -> None:
    path = saved(tmp_path, bad("2", "256"))
    tracemalloc.start()
    with pytest.raises(LutError):
        read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000


def test_65_nodes_are_read_in_well_under_a_second(tmp_path: Path) -> None:
    lut = noise(65)
    write(tmp_path / "a.cube", lut)
    times = []
    for _ in range(4):
        start = perf_counter()
        read(tmp_path / "a.cube")
        times.append(perf_counter() - start)
    assert min(times) < 0.7


def test_files_are_replaced_only_when_asked_and_bytes_are_the_same(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.cube"
    write(path, shaped())
    first = path.read_bytes()
    with pytest.raises(OutputExistsError, match="exists already"):
        write(path, shaped())
    write(path, shaped(), overwrite=True)
    assert path.read_bytes() == first
    assert b"\r" not in first and first.isascii()
    assert [entry.name for entry in path.parent.iterdir()] == ["a.cube"]


def test_the_file_by_the_letter(tmp_path: Path) -> None:
    lattice = np.arange(24, dtype=np.float64).reshape(2, 2, 2, 3) / 8 - 1e-12
    write(tmp_path / "a.cube", Lut(lattice, lattice_domain=Domain((0.0,) * 3, (1e-7, 2.0, 3.0)), title="x"))
    lines = (tmp_path / "a.cube").read_text().splitlines()
    assert lines[:4] == ['TITLE "x"', "LUT_3D_SIZE 2", "DOMAIN_MIN 0.0 0.0 0.0", "DOMAIN_MAX 0.0000001 2.0 3.0"]
    assert lines[4] == "0.00000000 0.12500000 0.25000000"  # no -0
    assert lines[5] == "1.50000000 1.62500000 1.75000000"  # lattice[1, 0, 0]: red runs fastest
    assert len(lines) == 12


@pytest.mark.parametrize(
    ("lut", "dialect", "error", "sentence"),
    [
        (shaped(), "adobe", LutError, "Adobe's dialect holds curves or a lattice, not both"),
        (WRITTEN["lattice of a domain per channel"][0], "resolve", LutError, "one range for all channels"),
        (Lut.identity(2), "nuke", InputError, "the dialect 'nuke' is unknown: use adobe or resolve"),
    ],
)
def test_what_a_dialect_cannot_hold(
    lut: Lut, dialect: str, error: type[Exception], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=sentence):
        write(tmp_path / "a.cube", lut, dialect=dialect)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


values = st.floats(-1000, 1000, width=32)
bound = st.floats(-100, 100)


@st.composite
def luts(draw: st.DrawFn) -> Lut:
    nodes, samples = draw(st.integers(2, 5)), draw(st.integers(2, 9))
    lattice = draw(st.none() | arrays(np.float64, (nodes, nodes, nodes, 3), elements=values))
    curves = draw(st.none() | arrays(np.float64, (samples, 3), elements=values)) if lattice is not None else None
    if lattice is None:
        curves = draw(arrays(np.float64, (samples, 3), elements=values))
    domains = []
    for _ in range(2):
        low = draw(bound)
        domains.append(Domain((low,) * 3, (low + draw(st.floats(1e-3, 100)),) * 3))
    title = draw(st.text(st.characters(codec="utf-8", exclude_characters='"', exclude_categories=["C", "Z"])))
    one = domains[0] if lattice is not None else Domain()
    return Lut(lattice, curves, one, domains[1] if curves is not None else Domain(), title)


@given(luts())
def test_every_table_comes_back(lut: Lut) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.cube")
        write(path, lut, dialect="resolve")
        again = read(path)
        assert (again.title, again.lattice_domain, again.curves_domain) == (
            lut.title,
            lut.lattice_domain,
            lut.curves_domain,
        )
        for ours, theirs in ((lut.lattice, again.lattice), (lut.curves, again.curves)):
            assert (ours is None) == (theirs is None)
            if ours is not None and theirs is not None:
                np.testing.assert_allclose(theirs, ours, rtol=0, atol=5.0001e-9)
        write(path, again, dialect="resolve", overwrite=True)
        text = path.read_bytes()
        write(path, read(path), dialect="resolve", overwrite=True)
        assert path.read_bytes() == text


@given(st.text(st.sampled_from('LUT_3D_SIZE 2\n0.1e-#"\tDOMAINX\r\xe9'), max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = saved(Path(folder), f"LUT_1D_SIZE 2\n{text}")
        try:
            assert read(path).curves is not None
        except LutError as error:
            assert str(path) in str(error)


@pytest.mark.parametrize("lut", [lattice_of(warm, 33), lattice_of(warm, 17, 0.0, 1.0)], ids=["33", "17"])
def test_programs_agree_on_a_picture(lut: Lut, tmp_path: Path) -> None:
    """ffmpeg and OpenColorIO by our file, Pillow by the table: at most one grey level from our engine."""
    write(tmp_path / "a.cube", lut)
    pixels = photo()
    ours = apply(pixels, read(tmp_path / "a.cube")).astype(int)
    others = {
        "ffmpeg": ffmpeg(tmp_path, pixels, "[0:v]format=gbrp,lut3d=a.cube:interp=tetrahedral,format=rgb24"),
        "OpenColorIO": np.rint(opencolorio(tmp_path / "a.cube", pixels / 255.0).clip(0, 1) * 255),
        "Pillow": by_pillow(pixels, lut),
    }
    for name, theirs in others.items():
        limit = 1 if name != "Pillow" else 2  # it is trilinear
        assert np.abs(theirs.astype(int) - ours).max() <= limit, name


def test_pillow_and_we_agree_trilinearly(tmp_path: Path) -> None:
    lut = lattice_of(warm, 17)
    ours = apply(photo(), lut, interpolation="trilinear").astype(int)
    assert np.abs(by_pillow(photo(), lut).astype(int) - ours).max() <= 1


def test_ffmpeg_reads_our_curves(tmp_path: Path) -> None:
    lut = Lut(curves=curves_of(64))
    write(tmp_path / "a.cube", lut)
    theirs = ffmpeg(tmp_path, photo(), "[0:v]format=gbrp,lut1d=a.cube:interp=linear,format=rgb24")
    assert np.abs(theirs.astype(int) - apply(photo(), lut)).max() <= 1
