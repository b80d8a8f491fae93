"""Software on another machine, written by somebody new: the local services over mutual TLS, with a stock gRPC library.

usage: over_tls.py PROTO_DIR BIN_DIR

It trusts the node's local CA, taken once, and shows a key that the configuration names. It must be answered before the node's
certificate is renewed, after it, after the authority's key was rotated, and after a restart; and nobody else may be.
Exit code 1 on any miss.
"""
import hashlib
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid

import grpc
from contract import channel, generate, module, reason

PROTO, BIN = sys.argv[1], pathlib.Path(sys.argv[2]).resolve()
generate(PROTO)
node_pb, node_rpc = module("admin.v1.node_pb2"), module("admin.v1.node_pb2_grpc")
member_pb, member_rpc = module("admin.v1.member_pb2"), module("admin.v1.member_pb2_grpc")
PATIENCE = 180
failed = 0


def check(what, holds, seen=""):
    global failed
    print(f"  {what}" if holds else f"  FAILED {what}: {seen}")
    failed += not holds


def openssl(*arguments, given=None):
    return subprocess.run(["openssl", *arguments], check=True, capture_output=True, input=given).stdout


def client(root, name):
    """Key and certificate of a client, as the guide makes them, and the SHA-256 of its public key."""
    key, certificate = root / f"{name}.key", root / f"{name}.crt"
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "365",
            "-subj", f"/CN={name}", "-keyout", str(key), "-out", str(certificate))
    public = openssl("x509", "-in", str(certificate), "-pubkey", "-noout")
    spki = openssl("pkey", "-pubin", "-outform", "DER", given=public)
    return key.read_bytes(), certificate.read_bytes(), hashlib.sha256(spki).hexdigest()


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


class Node:
    def __init__(self, root, known):
        self.root, self.process = root, None
        self.listen, self.local = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
        keep = {k: v for k, v in os.environ.items() if not k.startswith(("HAVENLINK_", "OTEL_"))}
        self.env = keep | {
            "HAVENLINK_CONFIG": str(root / "node.toml"),
            "HAVENLINK_DATA_DIR": str(root / "data"),
            "HAVENLINK_RUN_DIR": str(root / "run"),
            "HAVENLINK_HTTP": "off",
            "HAVENLINK_LISTEN": self.listen,
            "HAVENLINK_LOCAL_LISTEN": self.local,
            "HAVENLINK_LOCAL_CLIENTS": f"{known}=operator",
        }
        made = [str(BIN / "havenlink"), "init", "--authority", "fr-strasbourg", "--endpoint", self.listen]
        subprocess.run(made, env=self.env, check=True, capture_output=True)

    def start(self):
        log = open(self.root / "node.log", "ab")
        self.process = subprocess.Popen([str(BIN / "havenlink"), "run"], env=self.env, stdout=log, stderr=log)
        end = time.monotonic() + PATIENCE
        while not (self.root / "run" / "operator.sock").exists():
            if self.process.poll() is not None or time.monotonic() > end:
                sys.exit(f"the node did not start:\n{(self.root / 'node.log').read_text()}")
            time.sleep(0.1)

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=60)


def over_tls(node, ca, key, certificate):
    """What the node says over a new connection: its authority, or the status with which it did not."""
    credentials = grpc.ssl_channel_credentials(ca, key, certificate)
    with grpc.secure_channel(node.local, credentials) as tls:
        try:
            answer = node_rpc.NodeServiceStub(tls).GetStatus(node_pb.GetStatusRequest(), timeout=30, wait_for_ready=False)
            return answer.authority
        except grpc.RpcError as error:
            return f"{error.code().name} {reason(error) or error.details()}"


def patiently(node, ca, key, certificate):
    """The same, again and again until it is answered: a node that has just started may say so."""
    end = time.monotonic() + PATIENCE
    while (said := over_tls(node, ca, key, certificate)) != "fr-strasbourg" and time.monotonic() < end:
        time.sleep(0.5)
    return said


root = pathlib.Path(tempfile.mkdtemp(prefix="havenlink-over-tls-"))
ours, stranger, other = client(root, "desk"), client(root, "stranger"), client(root, "other-ca")
node = Node(root, ours[2])
node.start()
try:
    print("stock Python client over mutual TLS")
    ca = (root / "run" / "local-ca.crt").read_bytes()
    seen = patiently(node, ca, *ours[:2])
    check("it is answered, by name and CA", seen == "fr-strasbourg", seen)
    seen = over_tls(node, ca, *stranger[:2])
    check("a key that the configuration does not name is not", seen.startswith("UNAVAILABLE"), seen)
    seen = over_tls(node, other[1], *ours[:2])
    check("who trusts another CA does not talk to it", seen.startswith("UNAVAILABLE"), seen)

    operator = channel(root / "run", "operator")
    before = (root / "data" / "tls.crt").read_bytes()
    renew = node_pb.RenewCertificateRequest(request_id=str(uuid.uuid4()))
    node_rpc.NodeServiceStub(operator).RenewCertificate(renew, timeout=PATIENCE)
    check("the node's certificate is another one", (root / "data" / "tls.crt").read_bytes() != before)
    seen = over_tls(node, ca, *ours[:2])
    check("it is answered after the renewal, with the CA that it has", seen == "fr-strasbourg", seen)
    rotate = member_pb.RotateKeyRequest(request_id=str(uuid.uuid4()))
    member_rpc.MemberServiceStub(operator).RotateKey(rotate, timeout=PATIENCE)
    seen = over_tls(node, ca, *ours[:2])
    check("and after the authority's key was rotated", seen == "fr-strasbourg", seen)
    node.stop()
    node.start()
    seen = patiently(node, ca, *ours[:2])
    check("and after a restart", seen == "fr-strasbourg", seen)
    check("the CA is the same", (root / "run" / "local-ca.crt").read_bytes() == ca)
finally:
    node.stop()
if failed:
    print(f"{failed} failed; what it left: {root}")
    sys.exit(1)
shutil.rmtree(root)
