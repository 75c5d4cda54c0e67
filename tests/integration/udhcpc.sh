#!/bin/sh
# What the DHCP client does with an answer: set the interface, print the options for the test.
case $1 in
deconfig)
	ip link set "$interface" up
	ip addr flush dev "$interface"
	;;
bound | renew)
	ip addr flush dev "$interface"
	ip addr add "$ip/$mask" dev "$interface"
	[ -z "$router" ] || ip route replace default via "$router"
	echo "$1 ip=$ip mask=$mask router=$router dns=$dns lease=$lease serverid=$serverid domain=$domain"
	;;
esac
