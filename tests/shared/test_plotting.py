"""`shared.plotting`: what a figure holds, that a notebook shows it once, and what is refused."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import nbformat
import numpy as np
import pytest
import torch
from nbclient import NotebookClient

mpl.use("agg")

import matplotlib.pyplot as plt

from shared import plotting

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def fresh_matplotlib() -> Iterator[None]:
    with mpl.rc_context():
        yield
    plt.close("all")


@pytest.fixture
def ax() -> Any:
    return plt.figure().add_subplot()


def attention(*shape: int) -> torch.Tensor:
    scores = torch.randn(*shape, generator=torch.Generator().manual_seed(0), requires_grad=True)
    return torch.softmax(scores, dim=-1)


def pixels(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


def shown(ax: Any) -> np.ndarray:
    return np.asarray(ax.images[-1].get_array())


# The style


def test_use_style_sets_the_house_style() -> None:
    plotting.use_style()
    assert mpl.rcParams["image.cmap"] == "viridis"
    assert mpl.rcParams["figure.constrained_layout.use"]
    assert mpl.rcParams["axes.prop_cycle"].by_key()["color"] == list(plotting.COLORS)
    assert mpl.rcParams["font.size"] >= 10


@pytest.mark.parametrize("title", ["one line", "two\nlines"])
def test_titles_are_where_matplotlib_itself_would_put_them(title: str) -> None:
    """The style only spares it the search."""
    plotting.use_style()

    def places(y: float | None) -> list[list[float]]:
        with plt.rc_context({"axes.titley": y}):
            fig, axes = plt.subplots(2, 3)
            for ax in axes.flat[:4]:
                ax.imshow([[0.0, 1.0]])
                ax.set_title(title)
            axes.flat[0].set_axis_off()
            axes.flat[4].plot([0, 1])
            axes.flat[4].set_title(title)
            fig.suptitle("all")
            fig.canvas.draw()
            return [list(ax.title.get_window_extent().bounds) for ax in axes.flat[:5]]

    assert plt.rcParams["axes.titley"] == 1.0
    assert places(1.0) == places(None)


# Heatmaps


def test_heatmap_draws_the_matrix_with_labels_and_a_colorbar(ax: Any) -> None:
    matrix = attention(3, 5)
    image = plotting.heatmap(ax, matrix, title="A", xlabel="key", ylabel="query")
    np.testing.assert_allclose(shown(ax), matrix.detach().numpy())
    assert (ax.get_title(), ax.get_xlabel(), ax.get_ylabel()) == ("A", "key", "query")
    assert ax.get_xlim() == (-0.5, 4.5)
    assert ax.get_ylim() == (2.5, -0.5)  # row 0 at the top
    assert image.get_cmap().name == "viridis"
    assert image.colorbar is not None
    assert all(tick == round(tick) for tick in (*ax.get_xticks(), *ax.get_yticks()))


def test_heatmap_keeps_given_limits_and_colors(ax: Any) -> None:
    options: dict[str, Any] = {
        "title": "",
        "xlabel": "",
        "ylabel": "",
        "vmin": -1.0,
        "vmax": 2.0,
        "cmap": "magma",
    }
    image = plotting.heatmap(ax, np.eye(2), **options, colorbar=False)
    assert image.get_clim() == (-1.0, 2.0)
    assert image.get_cmap().name == "magma"
    assert image.colorbar is None


@pytest.mark.parametrize(("shape", "aspect"), [((2, 8), 1.0), ((2, 9), "auto"), ((9, 2), "auto")])
def test_heatmap_cells_are_square_unless_the_matrix_is_long(
    ax: Any, shape: tuple[int, int], aspect: float | str
) -> None:
    plotting.heatmap(ax, np.zeros(shape), title="", xlabel="", ylabel="")
    assert ax.get_aspect() == aspect


@pytest.mark.parametrize(
    ("matrix", "limits", "expected"),
    [
        ([[-3.0, 1.0]], {}, 3.0),
        ([[0.0, 0.0]], {}, 1.0),
        ([[np.nan, 2.0]], {}, 2.0),
        ([[np.nan, np.nan]], {}, 1.0),
        ([[-3.0, 1.0]], {"vmin": -0.5, "vmax": 0.25}, 0.5),
    ],
)
def test_diverging_heatmap_is_centred_at_zero(
    ax: Any, matrix: list[list[float]], limits: dict[str, Any], expected: float
) -> None:
    image = plotting.heatmap(ax, matrix, title="", xlabel="", ylabel="", diverging=True, **limits)
    assert image.get_clim() == (-expected, expected)
    assert image.get_cmap().name == "RdBu_r"


def test_annotations_contrast_with_their_cells(ax: Any) -> None:
    plotting.heatmap(ax, [[0.0, 1.0], [np.nan, 0.5]], title="", xlabel="", ylabel="", annotate=True)
    texts = {text.get_text(): text for text in ax.texts}
    assert set(texts) == {"0.00", "1.00", "nan", "0.50"}
    assert texts["1.00"].get_position() == (1, 0)
    assert [texts[value].get_color() for value in ("0.00", "1.00", "nan")] == ["white", "black", "black"]


def test_an_annotation_of_almost_nothing_has_no_sign(ax: Any) -> None:
    plotting.heatmap(ax, [[-0.001, -0.2]], title="", xlabel="", ylabel="", annotate=True)
    assert [text.get_text() for text in ax.texts] == ["0.00", "-0.20"]


def test_attention_heatmaps_have_a_panel_a_head_and_one_colorbar() -> None:
    weights = attention(5, 4, 7)
    figure: Any = plotting.attention_heatmaps(weights, suptitle="All heads")
    *panels, colorbar = figure.axes
    assert [panel.get_title() for panel in panels] == [f"head {head}" for head in range(5)]
    for panel, head in zip(panels, weights.detach().numpy(), strict=True):
        np.testing.assert_allclose(shown(panel), head)
        assert panel.images[0].get_clim() == (0.0, 1.0)
    # Two rows of 3 and 2: labels only at the left and below the last panel of each column.
    assert [panel.get_ylabel() for panel in panels] == ["query position", "", "", "query position", ""]
    assert [panel.get_xlabel() for panel in panels] == ["", "", *["key position"] * 3]
    assert colorbar.get_ylabel() == "attention weight"
    assert figure.get_suptitle() == "All heads"


def test_attention_heatmaps_share_the_greatest_weight_as_their_limit() -> None:
    weights = attention(2, 3, 3)
    figure: Any = plotting.attention_heatmaps(weights, titles=["a", "b"], vmax=None)
    assert [ax.get_title() for ax in figure.axes[:2]] == ["a", "b"]
    assert {ax.images[0].get_clim() for ax in figure.axes[:2]} == {(0.0, weights.max().item())}


# Curves


def test_curves_draw_each_series_and_each_level() -> None:
    loss = torch.tensor([3.0, 2.0, 1.0], requires_grad=True)
    series = {"loss": loss, "other": [1, 2]}
    levels = {"floor": 0.8889}
    figure: Any = plotting.curves(series, xlabel="step", ylabel="MSE", title="T", levels=levels, log_y=True)
    (ax,) = figure.axes
    first, second, floor = ax.lines
    np.testing.assert_array_equal(first.get_xydata(), [[0, 3], [1, 2], [2, 1]])
    np.testing.assert_array_equal(second.get_xydata(), [[0, 1], [1, 2]])
    assert set(floor.get_ydata()) == {0.8889}
    assert floor.is_dashed()
    assert not first.is_dashed()
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["loss", "other", "floor (0.889)"]
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_title()) == ("step", "MSE", "T")
    assert (ax.get_xscale(), ax.get_yscale()) == ("linear", "log")


def test_the_legend_of_curves_lies_beside_the_axes() -> None:
    series = {"a rather long name of a curve": [1.0, 2.0]}
    figure: Any = plotting.curves(series, xlabel="x", ylabel="y", title="")
    figure.draw_without_rendering()
    (ax,), (legend,) = figure.axes, figure.legends
    assert legend.get_window_extent().x0 >= ax.get_window_extent().x1
    assert legend.get_window_extent().x1 <= figure.bbox.x1


def test_curves_take_positions_and_mark_a_single_point() -> None:
    figure: Any = plotting.curves({"a": [5.0]}, x=[64], log_x=True, xlabel="d", ylabel="y", title="")
    (line,) = figure.axes[0].lines
    assert line.get_xydata().tolist() == [[64.0, 5.0]]
    assert line.get_marker() == "o"
    assert figure.axes[0].get_xscale() == "log"


def test_curves_of_several_runs_are_their_mean_in_a_band_from_least_to_greatest() -> None:
    runs = torch.tensor([[1.0, 2.0, 6.0], [3.0, 4.0, 0.0]])
    figure: Any = plotting.curves({"two": runs, "one": [1, 1, 1]}, x=[5, 6, 7], xlabel="x", ylabel="y", title="")
    (ax,) = figure.axes
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), [[5, 2], [6, 3], [7, 3]])
    (band,) = ax.collections
    corners = {tuple(point) for point in band.get_paths()[0].vertices.tolist()}
    assert {(5, 1), (5, 3), (6, 2), (6, 4), (7, 0), (7, 6)} <= corners
    with pytest.raises(ValueError, match="'cube'"):
        plotting.curves({"cube": torch.zeros(2, 2, 2)}, xlabel="x", ylabel="y", title="")


# Images


def test_image_grid_shows_every_image_and_no_empty_axes() -> None:
    images = pixels(7, 3, 4, 5)
    figure: Any = plotting.image_grid(images, titles=list("abcdefg"), columns=3, suptitle="S")
    assert [ax.get_title() for ax in figure.axes] == list("abcdefg")
    assert figure.axes[0].get_subplotspec().get_gridspec().ncols == 3
    for ax, image in zip(figure.axes, images, strict=True):
        np.testing.assert_allclose(shown(ax), image.permute(1, 2, 0).numpy(), rtol=1e-6)


def test_image_grid_takes_gray_and_mixed_sizes_and_clips() -> None:
    gray = np.array([[[-1.0, 0.25, 2.0]]])
    figure: Any = plotting.image_grid([gray, torch.zeros(3, 8, 2, dtype=torch.bfloat16)])
    assert shown(figure.axes[0]).tolist() == [[[0.0] * 3, [0.25] * 3, [1.0] * 3]]
    assert shown(figure.axes[1]).shape == (8, 2, 3)


def test_attention_over_image_places_each_weight_over_its_patch() -> None:
    weights = attention(2, 4)
    figure: Any = plotting.attention_over_image(pixels(3, 16, 48), weights, title="T", query_cell=(1, 2))
    left, right, *_ = figure.axes
    np.testing.assert_allclose(shown(right), weights.detach().numpy())
    # Axes count in patches, so the query's frame is one unit wide, at column 2 and row 1.
    extents = [tuple(image.get_extent()) for image in (*left.images, *right.images)]
    assert extents == [(0, 4, 2, 0)] * 3
    for ax in (left, right):
        (frame,) = ax.patches
        assert (frame.get_xy(), frame.get_width(), frame.get_height()) == ((2, 1), 1, 1)
    assert left.get_title() == "2 x 4 patches"
    assert "(1, 2)" in right.get_title()
    assert right.images[-1].colorbar is not None
    assert figure.get_suptitle() == "T"


def test_attention_over_image_keeps_the_pixels_square() -> None:
    figure: Any = plotting.attention_over_image(pixels(3, 16, 48), attention(2, 4), title="T")
    figure.draw_without_rendering()
    for ax in figure.axes[:2]:
        box = ax.get_window_extent()
        assert box.width / box.height == pytest.approx(3.0)
        assert not ax.patches  # no query asked for, none marked


def test_token_row_marks_the_query(ax: Any) -> None:
    plotting.token_row(ax, torch.tensor([0.1, 0.0, 0.9]), query_index=1, title="Token 1")
    heights = [bar.get_height() for bar in ax.containers[0]]
    assert heights == pytest.approx([0.1, 0.0, 0.9])
    (label,) = ax.texts
    assert (label.get_text(), label.get_position()[0]) == ("query", 1)
    (band,) = (patch for patch in ax.patches if patch not in list(ax.containers[0]))
    assert (band.get_x(), band.get_width()) == (0.5, 1.0)
    assert (ax.get_title(), ax.get_xlabel()) == ("Token 1", "key position")
    assert ax.get_ylim()[1] > 1.0  # room for the label above the highest bar


# What a notebook shows


def test_a_notebook_displays_a_returned_figure_exactly_once() -> None:
    call = "plotting.curves({'a': [1, 2]}, xlabel='x', ylabel='y', title='t')"
    cells = [
        f"from shared import plotting\nplotting.use_style()\nkept = {call}",
        call,
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(ROOT)}}).execute()
    kept, displayed = (cell.outputs for cell in notebook.cells)
    assert kept == []
    assert [output.output_type for output in displayed] == ["execute_result"]
    assert "image/png" in displayed[0].data


@pytest.mark.parametrize(
    "draw",
    [
        lambda: plotting.attention_heatmaps(attention(2, 3, 3)),
        lambda: plotting.curves({"a": [1, 2]}, xlabel="", ylabel="", title=""),
        lambda: plotting.image_grid(pixels(2, 1, 4, 4)),
        lambda: plotting.attention_over_image(pixels(3, 8, 8), attention(2, 2), title=""),
    ],
)
def test_returned_figures_are_closed_in_pyplot(draw: Callable[[], Any]) -> None:
    figure = draw()
    assert plt.get_fignums() == []
    figure.canvas.draw()  # and can still be drawn


def test_a_refused_curve_leaves_no_figure_behind() -> None:
    with pytest.raises(ValueError, match="got shape"):
        plotting.curves({"a": np.zeros((2, 2, 2))}, xlabel="", ylabel="", title="")
    assert plt.get_fignums() == []


# What is refused

LABELS: dict[str, Any] = {"title": "", "xlabel": "", "ylabel": ""}


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda ax: plotting.heatmap(ax, np.zeros(3), **LABELS), r"\(rows, columns\), got shape \(3,\)"),
        (lambda ax: plotting.attention_heatmaps(torch.zeros(1, 2, 3, 3)), r"got shape \(1, 2, 3, 3\)"),
        (lambda ax: plotting.attention_heatmaps(torch.zeros(2, 3, 3), titles=["a"]), "1 titles for 2 panels"),
        (lambda ax: plotting.curves({"loss": 3.0}, **LABELS), r"'loss', got shape \(\)"),
        (
            lambda ax: plotting.curves({"loss": [1, 2]}, x=[1], **LABELS),
            "'loss' has 2 values for 1 positions",
        ),
        (lambda ax: plotting.image_grid(torch.zeros(3, 8, 8)), r"got shape \(8, 8\)"),
        (lambda ax: plotting.image_grid(torch.zeros(1, 8, 8, 3)), r"1 or 3 channels, got shape \(8, 8, 3\)"),
        (
            lambda ax: plotting.image_grid(torch.zeros(1, 3, 8, 8, dtype=torch.uint8)),
            "got uint8; divide by 255",
        ),
        (lambda ax: plotting.image_grid(torch.zeros(2, 1, 8, 8), titles=["a"]), "1 titles for 2 panels"),
        (lambda ax: plotting.image_grid([]), "at least one image"),
        (
            lambda ax: plotting.attention_over_image(torch.zeros(3, 8, 8), torch.zeros(4), title=""),
            r"map \(gh, gw\), got shape \(4,\)",
        ),
        (
            lambda ax: plotting.attention_over_image(torch.zeros(8, 8), torch.zeros(2, 2), title=""),
            r"got shape \(8, 8\)",
        ),
        (
            lambda ax: plotting.attention_over_image(
                torch.zeros(3, 8, 8), torch.zeros(2, 4), title="", query_cell=(2, 0)
            ),
            r"query_cell=\(2, 0\) lies outside the grid of 2 x 4 patches",
        ),
        (lambda ax: plotting.token_row(ax, torch.zeros(2, 2), query_index=0, title=""), r"shape \(2, 2\)"),
        (lambda ax: plotting.token_row(ax, torch.zeros(3), query_index=3, title=""), "row of 3 weights"),
    ],
)
def test_wrong_shapes_are_refused_with_the_shape(ax: Any, draw: Callable[[Any], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        draw(ax)
