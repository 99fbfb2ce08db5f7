"""What the tests of the whole flow share: models trained in seconds, a stocked shop, running workers and clients."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from kafka import KafkaConsumer, OffsetAndMetadata, TopicPartition

from deploy.local.ports import choose_ports
from feature_repo.cassandra_cluster import split_addresses
from feature_repo.events import Item, encode
from feature_repo.sources import Source
from feature_repo.sources.online_retail import OnlineRetail
from feature_repo.sources.shop import Shop
from streams.settings import Settings
from streams.topics import ITEMS, USER_TOPICS, create_topics
from tests.chaos.proxy import Proxy
from tests.integration.api_process import ApiProcess
from tests.integration.clients import RUN, Sender, Storefront, Tail
from tests.integration.running import Fleet, Workers

BUILT_MODELS = "LASTCLICK_TEST_MODELS"
"""Names a folder of bundles to serve, to save the minute of making them while writing tests."""

TRAINED_ON = {"days": 8, "shoppers": 300, "products": 200}
FOLDER = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Send whole logs last: the tests of single lists want a catalogue that holds nothing but their stock."""
    last = ("test_replay.py", "test_crashes.py")
    items.sort(key=lambda item: item.path.parent == FOLDER and item.path.name in last)


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a bundle of each model, made as `lastclick train` makes them, on a small shop."""
    home = tmp_path_factory.mktemp("home")
    built = os.environ.get(BUILT_MODELS)
    if built:
        (home / "models").symlink_to(Path(built).resolve())
    else:
        build_models(home / "models")
    return home


def build_models(models: Path) -> None:
    from training.export import export
    from training.prepare import open_dataset, text_encoder, text_vectors
    from training.sentiment import build as build_sentiment
    from training.settings import Settings as TrainSettings
    from training.targets import find_occasions
    from training.train import train

    def silent(message: str) -> None:
        pass

    build_sentiment(models)
    encoder = text_encoder(models, silent)
    dataset = open_dataset("shop", None, TRAINED_ON, silent)
    trained = train(
        dataset,
        find_occasions(dataset.interactions),
        text_vectors(dataset, encoder),
        until_ms=dataset.last_ms + 1,
        settings=TrainSettings(budget_s=20, epochs=2, threads=1),
        progress=silent,
    )
    export(trained, dataset, models, text_encoder=encoder.weights_sha256, note="for tests")


@pytest.fixture(scope="session")
def settings(servers: Any, home: Path) -> Iterator[Settings]:
    """One group and keyspace for the whole session, apart from whatever else uses the servers."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    settings = Settings(
        kafka=servers.kafka,
        cassandra=servers.cassandra,
        home=home,
        keyspace=name,
        group=name,
        # A busy machine is no reason to take partitions away.
        session_timeout_s=10.0,
        list_size=10,
        category_share=0.4,
        # Low enough for every shopper, so that one event suffices to see a trigger.
        propensity_threshold=0.001,
        propensity_rearm=0.0005,
        device="cpu",
    )
    create_topics(settings)
    _begin_at_the_end(settings)
    yield settings
    cassandra = Storefront(settings.cassandra, settings.keyspace)
    cassandra.rows("DROP KEYSPACE IF EXISTS {keyspace}")
    cassandra.close()


def _begin_at_the_end(settings: Settings) -> None:
    """Let the group leave out what earlier runs have left on the topics, where the servers are older than this run."""
    consumer = KafkaConsumer(bootstrap_servers=settings.kafka, group_id=settings.group, enable_auto_commit=False)
    try:
        partitions = [
            TopicPartition(topic, partition)
            for topic in (*USER_TOPICS, ITEMS)
            for partition in range(settings.partitions)
        ]
        ends = {each: offset for each, offset in consumer.end_offsets(partitions).items() if offset}
        if ends:
            consumer.commit({each: OffsetAndMetadata(offset, "", -1) for each, offset in ends.items()})
    finally:
        consumer.close()


