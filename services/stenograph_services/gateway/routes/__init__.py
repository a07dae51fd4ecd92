"""The routes of the HTTP interface: from a request to whoever answers it."""
