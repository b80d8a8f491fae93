"""A stranger's client: stock gRPC for Python, generated from proto/ alone, sends bad input to a running node.

usage: bad_input.py PROTO_DIR SOCKET_DIR OTHER_SOCKET_DIR

Each refusal must carry a status, a reason of the catalogue and a remedy, and the node must go on. Exit code 1 on any miss.
"""
import sys
import time
import uuid

import grpc
from contract import channel, generate, good_alert, module, reason

PROTO, SOCKETS, OTHER = sys.argv[1:4]
generate(PROTO)

alert_pb = module("record.v1.alert_pb2")
handling_pb = module("record.v1.handling_pb2")
agreement_pb = module("record.v1.agreement_pb2")
local_pb = module("local.v1.record_pb2")
local_rpc = module("local.v1.record_pb2_grpc")
offer_pb = module("local.v1.offer_pb2")
offer_rpc = module("local.v1.offer_pb2_grpc")
node_pb = module("admin.v1.node_pb2")
node_rpc = module("admin.v1.node_pb2_grpc")
admin_pb = module("admin.v1.agreement_pb2")
admin_rpc = module("admin.v1.agreement_pb2_grpc")


publisher = local_rpc.RecordServiceStub(channel(SOCKETS, "publisher"))
coordinator = offer_rpc.OfferServiceStub(channel(SOCKETS, "coordinator"))
node = node_rpc.NodeServiceStub(channel(SOCKETS, "operator"))
agreements = admin_rpc.AgreementServiceStub(channel(SOCKETS, "operator"))
other_agreements = admin_rpc.AgreementServiceStub(channel(OTHER, "operator"))

US = node.GetStatus(node_pb.GetStatusRequest(), timeout=10).authority
THEM = node_rpc.NodeServiceStub(channel(OTHER, "operator")).GetStatus(node_pb.GetStatusRequest(), timeout=10).authority


def good(**changes):
    request = good_alert([THEM], str(uuid.uuid4()))
    for change in changes.values():
        change(request)
    return request


passed, failed = 0, 0


def refused(name, call, *reasons):
    """The call must be refused with one of the reasons, and the reason must have a remedy."""
    global passed, failed
    try:
        call()
        problem = "was accepted"
    except grpc.RpcError as error:
        found = reason(error)
        if not found:
            problem = f"has no ErrorInfo: {error.code()} {error.details()}"
        elif found not in reasons:
            problem = f"has reason {found}, not one of {reasons}: {error.details()}"
        else:
            row = node.ExplainReason(node_pb.ExplainReasonRequest(code=found), timeout=10)
            problem = None if row.remedy else f"{found} has no remedy"
            print(f"  {name}: {error.code().name} {found} -> {row.remedy}")
    if problem:
        failed += 1
        print(f"  FAILED {name}: {problem}")
    else:
        passed += 1


def publish(**changes):
    return lambda: publisher.PublishRecord(good(**changes), timeout=10)


def set_(path, value):
    def change(request):
        target = request
        *outer, last = path.split(".")
        for part in outer:
            target = getattr(target, part)
        field = getattr(target, last)
        if isinstance(value, list):
            del field[:]
            field.extend(value)
        else:
            setattr(target, last, value)

    return change


print(f"stock Python client against {US}, partner {THEM}")
publisher.PublishRecord(good(), timeout=10)



def raw(body):
    """Bytes in place of a message."""
    method = channel(SOCKETS, "publisher").unary_unary(
        "/havenlink.local.v1.RecordService/PublishRecord", request_serializer=lambda b: b, response_deserializer=lambda b: b
    )
    return lambda: method(body, timeout=10)


