"""`workbook new`: the source of a new week, a small worked example that builds and verifies as it is."""

from __future__ import annotations

import json
import keyword
import re
from itertools import count
from pathlib import Path

from ..core.errors import WorkbookError, short
from ..week.locate import all_weeks, released_weeks

ASKED = re.compile(r"^(?:week(?P<number>\d{1,2})_)?(?P<topic>[a-z][a-z0-9_]*)$")


def new_week(root: Path, asked: str, title: str = "") -> Path:
    """Write `solutions/weekNN_topic/` from the templates of this package; return the folder.

    `asked` is a topic, which gets the next free number, or `weekNN_topic`. The title is the topic by default.

    Raises
    ------
    WorkbookError
        for a topic that is not an identifier, a topic or number that is taken, and a checkout without sources.
    """
    if not (root / "solutions").is_dir():
        raise WorkbookError(f"{short(root)} has no solutions/", "write weeks in a clone, not in a learner's bundle")
    number, topic = _number_and_topic(asked, sorted({*all_weeks(root), *released_weeks(root)}))
    folder = root / "solutions" / f"week{number:02d}_{topic}"
    title = " ".join(title.split()) or topic.replace("_", " ").capitalize()
    texts = _render(week=folder.name, number=number, title=title)
    texts[f"{topic}.py"] = texts.pop("lesson.py")
    folder.mkdir()
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def _number_and_topic(asked: str, weeks: list[str]) -> tuple[int, str]:
    """The number and the topic of the new week, neither of which a week in `weeks` has."""
    match = ASKED.match(asked)
    if not match or keyword.iskeyword(match["topic"]):
        remedy = (
            "use small letters, digits and underscores, as in detection_transformer or week12_detection_transformer"
        )
        raise WorkbookError(f"{asked!r} is not a topic", remedy)
    by_number = {int(week[4:6]): week for week in weeks}
    by_topic = {week.split("_", 1)[1]: week for week in weeks}
    topic, free = match["topic"], next(number for number in count(1) if number not in by_number)
    if topic in by_topic:
        raise WorkbookError(f"there is a week of this topic, {by_topic[topic]}", "edit it, or choose another topic")
    number = int(match["number"] or free)
    if number in by_number:
        raise WorkbookError(f"the number {number} is taken by {by_number[number]}", f"the next free one is {free}")
    return number, topic


def _render(**known: object) -> dict[str, str]:
    """The files of the new week: name -> text."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    templates = Environment(
        loader=PackageLoader("autograder", "authoring/new_week"), undefined=StrictUndefined, keep_trailing_newline=True
    )
    templates.filters["quoted"] = lambda text: json.dumps(text, ensure_ascii=False)  # TOML quotes as JSON does
    names = templates.list_templates(extensions=["jinja"])
    return {name.removesuffix(".jinja"): templates.get_template(name).render(known) for name in names}
