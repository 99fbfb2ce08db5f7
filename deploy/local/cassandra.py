"""Cassandra as one local node: ports and folders come in, a command line goes out."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from deploy.local.java import COMMON_OPTIONS, write_arguments
from deploy.local.ports import HOST
from deploy.local.server import NotReady, Places

VERSION = "5.0.6"
REQUEST_TIMEOUT_S = 5.0

# What Cassandra reaches into on Java 17: the list of its own conf/jvm17-server.options.
EXPORTS = (
    "java.base/jdk.internal.misc",
    "java.management.rmi/com.sun.jmx.remote.internal.rmi",
    "java.rmi/sun.rmi.registry",
    "java.rmi/sun.rmi.server",
    "java.sql/java.sql",
    "java.base/java.lang.ref",
    "jdk.unsupported/sun.misc",
    "jdk.attach/sun.tools.attach",
)
OPENS = (
    "java.base/java.lang.module",
    "java.base/jdk.internal.loader",
    "java.base/jdk.internal.ref",
    "java.base/jdk.internal.reflect",
    "java.base/jdk.internal.math",
    "java.base/jdk.internal.module",
    "java.base/jdk.internal.util.jar",
    "jdk.management/com.sun.management.internal",
    "java.base/sun.nio.ch",
    "java.base/java.io",
    "java.base/java.lang.reflect",
    "java.base/java.lang",
    "java.base/java.util",
)

PROPERTIES: Mapping[str, str] = {
    "java.security.manager": "allow",
    "jdk.attach.allowAttachSelf": "true",
    "io.netty.tryReflectionSetAccessible": "true",
    "cassandra-foreground": "yes",
    # One node waits for nobody: 8.8 s to the first answer, 40 s without these.
    "cassandra.ring_delay_ms": "100",
    "cassandra.skip_wait_for_gossip_to_settle": "0",
    "cassandra.superuser_setup_delay_ms": "0",
    "cassandra.shutdown_announce_in_ms": "0",
}

# Everything but addresses and folders; deploy/compose.yaml states the same, and a test compares them.
SETTINGS: Mapping[str, object] = {
    "cluster_name": "lastclick",
    "num_tokens": 1,
    "partitioner": "org.apache.cassandra.dht.Murmur3Partitioner",
    "endpoint_snitch": "SimpleSnitch",
    "hinted_handoff_enabled": False,
    "auto_snapshot": False,
    # What was acknowledged less than a sync period before a kill -9 is not there after it, and the workers write it
    # again (docs/decisions/0009): three times fewer processor seconds a write than with `batch`.
    "commitlog_sync": "periodic",
    "commitlog_sync_period": "200ms",
    "commitlog_segment_size": "32MiB",
    "commitlog_total_space": "512MiB",
    "memtable_heap_space": "128MiB",
    "memtable_offheap_space": "128MiB",
    "memtable_allocation_type": "offheap_objects",
    "key_cache_size": "16MiB",
    "file_cache_size": "64MiB",
    "networking_cache_size": "16MiB",
    "concurrent_reads": 16,
    "concurrent_writes": 32,
    "concurrent_compactors": 1,
    # New data only: no format of an older Cassandra is ever read.
    "storage_compatibility_mode": "NONE",
    # Packed rows are some kilobytes each; a batch of a hundred is usual.
    "batch_size_warn_threshold": "512KiB",
    "batch_size_fail_threshold": "4096KiB",
    # Two busy cores: a slow answer beats a failed one.
    "read_request_timeout": "10s",
    "write_request_timeout": "10s",
    "range_request_timeout": "20s",
    "request_timeout": "20s",
}


class Cassandra:
    """The node of one home."""

    name = "cassandra"
    title = "Cassandra"
    version = VERSION
    variable = "LASTCLICK_CASSANDRA"
    usual_ports: Mapping[str, int] = {"clients": 9042, "storage": 7000}
    # Idle request threads look for work every 10 us for a while (SEPWorker), which takes more of a core than requests
    # do: 1.3 ms of processor a lone request, 0.5 with this. Each takes up to half a millisecond longer for it.
    timer_slack_us = 500

    def prepare(self, places: Places, ports: Mapping[str, int], class_path: Sequence[Path]) -> list[str]:
        """Write the settings and return the command line."""
        places.config.mkdir(parents=True, exist_ok=True)
        places.data.mkdir(parents=True, exist_ok=True)
        settings_file = places.config / "cassandra.yaml"
        settings_file.write_text(render_settings(places.data, ports), encoding="utf-8")
        logging_file = places.config / "logback.xml"
        logging_file.write_text(render_logging(places.log), encoding="utf-8")
        properties = {
            **PROPERTIES,
            "cassandra.config": settings_file.as_uri(),
            "cassandra.storagedir": str(places.data),
            "cassandra.logdir": str(places.log.parent),
            "logback.configurationFile": str(logging_file),
        }
        arguments = [
            *COMMON_OPTIONS,
            "-Xms512m",
            "-Xmx512m",
            "-XX:MaxDirectMemorySize=512m",
            *(f"--add-exports={module}=ALL-UNNAMED" for module in EXPORTS),
            *(f"--add-opens={module}=ALL-UNNAMED" for module in OPENS),
            *(f"-D{key}={value}" for key, value in properties.items()),
            "-cp",
            os.pathsep.join(map(str, class_path)),
            "org.apache.cassandra.service.CassandraDaemon",
        ]
        return write_arguments(places.arguments, arguments)

    def ask(self, host: str, port: int) -> None:
        """Select the node's own version over CQL."""
        # Imported here: `lastclick --help` need not wait for it.
        from cassandra import DriverException
        from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, NoHostAvailable
        from cassandra.policies import WhiteListRoundRobinPolicy

        driver_log = logging.getLogger("cassandra")
        level = driver_log.level
        driver_log.setLevel(logging.CRITICAL)  # A server that is still starting is no news.
        profile = ExecutionProfile(
            load_balancing_policy=WhiteListRoundRobinPolicy([host]), request_timeout=REQUEST_TIMEOUT_S
        )
        cluster = Cluster(
            [host],
            port=port,
            protocol_version=5,
            execution_profiles={EXEC_PROFILE_DEFAULT: profile},
            connect_timeout=REQUEST_TIMEOUT_S,
        )
        try:
            cluster.connect().execute("SELECT release_version FROM system.local")
        except (NoHostAvailable, DriverException, OSError) as error:
            raise NotReady(f"{type(error).__name__}: {error}") from error
        finally:
            cluster.shutdown()
            driver_log.setLevel(level)