refused("bytes that are no message", raw(b"\x0a\xff\xff\xff\xff\x0f"), "DECODE_FAILED")
refused("a field of another type", raw(b"\x08\x01"), "DECODE_FAILED")
refused("nothing at all", raw(b""), "FIELD_MISSING")
refused("missing content", publish(a=lambda r: r.ClearField("content")), "FIELD_MISSING")
refused("missing sharing", publish(a=lambda r: r.ClearField("sharing")), "FIELD_MISSING")
refused("missing request id", publish(a=set_("request_id", "")), "FIELD_MISSING")
refused("missing handling", publish(a=lambda r: r.sharing.ClearField("handling")), "FIELD_MISSING", "HANDLING_UNKNOWN")
refused("missing place", publish(a=lambda r: r.content.alert.ClearField("place")), "FIELD_MISSING")
refused("unknown alert kind", publish(a=set_("content.alert.kind", 77)), "VALUE_UNKNOWN")
refused("unknown TLP", publish(a=set_("sharing.handling.tlp", 99)), "VALUE_UNKNOWN", "HANDLING_UNKNOWN")
refused("unknown purpose", publish(a=set_("sharing.purpose", 1234)), "VALUE_UNKNOWN")
refused("kind of a later version", publish(a=set_("content.alert.kind", alert_pb.ALERT_KIND_LICENCE_ACTION)), "KIND_NOT_SUPPORTED")
refused(
    "reported by a person",
    publish(a=set_("content.alert.assertion_basis", alert_pb.ASSERTION_BASIS_REPORTED_BY_PERSON)),
    "PERSON_RECORDS_CLOSED",
)
refused("oversized text", publish(a=set_("content.alert.summary", [handling_pb.Text(language="en", text="a" * 501)])), "FIELD_TOO_LONG")
refused(
    "oversized message",
    publish(a=set_("content.alert.summary", [handling_pb.Text(language="en", text="a" * 70_000)])),
    "MESSAGE_TOO_LARGE",
    "FIELD_TOO_LONG",
)
refused(
    "phone in a summary",
    publish(a=set_("content.alert.summary", [handling_pb.Text(language="en", text="Call +33 1 99 00 12 34 today")])),
    "PERSONAL_DATA_IN_TEXT",
)
refused(
    "mail address in a summary",
    publish(a=set_("content.alert.summary", [handling_pb.Text(language="en", text="write to jobs@agency.example")])),
    "PERSONAL_DATA_IN_TEXT",
)
refused("language that is none", publish(a=set_("content.alert.summary", [handling_pb.Text(language="!!", text="x")])), "FIELD_INVALID")
refused("wrong recipient: ourselves", publish(a=set_("sharing.recipients", [US])), "WRONG_RECIPIENT", "FIELD_INVALID")
refused("recipient that is no id", publish(a=set_("sharing.recipients", ["Kehl am Rhein"])), "FIELD_INVALID")
refused("unknown partner", publish(a=set_("sharing.recipients", ["xx-nowhere"])), "MEMBER_UNKNOWN", "AGREEMENT_NOT_IN_FORCE")
refused("purpose without a grant", publish(a=set_("sharing.purpose", handling_pb.PURPOSE_STATISTICS)), "AGREEMENT_NOT_IN_FORCE")
refused("handling above the grant", publish(a=set_("sharing.handling.tlp", handling_pb.TLP_RED)), "HANDLING_TOO_RESTRICTED")

first = good()
answer = publisher.PublishRecord(first, timeout=10)
again = publisher.PublishRecord(first, timeout=10)
if again.record_id != answer.record_id:
    failed += 1
    print("  FAILED same request id: the first answer was not repeated")
first.content.alert.severity = alert_pb.SEVERITY_MINOR
refused("same request id, another body", lambda: publisher.PublishRecord(first, timeout=10), "REQUEST_ID_REUSED")
refused(
    "door of another role",
    lambda: local_rpc.RecordServiceStub(channel(SOCKETS, "operator")).PublishRecord(good(), timeout=10),
    "METHOD_NOT_OPEN",
)
near = node.ExplainReason(node_pb.ExplainReasonRequest(code="AGREEMENT_NOT_IN_FROCE"), timeout=10)
if near.code or "AGREEMENT_NOT_IN_FORCE" not in near.nearest:
    failed += 1
    print("  FAILED a mistyped reason is not answered with the nearest")
refused(
    "offer without a kind",
    lambda: coordinator.SetOffer(offer_pb.SetOfferRequest(request_id=str(uuid.uuid4()), offer=offer_pb.OwnOffer()), timeout=10),
    "FIELD_MISSING",
    "VALUE_UNKNOWN",
)

# End every agreement between the two, then try once more.
for held in agreements.ListAgreements(admin_pb.ListAgreementsRequest(), timeout=10).agreements:
    parties = {p.authority for p in held.agreement.parties}
    if parties == {US, THEM} and held.state == admin_pb.AGREEMENT_STATE_IN_FORCE:
        agreements.EndAgreement(
            admin_pb.EndAgreementRequest(
                request_id=str(uuid.uuid4()),
                agreement_id=held.agreement_id,
                reason=agreement_pb.AGREEMENT_END_REASON_NO_LONGER_NEEDED,
            ),
            timeout=10,
        )
refused("ended agreement", publish(), "AGREEMENT_ENDED", "AGREEMENT_NOT_IN_FORCE")
deadline = time.monotonic() + 60
while time.monotonic() < deadline:
    states = [
        h.state
        for h in other_agreements.ListAgreements(admin_pb.ListAgreementsRequest(), timeout=10).agreements
        if {p.authority for p in h.agreement.parties} == {US, THEM}
    ]
    if states and admin_pb.AGREEMENT_STATE_IN_FORCE not in states:
        passed += 1
        print("  the notice reached the partner")
        break
    time.sleep(0.1)
else:
    failed += 1
    print("  FAILED the notice of the end did not reach the partner in 60 s")

if node.GetStatus(node_pb.GetStatusRequest(), timeout=10).state != node_pb.NODE_STATE_READY:
    failed += 1
    print("  FAILED the node does not go on")
else:
    passed += 1
    print("  the node goes on")
print(f"{passed} passed, {failed} failed")
sys.exit(1 if failed else 0)
