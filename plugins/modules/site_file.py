#!/usr/bin/python
# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: site_file
short_description: Publish a site's values for connect
version_added: 0.1.0
description:
  - Writes keys of a login node's C(site.yml), which M(sciviz.paraview.site_facts) reads. Several writers share the file, and each owns
    some of its keys. The lines of the other writers are not changed.
  - The file belongs to root, and nobody else can write to it. If no key is left, it is removed.
extends_documentation_fragment:
  - sciviz.paraview.attributes.host
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
options:
  owned:
    description: The keys that the caller owns. Those that have no value in O(values) are removed.
    type: list
    elements: str
    required: true
  values:
    description: The values, by key.
    type: dict
    default: {}
  writer:
    description:
      - The caller's name, if several callers own the same keys. The first one writes them, and its name with them as the key
        C(forwarding_policy), unless that is V(forwarding). The others change nothing as long as that one is among O(writers).
    type: str
    default: ""
  writers:
    description: The names of all callers that there are on the host.
    type: list
    elements: str
    default: []
  path:
    description: The file.
    type: path
    default: /etc/paraview-connect/site.yml
author:
  - The sciviz.paraview developers (@sciviz)
"""

EXAMPLES = r"""
- name: Publish the queue for visualization
  sciviz.paraview.site_file:
    owned: [scheduler, queue]
    values:
      scheduler: slurm
      queue: viz
"""

RETURN = r"""
path:
  description: The file.
  returned: success
  type: str
  sample: /etc/paraview-connect/site.yml
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sciviz.paraview.plugins.module_utils.cluster import site_file
from ansible_collections.sciviz.paraview.plugins.module_utils.common import files
from ansible_collections.sciviz.paraview.plugins.module_utils.common.errors import SessionError
from ansible_collections.sciviz.paraview.plugins.module_utils.common.text import clean

SPEC = {
    "owned": {"type": "list", "elements": "str", "required": True}, "values": {"type": "dict", "default": {}},
    "writer": {"type": "str", "default": ""}, "writers": {"type": "list", "elements": "str", "default": []},
    "path": {"type": "path", "default": site_file.PATH},
}


def main():
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    path = module.params["path"]
    try:
        old = files.read_old(path).content
        text = None if old is None else old.decode("utf-8", "surrogateescape")
        others = site_file.is_others(text, *(module.params[name] for name in ("owned", "writer", "writers")))
        new = text if others else site_file.merge(text, *_keys(module.params))
        if new != text and not module.check_mode:
            files.publish(path, new)
    except SessionError as error:
        module.fail_json(msg=clean(str(error)))
    except OSError as error:
        module.fail_json(msg="cannot write {0}\n{1}\nrun it as root".format(path, clean(str(error))))
    shown = [(content or "").encode("utf-8", "surrogateescape").decode("utf-8", "replace") for content in (text, new)]
    module.exit_json(changed=new != text, path=path, diff={
        "before_header": path if text is not None else os.devnull, "after_header": path if new is not None else os.devnull,
        "before": shown[0], "after": shown[1]})


def _keys(params):
    if not params["writer"]:
        return params["owned"], params["values"]
    named = {site_file.WRITER: params["writer"]} if params["values"] and params["writer"] != site_file.FIRST_WRITER else {}
    return params["owned"] + [site_file.WRITER], dict(params["values"], **named)


if __name__ == "__main__":
    main()
