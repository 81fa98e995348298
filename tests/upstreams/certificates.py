"""A certificate authority of the test's own, a server's and a client's certificate."""

import harness


class Certificates:
    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(parents=True)
        harness.need("openssl")
        self.openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
            "-subj", "/CN=the test's authority", "-keyout", "ca.key", "-out", "ca.pem",
        )
        self.issue("server", "subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth\n")
        self.issue("client", "extendedKeyUsage=clientAuth\n")

    def files(self, name):
        """A file of the kind that a config calls so."""
        kind = {"collector.pem": "server.pem", "collector.key": "server.key"}.get(name, name)
        if not (self.folder / kind).exists():
            (self.folder / kind).write_text("long-enough-for-a-secret-of-a-test\n")
        return self.folder / kind

    def openssl(self, *arguments):
        harness.run(["openssl", *arguments], "openssl", cwd=self.folder)

    def issue(self, name, extensions):
        (self.folder / f"{name}.ext").write_text(extensions)
        self.openssl(
            "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
            "-keyout", f"{name}.key", "-out", f"{name}.csr",
        )
        self.openssl(
            "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-days", "2", "-extfile", f"{name}.ext", "-out", f"{name}.pem",
        )

    def server_settings(self):
        """What a Go server wants: its own, and who may come."""
        return {
            "cert_file": str(self.folder / "server.pem"), "key_file": str(self.folder / "server.key"),
            "client_ca_file": str(self.folder / "ca.pem"),
        }

    def client_settings(self):
        """What an exporter of ours wants."""
        return "".join(
            f'{key} = "{self.folder / file}"\n'
            for key, file in (("ca_file", "ca.pem"), ("certificate_file", "client.pem"), ("key_file", "client.key"))
        )
