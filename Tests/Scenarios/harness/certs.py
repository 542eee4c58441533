"""Development certificates, as scripts/make-certs makes them."""

import pathlib
import ssl
import subprocess

REPOSITORY = pathlib.Path(__file__).resolve().parents[3]


class Certificates:
    """The files in one directory; certs/README.md tells what each is."""

    def __init__(self, directory: pathlib.Path):
        self.directory = pathlib.Path(directory)
        self.ca = self.directory / "ca.pem"
        self.chain = self.directory / "chain.pem"
        self.key = self.directory / "key.pem"
        self.rsa_chain = self.directory / "rsa-chain.pem"
        self.rsa_key = self.directory / "rsa-key.pem"

    @classmethod
    def make(cls, directory: pathlib.Path, *names: str) -> "Certificates":
        """Makes what is missing in `directory`, for loopback and the names given."""
        command = [REPOSITORY / "scripts" / "make-certs", "--dir", directory, *names]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return cls(directory)

    def client_context(self) -> ssl.SSLContext:
        """For clients that trust our root and nothing else."""
        return ssl.create_default_context(cafile=self.ca)