def render_settings(data: Path, ports: Mapping[str, int]) -> str:
    """Text of `cassandra.yaml`; every address is the loopback one."""
    addresses: dict[str, object] = {
        "listen_address": HOST,
        "rpc_address": HOST,
        "native_transport_port": ports["clients"],
        "storage_port": ports["storage"],
        "seed_provider": [
            {
                "class_name": "org.apache.cassandra.locator.SimpleSeedProvider",
                "parameters": [{"seeds": f"{HOST}:{ports['storage']}"}],
            }
        ],
        "data_file_directories": [str(data / "data")],
        "commitlog_directory": str(data / "commitlog"),
        "saved_caches_directory": str(data / "saved_caches"),
        "hints_directory": str(data / "hints"),
    }
    # JSON is YAML, and needs no YAML library.
    return json.dumps({**SETTINGS, **addresses}, indent=2) + "\n"


def render_logging(log: Path) -> str:
    """Text of `logback.xml`: warnings and errors into a file rolled at 5 MB, three old ones kept."""
    name = escape(str(log))
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<configuration scan="false">
  <appender name="file" class="ch.qos.logback.core.rolling.RollingFileAppender">
    <file>{name}</file>
    <rollingPolicy class="ch.qos.logback.core.rolling.FixedWindowRollingPolicy">
      <fileNamePattern>{name}.%i</fileNamePattern>
      <minIndex>1</minIndex>
      <maxIndex>3</maxIndex>
    </rollingPolicy>
    <triggeringPolicy class="ch.qos.logback.core.rolling.SizeBasedTriggeringPolicy">
      <maxFileSize>5MB</maxFileSize>
    </triggeringPolicy>
    <encoder><pattern>%date{{ISO8601}} %-5level %logger{{0}} [%thread] %msg%n</pattern></encoder>
  </appender>
  <root level="WARN"><appender-ref ref="file"/></root>
</configuration>
"""
