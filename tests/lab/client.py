"""A ParaView client that renders the cluster's data on the cluster, and proves that it did: run by pvpython on the workstation.

usage: pvpython [--connect-id=N] client.py forward|reverse PORT PICTURE [wait]
With a fourth argument it stays until somebody ends the session.
"""

import sys
import threading

from paraview import servermanager
from paraview import simple as pv
from paraview.modules.vtkRemotingViews import vtkPVRenderingCapabilitiesInformation

HOST_NAME = """
import socket, vtk
names = vtk.vtkStringArray()
names.SetName("host")
names.InsertNextValue(socket.gethostname())
self.GetOutput().GetFieldData().AddArray(names)
"""

way, port, picture = sys.argv[1:4]
if way == "reverse":
    pv.ReverseConnect(port)
else:
    pv.Connect("127.0.0.1", int(port))

about = vtkPVRenderingCapabilitiesInformation()
servermanager.ActiveConnection.Session.GatherInformation(4, about, 0)  # 4: the render server's root
where = pv.ProgrammableSource(Script=HOST_NAME)
where.UpdatePipeline()
print("server host", servermanager.Fetch(where).GetFieldData().GetAbstractArray("host").GetValue(0), flush=True)

data = pv.OpenDataFile("/srv/data/wavelet.vti")
view = pv.CreateView("RenderView")
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
print("cells", data.GetDataInformation().GetNumberOfCells(), flush=True)
if len(sys.argv) > 4:
    threading.Event().wait(600)
pv.Disconnect()
