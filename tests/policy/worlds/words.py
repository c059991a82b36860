"""The words that worlds are written and asked about with: few, so that what is said and what is asked often meet."""

from datetime import UTC, datetime

LANGUAGES = ("statements", "role_rules", "call_statements", "endpoint_rows", "resource_roles", "endpoint_scopes")


def made_id(kind: str, number: int) -> str:
    """Return an id that is told from others by its first character."""
    return f"{kind}{number:07x}-0000-4000-8000-000000000000"


# As the tests of the service have them.
ORGANIZATION = "11111111-1111-4111-8111-111111111111"
OWNER = "0a0a0a0a-0000-4000-8000-00000000000a"
USERS = tuple(made_id("a", number) for number in range(1, 5))
GROUPS = tuple(made_id("b", number) for number in range(7))
PROJECTS = tuple(made_id("c", number) for number in range(3))
STRANGE_PROJECT = made_id("c", 99)
NAMES = dict(zip(USERS, ("alice", "bob", "carol", ""), strict=True)) | {OWNER: "owner"}

SUPPLIED_FOR_ORGANIZATION = ("IAMGroupReadOnly", "IAMGroupManager", "IAMUserReadOnly", "IAMUserManager")
SUPPLIED_FOR_PROJECTS = ("InstancesReadOnly", "InstancesServerStart")

SERVICES = ("identity", "groups", "shop", "instances")
THINGS = ("users", "own_users", "owner_users", "groups", "orders", "servers")
VERBS = ("get", "list", "set", "start")
PERMISSIONS = (
    "identity.users.get",
    "identity.users.get",
    "identity.users.list",
    "identity.own_users.get",
    "identity.owner_users.get",
    "identity.default_users.list",
    "groups.groups.get",
    "groups.groups.list",
    "groups.default_groups.list",
    "shop.orders.get",
    "shop.orders.set",
    "instances.servers.start",
    "instances.servers.list",
    "product.manage",
    "credentials.own_passwords.change",
)
TYPES = ("iam.group", "iam.group", "iam.group", "iam.user", "iam.assignment", "shop.order", "shop.gift_card")
TYPE_VERBS = ("read", "read", "read", "manage", "create", "read_own", "read_own", "create_own", "read_by_vendor")
MESSAGES = ("m1", "m2")

CALLS = ("Sim:listSims", "Sim:getSim", "Sim:deleteSim", "User:getUser", "Group:listGroups")
ROWS_OWN = ("ntt/listUsers", "ntt/getUser", "ntt/createUsers", "ntt/listGroups", "ntt/attachUserToGroup")
SCOPED = (
    "emporix/GET-iam-list-tenant-user-groups",
    "emporix/POST-iam-create-user-group",
    "emporix/GET-iam-list-group-users",
    "emporix/POST-iam-add-user-to-group",
)
OPERATIONS = (*(f"soracom/{call}" for call in CALLS), *ROWS_OWN, *SCOPED, "scaleway/GetUser", "scaleway/ListUsers")

CALLED = (
    "/business-process/contracts",
    "/business-process/contracts/12",
    "/v1/business-process/contracts/12",
    "/business-process/contractsX",
    "/business-process",
    "/v1/business-process/",
    "/ec-vcd/api/vms",
    "/ec-vcd/other",
    "/iam/users",
    "/v1/iam/users/7",
    "/shop/orders/1",
    "/",
    "/v1",
)
PATHS = (
    "/auth/users/u1",
    "/api/auth/users/u1",
    "/auth/users/me/tokens",
    "/v1/measurements",
    f"/auth/projects/{PROJECTS[0]}",
    f"/api/v1/projects/{PROJECTS[0]}/measurements",
    f"/v1/projects/{PROJECTS[1]}/edges/e1",
    f"/media/projects/{PROJECTS[2].upper()}/x",
    f"/auth/groups/{GROUPS[0]}/members",
    f"/api/auth/groups/{GROUPS[1]}",
    f"/auth/groups/{GROUPS[4]}/projects/p",
)
STRANGE_PATHS = (
    f"/auth/projects/{PROJECTS[0]}/../x",
    f"/AUTH/Projects/{PROJECTS[0]}/x",
    f"/auth//projects/{PROJECTS[0]}",
    f"/auth/%70rojects/{PROJECTS[0]}",
    f"/auth/projects/{PROJECTS[0]}/a%2Fb",
    "/auth/users/\u00e9",
    "/auth/users/%C3%A9",
    "/auth/users/%E9",
    "/auth/users/u1?x=1",
    "/auth/users\uff0fu1",
    "/auth/users/",
    "/auth/projects/",
    "/auth/projects/%zz",
    "/auth/users/\u200bu1",
)
METHODS = ("GET", "GET", "GET", "POST", "DELETE", "get", "")
ADDRESSES = ("", "10.0.0.200", "10.0.1.1", "192.0.2.7", "::ffff:10.0.0.3", "2001:db8::1")
TIMES = (
    None,
    datetime(2026, 11, 21, 23, 30, tzinfo=UTC),
    datetime(2026, 5, 3, 8, 0, 0, 250_000, tzinfo=UTC),
    datetime(2023, 2, 1, 0, 0, tzinfo=UTC),
)

CEL = (
    'resource.name.startsWith("ci-")',
    'resource.name == "web"',
    "has(resource.name)",
    "!has(resource.id)",
    'resource.id in ["r1", "r2"]',
    'resource.locality == "fr-par"',
    'resource.colour == "red"',
    'inIpRange(request.ip, "10.0.0.1/8")',
    'inIpRange(request.ip, "192.0.2.7")',
    'inIpRange(request.ip, "nonsense")',
    'request.time < timestamp("2026-06-01T00:00:00Z")',
    'request.time.getHours("Europe/Paris") >= 8',
    'request.time.getDayOfWeek("UTC") == 6',
    "request.mfa",
    'request.user_agent.contains("cli")',
    'request.user_agent.matches("^cu.l")',
    'request.attributes.colour == "red"',
    'request.attributes.colour.endsWith("d")',
    "has(request.attributes.colour)",
    'request.method != "POST"',
    'request.path.startsWith("/v1")',
    'subject.name == "alice"',
    'subject.kind == "user"',
    "true",
    "false",
)
CEL_WITHOUT_ANSWER = ("request.nothing == 1", "1 / 0 == 1", "unknown_name", '"a" == 1', '"text"', "request.ip")
CALL_CONDITIONS = (
    "currentDate >= date(2026, 06, 01)",
    "currentDate == date(2023, 02, 01)",
    "currentTime < time(18, 0)",
    "currentTime == time(8, 0, 0)",
    "currentDateTime > datetime(2026, 5, 3, 8, 0)",
    "ipAddress('10.0.0.1/24')",
    "ipAddress('192.0.2.7')",
    "pathVariable('user_name') == 'alice'",
    "pathVariable('nothing') == ''",
    "samUserName == 'alice'",
    "samUserName != 'bob'",
    "httpMethod == 'GET'",
    "path == '/iam/users'",
    "'b' > 'a'",
    "1 < 2.5",
    "true",
    "false",
)
CALL_CONDITIONS_WITHOUT_ANSWER = (
    "'a' == 1",
    "currentDate == currentTime",
    "true >= false",
    "samUserName",
    "currentDate",
)
