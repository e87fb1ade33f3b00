#!/usr/bin/env bash
# Build the Pulumi command-line tool and its Kubernetes provider from their Go modules: build_pulumi.sh FOLDER -> FOLDER/bin
# For machines that reach registries of packages but not Pulumi's own download. Needs Go 1.26; 16 minutes of CPU once, and 4 GB of memory.
# What runs Python programs for the tool is not among the modules: tests bring their own (tests/infra/harness/language_host.py).
set -euo pipefail
folder=$(mkdir -p "$1/bin" && cd "$1" && pwd)
tool=v3.274.1
provider=v4.0.0-20260115033456-f47bc2d6f199 # of the modules served, the newest with the provider's source
python_sdk=4.34.2                          # whose plugin it stands for; the installed pulumi-kubernetes asks for it
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
export GOFLAGS=-mod=mod

mkdir "$work/tool" && cd "$work/tool"
cat > go.mod <<END
module engines/pulumi

go 1.26

require (
	github.com/pulumi/pulumi/pkg/v3 $tool
	github.com/pulumi/pulumi/sdk/v3 $tool
)

// As in the tool's own go.mod, whose replacements count in its own build only.
replace github.com/atotto/clipboard => github.com/tgummerer/clipboard v0.0.0-20241001131231-d02d263e614e
END
cat > tools.go <<'END'
//go:build tools

package tools

import _ "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
END
go mod tidy
go build -trimpath -ldflags "-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=$tool" \
    -o "$folder/bin/pulumi" github.com/pulumi/pulumi/pkg/v3/cmd/pulumi

source=$(go mod download -json "github.com/pulumi/pulumi-kubernetes/provider/v4@$provider" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
cp -r "$source" "$work/provider" && chmod -R u+w "$work/provider" && cd "$work/provider"
sed -i '/^replace/d' go.mod # of a folder that is not in the module
python3 - "$python_sdk" <<'END'
import json
import pathlib
import sys

folder = pathlib.Path("cmd/pulumi-resource-kubernetes")
for name, more in (("schema", {"version": sys.argv[1]}), ("terraform-mapping", {})):
    (folder / f"{name}-embed.json").write_text(json.dumps(json.loads((folder / f"{name}.json").read_text()) | more))
END
go build -trimpath -ldflags "-s -w -X github.com/pulumi/pulumi-kubernetes/provider/v4/pkg/version.Version=$python_sdk" \
    -o "$folder/bin/pulumi-resource-kubernetes" ./cmd/pulumi-resource-kubernetes
ls -l "$folder/bin"
