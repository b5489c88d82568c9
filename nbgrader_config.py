"""The checkout as a standard nbgrader course: `nbgrader autograde`, `nbgrader formgrader`, the exchange.

The folder of the class is `course/`, or $WORKBOOK_COURSE.
"""

import os
from pathlib import Path

from jupyter_server.serverapp import ServerApp
from traitlets.config import Application

root = Path(__file__).resolve().parent
course = root / os.environ.get("WORKBOOK_COURSE", "course")

c = get_config()  # noqa: F821 - nbgrader provides it
c.CourseDirectory.course_id = "workbook"
c.CourseDirectory.root = str(root)
c.CourseDirectory.source_directory = "build/source"
c.CourseDirectory.release_directory = "build/release"
c.CourseDirectory.submitted_directory = str(course / "submitted")
c.CourseDirectory.autograded_directory = str(course / "autograded")
c.CourseDirectory.db_url = f"sqlite:///{course / 'gradebook.db'}"

# the week's cells and hidden tests are put into the gradebook before the first submission is graded
c.Autograde.pre_convert_hook = "autograder.grading.nbgrader_hooks.register_week"
c.ExecutePreprocessor.timeout = 120

# what strangers wrote is shown as a copy built of plain parts, and Markdown through an allow-list
c.HTMLExporter.sanitize_html = True
c.HTMLExporter.preprocessors = ["autograder.rendering.notebook_view.Displayable"]
c.HTMLExporter.filters = {
    "markdown2html": "autograder.rendering.rich_text.markdown_filter",
    "clean_html": "autograder.rendering.sanitize.sanitize",
}

# nbgrader's own feedback; ours is in feedback/, and nbgrader would delete it. Nobody is handed a hidden test
c.CourseDirectory.feedback_directory = str(course / "nbgrader_feedback")
c.GenerateFeedback.preprocessors = [
    "autograder.grading.nbgrader_hooks.SettledGrades",
    "autograder.grading.nbgrader_hooks.WithoutHiddenTests",
    "nbconvert.preprocessors.CSSHTMLHeaderPreprocessor",
]

c.ExportApp.plugin_class = "autograder.grading.nbgrader_hooks.SettledExport"

# the formgrader is served behind a guard, or not at all
program = Application.instance() if Application.initialized() else None
if isinstance(program, ServerApp) and not program.jpserver_extensions.get("autograder.desk"):
    raise RuntimeError(
        "the formgrader would run what learners wrote -> start it with `make desk`, "
        "or jupyter lab --ServerApp.jpserver_extensions=\"{'autograder.desk': True}\""
    )
