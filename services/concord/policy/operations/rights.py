"""Freezing rights for sessions, and letting go of them when the last session has ended."""

from datetime import datetime, timedelta
from typing import Final

from concord.kernel.errors import NotFound
from concord.kernel.principal import PrincipalRef
from concord.kernel.units import Unit
from concord.policy.model import RightsSnapshot
from concord.policy.store import PolicyStore

# How long after its capture a snapshot waits for its session to be heard of, and how far clocks may be apart. No call
# is served for longer than a minute.
PATIENCE: Final = timedelta(minutes=10)


def capture_rights(unit: Unit[PolicyStore], subject: PrincipalRef) -> RightsSnapshot:
    """Keep what a principal holds at this instant, all from one state of the store.

    The owner's too, whom none of it touches: it may be the owner no longer while its session lasts.
    """
    standing = unit.store.standing(unit.organization_id, subject)
    if standing is None:
        raise NotFound(subject.kind.value, subject.id)
    sources = unit.store.sources_of(unit.organization_id, standing.subjects)
    return unit.store.keep_rights(unit.organization_id, sources, unit.now)


def sweep_rights(unit: Unit[PolicyStore], now: datetime) -> int:
    """Forget what nobody can need any more.

    Whoever calls has since `now` applied all that was said of sessions up to then. What was captured before that and
    longer ago than a login takes has been named by its session, or never will be.
    """
    return unit.store.sweep_rights(now - PATIENCE)
