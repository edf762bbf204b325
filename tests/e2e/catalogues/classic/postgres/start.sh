#!/bin/sh
# A new volume is given a database; an old one is served as it is.
set -eu
[ -s /data/PG_VERSION ] || initdb --pgdata=/data --auth=trust --no-sync >/dev/null
exec postgres -D /data -c listen_addresses='*' -c unix_socket_directories=/tmp
