"""Plain data between two processes, bounded on every side.

`pack` turns a value into bytes; what is not plain data goes through a function that the caller gives.
`unpack` turns bytes back and trusts nothing: not a length, a depth, a name or a shape. Nothing is
ever unpickled or evaluated. `Channel` carries such messages over a socket, with limits on size and time.

A message is a skeleton (MessagePack, small) followed by the bytes of its arrays. In the skeleton every
container is a list that begins with a tag, so that tuples, sets and dicts stay what they are.
"""

from __future__ import annotations

import math
import socket
import struct
import sys
import time
from collections.abc import Callable
from typing import Any

import msgpack

from .arrays import ARRAY_DTYPE, ARRAY_KINDS, check_fits, check_shape
from .arrays import DTYPES as DTYPES
from .arrays import MAX_EMPTY as MAX_EMPTY
from .arrays import ProtocolError as ProtocolError
from .arrays import TooLargeError as TooLargeError
from .arrays import is_strided as is_strided
from .arrays import make_tensor as make_tensor
from .arrays import tensor_bytes as tensor_bytes
from .arrays import torch_module as torch_module
from .skeleton import too_much

MAX_SKELETON = 8 * 2**20
"""Bytes of text, numbers and structure in one message."""
MAX_MESSAGE = 128 * 2**20
"""Bytes of one message with its arrays."""
MAX_DEPTH = 32
"""Containers inside each other."""
MAX_OBJECTS = 2**14
"""Tensors, arrays and handles of one message: each is a few kilobytes, however short it is on the wire."""
SIZE = struct.Struct(">Q")
HEAD = struct.Struct(">I")

CONTAINERS: tuple[tuple[Any, str], ...] = ((list, "l"), (tuple, "t"), (set, "s"), (frozenset, "z"))

Other = Callable[[Any], list[Any]]
Resolve = Callable[[list[Any]], Any]


class _Packer:
    """Builds one message."""

    def __init__(self, other: Other | None) -> None:
        self.other = other
        self.buffers: list[bytes] = []
        self.size = 0
        self.objects = 0

    def buffer(self, data: bytes) -> list[int]:
        """Append an array's bytes; returns where they begin and how many they are."""
        begin, self.size = self.size, self.size + len(data)
        if self.size > MAX_MESSAGE - MAX_SKELETON:
            raise TooLargeError(f"more than {(MAX_MESSAGE - MAX_SKELETON) // 2**20} MiB of arrays in one result")
        self.buffers.append(data)
        return [begin, len(data)]

    def tensor(self, value: Any) -> list[Any]:
        check_fits(value.shape)
        return [str(value.dtype).removeprefix("torch."), list(value.shape), *self.buffer(tensor_bytes(value))]

    def tree(self, value: Any, depth: int = 0) -> Any:
        if depth > MAX_DEPTH:
            raise TooLargeError(f"containers nested deeper than {MAX_DEPTH}")
        if value is None or value is True or value is False:
            return value
        kind = type(value)
        if kind is int:
            return value if -(2**63) <= value < 2**63 else ["i", str(value)]
        if kind is float or kind is str or kind is bytes:
            return value
        if kind is complex:
            return ["c", value.real, value.imag]
        for base, tag in CONTAINERS:
            if isinstance(value, base):
                return [tag, *(self.tree(item, depth + 1) for item in base.__iter__(value))]
        if isinstance(value, dict):
            pairs = dict.items(value)
            return ["d", *(self.tree(part, depth + 1) for pair in pairs for part in pair)]
        numpy = sys.modules.get("numpy")
        if not (numpy and isinstance(value, numpy.generic)):  # NumPy's float64 is a float
            if isinstance(value, str):  # enums and subclasses: the plain value alone
                return str.__str__(value)
            if isinstance(value, int):
                return self.tree(int.__int__(value))
            if isinstance(value, float):
                return float.__float__(value)
        return self._array(value)

    def _array(self, value: Any) -> Any:
        self.objects += 1
        if self.objects > MAX_OBJECTS:
            raise TooLargeError(f"more than {MAX_OBJECTS:,} tensors, arrays and objects in one result")
        torch, numpy = torch_module(), sys.modules.get("numpy")
        if numpy is not None and isinstance(value, numpy.ndarray | numpy.generic) and value.dtype.kind in ARRAY_KINDS:
            array = numpy.asarray(value)
            check_fits(array.shape)
            tag = "n" if isinstance(value, numpy.generic) else "N"
            return [tag, array.dtype.str, list(array.shape), *self.buffer(array.tobytes())]
        if torch is not None:
            if isinstance(value, torch.dtype):
                return ["D", str(value).removeprefix("torch.")]
            if isinstance(value, torch.device):
                return ["V", str(value)]
            if self.other is None and isinstance(value, torch.Tensor) and is_strided(value):
                return ["T", *self.tensor(value)]
        if self.other is None:
            raise TypeError(f"no plain data: {type(value).__name__}")
        return self.other(value)


