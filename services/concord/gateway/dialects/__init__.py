"""One folder for each vendor. They never import each other."""
