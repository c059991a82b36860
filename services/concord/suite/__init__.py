"""The suite as a whole: which roles a process hosts, how they find each other, how the first organization is born."""
