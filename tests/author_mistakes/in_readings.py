"""Mistakes in what a week names to read: `[[reading]]` in week.toml, and the hours in the lesson's header."""

from __future__ import annotations

from ..tiny_week import READING, TIME
from .week import LESSON_FILE, TOML, B, Mistake

URL = "https://arxiv.org/abs/1706.03762"
KIND = 'kind = "paper"'
MINUTES = "minutes = 30"
NO_ABSTRACT = "is not the page of an abstract at arXiv"

READINGS = {
    "a reading without a reason": Mistake(
        B, "[[reading]]", "reading.0.why: field required", {'why = "It doubles the number of heads."\n': ""}, TOML
    ),
    "a misspelled key of a reading": Mistake(B, "author =", "reading.0.author: extra", {"authors": "author"}, TOML),
    "an unknown kind of reading": Mistake(
        B, 'kind = "blog"', "reading.0.kind: input should be 'paper'", {KIND: 'kind = "blog"'}, TOML
    ),
    "minutes of reading as text": Mistake(
        B, 'minutes = "30"', "reading.0.minutes: input should be", {MINUTES: 'minutes = "30"'}, TOML
    ),
    "no minutes of reading": Mistake(B, "minutes = 0", "greater than 0", {MINUTES: "minutes = 0"}, TOML),
    "must in words": Mistake(B, "must =", "reading.0.must: input should be", {"must = true": 'must = "yes"'}, TOML),
    "a year as text": Mistake(B, "year =", "reading.0.year: input should be", {"year = 2017": 'year = "2017"'}, TOML),
    "a reason of no words": Mistake(
        B, "why =", "reading.0.why: string should", {"It doubles the number of heads.": ""}, TOML
    ),
    "an address without https": Mistake(
        B, "url =", "reading.0.url: string should match", {"https://": "http://"}, TOML
    ),
    "the file of a paper": Mistake(B, "url =", NO_ABSTRACT, {"/abs/": "/pdf/"}, TOML),
    "a paper of month 13": Mistake(B, "url =", NO_ABSTRACT, {"1706.": "1713."}, TOML),
    "a paper's number with a digit less": Mistake(B, "url =", NO_ABSTRACT, {"03762": "0376"}, TOML),
    "an old paper's number with five digits": Mistake(B, "url =", NO_ABSTRACT, {"1706.": "1412."}, TOML),
    "the version of a paper": Mistake(B, "url =", NO_ABSTRACT, {"03762": "03762v5"}, TOML),
    "the same address twice": Mistake(
        B,
        "# again",
        "the address of reading 2 is that of reading 1",
        {READING: READING + READING.replace(f'"{URL}"', f'"{URL}"  # again').replace(MINUTES, "minutes = 5")},
        TOML,
    ),
    "a video that is a paper": Mistake(B, "kind =", "a video at arxiv.org", {KIND: 'kind = "video"'}, TOML),
    "code that lies nowhere": Mistake(
        B, "kind =", "code at example.org", {URL: "https://example.org/code", KIND: 'kind = "code"'}, TOML
    ),
    "more reading promised than listed": Mistake(
        B,
        "**Time**",
        "promises 0.9 hours of reading, what must be read takes 30 minutes",
        {TIME: "about 1 hour: 0.9 of reading, 0.1 of coding"},
    ),
    "more reading listed than promised": Mistake(
        B,
        "**Time**",
        "takes 38 minutes: more than a quarter apart",
        {MINUTES: "minutes = 38"},
        TOML,
        told_in=LESSON_FILE,
    ),
    "reading promised and not listed": Mistake(
        B, "**Time**", "lists nothing that must be read", {"must = true": "must = false"}, TOML, told_in=LESSON_FILE
    ),
    "reading listed and not promised": Mistake(
        B, "must =", "the header promises no reading", {TIME: "about 1 hour"}, told_in=TOML
    ),
    "parts that do not add up": Mistake(
        B, "**Time**", "add up to 2.5 hours, not to 1", {"0.5 of coding": "2 of coding"}
    ),
}
