"""What deploy/container has, held to the published schemas, to the package's sandbox, and to itself; built where an engine runs.

usage: main.py     exit codes: 0 as it should be, 1 not, 77 all but the build, which no engine here can make
"""
import itertools
import json
import pathlib
import re
import shutil
import subprocess
import sys

import kubernetes_validate
import yaml

TOP = pathlib.Path(__file__).parents[2]
PLACE = TOP / "deploy" / "container"
USER = 10743
KINDS = {"ConfigMap", "StatefulSet", "Namespace", "Service", "NetworkPolicy", "PodDisruptionBudget"}
# A variable or a key of a manifest with such a word in its name would hold what belongs into a file of the node's.
SECRET = re.compile(r"secret|password|passwd|token|credential|private|AGE-SECRET|_KEY\b", re.I)
failed = 0


def check(what, holds, seen=""):
    global failed
    print(f"  {what}" if holds else f"  FAILED {what}: {seen}")
    failed += not holds


def manifests():
    for file in sorted((PLACE / "kubernetes").glob("*.yaml")):
        for manifest in yaml.safe_load_all(file.read_text()):
            yield file.name, manifest


def fits_kubernetes(manifest, strict=True):
    """What the newest schema says against it; nothing if it fits."""
    try:
        kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=strict)
        return ""
    except kubernetes_validate.ValidationError as error:
        return str(error)


def schemas():
    """Each manifest, by its kind's schema; and the schemas find what is wrong."""
    found = list(manifests())
    for name, manifest in found:
        said = fits_kubernetes(manifest)
        check(f"{name}: {manifest['kind']} fits the schema of its kind", not said, said)
    kinds = {manifest["kind"] for _, manifest in found}
    check("all kinds are there", kinds == KINDS, kinds ^ KINDS)
    broken = json.loads(json.dumps(next(m for _, m in found if m["kind"] == "StatefulSet")))
    broken["spec"]["template"]["spec"]["containers"][0]["securityContext"]["readOnlyRootFileSystem"] = True
    check("a field that no schema has is found", fits_kubernetes(broken))

    compose = [str(pathlib.Path(sys.executable).parent / "check-jsonschema"), "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*compose, str(PLACE / "compose.yaml")], capture_output=True, text=True)
    check("compose.yaml fits the schema of the compose specification", done.returncode == 0, done.stdout + done.stderr)
    broken = (PLACE / "compose.yaml").read_text().replace("read_only: true", "readonly: true")
    done = subprocess.run([*compose, "-"], input=broken, capture_output=True, text=True)
    check("which finds what is wrong", done.returncode == 1, done.stdout + done.stderr)


def bytes_of(text):
    number, unit = re.fullmatch(r"(\d+)([a-zA-Z]*)", text).groups()
    return int(number) * {"": 1, "M": 2**20, "m": 2**20, "Mi": 2**20, "Gi": 2**30}[unit]


def unit():
    """What the systemd unit says, by its keys."""
    lines = (TOP / "deploy/systemd/havenlink.service").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if re.match(r"[A-Za-z]+=", line))


