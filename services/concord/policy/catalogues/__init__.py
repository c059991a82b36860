"""Supplied definitions, one folder for each catalogue, as package data; `loader.py` reads them."""
