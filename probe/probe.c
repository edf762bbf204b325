/* llmdeploy's health probe: one static program that runs inside any Linux container, also one FROM scratch
   without a shell. One check, one line on stdout; exit 0 healthy, 1 unhealthy, 2 usage. */
#define _GNU_SOURCE
#include "probe.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef PROBE_SOURCES  /* the build gives the hash of the sources: it tells whether a binary is up to date */
#define PROBE_SOURCES "unknown"
#endif
#define VERSION "llmdeploy-probe 1.0 (sources " PROBE_SOURCES ")"
#define USAGE                                                                                             \
    "usage: probe http PORT PATH [--expect 200-399] [--header 'K: V']... [--host HOST] [--timeout S] [--all]\n" \
    "       probe grpc PORT [SERVICE] [--host HOST] [--timeout S] [--all]\n"                              \
    "       probe tcp PORT [--host HOST] [--timeout S] [--all]\n"                                         \
    "       probe listening PORT...\n"                                                                    \
    "       probe ask SOCKET TEXT [SECONDS]\n"                                                            \
    "       probe --version\n"                                                                            \
    "HOST is 127.0.0.1 and S, for the whole check, 2 unless said. --all checks every address of HOST.\n"   \
    "ask sends TEXT as one line to a Unix socket and prints the answer.\n"

/* ---- output: one write a line, so that the lines of parallel checks never mix ---- */

/* What a service answers may hold anything, and ends up in terminals and logs: only printable ASCII passes. */
void say(char *line) {
    size_t size = strlen(line);
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)line[i];
        line[i] = c > 126 ? '?' : c < ' ' ? ' ' : (char)c;
    }
    while (size && line[size - 1] == ' ')
        size--;
    line[size++] = '\n';
    if (write(STDOUT_FILENO, line, size) < 0)
        _exit(1);  /* nobody listens: the exit code is all that is left */
}

int passed(const struct probe *probe, const char *verdict) {
    char line[1024];
    double ms = (double)((probe->answered ? probe->answered : now_us()) - probe->start) / 1000;
    snprintf(line, sizeof line - 1, "ok %s%s%s %.1fms", probe->name, *verdict ? " " : "", verdict, ms);
    say(line);
    return 0;
}

int failed(const struct probe *probe, const char *format, ...) {
    char line[1024];
    int used = snprintf(line, sizeof line - 1, "%s: ", probe->name);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line + used, sizeof line - 1 - (size_t)used, format, arguments);
    va_end(arguments);
    say(line);
    return 1;
}

static int failed_reason(const struct probe *probe, const char *reason) {
    return failed(probe, "%c%s", tolower((unsigned char)*reason), *reason ? reason + 1 : "");
}

int failed_errno(const struct probe *probe) {
    if (errno == ETIMEDOUT)
        return failed(probe, "timed out after %.1fs", probe->timeout);
    return failed_reason(probe, strerror(errno));
}

void usage_error(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("probe: ", stderr);
    vfprintf(stderr, format, arguments);
    fputs(" (see probe --help)\n", stderr);
    exit(2);
}

char *as_text(void *data, size_t size) {
    char *text = data;
    for (size_t i = 0; i < size; i++)
        if (!text[i])
            text[i] = ' ';
    text[size] = 0;
    return text;
}

/* ---- requests and the connection ---- */

void append(struct buffer *buffer, const void *data, size_t size) {
    if (size > sizeof buffer->data - buffer->size)
        usage_error("the arguments are too long");
    memcpy(buffer->data + buffer->size, data, size);
    buffer->size += size;
}

void append_text(struct buffer *buffer, const char *text) {
    append(buffer, text, strlen(text));
}

int64_t now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static bool wait_for(int fd, short events, int64_t until) {
    for (;;) {
        int64_t left = until - now_us();
        if (left <= 0) {
            errno = ETIMEDOUT;
            return false;
        }
        int count = poll(&(struct pollfd){.fd = fd, .events = events}, 1, (int)(left / 1000) + 1);
        if (count > 0)
            return true;
        if (count < 0 && errno != EINTR)
            return false;
    }
}

