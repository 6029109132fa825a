# The bare program on a machine, from `tlstunnel install` to its removal.
. /run/test/lib.sh

start_echo
# A user has saved the program here. The service can't run it in this folder.
install /run/built/here/tlstunnel /root/tlstunnel
files >/tmp/before

step "nothing is installed"
exits 0 /root/tlstunnel install --dry-run
exits 3 /root/tlstunnel status
said "not installed"
exits 1 /root/tlstunnel start
exits 2 /root/tlstunnel install --nonsense
files | diff /tmp/before -

step "install, check, start"
exits 0 /root/tlstunnel install
same "state" "$(property ActiveState) $(property UnitFileState)" "inactive enabled"
exits 3 tlstunnel status
said "stopped"
write_config
exits 0 tlstunnel check
exits 0 tlstunnel start
said "tunnels: 2"
exits 0 tlstunnel status
serves
speaks_tls
journal_has "Started tlstunnel.service"

step "the same privileges as from a package"
has_few_privileges
has_timer_slack

step "installed again, it goes on"
pid=$(property MainPID)
exits 0 tlstunnel install
running "$pid"

step "an upgrade that can't be registered leaves what was"
echo "# before" >>/etc/systemd/system/tlstunnel.service
systemctl daemon-reload
cat >/usr/local/bin/systemctl <<-'END'
	#!/bin/sh
	if [ "$1" = enable ] && [ ! -e /tmp/failed ]; then
		touch /tmp/failed
		exit 1
	fi
	exec /usr/bin/systemctl "$@"
END
chmod +x /usr/local/bin/systemctl
exits 1 tlstunnel install
rm /usr/local/bin/systemctl
said "registering the service"
same "unit" "$(tail -n 1 /etc/systemd/system/tlstunnel.service)" "# before"
same "state" "$(property UnitFileState) $(property NeedDaemonReload)" "enabled no"
running "$pid"
exits 0 tlstunnel install
running "$pid"
same "a copy of it" "$(tail -n 1 /etc/systemd/system/tlstunnel.service.old)" "# before"

step "stop, start, restart"
exits 0 tlstunnel stop
same "state" "$(property ActiveState)" inactive
exits 0 tlstunnel stop
journal_has "Stopped tlstunnel.service"
exits 0 tlstunnel start
pid=$(property MainPID)
exits 0 tlstunnel start
running "$pid"
exits 0 tlstunnel restart
restarted "$pid"
serves

step "reloads under load"
reloads_under_load

step "a broken config"
refuses_a_broken_config
pid=$(property MainPID)
sed -i 's/^mode   = "client"/mode   = "klient"/' "$config"
for command in check reload restart status; do
	exits 1 tlstunnel $command
	said "$config:9:"
	running "$pid"
done
systemctl stop "$unit"
exits 1 tlstunnel start
said "$config:9:"
write_config
exits 0 tlstunnel start
exits 0 tlstunnel status

step "kill -9"
comes_back_after_kill

step "a restart is tried first"
restart_is_tried_first

step "it never gives up"
never_gives_up

step "the watchdog"
comes_back_after_hanging

step "uninstall keeps config, keys and logs"
sum=$(md5sum "$config" /var/lib/tlstunnel/pki/*)
exits 0 tlstunnel uninstall
said "$config"
same "state" "$(property LoadState) $(property ActiveState)" "not-found inactive"
same "units" "$(find /etc/systemd /usr/lib/systemd -name 'tlstunnel*')" ""
md5sum --quiet -c <<<"$sum"
[ -s "$log" ]

step "installed again, it goes on where it was"
exits 0 tlstunnel install
exits 0 tlstunnel start
md5sum --quiet -c <<<"$sum"
serves

step "a package takes over, and install steps aside for it"
exits 0 tlstunnel uninstall
dpkg --force-confold -i "/run/built/here/tlstunnel_$version_here-1_amd64.deb" >/dev/null
md5sum --quiet -c <<<"$sum"
serves
pid=$(property MainPID)
exits 1 /root/tlstunnel install
said "packaged service"
exits 1 /root/tlstunnel uninstall --purge
said "remove the package"
running "$pid"
has_few_privileges
dpkg --purge tlstunnel >/dev/null 2>&1

step "uninstall --purge leaves nothing behind"
exits 0 /root/tlstunnel install
exits 0 /root/tlstunnel start
exits 0 /root/tlstunnel uninstall --purge
files | diff /tmp/before -
same "the system" "$(systemctl is-system-running)" running

step "uninstall --purge keeps somebody else's account"
useradd --system --create-home --shell /bin/bash tlstunnel
exits 0 /root/tlstunnel install
exits 0 /root/tlstunnel uninstall --purge
said "can log in"
same "its home and shell" "$(getent passwd tlstunnel | cut -d : -f 6-7)" /home/tlstunnel:/bin/bash
