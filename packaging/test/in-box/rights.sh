# Files that root can read and the service can't: check and restart find them and say
# which command gives the service access. The running service goes on.
. /run/test/lib.sh

start_echo
install /run/built/here/tlstunnel /root/tlstunnel

step "install and start"
exits 0 /root/tlstunnel install
write_config
exits 0 tlstunnel start
serves

# refused TEXT...: check and restart say each TEXT, and the service goes on.
refused() {
	local pid command text
	pid=$(property MainPID)
	for command in check restart; do
		exits 1 tlstunnel $command
		for text in "$@"; do said "$text"; done
	done
	running "$pid"
	serves
}

# remedy: prints the first command in backquotes that the last command has printed.
remedy() { grep -o '`[^`]*`' /tmp/said | head -n 1 | tr -d '`'; }

# works_again: check finds nothing, and the service takes a restart.
works_again() {
	exits 0 tlstunnel check
	exits 0 tlstunnel restart
	serves
}

# certificate FOLDER: makes a certificate of another CA and its key there, readable for all.
certificate() {
	mkdir -p "$1"
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 90 -subj /CN=localhost \
		-addext subjectAltName=DNS:localhost,IP:127.0.0.1 -addext extendedKeyUsage=serverAuth -addext basicConstraints=critical,CA:FALSE -keyout "$1/a.key" -out "$1/a.crt" 2>/dev/null
	chmod 644 "$1/a.key" "$1/a.crt"
}

# uses FOLDER: the server tunnel shows that certificate, which the client trusts.
uses() {
	write_config
	sed -i "/^mode   = \"server\"/a cert = \"$1/a.crt\"\nkey = \"$1/a.key\"" "$config"
	sed -i "s#^ca     = \"own\"#ca = [\"own\", \"/etc/tlstunnel/other-ca.crt\"]#" "$config"
	cp "$1/a.crt" /etc/tlstunnel/other-ca.crt
}

step "cert and key in a folder of root's"
certificate /etc/certbot/live
uses /etc/certbot/live
chmod 600 /etc/certbot/live/a.key
chmod 700 /etc/certbot/live
refused "$config:4:" "the service can't read \"/etc/certbot/live/a.crt\"" 'the user "tlstunnel" may not pass "/etc/certbot/live" (root:root 0700)' \
	"$config:5:" "chgrp tlstunnel /etc/certbot/live && chmod g+x /etc/certbot/live"
for _ in 1 2 3; do # each check names the next command: for the folder, for the key
	tlstunnel check >/tmp/said || bash -c "$(remedy)"
done
works_again

step "cert and key in /home, which the unit hides"
certificate /home/it/certs
uses /home/it/certs
refused "$config:4:" "(ProtectHome=yes) shows it no /home" "[Service] and ProtectHome=tmpfs and BindReadOnlyPaths=/home/it/certs"
mkdir -p /etc/systemd/system/tlstunnel.service.d
printf '[Service]\nProtectHome=tmpfs\nBindReadOnlyPaths=/home/it/certs\n' >/etc/systemd/system/tlstunnel.service.d/home.conf
systemctl daemon-reload
works_again

step "cert and key in /tmp, of which the unit has one of its own"
certificate /tmp/certs
uses /tmp/certs
refused "$config:4:" "(PrivateTmp=yes) shows it no /tmp"

step "a PKI where the unit lets nobody write"
write_config
sed -i '1i [pki]\ndir = "/srv/pki"' "$config"
refused "$config:2:" "the service can't use \"/srv/pki\"" "(ProtectSystem=strict) lets it write elsewhere only" "ReadWritePaths=/srv/pki"
printf '[Service]\nReadWritePaths=-/srv/pki\n' >/etc/systemd/system/tlstunnel.service.d/pki.conf
systemctl daemon-reload
refused "$config:2:" "isn't there" "install -d -m 0700 -o tlstunnel -g tlstunnel /srv/pki"
bash -c "$(remedy)"
exits 0 tlstunnel check

