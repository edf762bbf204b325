/* HTTP/1.1: one GET; the status decides, the start of the body explains. */
#define _GNU_SOURCE
#include "probe.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* A server that keeps the connection open although asked to close it must not cost the whole timeout:
   once the header is there, this long a silence ends the answer. */
#define QUIET_US 100000

static bool has_header(const struct probe *probe, const char *name) {
    for (int i = 0; i < probe->header_count; i++)
        if (!strncasecmp(probe->headers[i], name, strlen(name)))
            return true;
    return false;
}

static bool send_request(const struct probe *probe) {
    struct buffer request = {.size = 0};
    const char *parts[] = {"GET ", probe->path, " HTTP/1.1\r\nConnection: close\r\nAccept: */*\r\n"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        append_text(&request, parts[i]);
    if (!has_header(probe, "Host:")) {
        bool v6 = strchr(probe->host, ':');
        const char *host[] = {"Host: ", v6 ? "[" : "", probe->host, v6 ? "]" : "", ":", probe->port, "\r\n"};
        for (size_t i = 0; i < sizeof host / sizeof *host; i++)
            append_text(&request, host[i]);
    }
    if (!has_header(probe, "User-Agent:"))
        append_text(&request, "User-Agent: llmdeploy-probe\r\n");
    for (int i = 0; i < probe->header_count; i++) {
        append_text(&request, probe->headers[i]);
        append_text(&request, "\r\n");
    }
    append_text(&request, "\r\n");
    return transmit(probe, request.data, request.size);
}

/* Where the body starts, or NULL while the header is not complete. */
static char *body_of(char *answer) {
    char *crlf = strstr(answer, "\r\n\r\n"), *lf = strstr(answer, "\n\n");
    if (lf && (!crlf || lf < crlf))
        return lf + 2;
    return crlf ? crlf + 4 : NULL;
}

/* The three digits after "HTTP/1.x ", or 0 when this is no HTTP. */
static int status_of(const char *answer) {
    if (strncmp(answer, "HTTP/1.", 7) || !answer[7] || answer[8] != ' ')
        return 0;
    int status = 0;
    for (const char *digit = answer + 9; digit < answer + 12; digit++) {
        if (*digit < '0' || *digit > '9')
            return 0;
        status = status * 10 + *digit - '0';
    }
    return answer[12] && strchr(" \r\n", answer[12]) ? status : 0;
}

static int verdict(struct probe *probe, char *answer, char *body) {
    int status = status_of(answer);
    if (!status)
        return failed(probe, "not HTTP/1: %.60s", answer);
    char *reason = answer + 9, *line_end = reason + strcspn(reason, "\r\n");
    if (status >= probe->expect_low && status <= probe->expect_high) {
        reason[3] = 0;
        return passed(probe, reason);
    }
    if (!body)
        body = line_end + strlen(line_end);
    else {
        body[-1] = 0;  /* ends the header, so that the search below stays in it */
        char *chunked = strcasestr(line_end, "\ntransfer-encoding: chunked");
        if (chunked)
            body += strcspn(body, "\n");  /* the first chunk's size is not part of what the service said */
    }
    body += strspn(body, " \t\r\n");
    *line_end = 0;
    return failed(probe, "%.60s%s%.200s", reason, *body ? ": " : "", body);
}

int check_http(struct probe *probe) {
    if (!send_request(probe))
        return failed_errno(probe);
    static char answer[8192];
    size_t size = 0;
    ssize_t got = 1;
    char *body = NULL;
    int64_t until = probe->deadline;
    while (size < sizeof answer - 1 && (got = receive(probe, answer + size, sizeof answer - 1 - size, until)) > 0) {
        as_text(answer + size, (size_t)got);
        size += (size_t)got;
        if (!body && (body = body_of(answer)))
            probe->answered = now_us();
        if (body && now_us() + QUIET_US < probe->deadline)
            until = now_us() + QUIET_US;
    }
    if (!body && got < 0)
        return failed_errno(probe);
    if (!size)
        return failed(probe, "connection closed without an answer");
    if (!body && got == 0 && status_of(answer))
        return failed(probe, "connection closed within the header: %.60s", answer);
    return verdict(probe, answer, body);
}
