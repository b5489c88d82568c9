"""The table of situations at the desk: grading again, marking, late work, feedback, groups, report, export."""

from __future__ import annotations

import json
import shutil
import zipfile
from datetime import datetime, timedelta

from autograder.course.database import open_gradebook
from autograder.course.groups import write_groups
from autograder.gradebook.cells import removed_file
from autograder.gradebook.penalties import settle
from autograder.gradebook.scores import standings
from autograder.marking.marks import ChangedError, Mark, Place
from autograder.marking.queue import Share, mine
from autograder.marking.start import start
from autograder.reporting.lms_export import number

from .desk_situations import ANSWERS, RIGHT, WEEK, WRITTEN, Class, refused, situation
from .graded_class import DOUBLE

DUE = datetime(2026, 3, 2, 12, 0)
TEN_A_DAY = "[due]\nweek01 = 2026-03-02T12:00:00\n[late]\npercent_a_day = 10\n"
SECOND = '# %% test="double" points=20\nwith checks.step("double of 0"):'
ADDED = '# %% test="double" points=5\nwith checks.step("double of 3"):\n    checks.equal(double(3), 6, "double(3)")\n\n'
SOMETHING = "quadruple = lambda number: 4 * number"


# feedback


@situation("feedback", "points and a comment for a written answer are on the page, and counted", (True, True, 95))
def _(found: Class) -> object:
    found.give("ann", 15, "Well said.")
    found.feedback()
    page = found.page("ann")
    return "Well said." in page, "<strong>95</strong> of 100" in page, found.total("ann")


@situation("feedback", "a written answer waits: the page says so, and gives no sum of 100", (True, False))
def _(found: Class) -> object:
    found.feedback()
    return "are read by your instructor" in found.page("ann"), "of 100" in found.page("ann")


@situation("feedback", "0 points are points: nothing waits any more", ((), True))
def _(found: Class) -> object:
    found.give("ann", 0)
    found.feedback()
    return found.standing("ann").waiting, "<strong>80</strong> of 100" in found.page("ann")


@situation("feedback", "half a point is shown as half a point", True)
def _(found: Class) -> object:
    found.give("ann", 12.5)
    found.feedback()
    return "<strong>12.5</strong> of 20" in found.page("ann")


@situation("feedback", "points of a test that a person raised count in page and sum", (60, True))
def _(found: Class) -> object:
    found.give("bob", 20, cell="double-test-1")
    found.feedback()
    return found.total("bob"), "What the tests gave was changed" in found.page("bob")


@situation("feedback", "a formula in a comment is MathML, so the page needs no network", (True, False))
def _(found: Class) -> object:
    found.give("ann", 15, "Think of $\\sqrt{d}$.")
    found.feedback()
    return "<math" in found.page("ann"), "mathjax" in found.page("ann").lower()


@situation("feedback", "a script in a comment is not a script on the page", False)
def _(found: Class) -> object:
    found.give("ann", 15, "<script>alert(1)</script>")
    found.feedback()
    return "<script>alert(1)" in found.page("ann")


@situation("feedback", "a comment below code is on the page", True)
def _(found: Class) -> object:
    found.give("dan", comment="Come to see me.", cell="double")
    found.feedback()
    return "Come to see me." in found.page("dan")


@situation("feedback", "the whole folder was deleted: all pages come back", ["ann", "bob", "cleo", "dan", "erin"])
def _(found: Class) -> object:
    shutil.rmtree(found.course.feedback)
    return sorted(found.feedback().written)


@situation("feedback", "one learner's facts are damaged: they are made from the record, with the same words", True)
def _(found: Class) -> object:
    before = found.page("bob")
    (found.course.feedback / "bob" / WEEK / "feedback.json").write_text("{", encoding="utf-8")
    found.feedback()
    return found.page("bob") == before


@situation("feedback", "somebody's work was deleted after grading: page and points stay", (True, 40))
def _(found: Class) -> object:
    shutil.rmtree(found.course.submitted / "bob")
    found.grade()
    return "bob" in found.feedback().written, found.total("bob")


@situation("feedback", "a file that is not a notebook has a page that says what to do", True)
def _(found: Class) -> object:
    found.feedback()
    return "tiny.ipynb" in found.page("erin")


