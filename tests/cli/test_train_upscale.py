"""``morpho train upscale`` from photographs to a file that upscales."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from morpho.artifacts import Card, read_card
from morpho.cli.app import main
from morpho.upscale import Upscaler, files
from morpho.upscale.train import RECIPES
from tests.images.samples import noise, png_file
from tests.training.torchrun import torchrun
from tests.upscale.photos import photo, save_photos
from tests.upscale.synthetic import save_tables

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder of so many photos that one is held out."""
    return str(save_photos(tmp_path_factory.mktemp("data") / "holiday", 20, 24, 24))


@pytest.fixture(autouse=True)
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def quick(**changes: str) -> list[str]:
    """Options for seconds instead of hours."""
    options = {"steps": "2", "batch": "2", "crop": "6", "variations": "0", "device": "cpu", **changes}
    return [word for name, value in options.items() for word in (f"--{name}", value)]


def train(*words: str) -> int:
    return main(["train", "upscale", *words])


def complaint(capsys: Capture, *words: str, status: int = 1) -> str:
    """The one sentence with which a command fails."""
    assert train(*words) == status
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("morpho: ")
    assert captured.err.count("\n") == 1
    assert "unexpected" not in captured.err
    return captured.err


def test_fit_writes_tables_with_a_card(photos: str, capsys: Capture) -> None:
    assert train("fit", photos, "-o", "new/mine.safetensors", "--variations", "0", "--seed", "7") == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("morpho: new/mine.safetensors: factors 2,2, tables of 100.0 KiB, ")
    upscaler = Upscaler.load("new/mine.safetensors")
    assert upscaler.scale == 4
    assert upscaler(photo(0, 5, 6)).shape == (20, 24, 3)
    card = upscaler.card
    assert (card.kind, card.name, card.seed, card.licence) == ("upscale", "mine", 7, "Apache-2.0")
    assert card.data == ["holiday (20 photographs)"]
    assert card.recipe["mode"] == "fit"
    assert card.recipe["factors"] == [2, 2]
    assert (card.recipe["variations"], card.recipe["seed"]) == (0, 7)
    assert "start" not in card.recipe
    assert 10 < card.numbers["held_psnr_y"] < 60
    assert f"{card.numbers['held_psnr_y']:.3f} dB" in captured.err
    assert Card.from_json(card.to_json()) == card
    assert [path.name for path in Path("new").iterdir()] == ["mine.safetensors"]


@pytest.mark.parametrize(
    ("words", "factors"),
    [(["-s", "2"], [2]), (["--scale", "3"], [3]), (["--factors", "2,1,2"], [2, 1, 2]), (["--factors", "4"], [4])],
)
def test_scales_and_factors(photos: str, words: list[str], factors: list[int]) -> None:
    assert train("fit", photos, "-o", "mine.safetensors", "--variations", "0", *words) == 0
    tables, card = files.load("mine.safetensors")
    assert [stage.factor for stage in tables.stages] == factors == card.recipe["factors"]


def test_several_folders(photos: str, tmp_path: Path) -> None:
    save_photos(tmp_path / "more", 2, 24, 24)
    assert train("fit", photos, "more", "-s", "2", "-o", "mine.safetensors", "--threads", "1") == 0
    assert read_card("mine.safetensors").data == ["holiday (20 photographs)", "more (2 photographs)"]


def test_finetune_then_resume(photos: str, tmp_path: Path) -> None:
    start = str(save_tables(tmp_path, 2, 2, name="start"))
    words = ["finetune", photos, "-o", "mine.safetensors", "--from", start, *quick(), "--learning-rate", "3"]
    assert train(*words) == 0
    card = read_card("mine.safetensors")
    assert (card.recipe["mode"], card.recipe["from"], card.recipe["steps"]) == ("finetune", start, 2)
    assert card.recipe["learning_rate"] == 3
    (line,) = (json.loads(line) for line in Path("mine.run/log.jsonl").read_text().splitlines())
    assert line["held_psnr_y"] == card.numbers["held_psnr_y"]
    before, _ = files.load("mine.safetensors")
    assert not np.array_equal(before.stages[0].msb, files.load(start)[0].stages[0].msb)
    assert train(*words, "--resume", "--overwrite") == 0
    np.testing.assert_array_equal(files.load("mine.safetensors")[0].stages[0].msb, before.stages[0].msb)


def test_network(photos: str) -> None:
    assert train("network", photos, "-s", "2", "-o", "mine.safetensors", *quick()) == 0
    card = read_card("mine.safetensors")
    assert (card.recipe["mode"], card.recipe["learning_rate"]) == ("network", RECIPES["network"]((2,)).learning_rate)
    assert Path("mine.run/checkpoint.pt").exists()


def test_two_processes_write_once(photos: str, tmp_path: Path, root: Path) -> None:
    start = save_tables(tmp_path, 2, name="start")
    script = tmp_path / "morpho.py.run"
    script.write_text("import sys\nfrom morpho.cli.app import main\nsys.exit(main())\n")
    words = ["train", "upscale", "finetune", photos, "-s", "2", "-o", str(tmp_path / "two.safetensors")]
    done = torchrun(2, str(script), *words, "--from", str(start), *quick(), root=root)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("two.safetensors: factors 2") == 1
    card = read_card(tmp_path / "two.safetensors")
    assert 0 < card.numbers["held_psnr_y"] < 100
    assert len((tmp_path / "two.run" / "log.jsonl").read_text().splitlines()) == 1
    one = str(tmp_path / "one.safetensors")
    assert main([*words[:-1], one, "--from", str(start), *quick()]) == 0
    a, b = (files.load(tmp_path / name)[0].stages[0].msb for name in ("one.safetensors", "two.safetensors"))
    assert np.mean(a != b) < 1e-3  # sums in another order


