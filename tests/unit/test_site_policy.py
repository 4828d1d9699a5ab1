# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a site asks of the sessions of its users: limits, maintenance, versions."""

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster import facts, site_policy
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.config import settings
from ansible_collections.sciviz.paraview.plugins.module_utils.doctor import probes
from ansible_collections.sciviz.paraview.plugins.module_utils.session.record import Session
from ansible_collections.sciviz.paraview.plugins.module_utils.session.steps.gathering import Gathering
from hypothesis import given
from hypothesis import strategies as st

DEFAULTS = settings.check({name: about["default"] for name, about in settings.SPEC.items()})


def options(**values):
    return dict(DEFAULTS, **values)


def refused(call, *words):
    with pytest.raises(SessionError) as caught:
        call()
    assert len(caught.value.lines()) == 3 and "nothing was submitted" in caught.value.way_out
    for word in words:
        assert word in str(caught.value)


def test_a_site_that_is_closed_gives_its_reason():
    site = facts.settings({"closed": "maintenance until 18:00\x1b[2J {{ x }}"})
    refused(lambda: site_policy.admit(site, "login2", "1.0.0"), "login2 accepts no new sessions", "maintenance until 18:00 {{ x }}",
            "sessions that are open continue")
    site_policy.admit({}, "login2", "1.0.0")


@pytest.mark.parametrize(("required", "version", "good"), [
    ("0.2", "0.1.0", False), ("0.2", "0.2.0", True), ("0.2.0", "0.2", True), ("0.10", "0.9.9", False), ("1", "1.0.0-rc1", True), ("1.0.1", "1.0.0", False),
    ("2", "10.0", True), ("0.2", "", True)])
def test_a_site_may_require_a_version(required, version, good):
    if good:
        site_policy.admit({"minimum_version": required}, "login2", version)
    else:
        refused(lambda: site_policy.admit({"minimum_version": required}, "login2", version), required + " or later", version,
                "ansible-galaxy collection install --upgrade")


@pytest.mark.parametrize(("name", "value", "limit"), [
    ("walltime", 7200, "1:00:00"), ("client_timeout", 3600, "0:30:00"), ("reconnect_timeout", 7200, "1:00:00")])
def test_a_value_beyond_a_limit_is_refused_and_named(name, value, limit):
    site = facts.settings({"limits": {name: limit}})
    own = options(**{name: value})
    refused(lambda: site_policy.within_limits(own, site_policy.given(own), site, "login2", own["walltime"]),
            "paraview_" + name, limit, "the site has set limits." + name, "site.yml")


def test_a_default_beyond_a_limit_is_lowered_with_a_line():
    site = facts.settings({"limits": {"walltime": "30m", "client_timeout": "10m", "reconnect_timeout": "15m"}})
    changed, lines = site_policy.within_limits(options(), [], site, "login2", 3600)
    assert changed == {"walltime": 1800, "client_timeout": 600, "reconnect_timeout": 900}
    assert lines[0] == "paraview_walltime is 0:30:00 on login2, the limit that the site has set" and len(lines) == 3
    assert site_policy.within_limits(options(reconnect=False), [], facts.settings({"limits": {"reconnect_timeout": "15m"}}), "login2", 0) == ({}, [])


def test_the_wall_time_of_ones_own_directives_counts():
    site = facts.settings({"limits": {"walltime": "8h"}})
    refused(lambda: site_policy.within_limits(options(), [], site, "login2", 48 * 3600), "paraview_walltime: 2-00:00:00", "paraview_directives")
    assert site_policy.within_limits(options(), [], site, "login2", 0) == ({}, []), "an own job has a wall time already"


@given(st.integers(1, 10 ** 6), st.integers(1, 10 ** 6), st.booleans())
def test_no_session_has_more_than_the_limit(value, limit, is_own):
    own = options(walltime=value)
    try:
        changed, _lines = site_policy.within_limits(own, ["walltime"] if is_own else [], {"limits": {"walltime": limit}}, "login2", value)
    except SessionError:
        assert is_own and value > limit
    else:
        assert changed.get("walltime", value) == (value if value <= limit else limit)


