"""A city's own software in sixty lines: publishes an alert, or reads what comes in and acknowledges each alert.

usage: first_client.py PROTO_DIR SOCKET_DIR publish AUTHORITY SUMMARY
       first_client.py PROTO_DIR SOCKET_DIR answer

Needs grpcio, grpcio-tools and the folder proto/, whose README.md says what is required. What it publishes is marked as a TEST.
"""
import pathlib
import sys
import tempfile
import uuid

import grpc
from grpc_tools import protoc

proto, sockets, verb, *words = sys.argv[1:]
code = tempfile.TemporaryDirectory()
files = [str(path.relative_to(proto)) for path in pathlib.Path(proto, "havenlink").rglob("*.proto")]
if protoc.main(["", f"-I{proto}", f"--python_out={code.name}", f"--grpc_python_out={code.name}", *files]) != 0:
    sys.exit(f"{proto} does not compile")
sys.path.insert(0, code.name)
from havenlink.local.v1 import inbox_pb2, inbox_pb2_grpc, record_pb2, record_pb2_grpc, sharing_pb2
from havenlink.record.v1 import alert_pb2, handling_pb2

def door(role):
    return grpc.insecure_channel(f"unix:{sockets}/{role}.sock", options=[("grpc.default_authority", "localhost")])

records = record_pb2_grpc.RecordServiceStub(door("publisher"))

def publish(to, summary):
    alert = alert_pb2.Alert(
        kind="ALERT_KIND_SUSPICIOUS_ADVERTISING", urgency="URGENCY_EXPECTED", severity="SEVERITY_MODERATE",
        certainty="CERTAINTY_POSSIBLE", assertion_basis="ASSERTION_BASIS_OBSERVED", indicators=["ilo11:2"],
        place=handling_pb2.Place(scheme="PLACE_SCHEME_NUTS", code="FRF11"),
        summary=[handling_pb2.Text(language="en", text=summary)],
        suspicious_advertising=alert_pb2.SuspiciousAdvertising(channel="ADVERT_CHANNEL_LEAFLET", adverts_seen=1))
    sharing = sharing_pb2.Sharing(
        recipients=[to], purpose="PURPOSE_PREVENTION", lawful_basis="LAWFUL_BASIS_PUBLIC_TASK",
        special_basis="SPECIAL_BASIS_NONE", status="RECORD_STATUS_TEST",
        handling=handling_pb2.Handling(tlp="TLP_GREEN", pap="PAP_GREEN"))
    request = record_pb2.PublishRecordRequest(
        request_id=str(uuid.uuid4()), sharing=sharing, content=record_pb2.Content(alert=alert))
    print("published", records.PublishRecord(request, timeout=10).record_id.hex(), flush=True)

def answer():
    inbox = inbox_pb2_grpc.InboxServiceStub(door("consumer"))
    mine = inbox_pb2.ConsumeRequest(consumer="first-client", kinds=["RECORD_KIND_ALERT"], until_empty=True)
    yes = record_pb2.Content(answer=alert_pb2.Answer(kind="ANSWER_KIND_ACKNOWLEDGED"))
    for read in inbox.Consume(mine):
        if read.HasField("envelope"):
            origin, record = read.envelope.origin, read.envelope.record_id
            # The same id each time: who is stopped before it commits its place, and begins again, answers once.
            records.AnswerRecord(record_pb2.AnswerRecordRequest(
                request_id=f"{record.hex()}-{origin}"[:64], origin=origin, record_id=record, answer=yes), timeout=10)
            print("acknowledged", record.hex(), "of", origin, flush=True)
        inbox.CommitCursor(inbox_pb2.CommitCursorRequest(consumer="first-client", position=read.position), timeout=10)

{"publish": publish, "answer": answer}[verb](*words)
