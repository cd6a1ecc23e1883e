"""`/api/v1/settings`: for operators, and without digests."""

from recovery.ledger.tokens import Token
from recovery.manager.roles import Role
from recovery.manager.web.sign_in import Mode
from tests.support.signed_in import bearer, new_token, signed_in


def test_settings_and_tokens_are_shown_without_digests(api):
    api.problems.append("upkeep: denied")
    for number, (expires_ms, revoked_ms) in enumerate([(None, None), (2, None), (None, 5)]):
        name, digest = f"t{number}", f"{number}" * 64
        assert api.ledger.tokens.create(
            Token(name, "reader", digest, 1_790_000_000_000, "ana", expires_ms, revoked_ms, "bob", 1_790_000_001_000)
        )
    answer = api.ask("/api/v1/settings")
    found = answer.json()
    assert [(one["name"], one["valid"]) for one in found["tokens"]] == [("t0", True), ("t1", False), ("t2", False)]
    assert found["tokens"][0]["used_at"] == "2026-09-21T14:13:21.000Z"
    assert "0" * 64 not in answer.text
    assert [one["what"] for one in found["wrong"] if one["about"] == "manager"] == ["upkeep: denied"]
    assert next(one for one in found["items"] if one["name"] == "MANAGER_AUTH")["value"] == "none"


def test_a_reader_does_not_see_them(api):
    asked = signed_in(api.ledger, Mode.TOKEN)
    answers = {role: asked.ask("/api/v1/settings", **bearer(new_token(api.ledger, role))).status_code for role in Role}
    assert answers == {Role.READER: 403, Role.OPERATOR: 200, Role.ADMIN: 200}
