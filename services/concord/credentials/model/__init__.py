"""Credentials as values, with the rules that need nothing but the value itself; a module for each resource."""
