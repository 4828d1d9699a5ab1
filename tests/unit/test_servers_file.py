# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Server configuration files: entries of others stay byte for byte."""

from xml.etree import ElementTree

import pytest
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.paraview import servers_file
from hypothesis import given
from hypothesis import strategies as st

OURS = '<Server name="ours" resource="cs://127.0.0.1:1">\n    <ManualStartup/>\n  </Server>'
# Files as sites write them: comments, other quotes, a value with a `>`, empty elements, line endings of Windows.
SITES = [
    b"<Servers>\n</Servers>\n", b"<Servers/>", b"<Servers />\n", b'<Servers>\r\n  <Server name="a" resource="cs://x:1"/>\r\n</Servers>\r\n',
    b"<?xml version='1.0'?>\n<!-- <Server name='ours'/> -->\n<Servers>\n<Server name='a > b' resource='csrc://x:1'><ManualStartup/></Server></Servers>",
    b'<Servers>\n\t<Server name="a" resource="cs://x:1">\n\t\t<CommandStartup><Command exec="ssh" delay="5"><Arguments><Argument value="</Server>"/>'
    b'</Arguments></Command></CommandStartup>\n\t</Server>\n\t<Server name="b" resource="cs://y:2"/></Servers>'.replace(b'"</Server>"', b'"&lt;/Server&gt;"'),
    '<?xml version="1.0" encoding="UTF-8"?><Servers><Server name="Zürich" resource="cs://x:1"/></Servers>'.encode(),
    '<?xml version="1.0" encoding="ISO-8859-1"?><Servers><Server name="Zürich" resource="cs://x:1"/></Servers>'.encode("latin-1"),
    b"<Servers>\n  <Server resource='cs://x:1'/>\n  <Server name=''/>\n</Servers>",
    b"<Servers><!-- nobody --><Other><Server name='ours'/></Other></Servers>",
]


def names(data):
    return servers_file.Configuration(data, "servers.pvsc").names()


@pytest.mark.parametrize("site", SITES)
def test_an_entry_is_added_and_removed_without_a_trace(site):
    before = names(site)
    one = servers_file.Configuration(site, "servers.pvsc").put("ours", OURS)
    assert names(one) == [*before, "ours"]
    assert ElementTree.fromstring(one).findall("Server")[-1].get("resource") == "cs://127.0.0.1:1"
    assert servers_file.Configuration(one, "servers.pvsc").put("ours", OURS) == one, "again it is the same"
    other = servers_file.Configuration(one, "servers.pvsc").put("ours", OURS.replace(":1", ":2"))
    assert other == one.replace(b"127.0.0.1:1", b"127.0.0.1:2")
    gone = servers_file.Configuration(one, "servers.pvsc").remove("ours")
    assert names(gone) == before
    if b"<Servers/>" not in site and b"<Servers />" not in site:
        assert gone.replace(b"\n", b"").replace(b"\r", b"") == site.replace(b"\n", b"").replace(b"\r", b"")


@pytest.mark.parametrize("site", SITES)
def test_other_entries_stay_unchanged(site):
    one = servers_file.Configuration(site, "servers.pvsc").put("ours", OURS)
    for place in servers_file.Configuration(site, "servers.pvsc").places:
        assert site[place.start:place.end] in one


def test_duplicate_entries_are_removed():
    data = b'<Servers>\n  <Server name="ours" resource="cs://a:1"/>\n  <Server name="b"/>\n  <Server name="ours" resource="cs://c:1"/>\n</Servers>\n'
    one = servers_file.Configuration(data, "servers.pvsc").put("ours", OURS)
    assert names(one) == ["b", "ours"]
    assert names(servers_file.Configuration(data, "servers.pvsc").remove("ours")) == ["b"]


def test_a_file_that_does_not_exist():
    assert names(b"") == []
    assert servers_file.Configuration(b" \n", "servers.pvsc").put("ours", OURS).startswith(b"<?xml")


@pytest.mark.parametrize(("data", "line", "why"), [
    (b"<Servers>\n<Server name='a'>\n</Servers>", 3, "mismatched tag"), (b"<Servers>\n\n", 3, "no element found"), (b"\n<Other/>", 2, "<Servers>"),
    ("<Servers/>".encode("utf-16-le"), 1, "UTF-16"), (b"<!DOCTYPE Servers [<!ENTITY a 'b'>]>\n<Servers/>", 1, "document type"),
    (b'<?xml version="1.0" encoding="koi8-r"?><Servers/>', 1, "koi8-r"), ("<Servers/>".encode("utf-16"), 1, "UTF-16"), (b"\xff", 1, "unclosed token"),
    (b"hello", 1, "syntax error"), (b"<Servers/>\n<Servers/>", 2, "junk")])
def test_malformed_files_are_refused(data, line, why):
    with pytest.raises(SessionError, match="no server configuration") as caught:
        servers_file.Configuration(data, "/etc/servers.pvsc")
    assert caught.value.why.startswith("line {0}: ".format(line)) and why in caught.value.why
    assert "/etc/servers.pvsc" in caught.value.what


@given(st.binary(max_size=200))
def test_any_bytes_are_a_file_or_refused(data):
    try:
        found = servers_file.Configuration(data, "servers.pvsc")
    except SessionError:
        return
    assert "ours" in names(found.put("ours", OURS))


@given(st.text())
def test_any_value_is_written_or_refused(value):
    try:
        text = servers_file.element("Server", [("name", value)])
    except ValueError:
        return
    text.encode("ascii")
    assert ElementTree.fromstring(text).get("name") == value


def test_nested_elements():
    text = servers_file.element("Server", [("name", "a")], [lambda indent: servers_file.element("ManualStartup", indent=indent)])
    assert text == '  <Server name="a">\n    <ManualStartup/>\n  </Server>\n'
