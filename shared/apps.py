"""What a Streamlit page shows and does: the names that notebooks import."""

from .checks.streamlit_app import SCRIPT, SECONDS, Upload, visit

__all__ = ["SCRIPT", "SECONDS", "Upload", "visit"]
