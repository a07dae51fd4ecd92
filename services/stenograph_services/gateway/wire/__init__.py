"""What goes to clients: the events of a stream, the parts of messages, and the versions in which they read them."""
