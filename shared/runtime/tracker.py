"""One small mirror for the numbers of a training: TensorBoard by default, W&B offline where it is installed.

    with tracker.open("vit_on_tiles", "runs") as track:
        for step in range(steps):
            ...
            track.log(step, loss=loss.item())

`tensorboard --logdir runs` shows what was logged. The environment variable `WORKBOOK_TRACKER` chooses another mirror.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

TRACKERS = ("tensorboard", "wandb", "none")


class Tracker:
    """Sends numbers to a mirror, under the names that they are logged with.

    `tracker(step, metrics)` does the same as `tracker.log(step, **metrics)`, so a tracker can be handed on as a
    function. It is also a context manager, which closes it.

    Attributes:
        folder: where the mirror keeps the run.
    """

    def __init__(
        self, folder: Path, send: Callable[[int, Mapping[str, float]], object], close: Callable[[], object]
    ) -> None:
        self.folder, self._send, self._close = folder, send, close

    def log(self, step: int, **metrics: float) -> None:
        """Send the numbers of a step."""
        self._send(step, metrics)

    def __call__(self, step: int, metrics: Mapping[str, float]) -> None:
        self._send(step, metrics)

    def close(self) -> None:
        """Write what is not on the disk yet. What is logged afterwards is lost."""
        self._close()

    def __enter__(self) -> Tracker:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def open(
    run_name: str, root: Path | str = "runs", *, config: Mapping[str, Any] | None = None, to: str | None = None
) -> Tracker:
    """A mirror for one run.

    Args:
        run_name: the name of the run, and of its folder in `root`.
        root: the folder of all runs, which TensorBoard is started with.
        config: settings of the run, shown beside its curves.
        to: "tensorboard", "wandb" or "none"; by default what `WORKBOOK_TRACKER` says, else "tensorboard".

    Raises:
        ValueError: `to` is none of these.
        ImportError: W&B is asked for and not installed.
    """
    to = to or os.environ.get("WORKBOOK_TRACKER") or "tensorboard"
    if to not in TRACKERS:
        raise ValueError(f"tracker {to!r} is none of {', '.join(TRACKERS)}")
    folder = Path(root) / run_name
    if to == "none":
        return Tracker(folder, lambda step, metrics: None, lambda: None)
    folder.mkdir(parents=True, exist_ok=True)
    return (_tensorboard if to == "tensorboard" else _wandb)(folder, dict(config or {}))


def _tensorboard(folder: Path, config: dict[str, Any]) -> Tracker:
    """Writes TensorBoard's own files. torch's SummaryWriter would, too, and takes ten times as long to import."""
    import json

    from tensorboard.compat.proto.event_pb2 import Event  # type: ignore[import-untyped]
    from tensorboard.compat.proto.summary_pb2 import Summary  # type: ignore[import-untyped]
    from tensorboard.plugins.text.summary_v2 import text_pb  # type: ignore[import-untyped]
    from tensorboard.summary.writer.event_file_writer import EventFileWriter  # type: ignore[import-untyped]

    writer = EventFileWriter(str(folder))

    def write(step: int, summary: Any) -> None:
        writer.add_event(Event(wall_time=time.time(), step=step, summary=summary))

    def send(step: int, metrics: Mapping[str, float]) -> None:
        write(step, Summary(value=[Summary.Value(tag=name, simple_value=value) for name, value in metrics.items()]))

    if config:
        write(0, text_pb("config", json.dumps(config, indent=1, sort_keys=True, default=str)))
    return Tracker(folder, send, writer.close)


def _wandb(folder: Path, config: dict[str, Any]) -> Tracker:
    try:
        import wandb  # type: ignore[import-not-found, unused-ignore]
    except ImportError as error:
        raise ImportError("W&B is not installed: pip install wandb, or set WORKBOOK_TRACKER=tensorboard") from error
    run = wandb.init(mode="offline", name=folder.name, dir=str(folder), config=config)
    return Tracker(folder, lambda step, metrics: run.log(dict(metrics), step=step), run.finish)