@pytest.fixture(scope="session")
def fleet(settings: Settings) -> Iterator[Fleet]:
    """Workers of these settings: ended before their keyspace goes."""
    fleet = Fleet()
    yield fleet
    fleet.stop()


@pytest.fixture(scope="session")
def sender(settings: Settings) -> Iterator[Sender]:
    sender = Sender(settings.kafka)
    yield sender
    sender.close()


@pytest.fixture(scope="session")
def published(sender: Sender, fleet: Fleet) -> Iterator[list[Source]]:
    """Sources whose items tests publish: at the end of the run they leave the catalogue again."""
    sources: list[Source] = []
    yield sources
    for item_id in {item.item_id for source in sources for item in source.items()}:
        sender.post_item(item_id, None)
    sender.flush()
    fleet.finish()


@pytest.fixture(scope="session")
def stock(sender: Sender, published: list[Source]) -> list[Item]:
    """A catalogue of which the recommender has seen nothing: every item is scored by its text alone."""
    shop = Shop(products=TRAINED_ON["products"], id_prefix=f"{RUN}-")
    published.append(shop)
    items = list(shop.items())
    for item in items:
        sender.send_bytes("items", item.item_id.encode(), encode(item))
    return items


@pytest.fixture(scope="session")
def online_retail(shared_data: Path, published: list[Source]) -> OnlineRetail:
    """The real log, surveyed once."""
    source = OnlineRetail(next((shared_data / "online_retail").glob("*.csv.gz")))
    published.append(source)
    return source


@pytest.fixture
def workers(fleet: Fleet, settings: Settings, stock: list[Item]) -> Workers:
    """Two workers that know the whole stock."""
    workers = fleet.of(settings, 2)
    workers.wait_drained()
    return workers


@pytest.fixture(scope="session")
def proxy(settings: Settings) -> Iterator[Proxy]:
    """What stands between the API and Cassandra."""
    (host,), port = split_addresses([settings.cassandra])
    if host != "127.0.0.1":
        pytest.skip(f"the proxy stands before servers of this machine; Cassandra is at {host}")
    proxy = Proxy(choose_ports({"proxy": 0})["proxy"], port or 0)
    proxy.start()
    yield proxy
    proxy.stop()


@pytest.fixture(scope="session")
def broker(settings: Settings) -> psutil.Process:
    """The broker's process, to be paused."""
    host, _, port = settings.kafka.rpartition(":")
    if host != "127.0.0.1":
        pytest.skip(f"a broker is stopped where it is a process of this machine; it is at {host}")
    found = [
        each.pid for each in psutil.net_connections("tcp") if each.laddr[1] == int(port) and each.status == "LISTEN"
    ]
    return psutil.Process(next(pid for pid in found if pid))


@pytest.fixture(scope="session")
def api(
    settings: Settings, proxy: Proxy, fleet: Fleet, stock: list[Item], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ApiProcess]:
    """One API for all tests of it; it starts while the workers do."""
    log = tmp_path_factory.mktemp("api") / "serve.log"
    # A busy machine is no reason to fall back here.
    process = ApiProcess(settings, log, cassandra=proxy.address, read_deadline_ms=2_000, collect_deadline_ms=2_000)
    try:
        fleet.of(settings, 2)
        process.start()
        yield process
    finally:
        process.stop()


@pytest.fixture(scope="session")
def storefront(settings: Settings) -> Iterator[Storefront]:
    storefront = Storefront(settings.cassandra, settings.keyspace)
    yield storefront
    storefront.close()


@pytest.fixture
def tail(settings: Settings) -> Iterator[Any]:
    """Open tails of output topics: ``tail("scores")``."""
    opened: list[Tail] = []

    def open_tail(topic: str) -> Tail:
        opened.append(Tail(settings.kafka, topic))
        return opened[-1]

    yield open_tail
    for each in opened:
        each.close()
