"""aiokafka: the asyncio client, driven from the scenario's threads through one event loop."""
import asyncio
import threading

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

import scenario

LOOP = asyncio.new_event_loop()
threading.Thread(target=LOOP.run_forever, daemon=True).start()


def wait(work, seconds=30):
    return asyncio.run_coroutine_threadsafe(work, LOOP).result(seconds)


class Member(ConsumerRebalanceListener):
    def __init__(self, group, topic):
        wait(self.start(group, topic))

    async def start(self, group, topic):
        self.consumer = AIOKafkaConsumer(
            bootstrap_servers=scenario.bootstrap(), group_id=group, auto_offset_reset="earliest",
            enable_auto_commit=False, session_timeout_ms=6000, heartbeat_interval_ms=500, fetch_max_wait_ms=100,
            metadata_max_age_ms=1000)
        self.consumer.subscribe([topic], listener=self)
        await self.consumer.start()

    async def on_partitions_revoked(self, revoked):
        if revoked:
            await self.consumer.commit()

    def on_partitions_assigned(self, assigned):
        pass

    def poll(self):
        found = wait(self.consumer.getmany(timeout_ms=100))
        return [(part.partition, record.offset, record.value) for part, many in found.items() for record in many]

    def owned(self):
        return {part.partition for part in self.consumer.assignment()}

    def commit(self):
        wait(self.consumer.commit())

    def close(self):
        wait(self.consumer.stop())


class Aiokafka:
    NAME = "aiokafka"
    CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]

    def __init__(self):
        async def start():
            self.admin = AIOKafkaAdminClient(bootstrap_servers=scenario.bootstrap())
            await self.admin.start()
        wait(start())

    def create(self, topic, partitions, configs):
        response = wait(self.admin.create_topics([NewTopic(topic, partitions, 1, topic_configs=configs)]))
        for name, code, *rest in response.topic_errors:
            assert code == 0, f"{name}: error {code} {rest}"

    def delete(self, topic):
        response = wait(self.admin.delete_topics([topic]))
        assert all(code == 0 for _, code, *_ in response.topic_error_codes), response

    def topics(self):
        return set(wait(self.admin.list_topics()))

    def partitions(self, topic):
        return len(wait(self.admin.describe_topics([topic]))[0]["partitions"])

    def describe_config(self, topic):
        responses = wait(self.admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)]))
        code, message, _, _, entries = responses[0].resources[0]
        assert code == 0, message
        return {entry[0]: entry[1] for entry in entries}

    def produce(self, topic, records, codec):
        async def work():
            producer = AIOKafkaProducer(bootstrap_servers=scenario.bootstrap(), linger_ms=5, enable_idempotence=True,
                                        compression_type=None if codec == "none" else codec)
            await producer.start()
            try:
                sent = [await producer.send(topic, value, key, partition, headers=headers)
                        for partition, key, value, headers in records]
                await asyncio.gather(*sent)
            finally:
                await producer.stop()
        wait(work())

    def read(self, topic, partition, first, count):
        async def work():
            consumer = AIOKafkaConsumer(bootstrap_servers=scenario.bootstrap(), enable_auto_commit=False,
                                        check_crcs=True)
            await consumer.start()
            try:
                part = TopicPartition(topic, partition)
                consumer.assign([part])
                consumer.seek(part, first)
                out = []
                while len(out) < count:
                    record = await asyncio.wait_for(consumer.getone(), 15)
                    out.append((record.offset, record.key, record.value, list(map(tuple, record.headers))))
                return out
            finally:
                await consumer.stop()
        return wait(work())

    def member(self, group, topic):
        return Member(group, topic)

    def groups(self):
        return {group[0] for group in wait(self.admin.list_consumer_groups())}

    def group_state(self, group):
        responses = wait(self.admin.describe_consumer_groups([group]))
        code, _, state, _, _, members, *_ = responses[0].groups[0]
        assert code == 0, f"error {code}"
        return state, len(members)

    def committed(self, group, topic, partitions):
        found = wait(self.admin.list_consumer_group_offsets(group))
        return {part.partition: meta.offset for part, meta in found.items()}


scenario.run(Aiokafka())
