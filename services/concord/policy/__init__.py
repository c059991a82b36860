"""Policies, roles, quotas, and the decision point."""
