"""Which lab it is: the first one, or where pytest-xdist runs several workers one of each worker's own."""

import os

WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")
if WORKER:
    os.environ["PARAVIEW_LAB_NAME"] = WORKER
#: Of its cgroup, its directory below /run and its namespaces.
NAME = ".".join(filter(None, ("sciviz-paraview-lab", os.environ.get("PARAVIEW_LAB_NAME"))))
