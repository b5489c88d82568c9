"""The wire: a short message stays small in memory, whatever it announces."""

from __future__ import annotations

import contextlib
import random
import signal
import struct
import tracemalloc
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from autograder.engine.guest import skeleton, wire
from autograder.engine.guest.arrays import ProtocolError, TooLargeError
from autograder.engine.guest.wire import pack, unpack

from .messages import message, there

KIB = bytes(1024)
PER_BYTE = 160
"""Bytes of memory for one byte of a message: three bytes make an empty set, 216 bytes, and what it is made from."""


def raw(body: bytes) -> bytes:
    """A message with these bytes as its structure."""
    return struct.pack(">I", len(body)) + body


@contextlib.contextmanager
def grows_at_most(size: int) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < size


GROWING = {
    "lists announced inside each other": raw(b"\xdd\x00\x00\xc3\x50" * 500 + b"\xc0" * 50_000),
    "a list that is not there": raw(b"\xdd\x00\x10\x00\x00" + b"\xc0" * 9),
    "one array a thousand times": message(["l", *[["N", "|u1", [1024], 0, 1024]] * 1000], KIB),
    "one tensor a thousand times": message(["l", *[["T", "uint8", [1024], 0, 1024]] * 1000], KIB),
    "the first half twice": message(["l", *[["N", "|u1", [512], 0, 512]] * 2], KIB),
    "an array that begins before its turn": message(["N", "|u1", [512], 512, 512], KIB),
    "sums of nothing": message(["T", "float32", [0, 2**30], 0, 0]),
    "lists of nothing": message(["T", "float32", [2**30, 0], 0, 0]),
    "nothing in many dimensions": message(["T", "float32", [2] * 30 + [0], 0, 0]),
    "an array of nothing": message(["N", "<f8", [0, 2**30], 0, 0]),
    "a record of many fields": message(["N", ",".join(["i4"] * 20_000), [0], 0, 0]),
    "too many numbers": raw(b"\xdd" + struct.pack(">I", 3 * 10**6) + b"\x01" * 3 * 10**6),
    "too many empty sets": raw(b"\xdd" + struct.pack(">I", 300_001) + b"\xa1l" + b"\x91\xa1s" * 300_000),
    "too many empty lists": raw(b"\xdd" + struct.pack(">I", 300_000) + b"\x90" * 300_000),
    "too many tensors": message(["l", *[["T", "bool", [0], 0, 0]] * (wire.MAX_OBJECTS + 1)]),
    "too many handles": message(["l", *[["h", 7, "x", True]] * (wire.MAX_OBJECTS + 1)]),
    "too many dtypes": message(["l", *[["D", "bool"]] * (wire.MAX_OBJECTS + 1)]),
    "a text without an end": raw(b"\xdb\x7f\xff\xff\xff"),
    "a map": raw(b"\x81\xa1a\x01"),
    "data of another kind": raw(b"\xd4\x01\x01"),
    "a byte that means nothing": raw(b"\xc1"),
}


@pytest.mark.parametrize("what", GROWING)
def test_what_would_grow_is_refused_before_it_does(what: str) -> None:
    data = GROWING[what]
    with grows_at_most(3 * 2**20 + 100 * len(data)), pytest.raises(ProtocolError):
        unpack(data, lambda parts: parts)


def promise(chance: random.Random) -> bytes:
    """A few bytes that announce what is not there."""
    return chance.choice(
        [
            b"\xdd" + struct.pack(">I", chance.choice([1, 1000, 2**20, 2**31])),
            b"\xdc" + struct.pack(">H", chance.randrange(2**16)),
            b"\x90" * chance.randrange(500),
            b"\x91\xa1s" * chance.randrange(500),
            b"\x9f\xa1" + chance.choice([b"l", b"t", b"s", b"d"]),
            b"\xdb" + struct.pack(">I", chance.choice([3, 2**31])) + b"\xf0\x9f\x98",
            b"\xa1" + bytes([chance.randrange(256)]),
        ]
    )


def part(chance: random.Random, arrays: int) -> bytes:
    """A whole value, which may be large for its bytes, or stand for the same bytes as another."""
    shape = chance.choice([[arrays], [arrays, 1], [0], [2**20, 0], [0, 2**30], [2**30, 0]])
    size = 0 if 0 in shape else arrays
    begin = chance.choice([0, 0, size])
    tree: list[Any] = chance.choice(
        [
            ["T", "uint8", shape, begin, size],
            ["N", "|u1", shape, begin, size],
            ["N", chance.choice(["<U9", "|S0"]), [0], begin, 0],
            ["l", *[[chance.choice("lts")]] * chance.randrange(500)],
            ["i", "9" * chance.choice([1, 4000, 5000])],
            ["c", 1, 2],
        ]
    )
    return message(tree)[4:]


