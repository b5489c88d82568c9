"""What a Streamlit page shows and does, for tests: a page is run without server and browser, step by step."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from .kinds import unwritten

if TYPE_CHECKING:
    import torch

SECONDS = 30
"""Within which one run of a page must end."""
SCRIPT = """
from streamlit.runtime import get_instance

page, args, kept = __args
kept["media"] = get_instance().media_file_mgr
page(*args)
"""
"""What Streamlit runs at each step; `AppTest` puts its `args` there as `__args`."""
Upload = tuple[str, bytes, str]
"""A file: its name, what is in it, its MIME type."""


def visit(
    page: Callable[..., object],
    args: Sequence[Any] = (),
    steps: Sequence[dict[str, Any]] = (),
    forget: bool = True,
) -> list[dict]:
    """Open `page(*args)` as one visitor, then take the steps; what the page shows after each of them.

    A trusted function for `checks.beside`. The page runs as Streamlit runs it: once when it is opened, and once more
    after each step, with session state and widgets kept.

    Args:
        page: draws with Streamlit; its widgets are found by their `key`.
        args: for the page.
        steps: widget key -> what to set it to: the index of an option where the widget has options, else the
            value; an `Upload`, or None to take it away, for a file uploader.
        forget: whether what `st.cache_resource` holds is forgotten at first; False for one more visitor of a page.

    Returns:
        One dict for each run, with plain values: "exceptions", texts of errors that the page raised (after one of
        these no further step is taken); "errors", texts of `st.error`; "metrics", pairs (label, value);
        "images", (H, W, 3) uint8 tensors in the order of the page; "keys", the keys of all widgets; "values",
        key -> value, where it is a number or a text; "options", key -> how many there are to choose from; "ranges", key
        -> (smallest, largest, step) of a slider over numbers.

    Raises:
        KeyError: a step names a key that no widget has.
        NotImplementedError: the page does, as one that is not written yet.
    """
    import streamlit as st
    from streamlit.components.v2.component_manager import BidiComponentManager
    from streamlit.logger import set_log_level
    from streamlit.testing.v1 import AppTest

    set_log_level("ERROR")  # else it warns in the caller's output that there is no browser
    if forget:
        st.cache_resource.clear()
    kept: dict[str, Any] = {}
    with TemporaryDirectory() as folder, redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        script = Path(folder) / "page.py"  # AppTest.from_function writes to a folder that it made when it was imported
        script.write_text(SCRIPT, encoding="utf-8")
        app = AppTest(script, default_timeout=SECONDS, args=(page, tuple(args), kept))
        # no component that is installed: to look for some, each new AppTest reads the metadata of every package
        app._bidi_component_manager = BidiComponentManager()
        seen = [_shown(app.run(), kept)]
        for step in steps:
            if seen[-1]["exceptions"]:
                break
            for key, value in step.items():
                _set(_widget(app, key), value)
            seen.append(_shown(app.run(), kept))
    if any(_of_a_stub(part) for part in app.exception):
        raise unwritten()
    return seen


def _of_a_stub(exception: Any) -> bool:
    """Whether the page shows a stub's error: the class that a stub raises, without words."""
    return exception.proto.type == NotImplementedError.__name__ and not exception.message


def _widgets(app: Any) -> dict[str, Any]:
    """Key -> widget, for those that have a key."""
    from streamlit.testing.v1.element_tree import Widget

    return {part.key: part for part in app._tree if isinstance(part, Widget) and part.key}


def _widget(app: Any, key: str) -> Any:
    found = _widgets(app)
    if key not in found:
        raise KeyError(f"no widget has the key {key!r}; there are: {', '.join(sorted(found)) or 'none'}")
    return found[key]


def _set(widget: Any, value: Any) -> None:
    from streamlit.testing.v1.element_tree import TESTING_KEY

    options = getattr(widget, "options", None)
    if not options:
        widget.set_value(value)
        return
    # options are texts that went through format_func; AppTest would send what is set here through it once more
    widget.root.session_state[TESTING_KEY][widget.id] = str
    if hasattr(widget, "select_index"):
        widget.select_index(value)
    else:  # radio buttons and sliders over options take the option itself
        widget.set_value(options[value])


def _shown(app: Any, kept: dict[str, Any]) -> dict[str, Any]:
    widgets = _widgets(app)
    values = {key: getattr(widget, "value", None) for key, widget in widgets.items()}
    return {
        "exceptions": [f"{part.proto.type}: {part.message}" for part in app.exception],
        "errors": [part.value for part in app.error],
        "metrics": [(part.label, part.value) for part in app.metric],
        "images": [_pixels(url, kept["media"]) for part in app.get("image") for url in part.value],
        "keys": sorted(values),
        "values": {key: value for key, value in values.items() if isinstance(value, int | float | str)},
        "options": {key: len(widget.options) for key, widget in widgets.items() if getattr(widget, "options", None)},
        "ranges": {key: (part.min, part.max, part.step) for key, part in widgets.items() if hasattr(part, "step")},
    }


def _pixels(url: str, media: Any) -> torch.Tensor:
    """What a browser would show at the address of an image."""
    import numpy as np
    import torch
    from PIL import Image

    content = media._storage.get_file(url.rpartition("/")[2]).content
    with Image.open(io.BytesIO(content)) as picture:
        return torch.from_numpy(np.array(picture.convert("RGB")))
