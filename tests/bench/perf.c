/* A load on any Kafka broker, through librdkafka: throughput of one producer or consumer, and end-to-end latency.
 *
 *   perf produce BROKER TOPIC PARTITION|-1 SIZE COUNT ACKS      prints: seconds, messages, bytes, failed
 *   perf consume BROKER TOPIC PARTITIONS COUNT                  prints: seconds, messages, bytes
 *   perf latency BROKER TOPIC SIZE RATE SECONDS ACKS            prints: p50 p99 p99.9 of ack and of end to end, in us
 *
 * It prints numbers; judging them is up to whoever called. Partition -1 sends every record to a random partition. The broker
 * `mock:N` is librdkafka's own, in this process, with N partitions: it keeps nothing, so it shows what the client alone can do.
 */
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <pthread.h>
#include <unistd.h>

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void die(const char *what, const char *why) {
    fprintf(stderr, "perf: %s: %s\n", what, why);
    exit(1);
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value) {
    char err[256];
    if (rd_kafka_conf_set(conf, name, value, err, sizeof err) != RD_KAFKA_CONF_OK) die(name, err);
}

static long delivered, failed;

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque) {
    (void)rk;
    (void)opaque;
    if (m->err) failed++;
    else delivered++;
}

static rd_kafka_t *client(rd_kafka_type_t type, rd_kafka_conf_t *conf) {
    char err[256];
    rd_kafka_t *rk = rd_kafka_new(type, conf, err, sizeof err);
    if (!rk) die("client", err);
    return rk;
}

static int produce(char **a) {
    const char *brokers = a[0], *topic = a[1], *acks = a[5];
    int32_t partition = atoi(a[2]);
    size_t size = strtoul(a[3], 0, 10);
    long count = atol(a[4]);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    int mocked = strncmp(brokers, "mock:", 5) ? 0 : atoi(brokers + 5);
    if (mocked) set(conf, "test.mock.num.brokers", "1");
    else set(conf, "bootstrap.servers", brokers);
    set(conf, "acks", acks);
    set(conf, "linger.ms", "5");
    set(conf, "batch.size", "1000000");
    set(conf, "queue.buffering.max.kbytes", "262144");
    set(conf, "queue.buffering.max.messages", "1000000");
    set(conf, "sticky.partitioning.linger.ms", "0");
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_t *rk = client(RD_KAFKA_PRODUCER, conf);
    if (mocked && rd_kafka_mock_topic_create(rd_kafka_handle_mock_cluster(rk), topic, mocked, 1)) die(topic, "no mock topic");
    rd_kafka_topic_conf_t *tc = rd_kafka_topic_conf_new();
    rd_kafka_topic_conf_set_partitioner_cb(tc, rd_kafka_msg_partitioner_random);
    rd_kafka_topic_t *rkt = rd_kafka_topic_new(rk, topic, tc);
    char *value = malloc(size);
    for (size_t i = 0; i < size; i++) value[i] = (char)('a' + i % 26);
    const struct rd_kafka_metadata *md;
    if (rd_kafka_metadata(rk, 0, rkt, &md, 10000)) die(topic, "no metadata");
    rd_kafka_metadata_destroy(md);
    double start = now_s();
    for (long i = 0; i < count;) {
        int32_t to = partition < 0 ? RD_KAFKA_PARTITION_UA : partition;
        if (rd_kafka_produce(rkt, to, RD_KAFKA_MSG_F_COPY, value, size, NULL, 0, NULL) == 0) {
            if (++i % 1000 == 0) rd_kafka_poll(rk, 0);
        } else if (rd_kafka_last_error() == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
            rd_kafka_poll(rk, 10);
        } else {
            die("produce", rd_kafka_err2str(rd_kafka_last_error()));
        }
    }
    rd_kafka_flush(rk, 120000);
    double took = now_s() - start;
    printf("%.6f %ld %.0f %ld\n", took, delivered, (double)delivered * size, failed);
    return failed != 0 || delivered != count;
}

static int consume(char **a) {
    const char *brokers = a[0], *topic = a[1];
    int partitions = atoi(a[2]);
    long count = atol(a[3]), seen = 0;
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", brokers);
    set(conf, "fetch.message.max.bytes", "4194304");
    set(conf, "queued.max.messages.kbytes", "262144");
    set(conf, "queued.min.messages", "1000000");
    set(conf, "check.crcs", "false");
    rd_kafka_t *rk = client(RD_KAFKA_CONSUMER, conf);
    rd_kafka_topic_t *rkt = rd_kafka_topic_new(rk, topic, NULL);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    for (int p = 0; p < partitions; p++)
        if (rd_kafka_consume_start_queue(rkt, p, RD_KAFKA_OFFSET_BEGINNING, queue)) die("consume", topic);
    double start = 0, bytes = 0, idle = now_s();
    rd_kafka_message_t *batch[10000];
    while (seen < count) {
        ssize_t n = rd_kafka_consume_batch_queue(queue, 100, batch, 10000);
        if (n > 0) idle = now_s();
        else if (now_s() - idle > 30) die("consume", "no message for 30 s");
        for (ssize_t i = 0; i < n; i++) {
            if (!batch[i]->err) {
                if (!seen) start = now_s();
                seen++;
                bytes += batch[i]->len;
            }
            rd_kafka_message_destroy(batch[i]);
        }
    }
    printf("%.6f %ld %.0f\n", now_s() - start, seen, bytes);
    return 0;
}

