"""`stenograph demo`: the promise, kept with real parts and real kills. Start at `story`."""
