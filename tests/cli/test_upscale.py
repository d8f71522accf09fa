"""``morpho upscale`` as a new user meets it."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from morpho.cli.app import main
from morpho.images import read
from morpho.upscale import Upscaler, reference
from tests.images.samples import ICC, exif_block, smooth
from tests.upscale.synthetic import save_tables

Capture = pytest.CaptureFixture[str]
COMMAND = [sys.executable, "-c", "import sys; from morpho.cli.app import main; sys.exit(main())", "upscale"]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of weights of an installation that ships synthetic tables."""
    folder = tmp_path_factory.mktemp("weights")
    save_tables(folder, 2, 2, name="hklut-s-x4")
    save_tables(folder, 2, name="hklut-s-x2")
    save_tables(folder, 2, 1, 2, name="hklut-l-x4")
    return folder


@pytest.fixture(autouse=True)
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installed: Path) -> Path:
    """An empty working folder with one photo, ``cat.png``."""
    monkeypatch.setattr("morpho.artifacts.store._WEIGHTS", installed)
    monkeypatch.chdir(tmp_path)
    Image.fromarray(smooth(12, 16)).save("cat.png")
    return tmp_path


def upscale(*words: str) -> int:
    return main(["upscale", *words])


def test_the_plain_command(capsys: Capture, installed: Path) -> None:
    assert upscale("cat.png") == 0
    upscaler = Upscaler.load(installed / "hklut-s-x4.safetensors")
    expected = reference.upscale(read("cat.png").pixels, upscaler.tables)
    np.testing.assert_array_equal(read("cat_x4.png").pixels, expected)
    captured = capsys.readouterr()
    assert captured.out.startswith("cat.png -> cat_x4.png  64 x 48  ")
    assert "hklut-s-x4" in captured.out
    assert captured.err == ""


@pytest.mark.parametrize(
    ("words", "result", "size"),
    [
        (["-s", "2"], "cat_x2.png", (32, 24)),
        (["--scale", "2"], "cat_x2.png", (32, 24)),
        (["-m", "hklut-s-x2"], "cat_x2.png", (32, 24)),
        (["-m", "hklut-l"], "cat_x4.png", (64, 48)),
        (["-o", "dog.jpg"], "dog.jpg", (64, 48)),
        (["-o", "out/"], "out/cat_x4.png", (64, 48)),
        (["-o", "{stem}_{model}x{scale}{ext}"], "cat_hklut-sx4.png", (64, 48)),
        (["-s2", "-o", "{parent}/{model}/{name}"], "hklut-s/cat.png", (32, 24)),
        (["--format", "webp", "--quality", "100"], "cat_x4.webp", (64, 48)),
        (["--threads", "1", "--workers", "2"], "cat_x4.png", (64, 48)),
    ],
)
def test_options(words: list[str], result: str, size: tuple[int, int]) -> None:
    assert upscale("cat.png", *words) == 0
    with Image.open(result) as image:
        assert image.size == size


def test_own_tables(installed: Path) -> None:
    assert upscale("cat.png", "--tables", str(installed / "hklut-s-x2.safetensors")) == 0
    assert upscale("cat.png", "-s", "2", "-o", "by_name.png") == 0
    assert Path("cat_x2.png").read_bytes() == Path("by_name.png").read_bytes()


def test_metadata_are_kept_unless_stripped() -> None:
    Image.fromarray(smooth(12, 16)).save(
        "cat.jpg", exif=b"Exif\0\0" + exif_block(orientation=6), icc_profile=ICC, dpi=(300, 300)
    )
    assert upscale("cat.jpg") == 0
    assert upscale("cat.jpg", "--strip", "-o", "bare.jpg") == 0
    with Image.open("cat_x4.jpg") as image:
        assert image.size == (48, 64)  # turned upright
        assert image.info["icc_profile"] == ICC
        assert image.getexif()[0x0112] == 1
        assert image.info["dpi"] == (300, 300)
    with Image.open("bare.jpg") as image:
        assert image.size == (48, 64)
        assert not image.getexif()
        assert "icc_profile" not in image.info


def test_quality() -> None:
    assert upscale("cat.png", "-o", "high.jpg", "--quality", "95") == 0
    assert upscale("cat.png", "-o", "low.jpg", "--quality", "20") == 0
    assert Path("low.jpg").stat().st_size < 0.7 * Path("high.jpg").stat().st_size


def test_batch_of_all_sorts_equals_single() -> None:
    Image.fromarray(smooth(9, 7, 4)).save("alpha.png")
    Image.fromarray(smooth(9, 7)[..., 0]).save("grey.png")
    Image.fromarray(smooth(9, 7)).quantize(8).save("palette.png")
    Image.fromarray(smooth(9, 7)[..., 0].astype(np.uint16) * 257).save("deep.png")
    names = [path.name for path in sorted(Path().glob("*.png"))]
    assert upscale(*names, "--workers", "3", "-o", "batch/") == 0
    for name in names:
        assert upscale(name, "-o", "single/") == 0
    for path in Path("single").iterdir():
        assert path.read_bytes() == (Path("batch") / path.name).read_bytes()
    with Image.open("batch/deep_x4.png") as image:
        assert image.mode == "I;16"
    with Image.open("batch/alpha_x4.png") as image:
        assert image.mode == "RGBA"


def test_json(capsys: Capture) -> None:
    assert upscale("cat.png", "none.png", "--json", "--workers", "1") == 1
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(record["status"], record["width"], record["height"]) for record in records] == [
        ("done", 64, 48),
        ("failed", None, None),
    ]
    assert {record["model"] for record in records} == {"hklut-s-x4"}


def test_compare() -> None:
    assert upscale("cat.png", "--compare") == 0
    with Image.open("cat_x4_compare.png") as image:
        assert image.size == (64 + 3 + 64, 48)


