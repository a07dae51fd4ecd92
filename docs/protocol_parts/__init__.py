"""What docs/generate_protocol.py puts into docs/protocol.md."""
