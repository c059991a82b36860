"""Supplied definitions, one folder for each catalogue, as package data.

`loader.py` reads what a catalogue brings along: roles, operations, birth policies. `language_data.py` reads what the
policy languages have to know of a vendor's dialect, which imports no language.
"""
