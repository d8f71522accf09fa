"""Every number in README and docs comes from a record; and the check for that notices a stale page."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.render_tables import fill, main, pages, render
from morpho.errors import DataError
from morpho.records import Record

EMPTY = "# Page\n\n<!-- results:toy -->\n<!-- /results -->\n\nEnd.\n"


def record(**changes: object) -> Record:
    plain: dict[str, object] = {
        "name": "toy",
        "title": "A toy",
        "command": "morpho bench toy",
        "protocol": "Best of 3.",
        "columns": ["what", "PSNR", "bytes", "source"],
        "rows": [["ours|x", 30.4, 1024, None], ["theirs", 30.34, None, "paper"]],
        "seeds": [0, 1],
        "n": 5,
        "wall_seconds": 1.25,
        "machine": {"cpu": "Toy", "cores": 2, "python": "3.11"},
        "commit": "abc",
        "date": "2026-01-02",
    }
    return Record(**plain | changes)  # type: ignore[arg-type]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").write_text(EMPTY)
    (tmp_path / "docs" / "upscale.md").write_text(EMPTY)
    record().write(tmp_path / "results")
    return tmp_path


def test_pages_of_this_checkout_are_fresh(root: Path) -> None:
    assert main(["--check", "--root", str(root)]) == 0, "run: python benchmarks/render_tables.py"


def test_records_of_this_checkout_are_whole(root: Path) -> None:
    for path in (root / "results").glob("*.json"):
        assert Record.read(path).rows


def test_check_notices_a_stale_page_and_changes_nothing(checkout: Path) -> None:
    assert main(["--check", "--root", str(checkout)]) == 1
    assert (checkout / "README.md").read_text() == EMPTY
    assert main(["--root", str(checkout)]) == 0
    assert main(["--check", "--root", str(checkout)]) == 0


def test_check_notices_a_number_changed_by_hand_and_a_new_measurement(checkout: Path) -> None:
    main(["--root", str(checkout)])
    page = checkout / "docs" / "upscale.md"
    page.write_text(page.read_text().replace("30.34", "31.34"))
    assert main(["--check", "--root", str(checkout)]) == 1
    main(["--root", str(checkout)])
    record(n=6).write(checkout / "results")
    assert main(["--check", "--root", str(checkout)]) == 1


def test_table_lines_up_and_says_how_to_repeat_it() -> None:
    assert render(record()) == (
        "**A toy**\n\n"
        "| what | PSNR | bytes | source |\n"
        "| --- | ---: | ---: | --- |\n"
        "| ours\\|x | 30.40 | 1024 | – |\n"
        "| theirs | 30.34 | – | paper |\n\n"
        "Best of 3. n = 5, seeds 0, 1. Repeat with `morpho bench toy` "
        "(1.25 s on Toy, 2 cores, Python 3.11; commit abc, 2026-01-02).\n"
    )


def test_small_numbers_are_not_rounded_away() -> None:
    text = render(record(columns=["x"], rows=[[1.5e-7], [0.25], [1 / 3]]))
    assert "| 1.5e-07 |\n| 0.2500 |\n| 0.3333 |" in text


def test_missing_measurement_is_said(tmp_path: Path) -> None:
    assert "_Not measured yet: there is no `results/toy.json`._" in fill(EMPTY, tmp_path)


@pytest.mark.parametrize("text", ["<!-- results:toy -->\n", "<!-- /results -->", EMPTY.replace("toy", "../x")])
def test_broken_block_is_an_error(text: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="needs its"):
        fill(text, tmp_path)


def test_text_around_blocks_is_untouched(checkout: Path) -> None:
    main(["--root", str(checkout)])
    text = (checkout / "README.md").read_text()
    assert text.startswith("# Page\n\n<!-- results:toy -->\n**A toy**")
    assert text.endswith("<!-- /results -->\n\nEnd.\n")
    assert len(pages(checkout)) == 2
