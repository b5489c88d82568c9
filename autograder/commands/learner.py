"""What a learner types: start, lab, check, watch, hint, status, submit, doctor."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from .asking import ask_blank, ask_which, ask_whose, name_later_one, warn
from .common import console

if TYPE_CHECKING:
    from ..learner.check import Result
    from ..learner.start import Begun
    from ..learner.state import Kept
    from ..learner.tasks import Lesson

app = typer.Typer()

MaybeWeek = Annotated[
    str,
    typer.Argument(
        help="a week (default: that of the folder you are in, else the one you saved last), or its exercise",
        metavar="[WEEK]",
        show_default=False,
    ),
]
MaybeExercise = Annotated[str, typer.Argument(help="one exercise, by name or number", show_default=False)]


@app.command()
def start(
    week: Annotated[str, typer.Argument(help="a week: 1, week01 or week01_attention", metavar="WEEK")] = "",
    every: Annotated[bool, typer.Option("--all", help="every released week")] = False,
    again: Annotated[bool, typer.Option("--again", help="merge an update of the course into your copy")] = False,
) -> None:
    """Copy a released week into work/, where you answer it. Never overwrites an answer.

    Beside it stands LOG.md, your log with the week's readings, which is written once. Where you renamed your notebook
    it asks, and makes no blank one beside it. Where the course was updated, --again brings the new text, tests and
    pictures into your copy. Your answers and your own cells stay in their places, and the former file is kept in
    work/WEEK/backups/.

    Example: [bold]workbook start 1[/bold]
    """
    from ..core.errors import WorkbookError
    from ..learner.released import open_released
    from ..learner.renamed import elsewhere
    from ..learner.start import start_week
    from ..week.locate import find_root, released_weeks, week_name

    root = find_root()
    if bool(week) == every:
        raise typer.BadParameter("name a week, or say --all")
    for name in released_weeks(root) if every else [week_name(root, week)]:
        try:
            if elsewhere(root, name):
                ask_which(root, open_released(root, name))
            _say_begun(root, start_week(root, name, again=again))
        except WorkbookError as error:
            if not every:
                raise
            warn(str(error))  # the other weeks can be worked on


def _say_begun(root: Path, begun: Begun) -> None:
    from ..learner.start import RELOAD

    for path, state in begun.files:
        console.print(f"{path.relative_to(root)}: {state}", highlight=False)
    for change in begun.changes:
        console.print(f"  {escape(change)}", highlight=False)
    for backup in begun.backups:
        console.print(f"your former copy: {backup.relative_to(root)}", highlight=False)
    if begun.changes:
        console.print(RELOAD)
    if begun.update:
        number = int(begun.week[4:6])
        console.print(f"the course has an update of this week: [bold]workbook start {number} --again[/bold] merges it")


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def lab(context: typer.Context) -> None:
    """Copy new weeks into work/, write work/start.md, and open JupyterLab with that page. Overwrites nothing of yours.

    Further words go to JupyterLab. Its buttons for instructors (nbgrader) are left out of this server; your own
    settings of Jupyter stay as they are.

    Example: [bold]workbook lab --port 9000[/bold]
    """
    from ..learner import lab, start_page
    from ..learner.start import start_week
    from ..week.locate import find_root, released_weeks

    root = find_root()
    for name in released_weeks(root):
        _say_begun(root, start_week(root, name))
    state = start_page.write_start_page(root)
    console.print(f"{start_page.page_path(root).relative_to(root)}: {state}", highlight=False)
    lab.run(root, context.args)


@app.command()
def check(
    week: MaybeWeek = "",
    exercise: MaybeExercise = "",
    fresh: Annotated[bool, typer.Option("--fresh", help="run what did not change, too")] = False,
) -> None:
    """Run the visible tests on your notebook in work/, and say of each exercise what is wrong.

    In a week's folder its exercises can be named alone: workbook check sdpa. Exits with 0 when all tests pass, with 1
    otherwise.

    Example: [bold]workbook check 1 sdpa[/bold]
    """
    from ..core.errors import short
    from ..learner import check, views
    from ..learner.locations import notebook_path
    from ..learner.ownership import remember_answers
    from ..learner.released import open_released
    from ..learner.start import read_copy
    from ..learner.state import Kept
    from ..learner.tasks import lesson_of
    from ..learner.wanted import wanted
    from ..week.locate import find_root

    root = find_root()
    name, exercise = wanted(root, week, exercise)
    released = open_released(root, name)
    ask_which(root, released)
    lesson = lesson_of(released, read_copy(root, name)[0], notebook_path(root, name).parent)
    asked = [exercise] if exercise else list(lesson.tasks)
    kept = Kept.of(root, name)
    results = check.known(lesson, kept)
    to_run = [one for one in asked if one not in results or (results[one].fingerprint and (fresh or exercise))]
    if to_run:
        ask_whose(root, lesson, kept)
        try:
            _run(lesson, kept, to_run, results)
        finally:  # also after Ctrl-C: what was found is found
            _save(kept)
    results = check.with_blame(lesson, results)
    numbers = {one: place for place, one in enumerate(lesson.tasks, 1)}
    name_later_one(root, released)
    console.print(escape(short(notebook_path(root, name))), style="bright_black", highlight=False)
    console.print(views.results_table([results[one] for one in asked], numbers), highlight=False)
    if not exercise:
        console.print(views.week_line(results, released.week, console.width), highlight=False)
    step = _after_check(released.week.number, lesson.unanswered, [results[one] for one in asked], alone=bool(exercise))
    console.print(f"next: {escape(step)}", highlight=False)
    remember_answers(lesson, kept)
    _save(kept)
    if not all(results[one].passed for one in asked):
        sys.exit(1)


def _run(lesson: Lesson, kept: Kept, names: list[str], results: dict[str, Result]) -> None:
    """Check some exercises, with a line about what is waited for; each result is noted as soon as it is there."""
    from ..learner import check
    from ..learner.backend import open_bench
    from ..learner.waiting import waiting

    with waiting(console, "starting") as tell:
        bench = open_bench(lesson.released.week.info.libraries, tell=tell)
        try:
            if bench.note:
                warn(bench.note)
            for result in check.check(lesson, bench, names):
                results[result.exercise] = result
                check.remember(kept, result)
        finally:
            bench.close()


def _save(kept: Kept) -> None:
    """Keep what was found; where that cannot be done, what is shown is true all the same."""
    try:
        kept.save()
    except OSError as error:
        warn(f"what was found is not kept for later ({kept.path.name}: {error.strerror})")


def _after_check(number: int, unanswered: tuple[str, ...], results: list[Result], alone: bool) -> str:
    from ..learner.check import UNWRITTEN

    for result in results:
        if result.blamed:
            return f"workbook check {number} {result.blamed[0]}"
        if not result.passed and result.state != UNWRITTEN:
            return f"workbook hint {number} {result.exercise}"
    for result in results:
        if not result.passed:
            return f"write {result.exercise} (cell {result.number}), save, then workbook check {number}"
    if alone:
        return f"workbook check {number}"
    questions = f"answer the written questions ({', '.join(unanswered)}), then " if unanswered else ""
    return f"{questions}workbook submit {number}"


@app.command()
def watch(week: MaybeWeek = "", exercise: MaybeExercise = "") -> None:
    """Check again whenever you save: only what changed, and what depends on it. Keys: check, hint, list, reset, quit.

    Works beside JupyterLab, VS Code, or any other program that writes the notebook.

    Example: [bold]workbook watch 1[/bold]
    """
    from ..core.errors import WorkbookError
    from ..learner.ownership import remember_answers
    from ..learner.released import open_released
    from ..learner.state import Kept
    from ..learner.tasks import open_lesson
    from ..learner.wanted import wanted
    from ..learner.watch import watch_week
    from ..week.locate import find_root

    root = find_root()
    name, exercise = wanted(root, week, exercise)
    ask_which(root, open_released(root, name))
    with suppress(WorkbookError):  # `watch` waits until the notebook can be read
        kept, lesson = Kept.of(root, name), open_lesson(root, name)
        ask_whose(root, lesson, kept)
        remember_answers(lesson, kept)
        _save(kept)
    watch_week(root, name, console, exercise)


@app.command()
def hint(
    week: MaybeWeek = "",
    exercise: MaybeExercise = "",
    every: Annotated[bool, typer.Option("--all", help="all hints at once")] = False,
) -> None:
    """Show a hint for an exercise, one more each time: the idea, pseudocode, nearly code.

    In a week's folder its exercises can be named alone: workbook hint sdpa.

    Example: [bold]workbook hint 1 sdpa[/bold]
    """
    from ..core.errors import WorkbookError
    from ..learner.hint import next_hints
    from ..learner.released import open_released
    from ..learner.state import Kept
    from ..learner.views import hint_panel
    from ..learner.wanted import wanted
    from ..week.locate import find_root

    root = find_root()
    of_week, name = wanted(root, week, exercise)
    released = open_released(root, of_week)
    if not name:
        names = list(released.week.exercises)
        number = released.week.number
        raise WorkbookError(
            f"a hint for which exercise of week {number}?",
            f"workbook hint {number} {names[0]}; its exercises: {', '.join(names)}",
        )
    kept = Kept.of(root, released.week.name)
    shown, last = next_hints(released, name, kept, every=every)
    for one in shown:
        console.print(hint_panel(one, last))
    if shown[-1].number < last:
        console.print(f"next: workbook hint {released.week.number} {name}", style="bright_black", highlight=False)
    _save(kept)


@app.command()
def status() -> None:
    """The scoreboard: how far you are in every week, the time that is planned for the rest, and the next step.

    Runs nothing: it shows what your last checks found. Hidden tests run when you submit.

    Example: [bold]workbook status[/bold]
    """
    from ..core.errors import WorkbookError
    from ..learner.status import scores
    from ..learner.views import score_table
    from ..week.locate import find_root

    found = scores(find_root())
    if not found:
        raise WorkbookError("no week is released", "get the course's weeks/ folder, or run `make weeks`")
    console.print(score_table(found, console.width), highlight=False)
    begun = [score for score in found if score.started and score.next_step]
    for score in begun or [score for score in found if score.next_step][:1]:
        console.print(f"week {score.number}: {escape(score.next_step)}", highlight=False)


@app.command()
def submit(
    week: Annotated[
        str,
        typer.Argument(help="a week (default: that of the folder you are in)", metavar="[WEEK]", show_default=False),
    ] = "",
    name: Annotated[str, typer.Option(help="your name, as your instructor knows it", show_default=False)] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only show what the grader will see")] = False,
    blank: Annotated[bool, typer.Option("--blank", help="submit it even if nothing is answered")] = False,
) -> None:
    """Submit a week: show what the grader will see, then write work/submissions/WEEK.zip with a receipt.

    Runs your whole notebook in order in a new process. Work that is not finished can be submitted, too; where nothing
    is answered, it asks.

    Example: [bold]workbook submit 1 --name "Ada Lovelace"[/bold]
    """
    from ..core.errors import WorkbookError, short
    from ..learner.backend import open_bench
    from ..learner.check import known
    from ..learner.locations import notebook_path
    from ..learner.released import open_released
    from ..learner.start import read_copy
    from ..learner.state import Kept
    from ..learner.submit import hand_in, preflight
    from ..learner.tasks import lesson_of
    from ..learner.views import preflight_report
    from ..learner.waiting import waiting
    from ..learner.wanted import week_here
    from ..week.locate import find_root

    root = find_root()
    if not (week or week_here(root)):
        raise WorkbookError("submit which week?", "workbook submit 1, or go to the folder of the week first")
    released = open_released(root, week or week_here(root))
    ask_which(root, released)
    notebook, content = read_copy(root, released.week.name)
    lesson = lesson_of(released, notebook, notebook_path(root, released.week.name).parent)
    name_later_one(root, released)
    if not (dry_run or blank):
        ask_blank(lesson, short(notebook_path(root, released.week.name)))
    ask_whose(root, lesson, Kept.of(root, released.week.name))
    with waiting(console, "running your notebook from top to bottom, as the grader does") as tell:
        bench = open_bench(released.week.info.libraries, tell=tell)
        try:
            kept = Kept.of(root, released.week.name)
            seen = preflight(root, lesson, content, bench, known(lesson, kept))
        finally:
            bench.close()
    if bench.note:
        warn(bench.note)
    console.print(preflight_report(seen, console.width), highlight=False)
    if dry_run:
        console.print("nothing was submitted (--dry-run)")
        return
    done = hand_in(root, seen, name or None)
    if done.former:
        console.print(f"the bundle from before: {short(done.former)}", highlight=False)
    console.print(f"submitted: [bold]{escape(short(done.path))}[/bold], {done.size / 1024:.0f} KiB", highlight=False)
    console.print(f"receipt:   {done.created}, sha256 {done.sha256[:16]}…", highlight=False)
    console.print("next:      give this file to your instructor", highlight=False)


@app.command()
def doctor() -> None:
    """Say what this machine has and lacks, for whom it matters, and how to fix it.

    Exits with 1 when something is missing that learners need.

    Example: [bold]workbook doctor[/bold]
    """
    from ..learner.doctor import LEARN, examine
    from ..week.locate import find_root

    findings = examine(find_root())
    for role in dict.fromkeys(finding.role for finding in findings):
        console.print(f"[bold]to {role}[/bold]")
        for finding in findings:
            if finding.role != role:
                continue
            mark = "[red]✗[/red]" if finding.remedy else "[green]✓[/green]"
            console.print(f"{mark} {finding.what}: {escape(finding.found)}", highlight=False)
            if finding.remedy:
                console.print(f"    {escape(finding.remedy)}", highlight=False)
    lacking = {finding.role for finding in findings if finding.remedy}
    if LEARN in lacking:
        sys.exit(1)
    if lacking:
        console.print(f"you can learn here; to {' and to '.join(sorted(lacking))}, fix what is marked ✗")
