# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ParaView runs this when it starts, and connects to a pvserver. For each session, a call of the function below is appended.

All names are inside the function: names outside it would appear in the user's Python shell. Sources: Remoting/Core/vtkTCPNetworkAccessManager.cxx,
Remoting/ServerManager/vtkSMSessionClient.cxx, Wrapping/Python/paraview/servermanager.py, and the behaviour of 5.11, 5.13 and 6.1.
"""


def _connect_at_start(url, connect_id):
    """Connects to url (str), ``cs://HOST:PORT`` or ``csrc://HOST:PORT``, with a connect_id (int, 0 for none)."""
    import os
    import sys
    import time

    INTERVAL = 100  # milliseconds between two checks
    GREETING = 1.5  # seconds; ParaView's Welcome window opens one second after the main window

    def note(state, more=""):
        # The process that started ParaView reads its standard error.
        os.write(2, "paraview-connect: {0} {1}\n".format(state, more.replace("\n", " ")).rstrip(" ").encode("utf-8", "replace"))

    def failed(state, why):
        note(state, why)
        # ParaView shows this to the user in its Output Messages.
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
        # Otherwise a server that the user chooses later in this window would be opened with this id.
        os.environ.pop("PV_CONNECT_ID", None)

        def with_messages(act):
            """tuple: the result of act(), and ParaView's errors and warnings during the call (list of str)."""
            messages = []

            def on_message(_network, _event, text):
                messages.append(" ".join(text.split("): ", 1)[-1].replace("*", "").split()))
                if reverse:  # the caller was not pvserver; otherwise ParaView would block its window until the next connection
                    network.AbortPendingConnection()

            on_message.CallDataType = "string0"
            observers = [network.AddObserver(event, on_message) for event in ("ErrorEvent", "WarningEvent")]
            try:
                return act(), messages
            finally:
                for observer in observers:
                    network.RemoveObserver(observer)

        def listen():
            """bool: whether ParaView listens from now on."""
            address = "tcp://localhost:{0}?listen=true&multiple=true&nonblocking=true".format(url.rsplit(":", 1)[1])
            messages = with_messages(lambda: network.NewConnection(address))[1]
            note(*(("refused", "ParaView cannot listen on port {0}: {1}".format(url.rsplit(":", 1)[1], "; ".join(messages))) if messages else ("listening",)))
            return not messages

        def connect():
            """bool: whether the attempt is complete; False if a process other than pvserver has connected."""
            before = options.GetConnectID()
            options.SetConnectID(connect_id)
            session = vtkSMSessionClient()
            try:
                connected, messages = with_messages(lambda: session.Connect(url))
            finally:
                options.SetConnectID(before)
            if connected:
                adopt(session)
                note("connected")
            elif reverse:
                note("stranger", "; ".join(messages))
                return not listen()
            else:
                reason = "it has another connect-id" if network.GetWrongConnectID() else "it does not answer"
                failed("refused", "pvserver at {0}: {1}".format(url, "; ".join(messages) or reason))
            return True

        def adopt(session):
            """Replaces the session that ParaView started with."""
            simple.Disconnect()
            connection = servermanager.GetConnectionFromId(processes.RegisterSession(session))
            servermanager.SetActiveConnection(connection)
            servermanager.ParaViewPipelineController().InitializeSession(connection.Session)
            # Up to 5.12 the functions of simple are created for each connection.
            getattr(simple, "_add_functions", lambda _names: None)(vars(simple))

        def as_soon_as(ready):
            """Connects once ready() is true; until then the window stays usable."""
            view = simple.GetActiveView()
            interactor = view.GetInteractor() if hasattr(view, "GetInteractor") else None
            if interactor is None:  # by the user's settings, ParaView may start without a view, or with a table
                interactor = simple.CreateView("RenderView").GetInteractor()

            def check():
                # Other timers of this view also call this, even while ParaView connects.
                if not due or time.monotonic() < due[0]:
                    return
                due[0] = float("inf")
                if ready() and connect():
                    due.clear()
                else:
                    due[0] = time.monotonic() + INTERVAL / 2000.0
                    interactor.CreateOneShotTimer(INTERVAL)

            due = [0]
            # The observer is never removed: it keeps the interactor alive, although connect() removes its view during a call of check().
            interactor.AddObserver("TimerEvent", guarded("refused", check))
            interactor.CreateOneShotTimer(INTERVAL)

        def greeted():
            """bool: whether ParaView's Welcome window would be open by now. If it opened while ParaView connects, it would block ParaView until closed."""
            checks.append(time.monotonic())
            return checks[-1] > checks[0] + GREETING

        checks = []
        note("begun")
        if not reverse:
            as_soon_as(greeted)
        elif listen():
            as_soon_as(lambda: greeted() and network.GetNetworkEventsAvailable())

    guarded("unable", begin)()
