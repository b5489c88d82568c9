"""What an instructor types beside `grade`: release, bundle, collect, feedback, report, export."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .common import CourseOption, WeekArgument, WeeksArgument, console

if TYPE_CHECKING:
    from ..submissions.wrapping import Question, Reading

app = typer.Typer()


@app.command()
def release(
    week: WeekArgument,
    course: CourseOption = None,
    pin: Annotated[
        bool, typer.Option("--pin", help="keep the class on this version, whatever the checkout has later")
    ] = False,
) -> None:
    """Build a week and put its cells, points and tests into the gradebook of a class.

    With --pin a copy of its source goes into course/pinned/, and the class is graded with that from now on.

    Example: [bold]workbook release week01 --pin[/bold]
    """
    from ..building.build import build_week, write_week
    from ..core.errors import WorkbookError, short
    from ..course.folder import Course
    from ..course.pins import pin as pin_to
    from ..course.pins import read_pins
    from ..gradebook.store import register
    from ..week.locate import find_root, open_week

    root = find_root()
    where = Course.at(root, course)
    built = build_week(open_week(root, week))
    if not pin and (known := read_pins(where).get(built.week.name)):
        what = f"this class is pinned to version {known.version} of {built.week.name}"
        raise WorkbookError(what, "nothing is left to release; --pin takes the version of the checkout")
    write_week(built, root)
    register(built, where)
    if pin:
        pin_to(where, built)
        console.print(
            f"pinned:    version {built.week.info.version}, {short(where.folder / 'pinned' / built.week.name)}"
        )
    console.print(f"hand out:  weeks/{built.week.name}/")
    console.print(f"gradebook: {short(where.gradebook)}")


@app.command()
def bundle(
    weeks: WeeksArgument = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="the archive, .zip or .tar.gz")] = Path(
        "build/bundle/workbook.zip"
    ),
) -> None:
    """Write the archive for learners: weeks/, shared/, their commands; no solution, no hidden test, no rubric.

    Equal sources give equal bytes. Refuses to write what shows a secret of any week.

    Example: [bold]workbook bundle week01 week02 --output build/workbook.zip[/bold]
    """
    from ..authoring.bundle import write_bundle
    from ..core.errors import short
    from ..week.locate import find_root, released_weeks, week_name

    root = find_root()
    names = [week_name(root, week) for week in weeks or ()] or released_weeks(root)
    path = output if output.is_absolute() else Path.cwd() / output
    files = write_bundle(root, names, path)
    size = path.stat().st_size / 2**20
    console.print(f"{short(path)}: {', '.join(names)}; {len(files)} files, {size:.1f} MiB", highlight=False)


@app.command()
def collect(
    source: Annotated[
        str, typer.Argument(help="a folder, a .zip or .tar.gz, one file, or the word exchange", metavar="SOURCE")
    ],
    week: WeekArgument,
    course: CourseOption = None,
    layout: Annotated[
        str, typer.Option(help="whose names the source has: canvas, moodle, ..., folders, loose; else they say it")
    ] = "",
    inside: Annotated[
        bool | None, typer.Option("--inside/--persons", help="the outer folders hold people's, or are people's")
    ] = None,
    groups: Annotated[bool, typer.Option("--groups", help="what one member submits is the whole group's")] = False,
) -> None:
    """Bring what was submitted into course/submitted/; the newest work counts, all attempts are kept with their dates.

    Takes a folder for each learner, loose notebooks, downloads of Canvas, Moodle, Blackboard, Brightspace, Gradescope,
    ILIAS and GitHub Classroom, the bundles of `workbook submit`, and nbgrader's exchange. Knows the class from
    course/roster.csv, if it is there: the list that your platform exports. What names leave open it asks, or refuses.

    Example: [bold]workbook collect ~/Downloads/submissions.zip week01[/bold]
    """
    from ..core.errors import short
    from ..course.folder import Course
    from ..submissions.collect import EXCHANGE, from_exchange
    from ..submissions.collect import collect as collect_from
    from ..submissions.layouts import by_option
    from ..submissions.wrapping import Reading
    from ..week.locate import find_root, week_name
    from .tables import print_collection, progress

    root = find_root()
    where = Course.at(root, course)
    name = week_name(root, week)
    reading = Reading(by_option(layout) if layout else None, inside)

    if source == EXCHANGE:
        with progress(f"collect {name}", console) as bar:
            done = from_exchange(where, name, bar.advance, groups)
    else:
        path = Path(source).expanduser()
        with progress(f"collect {name}", console) as bar:

            def ask(question: Question) -> Reading | None:
                with bar.paused():
                    return _asked(question)

            done = collect_from(path, where, name, bar.advance, reading=reading, whole_groups=groups, ask=ask)
    print_collection(done, console)
    console.print(f"to be graded: {short(where.submitted)}/LEARNER/{name}/", highlight=False)
    console.print(f"all attempts: {short(where.folder)}/attempts/LEARNER/{name}/", highlight=False)


def _asked(question: Question) -> Reading | None:
    """What the person at the terminal answers; None where there is nobody, or they leave the files out."""
    from ..core.texts import for_terminal

    if not sys.stdin.isatty():
        return None
    console.print(for_terminal(question.text), highlight=False)
    for number, (option, _) in enumerate(question.choices, 1):
        console.print(f"  {number}  as with {for_terminal(option)}", highlight=False)
    answer = -1
    while not 0 <= answer <= len(question.choices):
        answer = typer.prompt("Which one? 0 leaves these files out", type=int)
    return question.choices[answer - 1][1] if answer else None


@app.command()
def feedback(week: WeekArgument, course: CourseOption = None) -> None:
    """Write the learners' pages again from the record, with the points and comments that people gave. Grades nothing.

    Example: [bold]workbook feedback week01[/bold]
    """
    from ..building.build import build_week
    from ..core.errors import WorkbookError, short
    from ..core.texts import for_terminal
    from ..course.folder import Course
    from ..course.pins import open_pinned
    from ..grading.rewrite import rewrite, write_grades
    from ..week.locate import find_root

    root = find_root()
    where = Course.at(root, course)
    built = build_week(open_pinned(where, week))
    done = rewrite(built, where)
    for learner, why in done.differ.items():
        console.print(f"[yellow]note[/yellow] {for_terminal(learner)}: {for_terminal(why)}", highlight=False)
    if done.without:
        names = for_terminal(", ".join(done.without), 4_000)
        console.print(f"[yellow]no record of[/yellow] {names}: their work is graded again by --again", highlight=False)
    if not done.written:
        what = f"{short(where.feedback)} holds no feedback of {built.week.name}"
        raise WorkbookError(what, f"grade it first: workbook grade {built.week.name[:6]}")
    console.print(f"{len(done.written)} learners: {short(where.feedback)}/LEARNER/{built.week.name}/index.html")
    console.print(f"grades: {short(write_grades(built, where))}", highlight=False)


@app.command()
def mark(
    week: WeekArgument,
    course: CourseOption = None,
    grader: Annotated[str, typer.Option("--as", help="your name in the journal of marks (default: your login)")] = "",
    part: Annotated[str, typer.Option("--part", help="your part of the answers: 1/3 of three graders")] = "1/1",
    names: Annotated[bool, typer.Option("--names", help="show who wrote what; without it names are left out")] = False,
    port: Annotated[int, typer.Option(help="port on this machine (default: any free one)", show_default=False)] = 0,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="open the page")] = True,
) -> None:
    """Mark the written answers of a week in a browser: all answers to a question below each other, points by keyboard.

    Each mark goes into nbgrader's gradebook at once. Several graders may mark at the same time: nobody's mark is
    replaced unseen. Ctrl-C ends it.

    Example: [bold]workbook mark week01 --part 1/2[/bold]
    """
    import getpass
    import webbrowser

    from ..building.build import build_week
    from ..core.errors import WorkbookError
    from ..core.texts import for_terminal
    from ..course.folder import Course
    from ..course.pins import open_pinned
    from ..gradebook.penalties import settle
    from ..gradebook.scores import standings
    from ..marking.queue import Share
    from ..marking.server import Server
    from ..marking.start import start
    from ..week.locate import find_root

    root = find_root()
    where = Course.at(root, course)
    built = build_week(open_pinned(where, week))
    try:
        share = Share.read(part)
    except ValueError as error:
        raise WorkbookError(f"--part: {error}", "two graders take --part 1/2 and --part 2/2") from None
    round_ = start(built, where, grader or getpass.getuser(), share, names)
    for learner, why in round_.unreadable.items():
        console.print(f"[yellow]note[/yellow] {for_terminal(learner)}: {for_terminal(why)}", highlight=False)
    try:
        server = Server(round_, port)
    except OSError as error:
        raise WorkbookError(f"port {port} cannot be used: {error.strerror}", "leave --port out") from None
    console.print(f"marking {built.week.name}: {server.address}", highlight=False, soft_wrap=True)
    console.print("Ctrl-C ends it; every mark is already in the gradebook.", highlight=False)
    if browser:
        webbrowser.open(server.address)
    server.run()
    settle(where, built.week.name, standings(where, built.week.name))
    console.print(f"now: workbook feedback {built.week.name[:6]} writes the learners' pages", highlight=False)


@app.command()
def similar(week: WeekArgument, course: CourseOption = None) -> None:
    """Compare the graded submissions of a week: pairs with rare parts in common, side by side on a page.

    Names, comments and layout make no difference; stubs, hints and what many have are left out.

    Example: [bold]workbook similar week01[/bold]
    """
    from ..building.build import build_week
    from ..core.errors import short
    from ..core.texts import for_terminal
    from ..course.folder import Course
    from ..course.pins import open_pinned
    from ..similar.page import similar as compare
    from ..week.locate import find_root

    where = Course.at(find_root(), course)
    found, unreadable, path = compare(build_week(open_pinned(where, week)), where)
    for learner, why in unreadable.items():
        console.print(f"[yellow]note[/yellow] {for_terminal(learner)}: {for_terminal(why)}", highlight=False)
    for pair in found[:20]:
        names = for_terminal(" and ".join(pair.learners))
        cells = ", ".join(f"{match.first.cell} {100 * match.share:.0f} %" for match in pair.matches)
        console.print(f"{names}: {for_terminal(cells)}", highlight=False)
    console.print(f"{len(found)} pairs: {short(path)}", highlight=False)


@app.command()
def report(weeks: WeeksArgument = None, course: CourseOption = None) -> None:
    """Write one page about the class: points, what was hard, what was misunderstood, who needs help and why.

    Over one week, or over all that are graded. The page stands alone and names learners: it is for you.

    Example: [bold]workbook report week01[/bold]
    """
    from ..building.build import build_week
    from ..core.errors import WorkbookError, short
    from ..course.folder import Course
    from ..course.pins import open_pinned
    from ..gradebook.scores import weeks_in_gradebook
    from ..reporting.class_page import class_of, write_class
    from ..week.locate import find_root, week_name

    root = find_root()
    where = Course.at(root, course)
    graded = weeks_in_gradebook(where)
    names = [week_name(root, week) for week in weeks or ()] or graded
    if not names:
        raise WorkbookError(f"{short(where.gradebook)} holds no graded week", "grade one first: workbook grade week01")
    for name in names:
        if name not in graded:
            what = f"nobody's work of {name} is graded in {short(where.folder)}"
            raise WorkbookError(what, f"collect and grade it first: workbook grade {name[:6]}")
    found = [class_of(build_week(open_pinned(where, name)), where) for name in names]
    path = write_class(where, *found)
    for one in found:
        said = f"{len(one.totals)} graded, {len(one.missing)} without work, {one.waiting} written answers to grade"
        console.print(f"{one.week}: {said}", highlight=False)
    console.print(f"report: {short(path)}")


@app.command()
def export(
    weeks: WeeksArgument = None,
    course: CourseOption = None,
    unfinished: Annotated[
        bool, typer.Option("--unfinished", help="also who has written answers without points")
    ] = False,
) -> None:
    """Write grades for Canvas and Moodle, and the learners' pages as archives that both take: for each week its own.

    Who has written answers that wait for points is left out and named, unless --unfinished counts them as nothing.

    Example: [bold]workbook export week01[/bold]
    """
    from ..core.errors import short
    from ..core.texts import for_terminal
    from ..course.folder import Course
    from ..course.pins import source_of
    from ..gradebook.scores import weeks_in_gradebook
    from ..reporting.lms_export import export as export_grades
    from ..week.locate import find_root, week_name
    from ..week.source import load_info

    root = find_root()
    where = Course.at(root, course)
    names = [week_name(root, week) for week in weeks or ()] or weeks_in_gradebook(where)
    titles = {name: f"{name[4:6]} {load_info(source_of(where, name)).title}" for name in names}
    done = export_grades(where, titles, unfinished)
    for week, left_out in done.waiting.items():
        said = f"{week}: {len(left_out)} left out, written answers wait for points: {', '.join(left_out)}"
        console.print(f"[yellow]not exported[/yellow] {for_terminal(said, 4_000)}", highlight=False)
    if done.unknown:
        said = f"{len(done.unknown)} without Canvas's number (column ID): {', '.join(done.unknown)}"
        console.print(
            f"[yellow]note[/yellow] {for_terminal(said, 4_000)}; a roster.csv with ids helps", highlight=False
        )
    for path, rows in zip(done.files, done.rows, strict=True):
        console.print(f"{short(path)}: {rows} learners", highlight=False)
    for path, number in done.pages.items():
        console.print(f"{short(path)}: pages of {number} learners", highlight=False)
