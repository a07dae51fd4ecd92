"""`python -m stenograph_services.cli …`, the same as `stenograph …`."""

from stenograph_services.cli.app import main

main(prog_name="stenograph")
