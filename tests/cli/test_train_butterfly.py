"""``morpho train butterfly`` and ``eval butterfly``: teachers, students, and how good they are."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from morpho import nets
from morpho.artifacts import Card, read_card
from morpho.artifacts import save as save_artifact
from morpho.butterfly import files
from morpho.butterfly import train as recipes
from morpho.cli.app import main
from tests.cli.butterflies import save_network, small_digits

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MORPHO_DATA", raising=False)
    monkeypatch.setitem(recipes.RECIPES, "mlp-digits", small_digits())
    return tmp_path


def train(*words: str) -> int:
    return main(["train", "butterfly", *words])


def complaint(capsys: Capture, *words: str, status: int = 1) -> str:
    """The one sentence with which a command fails, before anything is written."""
    before = sorted(Path().rglob("*"))
    assert main([*words]) == status
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("morpho: ")
    assert captured.err.count("\n") == 1
    assert "unexpected" not in captured.err
    assert sorted(Path().rglob("*")) == before
    return captured.err


def test_a_teacher_and_its_student(capsys: Capture) -> None:
    assert train("mlp-digits", "--dense", "-o", "teacher.safetensors", "--seed", "2", "--learning-rate", "0.2") == 0
    assert capsys.readouterr().err.startswith("morpho: teacher.safetensors: accuracy ")
    model, card = nets.load("teacher.safetensors")
    assert (card.kind, card.seed, card.data) == ("network", 2, ["digits (1078 items)"])
    assert (card.recipe["teacher"]["learning_rate"], card.recipe["student"]["learning_rate"]) == (0.2, 0.01)
    assert card.numbers["accuracy"] > 0.8

    words = ["--teacher", "teacher.safetensors", "--budget", "0.45", "--family", "general", "--batch", "32"]
    assert train("mlp-digits", *words, "-o", "student.safetensors", "--keep", "classifier") == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("morpho: student.safetensors: ")
    student, card = files.load("student.safetensors")
    assert nets.count_parameters(student) <= 0.45 * nets.count_parameters(model)
    assert "classifier" not in card.recipe["layers"]
    assert (card.recipe["family"], card.recipe["budget"], card.recipe["student"]["batch"]) == ("general", 0.45, 32)
    assert card.numbers["dense_accuracy"] > 0.8
    assert card.numbers["accuracy"] > 0.8
    assert not Path("student.run/teacher").exists()  # it was given
    assert Card.from_json(card.to_json()) == card


def test_a_student_from_nothing_and_again(capsys: Capture) -> None:
    assert train("mlp-digits", "-o", "a.safetensors", "--epochs", "2") == 0
    content = Path("a.safetensors").read_bytes()
    assert len(Path("a.run/teacher/log.jsonl").read_text().splitlines()) == 2
    assert len(Path("a.run/student/log.jsonl").read_text().splitlines()) == 2
    Path("a.safetensors").unlink()
    assert train("mlp-digits", "-o", "a.safetensors", "--epochs", "2", "--resume") == 0
    assert Path("a.safetensors").read_bytes() == content
    Path("a.safetensors").unlink()
    capsys.readouterr()
    assert train("mlp-digits", "-o", "a.safetensors", "--epochs", "3", "--resume") == 1
    assert "is of a run with another recipe" in capsys.readouterr().err


def test_an_existing_file_is_not_replaced(capsys: Capture) -> None:
    Path("a.safetensors").write_bytes(b"precious")
    assert "a.safetensors exists already" in complaint(
        capsys, "train", "butterfly", "mlp-digits", "-o", "a.safetensors"
    )
    assert train("mlp-digits", "--dense", "-o", "a.safetensors", "--epochs", "1", "--overwrite") == 0
    assert read_card("a.safetensors").kind == "network"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["mlp-digit"], "did you mean mlp-digits?"),
        (["mlp-digits", "--dense", "--budget", "0.1"], "--dense trains the dense network"),
        (["mlp-digits", "--dense", "--teacher", "x"], "--dense trains the dense network"),
        (["mlp-digits", "--teacher", "nothing.safetensors"], "nothing.safetensors: it does not exist"),
        (
            ["mlp-digits", "--teacher", "lenet.safetensors"],
            "is a network 'lenet', and the recipe mlp-digits is for 'mlp'",
        ),
        (["mlp-digits", "--budget", "0.001"], "cannot be met"),
        (["mlp-digits", "--keep", "fc7"], "no layer 'fc7'"),
        (["mlp-digits", "--device", "tpu"], "'tpu' is not available here"),
        (["mlp-digits", "--batch", "5000", "--dense"], "less than one batch of 5000"),
        (["cnn-cifar10"], "cifar10 is needed: give the folder of its files with --data"),
        (["pointnet-modelnet10", "--data", "."], "holds no files of modelnet10"),
    ],
)
def test_unusable_options(capsys: Capture, words: list[str], sentence: str) -> None:
    save_network("lenet.safetensors", "lenet")
    assert sentence in complaint(capsys, "train", "butterfly", *words, "-o", "a.safetensors")


@pytest.mark.parametrize(
    "words",
    [["--budget", "3.5"], ["--epochs", "0"], ["--learning-rate", "0"], ["--learning-rate", "inf"], ["--batch", "2.5"]],
)
def test_wrong_command_lines(capsys: Capture, words: list[str]) -> None:
    text = complaint(capsys, "train", "butterfly", "mlp-digits", "-o", "a.safetensors", *words, status=2)
    assert "(see `morpho train butterfly --help`)" in text


def test_evaluation(capsys: Capture) -> None:
    assert train("mlp-digits", "-o", "a.safetensors", "--epochs", "2") == 0
    capsys.readouterr()
    names = ["a.run/teacher.safetensors", "a.safetensors"]
    assert main(["eval", "butterfly", *names, "--json"]) == 0
    dense, small = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert [dense["file"], small["file"]] == names
    assert (dense["share"], dense["n"], dense["dataset"]) == (1.0, 719, "digits")
    numbers = read_card("a.safetensors").numbers
    assert numbers["accuracy"] == pytest.approx(small["accuracy"], abs=1e-4)
    assert numbers["dense_accuracy"] == pytest.approx(dense["accuracy"], abs=1e-4)
    assert numbers["share"] == pytest.approx(small["share"], abs=1e-4)
    assert small["interval"][0] < small["accuracy"] < small["interval"][1]
    assert main(["eval", "butterfly", *names]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["file", "data", "items", "accuracy", "95", "%", "interval", "parameters", "of", "the",
                                "dense", "ones"]  # fmt: skip
    assert f"{small['accuracy']:.2%}" in lines[3]
    assert lines[3].split()[-2:] == [f"{small['parameters']:,}", f"{small['share']:.2%}"]


def test_what_cannot_be_evaluated(capsys: Capture) -> None:
    save_network("mlp.safetensors", "mlp")
    save_artifact("other.safetensors", {}, Card(kind="toy", name="toy", version="1", licence="MIT"))
    for words, sentence in (
        (["mlp.safetensors"], "names no data set: give --dataset, such as mnist"),
        (["mlp.safetensors", "--dataset", "digit"], "did you mean digits?"),
        (["mlp.safetensors", "--dataset", "mnist"], "mnist is needed: give the folder of its files with --data"),
        (["mlp.safetensors", "--dataset", "digits", "--votes", "2"], "2 votes do not divide pictures"),
        (["other.safetensors"], "is of the kind 'toy'"),
        (["nothing.safetensors"], "nothing.safetensors"),
    ):
        assert sentence in complaint(capsys, "eval", "butterfly", *words)


def test_without_torch(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    for words in (["train", "butterfly", "mlp-digits", "-o", "a.safetensors"], ["eval", "butterfly", "a"]):
        assert 'pip install "morpho[torch]"' in complaint(capsys, *words)


def test_only_the_first_process_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    assert train("mlp-digits", "-o", "a.safetensors", "--epochs", "1") == 0
    assert not Path("a.safetensors").exists()
    assert not Path("a.run/teacher.safetensors").exists()
