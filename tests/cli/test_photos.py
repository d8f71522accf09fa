"""Many pictures: what goes in, what it is called, and how a run ends."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Barrier, current_thread
from typing import Any

import numpy as np
import pytest

from morpho.cli import photos
from morpho.cli.compare import compare_sheet
from morpho.cli.inputs import Shard
from morpho.cli.options import Options
from morpho.cli.plan import Plan, make_plan
from morpho.errors import InputError, MorphoError, OutputExistsError
from morpho.images import Picture, read, write

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _in_tmp_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def picture(height: int = 4, width: int = 5, channels: int = 3, seed: int = 0) -> Picture:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)
    return Picture(pixels)


def put(*names: str) -> None:
    """Make picture files, each another one."""
    for seed, name in enumerate(names):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        write(picture(seed=seed), name)


def double(picture: Picture) -> Picture:
    return picture.with_pixels(picture.pixels.repeat(2, axis=0).repeat(2, axis=1))


def planned(*inputs: str, **options: Any) -> list[tuple[str, str]]:
    plan = make_plan(inputs, suffix="_big", fields={"model": "m"}, **options)
    return [(str(job.source or "-"), str(job.target or "-")) for job in plan.jobs]


def run(
    *inputs: str, transform: Callable[[Picture], Picture] = double, **options: Any
) -> tuple[int, list[dict[str, Any]]]:
    """Run as a verb does, and return its status and the outcomes by input."""
    chosen = Options(**options)
    plan = photos.plan(inputs, chosen, suffix="_big", fields={})
    outcomes: list[dict[str, Any]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(photos, "_report", lambda outcome, *_: outcomes.append(outcome.record("double")))
        status = photos.run(plan, transform, chosen, label="double")
    return status, sorted(outcomes, key=lambda record: str(record["input"]))


def files() -> list[str]:
    """All files below, hidden ones too."""
    return sorted(path.as_posix() for path in Path().rglob("*") if path.is_file())


# --- which pictures ---


def test_files_in_the_order_given_each_once() -> None:
    put("b.png", "a.png")
    assert planned("b.png", "a.png", "./b.png") == [("b.png", "b_big.png"), ("a.png", "a_big.png")]


def test_folders_need_recursive() -> None:
    put("in/a.png")
    with pytest.raises(InputError, match="in is a folder: add -r"):
        planned("in")


def test_walk_takes_pictures_only_and_keeps_folders() -> None:
    put("in/x/b.png", "in/a.jpg", "in/.hidden/c.png", "in/x/.d.png", "in/x/y/E.PNG")
    Path("in/notes.txt").write_text("no picture")
    assert planned("in", recursive=True, output="out") == [
        ("in/a.jpg", "out/a_big.jpg"),
        ("in/x/b.png", "out/x/b_big.png"),
        ("in/x/y/E.PNG", "out/x/y/E_big.PNG"),
    ]
    assert planned("in", recursive=True)[1] == ("in/x/b.png", "in/x/b_big.png")


def test_patterns() -> None:
    put("shots/1/a.png", "shots/2/b.png", "shots/2/c.jpg", "odd[1].png")
    assert planned("shots/*/*.png", output="out") == [
        ("shots/1/a.png", "out/1/a_big.png"),
        ("shots/2/b.png", "out/2/b_big.png"),
    ]
    assert [source for source, _ in planned("shots/**/*")] == [
        "shots/1/a.png",
        "shots/2/b.png",
        "shots/2/c.jpg",
    ]
    assert planned("odd[1].png") == [("odd[1].png", "odd[1]_big.png")]
    assert planned(str(Path("shots").absolute() / "1" / "*"), output="out")[0][1] == "out/a_big.png"


@pytest.mark.parametrize(
    ("inputs", "complaint"),
    [
        (["no*.png"], r"no picture matches 'no\*.png'"),
        (["*.txt"], "no picture matches"),
        (["empty"], "empty holds no picture"),
        ([""], "empty name"),
    ],
)
def test_inputs_without_a_picture(inputs: list[str], complaint: str) -> None:
    Path("empty").mkdir()
    Path("a.txt").write_text("text")
    with pytest.raises(InputError, match=complaint):
        planned(*inputs, recursive=True)


# --- what results are called ---


@pytest.mark.parametrize(
    ("output", "options", "target"),
    [
        (None, {}, "in/cat_big.jpeg"),
        (None, {"format": "png"}, "in/cat_big.png"),
        (None, {"format": ".WebP"}, "in/cat_big.webp"),
        ("out/", {}, "out/cat_big.jpeg"),
        ("out", {}, "out/cat_big.jpeg"),
        ("there.v2", {}, "there.v2/cat_big.jpeg"),
        ("dog.png", {}, "dog.png"),
        ("dog.jpg", {"format": "jpeg"}, "dog.jpg"),
        ("{stem}_{model}{ext}", {}, "cat_m.jpeg"),
        ("x/{parent}/{name}.png", {}, "x/in/cat.jpeg.png"),
        ("{{{folder}}}/{stem}{ext}", {"format": "tiff"}, "{.}/cat.tif"),
        ("-", {}, "-"),
    ],
)
def test_names(output: str | None, options: dict[str, str], target: str) -> None:
    put("in/cat.jpeg")
    Path("there.v2").mkdir()
    assert planned("in/cat.jpeg", output=output, **options) == [("in/cat.jpeg", target)]


def test_names_for_stdin() -> None:
    assert planned("-") == [("-", "-")]
    assert planned("-", output="out/") == [("-", "out/stdin_big.png")]
    assert planned("-", output="cat.webp") == [("-", "cat.webp")]


def test_unwritable_suffixes_become_png() -> None:
    assert planned("cat.gif", "dog") == [("cat.gif", "cat_big.png"), ("dog", "dog_big.png")]


@pytest.mark.parametrize(
    ("output", "options", "complaint"),
    [
        ("{model", {}, "cannot be read"),
        ("{color}.png", {}, r"unknown field \{color\}: use \{stem\}, .*\{model\}"),
        ("{stem.__class__}.png", {}, "unknown field"),
        ("{stem!r}.png", {}, "unknown field"),
        ("{stem:>9999}.png", {}, "unknown field"),
        ("{}.png", {}, "unknown field"),
        ("{stem}.xyz", {}, "'.xyz', which names no picture format"),
        ("{stem}{folder}", {}, "no suffix|names no picture format"),
        ("dog.xyz", {}, "'.xyz', which names no picture format"),
        ("dog.jpg", {"format": "png"}, "dog.jpg is no name for a PNG file"),
        (None, {"format": "gif"}, "'gif' is no format that can be written"),
    ],
)
def test_impossible_names(output: str | None, options: dict[str, str], complaint: str) -> None:
    put("cat.png")
    with pytest.raises(MorphoError, match=complaint) as caught:
        planned("cat.png", output=output, **options)
    assert "\n" not in str(caught.value)


def test_several_pictures_need_several_names() -> None:
    put("a.png", "b.png", "x/a.png", "a.jpg")
    with pytest.raises(InputError, match=r"several pictures cannot all become out.png: give a folder"):
        planned("a.png", "b.png", output="out.png")
    with pytest.raises(InputError, match="only one picture fits on stdout"):
        planned("a.png", "b.png", output="-")
    with pytest.raises(InputError, match=r"a.png and x/a.png would both become out/a_big.png"):
        planned("a.png", "x/a.png", output="out/")
    with pytest.raises(InputError, match=r"a.png and a.jpg would both become a_big.png"):
        planned("a.png", "a.jpg", format="png")
    put("a_compare.png")
    with pytest.raises(InputError, match=r"would both become out/a_compare.png"):
        planned("a.png", "a_compare.png", output="out/{stem}{ext}", sheets=True)
    assert len(planned("a.png", "a_compare.png", output="out/{stem}{ext}")) == 2
    assert len(planned("a.png", "x/a.png", output="out/{parent}/{stem}.png")) == 2


# --- inputs are sacred, results are known again ---


@pytest.mark.parametrize("overwrite", [False, True])
def test_no_result_replaces_an_input(overwrite: bool) -> None:
    put("a.png", "b.png")
    Path("link.png").symlink_to("a.png")
    os.link("a.png", "hard.png")
    for output in ("a.png", "./a.png", "link.png", "hard.png", "{stem}.png"):
        with pytest.raises(OutputExistsError, match=r"is the input a.png, and inputs are never overwritten"):
            planned("a.png", output=output, overwrite=overwrite)


def test_named_input_is_not_replaced_as_the_result_of_another() -> None:
    put("a.png", "a_big.png")
    with pytest.raises(OutputExistsError, match=r"a_big.png is the input a_big.png"):
        planned("a.png", "a_big.png", overwrite=True)


def test_earlier_results_are_passed_over() -> None:
    """Running again on ``*.png`` does not upscale what was upscaled."""
    put("a.png", "a_big.png", "a_big_compare.png", "a_big_big.png", "b.png")
    expected = [("a.png", "a_big.png"), ("b.png", "b_big.png")]
    for inputs in (["*.png"], ["."], [str(path) for path in sorted(Path().iterdir())]):
        plan = make_plan(inputs, suffix="_big", recursive=True)
        assert [(str(job.source), str(job.target)) for job in plan.jobs] == expected
        assert plan.notes == ("passed over a_big.png and 2 more: made from other inputs by an earlier run",)
    assert planned(".", recursive=True, overwrite=True) == expected


def test_results_in_a_folder_below_are_passed_over_but_never_lost() -> None:
    put("in/a.png", "in/out/a.png")
    assert planned("in", recursive=True, output="in/out/{stem}.png") == [("in/a.png", "in/out/a.png")]
    # It might be an original: its name does not tell.
    with pytest.raises(InputError, match=r"would both become in/out/a.png"):
        planned("in", recursive=True, output="in/out/{stem}.png", overwrite=True)


# --- shards ---


def test_shards_are_disjoint_and_complete() -> None:
    put(*(f"in/{i // 8}/{i}.png" for i in range(40)))
    whole = planned("in", recursive=True)
    parts = [planned("in", recursive=True, shard=Shard(i, 3)) for i in (1, 2, 3)]
    assert sorted(job for part in parts for job in part) == sorted(whole)
    assert all(len(part) > 5 for part in parts)


def test_shards_do_not_depend_on_place_order_or_other_files() -> None:
    names = [f"{i}.png" for i in range(20)]
    put(*(f"here/{name}" for name in names))
    put(*(f"very/far/there/{name}" for name in names[::2]))
    here = {Path(source).name for source, _ in planned("here", recursive=True, shard=Shard(1, 2))}
    there = {Path(source).name for source, _ in planned("very/far/there", recursive=True, shard=Shard(1, 2))}
    assert there == here & set(names[::2])
    by_pattern = {Path(source).name for source, _ in planned("here/*.png", shard=Shard(1, 2))}
    assert by_pattern == here


def test_shards_are_the_same_on_every_machine_and_in_every_version() -> None:
    keys = ("a.png", "holiday/1.png", "ü/ß.jpg", "-")
    assert [next(i for i in (1, 2, 3, 4) if Shard(i, 4).takes(key)) for key in keys] == [4, 3, 4, 1]


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "a/b", "1/0", "-1/3", "1/3/5", "", "1.0/2"])
def test_impossible_shards(text: str) -> None:
    with pytest.raises(InputError, match="must be like 1/8"):
        Shard.parse(text)


# --- the run ---


@pytest.mark.parametrize("workers", [1, 3])
def test_batch_equals_single_byte_for_byte(workers: int) -> None:
    names = [f"{i}.{kind}" for i in range(4) for kind in ("png", "jpg", "webp", "tif")]
    put(*names)
    for name in names:
        assert run(name, output="single/")[0] == 0
    status, outcomes = run(*names, output="batch/", workers=workers)
    assert (status, [record["status"] for record in outcomes]) == (0, ["done"] * 16)
    for path in Path("single").iterdir():
        assert (Path("batch") / path.name).read_bytes() == path.read_bytes()


def test_record() -> None:
    put("a.png")
    _, [record] = run("a.png")
    assert 0 <= record.pop("work_seconds") <= record.pop("seconds")
    assert record == {
        "input": "a.png",
        "output": "a_big.png",
        "status": "done",
        "width": 10,
        "height": 8,
        "error": None,
        "model": "double",
    }


@pytest.mark.parametrize("workers", [1, 3])
def test_one_failure_does_not_stop_the_rest(workers: int) -> None:
    put("a.png", "c.png", "d.png")
    Path("b.png").write_text("no picture")

    def fail_on_d(picture: Picture) -> Picture:
        if np.array_equal(picture.pixels, read("d.png").pixels):
            raise MemoryError
        return double(picture)

    status, outcomes = run("a.png", "b.png", "c.png", "d.png", "e.png", workers=workers, transform=fail_on_d)
    assert status == 1
    assert [record["status"] for record in outcomes] == ["done", "failed", "done", "failed", "failed"]
    errors = [record["error"] for record in outcomes]
    assert "b.png is not a picture" in errors[1]
    assert "d.png: the memory does not suffice" in errors[3]
    assert "e.png does not exist" in errors[4]
    assert files() == ["a.png", "a_big.png", "b.png", "c.png", "c_big.png", "d.png"]


def test_surprises_are_reported_as_such() -> None:
    put("a.png", "b.png")

    def surprise(picture: Picture) -> Picture:
        raise KeyError("table")

    status, outcomes = run("a.png", "b.png", transform=surprise)
    assert status == 1
    assert outcomes[0]["error"] == "a.png: KeyError: 'table' (unexpected, please report it)"


def test_existing_results_stay_unless_overwritten() -> None:
    put("a.png", "a_big.png", "b.png")
    old = Path("a_big.png").read_bytes()
    calls: list[Picture] = []

    def count(picture: Picture) -> Picture:
        calls.append(picture)
        return double(picture)

    status, outcomes = run("a.png", "b.png", transform=count)
    assert (status, [record["status"] for record in outcomes]) == (1, ["failed", "done"])
    assert "a_big.png exists: add --overwrite" in outcomes[0]["error"]
    assert len(calls) == 1  # it is found out before the work
    status, outcomes = run("a.png", "b.png", transform=count, skip_existing=True)
    assert (status, [record["status"] for record in outcomes]) == (0, ["skipped", "skipped"])
    assert (len(calls), Path("a_big.png").read_bytes()) == (1, old)
    assert run("a.png", "b.png", transform=count, overwrite=True)[0] == 0
    assert (len(calls), Path("a_big.png").read_bytes() == old) == (3, False)


def test_resume_makes_only_what_is_missing() -> None:
    put(*(f"in/{i}.png" for i in range(5)))
    run("in/0.png", "in/3.png")
    _, outcomes = run("in", recursive=True, skip_existing=True)
    assert [record["status"] for record in outcomes] == ["skipped", "done", "done", "skipped", "done"]


def test_missing_folders() -> None:
    put("a.png")
    status, [record] = run("a.png", output="missing/a.png")
    assert (status, "missing/a.png does not exist: make it first" in record["error"]) == (1, True)
    assert run("a.png", output="deep/er/")[0] == 0
    Path("file").write_text("not a folder")
    status, [record] = run("a.png", output="file/x/")
    assert (status, "folder file/x cannot be made" in record["error"]) == (1, True)


@pytest.mark.parametrize("workers", [1, 3])
def test_interrupt_leaves_only_whole_files(workers: int) -> None:
    inputs = [f"{i}.png" for i in range(50)]  # more than other workers finish before the interrupt is seen
    put(*inputs)
    made = []

    def interrupted(picture: Picture) -> Picture:
        made.append(1)
        if len(made) == 4:
            raise KeyboardInterrupt
        return double(picture)

    with pytest.raises(KeyboardInterrupt):
        run(*inputs, workers=workers, transform=interrupted)
    assert len(made) < 50
    results = [name for name in files() if "_big" in name]
    assert set(files()) == set(inputs) | set(results)
    for name in results:
        assert read(name).width == 10


def test_nothing_is_written_after_an_interrupt() -> None:
    """Who is in the middle of a picture when Ctrl-C comes stops before writing it."""
    put("a.png", "b.png")
    both = Barrier(2, timeout=20)

    def interrupted(picture: Picture) -> Picture:
        both.wait()
        if np.array_equal(picture.pixels, read("a.png").pixels):
            raise KeyboardInterrupt
        time.sleep(0.5)
        return double(picture)

    with pytest.raises(KeyboardInterrupt):
        run("a.png", "b.png", workers=2, transform=interrupted)
    assert files() == ["a.png", "b.png"]


def test_interrupt_while_writing_leaves_no_part(monkeypatch: pytest.MonkeyPatch) -> None:
    put("a.png")

    def stop(*args: Any, **kwargs: Any) -> None:
        args[0].write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr("morpho.images.io.encode", stop)
    with pytest.raises(KeyboardInterrupt):
        run("a.png")
    assert files() == ["a.png"]


def test_workers_work_at_the_same_time() -> None:
    put(*(f"{i}.png" for i in range(6)))
    together = Barrier(3, timeout=20)

    def wait_for_the_others(picture: Picture) -> Picture:
        together.wait()
        return double(picture)

    assert run(*(f"{i}.png" for i in range(6)), workers=3, transform=wait_for_the_others)[0] == 0


def test_single_worker_stays_in_the_main_thread() -> None:
    put("a.png", "b.png")
    threads = set()

    def note_thread(picture: Picture) -> Picture:
        threads.add(current_thread())
        return double(picture)

    run("a.png", "b.png", workers=1, transform=note_thread)
    assert threads == {current_thread()}


@pytest.mark.parametrize(
    ("options", "jobs", "workers", "threads"),
    [
        (Options(workers=3), 10, 3, 1),
        (Options(workers=3), 2, 2, 1),
        (Options(workers=3), 1, 1, None),
        (Options(workers=3, threads=2), 10, 3, 2),
        (Options(workers=1, threads=2), 10, 1, 2),
        (Options(), 1, 1, None),
        (Options(), 0, 1, None),
    ],
)
def test_threads_follow_workers(options: Options, jobs: int, workers: int, threads: int | None) -> None:
    assert (options.workers_for(jobs), options.threads_for(jobs)) == (workers, threads)


# --- what is said ---


def report(capsys: Capture, *inputs: str, **options: Any) -> tuple[int, str, str]:
    chosen = Options(**options)
    plan = photos.plan(inputs, chosen, suffix="_big", fields={})
    status = photos.run(plan, double, chosen, label="double")
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_people_are_told_what_came_of_each(capsys: Capture) -> None:
    put("a.png")
    status, out, err = report(capsys, "a.png", "b.png", workers=1)
    assert status == 1
    assert out.startswith("a.png -> a_big.png  10 x 8  ")
    assert "(double: " in out
    assert out.rstrip().endswith("MP/s)")
    assert err.splitlines() == [
        "morpho: b.png does not exist: check the path",
        "morpho: 1 of 2 pictures failed",
    ]


def test_json_is_one_object_per_line(capsys: Capture) -> None:
    put("a.png", "ü .png")
    status, out, err = report(capsys, "a.png", "ü .png", "c.png", json=True, workers=1)
    records = [json.loads(line) for line in out.splitlines()]
    assert status == 1
    assert [record["input"] for record in records] == ["a.png", "ü .png", "c.png"]
    assert [record["status"] for record in records] == ["done", "done", "failed"]
    assert records[2]["error"] == "c.png does not exist: check the path"
    assert "c.png does not exist" in err


def test_quiet_says_only_what_failed(capsys: Capture) -> None:
    put("a.png", "a_big.png")
    assert report(capsys, "a.png", "a_big.png", quiet=True, skip_existing=True) == (0, "", "")
    assert report(capsys, "b.png", quiet=True)[1:] == ("", "morpho: b.png does not exist: check the path\n")


def test_no_progress_bar_in_a_pipe(capsys: Capture) -> None:
    put("a.png", "b.png")
    assert report(capsys, "a.png", "b.png")[2] == ""


@pytest.mark.parametrize(("name", "options"), [("--json", Options(json=True)), ("--compare", Options(compare=True))])
def test_stdout_holds_one_thing(name: str, options: Options) -> None:
    with pytest.raises(InputError, match=f"{name} does not go with a picture on stdout"):
        photos.plan(["-"], options, suffix="_big", fields={})


def test_no_picture_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    with pytest.raises(InputError, match="not printed on a terminal"):
        photos.plan(["-"], Options(), suffix="_big", fields={})


# --- comparison sheets ---


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_sheet_shows_both(channels: int, dtype: type[np.uint8] | type[np.uint16]) -> None:
    peak = np.iinfo(dtype).max
    before = Picture(np.full((3, 4, channels), peak, dtype))
    after = double(before)
    after.pixels[..., 0] = peak // 2
    sheet = compare_sheet(before, after).pixels
    assert sheet.dtype == np.uint8
    assert sheet.shape == (6, 8 + 3 + 8, channels)
    assert (sheet[:, :8] == 255).all()
    assert (sheet[:, 11:, 0] == 127).all()
    if channels in (2, 4):
        assert (sheet[..., -1] == 255).all()
        assert (sheet[:, 8:11, 0] == [0, 255, 0]).all()


def test_sheets_lie_beside_the_results() -> None:
    put("a.png")
    assert run("a.png", compare=True, output="out/")[0] == 0
    assert files() == ["a.png", "out/a_big.png", "out/a_big_compare.png"]
    np.testing.assert_array_equal(read("out/a_big_compare.png").pixels[:, -10:], double(read("a.png")).pixels)
    status, [record] = run("a.png", compare=True, output="out/")
    assert (status, record["status"]) == (1, "failed")
    Path("out/a_big.png").unlink()
    assert "a_big_compare.png exists" in run("a.png", compare=True, output="out/")[1][0]["error"]
    assert not Path("out/a_big.png").exists()


def test_plan_of_nothing_is_fine() -> None:
    assert photos.run(Plan((), False), double, Options(), label="double") == 0
