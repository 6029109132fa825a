# The deb on a machine, from its installation to its removal.
. /run/test/lib.sh
here=/run/built/here/tlstunnel_$version_here-1_amd64.deb
next=/run/built/next/tlstunnel_$version_next-1_amd64.deb
# The answer to dpkg's question about a config that the user and the package have changed.
keep="--force-confdef --force-confold"

files >/tmp/before
start_echo

step "a fresh install runs, without a tunnel"
dpkg -i "$here" >/dev/null
same "state" "$(property ActiveState) $(property UnitFileState) $(systemctl is-system-running)" "active enabled running"
same "version" "$(tlstunnel version | cut -d ' ' -f 2)" "$version_here"
journal_has "Started tlstunnel.service"
same "what init says comes next" "$(tlstunnel init | tail -n 2 | tr -s ' ')" " tlstunnel check
 tlstunnel reload"

step "the unit is sound, and exposes little"
systemd-analyze verify --man=no "/lib/systemd/system/$unit"
systemd-analyze security --offline=true --threshold=16 "/lib/systemd/system/$unit" | tail -n 1

step "stopped, it stays stopped over an upgrade, and an untouched config becomes the new one"
systemctl stop "$unit"
journal_has "Stopped tlstunnel.service"
dpkg -i "$next" >/dev/null
same "state" "$(property ActiveState)" inactive
tail -n 1 "$config" | grep -F "next version" >/dev/null
same "its config" "$(stat -c '%U:%G %a' "$config")" "root:tlstunnel 640"

step "disabled, it stays disabled, and back at the old version too"
systemctl disable --quiet "$unit"
dpkg -i "$here" >/dev/null 2>&1
same "state" "$(property ActiveState) $(property UnitFileState)" "inactive disabled"
systemctl enable --quiet --now "$unit"

step "a reload opens tunnels; bytes go through them, from port 104 on"
write_config
systemctl reload "$unit"
serves
speaks_tls

step "the machine trusts our own CA when it is told to, and as long"
# First by the folder of certificates, then by the file that has all of them.
trusts_us() {
	openssl verify -verify_hostname localhost /var/lib/tlstunnel/pki/server.crt &>/dev/null &&
		openssl verify -no-CApath -CAfile /etc/ssl/certs/ca-certificates.crt /var/lib/tlstunnel/pki/server.crt &>/dev/null
}
files >/tmp/untrusted
fails trusts_us
tlstunnel ca trust --dry-run >/dev/null
files | diff /tmp/untrusted -
tlstunnel ca trust >/dev/null
trusts_us
same "trusted again" "$(tlstunnel ca trust | cut -d ' ' -f 1 | sort -u)" present
cp -a /var/lib/tlstunnel/pki /tmp/pki
rm /var/lib/tlstunnel/pki/*
tlstunnel init >/dev/null
fails trusts_us
tlstunnel ca trust >/dev/null
trusts_us
rm -r /var/lib/tlstunnel/pki
mv /tmp/pki /var/lib/tlstunnel/pki
fails trusts_us
tlstunnel ca untrust >/dev/null
fails trusts_us
files | diff /tmp/untrusted -
same "untrusted again" "$(tlstunnel ca untrust | cut -d ' ' -f 1)" present

step "it runs with few privileges"
has_few_privileges
has_timer_slack

step "reloads under load"
reloads_under_load

step "a broken config"
refuses_a_broken_config

step "kill -9"
comes_back_after_kill

step "a tunnel waits for its address, another for a disk"
waits_for_surroundings

step "a restart is tried first"
restart_is_tried_first

step "it never gives up"
never_gives_up

step "the watchdog"
comes_back_after_hanging

step "systemd opens the sockets"
systemctl stop "$unit"
cat >/run/systemd/system/tlstunnel.socket <<-'END'
	[Socket]
	ListenStream=127.0.0.1:104
	FileDescriptorName=front
END
systemctl daemon-reload
systemctl start tlstunnel.socket
same "state" "$(property ActiveState)" inactive
serves
same "state" "$(property ActiveState)" active
systemctl restart "$unit"
serves
systemctl stop tlstunnel.socket "$unit"
rm /run/systemd/system/tlstunnel.socket
systemctl daemon-reload
systemctl start "$unit"

step "an upgrade restarts it and keeps an edited config"
echo "# edited" >>"$config"
sum=$(md5sum "$config" /var/lib/tlstunnel/pki/*)
pid=$(property MainPID)
systemctl reset-failed "$unit"
dpkg $keep -i "$next" >/dev/null
within 5 restarted "$pid"
md5sum --quiet -c <<<"$sum"
tail -n 1 "$config.dpkg-dist" | grep -F "next version" >/dev/null
serves

step "remove keeps config, keys and logs"
dpkg -r tlstunnel >/dev/null
same "what is left of the program" "$(ls /usr/bin/tlstunnel "/lib/systemd/system/$unit" 2>/dev/null)" ""
same "state" "$(property LoadState) $(property ActiveState)" "not-found inactive"
md5sum --quiet -c <<<"$sum"
[ -s "$log" ]

step "installed again, it goes on where it was"
dpkg $keep -i "$next" >/dev/null
same "state" "$(property ActiveState) $(property UnitFileState)" "active enabled"
md5sum --quiet -c <<<"$sum"
serves

step "purge leaves nothing behind"
echo "# kept beside it" >/etc/tlstunnel/other
dpkg --purge tlstunnel >/dev/null 2>&1
files | diff /tmp/before -
same "the system" "$(systemctl is-system-running)" running

step "purge keeps somebody else's account"
useradd --system --create-home --shell /bin/bash tlstunnel
dpkg -i "$here" >/dev/null
dpkg --purge tlstunnel >/dev/null 2>&1
same "its home and shell" "$(getent passwd tlstunnel | cut -d : -f 6-7)" /home/tlstunnel:/bin/bash
