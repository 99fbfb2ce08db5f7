from __future__ import annotations

from pathlib import Path

import pytest

from feature_repo.sources import SOURCES, SourceError, open_source


def test_every_source_has_the_name_it_is_opened_by(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text("InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n")
    (tmp_path / "topic=clicks").mkdir()
    paths = {"shop": None, "archive": tmp_path}
    for name in SOURCES:
        assert open_source(name, paths.get(name, log)).name == name


def test_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(
        SourceError, match=r"unknown source 'shopp': expected one of archive, csv, online-retail, parquet"
    ):
        open_source("shopp")


def test_source_of_a_file_demands_its_path() -> None:
    with pytest.raises(SourceError, match="no path was given"):
        open_source("online-retail")


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"nothing\.csv: there is no such file"):
        open_source("online-retail", tmp_path / "nothing.csv")


def test_folder_is_no_log(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="not a readable file"):
        open_source("online-retail", tmp_path)


def test_simulated_shop_takes_no_path(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="leave the path out"):
        open_source("shop", tmp_path)


def test_unknown_option_is_named() -> None:
    with pytest.raises(SourceError, match=r"\['colour'\].*unexpected keyword argument 'colour'"):
        open_source("shop", colour="red")