def entries(value: Any) -> int:
    """Numbers in all tensors and arrays of a value."""
    if isinstance(value, torch.Tensor | np.ndarray):
        return int(np.prod(value.shape))
    if isinstance(value, dict):
        return sum(map(entries, [*value.keys(), *value.values()]))
    return sum(map(entries, value)) if isinstance(value, list | tuple | set | frozenset) else 1


def held(value: Any) -> int:
    """Bytes of all arrays of a value."""
    if isinstance(value, torch.Tensor | np.ndarray):
        return int(value.nbytes)
    return sum(map(held, value)) if isinstance(value, list | tuple) else 0


@pytest.mark.parametrize("seed", range(4))
def test_random_promises_stay_small(seed: int) -> None:
    """Also beside other values, and in containers that are whole."""
    chance = random.Random(seed)
    read = 0
    for _ in range(150):
        arrays = chance.randbytes(chance.randrange(64))
        whole = chance.random() < 0.7
        count = chance.randrange(1, 4 if whole else 9)
        pieces = [part(chance, len(arrays)) if whole else promise(chance) for _ in range(count)]
        head = (bytes([0x90 + len(pieces) + 1]) + b"\xa1l") if whole else b""
        data = raw(head + b"".join(pieces)) + arrays
        with grows_at_most(2**20 + PER_BYTE * len(data)), contextlib.suppress(ProtocolError):
            value = unpack(data)
            read += 1
            assert entries(value) <= len(data)
            assert held(value) <= len(arrays)
    assert 0 < read < 150, "both happen"


# the honest side does not send what would be refused


def test_what_is_refused_there_is_refused_here_first(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TooLargeError, match="empty array"):
        pack(torch.zeros(0, wire.MAX_EMPTY + 1))
    with pytest.raises(TooLargeError, match="empty array"):
        pack(np.zeros((wire.MAX_EMPTY + 1, 0)))
    monkeypatch.setattr(wire, "MAX_OBJECTS", 3)
    assert len(there([torch.zeros(1)] * 3)) == 3
    with pytest.raises(TooLargeError, match="more than 3 tensors"):
        pack([torch.zeros(1)] * 4)
    monkeypatch.setattr(skeleton, "MAX_CONTAINERS", 4)
    assert there([[], [], []]) == [[], [], []]
    with pytest.raises(TooLargeError, match="4 containers"):
        pack([[], [], [], []])
    monkeypatch.setattr(skeleton, "MAX_VALUES", 10)
    assert there([1] * 8) == [1] * 8
    with pytest.raises(TooLargeError, match="10 values"):
        pack([1] * 9)


@pytest.mark.parametrize(
    "value",
    [
        [*range(-40, 300), 2**20, 2**40, -(2**20), -(2**40), 2**63 - 1, 0.5, None, True],
        ["", "x" * 31, "x" * 32, "x" * 256, "x" * 70_000, b"x", b"x" * 300, b"x" * 70_000, "Grüße 🎓"],
        [[*range(n)] for n in (0, 13, 14, 15, 16, 70_000)],
        {n: (n, {n}) for n in range(200)},
    ],
    ids=["numbers", "texts", "lengths", "containers"],
)
def test_everything_that_is_sent_is_let_through(value: Any) -> None:
    assert there(value) == value


# and what it becomes can be looked at


def test_letters_that_are_none_are_replaced() -> None:
    """Half a character, and numbers beyond the last letter, would raise wherever the text is looked at or written."""
    letters = struct.pack("<4I", 0xD800, 0x110000, 0xFFFFFFFF, 0x61)
    assert unpack(message(["N", "<U2", [2], 0, 16], letters)).tolist() == ["\ufffd\ufffd", "\ufffda"]
    swapped = struct.pack(">I", 0xDFFF)
    assert str(unpack(message(["n", ">U1", [], 0, 4], swapped))) == "\ufffd"


@pytest.mark.parametrize("tag", ["s", "z", "d"])
def test_keys_with_one_hash_can_be_stopped(tag: str) -> None:
    """Each is compared with all before it, for minutes."""

    class AlarmError(BaseException):
        pass

    def stop(number: int, frame: Any) -> None:
        raise AlarmError

    keys = [["i", str(n * (2**61 - 1))] for n in range(2**20, 2**20 + 50_000)]
    data = message([tag, *(part for key in keys for part in ([key, 1] if tag == "d" else [key]))])
    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        with pytest.raises(AlarmError):
            unpack(data)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
