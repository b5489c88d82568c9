"""The last line of a set-up cell: `session.begin()` gets a notebook ready to be worked in.

It sets the style of figures, gives each of them a text alternative, and makes `%check NAME` known, which runs the
visible tests. Where cells run without a notebook around them, such as in the grader, it does what makes sense there.
"""

from __future__ import annotations

import gc
import sys
import traceback
from types import TracebackType
from typing import Any

CHECK = "autograder.magic"
"""The extension of IPython that brings `%check`. Loaded by its name: nothing here needs it."""
NOT_INSTALLED = (
    "%check needs the workbook's command, which is not installed in this Python: in the folder of the workbook, "
    "`pip install -e .`, then restart the kernel. Until then run the test cells further down."
)


def begin() -> None:
    """Get ready: style of figures, their texts, `%check`, and quicker imports. Doing it again changes nothing."""
    gc.set_threshold(50_000)  # libraries make many objects that stay; Python need not search them for garbage so often
    from ..plots.style import use_style

    use_style()
    shell = _shell()
    if shell is None:
        return
    try:
        shell.extension_manager.load_extension(CHECK)
    except ModuleNotFoundError:
        shell.register_magic_function(lambda line: print(NOT_INSTALLED), "line", "check")
    if hasattr(shell, "kernel"):
        from .alt_text import show_with_text

        show_with_text(shell)
        shell.set_custom_exc((NotImplementedError,), _unwritten)


def _shell() -> Any:
    """IPython's shell, where cells run in one; else None."""
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython else None


def _unwritten(
    shell: Any, kind: type[BaseException], error: BaseException, trace: TracebackType, tb_offset: int | None = None
) -> None:
    """Show that an answer is not written in a line; it stays an error. One of a library's is shown as it is."""
    *_, (inmost, _line) = traceback.walk_tb(trace)
    code = inmost.f_code
    if str(error) or code.co_filename.startswith((sys.prefix, sys.base_prefix)):
        shell.showtraceback((kind, error, trace), tb_offset=tb_offset)
        return
    said = f"Nothing to see yet: {code.co_qualname} is not written. Write it, run it, run this cell again."
    shell._showtraceback(kind, error, [said])
