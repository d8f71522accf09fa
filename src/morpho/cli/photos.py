"""What verbs that turn pictures into pictures have in common: a run over many, with its reports."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from time import perf_counter
from typing import Any

from morpho.cli.compare import compare_sheet
from morpho.cli.inputs import Shard
from morpho.cli.names import sheet_of
from morpho.cli.options import Options
from morpho.cli.plan import Job, Plan, make_plan
from morpho.console import format_seconds, note, printable, progress
from morpho.errors import ImageError, InputError, MorphoError, OutputExistsError
from morpho.images.io import read, write
from morpho.images.picture import Picture

__all__ = ["Outcome", "Transform", "WriteCube", "plan", "run"]

Transform = Callable[[Picture], Picture]
#: Writes the lookup table of a picture to a new file.
WriteCube = Callable[[Picture, Path], None]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one job: ``done``, ``skipped`` or ``failed``; sizes in pixels, times in seconds."""

    input: str
    output: str
    status: str
    width: int | None = None
    height: int | None = None
    seconds: float = 0.0
    work_seconds: float = 0.0
    error: str | None = None
    cube: str | None = None

    def record(self, label: str) -> dict[str, Any]:
        """The record of ``--json``; only verbs that write lookup tables have ``cube`` in it."""
        record = {**vars(self), "model": label}
        return record if self.cube is not None else {key: value for key, value in record.items() if key != "cube"}

    def line(self, label: str) -> str:
        """One line for a person."""
        text = f"{printable(self.input)} -> {printable(self.output)}"
        if self.width is None or self.height is None:
            return f"{text}  {self.status}"
        speed = self.width * self.height / 1e6 / max(self.work_seconds, 1e-9)
        return (
            f"{text}  {self.width} x {self.height}  {format_seconds(self.seconds)}  "
            f"({label}: {format_seconds(self.work_seconds)}, {speed:.3g} MP/s)"
        )


def plan(
    inputs: Sequence[str], options: Options, *, suffix: str, fields: dict[str, str], cube: str | None = None
) -> Plan:
    """Find the pictures and name the results, as `make_plan` does with these options.

    Args:
        inputs: what the person typed.
        options: the options.
        suffix: what is put behind the stem where no name is given, such as ``_x4``.
        fields: the verb's own fields of templates.
        cube: where the pictures' lookup tables go, if they are written.

    Raises:
        MorphoError: as `make_plan`.
    """
    plan = make_plan(
        inputs,
        output=options.output,
        suffix=suffix,
        fields=fields,
        recursive=options.recursive,
        format=options.format,
        shard=None if options.shard is None else Shard.parse(options.shard),
        overwrite=options.overwrite,
        sheets=options.compare,
        cube=cube,
    )
    if any(job.target is None for job in plan.jobs):
        _check_stdout(options)
    return plan


def _check_stdout(options: Options) -> None:
    for name, asked in (("--json", options.json), ("--compare", options.compare)):
        if asked:
            raise InputError(f"{name} does not go with a picture on stdout: give a file with -o")
    if sys.stdout.isatty():
        raise InputError("a picture is not printed on a terminal: redirect stdout, or give a file with -o")


def run(
    plan: Plan,
    transform: Transform,
    options: Options,
    *,
    label: str,
    prepare: Transform | None = None,
    write_cube: WriteCube | None = None,
) -> int:
    """Make all pictures of a plan; one that fails is reported, and the rest go on.

    Args:
        plan: the jobs.
        transform: makes the new picture; must allow several threads at once.
        options: what the person asked for.
        label: what does the work, for the report: ``hklut-s-x4``.
        prepare: what is done to a picture before anything else, such as a conversion of its colours.
        write_cube: writes the lookup table of a prepared picture, where the plan has a name for it.

    Returns:
        The exit status: 0 where all pictures were made or skipped, else 1.
    """
    for text in plan.notes:
        if not options.quiet:
            note(text)
    count = len(plan.jobs)
    failures = 0
    worker = _Worker(transform, options, plan.make_folders, prepare, write_cube)
    shown = count > 1 and not options.quiet
    bar: AbstractContextManager[Callable[..., None]] = (
        progress(label, total=count) if shown else nullcontext(lambda steps: None)
    )
    with bar as advance:
        for outcome in _outcomes(worker, plan.jobs, options.workers_for(count)):
            advance(1)
            failures += outcome.status == "failed"
            _report(outcome, options, label)
    if failures and count > 1:
        note(f"{failures} of {count} pictures failed")
    return 1 if failures else 0


