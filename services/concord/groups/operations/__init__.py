"""What can be done with groups and memberships: plain functions over a unit of work."""
