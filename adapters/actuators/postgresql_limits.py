"""What may be written to a PostgreSQL, and where writing would change nothing for the application."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from adapters.actuators.postgresql_conf import Content, Lines
from adapters.actuators.postgresql_values import Known, agrees
from adapters.catalogue import parameter as catalogue_entry
from domain.errors import Misconfigured
from domain.space import Parameter

# Parameters that say where a server lives, who may enter it, what is logged where, and how it is kept in copies. They
# belong to whoever runs the server; no measurement could justify changing one.
_DENIED = re.compile(
    r".*\..*|"  # of extensions, and our own
    r"data_directory|config_file|hba_file|ident_file|external_pid_file|dynamic_library_path|extension_control_path|"
    r"listen_addresses|port|unix_socket_.*|bonjour.*|cluster_name|allow_alter_system|allow_system_table_mods|"
    r"log_destination|logging_collector|log_directory|log_filename|log_file_mode|log_rotation_.*|log_truncate_.*|"
    r"syslog_.*|event_source|archive_.*|restore_.*|recovery_.*|primary_.*|promote_trigger_file|hot_standby|"
    r"synchronous_standby_names|synchronized_standby_slots|ssl.*|krb_.*|gss_.*|oauth_.*|authentication_timeout|"
    r"password_encryption|scram_iterations|db_user_namespace|role|session_authorization|row_security|"
    r"shared_preload_libraries|session_preload_libraries|local_preload_libraries|jit_provider|"
    r"zero_damaged_pages|ignore_.*|data_sync_retry|debug_.*|trace_.*|wal_consistency_checking"
)
_FROM_FILES = ("default", "configuration file")
_NEVER = ("internal",)


def refuse(parameters: Iterable[Parameter], names: Mapping[str, str]) -> None:
    """Raises Misconfigured for parameters that are not ours to change, whatever their value. `names`: parameter of the
    space → the server's name."""
    for parameter in parameters:
        name, policy = names[parameter.name], catalogue_entry(parameter.name).policy
        if policy in ("guard", "never"):
            raise Misconfigured(f"{parameter.name} has policy {policy}: it is read and never written; take it out")
        if _DENIED.fullmatch(name):
            raise Misconfigured(f"{parameter.name}: {name} belongs to whoever runs this server; take it out")


def check_contexts(known: Mapping[str, Known], restarts: bool) -> None:
    """Raises Misconfigured for parameters that this server takes up in no way that is allowed here."""
    for name, each in known.items():
        if each.context in _NEVER:
            raise Misconfigured(f"{name} cannot be set at all (context {each.context}); take it out")
        if each.context == "postmaster" and not restarts:
            raise Misconfigured(f"{name} needs a restart of this server, and the arm does not say how (restart: ...)")


def check_sources(application: Mapping[str, Known], content: Content, whose: str) -> None:
    """Raises Misconfigured where a value that the application gets does not come from the configuration files, so that
    writing there would change nothing for it. `application` is what a session of its role and database has in force."""
    for name, each in application.items():
        if each.source in _FROM_FILES:
            continue
        stored = content.stored(name)
        if each.source == "override" and (stored is None or stored.strip().startswith("-")):
            continue  # "automatic", which the server replaced by what it computed
        raise Misconfigured(
            f"{name}: for {whose} its value comes from {_SOURCES.get(each.source, each.source)}, which beats the "
            "configuration files; remove that, or take the parameter out"
        )


def not_in_force(lines: Lines, below: Mapping[str, str], application: Mapping[str, Known]) -> str:
    """Which of these lines (None: no line, so that what is `below` counts, or else the default) a session does not
    have in force, in words; empty if none. What comes from elsewhere than the files is left to `check_sources`."""
    wrong = []
    for name, line in lines.items():
        known, text = application[name], line if line is not None else below.get(name)
        if known.source not in (*_FROM_FILES, "override"):
            continue
        carried = known.source != "configuration file" if text is None else agrees(text, known)
        if known.pending or not carried:
            restart = " (waits for a restart)" if known.pending else ""
            wrong.append(
                f"{name} = {text if text is not None else 'its default'}{restart}, it runs with {known.setting}"
            )
    return "; ".join(wrong)


_SOURCES = {
    "command line": "the server's command line (-c)",
    "environment variable": "the server's environment",
    "global": "ALTER ROLE ALL SET",
    "database": "ALTER DATABASE SET",
    "user": "ALTER ROLE SET",
    "database user": "ALTER ROLE IN DATABASE SET",
    "client": "options of the connection (app_dsn, PGOPTIONS)",
    "session": "the session itself",
    "override": "the server itself (override)",
}