def _report(outcome: Outcome, options: Options, label: str) -> None:
    if outcome.error is not None:
        note(outcome.error)
    if options.json:
        print(json.dumps(outcome.record(label), ensure_ascii=False), flush=True)
    elif outcome.error is None and not options.quiet:
        print(outcome.line(label), file=sys.stderr if outcome.output == "-" else sys.stdout, flush=True)


def _outcomes(worker: _Worker, jobs: Sequence[Job], workers: int) -> Iterator[Outcome]:
    """Do the jobs, and give what became of each as soon as it is known.

    The first Ctrl-C ends the run after what is being written: no result is left half done.
    """
    if workers == 1:
        yield from map(worker, jobs)
        return
    left = iter(jobs)
    running: set[Future[Outcome]] = set()
    with ThreadPoolExecutor(workers) as pool:
        try:
            # A few more than can run keep the workers busy; all at once would take memory for a million.
            while running := running | {
                pool.submit(worker, job) for job in itertools.islice(left, 2 * workers - len(running))
            }:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        finally:
            worker.stop.set()
            pool.shutdown(cancel_futures=True)


class _Stopped(Exception):
    """The run was interrupted before this job's result was written."""


class _Worker:
    """Does one job after the other, in any number of threads."""

    def __init__(
        self,
        transform: Transform,
        options: Options,
        make_folders: bool,
        prepare: Transform | None,
        write_cube: WriteCube | None,
    ) -> None:
        self._prepare = prepare or (lambda picture: picture)
        self._transform = transform
        self._write_cube = write_cube
        self._options = options
        self._make_folders = make_folders
        self.stop = Event()

    def __call__(self, job: Job) -> Outcome:
        blank = Outcome(input=str(job.source or "-"), output=str(job.target or "-"), status="skipped")
        if self._options.skip_existing and job.target is not None and job.target.exists():
            return blank
        start = perf_counter()
        try:
            self._check_targets(job)
            picture = self._prepare(read(job.source or sys.stdin.buffer))
            begin = perf_counter()
            result = self._transform(picture)
            work = perf_counter() - begin
            self._write(job, picture, result)
        except (BrokenPipeError, _Stopped):
            raise
        except Exception as error:
            return replace(blank, status="failed", seconds=_since(start), error=_sentence(error, blank.input))
        return replace(
            blank,
            status="done",
            width=result.width,
            height=result.height,
            seconds=_since(start),
            work_seconds=round(work, 6),
            cube=None if job.cube is None else str(job.cube),
        )

    def _check_targets(self, job: Job) -> None:
        """Fail before the work rather than after it."""
        for target in job.files:
            if target.exists() and not self._options.overwrite:
                option = "--cube" if target == job.cube else "-o"
                raise OutputExistsError(
                    f"{target} exists: add --overwrite to replace it, --skip-existing to keep it, "
                    f"or choose another name with {option}"
                )
            if self._make_folders or target == job.cube:
                _make_folder(target.parent)
            elif not target.parent.is_dir():
                raise ImageError(f"the folder of {target} does not exist: make it first, or name another with -o")

    def _write(self, job: Job, picture: Picture, result: Picture) -> None:
        if self.stop.is_set():
            raise _Stopped
        self._write_one(result, job.target or sys.stdout.buffer, job.source)
        if job.target is not None and job.sheet:
            self._write_one(compare_sheet(picture, result), sheet_of(job.target), job.source)
        if job.cube is not None and self._write_cube is not None:
            self._write_cube(picture, job.cube)

    def _write_one(self, picture: Picture, target: Any, source: Path | None) -> None:
        options = self._options
        write(
            picture,
            target,
            format=options.format,
            quality=options.quality,
            strip=options.strip,
            overwrite=options.overwrite,
            source=source,
        )


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ImageError(f"the folder {folder} cannot be made ({error.strerror}): name another with -o") from error


def _since(start: float) -> float:
    return round(perf_counter() - start, 6)


def _sentence(error: Exception, name: str) -> str:
    """What went wrong, naming the picture."""
    if isinstance(error, MemoryError):
        return f"{name}: the memory does not suffice for the result: use a smaller scale or picture"
    text = (
        str(error)
        if isinstance(error, MorphoError)
        else f"{type(error).__name__}: {error} (unexpected, please report it)"
    )
    return text if name in text else f"{name}: {text}"
