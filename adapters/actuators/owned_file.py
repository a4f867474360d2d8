"""An arm whose settings stand in one file that Trimtab owns: the actuator's contract over any program that can be made
to carry such a file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Protocol

from adapters.actuators import before_image
from adapters.actuators.before_image import locked, replace_text
from adapters.actuators.stamped import Content, parse, stamped
from domain.errors import Conflict, Misconfigured, Rejected, Stale, Transient
from domain.ports import Image, Stamp
from domain.space import Settings, Value


class Program(Protocol):
    """What runs under the file: how settings stand in a body, and how a body comes into force."""

    def settings_of(self, body: str) -> dict[str, Value]:
        """The values of the target's parameters; one that does not stand there has the program's default. Raises
        Misconfigured for a body that cannot be read."""

    def body_for(self, settings: Settings, owners: str, present: str) -> str:
        """The body that carries `settings` in the place of `present`; what is the owner's in `owners`, the body before
        the run, stays. Raises Rejected for settings that cannot be written."""

    def free(self) -> None:
        """Raises Transient while the program must not be given anything new."""

    def activate(self, content: Content) -> None:
        """Make the running program carry what its file now says. Raises Rejected if it will not, Misconfigured if it
        cannot be asked to; either way the former content is activated then."""

    def carries(self, content: Content) -> bool:
        """Whether the running program is proven to carry this content. Raises Transient if it does not run."""

    def effective(self, content: Content) -> dict[str, Value]:
        """The settings in force, read from the running program that carries `content`."""

    def renew(self, content: Content, since: float) -> None:
        """See `domain.ports.Actuator.renew`."""


class OwnedFile:
    """See `domain.ports.Actuator`. `example` is what a person should do where the file does not exist yet."""

    def __init__(self, config: Path, program: Program, example: str) -> None:
        self._config, self._program, self._example = config, program, example

    # --- the port ----------------------------------------------------------------------------------------------------

    def read(self) -> Image:
        content, before = self._content(), before_image.load(self._config)
        return Image(
            version=content.version,
            stamp=content.stamp,
            settings=self._program.settings_of(content.body),
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
            body = self._program.body_for(settings, before.body if before else content.body, content.body)
            self._activate(content, body, stamp)
        return self.read()

    def renew(self, since: float) -> None:
        with locked(self._config):
            self._program.renew(self._content(), since)

    def effective(self) -> Settings:
        content = self._content()
        if not self._program.carries(content):
            raise Transient(f"the running program is not proven to carry {self._config}")
        return self._program.effective(content)

    def disturbed(self, start: float, end: float) -> str:
        return ""

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
        if before is None or before.back or now <= before.deadline:
            return None
        with locked(self._config):
            content, before = self._content(), before_image.load(self._config)
            if before is None or before.back or now <= before.deadline:
                return None
            if content.digest not in before.ours and content.body != before.body:
                return f"{self._config}: past its deadline, but the content is not ours; left as it is"
            stamp = Stamp(before.run, content.generation + 1)
            # Told before done: a run that comes back in between finds its restore wanted, not a foreign hand. What did
            # not work is tried again at the next look.
            before_image.save(self._config, replace(before, reaped=True))
            self._activate(content, before.body, stamp)
            before_image.note_back(self._config)
        return f"{self._config}: run {before.run} was silent past its deadline; the original settings are back"

    # --- inside ------------------------------------------------------------------------------------------------------

    def _content(self) -> Content:
        try:
            return parse(self._config.read_text())
        except FileNotFoundError as error:
            raise Misconfigured(f"{self._config} does not exist; {self._example}") from error
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
        """Write, bring into force, prove; back to `content` if the target refuses."""
        wanted = parse(stamped(body, stamp))
        before_image.note_ours(self._config, wanted.digest)
        if body == content.body and self._carried(wanted):
            replace_text(self._config, wanted.text)  # nothing new for the program: only the generation grows
            return
        self._program.free()
        replace_text(self._config, wanted.text)
        try:
            self._program.activate(wanted)
        except (Rejected, Misconfigured) as refusal:
            replace_text(self._config, content.text)
            try:
                self._program.activate(content)
            except Misconfigured:
                raise refusal from None  # a person has to act either way
            except Rejected as error:
                raise Transient(f"refused ({refusal}), and what was in force before does not start: {error}") from error
            raise

    def _carried(self, wanted: Content) -> bool:
        try:
            return self._program.carries(wanted)
        except Transient:  # it does not run: to be activated
            return False
