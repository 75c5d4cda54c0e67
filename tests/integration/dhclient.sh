#!/bin/sh
# What ISC dhclient does with an answer. NLTEST_CONFLICT makes it find the address in use, as if ARP had answered.
case $reason in
PREINIT)
	ip link set "$interface" up
	;;
BOUND | REBOOT | RENEW | REBIND)
	[ -z "$NLTEST_CONFLICT" ] || [ "$new_ip_address" != "$NLTEST_CONFLICT" ] || exit 1
	ip addr flush dev "$interface"
	ip addr add "$new_ip_address/24" dev "$interface"
	ip route replace default via "$new_routers"
	;;
RELEASE | EXPIRE | STOP)
	ip addr flush dev "$interface"
	;;
esac
echo "$reason ip=$new_ip_address router=$new_routers dns=$new_domain_name_servers lease=$new_dhcp_lease_time server=$new_dhcp_server_identifier"