bool transmit(const struct probe *probe, const void *data, size_t size) {
    const char *at = data;
    while (size) {
        if (!wait_for(probe->fd, POLLOUT, probe->deadline))
            return false;
        ssize_t sent = send(probe->fd, at, size, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN && errno != EINTR)
            return false;
        at += sent > 0 ? sent : 0;
        size -= sent > 0 ? (size_t)sent : 0;
    }
    return true;
}

ssize_t receive(const struct probe *probe, void *into, size_t size, int64_t until) {
    for (;;) {
        if (!wait_for(probe->fd, POLLIN, until))
            return -1;
        ssize_t got = recv(probe->fd, into, size, 0);
        if (got >= 0 || (errno != EAGAIN && errno != EINTR))
            return got;
    }
}

static bool connect_to(struct probe *probe, const struct addrinfo *address) {
    probe->fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (probe->fd < 0)
        return false;
    if (!connect(probe->fd, address->ai_addr, address->ai_addrlen))
        return true;
    int error = errno;
    if (error == EINPROGRESS && wait_for(probe->fd, POLLOUT, probe->deadline)) {
        getsockopt(probe->fd, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){sizeof error});
        if (!error)
            return true;
    } else if (error == EINPROGRESS)
        error = errno;
    close(probe->fd);
    errno = error;
    return false;
}

static int check_tcp(struct probe *probe) {
    return passed(probe, "");
}

/* ---- addresses ---- */

static void set_name(struct probe *probe, const struct addrinfo *address) {
    char text[INET6_ADDRSTRLEN] = "";
    bool v6 = address && address->ai_family == AF_INET6;
    if (v6)
        inet_ntop(AF_INET6, &((struct sockaddr_in6 *)address->ai_addr)->sin6_addr, text, sizeof text);
    else if (address)
        inet_ntop(AF_INET, &((struct sockaddr_in *)address->ai_addr)->sin_addr, text, sizeof text);
    snprintf(probe->name, sizeof probe->name, "%s %s%s%s:%s%s%s", probe->kind, v6 ? "[" : "",
             address ? text : probe->host, v6 ? "]" : "", probe->port,
             probe->check == check_grpc && *probe->path ? "/" : "", probe->path);
}

static char late[512];

static void on_alarm(int signal) {
    ssize_t written = write(STDOUT_FILENO, late, strlen(late));
    (void)signal, (void)written;
    _exit(1);
}

/* The C library's resolver has no deadline of its own (it asks for ten seconds), so an alarm ends it. */
static struct addrinfo *resolve(struct probe *probe) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG}, *list = NULL;
    int64_t left = probe->deadline - now_us();
    struct itimerval alarm_at = {.it_value = {left / 1000000, left % 1000000}}, never = {0};
    snprintf(late, sizeof late, "%s: the name lookup timed out after %.1fs\n", probe->name, probe->timeout);
    signal(SIGALRM, on_alarm);
    setitimer(ITIMER_REAL, &alarm_at, NULL);
    int error = getaddrinfo(probe->host, probe->port, &hints, &list);
    setitimer(ITIMER_REAL, &never, NULL);
    if (error)
        failed_reason(probe, error == EAI_SYSTEM ? strerror(errno) : gai_strerror(error));
    return error ? NULL : list;
}

/* One process for each address: all of them share the one deadline, however many hang. */
static int check_all(struct probe *probe, const struct addrinfo *list) {
    int unhealthy = 0, status;
    for (const struct addrinfo *address = list; address; address = address->ai_next) {
        pid_t child = fork();
        if (child < 0)
            return failed_errno(probe);
        if (child == 0) {
            set_name(probe, address);
            _exit(connect_to(probe, address) ? probe->check(probe) : failed_errno(probe));
        }
    }
    while (wait(&status) > 0)
        unhealthy |= !WIFEXITED(status) || WEXITSTATUS(status);
    return unhealthy;
}

/* The first address that takes a connection, as every client does it ("localhost" may be ::1 as well). */
static int check_first(struct probe *probe, const struct addrinfo *list) {
    for (const struct addrinfo *address = list; address; address = address->ai_next) {
        set_name(probe, address);
        if (connect_to(probe, address))
            return probe->check(probe);
    }
    return failed_errno(probe);
}

static int run(struct probe *probe) {
    probe->start = now_us();
    probe->deadline = probe->start + (int64_t)(probe->timeout * 1e6);
    set_name(probe, NULL);
    struct addrinfo *list = resolve(probe);
    if (!list)
        return 1;
    int code = probe->all ? check_all(probe, list) : check_first(probe, list);
    freeaddrinfo(list);
    return code;
}

