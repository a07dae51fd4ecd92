"""Accounts: the wall between tenants, as keys and signed claims that nats-server enforces by itself.

An operator's key signs accounts, an account's key signs its users. The platform's account owns JetStream and all
streams; each tenant has an account of its own that sees nothing but what the platform exports to it by name. Only the
command line uses this package: a service runs with a user of the platform's account and holds no key of any account.
"""
