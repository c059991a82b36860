"""Within what a call of this service holds: policies, roles and grants lie in no project."""

from concord.kernel.errors import Denied
from concord.kernel.principal import TargetClass
from concord.kernel.rpc.call import Call
from concord.policy.model import Subject, SubjectKind


def require_everything() -> None:
    """Refuse a call whose right holds in some projects only."""
    call = Call.current()
    if not call.reach.everything:
        raise Denied(call.method.permission)


def require_class(subject: Subject) -> None:
    """Refuse a call about everyone without the permission for that, and about anybody with that alone."""
    call = Call.current()
    needed = TargetClass.DEFAULT if subject.kind is SubjectKind.EVERYONE else TargetClass.ANY
    if needed not in call.reach.classes:
        raise Denied(call.method.permission)


def require_holders(subjects: tuple[Subject, ...] | None) -> None:
    """Refuse to show what others hold to somebody who may only see what is its own."""
    call = Call.current()
    if not subjects and TargetClass.ANY not in call.reach.classes:
        raise Denied(call.method.permission)
    for each in subjects or ():
        principal = each.principal
        if principal is not None:
            call.require_target(principal)
        elif TargetClass.ANY not in call.reach.classes:
            raise Denied(call.method.permission)


def awaited_for(*subjects: Subject) -> tuple[str, ...]:
    """Return whose changes may still bring what a write refers to: projects and principals, or groups too."""
    has_group = any(each.kind is SubjectKind.GROUP for each in subjects)
    return ("identity", "groups") if has_group else ("identity",)
