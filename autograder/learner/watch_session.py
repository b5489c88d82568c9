"""What `watch` knows and shows: how it changes with what is saved, pressed and found."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from ..core.errors import WorkbookError, short
from ..week.headings import Hint
from ..week.notebooks import Notebooks
from .check import Result, known, remember, with_blame
from .hint import next_hints
from .keyboard import Key
from .locations import notebook_path
from .renamed import decide, others
from .scrolling import Scroll
from .start import RELOAD, read_copy, reset_exercise
from .state import Kept
from .steps import Step
from .tasks import Lesson, lesson_of
from .watch_rounds import Event, Worker


@dataclass
class Session:
    """What is known and what is shown. `handle` takes what happened; nothing else changes it.

    Attributes
    ----------
    current : the exercise that is shown: the last one that changed and does not pass, else the first that does not.
    running : exercises that are being checked.
    trouble : why the file cannot be used at the moment.
    said : a remark that stays until the next key.
    step : what the round does at the moment.
    marks : exercise -> fingerprint, when a round was begun last.
    number : of that round.
    again : the exercise that is checked once more because a key asked for it.
    asking : whether `r` was pressed, and y or n comes next.
    offered : a notebook under another name, about which y or n comes next.
    hint_is_new : whether the last hint was not drawn yet, so that it is scrolled to.
    seen : what told the file as it was read last from a changed one.
    """

    root: Path
    released: Notebooks
    kept: Kept
    worker: Worker
    has_keys: bool = False
    lesson: Lesson | None = None
    results: dict[str, Result] = field(default_factory=dict)
    running: list[str] = field(default_factory=list)
    current: str = ""
    trouble: str = ""
    said: str = ""
    asking: bool = False
    offered: Path | None = None
    listing: bool = False
    hints: list[Hint] = field(default_factory=list)
    hint_count: int = 0
    hint_is_new: bool = False
    scroll: Scroll = field(default_factory=Scroll)
    step: Step | None = None
    again: str = ""
    seen: tuple[int, ...] = ()
    marks: dict[str, str] = field(default_factory=dict)
    number: int = 0
    over: bool = False

    @property
    def path(self) -> Path:
        return notebook_path(self.root, self.released.week.name)

    def handle(self, event: Event) -> None:
        """Take in one event."""
        match event:
            case Event("saved"):
                self._saved()
            case Event("key"):
                self._key(event.key)
            case Event("note"):
                self.said = event.key
            case _ if event.number != self.number:
                pass  # of a round that was given up
            case Event("step"):
                self.step = event.step
            case Event("result", result=Result() as result):
                self._found(result)
            case Event("trouble"):
                self.trouble, self.marks = event.key, {}  # saving again tries again
            case Event("done"):
                self.running, self.step = [], None

    def look(self) -> None:
        """See whether the file was written without anybody telling of it."""
        if _seen(self.path) != self.seen:
            self._saved()

    def _saved(self, again: str = "") -> None:
        """The file was written: check what changed, and what depends on it; `again` names one to check anyway."""
        self.seen = _seen(self.path)
        try:
            lesson = lesson_of(self.released, read_copy(self.root, self.released.week.name)[0], self.path.parent)
        except WorkbookError as error:  # half a file, or none: the next event brings more
            self.trouble = str(error)
            if not self.seen and self.has_keys and (found := others(self.root, self.released)):
                self.trouble, self.offered = f"{short(self.path)} is not there", found[0].path
            return
        self.trouble, self.offered = "", None
        self.lesson = lesson
        results = known(lesson, self.kept)
        for name, task in lesson.tasks.items():
            mine = self.results.get(name)
            if name not in results and mine is not None and mine.fingerprint == task.fingerprint:
                results[name] = replace(mine, number=task.number)
        self.results = results
        marks = {name: task.fingerprint for name, task in lesson.tasks.items()}
        if marks != self.marks or again:  # else only what cells showed has changed, or nothing
            changed = [name for name, seen in marks.items() if self.marks and self.marks.get(name) != seen]
            self.marks, self.said, self.again = marks, "", again
            self.running = [name for name in lesson.tasks if name not in results or name == again]
            self.step = None
            self.number = self.worker.check(lesson, self.running)
            self._choose(changed)

    def _found(self, result: Result) -> None:
        self.results[result.exercise] = result
        remember(self.kept, result)
        self.running = [name for name in self.running if name != result.exercise]
        if result.passed:
            self.said = f"✓ {result.exercise} passes"
        elif result.exercise == self.again:
            self.said = f"{result.exercise} was checked again"
        self._keep()  # at once: the next moment may be that of Ctrl-C, or of a closed terminal
        if result.exercise == self.current:
            self.scroll.top = 0
        self._choose([result.exercise] if not result.passed and result.exercise == self.current else [])

    def _choose(self, changed: list[str]) -> None:
        """Show what was worked on last, and something that is left to do."""
        order = list(self.released.week.exercises)
        left = [name for name in order if not (name in self.results and self.results[name].passed)]
        wanted = [name for name in changed if name in left]
        chosen = wanted[0] if wanted else self.current if self.current in left else (left or order)[0]
        if chosen != self.current:
            self.current, self.hints, self.scroll.top = chosen, [], 0

    def _key(self, key: str) -> None:
        if self.scroll.press(key):
            return
        self.said = ""
        if self.offered is not None:
            self._decide(self.offered, key)
            return
        if self.asking:
            self.asking = False
            if key in ("y", "Y"):
                self._reset()
            else:
                self.said = "nothing was changed"
            return
        match key.lower():
            case "q" | Key.ENDED:
                self.over = True
            case "c":
                self.listing = False
                self._saved(again=self.current)
            case "l":
                self.listing, self.scroll.top = not self.listing, 0
            case "h":
                self._hint()
            case "r":
                self.asking = True

    def _hint(self) -> None:
        self.listing = False
        try:
            shown, self.hint_count = next_hints(self.released, self.current, self.kept)
            self.hints = [*self.hints, *shown] if len(shown) == 1 else shown
            self.hint_is_new = True
            self._keep()
        except WorkbookError as error:
            self.said = str(error)

    def _decide(self, offered: Path, key: str) -> None:
        """A notebook under another name is the learner's, or is not; `q` and the end of the terminal end all."""
        self.over = key.lower() in ("q", Key.ENDED)
        if key.lower() not in ("y", "n"):
            return
        self.offered = None
        mine = key.lower() == "y"
        try:
            decide(self.root, self.released.week.name, offered if mine else None, [] if mine else [offered])
        except OSError as error:
            self.said = f"that is not kept: {error.strerror}"
            return
        self._saved()

    def _keep(self) -> None:
        try:
            self.kept.save()
        except OSError as error:  # the screen is right all the same
            self.said = f"what was found is not kept: {error.strerror}"

    def _reset(self) -> None:
        try:
            backup = reset_exercise(self.root, self.released, self.current)
        except (WorkbookError, OSError) as error:
            self.said = str(error)
        else:
            self.said = f"the stub of {self.current} is back; your former file: {short(backup)}; {RELOAD}"

    def shown_results(self) -> dict[str, Result]:
        """The results in the order of the notebook, with the names of failed exercises below failed ones."""
        results = with_blame(self.lesson, self.results) if self.lesson else self.results
        return {name: results[name] for name in self.released.week.exercises if name in results}

    def all_pass(self) -> bool:
        return all(name in self.results and self.results[name].passed for name in self.released.week.exercises)


def _seen(path: Path) -> tuple[int, ...]:
    """What tells a file from a changed one, without reading it; empty where it is not there."""
    try:
        found = path.stat()
    except OSError:
        return ()
    return (found.st_mtime_ns, found.st_size, found.st_ino)
