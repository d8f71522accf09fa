"""The papers behind each verb, as BibTeX.

A field that the project's notes do not establish is left out rather than guessed; ``note`` then says so.
"""

from __future__ import annotations

from dataclasses import dataclass

from morpho.errors import InputError

__all__ = ["CITATIONS", "Citation", "cite"]


@dataclass(frozen=True, kw_only=True)
class Citation:
    """One paper.

    Attributes:
        key: the BibTeX key, as used in docstrings.
        system: the name by which the field knows it.
        verbs: the verbs of the command line that are built on it.
        kind: the BibTeX entry type.
        fields: the BibTeX fields, in the order in which they are printed.
    """

    key: str
    system: str
    verbs: tuple[str, ...]
    kind: str
    fields: dict[str, str]

    def bibtex(self) -> str:
        """Return the BibTeX entry.

        >>> print(CITATIONS["sar"].bibtex().splitlines()[0])
        @misc{sar,
        """
        lines = "".join(f"  {name} = {{{value}}},\n" for name, value in self.fields.items())
        return f"@{self.kind}{{{self.key},\n{lines}}}"


_NO_TITLE = "Title not recorded here: see the arXiv entry"
_NO_TITLE_NO_AUTHORS = "Title and authors not recorded here: see the arXiv entry"
_SURNAMES = "Authors' first names not recorded here: see the arXiv entry"

_ALL = (
    Citation(
        key="hklut",
        system="HKLUT",
        verbs=("upscale",),
        kind="inproceedings",
        fields={
            "title": "Hundred-Kilobyte Lookup Tables for Efficient Single-Image Super-Resolution",
            "author": ("Huang, B. and Li, J. C. L. and Ran, J. and Li, B. and Zhou, J. and Yu, D. and Wong, N."),
            "booktitle": "IJCAI",
            "year": "2024",
            "pages": "857--865",
            "eprint": "2312.06101",
            "archiveprefix": "arXiv",
        },
    ),
    Citation(
        key="icelut",
        system="ICELUT",
        verbs=("enhance",),
        kind="inproceedings",
        fields={
            "title": "Taming Lookup Tables for Efficient Image Retouching",
            "author": "Yang, S. and Huang, B. and Cao, M. and Ji, Y. and Guo, H. and Wong, N. and Yang, Y.",
            "booktitle": "ECCV",
            "year": "2024",
            "eprint": "2403.19238",
            "archiveprefix": "arXiv",
        },
    ),
    Citation(
        key="scone",
        system="SCONE",
        verbs=("fit", "render"),
        kind="inproceedings",
        fields={
            "booktitle": "AAAI",
            "year": "2024",
            "pages": "13492--13499",
            "eprint": "2312.17018",
            "archiveprefix": "arXiv",
            "note": f"Spatially-COllaged coordinate NEtwork (SCONE). {_NO_TITLE_NO_AUTHORS}",
        },
    ),
    Citation(
        key="alldebut",
        system="All-DeBut",
        verbs=("compress",),
        kind="article",
        fields={
            "journal": "IEEE Transactions on Neural Networks and Learning Systems",
            "volume": "36",
            "number": "1",
            "pages": "1919--1924",
            "eprint": "2311.08125",
            "archiveprefix": "arXiv",
            "note": f"All-DeBut. {_NO_TITLE_NO_AUTHORS}",
        },
    ),
    Citation(
        key="fr",
        system="FR",
        verbs=("harden",),
        kind="misc",
        fields={
            "howpublished": "AAAI-23 workshop on Practical Deep Learning",
            "eprint": "2212.12732",
            "archiveprefix": "arXiv",
            "note": f"Frequency regularization (FR). {_NO_TITLE_NO_AUTHORS}",
        },
    ),
    Citation(
        key="sar",
        system="SAR",
        verbs=("harden",),
        kind="misc",
        fields={
            "title": "A Spectral Perspective towards Understanding and Improving Adversarial Robustness",
            "author": "Huang and Lin and Tao and Wong",
            "year": "2023",
            "eprint": "2306.14262",
            "archiveprefix": "arXiv",
            "note": _SURNAMES,
        },
    ),
    Citation(
        key="fourier",
        system="Fourier-domain study",
        verbs=("audit",),
        kind="misc",
        fields={
            "author": "Huang and Tao and Lin and Wong",
            "year": "2022",
            "eprint": "2203.08739",
            "archiveprefix": "arXiv",
            "note": f"The Fourier-domain study of adversarial robustness. {_NO_TITLE}",
        },
    ),
    Citation(
        key="ppt",
        system="PPT",
        verbs=("backdoor",),
        kind="misc",
        fields={
            "title": "Poisoning-based Backdoor Attacks for Arbitrary Target Label with Positive Triggers",
            "author": "Huang, Binxiao and Li, Jason Chun Lok and Liu, Chang and Wong, Ngai",
            "year": "2024",
            "eprint": "2405.05573",
            "archiveprefix": "arXiv",
        },
    ),
    Citation(
        key="mtrans",
        system="MTrans",
        verbs=("autolabel",),
        kind="inproceedings",
        fields={
            "title": "Multimodal Transformer for Automatic 3D Annotation and Object Detection",
            "author": (
                "Liu, Chang and Qian, Xiaoyan and Huang, Binxiao and Qi, Xiaojuan and Lam, Edmund "
                "and Tan, Siew-Chong and Wong, Ngai"
            ),
            "booktitle": "ECCV",
            "year": "2022",
            "eprint": "2207.09805",
            "archiveprefix": "arXiv",
        },
    ),
)

#: Every paper by its key.
CITATIONS: dict[str, Citation] = {citation.key: citation for citation in _ALL}


def cite(*names: str) -> str:
    """Return the BibTeX entries of the papers behind some verbs or systems; of all of them without a name.

    Args:
        *names: verbs (``upscale``), keys (``hklut``) or names of systems (``All-DeBut``), in any case.

    Returns:
        Entries separated by an empty line, each paper once.

    Raises:
        InputError: a name is none of these.

    >>> print(cite("upscale").splitlines()[1].strip())
    title = {Hundred-Kilobyte Lookup Tables for Efficient Single-Image Super-Resolution},
    >>> cite("hklut") == cite("upscale")
    True
    """
    chosen = {citation.key: citation for name in names for citation in _matches(name)}
    return "\n\n".join(citation.bibtex() for citation in (chosen if names else CITATIONS).values())


def _matches(name: str) -> list[Citation]:
    wanted = name.lower()
    found = [c for c in _ALL if wanted in {c.key, c.system.lower(), *c.verbs}]
    if not found:
        known = ", ".join(dict.fromkeys(verb for c in _ALL for verb in c.verbs))
        raise InputError(
            f"nothing to cite under {name!r}: use one of {known}, or a system's key ({', '.join(CITATIONS)})"
        )
    return found
