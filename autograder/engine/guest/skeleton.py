"""How much the structure of a message becomes in memory, counted before anything of it is made.

MessagePack makes a list of any length from five bytes, and a container in memory is sixty times as large as the byte
that stands for an empty one. So the bytes are gone through first, and nothing is made of what announces too much.
"""

from __future__ import annotations

MAX_VALUES = 2**21
"""Numbers, texts and containers of one message, together."""
MAX_CONTAINERS = 2**18
"""Lists, tuples, sets, dicts, and all else that has parts."""

TEXTS = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4}
"""First byte of bytes and texts -> bytes of the length behind it."""
ARRAYS = {0xDC: 2, 0xDD: 4}
NUMBERS = {0xC0: 0, 0xC2: 0, 0xC3: 0, 0xCA: 4, 0xCB: 8, 0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8}
NUMBERS |= {0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8}
"""First byte of None, booleans and numbers -> bytes behind it."""


def too_much(data: bytes | memoryview) -> str:
    """What of the structure is beyond the limits, or no MessagePack of plain data; "" for what may be read."""
    place, end = 0, len(data)
    announced, containers = 1, 0
    while place < end:
        byte = data[place]
        place += 1
        if byte < 0x80 or byte >= 0xE0:  # a small number
            continue
        items = 0
        if 0xA0 <= byte < 0xC0:
            place += byte & 0x1F
        elif 0x90 <= byte < 0xA0:
            containers, items = containers + 1, byte & 0x0F
        elif byte in NUMBERS:
            place += NUMBERS[byte]
        elif byte in TEXTS or byte in ARRAYS:
            width = TEXTS.get(byte) or ARRAYS[byte]
            length = int.from_bytes(data[place : place + width], "big")
            place += width
            if byte in TEXTS:
                place += length
            else:
                containers, items = containers + 1, length
        else:
            return "another kind of data"
        announced += items
        if announced > end:
            return "more values announced than there are bytes"
        if announced > MAX_VALUES or containers > MAX_CONTAINERS:
            return f"more than {MAX_VALUES:,} values or {MAX_CONTAINERS:,} containers"
    return ""
