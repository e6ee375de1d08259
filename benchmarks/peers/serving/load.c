/* A load generator for one machine: one thread, one epoll, HTTP/1.1 or gRPC, a closed loop or a constant rate.

   load http|grpc PORT CONNECTIONS SECONDS RATE GRACE MESSAGES   (GRACE: seconds that unanswered requests may still take)

   RATE 0 is a closed loop: each connection sends the next request when it has the answer. Otherwise request k is due at
   k / RATE seconds, and its latency counts from then, also where it could only be sent later because every connection
   waited for an answer: a slow server cannot slow down the schedule it is judged by (no coordinated omission).

   MESSAGES is a file of u32 lengths, each followed by so many bytes. http: whole requests. grpc: first the HPACK block
   of the request headers, then gRPC messages with their five bytes of prefix. They are sent in turn.

   Prints one JSON object. Connections are plain ones to 127.0.0.1 and nowhere else. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define HEAD_MAX 65536
#define FRAME_MAX 16384 /* HTTP/2's smallest limit of a frame: a message has to fit into one */

typedef struct { uint8_t *at; uint32_t size; } Message;
typedef struct { uint32_t *us; size_t count, room; } Times;
enum State { CLOSED, CONNECTING, IDLE, BUSY };

typedef struct {
    int fd;
    enum State state;
    double due, sent, retry; /* when the request was due and was sent; when to connect again */
    uint8_t *out; size_t out_size, out_sent, out_room;
    uint8_t in[HEAD_MAX]; size_t in_size;
    /* HTTP/1.1: what of the answer is still to come */
    int in_body, chunked, close_after, status, retry_after;
    size_t left; int trailer;
    /* HTTP/2 */
    uint32_t stream; int64_t window; size_t skip, received, data; int ending;
    const Message *held; /* waits for the connection's window */
} Connection;

static Message *messages; static size_t message_count, next_message;
static Message header_block;
static int grpc, port, epoll_fd;
static Times good, served, refused; /* good: from when it was due; served: the same from when it was sent */
static uint64_t statuses[600], broken, failed, retry_afters;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static void die(const char *what) { perror(what); exit(1); }

static void note(Times *times, double seconds) {
    if (times->count == times->room) {
        times->room = times->room ? 2 * times->room : 65536;
        times->us = realloc(times->us, times->room * sizeof *times->us);
        if (!times->us) die("memory");
    }
    double us = seconds * 1e6;
    times->us[times->count++] = us < 4e9 ? (uint32_t)us : 4000000000u;
}

static void put(Connection *c, const void *bytes, size_t size) {
    if (c->out_sent == c->out_size) c->out_sent = c->out_size = 0;
    if (c->out_size + size > c->out_room) {
        c->out_room = 2 * (c->out_size + size);
        c->out = realloc(c->out, c->out_room);
        if (!c->out) die("memory");
    }
    memcpy(c->out + c->out_size, bytes, size);
    c->out_size += size;
}

static void frame(Connection *c, int type, int flags, uint32_t stream, const void *payload, uint32_t size) {
    uint8_t head[9] = {size >> 16, size >> 8, size, type, flags, stream >> 24, stream >> 16, stream >> 8, stream};
    put(c, head, 9);
    put(c, payload, size);
}

static void shut(Connection *c) {
    if (c->state == BUSY) broken++;
    close(c->fd);
    c->state = CLOSED;
    c->retry = now() + 0.01;
}

static void flush(Connection *c) {
    while (c->out_sent < c->out_size) {
        ssize_t n = send(c->fd, c->out + c->out_sent, c->out_size - c->out_sent, MSG_NOSIGNAL);
        if (n < 0) {
            if (errno != EAGAIN) shut(c);
            return; /* the edge-triggered EPOLLOUT says when to go on */
        }
        c->out_sent += n;
    }
}

static void dial(Connection *c) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int one = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (c->fd < 0) die("socket");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    c->out_size = c->out_sent = c->in_size = c->skip = 0;
    c->in_body = c->stream = 0;
    c->held = NULL;
    c->state = CONNECTING;
    if (connect(c->fd, (struct sockaddr *)&address, sizeof address) < 0 && errno != EINPROGRESS) { shut(c); return; }
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &event) < 0) die("epoll_ctl");
}

