# Functions for the scripts in a box. The scripts find in /run/built:
#
#	peer                  the program behind and in front of the tunnels
#	here/tlstunnel...     the packages, and the bare program
#	next/tlstunnel...     those of a higher version, with another example config
#
# A script ends with an error at the first thing that doesn't hold.
set -Eeuo pipefail
export PATH=$PATH:/run/built LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive SYSTEMD_PAGER=cat

unit=tlstunnel.service
config=/etc/tlstunnel/config.toml
log=/var/log/tlstunnel/tlstunnel.log

version_here=$(cat /run/built/here/version)
version_next=$(cat /run/built/next/version)

step() { echo "-- $*"; }

failed() {
	[ "$BASH_SUBSHELL" = 0 ] || return 0 # the shell that started the subshell decides
	trap - ERR
	echo "FAILED at $1"
	systemctl status --no-pager --full --lines=0 "$unit" || true
	journalctl --unit="$unit" --no-pager --output=short-precise --lines=40
	[ ! -e "$log" ] || { echo "$log:"; tail -n 20 "$log"; }
	exit 1
} >&2
trap 'failed "${BASH_SOURCE[0]} line $LINENO: $BASH_COMMAND"' ERR

# same WHAT GOT WANT
same() {
	[ "$2" = "$3" ] || { printf '%s:\n  got  %s\n  want %s\n' "$1" "$2" "$3" >&2; return 1; }
}

# fails COMMAND...: the command must fail.
fails() {
	if "$@"; then
		echo "it went well, but must not: $*" >&2
		return 1
	fi
}

# within SECONDS COMMAND...: the command must succeed within that time.
within() {
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ "$SECONDS" -le "$end" ] || { echo "it didn't come to this: $*" >&2; return 1; }
		sleep 0.1
	done
}

# exits CODE COMMAND...: the command must exit with CODE. Its output goes to /tmp/said.
exits() {
	local want=$1 code=0
	shift
	"$@" >/tmp/said 2>&1 || code=$?
	[ "$code" = "$want" ] || { echo "exit code $code instead of $want: $*"; cat /tmp/said; return 1; } >&2
}

# said TEXT: the last command must have printed TEXT.
said() { grep -F -- "$1" /tmp/said >/dev/null || { echo "nobody said \"$1\":"; cat /tmp/said; return 1; } >&2; }

property() { systemctl show --value --property="$1" "$unit"; }

# restarted PID: the service must run as another process than PID.
restarted() {
	local state
	state=$(systemctl show --property=ActiveState,MainPID "$unit") # both at one moment
	grep -qx ActiveState=active <<<"$state" && ! grep -qx "MainPID=$1" <<<"$state"
}

# running PID: the service must still be the process PID.
running() { same "the service" "$(property ActiveState) $(property MainPID)" "active $1"; }

# journal_has TEXT: the journal must have TEXT since the boot.
journal_has() { journalctl --unit="$unit" --output=cat | grep -F -- "$1" >/dev/null; }

# A pair of tunnels: plain on port 104, TLS between the two, an echo service behind.
write_config() {
	cat >"$config" <<-'END'
		[[tunnel]]
		name   = "back"
		mode   = "server"
		listen = "127.0.0.1:2762"
		target = "127.0.0.1:7007"

		[[tunnel]]
		name   = "front"
		mode   = "client"
		listen = "127.0.0.1:104"
		target = "127.0.0.1:2762"
		ca     = "own"
	END
}

start_echo() {
	peer echo 127.0.0.1:7007 &
	within 5 peer send 127.0.0.1:7007 1 &>/dev/null
}

serves() { peer send 127.0.0.1:104 1000000 >/dev/null; }

# files lists the files on the disk and the accounts. It leaves out files that the system
# itself changes at any time.
files() {
	find / -xdev \( -path /var/log/journal -o -path /var/log/dpkg.log -o -path /var/lib/systemd -o -path /var/cache \
		-o -path /var/lib/dpkg -o -path /tmp \) -prune -o -printf '%p %M %u:%g\n' | sort
	find /run -name '*tlstunnel*'
	cat /etc/passwd /etc/group /etc/shadow /etc/gshadow
}

# The rest of the file has tests of a service that runs the tunnels of write_config.

has_few_privileges() {
	local uid caps=0000000000000400 # CAP_NET_BIND_SERVICE alone
	uid=$(id -u tlstunnel)
	[ "$uid" != 0 ]
	same "the process" "$(awk '/^(Uid|Cap...|NoNewPrivs|Seccomp):/ {printf "%s%s ", $1, $2}' "/proc/$(property MainPID)/status")" \
		"Uid:$uid CapInh:$caps CapPrm:$caps CapEff:$caps CapBnd:$caps CapAmb:$caps NoNewPrivs:1 Seccomp:2 "
	same "its keys" "$(stat -c '%U:%G %a' /var/lib/tlstunnel /var/lib/tlstunnel/pki/*.key | sort -u)" \
		$'tlstunnel:tlstunnel 600\ntlstunnel:tlstunnel 700'
	same "its config" "$(stat -c '%U:%G %a' /etc/tlstunnel "$config")" $'root:tlstunnel 750\nroot:tlstunnel 640'
}

# All threads of the service have the timer slack, and so has Go's sysmon.
has_timer_slack() {
	local thread
	for thread in "/proc/$(property MainPID)"/task/*; do
		same "the slack of $thread" "$(cat "/proc/${thread##*/}/timerslack_ns")" 2000000
	done
}