def sandbox():
    """The counterpart of the unit's sandbox, for each container."""
    stateful = next(m for _, m in manifests() if m["kind"] == "StatefulSet")
    pod, said = stateful["spec"]["template"]["spec"], unit()
    whole = pod["securityContext"]
    check("the pod runs as the image's user", (whole["runAsNonRoot"], whole["runAsUser"], whole["runAsGroup"], whole["fsGroup"]) == (True, USER, USER, USER), whole)
    check("calls are filtered", said["SystemCallFilter"] and whole["seccompProfile"] == {"type": "RuntimeDefault"}, whole)
    check("a volume is given once", whole["fsGroupChangePolicy"] == "OnRootMismatch", whole)
    check("nothing of the cluster is in it", pod["automountServiceAccountToken"] is False and pod["enableServiceLinks"] is False)
    check("one node", stateful["spec"]["replicas"] == 1)
    for container in pod["containers"]:
        own, name = container["securityContext"], container["name"]
        check(f"{name}: no privilege, as CapabilityBoundingSet= and NoNewPrivileges=yes", said["CapabilityBoundingSet"] == "" and own["capabilities"] == {"drop": ["ALL"]}
              and own["allowPrivilegeEscalation"] is False and own["privileged"] is False, own)
        check(f"{name}: read-only, as ProtectSystem=strict", said["ProtectSystem"] == "strict" and own["readOnlyRootFilesystem"] is True, own)
    node = next(c for c in pod["containers"] if c["name"] == "node")
    check("as much memory as the unit gives", bytes_of(node["resources"]["limits"]["memory"]) == bytes_of(said["MemoryMax"]), node["resources"])
    check("each probe asks the node", {"startupProbe", "readinessProbe", "livenessProbe"} <= node.keys())
    policy = next(m for _, m in manifests() if m["kind"] == "NetworkPolicy")["spec"]
    check("one port in, for all pods of the namespace", policy["podSelector"] == {} and policy["ingress"] == [{"ports": [{"protocol": "TCP", "port": 7443}]}], policy)
    ports = sorted(port["port"] for rule in policy["egress"] for port in rule["ports"])
    check("partners and names out", ports == [53, 53, 7443] and set(policy["policyTypes"]) == {"Ingress", "Egress"}, ports)


def compose():
    said, whole = unit(), yaml.safe_load((PLACE / "compose.yaml").read_text())
    services = whole["services"]
    check("three cities", len(services) == 3, services.keys())
    for name, service in services.items():
        hard = service["read_only"] is True and service["cap_drop"] == ["ALL"] and service["security_opt"] == ["no-new-privileges:true"]
        check(f"{name}: read-only and without privilege, as user {USER}", hard and service["user"] == f"{USER}:{USER}", service)
        check(f"{name}: the unit's limits", (bytes_of(service["mem_limit"]), str(service["pids_limit"])) == (bytes_of(said["MemoryMax"]), said["TasksMax"]), service)
        check(f"{name}: a health check, and volumes of its own", service["healthcheck"]["test"][1] == "/usr/lib/havenlink/answers" and
              all(volume.startswith(f"{name}-") and volume.split(":")[0] in whole["volumes"] for volume in service["volumes"]), service)
        check(f"{name}: no variables", "environment" not in service and "env_file" not in service, service)
        content = whole["configs"][service["configs"][0]["source"]]["content"]
        alias = service["networks"]["federation"]["aliases"][0]
        check(f"{name}: reached by the name that it says", f'endpoints = ["{alias}:7443"]' in content, content)


def no_secret():
    """In no variable of the image, of a service or of a pod, and in no key of a manifest."""
    named = re.findall(r"^\s*(?:ENV\s+)?(HAVENLINK_\w+)=", (PLACE / "Dockerfile").read_text(), re.M)
    check("the image has its variables", len(named) >= 3, named)
    stateful = next(m for _, m in manifests() if m["kind"] == "StatefulSet")
    for container in stateful["spec"]["template"]["spec"]["containers"]:
        named += [variable["name"] for variable in container.get("env", [])]
    named += itertools.chain.from_iterable(m["data"].keys() for _, m in manifests() if m["kind"] == "ConfigMap")
    check("none of them is a secret", not [name for name in named if SECRET.search(name)], named)
    check("no manifest is a Secret", all(m["kind"] != "Secret" for _, m in manifests()))
    check("the search finds one", SECRET.search("HAVENLINK_RECOVERY_KEY") and SECRET.search("db-password"))


