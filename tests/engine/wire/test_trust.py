"""The wire: nothing that arrives is trusted."""

from __future__ import annotations

import contextlib
import math
import random
import struct
import tracemalloc
from typing import Any

import msgpack
import numpy as np
import pytest
import torch

from autograder.engine.guest.arrays import ProtocolError
from autograder.engine.guest.wire import pack, unpack

from .messages import message

# nothing that arrives is trusted


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\0\0",
        b"\0\0\0\5ab",
        b"\xff\xff\xff\xffab",
        b"\0\0\0\0",
        message({"a": 1}),
        message(msgpack.ExtType(5, b"abc")),
        message(msgpack.Timestamp(5)),
        message([]),
        message([1, 2]),
        message([None]),
        message([["l"]]),
        message(["unknown", 1]),
        message(["h", 1, "x", False]),
        message(["P", "float32", [1], 0, 4, 1, True], b"\0" * 4),
        message(["", 1]),
        message(["lt", 1]),
        message(["d", 1]),
        message(["d", ["l"], 1]),
        message(["s", ["l"]]),
        message(["i"]),
        message(["i", "x"]),
        message(["i", ["l"]]),
        message(["c", 1]),
        message(["c", "x", 1]),
        message(["D", "Tensor"]),
        message(["D", "__class__"]),
        message(["V", "nowhere"]),
        message(["V", 10**10]),
        message(["T"]),
        message(["T", "float32", [1], 0]),
        message(["T", "float32", [2], 0, 4], b"\0" * 4),
        message(["T", "float32", [-1], 0, 4], b"\0" * 4),
        message(["T", "float32", [1.0], 0, 4], b"\0" * 4),
        message(["T", "float32", [True], 0, 4], b"\0" * 4),
        message(["T", "float32", 1, 0, 4], b"\0" * 4),
        message(["T", "float32", [1], 1, 4], b"\0" * 4),
        message(["T", "float32", [1], -4, 4], b"\0" * 4),
        message(["T", "float32", [1], 0, 2**62], b"\0" * 4),
        message(["T", "float32", [0, 2**39, 2**39], 0, 0]),
        message(["T", "float32", [0, 2**40], 0, 0]),
        message(["T", "float32", [1] * 65, 0, 4], b"\0" * 4),
        message(["T", "load", [1], 0, 4], b"\0" * 4),
        message(["T", "qint8", [4], 0, 4], b"\0" * 4),
        message(["N", "O", [1], 0, 8], b"\0" * 8),
        message(["N", "V8", [1], 0, 8], b"\0" * 8),
        message(["N", "i4,O", [1], 0, 12], b"\0" * 12),
        message(["N", ",".join(["i4"] * 3), [1], 0, 12], b"\0" * 12),
        message(["N", "(2,)i4", [1], 0, 8], b"\0" * 8),
        message(["N", "U1000000000", [0], 0, 0]),
        message(["N", "i4", [2**39, 2**39, 0], 0, 0]),
        message(["n", "i4", [2], 0, 8], b"\0" * 8),
        message(["N", None, [1], 0, 8], b"\0" * 8),
    ],
    ids=lambda data: repr(data)[:50],
)
def test_wrong_messages_are_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        unpack(data)


SEEDS = [
    [1, "two", 3.0, None, True, b"bytes", 2**70, 1j],
    {"a": (1, {2, 3}), "b": frozenset({4})},
    [torch.arange(6).reshape(2, 3), torch.zeros(2, 0), torch.tensor(True), torch.bfloat16, torch.device("cpu")],
    [np.arange(4), np.float32(1), np.array(["a", "bc"]), np.array("2020-01-01", dtype="datetime64[D]")],
    [1, "gave", {"outputs": [{"output_type": "stream", "name": "stdout", "text": "hello"}], "error": None}],
]


