"""What callers say about resources, as it came; nothing in a draft has been checked. None is not said."""

from dataclasses import dataclass, field

from concord.identity.model import ApplicationState, UserKind
from concord.kernel.ids import UserId


@dataclass(frozen=True, slots=True)
class UserDraft:
    """What a caller says about a user. None is not said."""

    kind: UserKind | None = None
    username: str = ""
    nickname: str = ""
    given_name: str = ""
    family_name: str = ""
    phone_number: str = ""
    locale: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    primary_email: str = ""
    interactive_login: bool | None = None
    division_ids: tuple[str, ...] = ()
    attributes: dict[str, str] = field(default_factory=dict)


ALL_USER_FIELDS = frozenset(
    {
        "username",
        "nickname",
        "given_name",
        "family_name",
        "phone_number",
        "locale",
        "description",
        "tags",
        "primary_email",
        "interactive_login",
        "division_ids",
        "attributes",
    }
)


@dataclass(frozen=True, slots=True)
class UserLocator:
    """One of a user's names."""

    user_id: UserId | None = None
    username: str = ""
    primary_email: str = ""

    @property
    def text(self) -> str:
        """What was asked for, for messages."""
        return self.user_id or self.username or self.primary_email


@dataclass(frozen=True, slots=True)
class OrganizationDraft:
    """What a caller says about an organization. A number of 0 and an empty slug are not said."""

    name: str = ""
    number: int = 0
    slug: str = ""
    description: str = ""
    default_language: str = ""
    languages: tuple[str, ...] = ()
    attributes: dict[str, str] = field(default_factory=dict)


ALL_ORGANIZATION_FIELDS = frozenset({"name", "description", "default_language", "languages", "attributes"})


@dataclass(frozen=True, slots=True)
class ProjectDraft:
    """What a caller says about a project, as it came."""

    name: str = ""
    description: str = ""
    attributes: dict[str, str] = field(default_factory=dict)


ALL_PROJECT_FIELDS = frozenset({"name", "description", "attributes"})


@dataclass(frozen=True, slots=True)
class ApplicationDraft:
    """What a caller says about an application, as it came. A state of None is not said."""

    name: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    state: ApplicationState | None = None
    attributes: dict[str, str] = field(default_factory=dict)


ALL_APPLICATION_FIELDS = frozenset({"name", "description", "tags", "state", "attributes"})
