/* One-record produce requests (version 7, acks=all) over many plain connections, a fixed number in flight on each.
 *
 *   small HOST PORT TOPIC PARTITIONS CONNECTIONS DEPTH SECONDS     prints: requests seconds p50 p99 p99.9 (us)
 *
 * Every connection writes to its own partition (its number modulo PARTITIONS). Any error code in an answer ends the run.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { VALUE = 100, MOST = 20000000 };

struct conn {
    int fd;
    unsigned char frame[512], in[4096];
    size_t size, have;
    double sent[64];
    int head, flying;
    uint32_t next;
};

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void die(const char *what) {
    fprintf(stderr, "small: %s: %s\n", what, errno ? strerror(errno) : "unexpected answer");
    exit(1);
}

static uint32_t crc32c(const unsigned char *p, size_t n) {
    uint32_t crc = ~0u;
    while (n--) {
        crc ^= *p++;
        for (int k = 0; k < 8; k++) crc = crc & 1 ? (crc >> 1) ^ 0x82f63b78u : crc >> 1;
    }
    return ~crc;
}

static unsigned char *put(unsigned char *p, uint64_t v, int bytes) {
    for (int i = bytes - 1; i >= 0; i--) *p++ = (unsigned char)(v >> (8 * i));
    return p;
}

static unsigned char *text(unsigned char *p, const char *s) {
    p = put(p, strlen(s), 2);
    memcpy(p, s, strlen(s));
    return p + strlen(s);
}

/* A record batch of one record without key or headers. */
static unsigned char *batch(unsigned char *p) {
    unsigned char *start = p, body[VALUE + 16], *r = body;
    r = put(r, 0, 1);              /* attributes */
    r = put(r, 0, 1);              /* timestamp delta */
    r = put(r, 0, 1);              /* offset delta */
    r = put(r, 1, 1);              /* no key: zigzag -1 */
    *r++ = ((VALUE * 2) & 0x7f) | 0x80;
    *r++ = (VALUE * 2) >> 7;
    memset(r, 'x', VALUE);
    r += VALUE;
    r = put(r, 0, 1);              /* no headers */
    size_t record = (size_t)(r - body);
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    uint64_t ms = (uint64_t)t.tv_sec * 1000;
    p = put(p, 0, 8);
    p = put(p, 49 + 2 + record, 4);
    p = put(p, (uint32_t)-1, 4);
    p = put(p, 2, 1);
    unsigned char *crc = p;
    p = put(p, 0, 4);
    p = put(p, 0, 2);
    p = put(p, 0, 4);
    p = put(p, ms, 8);
    p = put(p, ms, 8);
    p = put(p, (uint64_t)-1, 8);
    p = put(p, 0xffff, 2);
    p = put(p, 0xffffffffu, 4);
    p = put(p, 1, 4);
    *p++ = ((record * 2) & 0x7f) | 0x80;
    *p++ = (unsigned char)((record * 2) >> 7);
    memcpy(p, body, record);
    p += record;
    put(crc, crc32c(crc + 4, (size_t)(p - crc - 4)), 4);
    (void)start;
    return p;
}

static void prepare(struct conn *c, const char *topic, int partition) {
    unsigned char b[256];
    size_t size = (size_t)(batch(b) - b);
    unsigned char *p = c->frame + 4;
    p = put(p, 0, 2);
    p = put(p, 7, 2);
    p = put(p, 0, 4);
    p = text(p, "small");
    p = put(p, 0xffff, 2);
    p = put(p, 0xffff, 2);
    p = put(p, 30000, 4);
    p = put(p, 1, 4);
    p = text(p, topic);
    p = put(p, 1, 4);
    p = put(p, (uint32_t)partition, 4);
    p = put(p, size, 4);
    memcpy(p, b, size);
    p += size;
    c->size = (size_t)(p - c->frame);
    put(c->frame, c->size - 4, 4);
}

static void ask(struct conn *c) {
    put(c->frame + 8, c->next, 4);
    c->sent[c->next++ % 64] = now_s();
    c->flying++;
    if (write(c->fd, c->frame, c->size) != (ssize_t)c->size) die("write");
}

static uint32_t *took;
static long answers;

/* Takes every whole answer out of the buffer. */
static void take(struct conn *c, size_t topic_bytes) {
    for (;;) {
        if (c->have < 4) return;
        size_t n = ((size_t)c->in[0] << 24 | (size_t)c->in[1] << 16 | (size_t)c->in[2] << 8 | c->in[3]) + 4;
        if (n > sizeof c->in) die("answer too long");
        if (c->have < n) return;
        uint32_t id = (uint32_t)c->in[4] << 24 | (uint32_t)c->in[5] << 16 | (uint32_t)c->in[6] << 8 | c->in[7];
        unsigned char *error = c->in + 8 + 4 + 2 + topic_bytes + 4 + 4;
        errno = 0;
        if (error[0] || error[1]) die("produce");
        if (answers < MOST) took[answers++] = (uint32_t)((now_s() - c->sent[id % 64]) * 1e6);
        memmove(c->in, c->in + n, c->have - n);
        c->have -= n;
        c->flying--;
    }
}

static int by_size(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    if (argc != 8) return fprintf(stderr, "see the head of small.c\n"), 2;
    const char *topic = argv[3];
    int partitions = atoi(argv[4]), count = atoi(argv[5]), depth = atoi(argv[6]);
    double seconds = atof(argv[7]);
    struct conn *conns = calloc((size_t)count, sizeof *conns);
    took = malloc(MOST * sizeof *took);
    int ep = epoll_create1(0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[2]))};
    inet_pton(AF_INET, argv[1], &to.sin_addr);
    for (int i = 0; i < count; i++) {
        struct conn *c = &conns[i];
        c->fd = socket(AF_INET, SOCK_STREAM, 0);
        int one = 1;
        setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (connect(c->fd, (struct sockaddr *)&to, sizeof to)) die("connect");
        prepare(c, topic, i % partitions);
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
        epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &e);
    }
    double start = now_s();
    for (int i = 0; i < count; i++)
        while (conns[i].flying < depth) ask(&conns[i]);
    while (now_s() - start < seconds) {
        struct epoll_event ready[64];
        int n = epoll_wait(ep, ready, 64, 1000);
        if (n == 0) die("no answer for a second");
        for (int i = 0; i < n; i++) {
            struct conn *c = ready[i].data.ptr;
            ssize_t got = read(c->fd, c->in + c->have, sizeof c->in - c->have);
            if (got <= 0) die("read");
            c->have += (size_t)got;
            take(c, strlen(topic));
            while (c->flying < depth) ask(c);
        }
    }
    double spent = now_s() - start;
    qsort(took, (size_t)answers, sizeof *took, by_size);
    printf("%ld %.6f %u %u %u\n", answers, spent, took[answers / 2], took[answers * 99 / 100], took[answers * 999 / 1000]);
    return 0;
}
