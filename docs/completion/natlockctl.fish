# fish completion for natlockctl, printed by: natlockctl completion fish
function __natlockctl_typed
	set -l typed
	set -l skip 0
	for word in (commandline -opc)[2..-1]
		if test $skip = 1
			set skip 0
		else if contains -- $word -o --output --api --hub --watch --vrf --for
			set skip 1
		else if not string match -q -- '-*' $word
			set -a typed $word
		end
	end
	test "$typed" = $argv[1]
end
complete -c natlockctl -f
complete -c natlockctl -s o -l output -x -a 'table wide json jsonl csv conntrack cisco'
complete -c natlockctl -l api -r -F
complete -c natlockctl -l hub -x
complete -c natlockctl -l watch -x
complete -c natlockctl -l vrf -x
complete -c natlockctl -l json
complete -c natlockctl -l probe
complete -c natlockctl -l for -x
complete -c natlockctl -l save
complete -c natlockctl -s h -l help
complete -c natlockctl -l version
complete -c natlockctl -f -n '__natlockctl_typed ""' -a 'status health process hub session nat dhcp dns alg config reload drain shutdown policy drops log metrics version import doctor completion help'
complete -c natlockctl -f -n '__natlockctl_typed "process"' -a 'list inspect restart'
complete -c natlockctl -f -n '__natlockctl_typed "hub"' -a 'list show enable disable get set'
complete -c natlockctl -f -n '__natlockctl_typed "session"' -a 'list kick'
complete -c natlockctl -f -n '__natlockctl_typed "nat"' -a 'status get set enable disable table events flush publish static'
complete -c natlockctl -f -n '__natlockctl_typed "nat publish"' -a 'list add del'
complete -c natlockctl -f -n '__natlockctl_typed "nat static"' -a 'list add del'
complete -c natlockctl -f -n '__natlockctl_typed "dhcp"' -a 'status get set enable disable table release reserve export'
complete -c natlockctl -f -n '__natlockctl_typed "dhcp reserve"' -a 'list add del'
complete -c natlockctl -f -n '__natlockctl_typed "dhcp export"' -a 'kea dnsmasq'
complete -c natlockctl -f -n '__natlockctl_typed "dns"' -a 'get set'
complete -c natlockctl -f -n '__natlockctl_typed "alg"' -a 'calls enable disable expectations list stats test'
complete -c natlockctl -f -n '__natlockctl_typed "config"' -a 'show diff unsaved test reload'
complete -c natlockctl -f -n '__natlockctl_typed "policy"' -a 'show audit export'
complete -c natlockctl -f -n '__natlockctl_typed "log"' -a 'follow'
complete -c natlockctl -f -n '__natlockctl_typed "import"' -a 'softether'
complete -c natlockctl -F -n '__natlockctl_typed "config test"'
complete -c natlockctl -F -n '__natlockctl_typed "import softether"'
complete -c natlockctl -f -n '__natlockctl_typed "completion"' -a 'bash zsh fish'
