"""A recording's folder as bytes, to be kept with the look, and as a folder again.

The bytes come from our own database, and are unpacked as if they did not: regular files inside the folder, nothing
else. It must not know what a recording holds.
"""

from __future__ import annotations

import io
import tarfile
from pathlib import Path, PurePosixPath

from bot.errors import StoreError

LARGEST_BYTES = (
    256 * 1024 * 1024
)  # unpacked; a recording has some hundred kilobytes, an exact and deep one some millions


def pack(folder: Path) -> bytes:
    """The files of a folder as a .tar.gz."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.add(file, arcname=str(file.relative_to(folder)), recursive=False)
    return packed.getvalue()


def unpack(packed: bytes, folder: Path) -> None:
    """Write the files into a folder, which is new or empty. Raises StoreError."""
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise StoreError(f"{folder} is not an empty folder: name one that does not exist yet.")
        with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as archive:
            _write(archive, folder)
    except (tarfile.TarError, EOFError) as error:
        raise StoreError("The stored recording is damaged, and cannot be unpacked.") from error
    except OSError as error:
        raise StoreError(f"The recording cannot be written to {folder}: {error.strerror or error}.") from error


def _write(archive: tarfile.TarFile, folder: Path) -> None:
    left = LARGEST_BYTES
    for member in archive:
        name = PurePosixPath(member.name)
        if not member.isfile() or name.is_absolute() or ".." in name.parts:
            raise StoreError("The stored recording holds something that is no file of it, and was not unpacked.")
        left -= member.size
        content = archive.extractfile(member)
        if left < 0 or content is None:
            raise StoreError("The stored recording is larger than any recording is, and was not unpacked.")
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content.read())