/* ---- arguments ---- */

long number(const char *what, const char *text, size_t size, long low, long high) {
    char *end;
    long value = isdigit((unsigned char)*text) ? strtol(text, &end, 10) : -1;
    if (value < low || value > high || end != text + size)
        usage_error("%s must be a number from %ld to %ld, not '%s'", what, low, high, text);
    return value;
}

double seconds(const char *what, const char *text) {
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !(value >= 0.001 && value <= 3600))  /* so that not-a-number fails too */
        usage_error("%s must be seconds from 0.001 to 3600, not '%s'", what, text);
    return value;
}

static bool is_clean(const char *text, char lowest) {
    for (; *text; text++)
        if ((unsigned char)*text < (unsigned char)lowest || *text == 127)
            return false;
    return true;
}

static void set_expect(struct probe *probe, const char *range) {
    size_t first = strcspn(range, "-");
    const char *second = range[first] ? range + first + 1 : range;
    probe->expect_low = (int)number("--expect", range, first, 100, 599);
    probe->expect_high = (int)number("--expect", second, strlen(second), probe->expect_low, 599);
}

static void set_option(struct probe *probe, const char *option, const char *value) {
    bool http = probe->check == check_http;
    if (!value)
        usage_error("%s needs a value", option);
    if (!strcmp(option, "--host")) {
        if (!*value || strlen(value) > 253 || !is_clean(value, '!'))
            usage_error("--host must be a name or an address, not '%s'", value);
        probe->host = value;
    } else if (!strcmp(option, "--timeout")) {
        probe->timeout = seconds("--timeout", value);
    } else if (http && !strcmp(option, "--expect")) {
        set_expect(probe, value);
    } else if (http && !strcmp(option, "--header")) {
        if (*value == ':' || !strchr(value, ':') || !is_clean(value, ' '))
            usage_error("--header must be 'Name: value', not '%s'", value);
        if (probe->header_count == sizeof probe->headers / sizeof *probe->headers)
            usage_error("too many --header");
        probe->headers[probe->header_count++] = value;
    } else
        usage_error("%s has no option %s", probe->kind, option);
}

static void parse(struct probe *probe, int count, char **arguments) {
    int positional = 0;
    for (int i = 0; i < count; i++) {
        if (!strcmp(arguments[i], "--all"))
            probe->all = true;
        else if (arguments[i][0] == '-' && arguments[i][1]) {
            set_option(probe, arguments[i], i + 1 < count ? arguments[i + 1] : NULL);
            i++;
        } else if (positional++ == 0)
            probe->port = arguments[i];
        else if (positional == 2 && probe->check != check_tcp)
            probe->path = arguments[i];
        else
            usage_error("unexpected argument '%s'", arguments[i]);
    }
    if (!probe->port)
        usage_error("%s needs a PORT", probe->kind);
    number("PORT", probe->port, strlen(probe->port), 1, 65535);
    if (probe->check == check_http && *probe->path != '/')
        usage_error("http needs a PATH that starts with /");
    if (!is_clean(probe->path, '!'))
        usage_error("'%s' has a space or a control character", probe->path);
}

int main(int count, char **arguments) {
    static const struct { const char *kind; int (*check)(struct probe *); } kinds[] = {
        {"http", check_http}, {"grpc", check_grpc}, {"tcp", check_tcp}};
    const char *kind = count > 1 ? arguments[1] : "";
    struct probe probe = {.host = "127.0.0.1", .path = "", .expect_low = 200, .expect_high = 399, .timeout = 2};
    if (!strcmp(kind, "--version"))
        return puts(VERSION) < 0;
    if (!strcmp(kind, "--help"))
        return fputs(USAGE, stdout) < 0;
    if (!strcmp(kind, "listening"))
        return check_listening(count - 2, arguments + 2);
    if (!strcmp(kind, "ask"))
        return ask(count - 2, arguments + 2);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (!strcmp(kind, kinds[i].kind)) {
            probe.kind = kind;
            probe.check = kinds[i].check;
            parse(&probe, count - 2, arguments + 2);
            return run(&probe);
        }
    usage_error(*kind ? "unknown check '%s'" : "no check given%s", kind);
}
