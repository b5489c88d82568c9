"""What a learner types: start, lab, check, watch, hint, status, submit, doctor."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from .common import complaints, console

if TYPE_CHECKING:
    from ..learner.checking import Result
    from ..learner.copies import Begun
    from ..learner.kept import Kept
    from ..learner.lessons import Lesson

app = typer.Typer()

Week = Annotated[str, typer.Argument(help="a week: 1, week01 or week01_attention", metavar="WEEK")]
MaybeWeek = Annotated[
    str,
    typer.Argument(help="a week (default: the one you worked on last)", metavar="[WEEK]", show_default=False),
]


def _week(root: Path, asked: str) -> str:
    """The week that was asked for, or the one whose copy was saved last."""
    from ..course import released_weeks, week_name
    from ..errors import WorkbookError
    from ..learner.copies import notebook_path

    if asked:
        return week_name(root, asked)
    begun = [name for name in released_weeks(root) if notebook_path(root, name).exists()]
    if not begun:
        raise WorkbookError("no week is begun in work/", "workbook start 1")
    return max(begun, key=lambda name: notebook_path(root, name).stat().st_mtime)


@app.command()
def start(
    week: Annotated[str, typer.Argument(help="a week: 1, week01 or week01_attention", metavar="WEEK")] = "",
    every: Annotated[bool, typer.Option("--all", help="every released week")] = False,
    again: Annotated[bool, typer.Option("--again", help="merge an update of the course into your copy")] = False,
) -> None:
    """Copy a released week into work/, where you answer it. Never overwrites an answer.

    Where the course was updated, --again brings the new text, tests and pictures into your copy. Your answers and your
    own cells stay in their places, and the former file is kept in work/WEEK/backups/.

    Example: [bold]workbook start 1[/bold]
    """
    from ..course import find_root, released_weeks, week_name
    from ..learner.copies import start_week

    root = find_root()
    if bool(week) == every:
        raise typer.BadParameter("name a week, or say --all")
    for name in released_weeks(root) if every else [week_name(root, week)]:
        _say_begun(root, start_week(root, name, again=again))


def _say_begun(root: Path, begun: Begun) -> None:
    from ..learner.copies import RELOAD

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
    from ..course import find_root, released_weeks
    from ..learner import lab, start_page
    from ..learner.copies import start_week

    root = find_root()
    for name in released_weeks(root):
        _say_begun(root, start_week(root, name))
    state = start_page.write_start_page(root)
    console.print(f"{start_page.page_path(root).relative_to(root)}: {state}", highlight=False)
    lab.run(root, context.args)


@app.command()
def check(
    week: MaybeWeek = "",
    exercise: Annotated[str, typer.Argument(help="one exercise, by name or number", show_default=False)] = "",
    fresh: Annotated[bool, typer.Option("--fresh", help="run what did not change, too")] = False,
) -> None:
    """Run the visible tests on your notebook in work/, and say of each exercise what is wrong.

    Exits with 0 when all of them pass, with 1 otherwise.

    Example: [bold]workbook check 1 sdpa[/bold]
    """
    from ..course import find_root
    from ..errors import short
    from ..learner import checking, screens
    from ..learner.bench import open_bench
    from ..learner.copies import notebook_path
    from ..learner.kept import Kept
    from ..learner.lessons import exercise_name, open_lesson
    from ..learner.ownership import remember_answers

    root = find_root()
    name = _week(root, week)
    lesson = open_lesson(root, name)
    number = lesson.released.week.number
    asked = [exercise_name(lesson.released, exercise)] if exercise else list(lesson.tasks)
    kept = Kept.of(root, name)
    results = checking.known(lesson, kept)
    to_run = [one for one in asked if one not in results or (results[one].fingerprint and (fresh or exercise))]
    if to_run:
        _is_it_yours(root, lesson, kept)
        with console.status("starting (the first check of a while imports the week's libraries)"):
            bench = open_bench(lesson.released.week.info.libraries)
        try:
            if bench.note:
                complaints.print(f"[yellow]{escape(bench.note)}[/yellow]")
            with console.status("checking") as status:
                for result in checking.check(lesson, bench, to_run):
                    results[result.exercise] = result
                    checking.remember(kept, result)
                    status.update(f"checking: {result.exercise} done")
        finally:
            bench.close()
    results = checking.with_blame(lesson, results)
    numbers = {one: place for place, one in enumerate(lesson.tasks, 1)}
    console.print(escape(short(notebook_path(root, name))), style="bright_black", highlight=False)
    console.print(screens.results_table([results[one] for one in asked], numbers), highlight=False)
    if not exercise:
        console.print(screens.week_line(results, lesson.released.week), highlight=False)
    step = _after_check(number, lesson.unanswered, [results[one] for one in asked], alone=bool(exercise))
    console.print(f"next: {escape(step)}", highlight=False)
    remember_answers(lesson, kept)
    kept.save()
    if not all(results[one].passed for one in asked):
        sys.exit(1)


def _is_it_yours(root: Path, lesson: Lesson, kept: Kept) -> None:
    """Where the notebook may be somebody else's, say so before it runs; ask, where somebody can answer."""
    from ..learner.ownership import doubts
    from ..texts import for_terminal

    why = doubts(root, lesson, kept)
    if not why:
        return
    said = "This runs it as you are, without a sandbox: only do that if it is your own."
    complaints.print(f"[yellow]{for_terminal(why, 1_000)}. {said}[/yellow]", highlight=False)
    if sys.stdin.isatty():
        typer.confirm("Is it yours?", abort=True)