static void connected(Connection *c) {
    c->state = IDLE;
    if (!grpc) return;
    static const uint8_t settings[] = {0, 2, 0, 0, 0, 0, 0, 4, 0x7f, 0xff, 0xff, 0xff}; /* no push; the largest window */
    static const uint8_t more[] = {0x7f, 0xff, 0, 0};                                  /* and of the connection */
    put(c, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
    frame(c, 4, 0, 0, settings, sizeof settings);
    frame(c, 8, 0, 0, more, sizeof more);
    c->stream = 1;
    c->window = 65535;
    c->received = 0;
    flush(c);
}

static void send_held(Connection *c) {
    if (!c->held || c->window < c->held->size) return;
    c->window -= c->held->size;
    frame(c, 0, 1, c->stream, c->held->at, c->held->size);
    c->held = NULL;
}

static void begin(Connection *c, double due) {
    const Message *message = &messages[next_message++ % message_count];
    c->due = due;
    c->sent = now();
    c->state = BUSY;
    if (grpc) {
        c->data = 0;
        frame(c, 1, 4, c->stream, header_block.at, header_block.size);
        c->held = message;
        send_held(c);
    } else {
        put(c, message->at, message->size);
    }
    flush(c);
}

static void answered(Connection *c) {
    double at = now(), took = at - c->due;
    c->state = IDLE;
    if (grpc) {
        c->stream += 2;
        if (c->data > 5) { note(&good, took); note(&served, at - c->sent); }
        else { failed++; note(&refused, took); } /* an error has trailers and no message */
        return;
    }
    statuses[c->status < 600 ? c->status : 0]++;
    if (c->status >= 200 && c->status < 300) { note(&good, took); note(&served, at - c->sent); }
    else { failed++; note(&refused, took); retry_afters += c->retry_after; }
    if (c->close_after) shut(c);
}

/* Read the head of an answer; 0 while it is not whole. */
static int read_head(Connection *c) {
    uint8_t *end = memmem(c->in, c->in_size, "\r\n\r\n", 4);
    if (!end) {
        if (c->in_size == HEAD_MAX) shut(c);
        return 0;
    }
    c->status = c->in_size > 12 ? atoi((char *)c->in + 9) : 0;
    c->left = c->chunked = c->close_after = c->retry_after = c->trailer = 0;
    for (uint8_t *line = c->in; line < end; line = (uint8_t *)memmem(line, end + 2 - line, "\r\n", 2) + 2) {
        char *text = (char *)line;
        if (!strncasecmp(text, "content-length:", 15)) c->left = strtoul(text + 15, NULL, 10);
        else if (!strncasecmp(text, "transfer-encoding: chunked", 26)) c->chunked = 1;
        else if (!strncasecmp(text, "connection: close", 17)) c->close_after = 1;
        else if (!strncasecmp(text, "retry-after:", 12)) c->retry_after = 1;
    }
    size_t used = end + 4 - c->in;
    c->in_size -= used;
    memmove(c->in, end + 4, c->in_size);
    c->in_body = 1;
    return 1;
}

/* Read what of a chunked body is there; 1 when it has ended. */
static int read_chunks(Connection *c) {
    size_t at = 0;
    int whole = 0;
    while (at < c->in_size && !whole) {
        if (c->left) {
            size_t n = c->in_size - at < c->left ? c->in_size - at : c->left;
            at += n;
            c->left -= n;
            continue;
        }
        uint8_t *end = memmem(c->in + at, c->in_size - at, "\r\n", 2);
        if (!end) break;
        if (c->trailer) whole = end == c->in + at;
        else if (end != c->in + at) { /* an empty line ends the chunk before */
            c->left = strtoul((char *)c->in + at, NULL, 16);
            c->trailer = !c->left;
        }
        at = end + 2 - c->in;
    }
    c->in_size -= at;
    memmove(c->in, c->in + at, c->in_size);
    return whole;
}

static void read_http(Connection *c) {
    while (c->state == BUSY && (c->in_body || read_head(c))) {
        if (c->chunked) {
            if (!read_chunks(c)) return;
        } else {
            size_t n = c->in_size < c->left ? c->in_size : c->left;
            c->left -= n;
            c->in_size -= n;
            memmove(c->in, c->in + n, c->in_size);
            if (c->left) return;
        }
        c->in_body = 0;
        answered(c);
    }
}

static uint32_t number(const uint8_t *p) { return (uint32_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3]; }

/* A whole frame that is not DATA. */
static void read_frame(Connection *c, int type, int flags, uint32_t stream, const uint8_t *payload, size_t size) {
    if (type == 4 && !(flags & 1)) frame(c, 4, 1, 0, "", 0);
    else if (type == 6 && !(flags & 1)) frame(c, 6, 1, 0, payload, size);
    else if (type == 7) shut(c);
    else if (type == 8 && stream == 0 && size == 4) { c->window += number(payload) & 0x7fffffff; send_held(c); }
    else if ((type == 3 || (type == 1 && flags & 1)) && stream == c->stream && c->state == BUSY) answered(c);
}

static void read_grpc(Connection *c) {
    size_t at = 0;
    while (c->state != CLOSED) {
        if (c->skip) { /* the rest of a DATA frame */
            size_t n = c->in_size - at < c->skip ? c->in_size - at : c->skip;
            at += n;
            c->skip -= n;
            c->data += n;
            c->received += n;
            if (c->skip) break;
            if (c->ending && c->state == BUSY) answered(c);
        }
        if (c->in_size - at < 9) break;
        const uint8_t *head = c->in + at;
        size_t size = head[0] << 16 | head[1] << 8 | head[2];
        uint32_t stream = number(head + 5) & 0x7fffffff;
        if (head[3] == 0) {
            c->ending = head[4] & 1;
            c->skip = size;
            at += 9;
            if (!size && c->ending && c->state == BUSY) answered(c);
            continue;
        }
        if (size > FRAME_MAX) { shut(c); return; }
        if (c->in_size - at < 9 + size) break;
        read_frame(c, head[3], head[4], stream, head + 9, size);
        at += 9 + size;
    }
    if (c->state == CLOSED) return;
    c->in_size -= at;
    memmove(c->in, c->in + at, c->in_size);
    if (c->received > 1u << 30) {
        uint8_t more[4] = {c->received >> 24, c->received >> 16, c->received >> 8, c->received};
        frame(c, 8, 0, 0, more, 4);
        c->received = 0;
    }
    flush(c);
}

static void readable(Connection *c) {
    while (c->state == IDLE || c->state == BUSY) {
        ssize_t n = recv(c->fd, c->in + c->in_size, HEAD_MAX - c->in_size, 0);
        if (n < 0 && errno == EAGAIN) return;
        if (n <= 0) { shut(c); return; }
        c->in_size += n;
        if (grpc) read_grpc(c); else read_http(c);
    }
}

static void read_messages(const char *path) {
    FILE *file = fopen(path, "rb");
    uint32_t size;
    size_t room = 0;
    if (!file) die(path);
    while (fread(&size, 4, 1, file) == 1) {
        Message message = {malloc(size), size};
        if (!message.at || fread(message.at, 1, size, file) != size) die("messages");
        if (grpc && size > FRAME_MAX) { fprintf(stderr, "a message of %u bytes does not fit a frame\n", size); exit(1); }
        if (grpc && !header_block.at) { header_block = message; continue; }
        if (message_count == room) messages = realloc(messages, (room = room ? 2 * room : 1024) * sizeof *messages);
        messages[message_count++] = message;
    }
    if (!message_count) { fprintf(stderr, "no messages\n"); exit(1); }
}

static int ascending(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void show_times(const char *name, Times *t) {
    static const double shares[] = {0.5, 0.9, 0.95, 0.99, 0.999, 1};
    static const char *names[] = {"p50", "p90", "p95", "p99", "p999", "max"};
    qsort(t->us, t->count, sizeof *t->us, ascending);
    printf("\"%s\": {\"count\": %zu", name, t->count);
    for (int i = 0; i < 6 && t->count; i++) {
        size_t at = (size_t)(shares[i] * t->count);
        printf(", \"%s\": %.3f", names[i], t->us[at < t->count ? at : t->count - 1] / 1e3);
    }
    printf("}, ");
}

int main(int argc, char **argv) {
    if (argc != 8) { fprintf(stderr, "load http|grpc PORT CONNECTIONS SECONDS RATE GRACE MESSAGES\n"); return 2; }
    grpc = !strcmp(argv[1], "grpc");
    port = atoi(argv[2]);
    int connections = atoi(argv[3]);
    double seconds = atof(argv[4]), rate = atof(argv[5]), grace = atof(argv[6]);
    read_messages(argv[7]);
    prctl(PR_SET_TIMERSLACK, 1000);
    epoll_fd = epoll_create1(0);
    Connection *all = calloc(connections, sizeof *all);
    if (!all) die("memory");
    for (int i = 0; i < connections; i++) dial(&all[i]);

    double start = now(), stop = start + seconds, t = start, last = start;
    uint64_t sent = 0;
    int busy = 0, cursor = 0;
    struct epoll_event events[256];
    while ((t = now()) < stop || (busy && t < stop + grace)) {
        double wake = t < stop ? stop : stop + grace;
        busy = 0;
        for (int i = 0; i < connections; i++) {
            Connection *c = &all[(cursor + i) % connections]; /* in turn, so that every connection works */
            if (c->state == CLOSED && t < stop) {
                if (t >= c->retry) dial(c);
                else if (c->retry < wake) wake = c->retry;
            }
            if (c->state == IDLE && t < stop) {
                double due = rate > 0 ? start + sent / rate : t;
                if (due <= t) { sent++; begin(c, due); last = t; }
                else if (due < wake) wake = due;
            }
            busy += c->state == BUSY;
        }
        if (t >= stop && !busy) break;
        cursor = (cursor + 1) % connections;
        double wait = wake - now();
        struct timespec timeout = {0, 0};
        if (wait > 0) { timeout.tv_sec = (time_t)wait; timeout.tv_nsec = (wait - (time_t)wait) * 1e9; }
        int n = epoll_pwait2(epoll_fd, events, 256, &timeout, NULL);
        for (int i = 0; i < n; i++) {
            Connection *c = events[i].data.ptr;
            if (c->state == CLOSED) continue;
            if (c->state == CONNECTING) {
                int error = 0;
                socklen_t size = sizeof error;
                getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
                if (error || events[i].events & (EPOLLERR | EPOLLHUP)) { shut(c); continue; }
                if (events[i].events & EPOLLOUT) connected(c);
            }
            if (events[i].events & EPOLLOUT) flush(c);
            if (c->state != CLOSED && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLRDHUP | EPOLLERR)) readable(c);
        }
    }
    uint64_t unanswered = 0;
    for (int i = 0; i < connections; i++) unanswered += all[i].state == BUSY;
    uint64_t due = rate > 0 ? (uint64_t)(seconds * rate) : sent;
    printf("{\"seconds\": %.4f, \"due\": %lu, \"sent\": %lu, \"broken\": %lu, \"unanswered\": %lu, \"failed\": %lu, ",
           seconds, due > sent ? due : sent, sent, broken, unanswered, failed);
    /* stopped: on the monotonic clock, when no more requests were due */
    printf("\"retry_after\": %lu, \"last_sent\": %.4f, \"stopped\": %.6f, ", retry_afters, last - start, stop);
    show_times("ok", &good);
    show_times("served", &served);
    show_times("refused", &refused);
    printf("\"statuses\": {");
    for (int i = 0, first = 1; i < 600; i++)
        if (statuses[i]) { printf("%s\"%d\": %lu", first ? "" : ", ", i, statuses[i]); first = 0; }
    printf("}}\n");
    return 0;
}
