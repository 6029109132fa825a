# The rpm on a machine, from its installation to its removal. On Debian its dependencies
# have other names, so rpm doesn't check them. It treats scripts and files as everywhere.
. /run/test/lib.sh
here=/run/built/here/tlstunnel-$version_here-1.x86_64.rpm
debian="--nodeps --force-debian"
next=/run/built/next/tlstunnel-$version_next-1.x86_64.rpm

start_echo

step "a fresh install runs"
rpm --install $debian "$here"
same "state" "$(property ActiveState) $(property UnitFileState)" "active enabled"
write_config
systemctl reload "$unit"
serves
has_few_privileges
same "what differs" "$(rpm --verify $debian tlstunnel)" "S.5....T.  c $config"

step "an upgrade restarts it and keeps an edited config"
sum=$(md5sum "$config" /var/lib/tlstunnel/pki/*)
pid=$(property MainPID)
rpm --upgrade $debian "$next"
within 5 restarted "$pid"
same "version" "$(tlstunnel version | cut -d ' ' -f 2)" "$version_next"
md5sum --quiet -c <<<"$sum"
tail -n 1 "$config.rpmnew" | grep -F "next version" >/dev/null
serves

step "stopped and disabled, it stays so over an upgrade"
systemctl disable --quiet --now "$unit"
rpm --upgrade $debian --oldpackage "$here"
same "state" "$(property ActiveState) $(property UnitFileState)" "inactive disabled"
systemctl enable --quiet --now "$unit"
serves

step "erase keeps the edited config, keys and logs"
rpm --erase $debian tlstunnel
same "what is left of the program" "$(ls /usr/bin/tlstunnel "/usr/lib/systemd/system/$unit" /etc/systemd/system/*/"$unit" 2>/dev/null)" ""
same "state" "$(property LoadState) $(property ActiveState)" "not-found inactive"
mv "$config.rpmsave" "$config"
md5sum --quiet -c <<<"$sum"
[ -s "$log" ]
same "the system" "$(systemctl is-system-running)" running
