# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An ssh server in a thread that follows its policies: it grants, refuses, gives a wrong answer or none."""

import socket
import subprocess
import threading

import paramiko

LOOPBACK = ("127.0.0.1",)


class Sshd(paramiko.ServerInterface):
    """Its policies are attributes, to be set before a client connects.

    forward: called with address and port, returns the addresses to listen on, ``silence``, or the text of a debug message; None refuses.
    direct: called with host and port, returns a paramiko.OPEN_* code, or None for no answer; with OPEN_SUCCEEDED it really connects.
    socket_forward: called with the path, as forward, but True grants. It creates no socket.
    socket_direct: a paramiko.OPEN_* code.
    shell: whether commands are run; a str is the output of every command instead.
    """

    def __init__(self, key):
        self.key = key
        self.version = "SSH-2.0-OpenSSH_9.2p1 for tests"
        self.methods = "publickey,password,keyboard-interactive"
        self.password = None
        self.answers = None
        self.prompts = ()
        self.user_key = None
        self.both = False
        self.forward = lambda address, port: LOOPBACK
        self.direct = lambda host, port: paramiko.OPEN_SUCCEEDED
        self.socket_forward = lambda path: True
        self.socket_direct = paramiko.OPEN_FAILED_CONNECT_FAILED
        self.shell = True
        self.tried = []
        self.requested = []
        self.transport = None
        self.listeners = {}
        self.over = threading.Event()
        self.processes = []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.threads = []
        self._start(self._serve)

    def _start(self, what, *arguments):
        def run():
            try:
                what(*arguments)
            except (OSError, EOFError, ValueError, paramiko.SSHException):
                pass  # the client has disconnected

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        self.threads.append(thread)

    def _serve(self):
        while True:
            connection = self.socket.accept()[0]
            self.transport = paramiko.Transport(connection)
            self.transport.set_log_channel("sshd_of_paramiko")
            self.transport.local_version = self.version
            self.transport.add_server_key(self.key)
            try:
                self.transport.start_server(server=self)
            except (paramiko.SSHException, EOFError):
                continue

    def close(self):
        self.over.set()
        for process in self.processes:
            process.kill()
            process.wait()
        for one in [one for listening in self.listeners.values() for one in listening] + [self.socket]:
            one.shutdown(socket.SHUT_RDWR)
            one.close()
        if self.transport is not None:
            self.transport.close()

    # --- authentication ---

    def get_allowed_auths(self, username):
        return self.methods

    def _accept(self, method, correct):
        self.tried.append(method)
        if correct and self.both and method == "publickey":
            self.methods = "keyboard-interactive"
            return paramiko.AUTH_PARTIALLY_SUCCESSFUL
        return paramiko.AUTH_SUCCESSFUL if correct else paramiko.AUTH_FAILED

    def check_auth_password(self, username, password):
        return self._accept("password", password == self.password)

    def check_auth_publickey(self, username, key):
        return self._accept("publickey", key == self.user_key)

    def check_auth_interactive(self, username, submethods):
        self.tried.append("keyboard-interactive")
        return paramiko.InteractiveQuery("", "", *self.prompts) if self.answers is not None else paramiko.AUTH_FAILED

    def check_auth_interactive_response(self, responses):
        return paramiko.AUTH_SUCCESSFUL if list(responses) == self.answers else paramiko.AUTH_FAILED

    # --- forwards and commands ---

    def _send_debug(self, text):
        message = paramiko.Message()
        message.add_byte(b"\x04")  # SSH_MSG_DEBUG
        message.add_boolean(False)
        message.add_string(text)
        message.add_string("")
        self.transport._send_message(message)

    def _answer(self, decision):
        if decision == "silence":
            self.over.wait()
        if isinstance(decision, str):
            self._send_debug(decision)
            return None
        return decision

    def check_port_forward_request(self, address, port):
        self.requested.append((address, port))
        addresses = self._answer(self.forward(address, port))
        if addresses is None:
            return False
        sockets = []
        for one in addresses:
            sockets.append(socket.create_server((one, port), family=socket.AF_INET6 if ":" in one else socket.AF_INET))
            port = sockets[0].getsockname()[1]
        self.listeners[address, port] = sockets
        for one in sockets:
            self._start(self._forward_connections, one, address, port)
        return port

    def _forward_connections(self, listener, address, port):
        while True:
            connection, origin = listener.accept()
            try:
                channel = self.transport.open_forwarded_tcpip_channel(origin[:2], (address, port))
            except paramiko.SSHException:
                connection.close()
                continue
            self._pump(connection, channel)

    def _pump(self, one, other):
        for source, sink in ((one, other), (other, one)):
            self._start(self._copy, source, sink)

    @staticmethod
    def _copy(source, sink):
        with source, sink:
            for data in iter(lambda: source.recv(4096), b""):
                sink.sendall(data)

    def cancel_port_forward_request(self, address, port):
        for one in self.listeners.pop((address, port)):
            one.shutdown(socket.SHUT_RDWR)
            one.close()

    def check_channel_direct_tcpip_request(self, chanid, origin, destination):
        code = self.direct(*destination)
        if code is None:
            self.over.wait()
        if code != paramiko.OPEN_SUCCEEDED:
            return code
        try:
            dialled = socket.create_connection(destination, 5)
        except OSError:
            return paramiko.OPEN_FAILED_CONNECT_FAILED
        self._start(self._connect, chanid, dialled)
        return code

    def _connect(self, chanid, dialled):
        while True:
            channel = self.transport.accept(5)
            if channel is None or channel.get_id() == chanid:
                break
        if channel is not None:
            self._pump(dialled, channel)

    def check_global_request(self, kind, msg):
        if kind == "streamlocal-forward@openssh.com":
            return bool(self._answer(self.socket_forward(msg.get_text())))
        return kind == "cancel-streamlocal-forward@openssh.com"

    def check_channel_request(self, kind, chanid):
        if kind == "session":
            return paramiko.OPEN_SUCCEEDED if self.shell else paramiko.OPEN_FAILED_CONNECT_FAILED
        return self.socket_direct if kind.startswith("direct-streamlocal") else paramiko.OPEN_FAILED_UNKNOWN_CHANNEL_TYPE

    def check_channel_exec_request(self, channel, command):
        if isinstance(self.shell, str):
            self._start(self._print, channel, self.shell.replace("COMMAND", command.decode()).encode())
            return True
        process = subprocess.Popen(["/bin/sh", "-c", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.processes.append(process)
        self._start(self._feed, channel, process)
        self._start(self._copy_out, process, channel)
        return True

    @staticmethod
    def _print(channel, text):
        with channel:
            channel.sendall(text)

    @staticmethod
    def _feed(channel, process):
        with process.stdin:
            for data in iter(lambda: channel.recv(4096), b""):
                process.stdin.write(data)
                process.stdin.flush()

    @staticmethod
    def _copy_out(process, channel):
        with process.stdout, channel:
            for data in iter(lambda: process.stdout.read1(65536), b""):
                channel.sendall(data)
