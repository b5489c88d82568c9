"""The demo: `streamlit run sam/app.py`."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from pathlib import Path
import numpy as np
import torch

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from sam.model import answer_clicks, carried, frame_features, load_demo


def clicks_of(st: object, name: str, size: int) -> list:
    """Widgets for clicks on one picture, and the clicks so far, which the visitor's session keeps."""
    kept = st.session_state.setdefault("clicks", {}).setdefault(name, [])
    x = st.slider("column", 0, size - 1, size // 2, key="column")
    y = st.slider("row", 0, size - 1, size // 2, key="row")
    kind = st.radio("this pixel is", ["in the mask", "not in it"], key="kind")
    if st.button("click", key="click"):
        kept.append(((x + 0.5, y + 0.5), int(kind == "in the mask")))
    if st.button("start again", key="again"):
        kept.clear()
    return list(kept)


def shown(image: torch.Tensor, mask: torch.Tensor | None = None, clicks: Sequence = (), scale: int = 10) -> np.ndarray:
    """An image (3, H, W) enlarged, as bytes (h, w, 3), with a mask (H, W) bool laid over it and crosses at the clicks."""
    pixels = image.clone()
    if mask is not None:
        pixels[:, mask] = 0.45 * pixels[:, mask] + 0.55 * torch.tensor([0.90, 0.62, 0.0])[:, None]
    wide = pixels.repeat_interleave(scale, 1).repeat_interleave(scale, 2)
    for (x, y), label in clicks:
        row, column = int(y * scale), int(x * scale)
        color = torch.tensor([1.0, 1.0, 1.0] if label else [0.0, 0.0, 0.0])[:, None, None]
        wide[:, row - 1 : row + 2, max(0, column - 5) : column + 6] = color
        if label:
            wide[:, max(0, row - 5) : row + 6, column - 1 : column + 2] = color
    return (wide.clamp(0, 1) * 255).round().byte().movedim(0, -1).numpy()


def page(load: Callable[[], tuple]) -> None:
    """The demo. `load()` gives a model, images (n, 3, S, S) and videos (m, T, 3, S, S); it is called once."""
    import streamlit as st

    model, images, videos = st.cache_resource(load)()
    st.title("Click, and see the mask")
    with st.sidebar:
        what = st.radio("of", ["an image", "a video"], key="what")
        many = len(images) if what == "an image" else len(videos)
        number = st.selectbox("which", range(many), key="which")
        picture = images[number] if what == "an image" else videos[number][0]
        clicks = clicks_of(st, f"{what} {number}", picture.shape[-1])
    left, right = st.columns(2)
    if not clicks:
        left.image(shown(picture), caption="no click yet")
        st.info("Choose a pixel by row and column, and click.")
        return
    masks, scores = answer_clicks(model, picture, clicks)
    best = int(scores.argmax())
    left.image(shown(picture, masks[best], clicks), caption=f"{len(clicks)} clicks, the mask that the model chooses")
    right.metric("predicted IoU", f"{scores[best]:.2f}")
    right.metric("pixels in the mask", int(masks[best].sum()))
    if what == "an image":
        for place, column in zip(range(len(masks)), st.columns(3)):
            column.image(shown(picture, masks[place], clicks, 5), caption=f"mask {place + 1}: IoU {scores[place]:.2f}")
        return
    frames = videos[number]
    recent = st.slider("recent frames in memory", 0, 6, 3, key="recent")
    t = st.slider("frame", 0, len(frames) - 1, 0, key="frame")
    carried_on = carried(frame_features(model, frames), masks[best], n_recent=recent)
    right.image(shown(frames[t], carried_on[t]), caption=f"frame {t}, carried along by memory")
    in_memory = [0, *range(max(1, t - recent), t)] if t else []
    right.metric("frames in memory", ", ".join(map(str, in_memory)) or "none: this frame was clicked")


page(lambda: load_demo(Path(__file__).resolve().parent / "checkpoint"))
