"""Texts of anybody as HTML that runs nothing: sanitizing, Markdown, templates."""
