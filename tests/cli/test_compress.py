"""``morpho compress``: files and recipes to files of butterflies, budgets, policies, and what is refused."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.numpy import save_file

from morpho import nets
from morpho.artifacts import read_card
from morpho.butterfly import files
from morpho.butterfly import train as recipes
from morpho.butterfly.chain import Chain
from morpho.butterfly.layers import ButterflyLinear
from morpho.butterfly.released import released_chain
from morpho.cli.app import main
from tests.cli.butterflies import SIZES, save_network, small_digits

Capture = pytest.CaptureFixture[str]
BIASES = 48 + 32 + 10


@pytest.fixture(autouse=True)
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a dense network; a recipe of seconds; no data."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MORPHO_DATA", raising=False)
    monkeypatch.setitem(recipes.RECIPES, "mlp-digits", small_digits())
    save_network("dense.safetensors", "mlp", sizes=SIZES)
    return tmp_path


def compress(*words: str) -> int:
    return main(["compress", *words])


def complaint(capsys: Capture, *words: str, status: int = 1) -> str:
    """The one sentence with which a command fails, before anything is written."""
    before = sorted(Path().rglob("*"))
    assert compress(*words) == status
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("morpho: ")
    assert captured.err.count("\n") == 1
    assert "unexpected" not in captured.err
    assert sorted(Path().rglob("*")) == before
    return captured.err


def test_a_file_within_a_budget(capsys: Capture) -> None:
    assert compress("dense.safetensors", "--budget", "40%", "-o", "new/small.safetensors") == 0
    captured = capsys.readouterr()
    model, card = files.load("new/small.safetensors")
    dense, _ = nets.load("dense.safetensors")
    total, now = nets.count_parameters(dense), nets.count_parameters(model)
    assert 0.36 * total < now <= 0.4 * total
    assert captured.err == (
        f"morpho: new/small.safetensors: {now:,} parameters, {now / total:.2%} of {total:,}; not trained yet: "
        "its weights are projections (--finetune trains)\n"
    )
    lines = captured.out.splitlines()
    assert lines[0] == "Parameters of weights, multiply-adds per item; ms for a batch of 64"
    assert [line.split()[0] for line in lines[3:7]] == ["hidden.0", "hidden.1", "classifier", "network"]
    first = lines[3].split()
    assert first[1:5] == ["Linear", "48", "x", "64"]
    assert isinstance(model.get_submodule("hidden.0"), ButterflyLinear)
    assert Chain.parse(first[5]).numbers() == card.recipe["layers"]["hidden.0"]["chain"]
    assert (card.kind, card.name, card.licence) == ("butterfly", "small", "MIT")
    assert (card.recipe["budget"], card.recipe["family"]) == (0.4, "debut")
    assert card.numbers == {"share": round(now / total, 4)}


def test_json_adds_up(capsys: Capture) -> None:
    assert (
        compress("dense.safetensors", "--budget", "2000", "--keep", "classifier", "-o", "a.safetensors", "--json") == 0
    )
    (line,) = capsys.readouterr().out.splitlines()
    found = json.loads(line)
    assert found["file"] == "a.safetensors"
    assert found["parameters"] == BIASES + sum(row["parameters"] for row in found["layers"]) <= 2000
    assert found["dense_parameters"] == BIASES + sum(row["dense_parameters"] for row in found["layers"])
    assert found["macs"] == sum(row["macs"] for row in found["layers"]) == found["parameters"] - BIASES
    kept = found["layers"][-1]
    assert (kept["name"], kept["chain"], kept["reason"]) == ("classifier", None, "it was asked to stay")
    assert all(0 <= row["error"] < 1 for row in found["layers"][:-1])
    assert all(row["milliseconds"] > 0 and row["dense_milliseconds"] > 0 for row in found["layers"])


def test_kept_layers_are_named_with_their_reasons(capsys: Capture) -> None:
    words = ["dense.safetensors", "--budget", "0.6", "--keep", "hidden.1", "classifier", "-o", "a.safetensors"]
    assert compress(*words) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[-1] == "kept: hidden.1, classifier: it was asked to stay"
    assert set(read_card("a.safetensors").recipe["layers"]) == {"hidden.0"}


def test_a_family(capsys: Capture) -> None:
    assert compress("dense.safetensors", "--budget", "0.5", "--family", "low-rank", "-o", "a.safetensors") == 0
    layers = read_card("a.safetensors").recipe["layers"].values()
    chains = [Chain.parse(layer["chain"]) for layer in layers]
    assert any(not chain.is_debut for chain in chains)
    assert max(len(chain.factors) for chain in chains) <= 2


def test_a_file_of_chains(capsys: Capture) -> None:
    numbers = Chain.parse("(4,4)(8,12)").numbers()
    Path("my.chains").write_text(f"(6,8)(8,8)  # the first\n\n{numbers}\n-\n")
    assert compress("dense.safetensors", "--policy", "my.chains", "-o", "a.safetensors") == 0
    assert capsys.readouterr().out.splitlines()[-1] == "kept: classifier: my.chains keeps it"
    card = read_card("a.safetensors")
    assert card.recipe["layers"] == {
        "hidden.0": {"chain": Chain.parse("(6,8)(8,8)").numbers(), "order": "channel"},
        "hidden.1": {"chain": numbers, "order": "channel"},
    }
    assert card.recipe["policy"] == "my.chains"
    assert "budget" not in card.recipe
    assert compress("dense.safetensors", "--policy", "my.chains", "--keep", "hidden.0", "-o", "b.safetensors") == 0
    assert set(read_card("b.safetensors").recipe["layers"]) == {"hidden.1"}


def test_the_released_rules(capsys: Capture) -> None:
    save_network("conv.safetensors", "vgg-like")
    words = ["conv.safetensors", "--policy", "released-5", "--order", "spatial", "-o", "a.safetensors", "--json"]
    assert compress(*words) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["parameters"] == 33_802  # the published network's total
    rows = {row["name"]: row for row in found["layers"]}
    assert rows["convs.3"]["chain"] == released_chain(256, 128, level=5).numbers()
    assert "the released rules know c_out of half" in rows["convs.0"]["reason"]
    assert rows["classifier"]["reason"] == "the released rules are for 3x3 convolutions"
    assert rows["convs.1"]["positions"] == 14 * 14
    assert {layer["order"] for layer in read_card("a.safetensors").recipe["layers"].values()} == {"spatial"}


def test_weights_without_a_card(capsys: Capture) -> None:
    save_file(nets.tensors_of(nets.build("mlp", sizes=[64, 32, 7])), "plain.safetensors")
    words = ["plain.safetensors", "--budget", "0.6", "-o", "a.safetensors"]
    assert "say which network its weights are of with --net" in complaint(capsys, *words)
    assert "instead of" in complaint(capsys, *words, "--net", "mlp")
    assert "write NAME=VALUE" in complaint(capsys, *words, "--net", "mlp", "--option", "sizes")
    assert "no network called 'mlpp'" in complaint(capsys, *words, "--net", "mlpp")
    assert compress(*words, "--net", "mlp", "--option", "sizes=[64, 32, 7]") == 0
    assert files.load("a.safetensors")[0](torch.zeros(2, 1, 8, 8)).shape == (2, 7)


def test_a_recipe_from_nothing_to_a_trained_file(capsys: Capture) -> None:
    assert compress("mlp-digits", "-o", "a.safetensors", "--seed", "4", "--json") == 0
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert found["dense_accuracy"] > 0.7
    assert found["accuracy"] > 0.6
    assert f"accuracy {found['accuracy']:.2%} (dense {found['dense_accuracy']:.2%}) on 719 test items" in captured.err
    assert "not trained" not in captured.err
    assert found["share"] <= 0.5
    card, teacher = read_card("a.safetensors"), read_card("a.run/teacher.safetensors")
    assert (card.recipe["recipe"], card.recipe["dataset"], card.seed) == ("mlp-digits", "digits", 4)
    assert (teacher.kind, teacher.recipe["net"], teacher.seed) == ("network", "mlp", 4)
    assert card.numbers["accuracy"] == pytest.approx(found["accuracy"], abs=1e-4)
    assert card.data == ["digits (1078 items)"]
    for part in ("teacher", "student"):
        assert len(Path("a.run", part, "log.jsonl").read_text().splitlines()) == 8


def test_a_recipe_says_what_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = replace(small_digits(), keep=("classifier",), single=False)
    monkeypatch.setitem(recipes.RECIPES, "mlp-digits", changed)
    words = ["mlp-digits", "--epochs", "1", "-o", "a.safetensors"]
    assert compress(*words) == 0
    layers = read_card("a.safetensors").recipe["layers"]
    assert set(layers) == {"hidden.0", "hidden.1"}
    assert min(len(Chain.parse(layer["chain"]).factors) for layer in layers.values()) > 1
    assert compress(*words, "--overwrite", "--keep", "hidden.0", "--budget", "0.8", "--seed", "5") == 0
    assert set(read_card("a.safetensors").recipe["layers"]) == {"hidden.1", "classifier"}
    assert read_card("a.run/teacher.safetensors").seed == 5  # not resumed: trained anew


def test_fine_tuning_wins_accuracy_back(capsys: Capture) -> None:
    assert main(["train", "butterfly", "mlp-digits", "--dense", "-o", "teacher.safetensors"]) == 0
    capsys.readouterr()
    words = ["teacher.safetensors", "--budget", "0.4", "--json"]
    assert compress(*words, "-o", "a.safetensors", "--data", ".") == 0
    before = json.loads(capsys.readouterr().out)
    assert compress(*words, "-o", "b.safetensors", "--finetune", "--epochs", "4") == 0
    after = json.loads(capsys.readouterr().out)
    assert after["accuracy"] > before["accuracy"] + 0.05
    assert after["dense_accuracy"] == before["dense_accuracy"]
    assert read_card("b.safetensors").recipe["student"]["epochs"] == 4
    assert "student" not in read_card("a.safetensors").recipe


def test_resume(capsys: Capture) -> None:
    assert compress("mlp-digits", "-o", "a.safetensors") == 0
    content = Path("a.safetensors").read_bytes()
    Path("a.safetensors").unlink()
    capsys.readouterr()
    logs = [Path("a.run", part, "log.jsonl") for part in ("teacher", "student")]
    lengths = [len(log.read_text()) for log in logs]
    assert compress("mlp-digits", "-o", "a.safetensors", "--resume") == 0
    assert Path("a.safetensors").read_bytes() == content
    assert [len(log.read_text()) for log in logs] == lengths  # nothing was trained again


def test_onnx(capsys: Capture) -> None:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    words = ["dense.safetensors", "--budget", "0.5", "-o", "a.safetensors", "--onnx"]
    Path("a.onnx").write_bytes(b"precious")
    assert "a.onnx exists already" in complaint(capsys, *words)
    assert compress(*words, "--overwrite") == 0
    assert onnx.load("a.onnx").graph.output[0].name == "output"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["dense.safetensors"], "nothing says how small the network is to become: give --budget"),
        (["dense.safetensors", "--budget", "0.01"], "cannot be met: biases, normalisations and kept layers have 90"),
        (["dense.safetensors", "--budget", "0.5", "--keep", "fc7"], "no layer 'fc7': its layers are hidden.0"),
        (["dense.safetensors", "--budget", "0.5", "--policy", "released-5"], "leave out --budget and --family"),
        (["dense.safetensors", "--policy", "released-5"], "converts no layer (the released rules are for 3x3"),
        (["dense.safetensors", "--policy", "released-x"], "has no level: write released-5"),
        (["dense.safetensors", "--policy", "magic"], "'magic' is no policy"),
        (["dense.safetensors", "--policy", "none.chains"], "none.chains cannot be read"),
        (["dense.safetensors", "--budget", "0.5", "--net", "mlp"], "leave out --net and --option"),
        (["dense.safetensors", "--budget", "0.5", "--finetune"], "give --recipe, mlp-digits"),
        (["dense.safetensors", "--budget", "0.5", "--recipe", "mlp", "--finetune"], "no recipe called 'mlp'"),
        (["nothing.safetensors", "--budget", "0.5"], "nothing.safetensors: it does not exist"),
        (["mlp-digit"], "did you mean mlp-digits?"),
        (["resnet"], "there is no recipe called 'resnet'"),
        (["mlp-digits", "--net", "mlp"], "are for files"),
        (["mlp-digits", "--budget", "0.001"], "cannot be met"),
        (["mlp-digits", "--keep", "fc7"], "no layer 'fc7'"),
        (["mlp-digits", "--device", "tpu"], "'tpu' is not available here"),
        (["lenet-mnist"], "mnist is needed: give the folder of its files with --data"),
        (["lenet-mnist", "--data", "nowhere"], "nowhere is not a folder"),
        (["lenet-mnist", "--data", "."], "holds no files of mnist"),
    ],
)
def test_what_cannot_work(capsys: Capture, words: list[str], sentence: str) -> None:
    assert sentence in complaint(capsys, *words, "-o", "a.safetensors")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "(6,8)(8,8)\n",
            "is for 1 layers, and the network has 3: write a line for each, - to keep it: hidden.0 (48 x 64)",
        ),
        ("(6,8)(8,4)\n-\n-\n", "the layer hidden.0 is 48 x 64, and its chain 48 x 32"),
        ("(6,8)(16,8)\n-\n-\n", "the layer hidden.0 is 48 x 64, and its chain 96 x 64"),
        ("(6,8)(8,16)\n-\n-\n", "the layer hidden.0 is 48 x 64, and its chain 48 x 128"),
        ("(6,8)(8,8\n-\n-\n", "the line of hidden.0: '(6,8)(8,8' is no chain"),
        ("48 64 6 8 2\n-\n-\n", "the line of hidden.0: "),
        ("-\n-\n-\n", "converts no layer (bad.chains keeps it)"),
        ("\xff\xfe", "it is no text"),
    ],
)
def test_wrong_files_of_chains(capsys: Capture, text: str, sentence: str) -> None:
    Path("bad.chains").write_bytes(text.encode("latin-1"))
    assert sentence in complaint(capsys, "dense.safetensors", "--policy", "bad.chains", "-o", "a.safetensors")


def test_files_are_safe(capsys: Capture) -> None:
    words = ["dense.safetensors", "--budget", "0.5"]
    assert "must end in .safetensors" in complaint(capsys, *words, "-o", "a.npz")
    assert "is the input itself" in complaint(capsys, *words, "-o", "dense.safetensors", "--overwrite")
    Path("a.safetensors").write_bytes(b"precious")
    assert "a.safetensors exists already" in complaint(capsys, *words, "-o", "a.safetensors")
    assert compress(*words, "-o", "a.safetensors", "--overwrite") == 0
    capsys.readouterr()
    again = ["a.safetensors", "--budget", "0.2", "-o", "b.safetensors"]
    assert "is compressed already: give the dense network" in complaint(capsys, *again)


@pytest.mark.parametrize("words", [["--budget", "1.5"], ["--budget", "2", "--order", "both"], ["--epochs", "0"], []])
def test_wrong_command_lines(capsys: Capture, words: list[str]) -> None:
    text = complaint(capsys, "dense.safetensors", *words, *(["-o", "a.safetensors"] if words else []), status=2)
    assert "(see `morpho compress --help`)" in text


def test_without_torch(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    text = complaint(capsys, "dense.safetensors", "--budget", "0.5", "-o", "a.safetensors")
    assert 'pip install "morpho[torch]"' in text


def test_only_the_first_process_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    assert compress("dense.safetensors", "--budget", "0.5", "-o", "a.safetensors") == 0
    assert not Path("a.safetensors").exists()