@situation("feedback", "no page shows a line of a hidden test, also of who failed it", 0)
def _(found: Class) -> object:
    found.submit("bob", RIGHT | {"double": "def double(number):\n    return number + number if number < 100 else 0"})
    found.grade()
    found.feedback()
    texts = [path.read_text(encoding="utf-8") for path in found.course.feedback.rglob("*.*")]
    return sum("10**9" in text or "for number in (-3" in text for text in texts)


@situation("feedback", "nothing is graded yet: an error with the next step, no pages", (True, False))
def _(found: Class) -> object:
    shutil.rmtree(found.course.folder)
    return refused(found.feedback), found.course.feedback.exists()


@situation("feedback", "the gradebook says other points than the pages: told by name", ["bob"])
def _(found: Class) -> object:
    with open_gradebook(found.course) as gradebook:
        gradebook.find_grade("double-test-1", "tiny", WEEK, "bob").auto_score = 20
        gradebook.db.commit()
    return list(found.feedback().differ)


# marking


@situation("marking", "two graders mark one answer: the second is told, the first one's points stay", (True, 15))
def _(found: Class) -> object:
    place, told = Place("ann", WRITTEN), False
    found.marks("one").write(place, Mark(), Mark(15, "Good."))
    try:
        found.marks("two").write(place, Mark(), Mark(9))
    except ChangedError as error:
        told = error.mark == Mark(15, "Good.")
    return told, found.standing("ann").scores[WRITTEN].manual


@situation("marking", "a mark that is taken back: the answer waits again", (WRITTEN,))
def _(found: Class) -> object:
    place = Place("ann", WRITTEN)
    found.marks().write(place, Mark(), Mark(15))
    found.marks().write(place, Mark(15), Mark())
    return found.standing("ann").waiting


@situation(
    "marking", "who gave what, and what stood there before, is in the journal", [("one", None, 15), ("two", 15, 9)]
)
def _(found: Class) -> object:
    place = Place("ann", WRITTEN)
    found.marks("one").write(place, Mark(), Mark(15))
    found.marks("two").write(place, Mark(15), Mark(9))
    lines = [json.loads(line) for line in found.marks().journal.read_text(encoding="utf-8").splitlines()]
    return [(line["by"], line["from"]["points"], line["to"]["points"]) for line in lines]


@situation("marking", "an answer in a new cell below the question is shown to the grader", ["Because it is."])
def _(found: Class) -> object:
    found.submit("dan", RIGHT | {WRITTEN: ""}, below="Because it is.")
    found.grade()
    items = start(found.built, found.course, "one", Share(), False).queue[WRITTEN]
    return [part.source for item in items if item.place.learner == "dan" for part in item.parts]


@situation("marking", "two parts of two graders hold every answer once", ["ann", "bob"])
def _(found: Class) -> object:
    parts = [start(found.built, found.course, "one", Share(i, 2), False).queue[WRITTEN] for i in (1, 2)]
    return sorted(item.place.learner for items in parts for item in mine(items))


@situation("marking", "a question that nobody answered is 0, and nobody has to open it", ((), 0))
def _(found: Class) -> object:
    return found.standing("dan").waiting, found.standing("dan").scores[WRITTEN].points


@situation("marking", "points for an answer that was taken for empty count", 84)
def _(found: Class) -> object:
    found.give("dan", 4)
    return found.total("dan")


@situation("marking", "one learner's graded notebook is lost: named, the others can be marked", (["bob"], ["ann"]))
def _(found: Class) -> object:
    shutil.rmtree(found.course.autograded / "bob")
    begun = start(found.built, found.course, "one", Share(), False)
    return list(begun.unreadable), [item.place.learner for item in begun.queue[WRITTEN]]


@situation("marking", "blind: no name of a learner stands in what a page gets", False)
def _(found: Class) -> object:
    begun = start(found.built, found.course, "one", Share(), False)
    return any(name in json.dumps(begun.state()) for name in ("ann", "bob"))


@situation("marking", "a question that is new and not graded yet can be asked for: nobody has an answer", [])
def _(found: Class) -> object:
    found.edit('written="why" points=20', 'written="other" points=20')
    found.edit("**W1.** Why is double twice?", "**W1.** What else?")
    return [
        item.place.learner for item in start(found.built, found.course, "one", Share(), False).queue["written-other"]
    ]


