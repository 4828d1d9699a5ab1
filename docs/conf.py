"""Sphinx configuration for `make docs`."""

project = "sciviz.paraview"
copyright = "The sciviz.paraview developers"
extensions = ["sphinx_antsibull_ext"]
html_theme = "furo"
html_title = "sciviz.paraview"
html_copy_source = False
pygments_style = "default"
nitpicky = True
# Labels of Ansible's own documentation: resolving them would need the network.
nitpick_ignore_regex = [("std:.*", r"(?!ansible_collections\.sciviz\.paraview).*")]
