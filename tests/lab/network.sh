# shellcheck shell=bash
# The lab's network: namespaces, links, addresses, and who may reach whom. Sourced after lib.sh.
#
#   workstation 198.18.1.10 -- .1.1 firewall .3.1 -- 198.18.3.10 login 198.18.2.1 --- switch -- compute1 .2.11
#                                            .4.1 -- 198.18.4.10 login2 198.18.2.2 -/        \- compute2 .2.12
#                                            .5.1 -- 198.18.5.10 oldlogin 198.18.2.3 -/   (where oldlogin has joined)
# What path opens and closes is enforced on the firewall and the switch alone (and by the workstation's own input
# chain), so that tests may do what they like with nft on the login node.

addresses() {
    case $1 in
        workstation) echo 198.18.1.10 ;;
        login) echo 198.18.2.1, 198.18.3.10 ;;
        login2) echo 198.18.2.2, 198.18.4.10 ;;
        oldlogin) echo 198.18.2.3, 198.18.5.10 ;;
        compute1) echo 198.18.2.11 ;;
        compute2) echo 198.18.2.12 ;;
        *) return 1 ;;
    esac
}

network_up() {
    local host
    for host in "${HOSTS[@]}" oldlogin switch; do
        ip netns add "$(netns "$host")"
    done
    ip -n "$(netns workstation)" -batch - <<BATCH
link set lo up
link add eth0 type veth peer name lan netns $(netns firewall)
addr add 198.18.1.10/24 dev eth0
link set eth0 up
BATCH
    ip -n "$(netns firewall)" -batch - <<BATCH
link set lo up
link add wan type veth peer name wan0 netns $(netns login)
link add wan2 type veth peer name wan0 netns $(netns login2)
link add wan3 type veth peer name wan0 netns $(netns oldlogin)
addr add 198.18.1.1/24 dev lan
addr add 198.18.3.1/24 dev wan
addr add 198.18.4.1/24 dev wan2
addr add 198.18.5.1/24 dev wan3
link set lan up
link set wan up
link set wan2 up
link set wan3 up
BATCH
    ip -n "$(netns switch)" link add br0 type bridge
    ip -n "$(netns switch)" link set br0 up
    for host in login login2 oldlogin compute1 compute2; do
        ip -n "$(netns switch)" -batch - <<BATCH
link add p-$host type veth peer name clu0 netns $(netns "$host")
link set p-$host master br0
link set p-$host up
BATCH
        ip -n "$(netns "$host")" -batch - <<BATCH
link set lo up
addr add $(addresses "$host" | cut -d, -f1)/24 dev clu0
link set clu0 up
BATCH
    done
    ip -n "$(netns login)" -batch - <<BATCH
addr add 198.18.3.10/24 dev wan0
link set wan0 up
route add 198.18.1.0/24 via 198.18.3.1
BATCH
    ip -n "$(netns login2)" -batch - <<BATCH
addr add 198.18.4.10/24 dev wan0
link set wan0 up
route add 198.18.1.0/24 via 198.18.4.1
BATCH
    ip -n "$(netns oldlogin)" -batch - <<BATCH
addr add 198.18.5.10/24 dev wan0
link set wan0 up
route add 198.18.1.0/24 via 198.18.5.1
BATCH
    ip -n "$(netns firewall)" route add 198.18.2.0/24 via 198.18.3.10
    ip -n "$(netns workstation)" route add 198.18.3.0/24 via 198.18.1.1
    ip -n "$(netns workstation)" route add 198.18.4.0/24 via 198.18.1.1
    ip -n "$(netns workstation)" route add 198.18.5.0/24 via 198.18.1.1
    ip netns exec "$(netns firewall)" sysctl -qw net.ipv4.ip_forward=1
    network_policy ""
}

# network_policy [FROM TO open|close]...: this much differs from the fresh state
network_policy() {
    local cut="" open="" in="" routed=0 node routes=""
    while [ -n "${1:-}" ]; do
        local pair
        pair="ip saddr { $(addresses "$1") } ip daddr { $(addresses "$2") }"
        if [ "$3" = close ]; then
            cut+="$pair drop"$'\n'
        else
            open+="$pair accept"$'\n'
            [ "$2" != workstation ] || in+="ip saddr { $(addresses "$1") } accept"$'\n'
        fi
        for node in compute1 compute2; do
            case "$1 $2" in "workstation $node" | "$node workstation") routes+=" $node" ;; esac
        done
        shift 3
    done

    ip netns exec "$(netns firewall)" nft -f - <<NFT
table inet lab
delete table inet lab
table inet lab {
    chain forward {
        type filter hook forward priority 0; policy drop;
        $cut
        ct state established,related accept
        ip saddr 198.18.1.10 ip daddr { 198.18.3.10, 198.18.4.10, 198.18.5.10 } tcp dport 22 accept
        $open
    }
    chain input {
        type filter hook input priority 0; policy drop;
        iifname lo accept
        ct state established,related accept
    }
}
NFT
    ip netns exec "$(netns switch)" nft -f - <<NFT
table bridge lab
delete table bridge lab
table bridge lab {
    chain forward {
        type filter hook forward priority 0; policy accept;
        $cut
    }
}
NFT
    ip netns exec "$(netns workstation)" nft -f - <<NFT
table inet lab
delete table inet lab
table inet lab {
    chain input {
        type filter hook input priority 0; policy drop;
        iifname lo accept
        ct state established,related accept
        $in
    }
}
NFT
    for node in compute1 compute2; do
        if [[ $routes == *$node* ]]; then
            routed=1
            ip -n "$(netns workstation)" route replace "$(addresses $node)/32" via 198.18.1.1
            ip -n "$(netns $node)" route replace 198.18.1.10/32 via 198.18.2.1
        else
            ip -n "$(netns workstation)" route del "$(addresses $node)/32" 2>/dev/null || true
            ip -n "$(netns $node)" route del 198.18.1.10/32 2>/dev/null || true
        fi
    done
    ip netns exec "$(netns login)" sysctl -qw net.ipv4.ip_forward=$routed
}

network_down() {
    local name
    for name in /run/netns/"$(netns '')"*; do
        [ -e "$name" ] || continue
        ip netns del "${name##*/}" 2>/dev/null || rm -f "$name"
    done
    # ip makes /run/netns a mount; nobody else's namespace is in it: take it away
    if mountpoint -q /run/netns && [ -z "$(ls -A /run/netns)" ]; then
        umount /run/netns
    fi
}
