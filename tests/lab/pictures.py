"""A ParaView client that renders on the cluster in a loop, the same pictures over and over: run by pvpython on the workstation.

usage: pvpython [--connect-id=N] pictures.py forward|reverse PORT [big]
For each picture there is a line in pictures.txt: its number in the round, its sha256, and the time. With `big`, 200 MB of data come from the server with each
round, and their sum stands for a picture of its own. It goes on until a file `stop` is there.
"""

import hashlib
import os
import sys
import time

from paraview import servermanager
from paraview import simple as pv
from vtkmodules.util.numpy_support import vtk_to_numpy

ROUND = 12
FILE = "frame.png"

said = os.open("pictures.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
way, port = sys.argv[1:3]
if way == "reverse":
    pv.ReverseConnect(port)
else:
    pv.Connect("127.0.0.1", int(port))


def say(number, content):
    # pvpython keeps what is printed for a while.
    os.write(said, f"{number} {hashlib.sha256(content).hexdigest()} {time.time():.2f}\n".encode())


view = pv.CreateView("RenderView")
view.ViewSize = [400, 300]
view.RemoteRenderThreshold = 0
surface = pv.Contour(pv.OpenDataFile("/srv/data/wavelet.vti"), ContourBy=["POINTS", "RTData"], Isosurfaces=[90.0, 130.0, 170.0])
pv.Show(surface, view)
pv.Render(view)
pv.ResetCamera(view)
camera = pv.GetActiveCamera()
large = pv.Wavelet(WholeExtent=[0, 371, 0, 371, 0, 371]) if "big" in sys.argv else None
while not os.path.exists("stop"):
    for number in range(ROUND):
        pv.SaveScreenshot(FILE, view)
        with open(FILE, "rb") as picture:
            say(number, picture.read())
        camera.Azimuth(360 / ROUND)
    camera.SetViewUp(0, 1, 0)
    pv.ResetCamera(view)
    if large is not None:
        say(ROUND, vtk_to_numpy(servermanager.Fetch(large).GetPointData().GetScalars()).tobytes())
pv.Disconnect()
