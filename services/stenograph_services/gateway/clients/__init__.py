"""Clients over NATS: what holders of a client's credential ask of the gateway, since no subject could limit it."""
