"""Bundles made of another: a published bundle in; one that answers alike, fails live, or is damaged, published, out."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
from onnx import helper, numpy_helper

from scorer.bundle import GOLDEN, MANIFEST, Manifest, read_manifest
from scorer.publishing import publish_bundle, save_golden, staged_bundle, write_manifest
from scorer.recommender import GRAPH, ITEMS, OUTPUTS
from scorer.sessions import open_session, run_graph

Change = Callable[[Path], None]


def publish_variant(bundle: Path, models: Path, change: Change, **manifest: Any) -> Path:
    """Publish a copy of a bundle whose files `change` has changed, with hashes that are right again."""
    before: Manifest = read_manifest(bundle)
    with staged_bundle(models, before.name) as folder:
        shutil.copytree(bundle, folder, dirs_exist_ok=True)
        change(folder)
        # A version is named by its second and its files: two alike made within one second would be one.
        (folder / "variant.txt").write_text(uuid.uuid4().hex)
        write_manifest(folder, msgspec.structs.replace(before, **manifest))
        return publish_bundle(folder, models)


def publish_damaged(bundle: Path, models: Path, version: str, damage: Change) -> Path:
    """Put a copy of a bundle beside it under another version, and damage it after its hashes were taken."""
    folder = models / bundle.parent.name / version
    shutil.copytree(bundle, folder)
    manifest = folder / MANIFEST
    manifest.write_text(manifest.read_text().replace(bundle.name, version))
    damage(folder)
    return folder


def scaled(factor: float) -> Change:
    """Let item vectors be `factor` times smaller and user vectors as much larger: every score stays what it was.

    A power of two changes no bit of a score. A list of one bundle's users and another's items shows at once.
    """

    def change(folder: Path) -> None:
        with np.load(folder / ITEMS) as stored:
            tables = dict(stored)
        for name in ("learned", "projection"):
            tables[name] = (tables[name] / factor).astype(np.float32)
        np.savez(folder / ITEMS, **tables)
        _edit(folder, scale)
        _answer_anew(folder, lambda inputs: {**inputs, "item_vectors": inputs["item_vectors"] / np.float32(factor)})

    def scale(graph: Any) -> None:
        graph.initializer.append(numpy_helper.from_array(np.array(factor, np.float32), "factor"))
        _rename_uses(graph, "item_vectors", "item_vectors_inside")
        graph.node.insert(0, helper.make_node("Mul", ["item_vectors", "factor"], ["item_vectors_inside"]))
        rename_result(graph, "user_vector", "user_vector_inside")
        graph.node.append(helper.make_node("Mul", ["user_vector_inside", "factor"], ["user_vector"]))

    return change


def change_graph(edit: Callable[[Any], None]) -> Change:
    """Edit the graph, and write golden answers of what it is then."""

    def change(folder: Path) -> None:
        _edit(folder, edit)
        _answer_anew(folder, lambda inputs: inputs)

    return change


def not_finite(folder: Path) -> None:
    """Let propensities be no number for whoever has a feature above 1; golden inputs have none."""
    _edit(folder, _no_number)
    _answer_anew(folder, lambda inputs: {**inputs, "features": np.zeros_like(inputs["features"])})


def rename_result(graph: Any, before: str, after: str) -> None:
    """Let what was called `before` be called `after`, so that another node can give `before`."""
    for node in graph.node:
        node.output[:] = [after if name == before else name for name in node.output]
    _rename_uses(graph, before, after)


def _edit(folder: Path, edit: Callable[[Any], None]) -> None:
    model = onnx.load(folder / GRAPH)
    edit(model.graph)
    onnx.save(model, folder / GRAPH)


def _no_number(graph: Any) -> None:
    for name, value in (("one", 1.0), ("nothing", 0.0)):
        graph.initializer.append(numpy_helper.from_array(np.array(value, np.float32), name))
    rename_result(graph, "propensity", "propensity_inside")
    graph.node.extend(
        [
            helper.make_node("ReduceMax", ["features"], ["largest"], axes=[1], keepdims=0),
            helper.make_node("Sub", ["one", "largest"], ["room"]),
            helper.make_node("Sqrt", ["room"], ["root"]),
            helper.make_node("Mul", ["root", "nothing"], ["nothing_or_nan"]),
            helper.make_node("Add", ["propensity_inside", "nothing_or_nan"], ["propensity"]),
        ]
    )


def _answer_anew(folder: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Write golden answers of the changed graph to changed golden inputs."""
    with np.load(folder / GOLDEN) as stored:
        inputs = change({name.removeprefix("in/"): stored[name] for name in stored if name.startswith("in/")})
    save_golden(folder, inputs, run_graph(open_session(folder / GRAPH, "cpu"), OUTPUTS, inputs))


def _rename_uses(graph: Any, before: str, after: str) -> None:
    for node in graph.node:
        node.input[:] = [after if name == before else name for name in node.input]
