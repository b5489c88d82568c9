"""Runs with a name and a log; `python -m archaeology.experiments` trains again."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from shared import datasets
from torch import nn
import json
import shared.profiles as profile
import torch

from archaeology.analysis import pgd
from archaeology.models import Study, fit, interval, logits_of, small_cnn, small_vit


def config_hash(config: Mapping[str, object]) -> str:
    """The name of a run: the first 12 hex digits of SHA-256 of the configuration as JSON with sorted keys (UTF-8).

    Raises
    ------
    TypeError : when something in the configuration, a key or a value, cannot be written as JSON.
    """
    # YOUR CODE HERE
    raise NotImplementedError()


class RunLog:
    """The log of one run, a line of JSON for each step, in a folder named by its configuration.

    Parameters
    ----------
    root : folder of all runs; made where it is missing.
    config : numbers, strings, lists and dicts.
    mirror : called as mirror(step, metrics) after each line, for example to send it elsewhere.
    """

    def __init__(
        self,
        root: Path | str,
        config: Mapping[str, object],
        mirror: Callable[[int, dict[str, float]], object] | None = None,
    ) -> None:
        # YOUR CODE HERE
        raise NotImplementedError()

    def log(self, step: int, **metrics: float) -> None:
        """Append one line, at once; then tell the mirror."""
        # YOUR CODE HERE
        raise NotImplementedError()

    def load(self) -> list[dict[str, float]]:
        """All lines of the file that were written whole, whoever wrote them, in order.

        A line is whole when it ends with an end of line. Without any the list is empty.
        """
        # YOUR CODE HERE
        raise NotImplementedError()

    def best(self, metric: str, mode: str = "max") -> dict[str, float]:
        """The line with the largest ("max") or smallest ("min") value of a metric; of equal ones the first.

        Raises
        ------
        ValueError : for another mode.
        KeyError : when no line has the metric (NaN does not count); the message names it.
        """
        # YOUR CODE HERE
        raise NotImplementedError()


def train_pair(config: dict, train: datasets.FieldTiles, root: Path) -> tuple[dict[str, nn.Module], "RunLog"]:
    """Both models of a configuration, trained side by side, and then logged."""
    log = RunLog(root, config)
    models = {"vit": small_vit(config["seed"]), "cnn": small_cnn(config["seed"])}
    losses: dict[str, list[tuple[int, float]]] = {name: [] for name in models}

    def train_one(name: str) -> None:
        fit(
            models[name], train.x, train.y, config["steps"], config["rate"][name], config["seed"], config["batch"],
            tell=lambda step, loss: losses[name].append((step, loss)),
        )  # fmt: skip

    profile.side_by_side(train_one, models)
    for name, of_model in losses.items():
        for step, loss in of_model:
            log.log(step, **{f"{name}_loss": loss})
    return models, log


def robustness(study: Study, images: torch.Tensor, labels: torch.Tensor, epsilons: Sequence[float]) -> list[dict]:
    """Accuracy of both models under PGD for each epsilon in 255ths, with 95 % intervals; each model is attacked itself."""
    rows = []
    for eps in epsilons:
        row: dict = {"eps": eps}
        for name, model in (("vit", study.vit), ("cnn", study.cnn)):
            hits = int((logits_of(model, pgd(model, images, labels, eps / 255)).argmax(1) == labels).sum())
            low, high = interval(hits, len(labels))
            row |= {name: hits / len(labels), f"{name}_low": low, f"{name}_high": high}
        rows.append(row)
    return rows


def reproduce(folder: Path) -> None:
    """Train again from the configuration in the report's run, and print what comes beside what was reported."""
    reported = json.loads((folder / "report" / "results.json").read_text(encoding="utf-8"))
    config = json.loads((folder / "runs" / reported["training"]["run"] / "config.json").read_text(encoding="utf-8"))
    train, test = (
        datasets.field_tiles(config["data"][part], seed)
        for part, seed in zip(("train", "test"), config["data"]["seeds"])
    )
    models, log = train_pair(config, train, folder / "reproduced")
    print(f"run {log.folder.name}, reported as {reported['training']['run']}")
    for name, model in models.items():
        share = (logits_of(model, test.x).argmax(1) == test.y).double().mean().item()
        print(f"{name}: accuracy {share:.4f}, reported {reported['accuracy'][name]['accuracy']:.4f}")


if __name__ == "__main__":
    reproduce(Path(__file__).resolve().parent)
