"""Real services on the run's server."""

from tests.support.running import services, stage

__all__ = ["services", "stage"]
