"""`%check` inside a notebook: the visible tests, run on the objects that the kernel holds now.

    %check sdpa          one exercise, by name or number
    %check               all exercises of the week
    %check 1 sdpa        with the week, where the notebook lies elsewhere

The set-up cell of a week makes it known; elsewhere `%load_ext autograder.magic` does.

What counts for points is the saved notebook, run from top to bottom: `workbook check` and `workbook submit` see that.
"""

from __future__ import annotations

from typing import Any

from .core.startup import leave_out

INSTALL = "in the folder of the workbook: pip install -r requirements.txt, pip install --no-deps -e ."


def load_ipython_extension(shell: Any) -> None:
    """What `%load_ext autograder.magic` calls."""

    def check(line: str) -> None:
        """Run the visible tests of this week, or of one exercise: %check, %check sdpa, %check 1 sdpa."""
        leave_out()
        try:
            from .learner import kernel_check
        except ModuleNotFoundError as error:
            print(f"%check: this Python has no module {error.name!r} -> {INSTALL}")
            return
        kernel_check.check(shell, line)

    shell.register_magic_function(check, "line", "check")
