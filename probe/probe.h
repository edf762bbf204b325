/* What the parts of the probe share: one check, its deadline, its connection and its one line of output. */
#ifndef PROBE_H
#define PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct probe {
    int (*check)(struct probe *);  /* check_http, check_grpc or check_tcp; gives the exit code */
    const char *kind, *host, *port;
    const char *path;              /* http: the path; grpc: the service's name, "" for the server as a whole */
    const char *headers[16];
    int header_count, expect_low, expect_high;
    bool all;
    double timeout;                /* as asked for, for messages */
    int64_t start, deadline;       /* microseconds of the monotonic clock */
    int64_t answered;              /* when the verdict was known; 0: now */
    char name[400];                /* "http 127.0.0.1:8000/health", what every line is about */
    int fd;
};

/* A request under construction. Too long arguments end the program as a usage error, never as an overflow. */
struct buffer {
    unsigned char data[8192];
    size_t size;
};
void append(struct buffer *buffer, const void *data, size_t size);
void append_text(struct buffer *buffer, const char *text);

int64_t now_us(void);

/* Both wait no longer than the deadline (receive: `until`) and then fail with ETIMEDOUT. receive gives 0 at the end. */
bool transmit(const struct probe *probe, const void *data, size_t size);
ssize_t receive(const struct probe *probe, void *into, size_t size, int64_t until);

/* The number in `size` characters of text, or a usage error that names `what`. */
long number(const char *what, const char *text, size_t size, long low, long high);

/* The seconds in text, or a usage error that names `what`. */
double seconds(const char *what, const char *text);

void say(char *line);  /* prints the one line; it has room for one character more */

/* Each prints the one line and gives the exit code. */
int passed(const struct probe *probe, const char *verdict);
__attribute__((format(printf, 2, 3))) int failed(const struct probe *probe, const char *format, ...);
int failed_errno(const struct probe *probe);
_Noreturn __attribute__((format(printf, 1, 2))) void usage_error(const char *format, ...);

/* Makes a C string of what a stranger sent: no byte 0 inside, one behind (data has room for it). */
char *as_text(void *data, size_t size);

int check_http(struct probe *probe);
int check_grpc(struct probe *probe);
int check_listening(int count, char **ports);

int ask(int count, char **arguments);  /* no check: prints what it is told, or one line that says why there is none */

#endif
