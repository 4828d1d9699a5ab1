# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks, and their output."""

from html.parser import HTMLParser

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.doctor import report
from hypothesis import given
from hypothesis import strategies as st

SEEN = [
    report.ok("client", "ssh", "OpenSSH 9.2"),
    report.failed("client to login node", "port", "nothing listens on port 22 of login.site.edu", "you", "correct ansible_port"),
    report.failed("login node", "remote forwarding to the cluster", "it is on 127.0.0.1 instead of 10.0.0.2", "site",
                  "in sshd_config:\nGatewayPorts clientspecified", "seen"),
    report.unsure("login node to nodes", "login node to node", "no node is known"),
]


def test_a_table_names_cause_and_way_out():
    lines = report.table(SEEN)
    assert lines[0] == "ok           ssh                               OpenSSH 9.2"
    assert lines[1].startswith("failed       port ") and lines[1].endswith("nothing listens on port 22 of login.site.edu")
    assert lines[2].strip() == "to be fixed by you: correct ansible_port"
    assert lines[4].strip() == "because it is on 127.0.0.1 instead of 10.0.0.2"
    assert lines[5].split("\n")[1].strip() == "GatewayPorts clientspecified"
    assert lines[-1].startswith("cannot tell  login node to node")
    assert report.summary(SEEN) == "1 ok, 2 failed, 1 cannot tell"
    assert report.failure(SEEN) == "2 of 4 checks failed: port, remote forwarding to the cluster"
    assert report.table([]) == []


def test_a_warning_has_a_way_out_and_is_no_failure():
    renderer = report.warning("node", "renderer", "the job has GPUs and does not draw with them", "you", "use another pvserver", "llvmpipe")
    seen = [report.ok("node", "job"), renderer]
    assert [line.strip() for line in report.table(seen)[1:]] == [
        "warning      renderer  llvmpipe", "because the job has GPUs and does not draw with them", "to be fixed by you: use another pvserver"]
    assert report.summary(seen) == "1 ok, 1 warning, 0 failed, 0 cannot tell"
    assert report.failure([*seen, report.unsure("node", "display", "")]) == ""
    assert "use another pvserver" in Page(report.page("ParaView and frontera", seen)).text


class Page(HTMLParser):
    """The tags and the text of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self.attributes = [], "", []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.text += data


def test_a_page_is_self_contained_and_shows_the_hops():
    page = Page(report.page("ParaView and frontera", SEEN))
    assert "GatewayPorts clientspecified" in page.text and "the site's admin" in page.text
    assert not [value for name, value in page.attributes if name in ("src", "href")], "it loads nothing from other files"
    assert page.tags.count("tr") == 1 + len(SEEN)
    colours = [value for name, value in page.attributes if name == "stroke"]
    assert colours == ["#c62828", "#9e9e9e", "#2e7d32", "#c62828", "#9e9e9e"]


@given(st.text(), st.text())
def test_output_of_a_site_is_never_markup(output, cause):
    plain = Page(report.page("x", [report.failed("node", "job", "c", "you", "w", "s")]))
    page = Page(report.page(output, [report.failed("node", "job", cause, "you", output, output)]))
    assert page.tags == plain.tags and [name for name, _value in page.attributes] == [name for name, _value in plain.attributes]


def test_names_and_addresses_can_be_left_out():
    anonymizer = report.Anonymizer({"login2.site.edu": "LOGIN", "alice": "USER", "": "NOTHING", "c101": "NODE"})
    others = "c1012 and malice are others; 1.2.3.4.5 is none"
    shown = anonymizer.text("alice on login2.site.edu (10.0.0.2), c101 is 10.0.0.11, login2.site.edu again, 10.0.0.2; " + others)
    assert shown == "USER on LOGIN (ADDRESS-1), NODE is ADDRESS-2, LOGIN again, ADDRESS-1; " + others
    (one,) = anonymizer.checks([report.failed("login node", "port", "alice", "you", "10.0.0.2", "c101")])
    assert (one.said, one.cause, one.way_out, one.hop) == ("NODE", "USER", "ADDRESS-1", "login node")


@pytest.mark.parametrize(("results", "worst"), [
    ([], "cannot tell"), (["ok", "cannot tell"], "ok"), (["ok", "failed"], "failed"), (["ok", "warning"], "warning"),
    (["failed", "warning"], "failed"), (["cannot tell"], "cannot tell")])
def test_the_worst_counts(results, worst):
    assert report.worst([report.Check("node", "x", result, "", "", "", "") for result in results], "node") == worst
