"""Sessions on real services, whose logs are checked when the test ends."""

from tests.support.running import services, stage

__all__ = ["services", "stage"]
