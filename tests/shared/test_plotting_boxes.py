"""Boxes over images."""

from __future__ import annotations

import matplotlib.pyplot as plt
import torch
from matplotlib.patches import Rectangle

from shared import plotting


def test_each_box_is_drawn_where_it_lies_with_its_word_inside_the_figure() -> None:
    fig, ax = plt.subplots()
    boxes = torch.tensor([[2.0, 1.0, 6.0, 4.0], [3.0, 9.0, 8.0, 10.0]])
    plotting.draw_boxes(ax, torch.rand(3, 12, 20), boxes, ["circle"], color="black")
    drawn = [patch for patch in ax.patches if isinstance(patch, Rectangle)]
    assert [(*patch.get_xy(), patch.get_width(), patch.get_height()) for patch in drawn] == [(2, 1, 4, 3), (3, 9, 5, 1)]
    assert [(text.get_text(), text.get_position()) for text in ax.texts] == [("circle", (2, 4))], "below, near the top"
    assert ax.get_xlim() == (0, 20)
    assert ax.get_ylim() == (12, 0)
    plt.close(fig)


def test_words_stand_above_boxes_that_begin_lower() -> None:
    fig, ax = plt.subplots()
    plotting.draw_boxes(ax, torch.rand(3, 12, 20), torch.tensor([[3.0, 9.0, 8.0, 10.0]]), ["square"])
    assert [text.get_position() for text in ax.texts] == [(3, 9)]
    plt.close(fig)
