"""The shop and the operator's page: plain HTML, CSS and ES modules, served as they are by the read API."""
