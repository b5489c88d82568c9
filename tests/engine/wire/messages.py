"""What the tests of the wire share: there and back, and messages however wrong."""

from __future__ import annotations

import struct
from typing import Any

import msgpack

from autograder.engine.guest.wire import pack, unpack


def there(value: Any) -> Any:
    return unpack(pack(value))


def message(tree: Any, arrays: bytes = b"") -> bytes:
    """A message with this skeleton, however wrong."""
    skeleton: bytes = msgpack.packb(tree)
    return struct.pack(">I", len(skeleton)) + skeleton + arrays