@situation("marking", "points above the maximum are kept as they were given, a bonus", 105)
def _(found: Class) -> object:
    found.give("ann", 25)
    return found.total("ann")


@situation("marking", "nobody is graded: an error with the next step", True)
def _(found: Class) -> object:
    shutil.rmtree(found.course.folder)
    return refused(lambda: start(found.built, found.course, "one", Share(), False))


# late work


@situation("late", "the rule takes a tenth for each day that was begun", {"ann": 8.0, "bob": 8.0, "dan": 0.0})
def _(found: Class) -> object:
    moments = {"ann": DUE + timedelta(hours=1), "bob": DUE + timedelta(days=1, hours=1), "dan": DUE}
    found.late(TEN_A_DAY, **moments)
    return {name: found.standing(name).penalty for name in moments}


@situation("late", "a tenth is one of all points, also of those given since", (9.5, 85.5))
def _(found: Class) -> object:
    found.late(TEN_A_DAY, ann=DUE + timedelta(hours=1))
    found.give("ann", 15)
    return found.standing("ann").penalty, found.total("ann")


@situation("late", "minutes of grace are not late", None)
def _(found: Class) -> object:
    found.late(f"{TEN_A_DAY}grace_minutes = 10\n", ann=DUE + timedelta(minutes=10))
    return found.standing("ann").late


@situation("late", "an extension of one learner", (0.0, 4.0))
def _(found: Class) -> object:
    day = DUE + timedelta(days=1)
    found.late(f"[extensions.ann]\nweek01 = 2026-03-04T12:00:00\n{TEN_A_DAY}", ann=day, bob=day)
    return found.standing("ann").penalty, found.standing("bob").penalty


@situation("late", "after the last day work earns nothing, and is not below zero", 0.0)
def _(found: Class) -> object:
    found.late(f"{TEN_A_DAY}days_accepted = 7\n", ann=DUE + timedelta(days=8))
    return found.total("ann")


@situation("late", "a due date in Los Angeles is not one in UTC", (None, 8.0))
def _(found: Class) -> object:
    found.late(TEN_A_DAY, ann=DUE + timedelta(hours=7), dan=DUE + timedelta(hours=9))
    found.write("course.toml", f'timezone = "America/Los_Angeles"\n{TEN_A_DAY}')
    return found.standing("ann").late, found.standing("dan").penalty


@situation("late", "nobody knows when it came: not late", None)
def _(found: Class) -> object:
    found.late(TEN_A_DAY)
    return found.standing("ann").late


@situation("late", "what is taken is in nbgrader's table as well", 8.0)
def _(found: Class) -> object:
    found.late(TEN_A_DAY, ann=DUE + timedelta(hours=1))
    found.feedback()
    with open_gradebook(found.course) as gradebook:
        return gradebook.find_submission(WEEK, "ann").late_submission_penalty


@situation("late", "the rule is gone: nbgrader's own penalty stands again", (8.0, 3.0))
def _(found: Class) -> object:
    with open_gradebook(found.course) as gradebook:
        gradebook.find_submission_notebook("tiny", WEEK, "ann").late_submission_penalty = 3.0
        gradebook.db.commit()
    found.late(TEN_A_DAY, ann=DUE + timedelta(hours=1))
    settle(found.course, WEEK, standings(found.course, WEEK))
    by_rule = found.standing("ann").penalty
    (found.course.folder / "course.toml").unlink()
    return by_rule, found.standing("ann").penalty


@situation("late", "a late file takes the place of one in time: its own time counts", (0.0, 8.0))
def _(found: Class) -> object:
    found.submit("ann", RIGHT, "2026-03-02 11:00:00 UTC")
    found.grade(again=True)
    found.late(TEN_A_DAY)
    before = found.standing("ann").penalty
    found.submit("ann", RIGHT | {"quadruple": SOMETHING}, "2026-03-02 13:00:00 UTC")
    found.grade()
    return before, found.standing("ann").penalty


