"""nbgrader's formgrader behind a guard: an extension of the Jupyter server that `make desk` starts."""

from .guard import _jupyter_server_extension_points as _jupyter_server_extension_points
from .guard import _load_jupyter_server_extension as _load_jupyter_server_extension
