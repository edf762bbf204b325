#!/bin/sh
# The first program of a lab host (below a small init that reaps): sshd, and Docker where it is installed.

first_boot() {
    tr -d - </proc/sys/kernel/random/uuid >/etc/machine-id
    for user in root deploy carol nosudo; do
        home=$(getent passwd "$user" | cut -d: -f6)
        install -d -m 0700 -o "$user" -g "$user" "$home/.ssh"
        echo "$LAB_KEY" >"$home/.ssh/authorized_keys"
        chown "$user:" "$home/.ssh/authorized_keys"
    done
    ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key
}

[ -f /etc/ssh/ssh_host_ed25519_key ] || first_boot
unset LAB_KEY

mkdir -p /run/sshd /run/lock
/usr/sbin/sshd

# What init runs at a start, as far as it is not Docker's own.
for script in /etc/rc2.d/S*llmdeploy*; do
    if [ -x "$script" ]; then "$script" start; fi
done

# The init script refuses where it may not raise its limits: then by hand, as a child of the init that reaps.
if [ -x /usr/sbin/dockerd ] && ! service docker start; then
    (setsid /usr/sbin/dockerd </dev/null >>/var/log/docker.log 2>&1 &)
fi
exec sleep infinity
