"""Makes worlds: organizations with groups, roles, grants and documents in all six languages, and questions about them.

The same seed makes the same worlds.
"""

from policy.worlds.asking import Question
from policy.worlds.making import Maker
from policy.worlds.words import GROUPS, LANGUAGES, NAMES, ORGANIZATION, OWNER, PROJECTS, STRANGE_PROJECT, USERS

__all__ = [
    "GROUPS",
    "LANGUAGES",
    "NAMES",
    "ORGANIZATION",
    "OWNER",
    "PROJECTS",
    "STRANGE_PROJECT",
    "USERS",
    "Maker",
    "Question",
]
