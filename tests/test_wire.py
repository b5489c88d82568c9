"""Plain data between processes: what arrives is what was sent, and nothing that arrives is trusted."""

from __future__ import annotations

import contextlib
import enum
import math
import random
import socket
import struct
import time
import tracemalloc
from collections import OrderedDict, namedtuple
from collections.abc import Iterator
from typing import Any

import msgpack
import numpy as np
import pytest
import torch

from autograder.engine import wire
from autograder.engine.wire import Channel, ProtocolError, TooLargeError, pack, unpack


def there(value: Any) -> Any:
    return unpack(pack(value))


def message(tree: Any, arrays: bytes = b"") -> bytes:
    """A message with this skeleton, however wrong."""
    skeleton: bytes = msgpack.packb(tree)
    return struct.pack(">I", len(skeleton)) + skeleton + arrays


# what arrives


class Text(str):
    def __str__(self) -> str:
        return "another text"


class Number(int):
    def __int__(self) -> int:
        return 7


class Fraction(float):
    def __float__(self) -> float:
        return 7.0


class Items(list[Any]):
    def __iter__(self) -> Iterator[Any]:
        return iter([7])


class Color(enum.IntEnum):
    RED = 3


class Size(enum.StrEnum):
    BIG = "big"


Point = namedtuple("Point", "x y")


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        False,
        0,
        -(2**63),
        2**63 - 1,
        2**63,
        -(2**63) - 1,
        10**4000,
        0.1,
        -math.inf,
        "",
        "Grüße 🎓\0",
        b"\x00\xff",
        complex(1, -2),
        [],
        (),
        {},
        set(),
        frozenset(),
        [1, [2, (3, {"a": {4, 5}})]],
        {(1, 2): "tuple as key", None: [], 3: frozenset({"x"})},
        ["T", "h", "P", "l"],
        ("i", "5"),
        range(3),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_plain_values_arrive_as_they_are(value: Any) -> None:
    if isinstance(value, range):
        with pytest.raises(TypeError, match="no plain data: range"):
            pack(value)
        return
    arrived = there(value)
    assert type(arrived) is type(value)
    assert arrived == value


def test_nan_and_the_sign_of_zero_arrive() -> None:
    nan, zero, number = there([math.nan, -0.0, complex(-0.0, math.nan)])
    assert math.isnan(nan)
    assert math.copysign(1, zero) == -1
    assert math.copysign(1, number.real) == -1
    assert math.isnan(number.imag)


def test_half_a_surrogate_pair_arrives_as_a_question_mark() -> None:
    assert there("a\ud800b") == "a?b"


def test_a_very_large_number_is_refused_and_not_read_slowly() -> None:
    """Python itself limits the digits of a number that is read, since the time grows with their square."""
    with pytest.raises(ValueError, match="4300 digits"):
        pack(10**5000)
    with pytest.raises(ProtocolError):
        unpack(message(["i", "9" * 5000]))


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (Text("text"), "text"),
        (Number(5), 5),
        (Fraction(1.5), 1.5),
        (Items([1, 2]), [1, 2]),
        (Color.RED, 3),
        (Size.BIG, "big"),
        (Point(1, 2), (1, 2)),
        (OrderedDict(a=1), {"a": 1}),
        (Number(2**70), 2**70),
        (torch.Size([2, 3]), (2, 3)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_of_a_subclass_the_plain_value_arrives(value: Any, plain: Any) -> None:
    """Not what its own methods say it is."""
    arrived = there([value])[0]
    assert type(arrived) is type(plain)
    assert arrived == plain


def test_a_dict_whose_items_lie_arrives_as_it_is() -> None:
    class Liar(dict[str, int]):
        def items(self) -> Any:
            return [("a", 7)]

        def __iter__(self) -> Iterator[Any]:
            return iter(["b"])

    assert there(Liar(a=1)) == {"a": 1}


@pytest.mark.parametrize("value", [object(), len, Color, torch.nn.Linear(1, 1), ..., 1j.__class__, iter([])])
def test_what_is_no_plain_data_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="no plain data"):
        pack([1, {"a": value}])


# tensors and arrays


SHAPES = [(), (0,), (1,), (5,), (2, 3), (2, 0, 3), (1, 1, 1, 1)]


@pytest.mark.parametrize("name", sorted(wire.DTYPES))
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_tensors_of_every_dtype_and_shape_arrive(name: str, shape: tuple[int, ...]) -> None:
    dtype = getattr(torch, name)
    value = (torch.arange(math.prod(shape)) - 1).reshape(shape).to(dtype)
    arrived = there(value)
    assert type(arrived) is torch.Tensor
    assert (arrived.dtype, arrived.shape) == (dtype, shape)
    assert arrived.tolist() == value.tolist()


def test_dtypes_are_those_of_a_closed_list() -> None:
    """A new dtype of torch's must be looked at before it may cross."""
    floats = {"float16", "bfloat16", "float32", "float64", "complex64", "complex128"}
    whole = {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}
    assert floats | whole | {"bool"} == wire.DTYPES


