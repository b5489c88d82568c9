"""Read a name in a zip archive that does not say how it is encoded.

Old programs write the code page of their system. Each is tried; a reading counts where its letters make words: of one
alphabet, with capitals where words have them. Where none does, or several do, the name is shown as garbled.
"""

from __future__ import annotations

import struct
import unicodedata
import zlib

CODE_PAGES = ("cp437", "cp850", "cp1252", "cp932", "gb2312", "cp866")
"""DOS and Windows in the West, Japan, China, Russia."""
UNICODE_PATH = 0x7075
"""The extra field in which Info-ZIP repeats a name in UTF-8 (PKWARE's APPNOTE 4.6.9)."""


def read_name(raw: bytes, extra: bytes = b"") -> tuple[str, str]:
    """The name, and a note where it had to be guessed or could not be read.

    Parameters
    ----------
    extra : the extra fields of the member.
    """
    if raw.isascii():
        return raw.decode("ascii"), ""
    told = _repeated(raw, extra)
    if told:
        return told, ""
    try:
        if not unicodedata.combining((text := raw.decode("utf-8"))[0]):
            return text, ""
    except UnicodeDecodeError:
        pass
    readings: dict[str, str] = {}
    for page in CODE_PAGES:
        try:
            text = raw.decode(page)
        except UnicodeDecodeError:
            continue
        if _is_words(text):
            readings.setdefault(text, page)
    if len(readings) == 1:
        ((text, page),) = readings.items()
        return text, f"its name is in an old encoding, and was read as {page}"
    shown = raw.decode("ascii", "backslashreplace").replace("\\", "_")
    maybe = f": it may be {' or '.join(sorted(readings))}" if readings else ""
    return shown, f"its name is garbled (an old encoding){maybe}"


def _repeated(raw: bytes, extra: bytes) -> str:
    """The name in Info-ZIP's field, which holds a checksum of the name that it repeats; "" where there is none."""
    while len(extra) >= 4:
        kind, size = struct.unpack("<HH", extra[:4])
        data, extra = extra[4 : 4 + size], extra[4 + size :]
        if kind == UNICODE_PATH and len(data) > 5 and struct.unpack("<L", data[1:5])[0] == zlib.crc32(raw):
            try:
                return data[5:].decode("utf-8")
            except UnicodeDecodeError:
                return ""
    return ""


def _is_words(text: str) -> bool:
    """Whether all that is not ASCII in a name are letters, in words such as people write."""
    word = ""
    for character in f"{text} ":
        if character.isalpha() or unicodedata.combining(character):
            word += character
        elif character.isascii():
            if not word.isascii() and not _is_word(word):
                return False
            word = ""
        else:
            return False
    return True


def _is_word(word: str) -> bool:
    if unicodedata.normalize("NFKC", word) != word:  # letters that are signs: superscripts, full width
        return False
    alphabets = {_alphabet(character) for character in word}
    if alphabets <= {"CJK", "HIRAGANA", "KATAKANA"}:
        return True
    if len(alphabets) > 1 or not alphabets <= {"LATIN", "CYRILLIC"}:
        return False
    rest = word[1:]
    return rest == rest.lower() or word == word.upper()


def _alphabet(character: str) -> str:
    return unicodedata.name(character, "?").split(" ")[0].split("-")[0]
