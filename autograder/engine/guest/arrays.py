"""Arrays and tensors as bytes: what may cross, and how large it may say it is."""

from __future__ import annotations

import math
import re
import sys
from typing import Any

MAX_EMPTY = 2**20
"""Product of the other dimensions of an array that has none of one: what it becomes as a list, or summed."""

FLOATS = ("float16", "bfloat16", "float32", "float64", "complex64", "complex128")
WHOLE = ("bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64")
DTYPES = frozenset((*FLOATS, *WHOLE))
"""Names of the torch dtypes that may cross."""
ARRAY_KINDS = "biufcUSmM"
"""Kinds of NumPy dtypes that may cross: numbers, text, times; never objects."""
ARRAY_DTYPE = re.compile(r"[<>|=]?(?:[biufc]\d{1,2}|[US]\d{1,9}|[mM]8(?:\[\d{0,9}[a-zA-Z]{1,7}\])?)")
"""How NumPy writes them. Longer texts are not given to NumPy: it would make a record of a million fields."""


class ProtocolError(Exception):
    """A message that breaks the rules."""


class TooLargeError(ValueError):
    """A value that does not fit into a message."""


def torch_module() -> Any:
    """Torch, if anything here has imported it; without it there are no tensors."""
    return sys.modules.get("torch")


def tensor_bytes(tensor: Any) -> bytes:
    """The entries of a strided tensor, in order, as bytes."""
    torch = torch_module()
    plain = tensor.detach().as_subclass(torch.Tensor).resolve_conj().resolve_neg().cpu().contiguous()
    flat = plain.as_strided((plain.numel(),), (1,))  # of one entry torch keeps any stride, and then cannot view it
    data: bytes = flat.view(torch.uint8).numpy().tobytes()
    return data


def make_tensor(dtype: str, shape: tuple[int, ...], data: bytes | memoryview) -> Any:
    """The tensor of this dtype and shape with these bytes; a copy.

    Raises
    ------
    ProtocolError
        when dtype, shape and number of bytes do not fit each other.
    """
    torch = torch_module()
    if dtype not in DTYPES or torch is None:
        raise ProtocolError(f"a tensor of dtype {dtype!r:.40}")
    kind = getattr(torch, dtype)
    check_shape(shape, len(data), kind.itemsize)
    if not data:
        return torch.empty(shape, dtype=kind)
    flat = torch.frombuffer(bytearray(data), dtype=torch.uint8 if dtype == "bool" else kind)
    return (flat != 0 if dtype == "bool" else flat).reshape(shape)  # a bool is 0 or 1, whatever byte was sent


def check_shape(shape: Any, size: int, itemsize: int) -> None:
    whole = isinstance(shape, list | tuple) and len(shape) <= 64 and all(type(n) is int for n in shape)
    if not whole or any(not 0 <= n < 2**40 for n in shape) or math.prod(shape) * itemsize != size:
        raise ProtocolError("an array whose shape does not fit its bytes")
    if not size and not _small_if_empty(shape):
        raise ProtocolError("an empty array of enormous dimensions")


def _small_if_empty(shape: Any) -> bool:
    return 0 not in shape or math.prod(n for n in shape if n) <= MAX_EMPTY


def check_fits(shape: Any) -> None:
    if not _small_if_empty(shape):
        raise TooLargeError(f"an empty array with more than {MAX_EMPTY:,} places in its other dimensions")


def is_strided(value: Any) -> bool:
    """Whether a tensor's entries can be sent: dense, of a common dtype, with data behind it."""
    torch = torch_module()
    return (
        value.layout is torch.strided
        and str(value.dtype).removeprefix("torch.") in DTYPES
        and value.device.type != "meta"
        and not value.is_quantized
    )
