"""Copies in a cloud storage, by rclone."""

import contextlib

from chronos_secrets.errors import TargetFailed
from chronos_secrets.systems import rclone
from chronos_secrets.vault.copies.place import Place, Spec
from chronos_secrets.vault.copies.record import Name


class Remote(Place):
    """A folder of an rclone remote."""

    def __init__(self, spec: Spec, remote: str) -> None:
        super().__init__(spec, f"the cloud storage {remote}")
        self._remote = remote

    def ready(self) -> None:
        rclone.names(self._remote)

    def names(self) -> list[Name]:
        return self.ours(rclone.names(self._remote))

    def write(self, name: Name, content: bytes) -> None:
        """Under another name first: some storages show a file before all of it is there, or what was cut off."""
        found = rclone.names(self._remote)
        for each in self.left(found):
            self._discard(each)
        if str(name) in found:
            return
        part = self.temporary(name)
        try:
            rclone.put(self._remote, part, content)
            if rclone.content(self._remote, part) != content:
                raise TargetFailed(f"{self.where} does not give back what was written to it")
            rclone.rename(self._remote, part, str(name))
        except BaseException:
            self._discard(part)
            raise

    def read(self, name: Name) -> bytes:
        return rclone.content(self._remote, str(name))

    def remove(self, name: Name) -> None:
        try:
            rclone.remove(self._remote, str(name))
        except TargetFailed:
            if str(name) in rclone.names(self._remote):
                raise

    def _discard(self, name: str) -> None:
        with contextlib.suppress(TargetFailed):
            rclone.remove(self._remote, name)
