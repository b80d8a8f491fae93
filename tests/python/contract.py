"""The contract as a stranger has it: generated from proto/ alone by stock gRPC tools; and a channel to a role's socket."""
import importlib
import pathlib
import sys
import tempfile

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from grpc_tools import protoc


def generate(proto):
    """Compiles what is served; afterwards `module` finds it."""
    out = tempfile.mkdtemp(prefix="havenlink-python-")
    # proto/google is only imported: the library has its own.
    ours = pathlib.Path(proto, "havenlink").rglob("*.proto")
    files = [str(p.relative_to(proto)) for p in ours if "store/v1" not in str(p)]
    if protoc.main(["protoc", f"-I{proto}", f"--python_out={out}", f"--grpc_python_out={out}", *files]) != 0:
        sys.exit("the contract does not compile with stock protoc")
    sys.path.insert(0, out)


def module(name):
    return importlib.import_module(f"havenlink.{name}")


def channel(directory, role):
    # A unix socket has no host name; gRPC wants one for its :authority.
    return grpc.insecure_channel(f"unix:{directory}/{role}.sock", options=[("grpc.default_authority", "localhost")])


def reason(error):
    """The code of the catalogue that a failed call carries; None: it carries none."""
    status = rpc_status.from_call(error)
    for detail in status.details if status else []:
        info = error_details_pb2.ErrorInfo()
        if detail.Is(info.DESCRIPTOR) and detail.Unpack(info):
            return info.reason
    return None


def good_alert(recipients, request_id):
    """A request that a node takes."""
    alert_pb, handling_pb = module("record.v1.alert_pb2"), module("record.v1.handling_pb2")
    local_pb, sharing_pb = module("local.v1.record_pb2"), module("local.v1.sharing_pb2")
    return local_pb.PublishRecordRequest(
        request_id=request_id,
        sharing=sharing_pb.Sharing(
            recipients=recipients,
            purpose=handling_pb.PURPOSE_PREVENTION,
            lawful_basis=handling_pb.LAWFUL_BASIS_PUBLIC_TASK,
            special_basis=handling_pb.SPECIAL_BASIS_NONE,
            handling=handling_pb.Handling(tlp=handling_pb.TLP_GREEN, pap=handling_pb.PAP_GREEN),
            status=handling_pb.RECORD_STATUS_TEST,
        ),
        content=local_pb.Content(
            alert=alert_pb.Alert(
                kind=alert_pb.ALERT_KIND_SUSPICIOUS_ADVERTISING,
                urgency=alert_pb.URGENCY_EXPECTED,
                severity=alert_pb.SEVERITY_MODERATE,
                certainty=alert_pb.CERTAINTY_POSSIBLE,
                indicators=["ilo11:2"],
                exploitation_forms=[alert_pb.EXPLOITATION_FORM_LABOUR],
                place=handling_pb.Place(scheme=handling_pb.PLACE_SCHEME_NUTS, code="FRF11"),
                assertion_basis=alert_pb.ASSERTION_BASIS_OBSERVED,
                summary=[handling_pb.Text(language="en", text="Advert promises high wages and keeps the papers.")],
                suspicious_advertising=alert_pb.SuspiciousAdvertising(
                    channel=alert_pb.ADVERT_CHANNEL_LEAFLET, advert_languages=["ro"], adverts_seen=3
                ),
            )
        ),
    )
