"""The text of a file that Trimtab owns: a first line says who wrote it, the rest is the body.

# trimtab run=shop-front-20261124T141500-1a2b generation=7 sha256=<of everything below this line>
# Written by Trimtab; ...
gzip_comp_level 1;
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from domain.ports import Stamp

HINT = "# Written by Trimtab; `trimtab history` says why. Edit it by hand and Trimtab stops: people win."
_STAMP = re.compile(r"# trimtab run=(\S+) generation=(\d+) sha256=([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes of an include, read. `stamp` is None unless the first line is ours and its hash fits the rest."""

    text: str
    body: str
    stamp: Stamp | None
    claimed: Stamp | None  # the first line's claim, whether or not the hash fits

    @property
    def generation(self) -> int:
        """Never lower than any first line that was seen here, also under an edit by hand."""
        return self.claimed.generation if self.claimed is not None else 0

    @property
    def version(self) -> str:
        return f"{self.generation}:{hashlib.sha256(self.text.encode()).hexdigest()[:16]}"

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.body.encode()).hexdigest()


def parse(text: str) -> Content:
    """Split an include into first line and body."""
    first, _, rest = text.partition("\n")
    found = _STAMP.fullmatch(first.rstrip())
    if found is None:
        return Content(text, text, None, None)
    claimed = Stamp(found[1], int(found[2]))
    intact = hashlib.sha256(rest.encode()).hexdigest() == found[3]
    return Content(text, rest, claimed if intact else None, claimed)


def stamped(body: str, stamp: Stamp) -> str:
    """The whole file for a body."""
    digest = hashlib.sha256(body.encode()).hexdigest()
    return f"# trimtab run={stamp.run} generation={stamp.generation} sha256={digest}\n{body}"
