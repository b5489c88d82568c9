"""Mistakes in the files beside the lesson, and in what it names: week.toml, pictures, links."""

from __future__ import annotations

from ..measured_week import KEPT
from ..texts import PIXEL
from ..tiny_week import TIME
from .week import EXERCISE, EXPLORE, TOML, B, Mistake

FILES = {
    "broken TOML": Mistake(B, "hours = \n", "not valid TOML", {"hours = 1": "hours = "}, TOML),
    "text without quotes": Mistake(B, "title = Doubling", "not valid TOML", {'"Doubling"': "Doubling"}, TOML),
    "a key twice": Mistake(B, "hours = 2", "not valid TOML", {"libraries = []": "libraries = []\nhours = 2"}, TOML),
    "an open list": Mistake(B, "libraries = [", "not valid TOML", {"libraries = []": 'libraries = ["math",'}, TOML),
    "an unknown key": Mistake(B, "colour", "colour: extra", {"hours = 1": 'hours = 1\ncolour = "red"'}, TOML),
    "an unknown key in a table": Mistake(
        B, "cell_second ", "limits.cell_second: extra", {"cell_seconds": "cell_second "}, TOML
    ),
    "an unknown table": Mistake(B, "[limit]", "limit: extra", {"[limits]": "[limit]"}, TOML),
    "a misspelled key": Mistake(B, "titel", "titel: extra", {'title = "Doubling': 'titel = "Doubling'}, TOML),
    "a missing key": Mistake(B, "", "summary: field required", {'summary = "Learn to double."\n': ""}, TOML),
    "a number as text": Mistake(B, 'hours = "1"', "hours: input should be", {"hours = 1": 'hours = "1"'}, TOML),
    "a limit of 0": Mistake(B, "memory_gib = 0", "greater than 0", {"memory_gib = 1": "memory_gib = 0"}, TOML),
    "a library as text": Mistake(
        B, "libraries =", "libraries: input should be", {"libraries = []": 'libraries = "math"'}, TOML
    ),
    "a library that is not there": Mistake(
        B, "libraries =", "`libraries` names 'timmm'", {"libraries = []": 'libraries = ["math", "timmm"]'}, TOML
    ),
    "a week that comes later": Mistake(
        B, "prerequisites", "week 13 does not come before", {"hours = 1": "hours = 1\nprerequisites = [1, 13]"}, TOML
    ),
    "minutes beyond the hours": Mistake(
        B, "hours =", "take 145 minutes, more than `hours`", {EXERCISE: EXERCISE.replace("=5", "=120")}, told_in=TOML
    ),
    "another number of hours": Mistake(
        B, "**Time**", "the header says 3 hours", {TIME: "about 3 hours: 0.5 of reading, 2.5 of coding"}
    ),
    "a broken picture path": Mistake(B, "out.png", "there is no picture out.png", {"(outcome.png)": "(out.png)"}),
    "a picture from the web": Mistake(B, "https://", "comes from the web", {"(outcome.png)": "(https://x.org/a.png)"}),
    "no outcome picture": Mistake(B, "![A dot.]", "there is no picture", {"(outcome.png)": "(outcome2.png)"}),
    "a large picture": Mistake(B, "", "more than 500,000", file="outcome.png", whole=PIXEL + bytes(500_000)),
    "a picture that is none": Mistake(B, "", "not a PNG", file="outcome.png", whole=b"GIF89a"),
    "a link to a private path": Mistake(
        B, "/home/ann", "on your machine alone", {"# Twice a number.": "# Twice a [number](/home/ann/number.md)."}
    ),
    "a private path in code": Mistake(
        B, "/Users/ann", "on your machine alone", {EXPLORE: f'{EXPLORE}\nFOLDER = "/Users/ann/data"'}
    ),
    "a link to a source": Mistake(
        B,
        "misconceptions.py",
        "learners do not have",
        {"# Twice a number.": "# Twice a [number](../../solutions/misconceptions.py)."},
    ),
    "broken JSON": Mistake(
        B, ' "quadruple-explore-1" "two', "not valid JSON", {'-1": "two': '-1" "two'}, "outputs.json"
    ),
    "two cells measured on the same data": Mistake(
        B,
        'explore=true measured="photos"\n2',
        "a second cell that is measured on 'photos'",
        {EXPLORE: f'{EXPLORE}\n\n# %% explore=true measured="photos"\n1\n\n# %% explore=true measured="photos"\n2'},
    ),
    "a measurement that no cell names": Mistake(
        B, "", "a measurement on 'photos' is kept", file="measured.json", whole=KEPT.model_dump_json().encode()
    ),
    "a measurement of nothing": Mistake(
        B, "", "something else", file="measured.json", whole=b'{"cells": {"photos": {}}}\n'
    ),
    "outputs that are a list": Mistake(B, "", "something else", file="outputs.json", whole=b"[]\n"),
}
