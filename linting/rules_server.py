"""The rules about nginx and PostgreSQL."""

from __future__ import annotations

from linting.finding import ERROR, NOTE, WARNING, Rule

_NGINX = "nginx documentation, nginx.org/en/docs"
_CHANGES = "nginx CHANGES"
_POSTGRESQL = "PostgreSQL documentation, runtime-config"

NGINX_SYNTAX = Rule(
    "nginx-syntax",
    ERROR,
    "nginx cannot read the file",
    "nginx refuses the whole configuration: a start fails, and a reload keeps the old one.",
    "Correct the line; `nginx -t` tells whether the rest is right.",
    _NGINX,
)
NGINX_BOUNDS = Rule(
    "nginx-value",
    ERROR,
    "nginx refuses the value of a directive",
    "nginx refuses the whole configuration: a start fails, and a reload keeps the old one.",
    "Write a value that the directive takes.",
    _NGINX,
)
NGINX_DEFAULT = Rule(
    "nginx-default",
    NOTE,
    "An nginx directive is set to its default",
    "nginx does this without the line.",
    "Remove the line.",
    _NGINX,
    guide_by_name={"tcp_nodelay": ("S9.1-09",)},
)
NGINX_USE = Rule(
    "nginx-use",
    NOTE,
    "nginx is told which event method to use",
    "It picks the best one of the platform by itself, which is epoll on Linux.",
    "Remove the line.",
    _NGINX,
    ("S9.1-05",),
)
NGINX_OLD_DEFAULT = Rule(
    "nginx-old-default",
    WARNING,
    "An nginx directive is set back to the default of an older version",
    "The default was changed for a reason; writing the old one undoes the change.",
    "Remove the line, or write a value that was measured to help.",
    _CHANGES,
    guide_by_name={"keepalive_requests": ("S9.1-11",)},
)
NGINX_STATIC_ONLY = Rule(
    "nginx-static-only",
    NOTE,
    "A directive for files in a server that only proxies",
    "sendfile and tcp_nopush concern responses that nginx reads from a file; no location here has any.",
    "Remove the line.",
    _NGINX,
    guide_by_name={"sendfile": ("S9.1-07",), "tcp_nopush": ("S9.1-08",)},
)
NGINX_AUTO_WORKERS = Rule(
    "nginx-auto-workers",
    WARNING,
    "worker_processes auto in a container",
    "auto counts the cores of the node and knows nothing of the container's CPU limit (measured: two workers under "
    "half a CPU), so a node of 64 cores gives 64 workers that throttle each other.",
    "Write the CPU limit, rounded up: worker_processes 2;",
    "measured on nginx 1.22.1 with glibc 2.36",
    ("S9.1-01",),
)
NGINX_AFFINITY = Rule(
    "nginx-affinity",
    NOTE,
    "Workers are bound to cores in a container",
    "Under a CPU quota the cores belong to everybody: a bound worker waits for its core while others are free.",
    "Remove the line, unless the pod has exclusive cores.",
    _NGINX,
    ("S9.1-02",),
)
NGINX_UPSTREAM_NAME = Rule(
    "nginx-upstream-name",
    WARNING,
    "An upstream name that nginx has to find when it starts",
    "A name without a dot is known only inside one network of containers. Where it does not resolve nginx refuses to "
    "start (measured: host not found in upstream), and an address that changes later is never asked again.",
    "Use the full name of a service, and define that service; or resolve at run time (resolver, and `resolve` on the "
    "server line from 1.27.3 on).",
    "measured on nginx 1.22.1",
    ("S5.3-04", "S9.1-21"),
)
NGINX_UPSTREAM_KEEPALIVE = Rule(
    "nginx-upstream-keepalive",
    WARNING,
    "A new connection to the upstream for each request",
    "Before 1.29.7 nginx speaks HTTP/1.0 to upstreams and keeps no connection unless told.",
    'Write `keepalive 32;` in the upstream, `proxy_http_version 1.1;` and `proxy_set_header Connection "";`.',
    _CHANGES + " 1.29.7",
    ("S5.3-04", "S9.1-16"),
)
NGINX_ZONE = Rule(
    "nginx-upstream-zone",
    WARNING,
    "Balancing by load without shared memory",
    "Without `zone` each worker counts only its own connections, so the least loaded server of one worker may be the "
    "most loaded of all.",
    "Write `zone backend 64k;` in the upstream.",
    _NGINX,
    ("S5.3-01", "S9.1-16"),
)
NGINX_RELATION = Rule(
    "nginx-relation",
    WARNING,
    "nginx directives contradict each other",
    "Together these values break a rule that each of them alone keeps.",
    "Change one of the values that the rule names.",
    "the catalogue's constraints",
)
PG_SYNTAX = Rule(
    "postgresql-syntax",
    ERROR,
    "PostgreSQL cannot read the line",
    "The server does not start with this file, and a reload ignores the whole of it.",
    "Write `name = value`; text in single quotes.",
    _POSTGRESQL,
)
PG_UNKNOWN = Rule(
    "postgresql-unknown",
    ERROR,
    "A parameter that this version of PostgreSQL does not have",
    "The server stops at the start with FATAL: unrecognized configuration parameter.",
    "Remove the line.",
    "measured on PostgreSQL 13 to 18",
    guide_by_name={"checkpoint_segments": ("S9.2-12", "S9.2-15")},
)
PG_BOUNDS = Rule(
    "postgresql-value",
    ERROR,
    "PostgreSQL refuses the value of a parameter",
    "The server does not start with this file, and a reload ignores the whole of it.",
    "Write a value that the parameter takes.",
    _POSTGRESQL,
)
PG_DEFAULT = Rule(
    "postgresql-default",
    NOTE,
    "A parameter of PostgreSQL is set to its default",
    "The server does this without the line.",
    "Remove the line, or write a value that was measured to help.",
    _POSTGRESQL,
    guide_by_name={
        "work_mem": ("S9.2-03",),
        "maintenance_work_mem": ("S9.2-04",),
        "max_connections": ("S9.2-05",),
        "checkpoint_completion_target": ("S9.2-10",),
    },
)
PG_OLD_DEFAULT = Rule(
    "postgresql-old-default",
    WARNING,
    "A parameter of PostgreSQL is set back to the default of an older version",
    "The default was changed for a reason; writing the old one undoes the change.",
    "Remove the line, or write a value that was measured to help.",
    _POSTGRESQL,
)
PG_NEVER = Rule(
    "postgresql-never",
    ERROR,
    "A setting that can cost the data or the server",
    "It buys speed with corruption after a crash, or with a server that stops when transaction numbers run out.",
    "Keep it on.",
    _POSTGRESQL,
)
PG_LISTEN = Rule(
    "postgresql-listen",
    WARNING,
    "PostgreSQL listens on every address, and no rule says who may come in",
    "Whoever reaches the port may try to log in; it has nothing to do with speed.",
    "Put a pg_hba.conf beside it that names networks and uses scram-sha-256, and a NetworkPolicy in a cluster.",
    _POSTGRESQL,
    ("S9.2-06",),
)
PG_LOG_STATEMENT = Rule(
    "postgresql-log-statement",
    WARNING,
    "Every statement goes into the log",
    "Each query costs a write, and the log holds what users entered, passwords included.",
    "log_statement = 'ddl'; pg_stat_statements counts the rest.",
    _POSTGRESQL,
    ("S9.2-07",),
)
PG_LOG_DURATION = Rule(
    "postgresql-log-duration",
    WARNING,
    "The duration of every statement goes into the log",
    "That is a line for each statement, without its text.",
    "Remove the line; use log_min_duration_statement and pg_stat_statements.",
    _POSTGRESQL,
    ("S9.2-08",),
)
PG_RELATION = Rule(
    "postgresql-relation",
    WARNING,
    "Parameters of PostgreSQL contradict each other",
    "Together these values break a rule that each of them alone keeps.",
    "Change one of the values that the rule names.",
    "the catalogue's constraints",
)

RULES = (
    NGINX_SYNTAX,
    NGINX_BOUNDS,
    NGINX_DEFAULT,
    NGINX_USE,
    NGINX_OLD_DEFAULT,
    NGINX_STATIC_ONLY,
    NGINX_AUTO_WORKERS,
    NGINX_AFFINITY,
    NGINX_UPSTREAM_NAME,
    NGINX_UPSTREAM_KEEPALIVE,
    NGINX_ZONE,
    NGINX_RELATION,
    PG_SYNTAX,
    PG_UNKNOWN,
    PG_BOUNDS,
    PG_DEFAULT,
    PG_OLD_DEFAULT,
    PG_NEVER,
    PG_LISTEN,
    PG_LOG_STATEMENT,
    PG_LOG_DURATION,
    PG_RELATION,
)
