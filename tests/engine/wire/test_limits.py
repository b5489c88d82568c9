"""The wire: nothing is larger than agreed, and the channel between two processes."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from autograder.engine.guest import wire
from autograder.engine.guest.arrays import ProtocolError, TooLargeError
from autograder.engine.guest.wire import Channel, pack, unpack

from .messages import message, there

# limits


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def test_containers_may_be_nested_so_deep_and_no_deeper() -> None:
    assert there(nested(wire.MAX_DEPTH)) == nested(wire.MAX_DEPTH)
    with pytest.raises(TooLargeError, match="nested deeper than 32"):
        pack(nested(wire.MAX_DEPTH + 1))


def test_a_container_that_contains_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(TooLargeError):
        pack(loop)


def test_a_nested_message_is_refused() -> None:
    tree: list[Any] = ["l"]
    for _ in range(wire.MAX_DEPTH + 1):
        tree = ["l", tree]
    with pytest.raises(ProtocolError, match="nested too deep"):
        unpack(message(tree))
    deep = b"\x91" * 200_000 + b"\x90"
    with pytest.raises(ProtocolError):
        unpack(struct.pack(">I", len(deep)) + deep)


def test_text_and_structure_have_a_limit() -> None:
    fits = "x" * (wire.MAX_SKELETON - 100)
    assert there(fits) == fits
    with pytest.raises(TooLargeError, match="more than 8 MiB besides its arrays"):
        pack("x" * (wire.MAX_SKELETON + 1))
    long = wire.MAX_SKELETON + 1
    with pytest.raises(ProtocolError):
        unpack(struct.pack(">I", long) + b"\xc0" * long)


def test_arrays_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "MAX_MESSAGE", wire.MAX_SKELETON + 1000)
    assert there([torch.zeros(500, dtype=torch.uint8)] * 2)[1].shape == (500,)
    with pytest.raises(TooLargeError):
        pack([torch.zeros(500, dtype=torch.uint8), torch.zeros(501, dtype=torch.uint8)])
    with pytest.raises(TooLargeError):
        pack(torch.zeros(1).expand(1001))


# the channel


@pytest.fixture
def pair() -> Iterator[tuple[Channel, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Channel(ours, limit=1000), theirs


def test_messages_arrive_whole_however_they_are_cut(pair: tuple[Channel, socket.socket]) -> None:
    channel, raw = pair
    data = struct.pack(">Q", 5) + b"hello" + struct.pack(">Q", 0) + struct.pack(">Q", 3) + b"you"
    channel.deadline = time.monotonic() + 10
    received = []
    for place, byte in enumerate(data):
        raw.sendall(bytes([byte]))
        if place in (12, 20, 31):
            received.append(channel.receive())
    assert received == [b"hello", b"", b"you"]


def test_two_messages_in_one_piece_are_two(pair: tuple[Channel, socket.socket]) -> None:
    channel, raw = pair
    raw.sendall((struct.pack(">Q", 2) + b"ab") * 2)
    assert [channel.receive(), channel.receive()] == [b"ab", b"ab"]


def test_what_one_channel_sends_the_other_receives(pair: tuple[Channel, socket.socket]) -> None:
    channel, raw = pair
    Channel(raw).send(b"x" * 1000)
    assert channel.receive() == b"x" * 1000


@pytest.mark.parametrize("sent", [b"", b"\0\0", struct.pack(">Q", 5), struct.pack(">Q", 5) + b"abcd"])
def test_the_end_of_the_other_side_is_an_end(pair: tuple[Channel, socket.socket], sent: bytes) -> None:
    channel, raw = pair
    raw.sendall(sent)
    raw.close()
    with pytest.raises(EOFError):
        channel.receive()


def test_a_side_that_ended_with_unread_messages_is_an_end(pair: tuple[Channel, socket.socket]) -> None:
    channel, raw = pair
    channel.send(b"never read")
    raw.close()
    with pytest.raises(EOFError):
        channel.receive()
    with pytest.raises(OSError, match="pipe"):
        channel.send(b"again")


@pytest.mark.parametrize("length", [1001, 2**40, 2**64 - 1])
def test_a_message_above_the_limit_is_refused_unread(pair: tuple[Channel, socket.socket], length: int) -> None:
    channel, raw = pair
    raw.sendall(struct.pack(">Q", length))
    with pytest.raises(ProtocolError, match=f"a message of {length} bytes; at most 1000 are read"):
        channel.receive()


@pytest.mark.parametrize("sent", [b"", b"\0\0\0", struct.pack(">Q", 5) + b"ab"])
def test_the_deadline_holds_for_the_whole_message(pair: tuple[Channel, socket.socket], sent: bytes) -> None:
    channel, raw = pair
    raw.sendall(sent)
    channel.deadline = time.monotonic() + 0.05
    with pytest.raises(TimeoutError):
        channel.receive()


def test_a_trickle_does_not_move_the_deadline(pair: tuple[Channel, socket.socket]) -> None:
    """Each byte comes in time; the message does not."""
    import threading

    channel, raw = pair
    stop = threading.Event()

    def trickle() -> None:
        raw.sendall(struct.pack(">Q", 1000))
        while not stop.wait(0.01):
            with contextlib.suppress(OSError):
                raw.sendall(b"x")

    thread = threading.Thread(target=trickle)
    thread.start()
    channel.deadline = time.monotonic() + 0.2
    with pytest.raises(TimeoutError):
        channel.receive()
    stop.set()
    thread.join()


def test_a_side_that_does_not_read_cannot_block_the_sender(pair: tuple[Channel, socket.socket]) -> None:
    channel, _ = pair
    channel.deadline = time.monotonic() + 0.1
    with pytest.raises(TimeoutError):
        channel.send(b"x" * 10 * 2**20)


def test_after_the_deadline_nothing_is_sent_or_read(pair: tuple[Channel, socket.socket]) -> None:
    channel, raw = pair
    raw.sendall(struct.pack(">Q", 2) + b"ab")
    channel.deadline = time.monotonic() - 1
    with pytest.raises(TimeoutError):
        channel.receive()
    with pytest.raises(TimeoutError):
        channel.send(b"ab")
