"""The report, a function of the results."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
import math
import re


HEADINGS = ('Introduction', 'Methodology', 'Quantitative results', 'Qualitative results', 'Comparison', 'Failure analysis', 'Insights', 'Limitations')


VERDICTS = {'vit': "The ViT is ahead: its interval lies above the CNN's.", 'cnn': "The CNN is ahead: its interval lies above the ViT's.", 'undecided': 'Neither model is clearly ahead: their intervals overlap.'}


def leaves(results: object) -> list:
    """All numbers and strings inside nested dicts and lists, in order."""
    if isinstance(results, Mapping):
        return [leaf for value in results.values() for leaf in leaves(value)]
    if isinstance(results, list | tuple):
        return [leaf for value in results for leaf in leaves(value)]
    return [results]


def numbers_in(text: str, results: Mapping) -> list[str]:
    """The numbers of a text, as written. Those in the strings of the results, in links and inside words do not count."""
    text = re.sub(r"\]\([^)]*\)", "]", text)
    for word in sorted((leaf for leaf in leaves(results) if isinstance(leaf, str) and leaf), key=len, reverse=True):
        text = text.replace(word, " ")
    return re.findall(r"(?<![\w.])-?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?(?![\w])", text)


def shows(token: str, value: float) -> bool:
    """Whether a written number is this value: exactly, rounded to three decimals or digits or more, or in percent."""
    number = float(token.replace(",", ""))
    if number == value or token == f"{value:.3g}":
        return True
    if isinstance(value, int) or math.isnan(value):
        return False
    mantissa, _, exponent = token.replace(",", "").lstrip("-").partition("e")
    decimals, digits = len(mantissa.partition(".")[2]), len(mantissa.replace(".", "").lstrip("0"))
    half = 0.5000001 * 10.0 ** (int(exponent or 0) - decimals)  # of the last digit that is written
    rounded = (decimals >= 3 or digits >= 3) and abs(number - value) <= half
    return rounded or (decimals >= 1 and abs(number - 100 * value) <= half)


def strangers(text: str, results: Mapping) -> list[str]:
    """The numbers of a text that are in no result. 95 (of "95 %") and 255 (of epsilon) may stand anywhere."""
    values = [leaf for leaf in leaves(results) if isinstance(leaf, int | float)]
    return [
        token
        for token in numbers_in(text, results)
        if token not in ("95", "255") and not any(shows(token, v) for v in values)
    ]


def verdict(results: Mapping) -> str:
    """Which model is ahead in accuracy: "vit", "cnn", or "undecided" where the intervals overlap or touch."""
    # YOUR CODE HERE
    raise NotImplementedError()


def render_report(results: Mapping, out_dir: Path | str) -> Path:
    """Write the report of a study, `report.md`, from its results alone.

    Parameters
    ----------
    results : as `EXAMPLE`. out_dir : an existing folder, which holds the figures.

    Returns
    -------
    The path of the report.

    Raises
    ------
    KeyError : naming a key that is missing. FileNotFoundError : naming a figure that is not in `out_dir`.
    """
    # YOUR CODE HERE
    raise NotImplementedError()
