"""What every Python client must be able to do against the server, told once; the adapters only translate.

An adapter has: NAME, CODECS, and the methods
  create(topic, partitions, configs)     topics() -> names       partitions(topic) -> count
  describe_config(topic) -> {name: value}
  produce(topic, records, codec)         records: (partition, key, value, headers); returns when all are acknowledged
  read(topic, partition, first, count) -> [(offset, key, value, headers)]
  member(group, topic) -> a member with poll() -> [(partition, offset, value)], owned() -> {partition}, commit(), close()
  groups() -> names                      group_state(group) -> (state, number of members)
  committed(group, topic, partitions) -> {partition: offset}
  delete(topic)
"""
import os
import threading
import time
import uuid

from checks import check, finish, same, until

PARTITIONS = 6
RUN = uuid.uuid4().hex[:8]


def records(count, nulls=True, partition=0):
    """Keys that are absent, empty and present; values of every byte, empty and null; headers with doubles and nulls."""
    out = []
    for i in range(count):
        key = [None, b"", b"key-%d" % i][i % 3]
        value = [bytes(range(256)) * 3, b"value-%d" % i, b"", "größe €".encode()][i % 4]
        headers = [[], [("h", b"\x00\xff"), ("h", b"again")], [("empty", b""), ("null", None if nulls else b"")]][i % 3]
        out.append((partition, key, value, headers))
    return out


def run(client):
    name = f"{client.NAME}-{RUN}"
    plain = f"{name}-plain"

    def creates():
        client.create(plain, 3, {"retention.ms": "3600000", "max.message.bytes": "2000000"})
        until("the topic is listed", 10, lambda: plain in client.topics())
        same(client.partitions(plain), 3, "partitions")

    check("creates a topic with three partitions and finds it in the list", creates)

    def configs():
        found = client.describe_config(plain)
        same(found.get("retention.ms"), "3600000", "retention.ms")
        same(found.get("max.message.bytes"), "2000000", "max.message.bytes")
        assert "cleanup.policy" in found, "defaults are described too"

    check("describes the topic's configs", configs)
    for codec in client.CODECS:
        check(f"produces with {codec} and reads back every byte of key, value and headers",
              lambda codec=codec: codec_round(client, name, codec))
    check("reads from the middle of a partition", lambda: middle(client, f"{name}-{client.CODECS[0]}"))
    check("three members share a group while one joins and one leaves: nothing lost, all partitions covered, "
          "and a later member resumes at the committed offsets", lambda: group_story(client, name))

    def deletes():
        client.delete(plain)
        until("the topic is gone", 10, lambda: plain not in client.topics())

    check("deletes a topic", deletes)
    finish()


def codec_round(client, name, codec):
    topic = f"{name}-{codec}"
    client.create(topic, 1, {})
    # Not every client can write a header without a value.
    sent = records(200, getattr(client, "NULL_HEADERS", True))
    client.produce(topic, sent, codec)
    found = client.read(topic, 0, 0, len(sent))
    same([offset for offset, *_ in found], list(range(len(sent))), "offsets")
    wanted = [(key, value, headers) for _, key, value, headers in sent]
    same([(key, value, headers) for _, key, value, headers in found], wanted, "records")


def middle(client, topic):
    found = client.read(topic, 0, 150, 50)
    same([offset for offset, *_ in found], list(range(150, 200)), "offsets")


class Runner(threading.Thread):
    """One member, polling in its own thread as an application would."""

    def __init__(self, client, group, topic, label):
        super().__init__(daemon=True, name=label)
        self.client, self.group, self.topic = client, group, topic
        self.seen, self.owned, self.stop, self.error = [], set(), False, None
        self.start()

    def run(self):
        try:
            member = self.client.member(self.group, self.topic)
            while not self.stop:
                self.seen.extend(member.poll())
                self.owned = set(member.owned())
            member.commit()
            member.close()
        except Exception as error:  # told to the thread that checks
            self.error = error
        self.owned = set()

    def leave(self):
        self.stop = True
        self.join(30)
        if self.error:
            raise self.error
        assert not self.is_alive(), f"{self.name} did not leave within 30 s"


def group_story(client, name):
    topic, group = f"{name}-shared", f"{name}-group"
    client.create(topic, PARTITIONS, {})
    sent = []

    def produce(count):
        batch = [(i % PARTITIONS, None, b"%d" % (len(sent) + i), []) for i in range(count)]
        client.produce(topic, batch, "none")
        sent.extend(value for _, _, value, _ in batch)

    members = [Runner(client, group, topic, "first"), Runner(client, group, topic, "second")]
    covered(members)
    produce(300)
    members.append(Runner(client, group, topic, "third"))
    covered(members)
    produce(300)
    until("the group is stable with three members", 20, lambda: client.group_state(group) == ("Stable", 3))
    assert group in client.groups(), "the group is not listed"
    wait_for(members, sent)
    members[1].leave()
    staying = [members[0], members[2]]
    covered(staying)
    produce(300)
    wait_for(members, sent)
    for member in staying:
        member.leave()
    wait_for(members, sent)
    offsets = client.committed(group, topic, PARTITIONS)
    same(sum(offsets.values()), len(sent), "sum of committed offsets")
    until("the group is empty", 20, lambda: client.group_state(group)[0] in ("Empty", "Dead"))
    before = len(sent)
    produce(60)
    late = Runner(client, group, topic, "late")
    wait_for([late], sent[before:])
    late.leave()
    same(sorted(value for _, _, value in late.seen), sorted(sent[before:]), "what the late member read")


def covered(members):
    def whole():
        for member in members:
            if member.error:
                raise member.error
        owned = [partition for member in members for partition in member.owned]
        return sorted(owned) == list(range(PARTITIONS)) and all(member.owned for member in members)

    until(f"{len(members)} members own all partitions between them, each one some", 40, whole)


def wait_for(members, sent):
    wanted = set(sent)

    def all_seen():
        for member in members:
            if member.error:
                raise member.error
        return wanted <= {value for member in members for _, _, value in list(member.seen)}

    try:
        until("every record is read", 30, all_seen)
    except AssertionError:
        seen = {value for member in members for _, _, value in member.seen}
        raise AssertionError(f"{len(wanted - seen)} of {len(wanted)} records were not read") from None


def bootstrap():
    return os.environ["BOOTSTRAP"]
