"""Paths find their routes."""

import pytest

from concord.gateway.router import NoMethod, NoPath, Router


def router() -> Router[str]:
    made: Router[str] = Router()
    made.add("GET", "/users/{user_id}", "one")
    made.add("GET", "/users/me", "me")
    made.add("DELETE", "/users/{user_id}", "delete")
    made.add("GET", "/users/{user_id}/keys/{key_id}", "key")
    made.add("GET", "/users/me/keys", "my keys")
    return made


def test_a_literal_segment_beats_a_placeholder_whatever_came_first() -> None:
    assert router().find("GET", "/users/me") == ("me", {})


def test_a_placeholder_takes_any_other_text() -> None:
    assert router().find("GET", "/users/a b:#") == ("one", {"user_id": "a b:#"})


def test_a_literal_branch_that_leads_nowhere_gives_way_to_the_placeholder() -> None:
    assert router().find("GET", "/users/me/keys/7") == ("key", {"user_id": "me", "key_id": "7"})


def test_a_method_that_only_the_placeholder_has_is_found_there() -> None:
    assert router().find("DELETE", "/users/me") == ("delete", {"user_id": "me"})


def test_an_unknown_method_tells_the_known_ones() -> None:
    with pytest.raises(NoMethod) as caught:
        router().find("PUT", "/users/7")

    assert caught.value.allowed == ("DELETE", "GET")


@pytest.mark.parametrize(
    "path", ["", "*", "/", "/users", "/users/", "/users//keys", "/users/1/", "users/1", "/users/1/keys/2/3"]
)
def test_paths_that_nothing_serves_are_not_found(path: str) -> None:
    with pytest.raises(NoPath):
        router().find("GET", path)


@pytest.mark.parametrize("segment", ["..", ".", "%2F", "%252e", "\u202e", "\x00", "*", "@"])
def test_segments_are_neither_decoded_nor_normalised(segment: str) -> None:
    assert router().find("GET", f"/users/{segment}") == ("one", {"user_id": segment})


def test_two_routes_for_one_path_are_a_defect() -> None:
    made = router()

    with pytest.raises(ValueError, match="two routes"):
        made.add("GET", "/users/{other}", "again")
