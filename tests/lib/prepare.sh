# shellcheck shell=bash
# Sourced by tests/check and tests/demo: finds the tree, installs what Debian has and this machine lacks, and builds.
# Messages go to standard error; $BUILD is the build folder afterwards.
set -euo pipefail
TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
BUILD=${NATLOCK_BUILD:-$TOP/build}
export PATH=/usr/sbin:/usr/bin:/sbin:/bin:$PATH # Debian's own python3 and meson before any other

say() { printf '%s\n' "$*" >&2; }

missing_packages() { # LIST...
	local p
	for p in $(sed 's/#.*//' "$@"); do
		dpkg-query -W -f '${db:Status-Abbrev}' "$p" 2>/dev/null | grep -q '^ii' || printf '%s ' "$p"
	done
}

install_packages() { # [LIST...]: of more than what builds and tests need
	local missing
	missing=$(missing_packages "$TOP/tests/lib/packages.txt" "$@")
	[ -z "$missing" ] && return
	if [ "$(id -u)" != 0 ]; then
		say "These Debian packages are missing: $missing"
		say "Install them with: sudo apt-get install $missing"
		exit 1
	fi
	say "installing from Debian: $missing"
	# A daemon that a test starts itself must not be started by its package.
	local guard=/usr/sbin/policy-rc.d made=0
	[ -e $guard ] || { printf '#!/bin/sh\nexit 101\n' >$guard; chmod +x $guard; made=1; }
	apt-get update -q >&2
	# shellcheck disable=SC2086
	DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing >&2
	[ $made = 0 ] || rm -f $guard
}

unpack_packages() { # those of unpacked.txt
	local p dir=$BUILD/debian
	for p in $(sed 's/#.*//' "$TOP/tests/lib/unpacked.txt"); do
		[ -e "$dir/$p" ] && continue
		say "unpacking from Debian: $p"
		rm -rf "$dir/.$p"
		mkdir -p "$dir/.$p"
		(cd "$dir/.$p" && apt-get download -q "$p" >&2 && dpkg -x ./*.deb . && rm ./*.deb)
		mv "$dir/.$p" "$dir/$p"
	done
}

build() { # FOLDER TARGET [MESON OPTIONS]: sets up once, then compiles
	local dir=$1 target=$2
	shift 2
	[ -e "$dir/build.ninja" ] || meson setup "$dir" "$TOP" "$@" >&2
	say "building $dir"
	ninja --quiet -C "$dir" "$target" >&2
}

stage() { # installs the build below $BUILD/stage, as a packager would; $NATLOCK_BIN is where natlock and natlockctl are then
	DESTDIR=$BUILD/stage meson install -C "$BUILD" --no-rebuild --quiet >&2
	NATLOCK_BIN=$(dirname "$(find "$BUILD/stage" -type f -name natlockctl)")
	export NATLOCK_BIN
}
