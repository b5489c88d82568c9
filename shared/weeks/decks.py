"""A talk as one HTML file: slides with a claim each, figures inside the file, notes for the speaker, and minutes.

    slides = [decks.Slide("One click can mean two things", figure=fig, alt="Three masks of one click", minutes=1.5)]
    decks.write(Path("talk.html"), "Explain SAM", slides)
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_SLIDES = 12
MOST_MINUTES = 10.0


@dataclass(frozen=True)
class Slide:
    """One slide: what it claims, and what shows it.

    Attributes:
        title: the claim, a short sentence.
        points: lines below it.
        figure: of matplotlib; it goes into the file as a PNG.
        alt: what the figure shows, for those who cannot see it; needed where there is a figure.
        notes: what the speaker says.
        minutes: how long it takes.
    """

    title: str
    points: Sequence[str] = ()
    figure: Figure | None = None
    alt: str = ""
    notes: str = ""
    minutes: float = 1.0


def html(title: str, slides: Sequence[Slide]) -> str:
    """The deck as a page that needs no other file and no network. Arrow keys turn pages, N shows the notes.

    Args:
        title: of the talk.
        slides: 1 to 12, of 10 minutes together at most.

    Raises:
        ValueError: no slide or too many, too many minutes, a slide without a title, or a figure without a text.
    """
    if not 1 <= len(slides) <= MOST_SLIDES:
        raise ValueError(f"a deck has 1 to {MOST_SLIDES} slides, not {len(slides)}")
    minutes = sum(slide.minutes for slide in slides)
    if minutes > MOST_MINUTES:
        raise ValueError(f"{minutes:g} minutes are more than {MOST_MINUTES:g}")
    for number, slide in enumerate(slides, 1):
        if not slide.title.strip():
            raise ValueError(f"slide {number} has no title")
        if slide.figure is not None and not slide.alt.strip():
            raise ValueError(f"slide {number} has a figure and no text for those who cannot see it")
    parts = "\n".join(_section(number, slide, len(slides)) for number, slide in enumerate(slides, 1))
    return _PAGE.format(title=escape(title), slides=parts, minutes=f"{minutes:g}")


def write(path: Path, title: str, slides: Sequence[Slide]) -> Path:
    """Write the deck to a file, whose folder is made; gives the path."""
    content = html(title, slides)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


def _section(number: int, slide: Slide, count: int) -> str:
    points = "".join(f"<li>{escape(point)}</li>" for point in slide.points)
    figure = "" if slide.figure is None else f'<img src="{_png(slide.figure)}" alt="{escape(slide.alt)}">'
    notes = f'<aside class="notes">{escape(slide.notes)}</aside>' if slide.notes else ""
    body = f"<ul>{points}</ul>" if points else ""
    foot = f"<footer>{number} / {count} &middot; {slide.minutes:g} min</footer>"
    return f'<section id="s{number}">\n<h2>{escape(slide.title)}</h2>\n{body}{figure}{notes}{foot}\n</section>'


def _png(figure: Figure) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120, bbox_inches="tight")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title}</title>
<style>
body {{ margin: 0; font: 24px/1.4 sans-serif; color: #111; background: #fff; }}
section {{ box-sizing: border-box; display: none; min-height: 100vh; padding: 5vh 7vw; flex-direction: column; gap: 2vh; }}
section.shown {{ display: flex; }}
h2 {{ margin: 0; font-size: 1.5em; }}
img {{ max-width: 100%; max-height: 58vh; object-fit: contain; align-self: center; }}
footer {{ margin-top: auto; color: #555; font-size: 0.6em; }}
.notes {{ display: none; font-size: 0.7em; border-left: 4px solid #0072b2; padding-left: 1em; }}
body.with-notes .notes {{ display: block; }}
@media print {{ section {{ display: flex; page-break-after: always; }} }}
</style>
</head>
<body data-minutes="{minutes}">
{slides}
<script>
const slides = [...document.querySelectorAll("section")];
let at = 0;
function show(n) {{
  at = Math.min(Math.max(n, 0), slides.length - 1);
  slides.forEach((slide, k) => slide.classList.toggle("shown", k === at));
  history.replaceState(null, "", "#" + slides[at].id);
}}
document.addEventListener("keydown", (event) => {{
  if (["ArrowRight", "PageDown", " "].includes(event.key)) show(at + 1);
  else if (["ArrowLeft", "PageUp"].includes(event.key)) show(at - 1);
  else if (event.key === "n") document.body.classList.toggle("with-notes");
}});
show(Math.max(0, slides.findIndex((slide) => "#" + slide.id === location.hash)));
</script>
</body>
</html>
"""
