"""The projector: snapshots and the index of sessions, made from the log and made again whenever they are gone."""

from stenograph_services.projector.rebuilding import Progress, forget, rebuild

__all__ = ["Progress", "forget", "rebuild"]
