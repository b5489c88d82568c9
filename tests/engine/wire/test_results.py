"""What a learner's process says about itself is looked at without touching it: nothing in it can raise."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np
import pytest

from autograder.engine import validate
from autograder.engine.guest.shell import CUT, MAX_NAME, MAX_OUTPUT, MAX_RICH


class Touchy:
    """As an object of the learner's: it has no truth value and cannot be compared."""

    def __eq__(self, other: object) -> NoReturn:
        raise TypeError("a comparison")

    def __bool__(self) -> NoReturn:
        raise TypeError("a truth value")

    def __hash__(self) -> int:
        return hash("error")


STREAM = {"output_type": "stream", "name": "stdout", "text": "hello"}
PICTURE = {"output_type": "display_data", "data": {"text/plain": "x", "image/png": "iVBOR/+="}, "metadata": {}}
ERROR = {"output_type": "error", "ename": "E", "evalue": "", "traceback": ["a", "b"]}
FAILED = {"name": "E", "message": "", "check": {"check": "x", "came": "y"}, "line": 3, "kind": "value", "subject": ""}
CELL = {"outputs": [STREAM, PICTURE, ERROR], "error": FAILED, "seconds": 0.5}
READERS: dict[str, Callable[[Any], Any]] = {
    "reply": lambda value: validate.reply_of(value, 1),
    "error": validate.error_texts,
    "printed": validate.is_printed,
    "names": lambda value: validate.are_names(value, ["name", "error"]),
    "cell": validate.is_cell_result,
}


def odd(chance: random.Random, depth: int = 0) -> Any:
    """Anything that may come over the wire."""
    texts = ["outputs", "error", "gave", "stream", "output_type", "display_data", "data", "text/plain", "name", ""]
    leaves = [None, True, 1, -5, 10**4000, 0.5, float("nan"), Touchy(), np.str_("error"), np.ones(2), b"x", "\ud800"]
    if depth > 3 or chance.random() < 0.4:
        return chance.choice([*leaves, *texts])
    size = chance.randrange(4)
    if chance.random() < 0.5:
        return {chance.choice(texts): odd(chance, depth + 1) for _ in range(size)}
    return [odd(chance, depth + 1) for _ in range(size)]


def changed(value: Any, chance: random.Random) -> Any:
    """A sound value in which something is something else."""
    value = copy.deepcopy(value)
    place = value
    for _ in range(chance.randrange(4)):
        inner = list(place.values()) if isinstance(place, dict) else place
        inner = [one for one in inner if isinstance(one, dict | list) and one]
        if not inner:
            break
        place = chance.choice(inner)
    if isinstance(place, list):
        place[chance.randrange(len(place))] = odd(chance)
    elif chance.random() < 0.3:
        touchy = [] if "error" in place else [Touchy()]  # as a key beside that one it would raise here already
        place[chance.choice([np.str_("name"), *touchy, 5, None, "more"])] = odd(chance)
    else:
        place[chance.choice([*place])] = odd(chance)
    return value


@pytest.mark.parametrize("reader", READERS)
def test_nothing_that_comes_can_raise(reader: str) -> None:
    chance = random.Random(0)
    read = READERS[reader]
    for _ in range(1000):
        sound = chance.choice([CELL, [1, "gave", CELL], {"base": "E", "name": "E", "text": "", "where": ""}])
        for value in (odd(chance), changed(sound, chance)):
            assert read(value) is None or type(read(value)) in (bool, tuple)


def test_what_an_honest_process_says_is_believed() -> None:
    assert validate.is_cell_result(CELL)
    assert validate.is_cell_result({"outputs": [], "error": None})
    assert validate.reply_of([1, "gave", 5], 1) == (True, 5)
    assert validate.reply_of([1, "raised", 5], 1) == (False, 5)
    assert validate.is_printed("x" * MAX_OUTPUT + CUT)
    assert validate.are_names({"name": Touchy()}, ["name", "other"])


def in_cell(**parts: Any) -> Any:
    return CELL | parts


WRONG = {
    "another part": in_cell(more=1),
    "a tuple of outputs": in_cell(outputs=(STREAM,)),
    "an output of another kind": in_cell(outputs=[STREAM | {"output_type": "html"}]),
    "standard error": in_cell(outputs=[STREAM | {"name": "stderr"}]),
    "an output with more": in_cell(outputs=[STREAM | {"more": ""}]),
    "a page": in_cell(outputs=[PICTURE | {"data": {"text/html": ""}}]),
    "no picture": in_cell(outputs=[PICTURE | {"data": {"image/png": '"><script>'}}]),
    "metadata": in_cell(outputs=[PICTURE | {"metadata": {"a": 1}}]),
    "a text of NumPy's": in_cell(outputs=[STREAM | {"text": np.str_("x")}]),
    "a line that is true": in_cell(error=FAILED | {"line": True}),
    "a line of many digits": in_cell(error=FAILED | {"line": 10**4000}),
    "a line before the first": in_cell(error=FAILED | {"line": -1}),
    "a long name": in_cell(error=FAILED | {"name": "x" * (MAX_NAME + 1)}),
    "a long message": in_cell(error=FAILED | {"message": "x" * (MAX_OUTPUT + 1)}),
    "an unknown part of a check": in_cell(error=FAILED | {"check": {"more": ""}}),
    "a kind that nobody knows": in_cell(error=FAILED | {"kind": "all is well"}),
    "a long subject": in_cell(error=FAILED | {"subject": "x" * (MAX_NAME + 1)}),
    "a number in a check": in_cell(error=FAILED | {"check": {"came": 5}}),
    "letters of four bytes": in_cell(outputs=[STREAM | {"text": "🎓" * (validate.MAX_CELL // 4)}]),
    "letters written as six": in_cell(outputs=[STREAM | {"text": "\0" * (validate.MAX_CELL // 6)}]),
    "many small outputs": in_cell(outputs=[STREAM] * (3 * MAX_RICH // 50)),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_no_honest_process_says_is_not_believed(what: str) -> None:
    assert not validate.is_cell_result(WRONG[what])


@pytest.mark.parametrize("reply", [[1, True, 5], [True, "gave", 5], [2, "gave", 5], [1, "gave"], (1, "gave", 5), 1])
def test_a_reply_has_one_shape(reply: Any) -> None:
    assert validate.reply_of(reply, 1) is None


def test_what_is_kept_can_be_written() -> None:
    assert validate.encoded({"a": "x\ud800y🎓"}) == '{"a": "x?y🎓"}'.encode()
