"""What long trainings found, kept beside the notebook: the names that notebooks import."""

from .runtime.keeping import FOLDER, kept, save

__all__ = ["FOLDER", "kept", "save"]
