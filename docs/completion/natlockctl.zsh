#compdef natlockctl
# zsh completion for natlockctl, printed by: natlockctl completion zsh
_natlockctl() {
	local -a next typed
	local i
	case ${words[CURRENT-1]} in
	-o|--output) compadd -- table wide json jsonl csv conntrack cisco; return;;
	--api) _files; return;;
	--hub|--watch|--vrf|--for) return;;
	esac
	if [[ ${words[CURRENT]} == -* ]]; then
		compadd -- --hub --api --output --watch --save --vrf --for --json --probe --help --version
		return
	fi
	for ((i = 2; i < CURRENT; i++)); do
		case ${words[i]} in
		-o|--output|--api|--hub|--watch|--vrf|--for) ((i++));;
		-*) ;;
		*) typed+=(${words[i]});;
		esac
	done
	case "${typed[*]}" in
	'') next=(status health process hub session nat dhcp dns alg config reload drain shutdown policy drops log metrics version import doctor completion help);;
	'process') next=(list inspect restart);;
	'hub') next=(list show enable disable get set);;
	'session') next=(list kick);;
	'nat') next=(status get set enable disable table events flush publish static);;
	'nat publish') next=(list add del);;
	'nat static') next=(list add del);;
	'dhcp') next=(status get set enable disable table release reserve export);;
	'dhcp reserve') next=(list add del);;
	'dhcp export') next=(kea dnsmasq);;
	'dns') next=(get set);;
	'alg') next=(calls enable disable expectations list stats test);;
	'config') next=(show diff unsaved test reload);;
	'policy') next=(show audit export);;
	'log') next=(follow);;
	'import') next=(softether);;
	'config test'|'import softether') _files; return;;
	completion) next=(bash zsh fish);;
	esac
	compadd -a next
}
_natlockctl "$@"
