/* A web server that says one thing: all that is in its image. */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void end(int number) {
    (void)number;
    _exit(0);
}

int main(void) {
    const char *greeting = getenv("GREETING") ? getenv("GREETING") : "Hello";
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(8000)};
    int one = 1, server = socket(AF_INET, SOCK_STREAM, 0);

    signal(SIGTERM, end); /* the first process of a container ends by no signal that it does not ask for */
    signal(SIGPIPE, SIG_IGN);
    setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(server, (struct sockaddr *)&address, sizeof address) || listen(server, 64)) return 1;
    for (;;) {
        char asked[4096], answer[512];
        int client = accept(server, NULL, NULL);
        if (client < 0) continue;
        if (read(client, asked, sizeof asked) > 0) {
            int size = snprintf(answer, sizeof answer,
                                "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n"
                                "Connection: close\r\n\r\n%s\n",
                                strlen(greeting) + 1, greeting);
            if (write(client, answer, size) < 0) perror("write");
        }
        close(client);
    }
}
