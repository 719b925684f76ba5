"""kafka-python: the pure Python client."""
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, NewTopic

import scenario


class Member:
    def __init__(self, group, topic):
        # Its listeners may not commit; with auto commit it commits by itself when partitions are taken away.
        self.consumer = KafkaConsumer(
            topic, bootstrap_servers=scenario.bootstrap(), group_id=group, auto_offset_reset="earliest",
            enable_auto_commit=True, auto_commit_interval_ms=3_600_000, session_timeout_ms=6000,
            heartbeat_interval_ms=500, fetch_max_wait_ms=100, metadata_max_age_ms=1000)

    def poll(self):
        found = self.consumer.poll(timeout_ms=100)
        return [(part.partition, record.offset, record.value) for part, many in found.items() for record in many]

    def owned(self):
        return {part.partition for part in self.consumer.assignment()}

    def commit(self):
        self.consumer.commit()

    def close(self):
        self.consumer.close(autocommit=False)


class KafkaPython:
    NAME = "kafka-python"
    CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
    NULL_HEADERS = False

    def __init__(self):
        self.admin = KafkaAdminClient(bootstrap_servers=scenario.bootstrap())

    def create(self, topic, partitions, configs):
        self.admin.create_topics([NewTopic(topic, partitions, 1, topic_configs=configs)])

    def delete(self, topic):
        self.admin.delete_topics([topic])

    def topics(self):
        return set(self.admin.list_topics())

    def partitions(self, topic):
        return len(self.admin.describe_topics([topic])[0]["partitions"])

    def describe_config(self, topic):
        wanted = [ConfigResource(ConfigResourceType.TOPIC, topic)]
        found = self.admin.describe_configs(wanted, config_filter="all")["topic"][topic]
        return {name: value["value"] if isinstance(value, dict) else value for name, value in found.items()}

    def produce(self, topic, records, codec):
        producer = KafkaProducer(bootstrap_servers=scenario.bootstrap(), linger_ms=5, acks="all",
                                 compression_type=None if codec == "none" else codec)
        futures = [producer.send(topic, value=value, key=key, headers=headers, partition=partition)
                   for partition, key, value, headers in records]
        producer.flush(20)
        for future in futures:
            future.get(20)
        producer.close()

    def read(self, topic, partition, first, count):
        consumer = KafkaConsumer(bootstrap_servers=scenario.bootstrap(), enable_auto_commit=False,
                                 consumer_timeout_ms=15000, check_crcs=True)
        part = TopicPartition(topic, partition)
        consumer.assign([part])
        consumer.seek(part, first)
        out = []
        for record in consumer:
            out.append((record.offset, record.key, record.value, list(map(tuple, record.headers))))
            if len(out) == count:
                break
        consumer.close()
        assert len(out) == count, f"{len(out)} of {count} records within 15 s"
        return out

    def member(self, group, topic):
        return Member(group, topic)

    def groups(self):
        return {group["group_id"] for group in self.admin.list_groups()}

    def group_state(self, group):
        found = self.admin.describe_groups([group])[group]
        return found["group_state"], len(found["members"])

    def committed(self, group, topic, partitions):
        found = self.admin.list_group_offsets(group)
        return {part.partition: meta.offset for part, meta in found.get(group, found).items()}


scenario.run(KafkaPython())
