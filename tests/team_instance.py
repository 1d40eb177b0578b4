"""What a team shares, on loopback: PostgreSQL of the distribution, and a server that speaks S3. Both begin empty."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.mlflow_instance import free_port

PEOPLE = ("runuser", "-u", "postgres", "--")
"""PostgreSQL refuses to run as root."""
START_SECONDS = 60


def postgresql() -> Path | None:
    """The folder of PostgreSQL's own programs, the newest; None where it is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    at_hand = shutil.which("initdb")
    return found[-1].parent if found else Path(at_hand).parent if at_hand else None


@contextmanager
def database(programs: Path) -> Iterator[str]:
    """The URI of an empty database `mlflow`, until the end of the block."""
    port, person = free_port(), PEOPLE if os.geteuid() == 0 else ()
    with tempfile.TemporaryDirectory(prefix="glasshouse-") as name:
        folder = Path(name)
        if person:
            shutil.chown(folder, "postgres")

        def run(*command: str) -> None:
            subprocess.run([*person, *command], cwd=folder, check=True, capture_output=True)

        data, settings = str(folder / "data"), f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        run(str(programs / "initdb"), "-D", data, "-U", "mlflow", "--auth", "trust", "--no-sync")
        run(str(programs / "pg_ctl"), "-D", data, "-w", "-o", settings, "-l", str(folder / "log"), "start")
        try:
            run(str(programs / "createdb"), "-h", "127.0.0.1", "-p", str(port), "-U", "mlflow", "mlflow")
            yield f"postgresql://mlflow@127.0.0.1:{port}/mlflow"
        finally:
            run(str(programs / "pg_ctl"), "-D", data, "-m", "immediate", "-w", "stop")


@contextmanager
def s3(folder: Path, *buckets: str) -> Iterator[Mapping[str, str]]:
    """The variables of clients of an S3 server in a process of its own, with those buckets, until the block ends."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    variables = {
        "AWS_ENDPOINT_URL": url, "MLFLOW_S3_ENDPOINT_URL": url, "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "team", "AWS_SECRET_ACCESS_KEY": "not-a-secret",
    }  # fmt: skip
    with (folder / "s3.log").open("ab") as log:
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        for bucket in buckets:
            _made(bucket, variables, process)
        yield variables
    finally:
        process.terminate()
        process.wait()


def bucket_names(bucket: str, variables: Mapping[str, str]) -> list[str]:
    """The names of what lies in a bucket."""
    pages = client(variables).get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return [each["Key"] for page in pages for each in page.get("Contents", ())]


def _made(bucket: str, variables: Mapping[str, str], process: subprocess.Popen[bytes]) -> None:
    from botocore.exceptions import EndpointConnectionError

    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            client(variables).create_bucket(Bucket=bucket)
        except EndpointConnectionError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def client(variables: Mapping[str, str]):  # type: ignore[no-untyped-def]  # botocore has no types
    """A client of that server's, of botocore."""
    from botocore.session import Session

    return Session().create_client(
        "s3", endpoint_url=variables["AWS_ENDPOINT_URL"], region_name=variables["AWS_DEFAULT_REGION"],
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"], aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
    )  # fmt: skip