def test_the_number_of_sessions():
    site = {"limits": {"sessions": 2}}
    site_policy.check_number(["a"], site, "login2")
    site_policy.check_number(["a"] * 9, {}, "login2")
    refused(lambda: site_policy.check_number(["b", "a"], site, "login2"), "you have 2 sessions on login2 already: a, b", "limits.sessions to 2", "-e host=a")


@pytest.fixture(name="gather")
def _gather(tmp_path, short_path, monkeypatch):
    """Takes the step of a session on a site with these values; returns its record and the lines."""
    def gather(name, site, target="login", **values):
        def gathered(self, _settings):
            site_policy.admit(site, "login2", "0.1.0")
            self.session.update(facts={"login_node": "login2", "uid": 1000, "site": site}, scheduler="slurm", login_node="login2")

        monkeypatch.setattr(Gathering, "_gather", gathered)
        session = Session(str(tmp_path / "state"), name)
        session.begin(settings=options(**values), control_path=str(short_path / name), target={"host": target, "user": None})
        lines = []
        Gathering(session, None, lines.append).run()
        return session.read(), lines

    return gather


def test_a_site_that_asks_nothing_changes_nothing(gather):
    record, lines = gather("lab", {})
    assert lines == [] and record.settings == options() and record.changed_by_site == {}


def test_a_site_without_reconnection(gather):
    record, lines = gather("lab", facts.settings({"reconnect": False}))
    assert record.settings["reconnect"] is False and record.changed_by_site == {"reconnect": True}
    assert lines == ["no reconnection, since the site permits no logins without you: the session ends with its connection"]
    assert gather("two", facts.settings({"reconnect": False}), reconnect=False)[1] == []


def test_limits_are_in_the_record(gather):
    record, lines = gather("lab", facts.settings({"limits": {"walltime": "30m"}}))
    assert record.settings["walltime"] == 1800 and record.changed_by_site == {"walltime": 3600} and len(lines) == 1
    refused(lambda: gather("two", facts.settings({"limits": {"walltime": "30m"}}), walltime=1801), "paraview_walltime: 0:30:01")
    assert gather("three", facts.settings({"limits": {"walltime": "30m"}}), job_id="17")[0].settings["walltime"] == 3600, "its job has a wall time already"


def test_own_directives_are_within_the_limits(gather):
    site = facts.settings({"limits": {"walltime": "8h"}})
    assert gather("lab", site, directives=["--time=4:00:00"])[0].changed_by_site == {}
    refused(lambda: gather("two", site, directives=["--time=48:00:00"]), "2-00:00:00")


def test_sessions_on_one_site_are_counted(gather):
    site = facts.settings({"name": "Frontera", "limits": {"sessions": 2}})
    gather("one", site)
    gather("two", site, target="login3")
    refused(lambda: gather("three", site), "you have 2 sessions on login2 already: one, two")
    gather("elsewhere", facts.settings({"name": "Stampede", "limits": {"sessions": 1}}), target="stampede")


def test_doctor_reports_what_is_ignored_and_who_is_refused():
    values = {"limits": {"walltime": 8}, "closed": "maintenance"}
    checks = probes.site_values({"login_node": "login2", "site": facts.settings(values), "site_faults": facts.faults(values)}, "0.1.0")
    assert [(one.result, one.who) for one in checks] == [("warning", "site"), ("failed", "site")]
    assert "limits.walltime" in checks[0].cause and "maintenance" in checks[1].cause
    old = probes.site_values({"login_node": "login2", "site": {"minimum_version": "9"}, "site_faults": []}, "0.1.0")
    assert [(one.result, one.who) for one in old] == [("failed", "you")] and "ansible-galaxy" in old[0].way_out
    assert probes.site_values({"login_node": "login2", "site": {}, "site_faults": []}, "0.1.0") == []
