# natlock as one more peer of the side-by-side benchmark: root, default layout, all sandboxes on. NATLOCK_BUILD names the build folder.
PEER_DESC="natlock" PEER_MTUS="1500 65520" PEER_DNS=192.168.30.1 PEER_DHCP=180
NATLOCK_BUILD=${NATLOCK_BUILD:-build}
NATLOCK_BIN=$(find "$NATLOCK_BUILD" -type f -name natlock -perm -u+x | head -n 1)
peer_available() { [ -x "$NATLOCK_BIN" ]; }
peer_version() { "$NATLOCK_BIN" --version | awk '{print $2}'; }
peer_setup() {
	natlock_folder=$WORK/natlock
	rm -rf "$natlock_folder"
	mkdir -p "$natlock_folder/run" "$natlock_folder/state"
}
peer_start() {
	cat >"$natlock_folder/natlock.yaml" <<-Y
		hubs:
		  default:
		    attach: ["tap:$TAP"]
		    nat: { mtu: $1, log: false }
		    limits: { tcp_sessions_per_host: 16000, udp_sessions_per_host: 16000, syn_sent_per_host: 1024 }
	Y
	XDG_RUNTIME_DIR=$natlock_folder/run XDG_STATE_HOME=$natlock_folder/state spawn_gw "$NATLOCK_BIN" up -c "$natlock_folder/natlock.yaml"
	tap_from_gw "$TAP" && guest_addr 192.168.30.2/24 192.168.30.1 "$1"
}
