"""All habits. Each is what a learner does to a notebook with a few answers in it, most of them right."""

from __future__ import annotations

from .files import FILES
from .forms import FORMS
from .naming import NAMES
from .places import PLACES
from .settings import STATE

HABITS = STATE + NAMES + PLACES + FORMS + FILES
