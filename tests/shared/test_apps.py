"""`apps.visit` on small pages of our own."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image

from shared import apps, checks


def page(load: Callable[[], str], said: list[str]) -> None:
    import streamlit as st

    word = st.cache_resource(load)()
    head = st.selectbox("Head", [10, 20, 30], key="head")
    way = st.radio("Way", ["left", "right"], key="way")
    eps = st.slider("Epsilon", 0, 16, key="eps")
    file = st.file_uploader("File", key="upload")
    st.text_input("without a key")
    if file is not None:
        try:
            st.image(Image.open(file))
        except OSError:
            st.error(f"{file.name} cannot be read")
    left, right = st.columns(2)
    left.image(np.full((2, 3, 3), head, np.uint8))
    right.metric(word, f"{way} {eps}")
    said.append(f"{head} {way} {eps}")
    if eps == 13:
        raise ArithmeticError("thirteen")


def png(value: int) -> bytes:
    held = io.BytesIO()
    Image.fromarray(np.full((4, 4, 3), value, np.uint8)).save(held, "PNG")
    return held.getvalue()


def visited(steps: list[dict[str, object]]) -> tuple[list[dict], list[str], int]:
    calls: list[int] = []

    def load() -> str:
        calls.append(1)
        return f"visit {len(calls)}"

    said: list[str] = []
    return apps.visit(page, (load, said), steps), said, len(calls)


def test_each_step_runs_the_page_once_more_and_widgets_keep_their_values() -> None:
    runs, said, loads = visited([{"head": 2}, {"way": 1, "eps": 5}])
    assert said == ["10 left 0", "30 left 0", "30 right 5"]
    assert loads == 1
    assert [run["metrics"] for run in runs] == [
        [("visit 1", "left 0")],
        [("visit 1", "left 0")],
        [("visit 1", "right 5")],
    ]
    assert runs[0]["keys"] == ["eps", "head", "upload", "way"]
    assert runs[2]["values"] == {"head": 30, "way": "right", "eps": 5}


def test_pictures_come_back_as_pixels() -> None:
    runs, _, _ = visited([{"head": 1}])
    assert torch.equal(runs[0]["images"][0], torch.full((2, 3, 3), 10, dtype=torch.uint8))
    assert torch.equal(runs[1]["images"][0], torch.full((2, 3, 3), 20, dtype=torch.uint8))


def test_files_are_uploaded_kept_and_taken_away() -> None:
    runs, _, _ = visited(
        [
            {"upload": ("a.png", png(77), "image/png")},
            {"eps": 1},
            {"upload": ("b", b"?", "image/png")},
            {"upload": None},
        ]
    )
    assert [len(run["images"]) for run in runs] == [1, 2, 2, 1, 1]
    assert torch.equal(runs[1]["images"][0], torch.full((4, 4, 3), 77, dtype=torch.uint8))
    assert [run["errors"] for run in runs] == [[], [], [], ["b cannot be read"], []]


def test_an_exception_of_the_page_ends_the_visit_silently(capfd: pytest.CaptureFixture[str]) -> None:
    runs, said, _ = visited([{"eps": 13}, {"eps": 1}])
    assert [run["exceptions"] for run in runs] == [[], ["ArithmeticError: thirteen"]]
    assert len(said) == 2
    assert capfd.readouterr() == ("", "")


def test_every_visit_begins_with_an_empty_cache() -> None:
    assert [visited([])[2] for _ in range(2)] == [1, 1]


def test_a_key_that_no_widget_has_is_named() -> None:
    with pytest.raises(KeyError, match=r"'layer'; there are: eps, head, upload, way"):
        visited([{"layer": 1}])


def test_what_is_seen_is_plain_data() -> None:
    assert checks.beside(apps.visit, page, (lambda: "word", []), [])[0]["metrics"] == [("word", "left 0")]


def test_a_page_that_is_not_written_says_so() -> None:
    def stub(load: object) -> None:
        raise NotImplementedError

    with pytest.raises(NotImplementedError):
        apps.visit(stub, (None,))


def test_a_visit_looks_for_no_installed_components(monkeypatch: pytest.MonkeyPatch) -> None:
    """Streamlit would read the metadata of every package for it, at each visit."""
    from streamlit.components.v2 import manifest_scanner

    looked: list[str] = []

    def scan() -> list[object]:
        looked.append("here")
        return []

    monkeypatch.setattr(manifest_scanner, "scan_component_manifests", scan)
    seen = apps.visit(page, (lambda: "word", []))
    assert not seen[0]["exceptions"]
    assert not looked


def named(said: list[str]) -> None:
    import streamlit as st

    head = st.selectbox("Head", [10, 20, 30], format_func=lambda k: f"head {k}", key="head")
    way = st.radio("Way", ["left", "right"], format_func=lambda word: f"to the {word}", key="way")
    said.append(f"{head} {way}")


def test_options_that_are_shown_by_other_names_are_chosen_by_their_place() -> None:
    said: list[str] = []
    apps.visit(named, (said,), [{"head": 2}, {"way": 1}])
    assert said == ["10 left", "30 left", "30 right"]


def test_one_more_visitor_finds_what_the_first_one_loaded() -> None:
    calls: list[int] = []

    def load() -> str:
        calls.append(1)
        return "word"

    for forget in (True, False, True):
        apps.visit(page, (load, []), forget=forget)
    assert len(calls) == 2
