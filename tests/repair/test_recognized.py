"""What a file is that should have been a notebook."""

from __future__ import annotations

import json

import pytest

from autograder.repair.damage import Damage, DamagedError
from autograder.repair.reading import notebook_in
from autograder.week.notebooks import Notebooks

NOTEBOOK = json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [{"cell_type": "raw"}]}, indent=1)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", Damage.EMPTY),
        (b" \n\t", Damage.EMPTY),
        (b"PK\x03\x04 and the rest", Damage.ZIP),
        (NOTEBOOK.encode("utf-16"), Damage.UTF_16),
        (NOTEBOOK.encode("utf-16-be").join([b"\xfe\xff", b""]), Damage.UTF_16),
        (b"<!-- saved from url=(0014)about:internet -->\n<html>", Damage.WEB_PAGE),
        ("\ufeff<!DOCTYPE html>".encode(), Damage.WEB_PAGE),
        (NOTEBOOK.replace(' "nbformat": 4', '<<<<<<< HEAD\n "nbformat": 4').encode(), Damage.CONFLICT),
        (b"#!/usr/bin/env python\nprint 1", Damage.SCRIPT),
        (b"x: int = 1\n", Damage.SCRIPT),
        (NOTEBOOK[:-3].encode(), Damage.CUT),
        (NOTEBOOK[: NOTEBOOK.index("nbformat_minor") + 4].encode(), Damage.CUT),
        (b"words", Damage.OTHER),
        (b'{"nbformat": 4,, "cells": []}', Damage.OTHER),
        (b'["a", b]', Damage.OTHER),
        (b"<table>", Damage.OTHER),
        (b"%PDF-1.7", Damage.OTHER),
    ],
)
def test_a_file_is_told_as_what_it_is(content: bytes, kind: Damage) -> None:
    with pytest.raises(DamagedError) as damaged:
        notebook_in(content)
    assert damaged.value.kind is kind
    assert "\n" not in str(damaged.value)


@pytest.mark.parametrize("text", ["<<<<<<< HEAD", "<!DOCTYPE html>", "import math", "=======", "PK\x03\x04"])
def test_the_same_inside_a_cell_is_no_damage(text: str) -> None:
    notebook = json.loads(NOTEBOOK)
    notebook["cells"][0]["source"] = text
    assert notebook_in(json.dumps(notebook).encode())["cells"][0]["source"] == text


def test_many_comments_before_nothing_cost_nothing() -> None:
    with pytest.raises(DamagedError, match="not valid JSON"):
        notebook_in(b"<!-- -->" * 1_000 + b"<b>")


def test_a_notebook_that_is_cut_anywhere_is_told_as_cut(tiny: Notebooks) -> None:
    """Also within a number, a word or a text. Of the last bytes, and of a single brace, nothing more can be said."""
    whole = json.dumps(json.loads(tiny.learner_text), indent=1).encode()
    for end in range(1, len(whole), 7):
        with pytest.raises(DamagedError) as damaged:
            notebook_in(whole[:end])
        assert damaged.value.kind is Damage.CUT, (end, whole[max(0, end - 30) : end])
