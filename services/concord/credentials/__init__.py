"""Credentials: API keys, sessions, passwords, OAuth clients, and the passports that they are exchanged for."""
