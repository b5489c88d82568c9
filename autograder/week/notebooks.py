"""A week as notebooks: what its source is built into."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property

from nbformat.notebooknode import NotebookNode

from .cells import Check, Explore, Look
from .names import defined
from .source import Week

SKIPPED_WHEN_GRADING = Look | Explore | Check


@dataclass(frozen=True)
class Notebooks:
    """What a week is built into."""

    week: Week
    instructor: NotebookNode
    learner: NotebookNode

    @property
    def learner_text(self) -> str:
        return to_text(self.learner)

    @cached_property
    def answer_names(self) -> tuple[str, ...]:
        """What the stubs define: the names that tests know a learner's answers by."""
        stubs = (cell.source for cell in self.learner.cells if cell.id in self.week.exercises)
        return tuple(dict.fromkeys(name for stub in stubs for name in sorted(defined(stub))))


def content_of(notebook: NotebookNode) -> str:
    """Twelve digits that change with any text of a released notebook: of its cells, in their order."""
    cells = [[cell.id, cell.cell_type, cell.source] for cell in notebook.cells]
    return hashlib.sha256(json.dumps(cells, ensure_ascii=False).encode()).hexdigest()[:12]


def to_text(notebook: NotebookNode) -> str:
    """A notebook as text, byte for byte the same for equal notebooks."""
    return json.dumps(notebook, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
