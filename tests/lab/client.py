"""A ParaView client that renders the cluster's data on the cluster, and proves that it did: run by pvpython on the workstation.

usage: pvpython [--connect-id=N] local.py forward|reverse PORT PICTURE [wait]
With a fourth argument it stays until somebody ends the session. In a ParaView that is connected already it takes PICTURE from its environment, and what it
says goes into PICTURE.txt.
"""

import os
import sys
import threading
from pathlib import Path

from paraview import servermanager
from paraview import simple as pv
from paraview.modules.vtkRemotingCore import vtkPVSystemConfigInformation
from paraview.modules.vtkRemotingViews import vtkPVRenderingCapabilitiesInformation

HOST_NAME = """
import os, socket, vtk
names = vtk.vtkStringArray()
names.SetName("host")
names.InsertNextValue(socket.gethostname())
names.InsertNextValue(str(os.getuid()))
self.GetOutput().GetFieldData().AddArray(names)
"""

way, port, picture = sys.argv[1:4] if len(sys.argv) > 3 else ("open", "", os.environ["PICTURE"])
if way == "open":
    sys.stdout = Path(picture + ".txt").open("w", encoding="utf-8")  # noqa: SIM115, for as long as it runs
elif way == "reverse":
    pv.ReverseConnect(port)
else:
    pv.Connect(os.environ.get("PVSERVER_HOST", "127.0.0.1"), int(port))

about = vtkPVRenderingCapabilitiesInformation()
servermanager.ActiveConnection.Session.GatherInformation(4, about, 0)  # 4: the render server's root
where = pv.ProgrammableSource(Script=HOST_NAME)
where.UpdatePipeline()
server = servermanager.Fetch(where).GetFieldData().GetAbstractArray("host")
print("server host", server.GetValue(0), flush=True)
print("server account", server.GetValue(1), flush=True)

data = pv.OpenDataFile("/srv/data/wavelet.vti")
# A view of its own is shown nowhere in a ParaView with windows.
view = pv.GetActiveViewOrCreate("RenderView") if way == "open" else pv.CreateView("RenderView")
view.ViewSize = [800, 600]
view.RemoteRenderThreshold = 0
surface = pv.Contour(data, ContourBy=["POINTS", "RTData"], Isosurfaces=[90.0, 130.0, 170.0, 210.0])
shown = pv.Show(surface, view)
pv.ColorBy(shown, ("POINTS", "RTData"))
shown.RescaleTransferFunctionToDataRange(False, True)
pv.Render(view)
pv.ResetCamera(view)
pv.SaveScreenshot(picture, view)
print("distributed", view.SMProxy.GetClientSideObject().GetUseDistributedRenderingForRender(), flush=True)
print("capabilities", about.GetCapabilities(), flush=True)
every = vtkPVSystemConfigInformation()
servermanager.ActiveConnection.Session.GatherInformation(5, every, 0)  # all processes of the data and render servers
print("ranks", *(every.GetHostName(number) for number in range(every.GetSize())), flush=True)
ids = (getattr(pv, "ProcessIds", None) or pv.ProcessIdScalars)(Input=surface)  # by its name of today, or of long ago
ids.UpdatePipeline()
numbers = next(array for array in ids.PointData if "ProcessId" in array.GetName())
print("drawn by ranks", *(int(end) for end in numbers.GetRange()), flush=True)
clock = servermanager.ProxyManager().NewProxy("misc", "ExecutableRunner")
clock.GetProperty("Command").SetElement(0, servermanager.ActiveConnection.Session.GetServerInformation().GetTimeoutCommand() or "echo never")
clock.UpdateVTKObjects()
clock.InvokeCommand("Execute")
clock.UpdatePropertyInformation()
print("minutes left", clock.GetProperty("StdOut").GetElement(0).strip(), flush=True)
print("cells", data.GetDataInformation().GetNumberOfCells(), flush=True)
if len(sys.argv) > 4:
    threading.Event().wait(600)
if way != "open":
    pv.Disconnect()
