"""The checkout as a standard nbgrader course: `nbgrader autograde`, `nbgrader formgrader`, the exchange.

The folder of the class is `course/`, or $WORKBOOK_COURSE.
"""

import os
from pathlib import Path

root = Path(__file__).resolve().parent
course = root / os.environ.get("WORKBOOK_COURSE", "course")

c = get_config()  # noqa: F821 - nbgrader provides it
c.CourseDirectory.course_id = "workbook"
c.CourseDirectory.root = str(root)
c.CourseDirectory.source_directory = "build/source"
c.CourseDirectory.release_directory = "build/release"
c.CourseDirectory.submitted_directory = str(course / "submitted")
c.CourseDirectory.autograded_directory = str(course / "autograded")
c.CourseDirectory.feedback_directory = str(course / "feedback")
c.CourseDirectory.db_url = f"sqlite:///{course / 'gradebook.db'}"

# the week's cells and hidden tests are put into the gradebook before the first submission is graded
c.Autograde.pre_convert_hook = "autograder.hooks.register_week"
c.ExecutePreprocessor.timeout = 120

# the formgrader shows what strangers wrote, inside the instructor's Jupyter: nothing of it may run there
c.HTMLExporter.sanitize_html = True
c.HTMLExporter.filters = {"markdown2html": "autograder.hooks.escaped_markdown"}
