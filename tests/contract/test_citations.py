"""Every system can be cited, and nothing in a citation is empty."""

from __future__ import annotations

import re

import pytest

from morpho.citation import CITATIONS, cite
from morpho.errors import InputError
from tests.contract.floors import FLOORS

VERBS = ["upscale", "enhance", "fit", "render", "compress", "harden", "audit", "backdoor", "autolabel"]
ENTRY = re.compile(r"@(inproceedings|article|misc)\{(\w+),\n((?:  \w+ = \{[^{}]+\},\n)+)\}")


def test_there_are_the_nine_systems() -> None:
    assert len(CITATIONS) == 9
    assert len([room for room, floor in FLOORS.items() if floor == 3]) == 7  # fr and sar share a room with audit


@pytest.mark.parametrize("key", CITATIONS)
def test_entry_is_well_formed(key: str) -> None:
    found = ENTRY.fullmatch(CITATIONS[key].bibtex())
    assert found is not None
    assert found[2] == key
    assert re.fullmatch(r"\d{4}\.\d{5}", CITATIONS[key].fields["eprint"])


@pytest.mark.parametrize("key", CITATIONS)
def test_what_is_not_known_is_said(key: str) -> None:
    fields = CITATIONS[key].fields
    lacking = {"title", "author"} - set(fields)
    assert not lacking or "not recorded here" in fields["note"]


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_its_papers(verb: str) -> None:
    assert ENTRY.match(cite(verb))


def test_harden_rests_on_two_papers_and_each_is_printed_once() -> None:
    assert [found[1] for found in ENTRY.findall(cite("harden"))] == ["fr", "sar"]
    assert cite("SAR", "harden", "fr").count("@misc{") == 2


def test_without_a_name_all_are_printed() -> None:
    assert [found[1] for found in ENTRY.findall(cite())] == list(CITATIONS)


def test_unknown_name_lists_the_known() -> None:
    with pytest.raises(InputError, match="nothing to cite under 'yolo': use one of upscale"):
        cite("yolo")
