"""What a notebook defines as the modules of a package: the names that notebooks import."""

from .weeks.exporting import GIVEN, Module, bound_by, import_of, needed_by, source_of, write_package

__all__ = ["GIVEN", "Module", "bound_by", "import_of", "needed_by", "source_of", "write_package"]
