"""A study and its report: the numbers of a text beside those of its results, and the folder that holds both."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
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


def interval(hits: float, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share of `hits` in `n` (Wilson 1927)."""
    share, z = hits / n, 1.96
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return middle - half, middle + half


def reported(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The results of the report of a project, and the configuration of its run."""
    results = json.loads((folder / "report" / "results.json").read_text(encoding="utf-8"))
    config = folder / "runs" / results["training"]["run"] / "config.json"
    return results, json.loads(config.read_text(encoding="utf-8"))


README = """# {title}

{question} The models are {models}, on {data}, at {size} x {size} pixels.

| what | where |
| --- | --- |
| the report, with every number from `results.json` beside it | `report/report.md` |
| the demo | `streamlit run {folder}/app.py --server.fileWatcherType none` |
| training again, accuracy beside the reported one | `python -m {folder}.{again}` |
| the run of the report: configuration and log | `runs/{run}/` |
| the curves of its trainings | `tensorboard --logdir {folder}/tracked` |
| weights, names of the models and some tiles | `checkpoint/` |

Run the commands in the folder that holds `{folder}/`, in the environment of the workbook. The code is exported from the
notebook's cells; change it there.
"""


def write_readme(folder: Path, results: Mapping[str, Any], models: Sequence[str], size: int, again: str) -> None:
    """README.md of an exported study: what is where, and what to type. `again` : the module that trains again."""
    text = README.format(
        title=results["title"], question=results["question"], models=" and ".join(models), data=results["data"]["name"],
        size=size, folder=folder.name, again=again, run=results["training"]["run"],
    )  # fmt: skip
    (folder / "README.md").write_text(text, encoding="utf-8")
