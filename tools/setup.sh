#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Everything that a checkout needs before it runs. Each step looks first, and says one line only when it has work to do:
#
#   kernel ─▶ Debian packages ─▶ kubectl ─▶ npm packages (Node 26 is one) ─▶ native/ bpf/ cni/ ui/ ─▶ compile cache
#
# With the word `bench` also what `npm run bench` compares with: the bridge plugin and iptables; with `test` the browser that looks at
# the page and the Prometheus that is asked for what dashboards show, without which those tests are skipped.
# What it makes is in node_modules/ and build/. As root on Debian 12 it ends with everything there. Elsewhere it names what is missing
# and goes on, so that whatever can work without it does.
set -eu
purpose=${1:-}
cd "$(dirname "$0")/.."
# Debian gives users no sbin; the machine's own node runs npm, because npm replaces the one in node_modules.
PATH=$(printf '%s\n' "$PATH" | sed 's|[^:]*/node_modules/[^:]*:||g'):/usr/sbin:/sbin
machine=$(uname -m)
kernel=$(uname -r)

say() { printf '%s\n' "setup: $*"; }
warn() { say "$*" >&2; }

check_kernel() {
	major=${kernel%%.*}
	rest=${kernel#*.}
	minor=${rest%%[!0-9]*}
	[ "$major" -gt 6 ] || { [ "$major" -eq 6 ] && [ "$minor" -ge 6 ]; } ||
		warn "This is Linux $kernel, wanted 6.6 or later: the programs will not load here; Debian 12 has one in bookworm-backports (linux-image-amd64)"
}

# Reads lines of a package and the command or file by which it is known to be there.
missing_of() {
	while read -r package probe; do
		case $probe in
		/*) [ -e "$probe" ] || printf '%s ' "$package" ;;
		*) command -v "$probe" >/dev/null || printf '%s ' "$package" ;;
		esac
	done
}

# What only some of it needs, and is skipped by name without.
missing_extras() {
	[ "$purpose" != bench ] || missing_of <<-END
		containernetworking-plugins  /usr/lib/cni/bridge
		iptables                     iptables-restore
	END
	[ "$purpose" != test ] && [ "$purpose" != bench ] || missing_of <<-END
		chromium           chromium
		fonts-dejavu-core  /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf
	END
}

missing_packages() {
	missing_of <<-END
		binutils         ld
		bpftool          bpftool
		bsdutils         script
		clang-19         clang-19
		curl             curl
		ethtool          ethtool
		gcc              gcc
		hostname         hostname
		iproute2         ip
		iputils-arping   arping
		iputils-ping     ping
		libatomic1       /usr/lib/$machine-linux-gnu/libatomic.so.1
		libbpf-dev       /usr/include/bpf/bpf.h
		libc6-dev        /usr/lib/$machine-linux-gnu/libc.a
		linux-libc-dev   /usr/include/linux/bpf.h
		make             make
		netcat-openbsd   nc
		nftables         nft
		openssl          openssl
		procps           sysctl
		socat            socat
		tcpdump          tcpdump
		util-linux       nsenter
	END
}

install_packages() {
	missing=$1
	[ -n "$missing" ] || return 0
	if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
		warn "Missing Debian packages: $missing- install them as root with: apt-get install $missing"
		return 0
	fi
	say "Installing Debian packages: $missing"
	apt-get -q update >build/apt.log 2>&1 || warn "apt-get update failed, going on with the package lists that are there: see build/apt.log"
	# shellcheck disable=SC2086 # a list of words
	DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install $missing >>build/apt.log 2>&1 || {
		tail -n 5 build/apt.log >&2
		warn "Cannot install $missing- see build/apt.log"
		return 1
	}
}

# build/bin/kubectl is the machine's own where that is 1.31 or later, else Debian's newest; Debian 12 has 1.20.
provide_kubectl() {
	[ ! -x build/bin/kubectl ] || return 0
	mkdir -p build/bin
	found=$(command -v kubectl || true)
	if [ -n "$found" ] && is_new_kubectl "$found"; then
		ln -sf "$found" build/bin/kubectl
		return 0
	fi
	say "Unpacking Debian's newest kubectl into build/bin"
	for suite in unstable stable; do
		unpack_kubectl "$suite" >build/kubectl.log 2>&1 && return 0
	done
	warn "Cannot get kubectl 1.31 or later (see build/kubectl.log): whatever needs it is skipped. Put one in PATH and run this again"
}

is_new_kubectl() {
	version=$("$1" version --client 2>/dev/null | sed -n 's/^Client Version: v1\.\([0-9]*\).*/\1/p')
	[ "${version:-0}" -ge 31 ]
}

# With package lists of its own, so that the machine's apt sees nothing of it; from the mirror that the machine uses.
unpack_kubectl() {
	apt=$PWD/build/kubectl
	rm -rf "$apt"
	mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/parts"
	(
		# shellcheck disable=SC1091
		. /etc/os-release
		apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
			sed -n "s|^\(deb .*\) $VERSION_CODENAME main\$|\1 $1 main|p" | sort -u
	) >"$apt/sources.list"
	[ -s "$apt/sources.list" ] || return 1
	set -- -q -o Dir::Etc::SourceList="$apt/sources.list" -o Dir::Etc::SourceParts="$apt/parts" -o Dir::State::Lists="$apt/lists" \
		-o Dir::State::Status=/dev/null -o Dir::Cache="$apt/cache" -o APT::Sandbox::User= \
		-o Acquire::Languages=none -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false
	apt-get "$@" update || true # one of several mirrors may lack the suite
	(cd "$apt" && apt-get "$@" download kubectl) || return 1
	dpkg-deb -x "$apt"/kubectl_*.deb "$apt/root" || return 1
	is_new_kubectl "$apt/root/usr/bin/kubectl" || return 1
	mv "$apt/root/usr/bin/kubectl" build/bin/kubectl
	rm -rf "$apt"
}

# build/bin/prometheus is the machine's own or Debian's, unpacked: installed it would start by itself, now and with the machine.
provide_prometheus() {
	[ "$purpose" = test ] && [ ! -x build/bin/prometheus ] || return 0
	mkdir -p build/bin
	found=$(command -v prometheus || true)
	if [ -n "$found" ]; then
		ln -sf "$found" build/bin/prometheus
		return 0
	fi
	say "Unpacking Debian's prometheus into build/bin"
	unpack_prometheus >build/prometheus.log 2>&1 ||
		warn "Cannot get prometheus (see build/prometheus.log): whatever needs it is skipped. Put one in PATH and run this again"
}

unpack_prometheus() {
	rm -rf build/prometheus
	mkdir -p build/prometheus
	download='apt-get -q -o APT::Sandbox::User= download prometheus'
	(cd build/prometheus && { $download || { apt-get -q update && $download; }; }) || return 1
	dpkg-deb -x build/prometheus/prometheus_*.deb build/prometheus/root || return 1
	mv build/prometheus/root/usr/bin/prometheus build/bin/prometheus
	rm -rf build/prometheus
}

install_npm_packages() {
	cmp -s package-lock.json node_modules/.installed-lock.json && [ -x node_modules/.bin/node ] && return 0
	command -v npm >/dev/null || {
		warn "Cannot find npm, wanted Node 20 or later with its npm"
		return 1
	}
	say "Installing npm packages"
	npm ci --no-progress --loglevel=error >build/npm.log 2>&1 || {
		tail -n 20 build/npm.log >&2
		warn "npm ci failed: see build/npm.log"
		return 1
	}
	# The package `node` fetches its binary in an install script, which a careful npm does not run.
	[ -x node_modules/.bin/node ] || (cd node_modules/node && node installArchSpecificPackage.js) >>build/npm.log 2>&1 || true
	[ -x node_modules/.bin/node ] || ln -sf ../node/bin/node node_modules/.bin/node
	node_modules/.bin/node --version >>build/npm.log 2>&1 || {
		tail -n 5 build/npm.log >&2
		warn "The npm package 'node' has no binary that runs here: see build/npm.log"
		return 1
	}
	cp package-lock.json node_modules/.installed-lock.json
}

compile() {
	for folder in native bpf cni; do
		[ -e "$folder/Makefile" ] || continue
		make -q -C "$folder" >/dev/null 2>&1 && continue
		if ! command -v make >/dev/null || ! command -v clang-19 >/dev/null; then
			warn "Cannot compile $folder/ without make and clang-19"
			continue
		fi
		say "Compiling $folder/"
		make -s -j2 -C "$folder" >"build/$folder.log" 2>&1 || {
			cat "build/$folder.log" >&2
			warn "Cannot compile $folder/"
			return 1
		}
	done
}

# The web page; it is made anew when anything that may be in it is newer.
build_page() {
	[ -x node_modules/.bin/esbuild ] || return 0
	[ ! -e build/ui/index.html ] || [ -n "$(find ui src/page src/flows tools/build-page.ts package-lock.json -newer build/ui/index.html -type f -print -quit)" ] || return 0
	say "Building ui/"
	node_modules/.bin/node tools/build-page.ts
}

# The first start then does not pay for stripping the types of what it imports.
warm_compile_cache() {
	[ ! -e build/node/warm ] || [ -n "$(find src bin -newer build/node/warm -type f -print -quit)" ] || return 0
	bin/stentor version >/dev/null 2>&1 || true # the command says itself what is wrong with it
	mkdir -p build/node && touch build/node/warm
}

mkdir -p build
check_kernel
install_packages "$(missing_packages)"
install_packages "$(missing_extras)" || true # said by then
provide_kubectl
provide_prometheus
install_npm_packages
compile
build_page
warm_compile_cache
