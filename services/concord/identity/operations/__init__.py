"""What identity does: one function per verb, over a store and a unit of work."""
