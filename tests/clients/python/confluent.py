"""confluent-kafka: librdkafka under Python."""
import threading

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic

import scenario


class Member:
    def __init__(self, group, topic):
        self.consumer = Consumer({
            "bootstrap.servers": scenario.bootstrap(), "group.id": group, "auto.offset.reset": "earliest",
            "enable.auto.commit": False, "session.timeout.ms": 6000, "heartbeat.interval.ms": 500,
            "fetch.wait.max.ms": 100, "topic.metadata.refresh.interval.ms": 1000,
        })
        self.consumer.subscribe([topic], on_revoke=self.revoked)

    def revoked(self, consumer, _):
        # What was read is committed before somebody else goes on from there.
        try:
            consumer.commit(asynchronous=False)
        except Exception as error:
            if "_NO_OFFSET" not in str(error):
                raise

    def poll(self):
        out = []
        for message in self.consumer.consume(500, 0.1):
            if message.error():
                raise RuntimeError(message.error())
            out.append((message.partition(), message.offset(), message.value()))
        return out

    def owned(self):
        return {part.partition for part in self.consumer.assignment()}

    def commit(self):
        self.revoked(self.consumer, None)

    def close(self):
        self.consumer.close()


class Confluent:
    NAME = "confluent"
    CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]

    def __init__(self):
        self.admin = AdminClient({"bootstrap.servers": scenario.bootstrap()})

    def create(self, topic, partitions, configs):
        futures = self.admin.create_topics([NewTopic(topic, partitions, 1, config=configs)])
        futures[topic].result(15)

    def delete(self, topic):
        self.admin.delete_topics([topic])[topic].result(15)

    def topics(self):
        return set(self.admin.list_topics(timeout=10).topics)

    def partitions(self, topic):
        return len(self.admin.list_topics(topic, timeout=10).topics[topic].partitions)

    def describe_config(self, topic):
        resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
        found = self.admin.describe_configs([resource])[resource].result(15)
        return {name: entry.value for name, entry in found.items()}

    def produce(self, topic, records, codec):
        producer = Producer({"bootstrap.servers": scenario.bootstrap(), "compression.type": codec, "linger.ms": 5,
                             "enable.idempotence": True})
        errors = []
        for partition, key, value, headers in records:
            producer.produce(topic, value, key, partition, headers=headers,
                             on_delivery=lambda error, _: error and errors.append(error))
        left = producer.flush(20)
        assert not left and not errors, f"{left} records not acknowledged, errors {errors[:2]}"

    def read(self, topic, partition, first, count):
        consumer = Consumer({"bootstrap.servers": scenario.bootstrap(), "group.id": "unused", "check.crcs": True,
                             "enable.auto.commit": False})
        consumer.assign([TopicPartition(topic, partition, first)])
        out = []
        while len(out) < count:
            message = consumer.poll(15)
            assert message is not None, f"{len(out)} of {count} records within 15 s"
            if message.error():
                raise RuntimeError(message.error())
            out.append((message.offset(), message.key(), message.value(), message.headers() or []))
        consumer.close()
        return out

    def member(self, group, topic):
        return Member(group, topic)

    def groups(self):
        return {group.group_id for group in self.admin.list_consumer_groups().result(15).valid}

    def group_state(self, group):
        found = self.admin.describe_consumer_groups([group])[group].result(15)
        return found.state.name.capitalize(), len(found.members)

    def committed(self, group, topic, partitions):
        wanted = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, p) for p in range(partitions)])
        found = self.admin.list_consumer_group_offsets([wanted])[group].result(15)
        return {part.partition: part.offset for part in found.topic_partitions}


threading.excepthook = lambda args: None
scenario.run(Confluent())
