"""Makes another version of gated from a wheel: `another.py WHEEL VERSION FOLDER [MODULE LINE]`.

Writes the wheel and its SHA256SUMS to FOLDER. With MODULE (such as `gated/app.py`), LINE goes before its first line, so
that this part breaks. RECORD has no digests, because pip does not check them (PEP 427).
"""

import hashlib
import sys
import zipfile
from pathlib import Path


def main(wheel: str, version: str, folder: str, module: str = "", line: str = "") -> None:
    old = Path(wheel).name.split("-")[1]
    out = Path(folder) / f"gated-{version}-py3-none-any.whl"
    out.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    names = []
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            data, renamed = source.read(name), name.replace(f"gated-{old}.dist-info", f"gated-{version}.dist-info")
            if name.endswith(".dist-info/METADATA"):
                data = data.replace(f"\nVersion: {old}".encode(), f"\nVersion: {version}".encode(), 1)
            if name == module:
                data = f"{line}\n".encode() + data
            if not name.endswith("/RECORD"):
                target.writestr(renamed, data)
                names.append(renamed)
        record = f"gated-{version}.dist-info/RECORD"
        target.writestr(record, "".join(f"{name},,\n" for name in [*names, record]))
    digest = hashlib.sha256(out.read_bytes()).hexdigest()
    (out.parent / "SHA256SUMS").write_text(f"{digest}  {out.name}\n")


main(*sys.argv[1:])