def make_bad_pictures() -> None:
    Path("text.png").write_text("not a picture")
    Path("empty.png").touch()
    Path("folder").mkdir()
    photo = Image.fromarray(smooth(64, 64))
    photo.convert("CMYK").save("cmyk.jpg")
    photo.putalpha(128)
    photo.save("alpha.png")
    buffer = io.BytesIO()
    photo.convert("RGB").save(buffer, "JPEG")
    Path("half.jpg").write_bytes(buffer.getvalue()[: len(buffer.getvalue()) // 2])


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("none.png", "none.png does not exist"),
        ("folder", "folder is a folder: add -r"),
        ("-r folder", "folder holds no picture"),
        ("text.png", "text.png is not a picture"),
        ("half.jpg", "half.jpg cannot be read as JPEG"),
        ("cmyk.jpg", "cmyk.jpg is a CMYK picture"),
        ("empty.png", "empty.png is empty"),
        ("cat.png -s 99", "no hklut-s tables for scale 99: there are hklut-s-x2, hklut-s-x4"),
        ("cat.png -s 0", "no hklut-s tables for scale 0"),
        ("cat.png -s -1", "no hklut-s tables for scale -1"),
        ("cat.png -m hklut-xl", "no artefact called 'hklut-xl'"),
        ("cat.png --tables none.safetensors", "none.safetensors"),
        ("cat.png --tables folder", "folder: no file is named like"),
        ("cat.png --tables cat.png", "cat.png"),
        ("cat.png --model hklut-s --tables folder", "contradict each other"),
        ("cat.png -o none/big.png", "none/big.png does not exist: make it first"),
        ("cat.png -o big.xyz", "'.xyz', which names no picture format"),
        ("cat.png -o cat.png", "inputs are never overwritten"),
        ("cat.png -o cat.png --overwrite", "inputs are never overwritten"),
        ("cat.png -o {color}.png", "unknown field {color}"),
        ("cat.png alpha.png -o big.png", "several pictures cannot all become big.png"),
        ("alpha.png -o big.jpg", "JPEG has no transparency"),
        ("cat.png --format gif", "'gif' is no format"),
        ("none*.png", "no picture matches"),
    ],
)
def test_bad_input_is_one_sentence_and_status_1(capsys: Capture, words: str, sentence: str) -> None:
    make_bad_pictures()
    before = sorted(Path().rglob("*"))
    assert upscale(*words.split()) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("morpho: ")
    assert sentence in captured.err
    assert captured.err.count("\n") == 1
    assert "unexpected" not in captured.err
    assert sorted(Path().rglob("*")) == before


@pytest.mark.skipif(os.geteuid() == 0 if hasattr(os, "geteuid") else True, reason="root may write anywhere")
def test_folder_without_permission(capsys: Capture) -> None:
    Path("locked").mkdir(mode=0o500)
    assert upscale("cat.png", "-o", "locked/big.png") == 1
    assert "locked/big.png cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        "",
        "cat.png --sacle 2",
        "cat.png -z",
        "cat.png -s two",
        "cat.png -o --json",
        "cat.png --workers 0",
        "cat.png --threads -1",
        "cat.png --quality 101",
        "cat.png --shard 3/2",
        "cat.png --overwrite --skip-existing",
    ],
)
def test_usage_errors_are_one_sentence_and_status_2(capsys: Capture, words: str) -> None:
    assert upscale(*words.split()) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("morpho: ")
    assert captured.err.count("\n") == 1
    assert not list(Path().glob("*_x*"))


def test_second_run_resumes(capsys: Capture) -> None:
    assert upscale("*.png", "-q") == 0
    assert upscale("*.png", "-q") == 1
    assert "add --overwrite" in capsys.readouterr().err
    Image.fromarray(smooth(5, 5)).save("dog.png")
    assert upscale("*.png", "--skip-existing") == 0
    assert sorted(path.name for path in Path().glob("*_x*")) == ["cat_x4.png", "dog_x4.png"]
    assert "cat_x4.png  skipped" in capsys.readouterr().out


# --- as a process ---


def test_pipe(installed: Path) -> None:
    words = ["--tables", str(installed / "hklut-s-x2.safetensors"), "-"]
    done = subprocess.run([*COMMAND, *words], input=Path("cat.png").read_bytes(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    with Image.open(io.BytesIO(done.stdout)) as image:
        assert (image.format, image.size) == ("PNG", (32, 24))
    assert b"- -> -  32 x 24" in done.stderr
    jpeg = subprocess.run(
        [*COMMAND, *words, "-o", "-", "--format", "jpg", "-q"],
        input=Path("cat.png").read_bytes(),
        capture_output=True,
        check=False,
    )
    assert (jpeg.stdout[:2], jpeg.stderr) == (b"\xff\xd8", b"")


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
@pytest.mark.parametrize("workers", ["1", "2"])
def test_interrupt(installed: Path, workers: str) -> None:
    """Ctrl-C in the middle of a batch: status 130, a word, and only whole files."""
    pixels = np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8)
    for i in range(40):
        Image.fromarray(pixels).save(f"many{i}.bmp")
    words = ["*.bmp", "--tables", str(installed / "hklut-s-x4.safetensors"), "--format", "png", "-o", "out/"]
    with subprocess.Popen(
        [*COMMAND, *words, "--workers", workers],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Where these tests run in the background, a shell has them ignore Ctrl-C, and that is inherited.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert said == "morpho: interrupted\n"
    results = sorted(Path("out").iterdir())
    assert 0 < len(results) < 40
    assert {path.suffix for path in results} == {".png"}
    assert {read(path).pixels.shape for path in results} == {(1200, 1200, 3)}
