"""What a turn costs, next to what it costs by hand on bare NATS. Start at `workloads`; run with `python -m bench`."""
