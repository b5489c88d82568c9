"""The wire: what arrives is what was sent."""

from __future__ import annotations

import enum
import math
from collections import OrderedDict, namedtuple
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from autograder.engine.guest import wire
from autograder.engine.guest.arrays import ProtocolError
from autograder.engine.guest.wire import pack, unpack

from .messages import message, there

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
