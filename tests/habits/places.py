"""Habits that merge, split, move and copy answers."""

from __future__ import annotations

from . import answers as a
from .kinds import Habit
from .notebook import Notebook, all_of, before, below, cell_of, delete, duplicate, merge, move, new, split, write


def _typed_text(notebook: Notebook) -> None:
    """An answer typed into the cell that draws it, whose stub is left alone."""
    cell = cell_of(notebook, "flops-look-1")
    cell["source"] = f"{a.FLOPS}\n\n{cell['source']}"


PLACES = (
    Habit(
        "below-the-stub",
        "leaves the stub and answers in a new cell below",
        below("sdpa", a.SDPA),
        {"sdpa": None},
        True,
    ),
    Habit(
        "below-the-stub-wrong",
        "the same, with a wrong answer",
        below("sdpa", a.SDPA_WRONG),
        {"sdpa": None},
        True,
        passes="masks",
    ),
    Habit(
        "above-the-stub",
        "leaves the stub and answers in a new cell above",
        new(a.SDPA, after="sdpa-about"),
        {"sdpa": None},
        True,
        kernel="the stub was run last",
    ),
    Habit("at-the-end", "leaves the stub and answers at the end", new(a.SDPA, after="end"), {"sdpa": None}, True),
    Habit(
        "below-the-tests",
        "leaves the stub and answers below the tests",
        new(a.MASKS, after="masks-test-2"),
        {"masks": None},
        True,
    ),
    Habit(
        "stub-deleted",
        "deletes the stub and answers in a new cell",
        all_of(below("sdpa", a.SDPA), delete("sdpa")),
        placed=True,
    ),
    Habit(
        "stub-deleted-end",
        "deletes the stub and answers at the end",
        all_of(new(a.FLOPS, after="end"), delete("flops")),
        placed=True,
        passes="sdpa masks flops",
    ),
    Habit(
        "stub-deleted-draft",
        "deletes the stub; a wrong draft and the answer stand in two new cells",
        all_of(below("masks", a.MASKS), below("masks", a.PADDING + a.CAUSAL_WRONG), delete("masks")),
        placed=True,
    ),
    Habit(
        "stub-emptied",
        "empties the stub and answers below",
        all_of(below("sdpa", a.SDPA), write("sdpa", "")),
        placed=True,
    ),
    Habit(
        "stub-noted",
        "writes `see below` into the stub",
        all_of(new(a.SDPA, after="end"), write("sdpa", "# see below")),
        placed=True,
    ),
    Habit(
        "two-in-one",
        "writes two answers into one cell and deletes the other stub",
        all_of(write("sdpa", f"{a.SDPA}\n\n{a.MASKS}"), delete("masks")),
        placed=True,
    ),
    Habit(
        "two-in-one-stub-left",
        "writes two answers into one cell and leaves the other stub",
        write("sdpa", f"{a.SDPA}\n\n{a.MASKS}"),
        {"masks": None},
        True,
        kernel="the stub was run last",
    ),
    Habit(
        "two-in-the-later",
        "writes two answers into the cell of the later one",
        all_of(write("masks", f"{a.SDPA}\n\n{a.MASKS}"), delete("sdpa")),
        placed=True,
    ),
    Habit(
        "all-at-the-top",
        "writes all answers into one new cell below the imports",
        all_of(new(f"{a.SDPA}\n\n{a.MASKS}\n\n{a.FLOPS}"), delete("sdpa", "masks", "flops")),
        placed=True,
        passes="sdpa masks flops",
    ),
    Habit(
        "merged-by-editor",
        "merges two answers and what is between",
        merge("sdpa", "sdpa-look-1", "sdpa-test-1"),
        placed=True,
    ),
    Habit("merged-answers", "merges the cells of two answers", merge("sdpa", "masks"), placed=True),
    Habit("split-functions", "splits a cell of two functions", split("masks", "def causal_mask"), placed=True),
    Habit(
        "split-functions-vs-code",
        "the same in VS Code, which keeps no metadata",
        split("masks", "def causal_mask", keep_metadata=False),
        placed=True,
    ),
    Habit(
        "split-class",
        "splits a class between two methods",
        split("sdpa", "    def forward"),
        placed=True,
        kernel="the second half alone is not valid Python",
    ),
    Habit(
        "split-imports",
        "puts the imports of an answer into a cell of its own",
        all_of(before("masks", "import functools\n"), split("masks", "def padding_mask")),
        placed=True,
    ),
    Habit(
        "method-patched",
        "writes the class, and a method in the next cell",
        below("sdpa", a.SDPA_PATCHED[1]),
        {"sdpa": a.SDPA_PATCHED[0]},
        True,
    ),
    Habit(
        "moved-to-the-end",
        "moves an answer to the end",
        move("sdpa", "end"),
        placed=True,
        kernel="the cell was run before its tests",
    ),
    Habit("moved-up", "moves an answer up to another", move("masks", "sdpa-about"), placed=True),
    Habit(
        "answers-on-top",
        "moves all answers below the imports",
        all_of(*(move(one, "setup") for one in ("flops", "masks", "sdpa"))),
        placed=True,
    ),
    Habit(
        "copied-same-id",
        "copies a cell with its id; the copy is right",
        duplicate("flops", "flops", a.FLOPS, same_id=True),
        placed=True,
        passes="sdpa masks flops",
    ),
    Habit(
        "copied-to-try",
        "copies a right answer to the end and breaks the copy",
        duplicate("masks", "end", a.PADDING + a.CAUSAL_WRONG),
        placed=True,
        kernel="the copy at the end was run last",
    ),
    Habit(
        "copied-as-backup",
        "keeps a wrong copy above the right answer",
        duplicate("masks", "masks-about", a.PADDING + a.CAUSAL_WRONG),
        placed=True,
    ),
    Habit(
        "stub-copied",
        "keeps a copy of the stub below the answer",
        all_of(duplicate("flops", "flops"), write("flops", a.FLOPS)),
        {"flops": None},
        True,
        kernel="the copied stub was run last",
        passes="sdpa masks flops",
    ),
    Habit(
        "helper-in-a-draft",
        "a copy holds a helper that the last version uses",
        all_of(
            duplicate(
                "masks", "masks-about", f"def square(n):\n    return torch.ones(n, n, dtype=torch.bool)\n\n{a.MASKS}"
            )
        ),
        {"masks": a.MASKS.replace("torch.ones(length, length, dtype=torch.bool)", "square(length)")},
        True,
    ),
    Habit(
        "in-the-look-cell",
        "types the answer into the cell that draws",
        _typed_text,
        {"flops": None},
        True,
        passes="sdpa masks flops",
    ),
    Habit(
        "in-the-test-cell",
        "types the answer on top of the test cell",
        before("flops-test-1", f"{a.FLOPS}\n\n"),
        {"flops": None},
        True,
        passes="sdpa masks flops",
    ),
    Habit(
        "half-in-new-cell",
        "answers one function in the stub's cell and one below",
        all_of(write("masks", a.PADDING), below("masks", a.CAUSAL)),
        placed=True,
    ),
)
