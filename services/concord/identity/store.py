"""What identity asks of its storage. Every promise here is kept by each engine and tested once for all.

Every method but the directory's and those of connections takes the organization first and sees nothing
outside it. Methods
that change rows are called inside a unit of work, and units of one organization never overlap.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from concord.identity.connections import Connection, Offer, Peer
from concord.identity.model import (
    Application,
    ApplicationState,
    DirectoryKind,
    Organization,
    Population,
    Project,
    Quota,
    SecuritySettings,
    User,
    UserKind,
    UserState,
)
from concord.kernel.ids import ApplicationId, OrganizationId, ProjectId, UserId
from concord.kernel.paging import Page, PageRequest


@dataclass(frozen=True, slots=True)
class ProjectFilter:
    """Which projects a list holds. `only` None means all ids, an empty set none; `without` leaves some out."""

    only: frozenset[str] | None = None
    name: str = ""
    without: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class UserFilter:
    """Which users a list holds; everything that is set must match. `only` as in ProjectFilter."""

    only: frozenset[str] | None = None
    kinds: frozenset[UserKind] = frozenset()
    states: frozenset[UserState] = frozenset()
    text: str = ""
    tag: str = ""
    editable: bool | None = None
    mfa_enabled: bool | None = None


@dataclass(frozen=True, slots=True)
class ApplicationFilter:
    """Which applications a list holds; everything that is set must match. `only` as in ProjectFilter."""

    only: frozenset[str] | None = None
    states: frozenset[ApplicationState] = frozenset()
    name: str = ""
    tag: str = ""
    editable: bool | None = None


class Directory(Protocol):
    """The lookups across organizations by name: numbers, slugs, aliases and owners' addresses."""

    def claim(self, kind: DirectoryKind, name: str, organization_id: OrganizationId) -> bool:
        """Give the name to the organization; False, and nothing changed, when it is taken, by whomever.

        Of two units that claim one name at once, one gets True. A name given stays given until released.
        """

    def release(self, kind: DirectoryKind, name: str, organization_id: OrganizationId) -> None:
        """Take the name back from the organization; nothing happens when it does not have it."""

    def find(self, kind: DirectoryKind, name: str) -> OrganizationId | None:
        """Return whose name it is."""

    def highest_number(self) -> int:
        """Return the highest organization number ever claimed; 0 before the first."""


class OrganizationStore(Protocol):
    """Organizations and their security settings."""

    def add(self, organization: Organization, settings: SecuritySettings) -> None:
        """Keep a new organization and its settings. The caller has claimed its names."""

    def find(self, organization_id: OrganizationId) -> Organization | None:
        """Return the organization, whatever its state."""

    def replace(self, organization: Organization) -> None:
        """Keep new values of an organization that exists."""

    def find_security_settings(self, organization_id: OrganizationId) -> SecuritySettings | None:
        """Return the organization's settings."""

    def replace_security_settings(self, settings: SecuritySettings) -> None:
        """Keep new values of an organization's settings."""


class ProjectStore(Protocol):
    """Projects."""

    def add(self, project: Project) -> None:
        """Keep a new project."""

    def find(self, organization_id: OrganizationId, project_id: ProjectId) -> Project | None:
        """Return the project."""

    def replace(self, project: Project) -> None:
        """Keep new values of a project that exists."""

    def remove(self, organization_id: OrganizationId, project_id: ProjectId) -> None:
        """Forget the project; nothing happens when there is none."""

    def count_counted(self, organization_id: OrganizationId) -> int:
        """Return how many projects people made: supplied ones do not count."""

    def page(self, organization_id: OrganizationId, chosen: ProjectFilter, request: PageRequest) -> Page[Project]:
        """Return the page, in the asked order, ties by id. A name matches by containment, without case.

        Orders: create_time, update_time, name, folded_name.
        """