def _after_check(number: int, unanswered: tuple[str, ...], results: list[Result], alone: bool) -> str:
    from ..learner.checking import UNWRITTEN

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
def watch(week: MaybeWeek = "") -> None:
    """Check again whenever you save: only what changed, and what depends on it. Keys: hint, list, reset, quit.

    Works beside JupyterLab, VS Code, or any other program that writes the notebook.

    Example: [bold]workbook watch 1[/bold]
    """
    from ..course import find_root
    from ..errors import WorkbookError
    from ..learner.kept import Kept
    from ..learner.lessons import open_lesson
    from ..learner.ownership import remember_answers
    from ..learner.watching import watch_week

    root = find_root()
    name = _week(root, week)
    with suppress(WorkbookError):  # `watch` waits until the notebook can be read
        kept, lesson = Kept.of(root, name), open_lesson(root, name)
        _is_it_yours(root, lesson, kept)
        remember_answers(lesson, kept)
        kept.save()
    watch_week(root, name, console)


@app.command()
def hint(
    week: Week,
    exercise: Annotated[str, typer.Argument(help="an exercise, by name or number")],
    every: Annotated[bool, typer.Option("--all", help="all hints at once")] = False,
) -> None:
    """Show a hint for an exercise, one more each time: the idea, pseudocode, nearly code.

    Example: [bold]workbook hint 1 sdpa[/bold]
    """
    from ..course import find_root
    from ..learner.hinting import next_hints
    from ..learner.kept import Kept
    from ..learner.lessons import exercise_name
    from ..learner.released import open_released
    from ..learner.screens import hint_panel

    root = find_root()
    released = open_released(root, week)
    kept = Kept.of(root, released.week.name)
    name = exercise_name(released, exercise)
    shown, last = next_hints(released, name, kept, every=every)
    for one in shown:
        console.print(hint_panel(one, last))
    if shown[-1].number < last:
        console.print(f"next: workbook hint {released.week.number} {name}", style="bright_black", highlight=False)
    kept.save()


@app.command()
def status() -> None:
    """The scoreboard: how far you are in every week, the time that is planned for the rest, and the next step.

    Runs nothing: it shows what your last checks found. Hidden tests are run when you hand in.

    Example: [bold]workbook status[/bold]
    """
    from ..course import find_root
    from ..errors import WorkbookError
    from ..learner.scoreboard import scores
    from ..learner.screens import score_table

    found = scores(find_root())
    if not found:
        raise WorkbookError("no week is released", "get the course's weeks/ folder, or run `make weeks`")
    console.print(score_table(found), highlight=False)
    begun = [score for score in found if score.started and score.next_step]
    for score in begun or [score for score in found if score.next_step][:1]:
        console.print(f"week {score.number}: {escape(score.next_step)}", highlight=False)


@app.command()
def submit(
    week: Week,
    name: Annotated[str, typer.Option(help="your name, as your instructor knows it", show_default=False)] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only show what the grader will see")] = False,
) -> None:
    """Hand a week in: show what the grader will see, then write work/submissions/WEEK.zip with a receipt.

    Runs your whole notebook in order in a new process. Work that is not finished can be handed in, too.

    Example: [bold]workbook submit 1 --name "Ada Lovelace"[/bold]
    """
    from ..course import find_root
    from ..errors import short
    from ..learner.bench import open_bench
    from ..learner.copies import read_copy
    from ..learner.handing_in import hand_in, preflight
    from ..learner.kept import Kept
    from ..learner.lessons import lesson_of
    from ..learner.released import open_released
    from ..learner.screens import preflight_report

    root = find_root()
    released = open_released(root, week)
    notebook, content = read_copy(root, released.week.name)
    lesson = lesson_of(released, notebook)
    _is_it_yours(root, lesson, Kept.of(root, released.week.name))
    with console.status("running your notebook from top to bottom, as the grader does"):
        bench = open_bench(released.week.info.libraries)
        try:
            seen = preflight(root, lesson, content, bench)
        finally:
            bench.close()
    if bench.note:
        complaints.print(f"[yellow]{escape(bench.note)}[/yellow]")
    console.print(preflight_report(seen), highlight=False)
    if dry_run:
        console.print("nothing was handed in (--dry-run)")
        return
    done = hand_in(root, seen, name or None)
    if done.former:
        console.print(f"the bundle from before: {short(done.former)}", highlight=False)
    console.print(f"handed in: [bold]{escape(short(done.path))}[/bold], {done.size / 1024:.0f} KiB", highlight=False)
    console.print(f"receipt:   {done.created}, sha256 {done.sha256[:16]}…", highlight=False)
    console.print("next:      give this file to your instructor", highlight=False)


@app.command()
def doctor() -> None:
    """Say what this machine has and lacks, for whom it matters, and how to mend it.

    Exits with 1 when something is missing that learners need.

    Example: [bold]workbook doctor[/bold]
    """
    from ..course import find_root
    from ..doctor import LEARN, examine

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
        console.print(f"you can learn here; to {' and to '.join(sorted(lacking))}, mend what is marked ✗")
