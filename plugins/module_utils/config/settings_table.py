# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings: names, types, defaults and bounds. This file is generated: `make generate` writes it from meta/settings.yml."""

import typing as t

#: In the form of Ansible's argument specs.
SPEC: t.Dict[str, t.Dict[str, t.Any]] = {
    "client_host": {"type": "str", "default": ""},
    "client_port": {"type": "int", "default": 0},
    "reconnect_port": {"type": "int", "default": 0},
    "client_process": {"type": "int", "default": 0},
    "client_program": {"type": "str", "default": ""},
    "client_version": {"type": "str", "default": ""},
    "login_ports": {"type": "str", "default": ""},
    "server_ports": {"type": "str", "default": ""},
    "route": {"type": "str", "choices": ["auto", "node_tunnel", "node_tunnel_reverse", "forward_tunnel", "reverse_tunnel", "reverse_tunnel_relay",
              "reverse_relay_unencrypted", "reverse_unencrypted", "forward_unencrypted"], "default": "auto"},
    "route_order": {"type": "list", "elements": "str", "choices": ["node_tunnel", "node_tunnel_reverse", "forward_tunnel", "reverse_tunnel",
                    "reverse_tunnel_relay"], "default": ["node_tunnel", "node_tunnel_reverse", "forward_tunnel", "reverse_tunnel", "reverse_tunnel_relay"]},
    "user_relay": {"type": "bool", "default": False},
    "reconnect": {"type": "bool", "default": True},
    "reconnect_timeout": {"type": "raw", "default": "1h"},
    "scheduler": {"type": "str", "default": "auto"},
    "schedulers": {"type": "dict", "default": {}},
    "scheduler_json": {"type": "bool", "default": True},
    "slurm_cluster": {"type": "str", "default": ""},
    "nodes_on_demand": {"type": "bool", "default": False},
    "job_id": {"type": "str", "default": ""},
    "nodes": {"type": "int", "default": 1},
    "tasks_per_node": {"type": "int", "default": 1},
    "cpus_per_task": {"type": "int", "default": 0},
    "gpus_per_node": {"type": "int", "default": 0},
    "memory": {"type": "str", "default": ""},
    "walltime": {"type": "raw", "default": "1:00:00"},
    "queue": {"type": "str", "default": ""},
    "account": {"type": "str", "default": ""},
    "qos": {"type": "str", "default": ""},
    "reservation": {"type": "str", "default": ""},
    "constraint": {"type": "str", "default": ""},
    "exclusive": {"type": "bool", "default": False},
    "parallel_environment": {"type": "str", "default": ""},
    "directives": {"type": "list", "elements": "str", "default": []},
    "remote_dir": {"type": "str", "default": ""},
    "modules": {"type": "list", "elements": "str", "default": []},
    "setup": {"type": "str", "default": ""},
    "mpi_launcher": {"type": "raw", "default": ""},
    "pvserver": {"type": "raw", "default": "pvserver"},
    "rendering": {"type": "str", "choices": ["auto", "glx", "egl", "osmesa", "xvfb"], "default": "auto"},
    "queue_timeout": {"type": "raw", "default": "24h"},
    "client_timeout": {"type": "raw", "default": "20m"},
    "detach": {"type": "bool", "default": False},
    "connect_id": {"type": "raw", "default": "random"},
    "start_client": {"type": "raw", "default": False},
    "notify": {"type": "raw", "default": False},
    "json": {"type": "str", "default": ""},
}
#: Further options of the action doctor.
DOCTOR = {
    "job": {"type": "bool", "default": False},
    "html": {"type": "str", "default": ""},
    "blank": {"type": "bool", "default": False},
}
#: Minimum and maximum (None: no limit) of a number, and the reason why another one is not valid.
NUMBERS = {
    "client_port": (0, 65535, "a port is a number from 1 to 65535; with 0 a free port is used"),
    "reconnect_port": (0, 65535, "a port is a number from 1 to 65535; with 0 a free port is used"),
    "client_process": (0, None, "it is the process id of a process on this machine; 0 means none"),
    "nodes": (1, None, "it has to be at least 1"),
    "tasks_per_node": (1, None, "it has to be at least 1"),
    "cpus_per_task": (0, None, "it has to be at least 0"),
    "gpus_per_node": (0, None, "it has to be at least 0"),
}
#: Pattern of a whole value that is not empty, and the reason why another one is not valid.
PATTERNS = {
    "client_version": (r"[0-9]{1,3}\.[0-9]{1,3}(?:\.[0-9A-Za-z.+-]{1,40})?", "a version of ParaView is like 5.11.0"),
    "slurm_cluster": (r"(?!all\Z)[A-Za-z0-9_][A-Za-z0-9_.-]*", "it is the name of one cluster"),
    "job_id": (r"[A-Za-z0-9\u0192][A-Za-z0-9_.\u0192\[\]+-]*(?:;[A-Za-z0-9_.-]+)?", "it is the id of one job, such as 4711, 4711_2 or 4711;cluster"),
    "memory": (r"[0-9]+(?:\.[0-9]+)?[KMGT]?B?", "write it as 4G or 500M"),
    "queue": (r"[A-Za-z0-9_.,@:+-]+", "it may hold letters, digits and . , _ @ : + - only"),
    "account": (r"[A-Za-z0-9_.,@:+-]+", "it may hold letters, digits and . , _ @ : + - only"),
    "qos": (r"[A-Za-z0-9_.,@:+-]+", "it may hold letters, digits and . , _ @ : + - only"),
    "reservation": (r"[A-Za-z0-9_.,@:+-]+", "it may hold letters, digits and . , _ @ : + - only"),
    "constraint": (r"[A-Za-z0-9_.,@:+=&|*()!<>/\[\]-]+", "it may hold letters, digits and . , _ @ : + - = & | * ( ) [ ] ! < > / only"),
    "parallel_environment": (r"[A-Za-z0-9_.,@:+-]+", "it may hold letters, digits and . , _ @ : + - only"),
}
#: The reader in settings.py that converts a value to its final form.
FORMS = {
    "client_program": "program",
    "login_ports": "ports",
    "server_ports": "ports",
    "reconnect_timeout": "duration",
    "walltime": "duration",
    "remote_dir": "directory",
    "modules": "modules",
    "mpi_launcher": "launcher",
    "pvserver": "command",
    "queue_timeout": "duration",
    "client_timeout": "duration",
    "connect_id": "connect_id",
    "start_client": "bool_or_command",
    "notify": "bool_or_command",
}
