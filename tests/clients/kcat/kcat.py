"""kcat, as a person in a shell uses it."""
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "python"))
from checks import check, finish, same, until  # noqa: E402

BROKER = os.environ["BOOTSTRAP"]
RUN = f"kcat-{uuid.uuid4().hex[:8]}"
PARTITIONS = 6
GROUP_OPTIONS = ["-X", "auto.offset.reset=earliest", "-X", "session.timeout.ms=6000", "-X",
                 "heartbeat.interval.ms=500", "-X", "fetch.wait.max.ms=100"]


def kcat(*args, stdin=b"", seconds=30):
    done = subprocess.run(["kcat", "-b", BROKER, *args], input=stdin, capture_output=True, timeout=seconds)
    assert done.returncode == 0, f"kcat {' '.join(args)}: {done.stderr.decode(errors='replace')[-500:]}"
    return done.stdout


def makes_topic():
    # kcat has no command for it: it asks for a topic and the broker creates it (auto.create.topics.enable).
    kcat("-P", "-t", f"{RUN}-auto", stdin=b"first\n")
    found = json.loads(kcat("-L", "-J", "-t", f"{RUN}-auto"))
    same([topic["topic"] for topic in found["topics"]], [f"{RUN}-auto"], "topics")
    same(kcat("-C", "-t", f"{RUN}-auto", "-o", "beginning", "-e", "-q"), b"first\n", "records")


def codec_round(codec):
    topic = f"{RUN}-{codec}"
    lines = [b"key-%d\tvalue-%d \xc3\xbc" % (i, i) + b"x" * (i % 50) for i in range(500)]
    kcat("-P", "-t", topic, "-p", "0", "-z", codec, "-K", "\t", "-H", "h=1", "-H", "h=two", "-X", "acks=all",
         stdin=b"\n".join(lines) + b"\n")
    found = kcat("-C", "-t", topic, "-p", "0", "-o", "beginning", "-e", "-q", "-X", "check.crcs=true",
                 "-f", "%o\t%k\t%s\t%h\n")
    wanted = [b"%d\t" % i + line + b"\th=1,h=two" for i, line in enumerate(lines)]
    same(found.rstrip(b"\n").split(b"\n"), wanted, "records")


def nulls():
    topic = f"{RUN}-nulls"
    kcat("-P", "-t", topic, "-p", "0", "-K", ":", "-Z", stdin=b"gone:\n:no key\n")
    found = kcat("-C", "-t", topic, "-p", "0", "-o", "beginning", "-e", "-q", "-f", "%K %k %S %s\n")
    same(found, b"4 gone -1 \n-1  6 no key\n", "records")


def offsets():
    topic = f"{RUN}-none"
    found = kcat("-C", "-t", topic, "-p", "0", "-o", "-3", "-e", "-q", "-f", "%o ")
    same(found, b"497 498 499 ", "the last three")
    found = kcat("-C", "-t", topic, "-p", "0", "-o", "100", "-c", "2", "-q", "-f", "%o ")
    same(found, b"100 101 ", "from offset 100")
    found = kcat("-Q", "-t", f"{topic}:0:1").decode()
    assert "offset 0" in found, f"-Q answered {found!r} for a time before the first record"
    stamps = kcat("-C", "-t", topic, "-p", "0", "-o", "beginning", "-e", "-q", "-f", "%o %T\n").split(b"\n")
    stamp = next(line.split()[1].decode() for line in stamps if line.startswith(b"250 "))
    wanted = next(line.split()[0].decode() for line in stamps if int(line.split()[1]) >= int(stamp))
    found = kcat("-Q", "-t", f"{topic}:0:{stamp}").decode()
    assert f"offset {wanted}" in found, f"-Q answered {found!r}, wanted offset {wanted}"


