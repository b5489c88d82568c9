"""A figure's text alternative: what it says, and that notebooks show it."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from html import unescape
from typing import Any

import matplotlib.pyplot as plt
import pytest
import torch
from IPython.core.interactiveshell import InteractiveShell
from matplotlib.figure import Figure
from matplotlib_inline.backend_inline import configure_inline_support

from shared import plotting
from shared.runtime import alt_text


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    plt.close("all")


def test_curves_say_where_they_begin_and_end() -> None:
    figure = plotting.curves(
        {"loss": [2.0, 1.0, 0.5]}, xlabel="step", ylabel="nats", title="Training", levels={"floor": 0.25}
    )
    text = alt_text.describe(figure)
    assert '"Training"' in text
    assert 'line "loss" from 2 to 0.5, between 0.5 and 2' in text
    assert 'line "floor (0.25)" at 0.25' in text
    assert "step across; nats up" in text


def test_maps_say_their_size_and_range_and_a_colorbar_is_no_panel() -> None:
    weights = torch.tensor([[[0.25, 0.75, 0.0], [0.5, 0.5, 0.0]], [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
    text = alt_text.describe(plotting.attention_heatmaps(weights, suptitle="two heads"))
    assert text.startswith("Figure: two heads. 2 panels. Panel 1")
    assert 'Panel 1 "head 0": a map of 2 x 3 values, between 0 and 0.75' in text
    assert 'Panel 2 "head 1": a map of 2 x 3 values, between 0 and 1' in text
    assert "Panel 3" not in text


def test_pictures_bars_and_points_are_told() -> None:
    figure, (left, middle, right) = plt.subplots(1, 3)
    left.imshow(torch.zeros(4, 6, 3))
    left.axis("off")
    middle.bar([0, 1, 2], [1.0, 3.0, float("nan")], label="share")
    right.scatter([0, 1], [2, 3], label="seeds")
    text = alt_text.describe(figure)
    assert "Panel 1: a picture of 4 x 6 pixels." in text
    assert '2 bars "share", between 1 and 3' in text
    assert '2 points "seeds"' in text


def test_of_many_panels_the_first_are_told_and_the_rest_counted() -> None:
    figure, _ = plt.subplots(4, 5)
    text = alt_text.describe(figure)
    assert "20 panels." in text
    assert text.endswith("8 more panels of this kind.")


@pytest.mark.parametrize("values", [[], [float("nan")], [float("inf"), 1.0]], ids=["empty", "nan", "inf"])
def test_odd_values_make_no_error(values: list[float]) -> None:
    figure, ax = plt.subplots()
    ax.plot(values, label="odd")
    assert alt_text.describe(figure).startswith("Figure.")


@pytest.fixture
def kernel() -> Iterator[Any]:
    """A shell that draws inline, as a notebook's kernel."""
    shell = InteractiveShell()
    shell.history_manager.enabled = False
    configure_inline_support(shell, "module://matplotlib_inline.backend_inline")
    alt_text.show_with_text(shell)
    alt_text.show_with_text(shell)
    yield shell
    shell.history_manager.end_session()


def test_a_notebook_shows_the_picture_with_its_text_and_draws_once(
    kernel: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    figure, _ = plt.subplots()
    figure.suptitle('a "b" <c>')
    canvas = type(figure.canvas)
    draw, drawn = canvas.print_figure, []

    def counted(*words: Any, **options: Any) -> Any:
        drawn.append(words)
        return draw(*words, **options)

    monkeypatch.setattr(canvas, "print_figure", counted)
    data, _ = kernel.display_formatter.format(figure)
    assert len(drawn) == 1
    text = alt_text.describe(figure)
    begin, picture = data["text/html"].split('" src="data:image/png;base64,')
    assert unescape(begin) == f'<img alt="{text}'
    assert data["text/plain"] == text
    png = data["image/png"]
    assert base64.b64decode(picture.removesuffix('">')) == (png if isinstance(png, bytes) else base64.b64decode(png))


def test_figures_that_a_kernel_shows_in_another_way_stay_as_they_are() -> None:
    shell = InteractiveShell()
    shell.history_manager.enabled = False
    alt_text.show_with_text(shell)
    assert Figure not in shell.display_formatter.formatters["text/html"].type_printers
    shell.history_manager.end_session()