def test_an_existing_file_is_not_replaced(photos: str, capsys: Capture) -> None:
    Path("mine.safetensors").write_bytes(b"precious")
    text = complaint(capsys, "fit", photos, "-o", "mine.safetensors")
    assert text == "morpho: mine.safetensors exists already: choose another name or add --overwrite\n"
    assert Path("mine.safetensors").read_bytes() == b"precious"
    assert train("fit", photos, "-s", "2", "-o", "mine.safetensors", "--overwrite", "--variations", "0") == 0
    assert read_card("mine.safetensors").kind == "upscale"


def test_unusable_folders(photos: str, tmp_path: Path, capsys: Capture) -> None:
    assert "nowhere is no folder" in complaint(capsys, "fit", "nowhere", "-o", "mine.safetensors")
    few = str(save_photos(tmp_path / "few", 3, 24, 24))
    assert "3 photos are too few" in complaint(capsys, "fit", few, "-o", "mine.safetensors")
    (tmp_path / "few" / "deep.png").write_bytes(png_file(noise(9, 9, 3, dtype="uint16")))
    assert "deep.png has 16 bits" in complaint(capsys, "fit", photos, few, "-o", "mine.safetensors")
    (tmp_path / "few" / "deep.png").write_bytes(b"hello")
    assert "a photo of the set is unusable: " in complaint(capsys, "fit", few, "-o", "mine.safetensors")
    assert not Path("mine.safetensors").exists()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["-o", "mine.npz"], "the output mine.npz must end in .safetensors"),
        (["-o", "mine.safetensors", "-s", "5"], "scale 5 is not supported"),
        (["-o", "mine.safetensors", "--factors", "2;2"], "'2;2' is no list of whole numbers"),
        (["-o", "mine.safetensors", "--factors", "3,3"], "--factors 3,3 is not supported"),
        (["-o", "mine.safetensors", "--factors", "1"], "--factors 1 is not supported"),
        (["-o", "mine.safetensors", "--steps", "9"], "--steps is no option of fit"),
        (["-o", "mine.safetensors", "--learning-rate", "9"], "--learning-rate is no option of fit"),
        (["-o", "mine.safetensors", "--smoothness", "inf"], "--smoothness inf is no finite number"),
        (["-o", "mine.safetensors", "--smoothness", "-1"], "must not be negative"),
        (["-o", "mine.safetensors", "--megapixels", "0"], "megapixels positive"),
    ],
)
def test_unusable_options_of_fit(photos: str, capsys: Capture, words: list[str], expected: str) -> None:
    assert expected in complaint(capsys, "fit", photos, *words)
    assert not Path("mine.safetensors").exists()


@pytest.mark.parametrize("words", [["--from", "start.safetensors"], ["--resume"], ["--device", "cuda"]])
def test_fit_takes_no_options_of_the_others(photos: str, capsys: Capture, words: list[str]) -> None:
    assert f"{words[0]} is no option of fit" in complaint(capsys, "fit", photos, "-o", "mine.safetensors", *words)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (quick(), "finetune needs tables to start from: fit some first and give them with --from"),
        (quick(**{"from": "nowhere.safetensors"}), "nowhere.safetensors"),
        (quick(**{"from": "start.safetensors"}, factors="2"), "factors (2, 2), which do not lead to (2,)"),
        ([*quick(**{"from": "start.safetensors"}), "--resume"], "mine.run/checkpoint.pt cannot be read"),
        (quick(**{"from": "start.safetensors"}, smoothness="1"), "--smoothness is no option of finetune"),
        (quick(**{"from": "start.safetensors"}, device="tpu"), "'tpu' is not available here"),
        (quick(**{"from": "start.safetensors"}, crop="9"), "no training photo has 9 pixels per side"),
        (quick(**{"from": "start.safetensors"}, steps="0"), "steps, batch and crop must be at least 1"),
    ],
)
def test_unusable_options_of_finetune(
    photos: str, tmp_path: Path, capsys: Capture, words: list[str], expected: str
) -> None:
    save_tables(tmp_path, 2, 2, name="start")
    assert expected in complaint(capsys, "finetune", photos, "-o", "mine.safetensors", *words)
    assert not Path("mine.safetensors").exists()


@pytest.mark.parametrize("words", [["guess", "photos"], ["fit"], ["fit", "photos"], ["fit", "photos", "--stepps", "3"]])
def test_wrong_command_lines(capsys: Capture, words: list[str]) -> None:
    output = [] if words == ["fit", "photos"] else ["-o", "mine.safetensors"]
    assert "(see `morpho train upscale --help`)" in complaint(capsys, *words, *output, status=2)


def test_without_torch(photos: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    text = complaint(capsys, "network", photos, "-o", "mine.safetensors")
    assert 'pip install "morpho[torch]"' in text
    assert train("fit", photos, "-s", "2", "-o", "mine.safetensors", "--variations", "0") == 0
