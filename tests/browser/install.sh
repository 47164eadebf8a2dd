#!/usr/bin/env bash
# Installs Chromium for the browser tests, where it is lacking: on Debian, as root. Anywhere else it says what to do.
# The tests of the page are skipped without a browser; with it they need no network.
set -euo pipefail
for name in chromium chromium-browser google-chrome; do
    if command -v "$name" >/dev/null; then
        echo "browser tests: $(command -v "$name") is there"
        exit 0
    fi
done
if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
    echo "browser tests: no Chromium here, and it can be installed only as root and by apt-get" >&2
    echo "help: apt-get install chromium, or set LAYERDIFF_CHROMIUM to a Chromium of your own" >&2
    exit 1
fi
echo "browser tests: installing Debian's chromium"
apt-get update -q
DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends chromium
chromium --version --no-sandbox
