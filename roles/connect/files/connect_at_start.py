# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ParaView's window runs this as it starts, and is then connected to a pvserver. A call of the function below is appended for each session.

All names are inside the function: whatever stands outside would be in the user's Python shell. Sources: Remoting/Core/vtkTCPNetworkAccessManager.cxx,
Remoting/ServerManager/vtkSMSessionClient.cxx, Wrapping/Python/paraview/servermanager.py, and what 5.11, 5.13 and 6.1 were seen to do.
"""


def _connect_at_start(url, connect_id):
    """Connects to url (str), ``cs://HOST:PORT`` or ``csrc://HOST:PORT``, with a connect_id (int, 0 for none)."""
    import os
    import sys
    import time

    LOOK = 100  # milliseconds between two looks
    GREETING = 1.5  # seconds; ParaView's Welcome window opens one second after the main window

    def note(state, more=""):
        # Whoever started ParaView reads its standard error.
        os.write(2, "paraview-connect: {0} {1}\n".format(state, more.replace("\n", " ")).rstrip(" ").encode("utf-8", "replace"))

    def failed(state, why):
        note(state, why)
        # The same for the user, in a window of ParaView's.
        sys.stderr.write("This ParaView is not connected to the session on the cluster: {0}\n".format(why))

    def guarded(state, act):
        def run(*_about):
            try:
                act()
            except Exception as error:
                failed(state, "{0}: {1}".format(type(error).__name__, error))

        return run

    def begin():
        from paraview import servermanager, simple
        from paraview.modules.vtkRemotingCore import vtkProcessModule
        from paraview.modules.vtkRemotingServerManager import vtkSMSessionClient

        try:
            from paraview.modules.vtkRemotingCore import vtkRemotingCoreConfiguration

            options = vtkRemotingCoreConfiguration.GetInstance()
        except ImportError:  # before 5.10
            options = vtkProcessModule.GetProcessModule().GetOptions()
        processes = vtkProcessModule.GetProcessModule()
        network = processes.GetNetworkAccessManager()
        reverse = url.startswith("csrc:")
        # Else an entry that the user chooses later in this window would be opened with it.
        os.environ.pop("PV_CONNECT_ID", None)

        def complaints_of(act):
            """tuple: what act() returned, and what ParaView complained of meanwhile (list of str)."""
            told = []

            def hear(_network, _event, text):
                told.append(" ".join(text.split("): ", 1)[-1].replace("*", "").split()))
                if reverse:  # whoever called was not pvserver; ParaView would wait for the next one, and its window with it
                    network.AbortPendingConnection()

            hear.CallDataType = "string0"
            seen = [network.AddObserver(event, hear) for event in ("ErrorEvent", "WarningEvent")]
            try:
                return act(), told
            finally:
                for one in seen:
                    network.RemoveObserver(one)

        def listen():
            """bool: whether ParaView listens from now on."""
            way = "tcp://localhost:{0}?listen=true&multiple=true&nonblocking=true".format(url.rsplit(":", 1)[1])
            told = complaints_of(lambda: network.NewConnection(way))[1]
            note(*(("refused", "ParaView cannot listen on port {0}: {1}".format(url.rsplit(":", 1)[1], "; ".join(told))) if told else ("listening",)))
            return not told

        def connect():
            """bool: whether that was all; False where somebody else than pvserver has called."""
            before = options.GetConnectID()
            options.SetConnectID(connect_id)
            session = vtkSMSessionClient()
            try:
                made, told = complaints_of(lambda: session.Connect(url))
            finally:
                options.SetConnectID(before)
            if made:
                adopt(session)
                note("connected")
            elif reverse:
                note("stranger", "; ".join(told))
                return not listen()
            else:
                wrong = "it has another connect-id" if network.GetWrongConnectID() else "it does not answer"
                failed("refused", "pvserver at {0}: {1}".format(url, "; ".join(told) or wrong))
            return True

        def adopt(session):
            """Puts a session in the place of the one that ParaView began with."""
            simple.Disconnect()
            connection = servermanager.GetConnectionFromId(processes.RegisterSession(session))
            servermanager.SetActiveConnection(connection)
            servermanager.ParaViewPipelineController().InitializeSession(connection.Session)
            # Until 5.12 the functions of simple are made for each connection.
            getattr(simple, "_add_functions", lambda _names: None)(vars(simple))

        def as_soon_as(ready):
            """Connects once ready() is true, and leaves the window usable until then."""
            view = simple.GetActiveView()
            clock = view.GetInteractor() if hasattr(view, "GetInteractor") else None
            if clock is None:  # the user may have chosen to begin without a view, or with a table
                clock = simple.CreateView("RenderView").GetInteractor()

            def look():
                # Other timers of this view's come by too, even while ParaView connects.
                if not due or time.monotonic() < due[0]:
                    return
                due[0] = float("inf")
                if ready() and connect():
                    due.clear()
                else:
                    due[0] = time.monotonic() + LOOK / 2000.0
                    clock.CreateOneShotTimer(LOOK)

            due = [0]
            # It stays: with it the clock would go, whose view connect() takes away, and which has to outlive this call.
            clock.AddObserver("TimerEvent", guarded("refused", look))
            clock.CreateOneShotTimer(LOOK)

        def greeted():
            """bool: whether a greeting of ParaView's would have come by now. One that opened while ParaView connects would halt it until it is closed."""
            looked.append(time.monotonic())
            return looked[-1] > looked[0] + GREETING

        looked = []
        note("begun")
        if not reverse:
            as_soon_as(greeted)
        elif listen():
            as_soon_as(lambda: greeted() and network.GetNetworkEventsAvailable())

    guarded("unable", begin)()
