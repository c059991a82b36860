"""What callers say about resources, as it came; nothing in a draft has been checked. None is not said."""

from dataclasses import dataclass, field
from datetime import timedelta

from concord.identity.model import ApplicationState, PasswordRules, UserKind
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
class LoginMethodsDraft:
    """Which ways to log in a caller wants open."""

    login_password_enabled: bool = False
    login_oauth_enabled: bool = False
    login_magic_code_enabled: bool = False
    login_federation_enabled: bool = False


ALL_LOGIN_METHODS = frozenset(
    {"login_password_enabled", "login_oauth_enabled", "login_magic_code_enabled", "login_federation_enabled"}
)


@dataclass(frozen=True, slots=True)
class SecuritySettingsDraft:
    """What a caller says about security settings."""

    enforce_password_renewal: bool = False
    grace_period: timedelta = timedelta(0)
    max_login_attempts: int = 0
    max_session_ttl: timedelta = timedelta(0)
    max_api_key_ttl: timedelta = timedelta(0)
    password_rules: PasswordRules = field(default_factory=PasswordRules)
    temporary_password_ttl: timedelta = timedelta(0)
    enforce_mfa: bool = False


# One rule for passwords is named behind a dot.
PASSWORD_RULES = "password_rules"  # noqa: S105 - a field, no secret
ALL_PASSWORD_RULES = frozenset(f"{PASSWORD_RULES}.{name}" for name in PasswordRules.__slots__)
ALL_SECURITY_SETTINGS = ALL_PASSWORD_RULES | {
    "enforce_password_renewal",
    "grace_period",
    "max_login_attempts",
    "max_session_ttl",
    "max_api_key_ttl",
    "temporary_password_ttl",
    "enforce_mfa",
}


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
