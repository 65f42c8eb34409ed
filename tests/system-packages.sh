#!/bin/sh
# What the browser tests need from the system. Installed when we may; otherwise those tests are skipped with the reason.
set -eu
command -v chromium >/dev/null 2>&1 && exit 0
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "no chromium here: the browser tests will be skipped (apt-get install chromium)"
    exit 0
fi
echo "installing chromium for the browser tests ..."
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends chromium >/dev/null
