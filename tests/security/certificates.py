"""Certificates of a CA of our own, for servers on this machine.

made = Certificates(directory)
made.tls          # tls { cert_file: "…", key_file: "…" }
made.ca           # the file that clients trust
"""

from pathlib import Path

import trustme


class Certificates:
    """A CA, and a certificate of it for 127.0.0.1 and `names`."""

    def __init__(self, directory: Path, *names: str) -> None:
        authority = trustme.CA()
        issued = authority.issue_cert("127.0.0.1", *names)
        self.ca, certificate, key = (directory / name for name in ("ca.pem", "server.pem", "server.key"))
        authority.cert_pem.write_to_path(self.ca)
        issued.private_key_pem.write_to_path(key)
        for number, part in enumerate(issued.cert_chain_pems):
            part.write_to_path(certificate, append=number > 0)
        self.tls = f'tls {{ cert_file: "{certificate}", key_file: "{key}" }}'
