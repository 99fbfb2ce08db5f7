"""UCI Online Retail: the invoices of a UK gift shop become purchases and returns; docs/sources.md states every rule."""

from feature_repo.sources.online_retail.log import OnlineRetail

__all__ = ["OnlineRetail"]