class Member:
    """A `kcat -G` in the background, its output in a file."""

    def __init__(self, group, topic):
        self.out = tempfile.TemporaryFile()
        self.log = tempfile.TemporaryFile()
        command = ["kcat", "-b", BROKER, *GROUP_OPTIONS, "-u", "-f", "%p %s\n", "-G", group, topic]
        self.process = subprocess.Popen(command, stdout=self.out, stderr=self.log, stdin=subprocess.DEVNULL)

    def read(self):
        self.out.seek(0)
        return [line.split() for line in self.out.read().split(b"\n") if len(line.split()) == 2]

    def owned(self):
        """The partitions it says it was assigned last."""
        self.log.seek(0)
        lines = [line for line in self.log.read().decode().split("\n") if "Group" in line and "rebalanced" in line]
        return set() if not lines or "assigned:" not in lines[-1] else \
            {int(part.split("[")[1].rstrip("]")) for part in lines[-1].split("assigned:")[1].split(",")}

    def leave(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(15)


def group_story():
    topic, group = f"{RUN}-group", f"{RUN}-g"
    sent = []

    def produce(count):
        lines = []
        for i in range(count):
            sent.append(b"%d" % len(sent))
            lines.append(sent[-1])
        for part in range(PARTITIONS):
            kcat("-P", "-t", topic, "-p", str(part), stdin=b"\n".join(lines[part::PARTITIONS]) + b"\n")

    def covered(members):
        owned = [part for member in members for part in member.owned()]
        return sorted(owned) == list(range(PARTITIONS)) and all(member.owned() for member in members)

    def all_read(members):
        return {value for member in members for _, value in member.read()} >= set(sent)

    make_partitions(topic)
    members = [Member(group, topic), Member(group, topic)]
    try:
        until("two members own all partitions", 40, lambda: covered(members))
        produce(120)
        members.append(Member(group, topic))
        until("three members own all partitions", 40, lambda: covered(members))
        produce(120)
        until("three members read everything", 30, lambda: all_read(members))
        members[1].leave()
        until("the other two own all partitions", 40, lambda: covered([members[0], members[2]]))
        produce(120)
        until("nothing is lost", 30, lambda: all_read(members))
        members[0].leave()
        members[2].leave()
        before = len(sent)
        produce(60)
        late = Member(group, topic)
        members.append(late)
        until("the late member reads what came since", 40, lambda: len(late.read()) >= 60)
        late.leave()
        same(sorted(value for _, value in late.read()), sorted(sent[before:]), "what the late member read")
    finally:
        for member in members:
            member.process.kill()


def make_partitions(topic):
    """A topic of six partitions: the server's default when the driver starts it, else made by the Python client."""
    if os.environ.get("CLIENTS_PYTHON"):
        code = ("import sys; from confluent_kafka.admin import AdminClient, NewTopic; "
                "admin = AdminClient({'bootstrap.servers': sys.argv[1]}); "
                f"admin.create_topics([NewTopic(sys.argv[2], {PARTITIONS}, 1)])[sys.argv[2]].result(15)")
        subprocess.run([os.environ["CLIENTS_PYTHON"], "-c", code, BROKER, topic], check=True, timeout=30)
    found = json.loads(kcat("-L", "-J", "-t", topic))["topics"][0]["partitions"]
    same(len(found), PARTITIONS, "partitions")


def lists():
    found = json.loads(kcat("-L", "-J"))
    assert len(found["brokers"]) >= 1 and found["controllerid"] >= 0, found["brokers"]
    names = {topic["topic"] for topic in found["topics"]}
    assert f"{RUN}-none" in names, "a topic is missing from the list"


check("creates a topic by producing to it", makes_topic)
for codec in ["none", "gzip", "snappy", "lz4", "zstd"]:
    check(f"produces with {codec}, keys and headers, and reads back every byte", lambda codec=codec: codec_round(codec))
check("tells null from empty in keys and values", nulls)
check("reads from the end, from an offset, and finds offsets by time", offsets)
check("lists brokers, controller and topics", lists)
check("three members share a group while one joins and one leaves: nothing lost, all partitions covered, "
      "and a later member resumes at the committed offsets", group_story)
finish()
