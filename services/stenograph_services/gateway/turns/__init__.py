"""Turns on their way to clients: triggered, followed, told again, continued."""
