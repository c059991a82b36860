"""What a decision is, in the plainest words: no index, no cache, nothing clever.

The engine and all that answers with it must agree with these files on every world. Where a rule of the
decision changes, it changes here first.

    world.py            who holds what, from the documents as they were written, to a decision
    documents.py        what each of the six languages means
    conditions.py       what the conditions of most languages mean
    call_conditions.py  what the conditions on calls mean
    calls.py            paths: globs, bases, and to which place a path leads
    acts.py             permissions, operations and boundaries
    trees.py            the same for the engine's own intermediate form
    deciding.py         how answers become one

Of the code that is specified only value types are used: requests, boundaries, and the engine's statements.
"""

from policy.spec.deciding import AllOf, Answer, AnyOf, Line, Tree, answer
from policy.spec.world import Document, Grant, Role, Supplied, World, ceiling, decide, holders, rights

__all__ = [
    "AllOf",
    "Answer",
    "AnyOf",
    "Document",
    "Grant",
    "Line",
    "Role",
    "Supplied",
    "Tree",
    "World",
    "answer",
    "ceiling",
    "decide",
    "holders",
    "rights",
]
