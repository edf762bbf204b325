"""What the job `edge-config` does on an edge host, in the shell of the edge's own image."""

REFUSED = 10  # HAProxy refuses the file; nothing was changed
NOT_TAKEN = 11  # HAProxy did not take it over; the old file is back
NEW = "/new/haproxy.cfg"
# Followed by a configuration's name: the files of certificates that it wants.
CERTIFICATES = r"sed -n 's/^ *bind .* crt \([^ ]*\).*/\1/p'"

# POSIX sh with cat, mkdir, mv, rm, sed, sleep, tail. `haproxy.cfg.old` exists only while a change is under way: where
# it is found, an earlier job was killed half-way, and nobody knows which of the two files HAProxy has read.
SCRIPT = f"""
set -u
probe=/llmdeploy/probe
new={NEW} config=/edge/haproxy.cfg old=/edge/haproxy.cfg.old state=/edge/state
stats=/edge/run/haproxy.sock master=/edge/run/master.sock
umask 022
trap 'exit 143' TERM  # process 1 is not ended by a signal otherwise

fail() {{
    code=$1
    shift
    printf '%s\\n' "$*" | tail -n 15
    exit "$code"
}}

# Number of the process that serves, nothing where HAProxy does not run.
worker() {{
    "$probe" ask "$stats" 'show info' | while read -r key value; do
        if [ "$key" = Pid: ]; then echo "$value"; fi
    done
}}

# Whoever reads the configuration finds the old one or the new one.
put() {{
    cat "$1" > "$2.new" && mv -f "$2.new" "$2"
}}

text() {{
    cat "$1" && echo .  # the shell drops newlines at the end
}}

# Have HAProxy take the file, and see another process than $1 serve.
reload() {{
    if "$probe" ask "$stats" 'show servers state' 5 > "$state.new"; then mv -f "$state.new" "$state"; fi
    left=50
    until said=$("$probe" ask "$master" reload 20); do
        left=$((left - 1))
        if [ "$left" -eq 0 ]; then return 1; fi
        sleep 0.1
    done
    left=150
    while [ "$left" -gt 0 ]; do
        case $("$probe" ask "$master" 'show proc') in
            *'[failed: 0]'*)
                now=$(worker)
                if [ -n "$now" ] && [ "$now" != "$1" ]; then return 0; fi ;;
            *'[failed: '*) return 1 ;;
        esac
        left=$((left - 1))
        sleep 0.1
    done
    said='no new process serves after 15 s'
    return 1
}}

"$probe" ask / x > /dev/null 2>&1
if [ $? -ne 1 ]; then fail 1 'the probe on this host is older than the release engine: a deploy brings the new one'; fi
mkdir -p "${{stats%/*}}" || fail 1 "${{stats%/*}} cannot be made"
if [ ! -e "$state" ]; then : > "$state"; fi
if command -v flock > /dev/null; then  # an earlier job may still be ending
    exec 9> /edge/run/lock
    flock -w 30 9 || fail 1 'another job still changes the configuration'
fi

left=100
for file in $({CERTIFICATES} "$new"); do  # the service edge-tls may just be placing it
    while [ ! -e "$file" ] && [ "$left" -gt 0 ]; do
        sleep 0.1
        left=$((left - 1))
    done
done
said=$(haproxy -c -f "$new" 2>&1) || fail {REFUSED} "$said"
if [ -e "$config" ] && [ ! -e "$old" ] && [ "$(text "$new")" = "$(text "$config")" ]; then
    echo 'it is in place already'
    exit 0
fi
serving=$(worker)
if [ -e "$config" ] && [ ! -e "$old" ]; then put "$config" "$old" || fail 1 "$old cannot be written"; fi
put "$new" "$config" || fail 1 "$config cannot be written"
left=5
while [ -z "$serving" ] && [ -e "$old" ] && [ "$left" -gt 0 ]; do
    sleep 0.2  # an edge that starts just now may have read the old file before
    serving=$(worker)
    left=$((left - 1))
done
if [ "${{1:-load}}" = load ] && [ -n "$serving" ] && ! reload "$serving"; then
    reason=$said
    if [ -e "$old" ]; then
        put "$old" "$config" && reload "$serving" || fail 1 "$reason
and the old one could not be taken back: $said"
    fi
    rm -f "$old"
    fail {NOT_TAKEN} "$reason"
fi
rm -f "$old"
echo "in place${{serving:+, and in use}}"
"""
