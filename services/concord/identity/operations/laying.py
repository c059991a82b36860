"""Lays what callers say over what there is, by the rule of each field."""

from dataclasses import replace

from concord.identity import rules
from concord.identity.drafts import OrganizationDraft, UserDraft
from concord.identity.model import Organization, User
from concord.kernel.errors import Invalid, NotFound, Violation


def apply_user_draft(user: User, draft: UserDraft, fields: frozenset[str]) -> User:
    """Return the user with the named fields taken from the draft, checked."""
    changes: dict[str, object] = {}
    if "username" in fields:
        changes["username"] = rules.line(draft.username, "user.username", required=True)
    for name in ("nickname", "given_name", "family_name"):
        if name in fields:
            changes[name] = rules.line(getattr(draft, name), f"user.{name}")
    if "phone_number" in fields:
        changes["phone_number"] = rules.line(draft.phone_number, "user.phone_number", longest=64)
    if "locale" in fields:
        changes["locale"] = rules.language(draft.locale, "user.locale") if draft.locale else ""
    if "description" in fields:
        changes["description"] = rules.prose(draft.description, "user.description")
    if "tags" in fields:
        changes["tags"] = rules.tags(draft.tags, "user.tags")
    if "primary_email" in fields:
        changes["primary_email"] = _primary_email(user, draft)
    if "interactive_login" in fields:
        changes["interactive_login"] = _interactive_login(user, draft)
    if "division_ids" in fields and draft.division_ids:
        # An organization has no divisions yet, so every one that is named is unknown.
        raise NotFound("division", draft.division_ids[0])
    if "attributes" in fields:
        changes["attributes"] = rules.merged(user.attributes, draft.attributes, "user.attributes")
    return replace(user, **changes)  # type: ignore[arg-type]  # each value was made by the rule of its field


def apply_organization_draft(
    organization: Organization, draft: OrganizationDraft, fields: frozenset[str]
) -> Organization:
    """Return the organization with the named fields taken from the draft, checked."""
    changes: dict[str, object] = {}
    if "name" in fields:
        changes["name"] = rules.line(draft.name, "organization.name", required=True)
    if "description" in fields:
        changes["description"] = rules.prose(draft.description, "organization.description")
    default = organization.default_language
    if "default_language" in fields:
        default = rules.language(draft.default_language or "en", "organization.default_language")
        changes["default_language"] = default
    if fields & {"default_language", "languages"}:
        given = draft.languages if "languages" in fields else organization.languages
        changes["languages"] = rules.languages(given, default, "organization.languages")
    if "attributes" in fields:
        changes["attributes"] = rules.merged(organization.attributes, draft.attributes, "organization.attributes")
    return replace(organization, **changes)  # type: ignore[arg-type]  # each value was made by the rule of its field


def _primary_email(user: User, draft: UserDraft) -> str:
    if draft.primary_email:
        return rules.address(draft.primary_email, "user.primary_email")
    if user.is_owner:
        raise Invalid(Violation("user.primary_email", "must not be empty for the owner", rule="required"))
    return ""


def _interactive_login(user: User, draft: UserDraft) -> bool:
    if draft.interactive_login is not None:
        return draft.interactive_login
    # Not said: a new user may log in; an update that names the field without a value clears it.
    return user.username == ""