class UserStore(Protocol):
    """Users with their addresses and tags."""

    def add(self, user: User) -> None:
        """Keep a new user. Raises AlreadyExists (field `username`) when the very same bytes are taken in the
        organization, and (field `primary_email`) when the folded address is taken in its population."""

    def find(self, organization_id: OrganizationId, user_id: UserId) -> User | None:
        """Return the user."""

    def find_by_username(self, organization_id: OrganizationId, username: str) -> User | None:
        """Return the user whose username has these bytes."""

    def find_by_email(self, organization_id: OrganizationId, population: Population, email: str) -> User | None:
        """Return the user of the population whose primary address folds to the same."""

    def replace(self, user: User) -> None:
        """Keep new values of a user that exists, copied ones (last login time, second factor, lock) excepted.

        Raises AlreadyExists like `add`; a changed address frees the old.
        """

    def set_last_login(self, user: User) -> None:
        """Keep the user's last login time and nothing else."""

    def set_mfa_enabled(self, user: User) -> None:
        """Keep whether the user has an active second factor and nothing else."""

    def set_password_locked(self, user: User) -> None:
        """Keep whether the user's password is locked and nothing else."""

    def remove(self, organization_id: OrganizationId, user_id: UserId) -> None:
        """Forget the user, its addresses and its tags; username and addresses are free at once."""

    def count_counted(self, organization_id: OrganizationId) -> int:
        """Return how many users people made: supplied ones do not count."""

    def page(self, organization_id: OrganizationId, chosen: UserFilter, request: PageRequest) -> Page[User]:
        """Return the page, in the asked order, ties by id.

        `text` is looked for in username, address and names without regard to case, `tag` matches whole
        and exactly. Orders: create_time, update_time, username, folded_username, primary_email (folded),
        last_login_time (who never logged in counts as before all others).
        """


class ApplicationStore(Protocol):
    """Applications with their tags."""

    def add(self, application: Application) -> None:
        """Keep a new application."""

    def find(self, organization_id: OrganizationId, application_id: ApplicationId) -> Application | None:
        """Return the application."""

    def replace(self, application: Application) -> None:
        """Keep new values of an application that exists, its key count excepted."""

    def add_to_key_count(self, organization_id: OrganizationId, application_id: ApplicationId, step: int) -> None:
        """Move the key count, never below 0; nothing happens when there is no such application."""

    def remove(self, organization_id: OrganizationId, application_id: ApplicationId) -> None:
        """Forget the application and its tags; nothing happens when there is none."""

    def count_counted(self, organization_id: OrganizationId) -> int:
        """Return how many applications people made: supplied ones do not count."""

    def page(
        self, organization_id: OrganizationId, chosen: ApplicationFilter, request: PageRequest
    ) -> Page[Application]:
        """Return the page, in the asked order, ties by id. A name matches by containment, without case.

        Orders: create_time, update_time, name, folded_name.
        """


class ConnectionStore(Protocol):
    """Connections of users, and offers of them. What is kept of a connection can be read from both sides."""

    def peers(self, organization_id: OrganizationId, user_id: UserId) -> Sequence[Peer]:
        """Return whom a user is connected to, the oldest connection first, 1000 at most."""

    def add(self, made: Connection) -> bool:
        """Keep a new connection, both sides of it; False, and nothing kept, where the two are connected."""

    def remove(
        self, organization_id: OrganizationId, user_id: UserId, peer_user_id: UserId | None = None
    ) -> Sequence[Connection]:
        """Forget the connection with a peer, both sides of it, and return it as seen from the user, if there is one.

        Without a peer: all connections of the user, and its offer.
        """

    def put_offer(self, offer: Offer) -> None:
        """Keep an offer in place of the user's former one."""

    def take_offer(self, token_hash: str) -> Offer | None:
        """Return the offer of a token, whosever it is and expired or not, and forget it.

        Of two units that take it at once, one gets it.
        """


class QuotaStore(Protocol):
    """Limits that were set for an organization; a copy of what policy keeps."""

    def find(self, organization_id: OrganizationId, name: str) -> Quota | None:
        """Return the limit that was set, None where the default holds."""

    def set(self, quota: Quota) -> None:
        """Keep the limit in place of what there was."""

    def reset(self, organization_id: OrganizationId, name: str) -> None:
        """Return to the default."""


class IdentityStore(Protocol):
    """All of identity's storage, as one unit of work sees it."""

    @property
    def directory(self) -> Directory: ...

    @property
    def organizations(self) -> OrganizationStore: ...

    @property
    def projects(self) -> ProjectStore: ...

    @property
    def users(self) -> UserStore: ...

    @property
    def applications(self) -> ApplicationStore: ...

    @property
    def connections(self) -> ConnectionStore: ...

    @property
    def quotas(self) -> QuotaStore: ...
