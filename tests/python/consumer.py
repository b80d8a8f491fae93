"""A city's own system, written by somebody new: reads the inbox, stores, commits, breaks off, resumes, waits for more.

usage: consumer.py PROTO_DIR SOCKET_DIR OTHER_SOCKET_DIR      the inbox is the other one's; the first one publishes

Each position must come once to a reader that keeps its cursor, whatever is broken off. Exit code 1 on any miss.
"""
import sys
import uuid

import grpc
from contract import channel, generate, good_alert, module, reason

PROTO, SOCKETS, OTHER = sys.argv[1:4]
generate(PROTO)

inbox_pb, inbox_rpc = module("local.v1.inbox_pb2"), module("local.v1.inbox_pb2_grpc")
alert_pb, envelope_pb = module("record.v1.alert_pb2"), module("record.v1.envelope_pb2")
node_pb, node_rpc = module("admin.v1.node_pb2"), module("admin.v1.node_pb2_grpc")

inbox = inbox_rpc.InboxServiceStub(channel(OTHER, "consumer"))
publisher = module("local.v1.record_pb2_grpc").RecordServiceStub(channel(SOCKETS, "publisher"))
THEM = node_rpc.NodeServiceStub(channel(OTHER, "operator")).GetStatus(node_pb.GetStatusRequest(), timeout=10).authority
# One stream reads all that the node has received, each record once: seconds on an idle machine, far more on a busy one.
PATIENCE = 240
NAME = f"python-{uuid.uuid4()}"[:40]
failed = 0


def check(what, holds, seen=""):
    global failed
    print(f"  {what}" if holds else f"  FAILED {what}: {seen}")
    failed += not holds


def publish():
    return publisher.PublishRecord(good_alert([THEM], str(uuid.uuid4())), timeout=10).record_id


def consume(**asked):
    asked.setdefault("all_kinds", "kinds" not in asked)
    return inbox.Consume(inbox_pb.ConsumeRequest(consumer=NAME, **asked), timeout=PATIENCE)


def commit(position):
    inbox.CommitCursor(inbox_pb.CommitCursorRequest(consumer=NAME, position=position), timeout=10)


def refusal(call):
    try:
        call()
    except grpc.RpcError as error:
        return error.code(), reason(error)
    return None


print(f"stock Python consumer at {THEM}")
published = [publish() for _ in range(20)]

# The stream waits for what is still on its way; broken off after seven, of which five were stored.
stored, stream = [], consume()
for record in stream:
    stored.append(record)
    if len(stored) == 5:
        commit(record.position)
    if len(stored) == 7:
        stream.cancel()
        break
stored = stored[:5]
wanted = set(published) - {r.envelope.record_id for r in stored}
for record in consume():
    stored.append(record)
    wanted.discard(record.envelope.record_id)
    # As a system does that stores in batches; the last one as well.
    if not wanted or len(stored) % 50 == 0:
        commit(record.position)
    if not wanted:
        break
positions = [r.position for r in stored]
check("resumed at the cursor: each position once, in order", positions == sorted(set(positions)), positions)
whole = [r.position for r in inbox.Consume(inbox_pb.ConsumeRequest(consumer=f"new-{NAME}"[:40], until_empty=True, all_kinds=True), timeout=PATIENCE)]
check("nothing was left out: a new reader sees the same", whole == positions, (len(whole), len(positions)))
check("content only", all(r.envelope.kind < envelope_pb.RECORD_KIND_AGREEMENT_PROPOSAL for r in stored))
last = next(r for r in reversed(stored) if r.envelope.kind == envelope_pb.RECORD_KIND_ALERT)
body = alert_pb.Alert.FromString(last.envelope.body)
check("the body is the alert", body.kind == alert_pb.ALERT_KIND_SUSPICIOUS_ADVERTISING, body)
check("nothing more waits", list(consume(until_empty=True)) == [])

# What comes now arrives by itself.
live = consume(after_position=positions[-1], kinds=[envelope_pb.RECORD_KIND_ALERT])
new = publish()
check("a new alert arrives on the open stream", next(live).envelope.record_id == new)
live.cancel()

commit(positions[0])
first = next(consume()).envelope.record_id
check("a cursor does not go back", first == new, first)
for what, call, expected in [
    ("a position that was never given", lambda: list(consume(after_position=10**12)), "CURSOR_AHEAD"),
    ("a cursor that was never given", lambda: commit(10**12), "CURSOR_AHEAD"),
    ("what nodes tell each other", lambda: list(consume(kinds=[envelope_pb.RECORD_KIND_AGREEMENT_END])), "KIND_NOT_SUPPORTED"),
    ("a kind that is none", lambda: list(consume(kinds=[99])), "VALUE_UNKNOWN"),
    ("no kinds", lambda: list(consume(all_kinds=False)), "FIELD_MISSING"),
    ("no name", lambda: list(inbox.Consume(inbox_pb.ConsumeRequest(until_empty=True, all_kinds=True), timeout=10)), "FIELD_MISSING"),
    (
        "a name of another form",
        lambda: list(inbox.Consume(inbox_pb.ConsumeRequest(consumer="Case System", all_kinds=True), timeout=10)),
        "FIELD_INVALID",
    ),
    (
        "the door of another role",
        lambda: list(inbox_rpc.InboxServiceStub(channel(OTHER, "operator")).Consume(inbox_pb.ConsumeRequest(consumer=NAME), timeout=10)),
        "METHOD_NOT_OPEN",
    ),
]:
    seen = refusal(call)
    check(f"{what}: {expected}", seen is not None and seen[1] == expected, seen)
print(f"{failed} failed")
sys.exit(1 if failed else 0)