def pack(value: Any, other: Callable[[_Packer], Other] | None = None) -> bytes:
    """A value as one message.

    Parameters
    ----------
    other : gets the packer (for its `tensor`) and returns the function that gives a tagged list for tensors and
        for what is not plain data; without it tensors lose their graph and other values are refused.

    Raises
    ------
    TooLargeError
        for what does not fit the limits.
    TypeError
        for what is not plain data.
    """
    packer = _Packer(None)
    packer.other = other(packer) if other else None
    tree = packer.tree(value)
    skeleton = msgpack.packb(tree, use_bin_type=True, unicode_errors="replace")
    if len(skeleton) > MAX_SKELETON:
        raise TooLargeError(f"a result of more than {MAX_SKELETON // 2**20} MiB besides its arrays")
    if why := too_much(skeleton):
        raise TooLargeError(f"a result of {why}")
    return b"".join([HEAD.pack(len(skeleton)), skeleton, *packer.buffers])


def unpack(message: bytes, resolve: Resolve | None = None) -> Any:
    """The value of a message.

    Parameters
    ----------
    resolve : gets the tagged lists that `pack` got from `other`, with a tensor in place of its four fields.

    Raises
    ------
    ProtocolError
        for every message that `pack` would not have made.
    """
    if len(message) < HEAD.size:
        raise ProtocolError("a message without a head")
    (length,) = HEAD.unpack_from(message)
    if length > MAX_SKELETON or HEAD.size + length > len(message):
        raise ProtocolError("a message with a wrong head")
    view = memoryview(message)
    skeleton = view[HEAD.size : HEAD.size + length]
    if why := too_much(skeleton):
        raise ProtocolError(f"a message of {why}")
    try:
        tree = msgpack.unpackb(skeleton, raw=False, unicode_errors="replace", max_map_len=0, max_ext_len=0)
    except Exception as error:  # msgpack raises a dozen kinds
        raise ProtocolError(f"a message that cannot be read ({type(error).__name__})") from None
    try:
        return _Unpacker(view[HEAD.size + length :], resolve).value(tree)
    except ProtocolError:
        raise
    except Exception as error:  # unhashable keys, odd dtypes, numbers of 5,000 digits, ...
        raise ProtocolError(f"a message with wrong content ({type(error).__name__})") from None


