# bash completion for natlockctl, printed by: natlockctl completion bash
_natlockctl()
{
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} next= i
	local -a typed=()
	COMPREPLY=()
	case $before in
	-o|--output) COMPREPLY=($(compgen -W 'table wide json jsonl csv conntrack cisco' -- "$word")); return;;
	--api) COMPREPLY=($(compgen -f -- "$word")); return;;
	--hub|--watch|--vrf|--for) return;;
	esac
	if [[ $word == -* ]]; then
		COMPREPLY=($(compgen -W '--hub --api --output --watch --save --vrf --for --json --probe --help --version' -- "$word"))
		return
	fi
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-o|--output|--api|--hub|--watch|--vrf|--for) ((i++));;
		-*) ;;
		*) typed+=("${COMP_WORDS[i]}");;
		esac
	done
	case ${typed[*]} in
	'') next='status health process hub session nat dhcp dns alg config reload drain shutdown policy drops log metrics version import doctor completion help';;
	'process') next='list inspect restart';;
	'hub') next='list show enable disable get set';;
	'session') next='list kick';;
	'nat') next='status get set enable disable table events flush publish static';;
	'nat publish') next='list add del';;
	'nat static') next='list add del';;
	'dhcp') next='status get set enable disable table release reserve export';;
	'dhcp reserve') next='list add del';;
	'dhcp export') next='kea dnsmasq';;
	'dns') next='get set';;
	'alg') next='calls enable disable expectations list stats test';;
	'config') next='show diff unsaved test reload';;
	'policy') next='show audit export';;
	'log') next='follow';;
	'import') next='softether';;
	'config test'|'import softether') COMPREPLY=($(compgen -f -- "$word")); return;;
	completion) next='bash zsh fish';;
	esac
	COMPREPLY=($(compgen -W "$next" -- "$word"))
}
complete -F _natlockctl natlockctl
