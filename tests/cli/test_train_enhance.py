"""``morpho train enhance`` from photographs, pairs or both to a file that retouches."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from morpho.artifacts import Card, read_card
from morpho.cli.app import main
from morpho.enhance import Enhancer
from morpho.enhance import train as module
from morpho.enhance.model import Shape
from morpho.enhance.train import Recipe
from tests.images.samples import noise, png_file
from tests.upscale.photos import photo, photos, save_photos

Capture = pytest.CaptureFixture[str]
SMALL = Shape(groups=1, bases=2, levels=5, widths=(8,), hidden=8, nodes=5, own_rank=2, rest_rank=2)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders ``holiday`` (4 photos, one of them grey), ``raw`` and ``expert`` (3 pairs)."""
    folder = tmp_path_factory.mktemp("data")
    save_photos(folder / "holiday", 3, 24, 24)
    Image.fromarray(photo(9, 24, 24)[..., 0]).save(folder / "holiday" / "grey.png")
    for name, factor in (("raw", 1), ("expert", 2)):
        (folder / name).mkdir()
        for number, picture in enumerate(photos(3, 20, 24)):
            Image.fromarray(picture // 2 * factor).save(folder / name / f"{number}.png")
    return folder


@pytest.fixture(autouse=True)
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Recipes for seconds instead of hours."""
    monkeypatch.chdir(tmp_path)

    def small() -> Recipe:
        return Recipe(shape=SMALL, steps=2, batch=4, pixels=64, points=32, average=0.0, held_every=2)

    for name in ("default", "refine"):
        monkeypatch.setitem(module.RECIPES, name, small)
    return tmp_path


def train(*words: str) -> int:
    return main(["train", "enhance", *words])


def complaint(capsys: Capture, *words: str, status: int = 1) -> str:
    """The one sentence with which a command fails."""
    assert train(*words) == status
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("morpho: ")
    assert captured.err.count("\n") == 1
    assert "unexpected" not in captured.err
    assert not Path("mine.safetensors").exists()
    return captured.err


def sources(data: Path, kind: str) -> list[str]:
    photographs = ["--photos", str(data / "holiday")]
    pairs = ["--pairs", str(data / "raw"), str(data / "expert")]
    return {"photos": photographs, "pairs": pairs, "both": photographs + pairs}[kind]


@pytest.mark.parametrize(
    ("kind", "described"),
    [
        ("photos", ["holiday (4 photographs)"]),
        ("pairs", ["{data}/raw and expert (3 pairs)"]),
        ("both", ["holiday (4 photographs)", "{data}/raw and expert (3 pairs)"]),
    ],
)
def test_a_file_that_retouches(data: Path, capsys: Capture, kind: str, described: list[str]) -> None:
    words = [*sources(data, kind), "-o", "new/mine.safetensors", "--device", "cpu"]
    assert train(*words, "--seed", "7", "--steps", "20", "--learning-rate", "0.03") == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("morpho: new/mine.safetensors: tables of ")
    enhancer = Enhancer.load("new/mine.safetensors")
    assert enhancer.tables.groups.shape == (1, 5, 5, 2)
    assert (enhancer(photo(0)) != photo(0)).any()
    card = enhancer.card
    assert (card.kind, card.name, card.seed, card.licence) == ("enhance", "mine", 7, "Apache-2.0")
    assert card.data == [line.format(data=data.name) for line in described]
    recipe = card.recipe
    assert (recipe["recipe"], recipe["steps"], recipe["learning_rate"]) == ("default", 20, 0.03)
    assert recipe["shape"]["widths"] == [8]
    assert recipe["degradation"]["saturation"] == [0.55, 1.1]
    assert "from" not in recipe
    assert Card.from_json(card.to_json()) == card
    (line,) = (json.loads(line) for line in Path("new/mine.run/log.jsonl").read_text().splitlines())
    assert line["step"] == 20
    assert ("held_psnr" in line) == (kind != "pairs")
    assert set(card.numbers) == ({"loss"} if kind == "pairs" else {"loss", "held_psnr"})
    assert card.numbers == {name: round(line[name], 4) for name in card.numbers}
    assert sorted(path.name for path in Path("new").iterdir()) == ["mine.run", "mine.safetensors"]


def test_several_folders_of_photos(data: Path, tmp_path: Path) -> None:
    save_photos(tmp_path / "more", 2, 24, 24)
    assert train("--photos", str(data / "holiday"), "more", "-o", "mine.safetensors", "--held-every", "0") == 0
    assert read_card("mine.safetensors").data == ["holiday (4 photographs)", "more (2 photographs)"]
    assert "held_psnr" not in json.loads(Path("mine.run/log.jsonl").read_text())


def test_refine_goes_on_from_a_run(data: Path) -> None:
    assert train(*sources(data, "photos"), "-o", "first.safetensors", "--steps", "20", "--learning-rate", "0.03") == 0
    words = [*sources(data, "both"), "--recipe", "refine", "-o", "mine.safetensors"]
    still = ["--from", "first.run/checkpoint.pt", "--learning-rate", "1e-12", "--share", "0.5"]
    assert train(*words, *still) == 0
    card = read_card("mine.safetensors")
    assert (card.recipe["recipe"], card.recipe["from"]) == ("refine", "first.run/checkpoint.pt")
    assert card.recipe["share"] == 0.5
    first, second = (Enhancer.load(f"{name}.safetensors").tables for name in ("first", "mine"))
    assert np.abs(first.mix).max() > 20  # it began at zero
    for name in ("msb", "groups", "own", "mix", "rest"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


def test_resume(data: Path) -> None:
    words = [*sources(data, "both"), "-o", "mine.safetensors"]
    assert train(*words) == 0
    content = Path("mine.safetensors").read_bytes()
    Path("mine.safetensors").unlink()
    assert train(*words, "--resume") == 0
    assert Path("mine.safetensors").read_bytes() == content
    assert (
        train(*words, "--resume", "--overwrite", "--recipe", "refine") == 0
    )  # needs no --from: it goes on with its own


def test_an_existing_file_is_not_replaced(data: Path, capsys: Capture) -> None:
    Path("mine.safetensors").write_bytes(b"precious")
    assert train(*sources(data, "photos"), "-o", "mine.safetensors") == 1
    text = capsys.readouterr().err
    assert text == "morpho: mine.safetensors exists already: choose another name or add --overwrite\n"
    assert Path("mine.safetensors").read_bytes() == b"precious"
    assert not Path("mine.run").exists()
    assert train(*sources(data, "photos"), "-o", "mine.safetensors", "--overwrite") == 0
    assert read_card("mine.safetensors").kind == "enhance"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--steps", "0"], "steps, batch, points must be at least 1"),
        (["--batch", "0"], "steps, batch, points must be at least 1"),
        (["--share", "2"], "share in 0..1"),
        (["--learning-rate", "0"], "learning_rate must be positive"),
        (["--learning-rate", "nan"], "--learning-rate nan is no finite number"),
        (["--smoothness", "inf"], "--smoothness inf is no finite number"),
        (["--smoothness", "-1"], "weights of the loss must not be negative"),
        (["--monotony", "-1"], "weights of the loss must not be negative"),
        (["--held-every", "1"], "held_every must be 0 (none) or at least 2"),
        (["--device", "tpu"], "'tpu' is not available here"),
        (["--resume"], "mine.run/checkpoint.pt cannot be read"),
        (["--from", "nothing.pt"], "nothing.pt cannot be read"),
        (["--recipe", "refine"], "refine goes on from a run: give its checkpoint.pt with --from"),
    ],
)
def test_unusable_options(data: Path, capsys: Capture, words: list[str], expected: str) -> None:
    assert expected in complaint(capsys, *sources(data, "both"), "-o", "mine.safetensors", *words)


def test_other_runs(data: Path, capsys: Capture) -> None:
    words = [*sources(data, "photos"), "-o", "mine.safetensors"]
    assert train(*words) == 0
    Path("mine.safetensors").unlink()
    capsys.readouterr()
    assert "is of a run with another recipe" in complaint(capsys, *words, "--resume", "--steps", "5")
    Path("broken.pt").write_bytes(b"hello")
    assert "broken.pt is damaged" in complaint(capsys, *words, "--from", "broken.pt")
    other = ["--recipe", "published", "--from", "mine.run/checkpoint.pt", "--steps", "1"]
    assert "is of a model of another shape" in complaint(capsys, *words, *other)


def test_unusable_folders(data: Path, tmp_path: Path, capsys: Capture) -> None:
    output = ["-o", "mine.safetensors"]
    raw, holiday = str(data / "raw"), str(data / "holiday")
    assert "there is nothing to train on: give --photos, --pairs or both" in complaint(capsys, *output)
    assert "nowhere is no folder" in complaint(capsys, "--photos", "nowhere", *output)
    assert "nowhere is no folder" in complaint(capsys, "--pairs", raw, "nowhere", *output)
    assert "has no partner in" in complaint(capsys, "--pairs", raw, holiday, *output)
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "0.png").write_bytes(png_file(noise(9, 9, 3, dtype="uint16")))
    assert "0.png has 16 bits" in complaint(capsys, "--photos", "deep", *output)
    (tmp_path / "deep" / "0.png").write_bytes(b"hello")
    assert "a photo of the set is unusable: " in complaint(capsys, "--photos", "deep", *output)


def test_the_output_is_checked_before_the_work(data: Path, capsys: Capture) -> None:
    words = sources(data, "photos")
    assert "the output mine.npz must end in .safetensors" in complaint(capsys, *words, "-o", "mine.npz")
    assert not Path("mine.run").exists()


@pytest.mark.parametrize(
    "words",
    [["--stepps", "3"], ["--recipe", "guess"], ["--pairs", "raw"], ["--steps", "many"], []],
)
def test_wrong_command_lines(data: Path, capsys: Capture, words: list[str]) -> None:
    output = ["-o", "mine.safetensors"] if words else []
    text = complaint(capsys, *sources(data, "photos"), *words, *output, status=2)
    assert "(see `morpho train enhance --help`)" in text


def test_without_torch(data: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    text = complaint(capsys, *sources(data, "photos"), "-o", "mine.safetensors")
    assert 'pip install "morpho[torch]"' in text


def test_only_the_first_process_writes(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    assert train(*sources(data, "photos"), "-o", "mine.safetensors") == 0
    assert not Path("mine.safetensors").exists()
