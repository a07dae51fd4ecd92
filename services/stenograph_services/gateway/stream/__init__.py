"""From the events and frames of a turn to the events of its stream. Pure."""