@pytest.mark.parametrize(
    "value",
    [
        torch.arange(12).reshape(3, 4).T,
        torch.arange(12)[::3],
        torch.arange(6).reshape(2, 3)[:1, 0],
        torch.arange(3).expand(4, 3),
        torch.arange(6.0).reshape(2, 3).to(memory_format=torch.contiguous_format).flip(0),
        torch.tensor([1 + 2j, 3 - 4j]).conj(),
        torch.tensor([1 + 2j, 3 - 4j]).conj().imag,
        torch.randn(1, 2, 3, 4).to(memory_format=torch.channels_last),
        torch.ones(2, requires_grad=True) * 3,
        torch.nn.Parameter(torch.ones(2)),
    ],
    ids=[
        "transposed",
        "strided",
        "one entry strided",
        "expanded",
        "flipped",
        "conj",
        "neg",
        "channels last",
        "with graph",
        "parameter",
    ],
)
def test_views_and_tensors_with_a_graph_arrive_as_plain_tensors(value: torch.Tensor) -> None:
    arrived = there(value)
    assert type(arrived) is torch.Tensor
    assert not arrived.requires_grad
    assert arrived.is_contiguous()
    assert not arrived.is_conj()
    assert not arrived.is_neg()
    assert arrived.tolist() == value.tolist()


def test_the_bits_of_special_floats_arrive() -> None:
    value = torch.tensor([math.nan, -0.0, math.inf, 1e-45])
    assert there(value).view(torch.int32).tolist() == value.view(torch.int32).tolist()


def test_a_bool_is_zero_or_one_whatever_byte_was_sent() -> None:
    arrived = unpack(message(["T", "bool", [4], 0, 4], b"\x00\x01\x02\xff"))
    assert arrived.dtype is torch.bool
    assert arrived.view(torch.uint8).tolist() == [0, 1, 1, 1]


def test_a_bool_of_numpy_is_zero_or_one_whatever_byte_was_sent() -> None:
    arrived = unpack(message(["N", "|b1", [4], 0, 4], b"\x00\x01\x02\xff"))
    assert arrived.view(np.uint8).tolist() == [0, 1, 1, 1]
    scalar = unpack(message(["n", "|b1", [], 0, 1], b"\x02"))
    assert bool(scalar) is True
    assert bool(scalar == np.True_)


def test_a_tensor_that_arrived_is_a_copy_that_can_be_changed() -> None:
    data = pack(torch.zeros(3))
    first, second = unpack(data), unpack(data)
    first += 1
    assert second.tolist() == [0, 0, 0]


def test_of_a_tensor_subclass_the_plain_tensor_arrives() -> None:
    class Labeled(torch.Tensor):
        label = "a name"

    arrived = there(torch.zeros(3).as_subclass(Labeled))
    assert type(arrived) is torch.Tensor
    assert arrived.tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    "value",
    [
        torch.zeros(2, 2).to_sparse(),
        torch.zeros(2, device="meta"),
        torch.zeros(2, dtype=torch.float8_e5m2),
    ],
    ids=["sparse", "meta", "float8"],
)
def test_other_tensors_are_refused(value: torch.Tensor) -> None:
    with pytest.raises(TypeError, match="no plain data: Tensor"):
        pack(value)


@pytest.mark.parametrize(
    "value",
    [
        np.arange(6).reshape(2, 3),
        np.arange(6, dtype=">i2")[::2],
        np.zeros((2, 0)),
        np.array(5.0),
        np.array(["a", "längst"]),
        np.array([b"ab", b""]),
        np.array([True, False]),
        np.array([1 + 2j], dtype=np.complex64),
        np.array(["2020-01-01"], dtype="datetime64[D]"),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.zeros(3, dtype="U0"),
    ],
    ids=lambda value: f"{value.dtype}{value.shape}",
)
def test_arrays_arrive(value: np.ndarray) -> None:
    arrived = there(value)
    assert type(arrived) is np.ndarray
    assert (arrived.dtype, arrived.shape) == (value.dtype, value.shape)
    assert arrived.tolist() == value.tolist()


@pytest.mark.parametrize(
    "value",
    [
        np.float64(0.5),
        np.float32(0.5),
        np.int8(-3),
        np.uint64(2**64 - 1),
        np.bool_(True),
        np.str_("a"),
        np.bytes_(b"a"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_numpy_scalars_arrive(value: Any) -> None:
    arrived = there(value)
    assert type(arrived) is type(value)
    assert arrived == value


@pytest.mark.parametrize(
    "value", [np.array([object()]), np.zeros(2, dtype=[("a", "i4")]), np.zeros(2, dtype=[("a", "O")])]
)
def test_arrays_of_objects_and_records_are_refused(value: np.ndarray) -> None:
    with pytest.raises(TypeError, match="no plain data: ndarray"):
        pack(value)


def test_dtypes_and_devices_arrive() -> None:
    assert there([torch.bfloat16, torch.device("cpu"), torch.device("cuda:1")]) == [
        torch.bfloat16,
        torch.device("cpu"),
        torch.device("cuda:1"),
    ]


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


# what goes through the caller's own function


def test_other_values_go_through_the_callers_functions() -> None:
    def other(packer: Any) -> Any:
        return lambda item: ["T", *packer.tensor(item), 5] if torch.is_tensor(item) else ["h", type(item).__name__]

    seen: list[Any] = []

    def resolve(parts: list[Any]) -> Any:
        seen.append(parts)
        return "resolved"

    assert unpack(pack([torch.ones(2), object(), 3], other), resolve) == ["resolved", "resolved", 3]
    assert [parts[0] for parts in seen] == ["T", "h"]
    assert seen[0][1].tolist() == [1, 1]
    assert seen[0][2] == 5
    assert seen[1] == ["h", "object"]


def test_errors_of_the_callers_function_are_errors_of_the_message() -> None:
    def resolve(parts: list[Any]) -> Any:
        raise KeyError(parts[0])

    with pytest.raises(ProtocolError, match="KeyError"):
        unpack(message(["h", 1]), resolve)


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
