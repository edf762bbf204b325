/* One question to a Unix socket that takes commands, such as HAProxy's; its answer as it comes. For scripts in
   images that have a shell and little else. */
#define _GNU_SOURCE
#include "probe.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static bool print(const char *data, size_t size) {
    while (size) {
        ssize_t written = write(STDOUT_FILENO, data, size);
        if (written < 0 && errno != EINTR)
            return false;
        data += written > 0 ? written : 0;
        size -= written > 0 ? (size_t)written : 0;
    }
    return true;
}

static int question(struct probe *probe, const struct sockaddr_un *address, struct buffer *text) {
    char answer[8192];
    ssize_t got;
    probe->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (probe->fd < 0 || connect(probe->fd, (const struct sockaddr *)address, sizeof *address))
        return failed_errno(probe);
    if (!transmit(probe, text->data, text->size) && errno != EPIPE)  /* who hangs up may have answered before */
        return failed_errno(probe);
    shutdown(probe->fd, SHUT_WR);  /* HAProxy's master would wait for the next question */
    while ((got = receive(probe, answer, sizeof answer, probe->deadline)) > 0)
        if (!print(answer, (size_t)got))
            return 1;
    /* A master that starts itself anew hangs up: that is the end of its answer, too. */
    return got == 0 || errno == ECONNRESET ? 0 : failed_errno(probe);
}

int ask(int count, char **arguments) {
    struct probe probe = {.kind = "ask", .timeout = 2};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct buffer text = {.size = 0};
    if (count < 2 || count > 3)
        usage_error("ask needs a SOCKET and a TEXT");
    if (!*arguments[0] || strlen(arguments[0]) >= sizeof address.sun_path)
        usage_error("SOCKET must be a path of at most %zu characters", sizeof address.sun_path - 1);
    if (count > 2)
        probe.timeout = seconds("SECONDS", arguments[2]);
    strcpy(address.sun_path, arguments[0]);
    snprintf(probe.name, sizeof probe.name, "ask %s", arguments[0]);
    append_text(&text, arguments[1]);
    append_text(&text, "\n");
    probe.start = now_us();
    probe.deadline = probe.start + (int64_t)(probe.timeout * 1e6);
    return question(&probe, &address, &text);
}