step "a config that root has written anew"
write_config
cp "$config" /root/new.toml
rm "$config"
(umask 077 && cp /root/new.toml "$config")
refused "$config:1:1:" "the service can't read \"$config\"" "(root:root 0600)" "chgrp tlstunnel $config && chmod g+r $config"
bash -c "$(remedy)"
works_again

step "a PKI that root has restored from a backup"
tar -C /var/lib/tlstunnel -cf /root/backup.tar pki
rm -r /var/lib/tlstunnel/pki
tar -C /var/lib/tlstunnel --no-same-owner -xf /root/backup.tar
refused "the service can't use \"/var/lib/tlstunnel/pki\"" "chown -R tlstunnel:tlstunnel /var/lib/tlstunnel/pki"
bash -c "$(remedy)"
works_again

step "one key of it"
chown root:root /var/lib/tlstunnel/pki/server.key
refused "the service can't use \"/var/lib/tlstunnel/pki/server.key\"" "chown -R tlstunnel:tlstunnel /var/lib/tlstunnel/pki"
exits 1 tlstunnel cert renew
said "chown -R"
chown -R tlstunnel:tlstunnel /var/lib/tlstunnel/pki
works_again

step "a link in the PKI's folder leads root nowhere"
echo precious >/root/precious
chmod 600 /root/precious
exits 0 tlstunnel cert issue --client y --out /root
for file in ca.crl issued.jsonl; do
	mv /var/lib/tlstunnel/pki/$file /var/lib/tlstunnel/$file 2>/dev/null || true
	runuser -u tlstunnel -- ln -s /root/precious /var/lib/tlstunnel/pki/$file
	for command in "cert revoke y" "cert issue --client x --out /root" "cert renew"; do
		# shellcheck disable=SC2086
		tlstunnel $command >/dev/null 2>&1 || true
	done
	rm /var/lib/tlstunnel/pki/$file
	[ ! -e /var/lib/tlstunnel/$file ] || mv /var/lib/tlstunnel/$file /var/lib/tlstunnel/pki/$file
	same "root's file" "$(stat -c '%U %a' /root/precious) $(cat /root/precious)" "root 600 precious"
done
works_again

step "who forgets sudo is told of the service, and gets no second CA"
useradd --create-home it2
for command in check init "cert list" "cert issue --client x" "run"; do
	# shellcheck disable=SC2086
	exits 1 runuser -u it2 -- env HOME=/home/it2 tlstunnel $command
	said 'with its config "/etc/tlstunnel/config.toml"'
	said "sudo"
done
same "the user's files" "$(find /home/it2 -name '*.toml' -o -name '*.key' -o -name '*.crt')" ""
exits 0 runuser -u it2 -- env HOME=/home/it2 tlstunnel init --config /home/it2/own.toml

step "a PKI that is gone isn't made anew until somebody says so"
first=$(openssl x509 -in /var/lib/tlstunnel/pki/ca.crt -noout -fingerprint)
systemctl stop "$unit"
mv /var/lib/tlstunnel/pki /root/pki
exits 1 tlstunnel check
said "is gone"
said "tlstunnel init"
tlstunnel start >/tmp/said 2>&1 || true
within 5 grep -q "is gone" "$log"
fails test -e /var/lib/tlstunnel/pki/ca.key
mv /root/pki /var/lib/tlstunnel/pki # as if its disk were mounted late
within 30 serves
same "the CA" "$(openssl x509 -in /var/lib/tlstunnel/pki/ca.crt -noout -fingerprint)" "$first"
systemctl stop "$unit"
rm -r /var/lib/tlstunnel/pki
exits 0 tlstunnel init
fails same "the CA" "$(openssl x509 -in /var/lib/tlstunnel/pki/ca.crt -noout -fingerprint)" "$first" 2>/dev/null
exits 0 tlstunnel start
serves

step "the group can read the log"
same "the log" "$(stat -c '%U:%G %a' /var/log/tlstunnel "$log")" $'tlstunnel:tlstunnel 750\ntlstunnel:tlstunnel 640'
