"""The local launcher: real Kafka and Cassandra from locked packages, without Docker or an installed Java."""

from __future__ import annotations

from deploy.local.addresses import Addresses
from deploy.local.errors import LauncherError
from deploy.local.launcher import Launcher, default_home
from deploy.local.status import ServerStatus, Status

__all__ = ["Addresses", "Launcher", "LauncherError", "ServerStatus", "Status", "default_home"]
