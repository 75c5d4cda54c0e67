# natlock as one more peer of the side-by-side benchmark: root, default layout, all sandboxes on. NATLOCK_BIN names the folder of natlock.
PEER_DESC="natlock" PEER_MTUS="1500 65520" PEER_DNS=192.168.30.1 PEER_DHCP=180
NATLOCK_BIN=${NATLOCK_BIN:-build/stage/usr/local/bin}
peer_available() { [ -x "$NATLOCK_BIN/natlock" ]; }
peer_version() { "$NATLOCK_BIN/natlock" --version | awk '{print $2}'; }
peer_setup() {
	natlock_folder=$WORK/natlock
	rm -rf "$natlock_folder"
	mkdir -p "$natlock_folder"
}
peer_start() {
	cat >"$natlock_folder/natlock.yaml" <<-Y
		hubs:
		  default:
		    attach: ["tap:$TAP"]
		    nat: { mtu: $1, log: false }
		    limits: { tcp_sessions_per_host: 16000, udp_sessions_per_host: 16000, syn_sent_per_host: 1024 }
	Y
	RUNTIME_DIRECTORY=$natlock_folder/run STATE_DIRECTORY=$natlock_folder/state LOGS_DIRECTORY=$natlock_folder/log spawn_gw "$NATLOCK_BIN/natlock" up -c "$natlock_folder/natlock.yaml"
	tap_from_gw "$TAP" && guest_addr 192.168.30.2/24 192.168.30.1 "$1"
}
ns_pids() { # the workers live in network namespaces of their own: they are found as children of natlock
	local p
	for p in $(ip netns pids "$1" 2>/dev/null); do
		echo "$p"
		[ "$(cat "/proc/$p/comm" 2>/dev/null)" != natlock ] || tr ' ' '\n' <"/proc/$p/task/$p/children"
	done | grep . | sort -un
}
peer_stop() { # work that a worker found only by its fallback timer: a lost doorbell, which must never be
	NATLOCK_API=$natlock_folder/run/api "$NATLOCK_BIN/natlockctl" drops 2>/dev/null | awk '$2 == "FALLBACK_WAKES" { n += $3 } END { print "natlock: FALLBACK_WAKES " n + 0 }' >&2
}