def mutated(data: bytes, chance: random.Random) -> bytes:
    """A message with a few bytes changed, cut, doubled or put elsewhere."""
    changed = bytearray(data)
    for _ in range(chance.randrange(1, 4)):
        place = chance.randrange(len(changed))
        match chance.randrange(5):
            case 0:
                changed[place] = chance.randrange(256)
            case 1:
                changed[place] ^= 1 << chance.randrange(8)
            case 2:
                del changed[place : place + chance.randrange(1, 8)]
            case 3:
                changed[place:place] = changed[place : place + chance.randrange(1, 8)]
            case 4:
                changed[place:place] = chance.choice(
                    [b"\xdd\xff\xff\xff\xff", b"\xdb\x7f\xff\xff\xff", b"\x91", b"\xa1T"]
                )
        if not changed:
            changed = bytearray(b"\0")
    if chance.random() < 0.5 and len(changed) > 4:  # a head that fits, so that more is read
        changed[:4] = struct.pack(">I", min(len(changed) - 4, struct.unpack(">I", data[:4])[0]))
    return bytes(changed)


def refused_or_read(data: bytes) -> bool:
    """Whether a message was read; anything but a value and a ProtocolError is a failure of the test."""
    try:
        unpack(data)
    except ProtocolError:
        return False
    return True


@pytest.mark.parametrize("seed", range(len(SEEDS)))
def test_mutated_messages_are_read_or_refused(seed: int) -> None:
    chance = random.Random(seed)
    data = pack(SEEDS[seed])
    read = sum(refused_or_read(mutated(data, chance)) for _ in range(2000))
    assert 0 < read < 2000, "the mutations reach both"


def test_random_bytes_are_read_or_refused() -> None:
    chance = random.Random(0)
    for _ in range(2000):
        body = chance.randbytes(chance.randrange(60))
        refused_or_read(struct.pack(">I", chance.randrange(len(body) + 1)) + body)


def random_tree(chance: random.Random, depth: int = 0) -> Any:
    """A skeleton of the right kind with wrong parts."""
    leaves = [None, True, -1, 0, 3, 2**40, 2**63 - 1, 0.5, math.nan, "", "float32", "bool", "<i4", "U9", "M8[s]", b"ab"]
    if depth > 4 or chance.random() < 0.4:
        return chance.choice(leaves)
    tag = chance.choice([*"ltszdicnNDVTPh", "", "x", 5])
    return [tag, *(random_tree(chance, depth + 1) for _ in range(chance.randrange(6)))]


def test_random_skeletons_are_read_or_refused() -> None:
    chance = random.Random(0)
    read = sum(refused_or_read(message(random_tree(chance), bytes(16))) for _ in range(4000))
    assert 0 < read < 4000


@pytest.mark.parametrize(
    "data",
    [
        b"\0\0\0\5\xdd\xff\xff\xff\xff",
        b"\0\0\0\5\xdb\xff\xff\xff\xff",
        b"\0\0\0\5\xc6\xff\xff\xff\xff",
        b"\0\0\0\5\xdf\xff\xff\xff\xff",
        message(["T", "float64", [2**39], 0, 2**42]),
        message(["T", "float64", [0] + [2**39] * 60, 0, 0]),
        message(["N", "U1000000000", [1], 0, 4 * 10**9]),
        message(["N", "U536870911", [1], 0, 0]),
        message(["N", "S2147483647", [0], 0, 0]),
        message(["i", "1" * 4000]),
        message(["N", "M8[999999999999s]", [1], 0, 8], bytes(8)),
        message(["l", *[["l"]] * 1000]),
    ],
    ids=lambda data: repr(data)[:50],
)
def test_a_short_message_costs_little_memory(data: bytes) -> None:
    tracemalloc.start()
    try:
        with contextlib.suppress(ProtocolError):
            unpack(data)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 2**20 + 100 * len(data)


def test_a_short_message_costs_little_memory_in_torch_either() -> None:
    """An empty tensor may have enormous dimensions beside the zero; it has no entries all the same."""
    arrived = unpack(message(["T", "float32", [0, 2**20], 0, 0]))
    assert arrived.shape == (0, 2**20)
    assert arrived.untyped_storage().nbytes() == 0