@situation("late", "a mistake in course.toml: an error with the place, the gradebook as it was", (True, True))
def _(found: Class) -> object:
    before = found.course.gradebook.read_bytes()
    found.write("course.toml", "[due\n")
    return refused(found.feedback), found.course.gradebook.read_bytes() == before


@situation("late", "the page says what was taken, and the sum is the one of the gradebook", (True, True))
def _(found: Class) -> object:
    found.late(TEN_A_DAY, ann=DUE + timedelta(hours=1))
    found.give("ann", 20)
    found.feedback()
    return "Late submission" in found.page("ann"), "<strong>90</strong> of 100" in found.page("ann")


# grading again


@situation("again", "nothing changed: nobody's work is run", ())
def _(found: Class) -> object:
    return found.grade().jobs


@situation("again", "one submitted again, one is new: those two are run", ("ann", "flo"))
def _(found: Class) -> object:
    found.submit("ann", RIGHT | {"quadruple": SOMETHING})
    found.submit("flo", RIGHT)
    return tuple(sorted(found.grade().jobs))


@situation(
    "again",
    "marked work is submitted again: points and comment stay, with a note",
    (15, "Good.", True),
)
def _(found: Class) -> object:
    found.give("ann", 15, "Good.")
    found.submit("ann", RIGHT | {WRITTEN: "Another answer."})
    found.grade()
    standing = found.standing("ann")
    return standing.scores[WRITTEN].manual, standing.comments[WRITTEN], standing.scores[WRITTEN].again


@situation("again", "a test got stricter: nobody's points change before somebody agreed", (["bob"], 60, 20))
def _(found: Class) -> object:
    found.submit("bob", RIGHT | {"double": "def double(number):\n    return 4 if number == 2 else 0"})
    found.grade()
    found.edit('checks.equal(double(2), 4, "double(2)"', 'checks.equal(double(3), 6, "double(3)"')
    asked = [change.student for change in found.grade(agree=False).asked]
    before = found.total("bob")
    found.grade()
    return asked, before, before - found.total("bob")


@situation("again", "a test is added before a marked one: the points by hand stay with their test", (12, 0))
def _(found: Class) -> object:
    found.give("bob", 12, cell="double-test-2")
    found.edit(SECOND, ADDED + SECOND.replace("=20", "=15"))
    found.grade()
    scores = found.standing("bob").scores
    return scores["double-test-3"].points, scores["double-test-2"].points


@situation("again", "a question is taken out that was marked: asked first, then kept in a file", (False, ["ann"], 17))
def _(found: Class) -> object:
    found.give("ann", 17)
    found.edit('written="why"', 'written="other"')
    found.edit("**W1.** Why is double twice?", "**W1.** What else?")
    asked = [change.student for change in found.grade(agree=False).asked if change.lost]
    before = removed_file(found.course, WEEK).exists()
    found.grade()
    return before, asked, json.loads(removed_file(found.course, WEEK).read_text(encoding="utf-8"))["points"]


@situation("again", "a question is renamed: answer, points and comment stay", (17, "Good.", True))
def _(found: Class) -> object:
    found.give("ann", 17, "Good.")
    found.edit('written="why"', 'written="reason"')
    found.grade()
    found.feedback()
    standing = found.standing("ann")
    return standing.scores["written-reason"].manual, standing.comments["written-reason"], "Good." in found.page("ann")


@situation("again", "an exercise is renamed: the same points, nothing to ask", ((), 80))
def _(found: Class) -> object:
    for name in ("tiny.py", "misconceptions.py", "alternatives.py"):
        path = found.folder / name
        text = path.read_text(encoding="utf-8").replace('="double"', '="twice"').replace('="double-', '="twice-')
        path.write_text(text, encoding="utf-8")
    return found.grade().asked, found.total("ann")


@situation("again", "the gradebook was lost: machine points come back, nobody's work is run", ((), 80))
def _(found: Class) -> object:
    found.course.gradebook.unlink()
    return found.grade().jobs, found.total("ann")


