"""What a stock reflection client is told at each door of a node, against what the options of the contract say that the door opens.

usage: reflection.py PROTO_DIR SOCKET_DIR

v1 and v1alpha, every socket of the folder. Exit code 1 on any miss.
"""
import pathlib
import sys

from contract import channel, generate, module
from google.protobuf import descriptor_pool
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

PROTO, SOCKETS = sys.argv[1:3]
generate(PROTO)
access_pb, audit_pb = module("options.v1.access_pb2"), module("record.v1.audit_pb2")
VERBS = {access_pb.VERB_PUBLISH: "publish", access_pb.VERB_READ: "read", access_pb.VERB_CONSUME: "consume", access_pb.VERB_ANSWER: "answer"}
BESIDE = {f"grpc.health.v1.Health/{method}" for method in ("Check", "Watch")} | {
    f"grpc.reflection.{version}.ServerReflection/ServerReflectionInfo" for version in ("v1", "v1alpha")
}
failed = 0


def check(what, holds, seen=""):
    global failed
    print(f"  {what}" if holds else f"  FAILED {what}: {seen}")
    failed += not holds


class V1(ProtoReflectionDescriptorDatabase):
    """The library speaks v1alpha; v1 has the same messages under another name."""

    def __init__(self, doors):
        super().__init__(doors)
        ask = reflection_pb2.ServerReflectionRequest.SerializeToString
        read = reflection_pb2.ServerReflectionResponse.FromString
        path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
        self._stub.ServerReflectionInfo = doors.stream_stream(path, ask, read)


def contract():
    """Each method of the contract, and the roles to which its option opens it."""
    content = module("local.v1.record_pb2").Content.DESCRIPTOR.fields
    kinds = [field.message_type.GetOptions().Extensions[access_pb.kind] for field in content]
    for file in pathlib.Path(PROTO, "havenlink").rglob("*.proto"):
        if "store/v1" in str(file):
            continue
        name = str(file.relative_to(pathlib.Path(PROTO, "havenlink")).with_suffix("")).replace("/", ".")
        for service in module(f"{name}_pb2").DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                access = method.GetOptions().Extensions[access_pb.access]
                of_kinds = {role for kind in kinds for role in getattr(kind, VERBS[access.verb])} if access.verb else set()
                yield f"{service.full_name}/{method.name}", set(access.roles) | of_kinds


def told(database):
    pool = descriptor_pool.DescriptorPool(database)
    services = [pool.FindServiceByName(name) for name in database.get_services()]
    return services, {f"{service.full_name}/{method.name}" for service in services for method in service.methods}


print("stock reflection client")
methods, doors = dict(contract()), sorted(path.stem for path in pathlib.Path(SOCKETS).glob("*.sock"))
check(f"{len(methods)} methods of the contract, {len(doors)} doors", len(methods) > 50 and len(doors) >= 4, doors)
for door in doors:
    role = audit_pb.ActorRole.Value(f"ACTOR_ROLE_{door.upper().replace('-', '_')}")
    opens = {method for method, roles in methods.items() if role in roles} | BESIDE
    for version, client in (("v1", V1), ("v1alpha", ProtoReflectionDescriptorDatabase)):
        services, listed = told(client(channel(SOCKETS, door)))
        check(f"{door} lists what it opens: {len(opens)} methods ({version})", listed == opens, sorted(listed ^ opens))
        empty = [service.full_name for service in services if not service.methods]
        check(f"{door}: no service without a method, none twice ({version})", not empty and len(services) == len(set(services)), empty)
        # A message that comes over the wire is the one that stock tools compile.
        ours = {method.input_type.full_name for service in services for method in service.methods}
        check(f"{door}: each request has its message ({version})", all(ours), ours)

sys.exit(1 if failed else 0)
