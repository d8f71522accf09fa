"""The command line: which verbs there are, and how they end.

Exit status: 0 all good; 1 something failed, said in one sentence on stderr; 2 the command line itself is
wrong; 130 interrupted; 141 the reader of a pipe went away. ``--debug`` shows the traceback of a failure.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from io import TextIOWrapper
from typing import TYPE_CHECKING, NamedTuple

from morpho import __version__
from morpho.console import note
from morpho.errors import MorphoError

if TYPE_CHECKING:
    from cyclopts import App

__all__ = ["VERBS", "Verb", "build", "main"]


class Verb(NamedTuple):
    """One verb: what a person types (one or two words), where its function lives, its line in the help."""

    name: str
    function: str
    help: str


#: Every verb is one line here. Its module is imported only when the verb is used, so the help stays fast.
VERBS = (
    Verb("upscale", "morpho.cli.upscale:upscale", "Make pictures larger by lookup tables."),
    Verb("enhance", "morpho.cli.enhance:enhance", "Retouch photographs by lookup tables."),
    Verb("fit", "morpho.cli.fit:fit", "Store pictures, videos and shapes as small neural fields."),
    Verb("render", "morpho.cli.render:render", "Decode a field to a picture, video or mesh, at any size."),
    Verb("compress", "morpho.cli.compress:compress", "Replace a network's layers by butterflies: few parameters."),
    Verb("lut apply", "morpho.cli.lut:apply", "Apply a .cube file or Hald picture to pictures."),
    Verb("lut info", "morpho.cli.lut_info:info", "Say what a table does to colours, and what is wrong with it."),
    Verb("lut convert", "morpho.cli.lut_files:convert", "Write a table in another format, dialect or size."),
    Verb("lut mix", "morpho.cli.lut_files:mix", "Mix two tables, or weaken one."),
    Verb("lut compose", "morpho.cli.lut_files:compose", "Make one table of several that follow each other."),
    Verb(
        "butterfly chains",
        "morpho.cli.butterfly_chains:butterfly_chains",
        "Search chains of factors for a layer's size, or describe one; draw it.",
    ),
    Verb("list", "morpho.cli.list:list_artifacts", "List the tables and weights that morpho ships."),
    Verb("info", "morpho.cli.info:info", "Say what a file is: an artefact's card, a picture's properties."),
    Verb("check", "morpho.cli.check:check", "Report versions, processor, GPU, caches of this installation."),
    Verb("cite", "morpho.cli.cite:cite", "Print the BibTeX of the papers behind the verbs."),
    Verb("demo", "morpho.cli.demo:demo", "Retouch and upscale a photograph that is shipped, and time it."),
    Verb("train upscale", "morpho.cli.train_upscale:train_upscale", "Make upscaling tables from photographs."),
    Verb(
        "train enhance", "morpho.cli.train_enhance:train_enhance", "Make retouching tables from photographs or pairs."
    ),
    Verb(
        "train butterfly",
        "morpho.cli.train_butterfly:train_butterfly",
        "Make a small network, taught by a large one; or the large one.",
    ),
    Verb(
        "eval upscale",
        "morpho.cli.eval_upscale:eval_upscale",
        "Measure PSNR and SSIM on a folder of pictures.",
    ),
    Verb(
        "eval enhance",
        "morpho.cli.eval_enhance:eval_enhance",
        "Measure PSNR, SSIM and CIEDE2000 on retouched pairs.",
    ),
    Verb("eval butterfly", "morpho.cli.eval_butterfly:eval_butterfly", "Measure the accuracy of compressed networks."),
    Verb("eval fields", "morpho.cli.eval_fields:eval_fields", "Measure a field against its original."),
    Verb("bench upscale", "morpho.cli.bench_upscale:bench_upscale", "Time upscaling beside other ways."),
    Verb("bench enhance", "morpho.cli.bench_enhance:bench_enhance", "Time retouching, step by step and as a whole."),
    Verb("bench butterfly", "morpho.cli.bench_butterfly:bench_butterfly", "Time butterfly layers beside dense ones."),
    Verb("bench fields", "morpho.cli.bench_fields:bench_fields", "Fit every model of fields to a picture of yours."),
)

#: The first words of two-word verbs.
GROUPS = {
    "butterfly": "Search and draw chains of butterfly factors.",
    "bench": "Measure speed beside what else there is.",
    "eval": "Measure quality by a paper's protocol.",
    "lut": "Apply, inspect and convert lookup tables of colours.",
    "train": "Make new tables or weights.",
}

_USAGE = 2
_INTERRUPTED = 130
_BROKEN_PIPE = 141


def build(verbs: Sequence[Verb] = VERBS) -> App:
    """Make the cyclopts application, without importing any verb."""
    from cyclopts import App, Parameter

    app = App(
        name="morpho",
        version=f"morpho {__version__}",
        help="Vision models small enough for the edge and sturdy enough for the open world.",
        help_epilogue="Every verb takes --help; --debug shows the traceback of a failure.",
        help_format="plaintext",
        default_parameter=Parameter(negative=()),  # no --no-json beside --json
        suppress_keyboard_interrupt=False,
        result_action="return_value",
    )
    groups: dict[str, App] = {}
    for position, verb in enumerate(verbs):
        first, _, second = verb.name.partition(" ")
        if second and first not in groups:
            groups[first] = App(name=first, help=GROUPS[first], version_flags=())
            app.command(groups[first])
        parent = groups[first] if second else app
        parent.command(verb.function, name=second or first, help=verb.help, sort_key=position)
    return app


def main(tokens: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit status.

    Args:
        tokens: the words after ``morpho``; those of this process by default.
    """
    words, debug = _without_debug(list(sys.argv[1:] if tokens is None else tokens))
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a table must not fail on a code page without its lines
    try:
        status = _run(words)
        sys.stdout.flush()  # here, where a broken pipe is still ours to handle
    except MorphoError as error:
        return _failed(str(error), debug=debug)
    except KeyboardInterrupt:
        note("interrupted")
        return _INTERRUPTED
    except BrokenPipeError:
        # `morpho list | head`: nothing is wrong, and the interpreter must not flush into the closed pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        return _failed(f"{error.strerror or error}{where}", debug=debug)
    except Exception as error:
        what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        return _failed(f"{what} (unexpected: repeat with --debug and report it)", debug=debug)
    return status


def _run(words: Sequence[str]) -> int:
    from cyclopts import CycloptsError

    try:
        status = build()(words, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        verb = " ".join(error.command_chain or ())
        note(f"{error} (see `morpho {verb} --help`)".replace("  ", " "))
        return _USAGE
    return status if isinstance(status, int) else 0


def _without_debug(words: list[str]) -> tuple[list[str], bool]:
    """Take ``--debug`` out of the words before ``--``; names behind it get a ./, lest they be taken for options."""
    end = words.index("--") if "--" in words else len(words)
    kept = [word for word in words[:end] if word != "--debug"]
    names = words[end + 1 :]
    if words[:1] != ["cite"]:  # its names are no files
        names = [f"./{word}" if word[:1] == "-" != word else word for word in names]
    return kept + words[end : end + 1] + names, len(kept) < end


def _failed(message: str, *, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    note(message)
    return 1
