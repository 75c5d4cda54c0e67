# bash completion for natlockctl, printed by: natlockctl completion bash
_natlockctl()
{
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} line i
	local -a typed=()
	COMPREPLY=()
	case $before in
	-o|--output) COMPREPLY=($(compgen -W "table wide json jsonl csv cisco" -- "$word")); return;;
	--api) COMPREPLY=($(compgen -f -- "$word")); return;;
	--hub) return;;
	esac
	if [[ $word == -* ]]; then
		COMPREPLY=($(compgen -W "--hub --api --output --help --version" -- "$word"))
		return
	fi
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-o|--output|--api|--hub) ((i++));;
		-*) ;;
		*) typed+=("${COMP_WORDS[i]}");;
		esac
	done
	line="${typed[*]}"
	case $line in
	'') COMPREPLY=($(compgen -W "status process process hub session nat dhcp alg alg policy drops version shutdown import completion help" -- "$word"));;
	process) COMPREPLY+=($(compgen -W "list" -- "$word"));;&
	process) COMPREPLY+=($(compgen -W "restart" -- "$word"));;&
	hub) COMPREPLY+=($(compgen -W "list" -- "$word"));;&
	session) COMPREPLY+=($(compgen -W "list" -- "$word"));;&
	nat) COMPREPLY+=($(compgen -W "table" -- "$word"));;&
	dhcp) COMPREPLY+=($(compgen -W "table" -- "$word"));;&
	alg) COMPREPLY+=($(compgen -W "expectations" -- "$word"));;&
	alg) COMPREPLY+=($(compgen -W "stats" -- "$word"));;&
	policy) COMPREPLY+=($(compgen -W "show" -- "$word"));;&
	import) COMPREPLY+=($(compgen -W "softether" -- "$word"));;&
	completion) COMPREPLY+=($(compgen -W "bash" -- "$word"));;&
	esac
}
complete -F _natlockctl natlockctl
