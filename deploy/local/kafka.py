"""Kafka as one process, broker and controller (KRaft): ports and folders come in, a command line goes out."""

from __future__ import annotations

import base64
import logging
import os
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from deploy.local.errors import LauncherError
from deploy.local.java import COMMON_OPTIONS, java_executable, write_arguments
from deploy.local.ports import HOST
from deploy.local.server import NotReady, Places

VERSION = "4.1.1"
MEBIBYTE = 1024 * 1024
MESSAGE_MAX_BYTES = 16 * MEBIBYTE
REQUEST_TIMEOUT_MS = 5_000

# Everything but addresses and folders; deploy/compose.yaml states the same, and a test compares them.
SETTINGS: Mapping[str, str] = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    # One node: each internal topic has one copy, and few partitions, since one start loads them all.
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    "default.replication.factor": "1",
    "min.insync.replicas": "1",
    # A group starts with its first member; a topic exists because someone created it, with its own settings.
    "group.initial.rebalance.delay.ms": "0",
    "auto.create.topics.enable": "false",
    # Big bad values must arrive to become dead letters.
    "message.max.bytes": str(MESSAGE_MAX_BYTES),
    "replica.fetch.max.bytes": str(MESSAGE_MAX_BYTES),
    "socket.request.max.bytes": str(100 * MEBIBYTE),
    # Two cores and a heap of 384 MB: the cleaner's default buffer alone would take 128 MB of it.
    "num.network.threads": "2",
    "num.io.threads": "4",
    "log.cleaner.dedupe.buffer.size": str(32 * MEBIBYTE),
}


class Kafka:
    """The broker of one home."""

    name = "kafka"
    title = "Kafka"
    version = VERSION
    variable = "LASTCLICK_KAFKA"
    usual_ports: Mapping[str, int] = {"clients": 9092, "controller": 9093}
    timer_slack_us = None

    def __init__(self, advertised_port: int | None = None) -> None:
        """Tell clients to come to ``advertised_port``, such as a proxy's, instead of the broker's own port."""
        self._advertised_port = advertised_port

    def prepare(self, places: Places, ports: Mapping[str, int], class_path: Sequence[Path]) -> list[str]:
        """Write the settings, format the data folder once, and return the command line."""
        places.config.mkdir(parents=True, exist_ok=True)
        places.data.mkdir(parents=True, exist_ok=True)
        properties = places.config / "server.properties"
        properties.write_text(render_properties(places.data, ports, self._advertised_port), encoding="utf-8")
        logging_file = places.config / "log4j2.xml"
        logging_file.write_text(render_logging(places.log), encoding="utf-8")
        options = [
            *COMMON_OPTIONS,
            "-Xms128m",
            "-Xmx384m",
            f"-Dlog4j2.configurationFile={logging_file.as_uri()}",
            "-cp",
            os.pathsep.join(map(str, class_path)),
        ]
        if not (places.data / "meta.properties").is_file():
            _format(places.config / "format.args", options, properties)
        return write_arguments(places.arguments, [*options, "kafka.Kafka", str(properties)])

    def ask(self, host: str, port: int) -> None:
        """Ask for the cluster's metadata; a broker that serves names itself in it."""
        # Imported here: `lastclick --help` need not wait for it.
        from kafka.admin import KafkaAdminClient
        from kafka.errors import KafkaError

        client_log = logging.getLogger("kafka")
        level = client_log.level
        client_log.setLevel(logging.CRITICAL)  # A server that is still starting is no news.
        try:
            client = KafkaAdminClient(
                bootstrap_servers=f"{host}:{port}",
                client_id="lastclick-launcher",
                request_timeout_ms=REQUEST_TIMEOUT_MS,
                bootstrap_timeout_ms=REQUEST_TIMEOUT_MS,
            )
            try:
                brokers = client.describe_cluster()["brokers"]
            finally:
                client.close()
        except (KafkaError, OSError) as error:
            raise NotReady(f"{type(error).__name__}: {error}") from error
        finally:
            client_log.setLevel(level)
        if not brokers:
            raise NotReady("it answers, but has not registered itself as a broker yet")


def render_properties(data: Path, ports: Mapping[str, int], advertised_port: int | None = None) -> str:
    """Text of `server.properties`; every listener is on the loopback address, and advertised unless told otherwise."""
    clients, controller = f"{HOST}:{ports['clients']}", f"{HOST}:{ports['controller']}"
    addresses = {
        "listeners": f"PLAINTEXT://{clients},CONTROLLER://{controller}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{advertised_port or ports['clients']}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "controller.quorum.voters": f"1@{controller}",
        "log.dirs": _property_text(str(data)),
    }
    return "".join(f"{key}={value}\n" for key, value in {**SETTINGS, **addresses}.items())


def render_logging(log: Path) -> str:
    """Text of `log4j2.xml`: warnings and errors into a file rolled at 5 MB, three old ones kept."""
    name = escape(str(log), {'"': "&quot;"})
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<Configuration status="ERROR" shutdownHook="disable">
  <Appenders>
    <RollingFile name="file" fileName="{name}" filePattern="{name}.%i">
      <PatternLayout pattern="%d{{ISO8601}} %-5p %c{{1}} [%t] %m%n"/>
      <Policies><SizeBasedTriggeringPolicy size="5MB"/></Policies>
      <DefaultRolloverStrategy max="3"/>
    </RollingFile>
  </Appenders>
  <Loggers>
    <!-- A controller event that took over 2 s on a busy machine is no error of this server. -->
    <Logger name="org.apache.kafka.controller.EventPerformanceMonitor" level="OFF"/>
    <Root level="WARN"><AppenderRef ref="file"/></Root>
  </Loggers>
</Configuration>
"""


def _property_text(text: str) -> str:
    """Escape what a Java properties file, read as Latin-1, would take for something else."""
    escaped = text.replace("\\", "\\\\")
    return "".join(each if each.isascii() else f"\\u{ord(each):04x}" for each in escaped)


def make_cluster_id(random: uuid.UUID) -> str:
    """The 22 characters Kafka makes of a UUID; none that its tool's command line would take for an option."""
    text = base64.urlsafe_b64encode(random.bytes).decode().rstrip("=")
    # One in 64 begins with a dash; Kafka itself draws again then.
    return make_cluster_id(uuid.uuid4()) if text.startswith("-") else text


def _format(arguments: Path, options: Sequence[str], properties: Path) -> None:
    tool = ["format", "--ignore-formatted", "-t", make_cluster_id(uuid.uuid4()), "-c", str(properties)]
    write_arguments(arguments, [*options, "kafka.tools.StorageTool", *tool])
    done = subprocess.run(
        [str(java_executable()), f"@{arguments}"], capture_output=True, text=True, check=False, timeout=120
    )
    if done.returncode != 0:
        raise LauncherError(
            f"Kafka could not format its data folder (exit {done.returncode}):\n{done.stdout}{done.stderr}"
            f"Settings: {properties}; if the folder holds nothing you need, remove it and start again"
        )
