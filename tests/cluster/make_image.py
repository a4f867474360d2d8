#!/usr/bin/env python3
"""Layers and images without an engine or a registry.

    make_image.py layer OUT.tar DIRECTORY [--since STAMP]
    make_image.py archive OUT.tar < IMAGES.json

A layer is a directory as it is: owners numeric; device nodes, caches, manuals and logs left out. With --since only what
changed after that file was written: the layer then lies on top of what was there before. (Deleted files stay.)
An archive is a layout of the OCI image specification, which `ctr images import` reads. IMAGES.json is a list of objects
with `names`, `layers` (files made by `layer`, lowest first), `config` (Cmd, Env, User, WorkingDir) and optionally
`elsewhere`: those of the layers that are not packed, because the reader has them from another archive.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import sys
import tarfile
from pathlib import Path
from typing import Any

KIND = "application/vnd.oci.image"
LEFT_OUT = ("var/cache/apt/", "var/lib/apt/lists/", "usr/share/doc/", "usr/share/man/", "usr/share/locale/", "var/log/")
# The machine's own, copied in while packages are installed; the kubelet mounts the pod's.
HOSTS = ("etc/resolv.conf", "etc/hostname", "etc/hosts")


def layer(out: Path, directory: Path, since: Path | None) -> None:
    """Write the layer. Times are kept: Python's compiled files name those of their sources."""
    after = since.stat().st_ctime_ns if since else -1

    def kept(info: tarfile.TarInfo) -> tarfile.TarInfo | None:
        if info.ischr() or info.isblk() or info.isfifo():
            return None
        if info.name in HOSTS or (not info.isdir() and info.name.startswith(LEFT_OUT)):
            return None
        if not info.isdir() and os.lstat(directory / info.name).st_ctime_ns <= after:
            return None
        info.uname = info.gname = ""
        return info

    with tarfile.open(out, "w", format=tarfile.GNU_FORMAT) as tar:
        for name in sorted(os.listdir(directory)):
            tar.add(directory / name, name, filter=kept)


def archive(out: Path, images: list[dict[str, Any]]) -> None:
    """Write all images into one archive, a layer that several of them share only once."""
    packed: dict[str, dict[str, Any]] = {}
    found = []
    with tarfile.open(out, "w", format=tarfile.GNU_FORMAT) as tar:
        for image in images:
            for each in image["layers"]:
                if each not in packed:
                    packed[each] = _layer(tar, Path(each), pack=each not in image.get("elsewhere", ()))
            layers = [packed[each] for each in image["layers"]]
            config = {
                "architecture": "amd64",
                "os": "linux",
                "config": image["config"],
                "rootfs": {"type": "layers", "diff_ids": [each["digest"] for each in layers]},
                "history": [{"created_by": "make_image.py"} for _ in layers],
            }
            kind = f"{KIND}.manifest.v1+json"
            manifest = {
                "schemaVersion": 2,
                "mediaType": kind,
                "config": _blob(tar, f"{KIND}.config.v1+json", config),
                "layers": layers,
            }
            described = _blob(tar, kind, manifest)
            found += [{**described, "annotations": {"io.containerd.image.name": name}} for name in image["names"]]
        _add(tar, "index.json", {"schemaVersion": 2, "manifests": found})
        _add(tar, "oci-layout", {"imageLayoutVersion": "1.0.0"})


def _layer(tar: tarfile.TarFile, file: Path, *, pack: bool) -> dict[str, Any]:
    """A layer's descriptor; it is not compressed, so its digest is that of what it holds too."""
    with open(file, "rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if pack:
        tar.add(file, f"blobs/sha256/{digest}")
    return {"mediaType": f"{KIND}.layer.v1.tar", "digest": f"sha256:{digest}", "size": file.stat().st_size}


def _blob(tar: tarfile.TarFile, kind: str, content: object) -> dict[str, Any]:
    data = json.dumps(content, sort_keys=True).encode()
    digest = hashlib.sha256(data).hexdigest()
    _add(tar, f"blobs/sha256/{digest}", content)
    return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(data)}


def _add(tar: tarfile.TarFile, name: str, content: object) -> None:
    data = json.dumps(content, sort_keys=True).encode()
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("layer")
    one.add_argument("out", type=Path)
    one.add_argument("directory", type=Path)
    one.add_argument("--since", type=Path)
    commands.add_parser("archive").add_argument("out", type=Path)
    asked = parser.parse_args()
    part = asked.out.with_name(f"{asked.out.name}.{os.getpid()}.part")  # a file of the final name is complete
    try:
        if asked.command == "layer":
            layer(part, asked.directory, asked.since)
        else:
            archive(part, json.load(sys.stdin))
        part.rename(asked.out)
    finally:
        part.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