class _Unpacker:
    def __init__(self, buffers: memoryview, resolve: Resolve | None) -> None:
        self.buffers = buffers
        self.resolve = resolve
        self.read = 0
        self.objects = 0

    def value(self, tree: Any, depth: int = 0) -> Any:
        if not isinstance(tree, list):
            return tree
        if depth > MAX_DEPTH or not tree or not isinstance(tree[0], str):
            raise ProtocolError("a container without a tag, or nested too deep")
        tag, *parts = tree
        if tag in "ltsz":
            kind = {"l": list, "t": tuple, "s": set, "z": frozenset}[tag]
            return kind(self.value(part, depth + 1) for part in parts)
        if tag == "d":
            values = [self.value(part, depth + 1) for part in parts]
            pairs = zip(values[::2], values[1::2], strict=True)
            return {key: value for key, value in pairs}  # noqa: C416 - an alarm can end this, and not `dict(pairs)`
        if tag == "i":
            return int(parts[0])
        if tag == "c":
            return complex(float(parts[0]), float(parts[1]))
        self.objects += 1
        if self.objects > MAX_OBJECTS:
            raise ProtocolError(f"a message of more than {MAX_OBJECTS:,} tensors, arrays and objects")
        if tag in "nN":
            return self._array(tag, *parts)
        if tag == "D":
            if parts[0] not in DTYPES:
                raise ProtocolError("an unknown dtype")
            return getattr(torch_module(), parts[0])
        if tag == "V" and isinstance(parts[0], str):
            return torch_module().device(parts[0])
        if tag == "T" and len(parts) == 4:
            return self.tensor(parts)
        if self.resolve is None:
            raise ProtocolError(f"an unknown tag {tag!r:.20}")
        if tag in "PT":
            parts = [self.tensor(parts[:4]), *parts[4:]]
        return self.resolve([tag, *parts])

    def tensor(self, parts: list[Any]) -> Any:
        dtype, shape, begin, size = parts
        return make_tensor(dtype, shape, self._bytes(begin, size))

    def _bytes(self, begin: Any, size: Any) -> memoryview:
        """The bytes of the next array. They follow each other, so that none is there twice."""
        whole = type(begin) is int and type(size) is int and size >= 0
        if not whole or begin != self.read or begin + size > len(self.buffers):
            raise ProtocolError("an array outside its message, or out of order")
        self.read += size
        return self.buffers[begin : begin + size]

    def _array(self, tag: str, dtype: str, shape: list[int], begin: int, size: int) -> Any:
        import numpy

        if not isinstance(dtype, str) or not ARRAY_DTYPE.fullmatch(dtype):
            raise ProtocolError("an array of an unknown dtype")
        kind = numpy.dtype(dtype)
        check_shape(shape, size, kind.itemsize)
        if tag == "n" and shape:
            raise ProtocolError("a number that is an array")
        array = numpy.frombuffer(bytearray(self._bytes(begin, size)), kind) if size else numpy.empty(0, kind)
        if kind.kind == "U" and size:
            letters = array.view(numpy.dtype("u4").newbyteorder(kind.byteorder))
            letters[(letters > 0x10FFFF) | ((letters >= 0xD800) & (letters < 0xE000))] = 0xFFFD  # as in other texts
        array = (array.view("u1") != 0 if kind.kind == "b" else array).reshape(shape)
        return array[()] if tag == "n" else array


class Channel:
    """Messages over a stream socket, each behind its length.

    `deadline` is the time.monotonic() up to which the next messages may take.
    """

    def __init__(self, connection: socket.socket, limit: int = MAX_MESSAGE) -> None:
        self.connection = connection
        self.limit = limit
        self.deadline = math.inf

    def _wait(self) -> None:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self.connection.settimeout(None if left == math.inf else left)

    def send(self, message: bytes) -> None:
        """Send one message. Raises `TimeoutError` at the deadline, `OSError` when the other side is gone."""
        self._wait()
        self.connection.sendall(SIZE.pack(len(message)) + message)

    def receive(self) -> bytes:
        """The next message.

        Raises
        ------
        EOFError
            when the other side is gone.
        TimeoutError
            at the deadline.
        ProtocolError
            for a message above the limit.
        """
        (length,) = SIZE.unpack(self._exactly(SIZE.size))
        if length > self.limit:
            raise ProtocolError(f"a message of {length} bytes; at most {self.limit} are read")
        return self._exactly(length)

    def _exactly(self, length: int) -> bytes:
        parts: list[bytes] = []
        while length:
            self._wait()
            try:
                part = self.connection.recv(min(length, 1 << 20))
            except ConnectionError:
                raise EOFError from None
            if not part:
                raise EOFError
            parts.append(part)
            length -= len(part)
        return b"".join(parts)

    def close(self) -> None:
        self.connection.close()
