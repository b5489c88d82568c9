"""What a report must be checked for: the numbers of a text beside those of its results. And results to try it on."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

EXAMPLE: dict[str, Any] = {
    "title": "A study of nothing", "question": "What do two models look at?",
    "data": {"name": "made_up_tiles", "train": 1741, "test": 463, "classes": ["rows", "river", "soil"]},
    "architecture": [
        {"model": "vit", "name": "made_up_vit", "size": 48, "parameters": 131762},
        {"model": "cnn", "name": "made_up_cnn", "size": 48, "parameters": 129417},
    ],
    "training": {"steps": 211, "run": "0123456789ab"},
    "accuracy": {
        "vit": {"accuracy": 0.8713, "low": 0.8377, "high": 0.8989}, "cnn": {"accuracy": 0.9371, "low": 0.9112, "high": 0.9557},
    },
    "heads": {
        "count": 18, "stability": {"mean": 0.7231, "low": 0.5519, "high": 0.8642},
        "top": [
            {"layer": 2, "head": 1, "importance": 0.4127, "low": 0.3541, "high": 0.4733},
            {"layer": 0, "head": 3, "importance": 0.1918, "low": 0.1467, "high": 0.2396},
        ],
    },
    "evidence": {"vit": 0.7836, "cnn": 0.9024},
    "robustness": [{"eps": 0.0, "vit": 0.8713, "cnn": 0.9371}, {"eps": 2.5, "vit": 0.4379, "cnn": 0.3162}],
    "failures": [
        {"owner": "vit_only", "condition": "haze", "errors": 47, "hits": 29, "share": 0.6170, "base": 0.3348,
         "lift": 1.8430, "p": 0.0000613, "p_holm": 0.0003678},
        {"owner": "both", "condition": "haze", "errors": 0, "hits": 0, "share": math.nan, "base": 0.3348,
         "lift": math.nan, "p": 1.0, "p_holm": 1.0},
    ],
    "figures": {"heads": "heads.png", "robustness": "under_attack.png"},
    "insights": ["Head 2.1 carries the model: without it the cross entropy rises by 0.413."],
    "limitations": ["One data set.", "One seed."],
    "paragraphs": {
        "Introduction": "Fields are asked about by farmers.", "Data": "Nobody flew over these fields.",
        "Architecture": "Patches go in, words come out.", "Training procedure": "Both saw the same days.",
        "Methods": "We took heads away.\n\nThen we put them back.", "Quantitative results": "The second model is ahead.",
        "Qualitative results": "Rivers are bright.", "Comparison": "Neither stands an attack.",
        "Failure modes": "Haze hides rows.", "When to use which": "Choose by your weather.",
        "Insights": "One head carries much.", "Limitations": "All of it is made up.", "Future work": "Fly there.",
    },
}  # fmt: skip
"""What the results of a study look like; its numbers and sentences are made up."""


def leaves(results: object) -> list[Any]:
    """All numbers and strings inside nested dicts and lists, in order."""
    if isinstance(results, Mapping):
        return [leaf for value in results.values() for leaf in leaves(value)]
    if isinstance(results, list | tuple):
        return [leaf for value in results for leaf in leaves(value)]
    return [results]


def numbers_in(text: str, results: Mapping[str, Any]) -> list[str]:
    """The numbers of a text, as written. Those in the strings of the results, in links and inside words do not count."""
    text = re.sub(r"\]\([^)]*\)", "]", text)
    for word in sorted((leaf for leaf in leaves(results) if isinstance(leaf, str) and leaf), key=len, reverse=True):
        text = text.replace(word, " ")
    return re.findall(r"(?<![\w.])-?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?(?![\w])", text)


def shows(token: str, value: float) -> bool:
    """Whether a written number is this value: exactly, rounded to three decimals or digits or more, or in percent.

    A zero is only 0: what was rounded to nothing is not shown.
    """
    number = float(token.replace(",", ""))
    if number == value or token == f"{value:.3g}":
        return True
    if isinstance(value, int) or math.isnan(value) or number == 0:
        return False
    mantissa, _, exponent = token.replace(",", "").lstrip("-").partition("e")
    decimals, digits = len(mantissa.partition(".")[2]), len(mantissa.replace(".", "").lstrip("0"))
    half = 0.5000001 * 10.0 ** (int(exponent or 0) - decimals)  # of the last digit that is written
    rounded = (decimals >= 3 or digits >= 3) and abs(number - value) <= half
    return rounded or (decimals >= 1 and abs(number - 100 * value) <= half)


def strangers(text: str, results: Mapping[str, Any]) -> list[str]:
    """The numbers of a text that are in no result. 95 (of "95 %") and 255 (of epsilon) may stand anywhere."""
    values = [leaf for leaf in leaves(results) if isinstance(leaf, int | float)]
    return [
        token
        for token in numbers_in(text, results)
        if token not in ("95", "255") and not any(shows(token, v) for v in values)
    ]
