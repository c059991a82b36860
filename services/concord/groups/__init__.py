"""Groups: trees of principals, and who belongs where."""
