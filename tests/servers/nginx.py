"""Starts nginx as an Invoke endpoint that answers every invoke at once with an empty list of failures."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.processes import Child, answers_ok
from tests.servers.tools import find_tool, free_port

_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
_CONFIG = """daemon off;
worker_processes 1;
pid nginx.pid;
error_log error.log;
events {{ worker_connections 4096; }}
http {{
{temporary}
    access_log off;
    default_type application/json;
    client_max_body_size 8m;
    keepalive_requests 1000000;
    server {{
        listen 127.0.0.1:{port};
        location = /health {{ return 200; }}
        location ~ ^/2015-03-31/functions/[^/]+/invocations$ {{
            add_header X-Amz-Executed-Version 1;
            add_header x-amzn-RequestId $request_id;
            return 200 '{{"batchItemFailures":[]}}';
        }}
    }}
}}
"""


@contextmanager
def nginx_sink(folder: Path) -> Iterator[str]:
    """Run it in `folder`; yields the endpoint to invoke functions at."""
    nginx, port = find_tool("nginx"), free_port()
    temporary = "\n".join(f"    {name}_temp_path {name};" for name in _TEMPORARY)
    (folder / "nginx.conf").write_text(_CONFIG.format(port=port, temporary=temporary))
    command = [nginx, "-p", str(folder), "-c", "nginx.conf", "-e", "error.log"]
    child = Child(command, log=folder / "nginx.log")
    try:
        child.wait_until(lambda: answers_ok(f"http://127.0.0.1:{port}/health"), seconds=20)
        yield f"http://127.0.0.1:{port}"
    finally:
        child.stop()
