"""From a file that claims to be a notebook to the shape of the release, without losing an answer."""