@situation("again", "the gradebook was lost after marking: marks come back from the journal", (15, "Good.", True))
def _(found: Class) -> object:
    found.marks().write(Place("bob", WRITTEN), Mark(), Mark(8))
    found.marks().write(Place("bob", WRITTEN), Mark(8), Mark())
    found.marks().write(Place("ann", WRITTEN), Mark(), Mark(15, "Good."))
    with found.marks().journal.open("a", encoding="utf-8") as journal:
        journal.write('{"half a line')
    found.course.gradebook.unlink()
    said = found.grade().said
    ann, bob = found.standing("ann"), found.standing("bob")
    return ann.scores[WRITTEN].manual, ann.comments[WRITTEN], len(said) == 1 and bob.waiting == (WRITTEN,)


@situation("again", "the lesson changed and nobody graded yet: pages and export are as they were", (15, 12, True))
def _(found: Class) -> object:
    found.give("ann", 15)
    found.give("bob", 12, cell="double-test-2")
    found.edit(SECOND, ADDED + SECOND.replace("=20", "=15"))
    found.feedback()
    ann, bob = found.standing("ann"), found.standing("bob")
    sums = ann.scores[WRITTEN].points, bob.scores["double-test-2"].points
    return *sums, "<strong>95</strong> of 100" in found.page("ann")


@situation("again", "a file of the record is damaged: that one is run again, the same points", (("ann",), 80))
def _(found: Class) -> object:
    for place in ("outcomes", "runs"):
        found.write(f"record/{WEEK}/{place}/ann.json", "{")
    return found.grade().jobs, found.total("ann")


@situation("again", "a broken file takes the place of good work: told, and the others are graded", (True, 80))
def _(found: Class) -> object:
    found.submit("bob", "<<<<<<< HEAD\n")
    found.submit("flo", RIGHT)
    return bool(found.grade().outcomes["bob"].damaged), found.total("flo")


@situation("again", "the broken file is repaired: graded, and no longer damaged", ("", 80))
def _(found: Class) -> object:
    found.submit("erin", RIGHT)
    return found.grade().outcomes["erin"].damaged, found.total("erin")


# groups


def _together(found: Class) -> None:
    """Gil and Hal submitted together."""
    write_groups(found.course, WEEK, {"gil": "Team A", "hal": "Team A"})
    for learner in ("gil", "hal"):
        found.submit(learner, RIGHT)
    found.grade()


@situation("groups", "the work of a group is run once, and both have its points", (1, 80, 80))
def _(found: Class) -> object:
    write_groups(found.course, WEEK, {"gil": "Team A", "hal": "Team A"})
    for learner in ("gil", "hal"):
        found.submit(learner, RIGHT)
    return len(found.grade().jobs), found.total("gil"), found.total("hal")


@situation("groups", "points for one member's answer count for both; graders see it once", (95, 95, 1))
def _(found: Class) -> object:
    _together(found)
    found.give("gil", 15)
    shown = start(found.built, found.course, "one", Share(), False).queue[WRITTEN]
    return found.total("gil"), found.total("hal"), sum(item.place.learner in ("gil", "hal") for item in shown)


@situation("groups", "points of a member's own win", (95, 90))
def _(found: Class) -> object:
    _together(found)
    found.give("gil", 15)
    found.give("hal", 10)
    return found.total("gil"), found.total("hal")


# report


@situation("report", "an exercise that somebody left as it was is not failed", (3, 1, 1))
def _(found: Class) -> object:
    double = next(one for one in found.report().exercises if one.name == "double")
    return double.judged, double.unbegun, double.none


@situation("report", "answers that wait are counted, and none that nobody gave", 2)
def _(found: Class) -> object:
    return found.report().waiting


@situation("report", "who submitted no notebook is in it, with the reason", True)
def _(found: Class) -> object:
    return bool(next(line.missing for line in found.report().lines if line.learner == "erin"))


@situation("report", "who is on the class list and sent nothing is in it", True)
def _(found: Class) -> object:
    found.write("roster.csv", "id,name,learner\n7,Zed Last,zed\n")
    return bool(next(line.missing for line in found.report().lines if line.learner == "zed"))


@situation("report", "people are called by their names, not by their folders", ["Ann Lee"])
def _(found: Class) -> object:
    found.write("roster.csv", "id,name,learner\n1,Ann Lee,ann\n")
    return [line.called for line in found.report().lines if line.learner == "ann"]


