/* gRPC health (grpc.health.v1.Health/Check) over cleartext HTTP/2, with frames written and read by hand:
   one call on one connection needs no HTTP/2 library, and none would fit into a probe of this size. */
#define _GNU_SOURCE
#include "probe.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum { DATA = 0, HEADERS = 1, RST_STREAM = 3, SETTINGS = 4, PING = 6, GOAWAY = 7 };
enum { END_STREAM = 0x1, ACK = 0x1, END_HEADERS = 0x4, PADDED = 0x8, PRIORITY = 0x20 };
enum { HEAD = 9, MAX_FRAME = 16384, GOES_ON = -1 };  /* MAX_FRAME: what HTTP/2 allows as long as we ask for no more */

struct frame {
    unsigned type, flags, stream;
    size_t size;
    uint8_t data[MAX_FRAME + 1];  /* + 1: room to end it as text */
};

static uint32_t big_endian(const uint8_t *bytes) {
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static void append_frame(struct buffer *to, unsigned type, unsigned flags, unsigned stream, const void *data,
                         size_t size) {
    const uint8_t head[HEAD] = {(uint8_t)(size >> 16), (uint8_t)(size >> 8), (uint8_t)size, (uint8_t)type,
                                (uint8_t)flags, 0, 0, 0, (uint8_t)stream};
    append(to, head, sizeof head);
    append(to, data, size);
}

/* Seven bits a byte, low first: protobuf's lengths are written so, and what HPACK puts behind a full prefix. */
static void append_varint(struct buffer *to, size_t value) {
    for (; value > 127; value >>= 7)
        append(to, &(uint8_t){(uint8_t)(value | 128)}, 1);
    append(to, &(uint8_t){(uint8_t)value}, 1);
}

static void append_hpack_string(struct buffer *to, const char *text) {
    size_t size = strlen(text);
    if (size < 127)
        append_varint(to, size);
    else {
        append(to, "\x7f", 1);
        append_varint(to, size - 127);
    }
    append(to, text, size);
}

static bool send_request(const struct probe *probe) {
    char authority[300];
    bool v6 = strchr(probe->host, ':');
    snprintf(authority, sizeof authority, v6 ? "[%s]:%s" : "%s:%s", probe->host, probe->port);
    const char *fields[] = {":method", "POST", ":scheme", "http", ":path", "/grpc.health.v1.Health/Check",
                            ":authority", authority, "te", "trailers", "content-type", "application/grpc",
                            "user-agent", "llmdeploy-probe"};
    struct buffer headers = {.size = 0}, message = {.size = 0}, body = {.size = 0}, request = {.size = 0};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        if (i % 2 == 0)
            append(&headers, "\0", 1);  /* a literal, kept out of the dynamic table: no state to keep on either side */
        append_hpack_string(&headers, fields[i]);
    }
    if (*probe->path) {
        append(&message, "\x0a", 1);  /* field 1, a string: HealthCheckRequest.service */
        append_varint(&message, strlen(probe->path));
        append_text(&message, probe->path);
    }
    const uint8_t prefix[5] = {0, 0, 0, (uint8_t)(message.size >> 8), (uint8_t)message.size};
    append(&body, prefix, sizeof prefix);
    append(&body, message.data, message.size);

    append_text(&request, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    append_frame(&request, SETTINGS, 0, 0, "", 0);
    append_frame(&request, HEADERS, END_HEADERS, 1, headers.data, headers.size);
    append_frame(&request, DATA, END_STREAM, 1, body.data, body.size);
    return transmit(probe, request.data, request.size);
}

/* 1: all of it is here; 0: the connection ended; -1: errno says why. */
static int receive_all(const struct probe *probe, uint8_t *into, size_t size) {
    while (size) {
        ssize_t got = receive(probe, into, size, probe->deadline);
        if (got <= 0)
            return (int)got;
        into += got;
        size -= (size_t)got;
    }
    return 1;
}

/* A number of up to three digits as an HPACK string, plain or Huffman coded; -1 when it is anything else. */
static int hpack_number(const uint8_t *at, const uint8_t *end) {
    if (at >= end)
        return -1;
    bool huffman = *at & 0x80;
    int size = *at++ & 0x7f, number = 0, digits = 0;
    if (size < 1 || size > 3 || end - at < size)
        return -1;
    if (!huffman) {
        for (; digits < size && at[digits] >= '0' && at[digits] <= '9'; digits++)
            number = number * 10 + at[digits] - '0';
        return digits == size ? number : -1;
    }
    uint32_t bits = 0;
    for (int i = 0; i < size; i++)
        bits = bits << 8 | at[i];
    /* The codes of 0 to 2 are these numbers in five bits, those of 3 to 9 are 25 to 31 in six; ones fill up. */
    for (int left = size * 8; left >= 5; digits++) {
        unsigned five = bits >> (left - 5) & 31, six = left >= 6 ? bits >> (left - 6) & 63 : 63;
        if (five <= 2) {
            number = number * 10 + (int)five;
            left -= 5;
        } else if (six >= 25 && six <= 31) {
            number = number * 10 + (int)six - 22;
            left -= 6;
        } else
            break;
    }
    return digits ? number : -1;
}

/* The :status at the start of a header block; -1 when the block does not start with one. */
static int http_status(const uint8_t *at, const uint8_t *end) {
    static const int indexed[] = {200, 204, 206, 304, 400, 404, 500};  /* HPACK's static table from entry 8 on */
    while (at < end && (*at & 0xe0) == 0x20) {  /* changes of the dynamic table's size may come first */
        bool longer = (*at++ & 0x1f) == 0x1f;
        while (longer && at < end)
            longer = *at++ & 0x80;
    }
    if (at < end && *at >= 0x88 && *at <= 0x8e)
        return indexed[*at - 0x88];
    if (at < end && (*at == 0x48 || *at == 0x08 || *at == 0x18))
        return hpack_number(at + 1, end);
    return -1;
}

/* grpc-status is in no static table and appears once, so its name is spelled out, plain or Huffman coded.
   Looking for it finds it without a decoder of all HPACK; it only words the message, never decides. */
static int grpc_status(const uint8_t *block, const uint8_t *end) {
    static const char plain[] = "\x0bgrpc-status", coded[] = "\x88\x9a\xca\xc8\xb2\x12\x34\xda\x8f";
    const uint8_t *found = memmem(block, (size_t)(end - block), plain, sizeof plain - 1);
    if (found)
        return hpack_number(found + sizeof plain - 1, end);
    found = memmem(block, (size_t)(end - block), coded, sizeof coded - 1);
    return found ? hpack_number(found + sizeof coded - 1, end) : -1;
}

static int failed_status(const struct probe *probe, int status) {
    static const char *const names[] = {
        "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
        "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE",
        "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"};
    if (status == 12)
        return failed(probe, "UNIMPLEMENTED: the server has no grpc.health.v1.Health");
    if (status == 5)
        return failed(probe, "NOT_FOUND: the health service does not know the service \"%.100s\"", probe->path);
    if (status < 1 || status > 16)
        return failed(probe, "the call ended without an answer");
    return failed(probe, "%s", names[status]);
}

/* Cuts padding and priority off; false when the frame contradicts itself. */
static bool unpack(const struct frame *frame, const uint8_t **at, const uint8_t **end) {
    *at = frame->data;
    *end = frame->data + frame->size;
    size_t front = 0, padding = 0;
    if (frame->flags & PADDED) {
        padding = frame->size ? frame->data[0] : 0;
        front = 1;
    }
    if (frame->type == HEADERS && frame->flags & PRIORITY)
        front += 5;
    if (front + padding > frame->size)
        return false;
    *at += front;
    *end -= padding;
    return true;
}

/* A message may come in several frames (some servers send its prefix alone), so it is collected first. */
struct message {
    uint8_t data[64];
    size_t size;
};

static int on_data(const struct probe *probe, const struct frame *frame, struct message *message, const uint8_t *at,
                   const uint8_t *end) {
    while (at < end && message->size < sizeof message->data)
        message->data[message->size++] = *at++;
    uint32_t wanted = message->size >= 5 ? big_endian(message->data + 1) : 0;
    if (message->size < 5 || message->size - 5 < wanted) {
        if (message->size < sizeof message->data && !(frame->flags & END_STREAM))
            return GOES_ON;
        return failed(probe, "unreadable health answer");
    }
    const uint8_t *answer = message->data + 5;
    if (message->data[0] || (wanted && (wanted < 2 || answer[0] != 0x08)))  /* field 1, a number: the status */
        return failed(probe, "unreadable health answer");
    static const char *const names[] = {"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"};
    unsigned status = wanted ? answer[1] : 0;  /* protobuf leaves zeros out */
    if (status == 1)
        return passed(probe, names[1]);
    return failed(probe, "%s", names[status < 4 ? status : 0]);
}

static int on_headers(const struct probe *probe, const struct frame *frame, const uint8_t *at, const uint8_t *end) {
    int http = http_status(at, end), status = grpc_status(at, end);
    if (http > 0 && http != 200)
        return failed(probe, "not gRPC: HTTP status %d", http);
    return status > 0 || frame->flags & END_STREAM ? failed_status(probe, status) : GOES_ON;
}

/* The server's acknowledgements are ignored, its questions answered: some wait for that before they go on. */
static int acknowledge(const struct probe *probe, const struct frame *frame) {
    if (frame->flags & ACK)
        return GOES_ON;
    struct buffer reply = {.size = 0};
    append_frame(&reply, frame->type, ACK, 0, frame->data, frame->type == PING && frame->size == 8 ? 8 : 0);
    return transmit(probe, reply.data, reply.size) ? GOES_ON : failed_errno(probe);
}

static int on_goaway(const struct probe *probe, struct frame *frame) {
    if (frame->size < 8)
        return failed(probe, "the server closes the connection");
    uint32_t last = big_endian(frame->data) & 0x7fffffff, error = big_endian(frame->data + 4);
    if (last >= 1 && !error)
        return GOES_ON;  /* a graceful end: the call that is under way is still answered */
    const char *why = as_text(frame->data + 8, frame->size - 8);
    return failed(probe, "the server closes the connection (HTTP/2 error %u)%s%.100s", error, *why ? ": " : "", why);
}

static int on_frame(const struct probe *probe, struct frame *frame, struct message *message) {
    const uint8_t *at, *end;
    if (frame->type == SETTINGS || frame->type == PING)
        return acknowledge(probe, frame);
    if (frame->type == GOAWAY)
        return on_goaway(probe, frame);
    if (frame->stream != 1)
        return GOES_ON;
    if (frame->type == RST_STREAM)
        return failed(probe, "the server reset the call (HTTP/2 error %u)",
                      frame->size == 4 ? big_endian(frame->data) : 0);
    if (frame->type != DATA && frame->type != HEADERS)
        return GOES_ON;
    if (!unpack(frame, &at, &end))
        return failed(probe, "broken HTTP/2 frame");
    return frame->type == DATA ? on_data(probe, frame, message, at, end) : on_headers(probe, frame, at, end);
}

/* Says what came instead of an HTTP/2 server's first frame: often it is an HTTP/1 error that explains itself. */
static int not_http2(const struct probe *probe, const uint8_t *head) {
    char start[64 + 1];
    memcpy(start, head, HEAD);
    ssize_t more = recv(probe->fd, start + HEAD, sizeof start - 1 - HEAD, MSG_DONTWAIT);
    return failed(probe, "not HTTP/2: %s", as_text(start, HEAD + (size_t)(more > 0 ? more : 0)));
}

int check_grpc(struct probe *probe) {
    if (!send_request(probe))
        return failed_errno(probe);
    static struct frame frame;
    struct message message = {.size = 0};
    int verdict = GOES_ON;
    for (bool first = true; verdict == GOES_ON; first = false) {
        uint8_t head[HEAD];
        int got = receive_all(probe, head, HEAD);
        if (got == 0 && first)
            return failed(probe, "not HTTP/2: connection closed without an answer");
        if (got > 0) {
            frame.size = big_endian(head) >> 8;
            frame.type = head[3];
            frame.flags = head[4];
            frame.stream = big_endian(head + 5) & 0x7fffffff;
            bool settings = frame.type == SETTINGS && !(frame.flags & ACK) && !frame.stream && frame.size % 6 == 0;
            if (first && !settings)
                return not_http2(probe, head);
            if (frame.size > MAX_FRAME)
                return failed(probe, "broken HTTP/2 frame");
            got = receive_all(probe, frame.data, frame.size);
        }
        if (got <= 0)
            return got ? failed_errno(probe) : failed(probe, "connection closed before the answer");
        verdict = on_frame(probe, &frame, &message);
    }
    return verdict;
}
