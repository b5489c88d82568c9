"""The `workbook` command: the verbs of learners, instructors and authors under one name."""

from __future__ import annotations

import gc
import sys
from importlib import import_module
from importlib.util import find_spec

import typer

from .commands.common import complaints
from .core.errors import WorkbookError
from .core.startup import leave_out

PANELS = {"learner": "Learner", "grade": "Instructor", "instructor": "Instructor", "author": "Author"}
"""Modules of verbs, in the order of the help, and what their panel is called there."""

MAX_LINE = 4_000
"""Characters of a line about an error; it may name files from anywhere."""

app = typer.Typer(
    name="workbook",
    help="Learn, author and grade the weeks of the workbook.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for name, panel in PANELS.items():
    module = f"{__package__}.commands.{name}"
    if find_spec(module) is None:  # a learner's bundle holds the learner's verbs alone
        continue
    verbs = import_module(module)
    for command in verbs.app.registered_commands:
        command.rich_help_panel = panel
    app.add_typer(verbs.app)


def main() -> None:
    """Run the command; an error that the user can fix is one line on standard error and exit code 1.

    Typer itself ends with 2 for wrong usage and with 130 for Ctrl-C.
    """
    leave_out()
    gc.set_threshold(50_000)  # imports let go of nothing, and Python would look for it again and again
    try:
        app()
    except WorkbookError as error:
        from .core.texts import for_terminal

        for line in error.args[0].splitlines():
            complaints.print(f"[red]error:[/red] {for_terminal(line, MAX_LINE)}", highlight=False)
        sys.exit(1)
    except OSError as error:
        from .core.texts import for_terminal

        what = for_terminal(f"{error.filename or 'the system'}: {error.strerror or error}", MAX_LINE)
        complaints.print(f"[red]error:[/red] {what} -> check the path, the rights and the free space", highlight=False)
        sys.exit(1)
    finally:
        gc.freeze()  # nor look once more as it ends


if __name__ == "__main__":
    main()
