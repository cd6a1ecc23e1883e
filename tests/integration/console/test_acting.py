"""Who acts, and who looks on, in real browsers: signing in by a token, each role, and two windows at one operation."""

import pytest

from recovery.manager.roles import Role
from recovery.manager.web import watching
from tests.support.console_office import COUNT, Office, executing, says, until_done, wait_until


def test_a_person_signs_in_by_a_token_and_out_again(office: Office):
    reader = office.window()
    reader.go("/console/messages?q=key:契約")
    assert reader.path.startswith("/auth/login?next=")
    token, enter = reader.page.get_by_label("Token"), reader.page.get_by_role("button", name="Sign in")
    token.fill("dlqm_" + "a" * 43)
    enter.click()
    assert "unknown, revoked or expired" in reader.text
    token.fill(office.tokens[Role.READER])
    enter.click()
    reader.page.wait_for_url("**/console/messages?q=*")
    assert "token:readers" in reader.text
    [cookie] = [one for one in reader.page.context.cookies() if one["name"].startswith("__Host-")]
    assert (cookie["httpOnly"], cookie["secure"], cookie["sameSite"]) == (True, True, "Lax")
    reader.page.get_by_role("button", name="Sign out").click()
    assert (reader.path, "Signed out" in reader.text) == ("/auth/signed-out", True)
    reader.page.go_back()
    reader.page.reload()
    assert reader.path.startswith("/auth/login")


def test_who_loses_a_token_is_out_at_the_next_click(office: Office):
    reader = office.window(Role.OPERATOR)
    path = office.plan(reader, "redrive")
    office.api.ledger.tokens.revoke("operators", by="me")
    reader.page.get_by_role("button", name=f"Redrive {COUNT} messages").click()
    assert "nobody is signed in any more" in reader.text
    reader.go(path)
    assert reader.path.startswith("/auth/login")
    assert office.api.ledger.operations.page() == []


SEND_FORM = """async ([path, fields]) => {
  const answer = await fetch(path, {method: "POST", body: new URLSearchParams(fields), redirect: "manual"});
  return answer.status;
}"""


def test_each_role_sees_what_it_may_do_and_is_refused_the_rest(office: Office):
    windows = {role: office.window(role) for role in Role}
    admin = windows[Role.ADMIN]
    plans = {verb: office.plan(admin, verb) for verb in ("redrive", "delete")}
    for role, reader in windows.items():
        for verb, path in plans.items():
            reader.go(path)
            needed = Role.ADMIN if verb == "delete" else Role.OPERATOR
            may = role.includes(needed)
            assert reader.page.locator(f"form[action='{path}/start']").count() == int(may), (role, verb)
            assert (f"Only somebody with the role {needed.value}" in reader.text) != may
            if not may:
                assert reader.page.evaluate(SEND_FORM, [f"{path}/start", {"typed": "delete"}]) == 403, (role, verb)
        reader.go("/console/messages")
        offered = reader.page.locator("select[name=verb] option").evaluate_all("all => all.map(one => one.value)")
        assert ("redrive" in offered) == role.includes(Role.OPERATOR)
        assert ("delete" in offered) == role.includes(Role.ADMIN)
    assert office.api.ledger.operations.page() == []
    admin.go(plans["delete"])
    admin.page.get_by_label("Type delete to confirm").fill("delete")
    admin.page.get_by_role("button", name=f"Delete {COUNT} messages").click()
    admin.page.wait_for_url("**/console/operations/*")


@pytest.mark.usefixtures("executing")
def test_two_watch_one_operation_and_one_of_them_leaves(office: Office):
    operator, onlooker = office.window(Role.OPERATOR), office.window(Role.READER)
    office.plan(operator, "redrive")
    page = operator.page
    page.get_by_text("Change how it is done").click()
    page.get_by_label("or at most so many a second").fill("8")
    page.get_by_role("button", name="Plan it in this way").click()
    page.get_by_role("button", name=f"Redrive {COUNT} messages").click()
    page.wait_for_url("**/console/operations/*")
    onlooker.go(operator.path)
    for one in (operator, onlooker):
        one.page.get_by_text(f" of {COUNT}").wait_for()
        wait_until(lambda: int(one.page.locator("progress").get_attribute("value") or 0) >= 4, one)  # noqa: B023 (used at once)
    assert onlooker.page.get_by_role("button", name="Pause").count() == 0
    page.get_by_role("button", name="Pause").click()
    wait_until(lambda: says(onlooker).startswith("Paused"), onlooker)
    page.get_by_role("button", name="Resume").click()
    wait_until(lambda: says(onlooker).startswith("Running"), onlooker)
    operator.close()
    wait_until(lambda: says(onlooker).startswith("Done"), onlooker)
    assert f"{COUNT} of {COUNT}" in onlooker.text
    wait_until(lambda: not office.api.app.state.watch._viewers, onlooker)
    assert len(office.api.fakes.source.messages) == COUNT


def test_who_is_refused_the_events_sees_the_end_all_the_same(office: Office, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(watching, "MAX_VIEWERS", 0)
    reader = office.window(Role.OPERATOR)
    page, asked = reader.page, list[str]()
    page.clock.install()
    office.plan(reader, "abandon")
    with page.expect_response("**/events") as refused:
        page.get_by_role("button", name=f"Abandon {COUNT} messages").click()
    assert refused.value.status == 503
    path, stale = f"**{reader.path}", page.locator("#stale")
    page.route(path, lambda route: route.abort())
    for _ in range(2):
        page.clock.run_for(5_000)
        stale.wait_for()
    assert says(reader).startswith("Waiting")
    page.unroute(path)
    with executing(office.api):
        wait_until(lambda: bool(office.api.ledger.operations.page(ended=True)), reader)
    page.clock.run_for(5_000)
    stale.wait_for(state="hidden")
    wait_until(lambda: says(reader).startswith("Done"), reader)
    page.on("request", lambda request: asked.append(request.url))
    page.clock.run_for(20_000)
    assert asked == []


@pytest.mark.usefixtures("executing")
def test_everything_is_done_without_scripts(office: Office):
    reader = office.window(Role.OPERATOR, scripts=False)
    reader.go("/console/messages")
    page = reader.page
    for number in (0, 1):
        page.locator("input[name=id]").nth(number).check()
    page.get_by_label("What to do").select_option("hold")
    page.get_by_role("button", name="Only those that are selected").click()
    assert "A reason is needed" in reader.text
    page.get_by_label("Reason").fill("legal")
    page.get_by_role("button", name="Go on").click()
    page.get_by_role("button", name="Hold 2 messages").click()
    until_done(reader)
    assert "2 of 2" in reader.text
    page.get_by_role("link", name="Operations").click()
    assert "Hold 2 messages" in reader.text