# Another TLS implementation accepts our certificate.
speaks_tls() {
	{ echo "a line"; sleep 1; } | openssl s_client -quiet -no_ign_eof -connect 127.0.0.1:2762 -CAfile /var/lib/tlstunnel/pki/ca.crt \
		-verify_hostname localhost -verify_return_error 2>/dev/null | grep -Fx "a line" >/dev/null
}

comes_back_after_kill() {
	local pid
	pid=$(property MainPID)
	kill -9 "$pid"
	within 5 restarted "$pid"
	serves
	systemctl reset-failed "$unit"
}

# A suspended process answers no request.
comes_back_after_hanging() {
	local pid
	mkdir -p "/run/systemd/system/$unit.d"
	printf '[Service]\nWatchdogSec=2s\n' >"/run/systemd/system/$unit.d/watchdog.conf"
	systemctl daemon-reload
	systemctl restart "$unit"
	pid=$(property MainPID)
	sleep 3 # it must go on until it is stopped
	running "$pid"
	kill -STOP "$pid"
	within 15 restarted "$pid"
	journal_has "Watchdog timeout"
	serves
	rm -r "/run/systemd/system/$unit.d"
	systemctl daemon-reload
	systemctl reset-failed "$unit"
	systemctl restart "$unit"
}

# No byte is lost and no connection refused while the config changes 20 times.
reloads_under_load() {
	local pid stream i
	pid=$(property MainPID)
	peer stream 127.0.0.1:104 &
	stream=$!
	for i in {1..20}; do
		write_config
		echo "max_connections = $((1000 + i))" >>"$config"
		systemctl reload "$unit"
	done
	kill "$stream"
	wait "$stream"
	running "$pid"
	same "reloads in the log" "$(grep -c 'msg=reloaded.*changed=\[front\]' "$log")" 20
}

# If the config has a mistake, the service changes nothing and reports the line.
refuses_a_broken_config() {
	local pid
	pid=$(property MainPID)
	write_config
	sed -i 's/^mode   = "client"/mode   = "klient"/' "$config"
	fails systemctl reload "$unit" 2>/dev/null
	running "$pid"
	serves
	fails systemctl restart "$unit" 2>/dev/null
	journal_has "msg=started version="
	journal_has "msg=stopped"
	journal_has "$config:9:"
	journal_has "klient"
	systemctl stop "$unit"
	write_config
	systemctl reset-failed "$unit"
	systemctl start "$unit"
	serves
}

# add_address ADDRESS: adds it to the loopback device. The box has no ip(8).
add_address() {
	perl -MSocket -e 'socket(S, AF_INET, SOCK_DGRAM, 0) or die;
		ioctl(S, 0x8916, pack("a16Sna4x8", "lo:1", AF_INET, 0, inet_aton($ARGV[0]))) or die $!' "$1" # SIOCSIFADDR
}

# One tunnel waits for its address, another for a disk with its certificate. The other
# tunnels serve meanwhile. Each of the two starts as soon as it can.
waits_for_surroundings() {
	local code=0
	mkdir -p /srv/late
	write_config
	cat >>"$config" <<-'END'

		[[tunnel]]
		name   = "address"
		mode   = "client"
		listen = "10.99.0.1:105"
		target = "127.0.0.1:2762"
		ca     = "own"

		[[tunnel]]
		name   = "disk"
		mode   = "client"
		listen = "127.0.0.1:106"
		target = "127.0.0.1:2762"
		ca     = "/srv/late/ca.crt"
	END
	systemctl restart "$unit"
	serves
	tlstunnel status >/tmp/said || code=$?
	same "exit code" "$code" 1
	grep -F 'tunnel "address" is left out' /tmp/said | grep -F "this machine has no such address" >/dev/null
	grep -F 'tunnel "disk" is left out' /tmp/said | grep -F "/srv/late/ca.crt" >/dev/null
	journal_has 'msg="the tunnel is left out, and tried again" tunnel=address'
	systemctl reload "$unit" # tunnels that are left out already don't make a reload fail
	sleep 12                 # by then the pauses between attempts have grown
	add_address 10.99.0.1
	mount -t tmpfs -o mode=755 late /srv/late
	install -m 644 /var/lib/tlstunnel/pki/ca.crt /srv/late/
	within 20 peer send 10.99.0.1:105 1000 &>/dev/null
	within 20 peer send 127.0.0.1:106 1000 &>/dev/null
	tlstunnel status >/dev/null
	journal_has 'msg="the tunnel was left out, and listens now" tunnel=disk'
	umount /srv/late
	rmdir /srv/late
	write_config
	systemctl restart "$unit"
}

# A restart that would lose a tunnel that runs is refused.
restart_is_tried_first() {
	local pid
	pid=$(property MainPID)
	write_config
	sed -i 's|= "own"|= "/nowhere/ca.crt"|' "$config"
	fails tlstunnel restart 2>/tmp/said
	grep -F "/nowhere/ca.crt" /tmp/said >/dev/null
	running "$pid"
	serves
	write_config
}

# If the unit can't start, systemd tries again for ever.
never_gives_up() {
	local pid
	pid=$(property MainPID)
	mkdir -p "/run/systemd/system/$unit.d"
	printf '[Service]\nRestartSec=100ms\n' >"/run/systemd/system/$unit.d/quick.conf"
	systemctl daemon-reload
	echo "broken" >>"$config"
	kill -9 "$pid"
	enough() { [ "$(property NRestarts)" -ge 12 ]; }
	within 20 enough
	write_config
	within 20 restarted "$pid"
	serves
	rm -r "/run/systemd/system/$unit.d"
	systemctl daemon-reload
}
