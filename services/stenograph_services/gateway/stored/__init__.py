"""What clients read of sessions, their logs and agents, and how they change them."""
