"""Settings of one nginx: an include file, `nginx -t`, a reload, and proof that the running workers carry it.

Every write is compared and replaced under `flock` in one process. The file's first line carries run and generation; the
generation only ever grows, also when the original comes back, so that a late writer can never pass.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from adapters.actuators import before_image
from adapters.actuators.before_image import locked, replace_text
from adapters.actuators.nginx_include import Content, body_for, parse, settings_of, stamped
from adapters.actuators.nginx_process import Nginx
from domain.errors import Conflict, Misconfigured, Rejected, Stale, Transient
from domain.ports import Image, Stamp
from domain.space import SearchSpace, Settings

CLOCK_SLACK = 0.02  # seconds: a process' birth is known to a tick
MOST_DRAINING = 2  # generations of older workers that may still drain when the next reload comes


class NginxArm:
    """See `domain.ports.Actuator`. `place`: `config` (the include that Trimtab owns) and `pid` (the master's pid file);
    optional `main` (configuration for `nginx -t`), `prefix`, `binary`."""

    def __init__(self, place: Mapping[str, str], space: SearchSpace) -> None:
        self._nginx = Nginx(place)
        self._config = Path(place["config"])
        self._space = space

    # --- the port ----------------------------------------------------------------------------------------------------

    def read(self) -> Image:
        content, before = self._content(), before_image.load(self._config)
        return Image(
            version=content.version,
            stamp=content.stamp,
            settings=settings_of(content.body, self._space),
            generation=content.generation,
            protected=before.run if before else "",
            reaped=before.reaped if before else False,
        )

    def protect(self, run: str, deadline: float, expected: str | None = None) -> None:
        with locked(self._config):
            content = self._content() if expected is None else self._expect(expected)
            before_image.protect(self._config, content.body, run, deadline)

    def write(self, settings: Settings, stamp: Stamp, expected: str) -> Image:
        with locked(self._config):
            content = self._check(stamp, expected)
            before = before_image.load(self._config)
            body = body_for(settings, self._space, before.body if before else content.body)
            self._activate(content, body, stamp)
        return self.read()

    def renew(self) -> None:
        """nginx activates everything by a reload, so no candidate ever needs a new placement."""
        raise Misconfigured(f"{self._config}: an nginx arm has no placements; its settings need a reload only")

    def effective(self) -> Settings:
        content = self._content()
        if self._carried() != content.digest:
            raise Transient(f"the running nginx is not proven to carry {self._config}")
        return settings_of(content.body, self._space)

    def restore(self, stamp: Stamp, expected: str | None) -> Image:
        with locked(self._config):
            before = before_image.load(self._config)
            if before is None:
                raise Conflict(f"there is no before-image beside {self._config}")
            content = self._content()
            if expected is not None:
                content = self._check(stamp, expected)
            grown = replace(stamp, generation=max(stamp.generation, content.generation + 1))
            self._activate(content, before.body, grown)
        return self.read()

    def release(self, run: str, *, keep: bool = False) -> None:
        with locked(self._config):
            before_image.release(self._config, run, keep=keep)

    # --- the watchdog ------------------------------------------------------------------------------------------------

    def reap(self, now: float) -> str | None:
        """Bring the original back if the run was silent past its deadline and the content is ours. Returns what was
        done or found, in words; None if there was nothing to do."""
        before = before_image.load(self._config)
        if before is None or before.reaped or now <= before.deadline:
            return None
        with locked(self._config):
            content, before = self._content(), before_image.load(self._config)
            if before is None or before.reaped or now <= before.deadline:
                return None
            if content.digest not in before.ours and content.body != before.body:
                return f"{self._config}: past its deadline, but the content is not ours; left as it is"
            stamp = Stamp(before.run, content.generation + 1)
            # Told before done: a run that comes back in between finds its restore wanted, not a foreign hand.
            before_image.save(self._config, replace(before, reaped=True))
            self._activate(content, before.body, stamp)
        return f"{self._config}: run {before.run} was silent past its deadline; the original settings are back"

    # --- inside ------------------------------------------------------------------------------------------------------

    def _content(self) -> Content:
        try:
            return parse(self._config.read_text())
        except FileNotFoundError as error:
            raise Misconfigured(
                f"{self._config} does not exist; create it with the present settings and include it in the http block"
            ) from error
        except (OSError, UnicodeDecodeError) as error:
            raise Misconfigured(f"{self._config} cannot be read: {error}") from error

    def _expect(self, expected: str) -> Content:
        content = self._content()
        if content.version != expected:
            if content.stamp is not None:
                raise Stale(
                    f"{self._config} is at {content.version}, not {expected}: another writer of ours was faster"
                )
            raise Conflict(f"{self._config} was changed by somebody else (version {content.version})")
        return content

    def _check(self, stamp: Stamp, expected: str) -> Content:
        content = self._expect(expected)
        if stamp.generation <= content.generation:
            raise Stale(f"generation {stamp.generation} is not above {content.generation} of {self._config}")
        return content

    def _activate(self, content: Content, body: str, stamp: Stamp) -> None:
        """Write, test, reload, prove; back to `content` if the target refuses."""
        text = stamped(body, stamp)
        digest = parse(text).digest
        before_image.note_ours(self._config, digest)
        if body == content.body and self._carried() == digest:
            replace_text(self._config, text)  # nothing new for nginx: only the generation grows
            return
        if self._nginx.draining() >= MOST_DRAINING:
            raise Transient("workers of two older generations still drain; no reload on top of them")
        replace_text(self._config, text)
        try:
            self._nginx.test()
            self._nginx.reload()
        except Rejected:
            replace_text(self._config, content.text)
            self._nginx.reload()
            raise
        self._mark(digest)

    def _mark_file(self) -> Path:
        return self._config.with_name(f".{self._config.name}.carried")

    def _mark(self, digest: str) -> None:
        """What the workers that serve now carry, by their pid and birth."""
        serving = [[worker.pid, worker.born] for worker in self._nginx.workers() if not worker.leaving]
        replace_text(self._mark_file(), json.dumps({"digest": digest, "workers": serving}))

    def _carried(self) -> str | None:
        """The digest that the serving workers are known to carry, because they are those of our last reload, or
        because all of them were born after the file was last written; None if neither can be shown."""
        serving = [worker for worker in self._nginx.workers() if not worker.leaving]
        try:
            mark = json.loads(self._mark_file().read_text())
        except (OSError, ValueError):
            mark = {}
        if serving and mark.get("workers") == [[worker.pid, worker.born] for worker in serving]:
            return str(mark["digest"])
        if serving and self._nginx.born_at(serving[0]) > self._config.stat().st_mtime + CLOCK_SLACK:
            return self._content().digest
        return None