static uint32_t *ack_us, *e2e_us;
static long acks_seen, e2e_seen, wanted;

static void on_timed_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque) {
    (void)rk;
    (void)opaque;
    double sent;
    if (m->err) die("latency", rd_kafka_err2str(m->err));
    memcpy(&sent, m->payload, sizeof sent);
    ack_us[acks_seen++] = (uint32_t)((now_s() - sent) * 1e6);
}

static void *read_latency(void *arg) {
    rd_kafka_queue_t *queue = arg;
    double idle = now_s();
    while (e2e_seen < wanted && now_s() - idle < 20) {
        rd_kafka_message_t *m = rd_kafka_consume_queue(queue, 200);
        if (!m) continue;
        if (!m->err) {
            double sent;
            memcpy(&sent, m->payload, sizeof sent);
            e2e_us[e2e_seen++] = (uint32_t)((now_s() - sent) * 1e6);
            idle = now_s();
        }
        rd_kafka_message_destroy(m);
    }
    return NULL;
}

static volatile int polling = 1;

static void *poll_deliveries(void *arg) {
    while (polling) rd_kafka_poll(arg, 100);
    return NULL;
}

static int by_size(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void percentiles(uint32_t *v, long n) {
    qsort(v, n, sizeof *v, by_size);
    printf("%u %u %u ", v[n / 2], v[n * 99 / 100], v[n * 999 / 1000]);
}

static int latency(char **a) {
    const char *brokers = a[0], *topic = a[1], *acks = a[5];
    size_t size = strtoul(a[2], 0, 10);
    long rate = atol(a[3]);
    wanted = rate * atol(a[4]);
    ack_us = malloc(wanted * sizeof *ack_us);
    e2e_us = malloc(wanted * sizeof *e2e_us);
    rd_kafka_conf_t *cc = rd_kafka_conf_new();
    set(cc, "bootstrap.servers", brokers);
    set(cc, "fetch.wait.max.ms", "500");
    set(cc, "fetch.error.backoff.ms", "0");
    rd_kafka_t *consumer = client(RD_KAFKA_CONSUMER, cc);
    rd_kafka_topic_t *from = rd_kafka_topic_new(consumer, topic, NULL);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(consumer);
    if (rd_kafka_consume_start_queue(from, 0, RD_KAFKA_OFFSET_END, queue)) die("consume", topic);
    rd_kafka_conf_t *pc = rd_kafka_conf_new();
    set(pc, "bootstrap.servers", brokers);
    set(pc, "acks", acks);
    set(pc, "linger.ms", "0");
    rd_kafka_conf_set_dr_msg_cb(pc, on_timed_delivery);
    rd_kafka_t *rk = client(RD_KAFKA_PRODUCER, pc);
    rd_kafka_topic_t *to = rd_kafka_topic_new(rk, topic, NULL);
    char *value = calloc(1, size);
    struct timespec settle = {2, 0};
    nanosleep(&settle, NULL);
    pthread_t reader, poller;
    pthread_create(&reader, NULL, read_latency, queue);
    pthread_create(&poller, NULL, poll_deliveries, rk);
    double start = now_s();
    for (long i = 0; i < wanted; i++) {
        double due = start + (double)i / rate;
        struct timespec until = {(time_t)due, (long)((due - (time_t)due) * 1e9)};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
        memcpy(value, &due, sizeof due);
        if (rd_kafka_produce(to, 0, RD_KAFKA_MSG_F_COPY, value, size, NULL, 0, NULL)) die("produce", topic);
    }
    pthread_join(reader, NULL);
    for (int i = 0; i < 300 && acks_seen < wanted; i++) usleep(100000);
    polling = 0;
    pthread_join(poller, NULL);
    if (acks_seen != wanted || e2e_seen != wanted) die("latency", "messages are missing");
    percentiles(ack_us, wanted);
    percentiles(e2e_us, wanted);
    printf("\n");
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 8 && !strcmp(argv[1], "produce")) return produce(argv + 2);
    if (argc == 6 && !strcmp(argv[1], "consume")) return consume(argv + 2);
    if (argc == 8 && !strcmp(argv[1], "latency")) return latency(argv + 2);
    fprintf(stderr, "see the head of perf.c\n");
    return 2;
}
