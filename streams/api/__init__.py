"""The storefront's read API and the collector of its events: HTTP in; lists, profiles and Kafka records out."""