@situation("report", "who was late is in it, with how much", True)
def _(found: Class) -> object:
    found.late(TEN_A_DAY, ann=DUE + timedelta(hours=1))
    late = next(line.late for line in found.report().lines if line.learner == "ann")
    return late is not None and late.by == timedelta(hours=1)


@situation("report", "nothing was submitted: a page all the same, nobody has points", ([], 0))
def _(found: Class) -> object:
    shutil.rmtree(found.course.folder)
    facts = found.report()
    return list(facts.totals), facts.waiting


# export


@situation("export", "answers that wait: left out and named", (["ann", "bob"], ["cleo", "dan"]))
def _(found: Class) -> object:
    done = found.export(unfinished=False)
    return list(done.waiting[WEEK]), [row["Full name"] for row in found.rows(done, 1)]


@situation("export", "--unfinished: they count as nothing", {"ann": "80", "bob": "40", "cleo": "0", "dan": "80"})
def _(found: Class) -> object:
    return {row["Full name"]: row["Grade"] for row in found.rows(found.export(), 1)}


@situation("export", "all answers wait and nothing is said: an error with the next step", True)
def _(found: Class) -> object:
    for learner in ("cleo", "dan"):
        found.submit(learner, RIGHT)
    found.grade()
    return refused(lambda: found.export(unfinished=False))


@situation(
    "export",
    "what is taken for being late is in Canvas's and Moodle's file, as in the gradebook",
    ("85.5", "85.5", "85.5"),
)
def _(found: Class) -> object:
    found.give("ann", 15)
    found.late(TEN_A_DAY, ann=DUE + timedelta(hours=1))
    done = found.export()
    canvas = {row["Student"]: row["01 Tiny"] for row in found.rows(done, 0)}
    moodle = {row["Full name"]: row["Grade"] for row in found.rows(done, 1)}
    return canvas["ann"], moodle["ann"], number(found.total("ann"))


@situation("export", "a name with a comma and quotes comes back as it is", 'Lee, "Ann"')
def _(found: Class) -> object:
    found.write("roster.csv", 'id,name,learner\n1,"Lee, ""Ann""",ann\n')
    return next(row["Full name"] for row in found.rows(found.export(), 1) if "Ann" in row["Full name"])


@situation("export", "a name that a spreadsheet would run is text", False)
def _(found: Class) -> object:
    found.write("roster.csv", "id,name,learner\n1,=cmd(),ann\n")
    return any(value.startswith("=") for row in found.rows(found.export(), 0) for value in row.values())


@situation("export", "the comment for a written answer goes along to Moodle", True)
def _(found: Class) -> object:
    found.give("ann", 15, "Well said.")
    return any("Well said." in row["Feedback comments"] for row in found.rows(found.export(), 1))


@situation("export", "Canvas reads the most points that there are", "100")
def _(found: Class) -> object:
    return found.rows(found.export(), 0)[0]["01 Tiny"]


@situation("export", "a bonus is exported whole", "105")
def _(found: Class) -> object:
    found.give("ann", 25)
    return next(row["Grade"] for row in found.rows(found.export(), 1) if row["Full name"] == "ann")


@situation("export", "pages go along for everybody who is exported", ["ann", "bob", "cleo", "dan"])
def _(found: Class) -> object:
    (archive,) = found.export().pages
    with zipfile.ZipFile(archive) as file:
        return sorted({name.partition("/")[0] for name in file.namelist()})


@situation("export", "the grades of another week stay out of the file", True)
def _(found: Class) -> object:
    return set(found.rows(found.export(), 0)[0]) == {
        "Student",
        "ID",
        "SIS User ID",
        "SIS Login ID",
        "Section",
        "01 Tiny",
    }


@situation("export", "no gradebook: an error with the next step", True)
def _(found: Class) -> object:
    shutil.rmtree(found.course.folder)
    return refused(found.export)


@situation("export", "the same answer graded twice is the same file", True)
def _(found: Class) -> object:
    first = found.export().files[0].read_bytes()
    found.submit("ann", RIGHT | {"double": f"{DOUBLE}  # the same"})
    found.grade()
    return found.export().files[0].read_bytes() == first and list(ANSWERS) == ["ann", "bob", "cleo", "dan"]
