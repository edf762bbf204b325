/* Which ports are listened on: what the kernel says, without a connection. */
#include "probe.h"

#include <stdio.h>
#include <string.h>

static bool is_loopback(const char *address) {  /* as /proc writes it: words in the machine's byte order */
    size_t size = strcspn(address, ":");
    return (size >= 8 && !strncmp(address + size - 2, "7F", 2)) ||
           !strncmp(address, "00000000000000000000000001000000", 32);
}

/* 0 nobody listens, 1 on the loopback only, 2 for others too */
static int listened(long port) {
    static const char *const tables[] = {"/proc/net/tcp", "/proc/net/tcp6"};
    int found = 0;
    for (int i = 0; i < 2; i++) {
        FILE *table = fopen(tables[i], "r");
        char line[512], local[64];
        unsigned local_port, state;
        while (table && fgets(line, sizeof line, table)) {
            if (sscanf(line, " %*d: %63[0-9A-F]:%X %*[0-9A-F]:%*X %X", local, &local_port, &state) != 3)
                continue;
            int kind = is_loopback(local) ? 1 : 2;
            if (state == 0x0A && local_port == (unsigned long)port && kind > found)
                found = kind;
        }
        if (table)
            fclose(table);
    }
    return found;
}

int check_listening(int count, char **ports) {
    static const char *const words[] = {"no", "loopback", "yes"};
    char text[512] = "";
    bool missing = false;
    if (count < 1)
        usage_error("listening needs a PORT");
    for (int i = 0; i < count; i++) {
        int found = listened(number("PORT", ports[i], strlen(ports[i]), 1, 65535));
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, " %s=%s", ports[i], words[found]);
        missing |= !found;
    }
    char line[1024];
    snprintf(line, sizeof line - 1, "%s%s", missing ? "listening:" : "ok listening", text);
    say(line);
    return missing;
}
