#!/bin/sh
# Runs once inside a new root: users, sshd, sudo. No keys: every host makes its own at its first boot.
set -eu

rm -f /etc/ssh/ssh_host_*
rm -f /usr/sbin/policy-rc.d

cat >/etc/ssh/sshd_config.d/lab.conf <<'END'
UseDNS no
MaxStartups 200:30:400
MaxSessions 100
PermitRootLogin prohibit-password
PasswordAuthentication no
PrintMotd no
HostKey /etc/ssh/ssh_host_ed25519_key
END

for user in deploy carol nosudo; do
    useradd --create-home --shell /bin/bash "$user"
    usermod --password '*' "$user"
done
echo 'carol:carol-password' | chpasswd
usermod --append --groups sudo carol
echo 'deploy ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/lab-deploy
chmod 0440 /etc/sudoers.d/lab-deploy

# The init script raises limits, which a container may not; a host of its own could.
if [ -f /etc/default/docker ]; then
    echo 'ulimit() { command ulimit "$@" 2>/dev/null || true; }' >>/etc/default/docker
fi

# Most of what a lab costs is health checks: crun starts one for less than half of runc's price. Hosts that are bare
# at first, and the engine of the machine itself, have runc.
if [ -x /usr/bin/crun ]; then
    dpkg-divert --quiet --local --rename --divert /usr/sbin/runc.debian /usr/sbin/runc
    ln -s /usr/bin/crun /usr/sbin/runc
fi