def image():
    """What the image is made of is there, its scripts can be run, and one user runs them."""
    text = (PLACE / "Dockerfile").read_text().replace("\\\n", " ")
    user = re.findall(r"^USER (.*)$", text, re.M)
    check("it ends as its own user", user == [f"{USER}:{USER}"], user)
    check("which it makes", f"--gid {USER} " in text and f"--uid {USER} " in text)
    taken = re.findall(r"\bdeploy/\S+", text.split("FROM debian")[0])
    scripts = [TOP / path for path in taken if "Dockerfile" not in path]
    check("what it takes is there, and can be run", len(scripts) == 4 and all(file.stat().st_mode & 0o111 for file in scripts), taken)
    for script in scripts:
        done = subprocess.run(["sh", "-n", str(script)], capture_output=True, text=True)
        check(f"{script.name} is a script", done.returncode == 0, done.stderr)
    told = (PLACE / "README.md").read_text() + (PLACE / "compose.yaml").read_text()
    version = re.search(r'^version = "(.*)"', (TOP / "Cargo.toml").read_text(), re.M).group(1)
    tags = set(re.findall(r"havenlink:(\d[\w.]*)", told + (PLACE / "kubernetes/node.yaml").read_text()))
    check("one version everywhere, the workspace's", tags == {version}, (tags, version))


def waits(folder):
    """`start` waits for a key and for the lock of whoever makes it, then becomes the node; `answers` is content meanwhile."""
    data, tools = folder / "data", folder / "tools"
    for made in (data, tools):
        made.mkdir()
    (tools / "havenlink").write_text("#!/bin/sh\necho the node: $*\n")
    (tools / "havenctl").write_text("#!/bin/sh\nexit 6\n")
    for tool in tools.iterdir():
        tool.chmod(0o755)
    own = {"PATH": f"{tools}:/usr/bin:/bin", "HAVENLINK_DATA_DIR": str(data)}
    answers = lambda: subprocess.run([PLACE / "answers"], env=own).returncode
    check("before there is a federation the container is fine", answers() == 0)
    stopped = subprocess.Popen([PLACE / "start"], env=own, stderr=subprocess.PIPE, text=True)
    told = stopped.stderr.readline()
    stopped.terminate()
    check("it says what it waits for, and stops when it is told to", "havenlink init" in told and stopped.wait(timeout=30) == 0, told)
    # Whoever makes the federation holds the lock, with the key there already.
    making = subprocess.Popen(["flock", str(data / "lock"), "sh", "-c", f"touch '{data}/authority.key'; echo made; read done"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    making.stdout.readline()
    check("then it has to answer", answers() == 6)
    started = subprocess.Popen([PLACE / "start"], env=own, stdout=subprocess.PIPE, text=True)
    try:
        early = started.wait(timeout=3)
    except subprocess.TimeoutExpired:
        early = None
    check("it does not start in between", early is None, early)
    making.communicate("\n")
    said, _ = started.communicate(timeout=30)
    check("and then it is the node", said == "the node: run\n", said)


def built():
    """The image, where an engine runs. None: there is none."""
    engine = next((name for name in ("docker", "podman") if shutil.which(name)), None)
    if engine is None or subprocess.run([engine, "info"], capture_output=True).returncode != 0:
        return None
    command = [engine, "build", "--file", str(PLACE / "Dockerfile"), "--tag", "havenlink:tested", str(TOP)]
    done = subprocess.run(command, capture_output=True, text=True)
    check("the image is built", done.returncode == 0, (done.stdout + done.stderr)[-3000:])
    for tool in ("havenlink", "havenctl", "havenlink-audit"):
        locked = ["--rm", "--read-only", "--cap-drop", "ALL", "--entrypoint", f"/usr/bin/{tool}"]
        done = subprocess.run([engine, "run", *locked, "havenlink:tested", "--version"], capture_output=True, text=True)
        check(f"{tool} runs in it", done.returncode == 0 and tool in done.stdout, done.stdout + done.stderr)
    return True


if __name__ == "__main__":
    import tempfile

    schemas()
    sandbox()
    compose()
    no_secret()
    image()
    with tempfile.TemporaryDirectory(prefix="havenlink-containers-") as folder:
        waits(pathlib.Path(folder))
    made = built()
    if failed:
        sys.exit(1)
    if made is None:
        print("skipped: no container engine runs here: the image was not built; all else was checked")
        sys.exit(77)
