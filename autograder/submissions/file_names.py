"""What the name of a learner's file says: the week's topic, the person in a loose one's, which copy it is."""

from __future__ import annotations

import re
import unicodedata
from pathlib import PurePosixPath

from .entries import stem

COPY = re.compile(r"(?:[ _]?\((?P<number>\d+)\)|-copy\d*)+$", re.IGNORECASE)
"""What browsers and Jupyter add to the name of a second copy."""
COPY_OF = re.compile(r"^(?:copy of |kopie von |copie de |copia de )+", re.IGNORECASE)
"""What Colab and Google Drive put before it."""
AGAIN = re.compile(r"-\d+$")
"""What Canvas adds to the name of a file that is submitted again."""
STRUCTURE = re.compile(r"submi(?:tted|ssions?)|abgaben|work|weeks?[ _-]?\d*|files|inbound|downloads?", re.IGNORECASE)
"""Folders that name no learner."""


def owner(name: str, topic: str) -> str:
    """The learner in the name of a loose file, `attention_ann.ipynb` -> `ann`; "" where it holds the topic alone."""
    rest = PurePosixPath(name).stem if stem(name) == name else stem(name)
    rest = COPY_OF.sub("", COPY.sub("", rest))
    rest = re.sub(rf"(?:week\d\d_)?(?<![^\W_]){re.escape(topic)}(?![^\W_])", "", rest, count=1, flags=re.IGNORECASE)
    rest = re.sub(r"^week\d\d$", "", rest.strip(" _-."), flags=re.IGNORECASE)
    return "" if STRUCTURE.fullmatch(rest) else rest


def is_topic(file: str, topic: str) -> bool:
    """Whether a file has the name of the week's notebook or bundle, or of a copy of it: `attention (1).ipynb`."""
    rest = COPY_OF.sub("", COPY.sub("", AGAIN.sub("", stem(file)))).lower()
    return rest == topic or bool(re.fullmatch(rf"week\d\d_{re.escape(topic)}", rest))


def copy_number(file: str) -> int:
    """Which copy a name says it is: 2 for `attention (2).ipynb`, 0 for the first."""
    found = COPY.search(stem(file))
    return int(found["number"][:9]) if found and found["number"] else 0


def one_form(name: str) -> str:
    """One form for letters that Unicode can write in two ways."""
    return unicodedata.normalize("NFC", name).strip()
