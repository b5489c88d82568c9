"""Ten questions of the self-test, each with an answer and a link; the way into each week names what exists.

That the code prints what the folds say is shown by `test_docs.py`.
"""

from __future__ import annotations

import re

from autograder.week.locate import open_week, released_weeks

from .chosen import ROOT

PAGE = (ROOT / "docs" / "prerequisites.md").read_text(encoding="utf-8")
QUESTIONS = re.findall(
    r"^### (\d+)\. [^\n]+\n\n"
    r"```python\n(.*?)```\n\n"
    r"<details><summary>What it prints</summary>\n\n```text\n(.*?)```\n\n.*?</details>\n\n"
    r"If not: \[[^\]]+\]\((\S+)\)",
    PAGE,
    re.MULTILINE | re.DOTALL,
)
ROWS = re.findall(r"^\| (\d\d) \| ([^|]+) \| ([^|]+) \|$", PAGE, re.MULTILINE)


def test_every_block_of_code_is_a_question_with_an_answer_and_one_link() -> None:
    assert [int(number) for number, *_ in QUESTIONS] == list(range(1, 11))
    assert PAGE.count("```python") == PAGE.count("<details>") == len(QUESTIONS)
    links = [link for *_, link in QUESTIONS]
    assert all(link.startswith("https://") for link in links)
    assert len(set(links)) == len(links)


def test_the_way_into_each_week_names_what_exists() -> None:
    """A row for each week; its checks are questions of this page and exercises of earlier weeks that it builds on."""
    weeks = {f"{week.number:02d}": week for week in (open_week(ROOT, name) for name in released_weeks(ROOT))}
    assert [number for number, *_ in ROWS] == list(weeks)
    for number, _, check in ROWS:
        exercises = re.findall(r"`workbook check (\d+) ([\w-]+)`", check)
        questions = [
            int(found) for part in re.findall(r"questions? ([\d, to]+)", check) for found in re.findall(r"\d+", part)
        ]
        assert exercises or questions, f"week {number} has no check"
        assert all(1 <= question <= len(QUESTIONS) for question in questions)
        for earlier, exercise in exercises:
            assert exercise in weeks[f"{int(earlier):02d}"].exercises
            assert int(earlier) < int(number)
        named = {int(earlier) for earlier, _ in exercises}
        assert named <= set(range(1, int(number)))
        assert not weeks[number].info.prerequisites or named & set(weeks[number].info.prerequisites)
