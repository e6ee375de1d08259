"""TorchServe with a custom handler in an archive, as its documentation says; one worker, no access log."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from peers.serving.servers.arguments import arguments

LOG = """<Configuration><Appenders><Console name="console"/></Appenders>
<Loggers><Root level="warn"><AppenderRef ref="console"/></Root></Loggers></Configuration>
"""
HANDLER = Path(__file__).with_name("torchserve_handler.py")


def main() -> None:
    told = arguments()
    programs = Path(sys.executable).parent
    archive = ["--model-name", "model", "--version", "1.0", "--handler", HANDLER, "--extra-files", told.model]
    subprocess.run([programs / "torch-model-archiver", *archive, "--export-path", told.folder], check=True)
    at = "http://127.0.0.1"
    (told.folder / "config.properties").write_text(
        f"inference_address={at}:{told.port}\nmanagement_address={at}:{told.grpc}\n"
        "metrics_mode=prometheus\nenable_metrics_api=false\nenable_envvars_config=false\n"
        "default_workers_per_model=1\ndisable_token_authorization=true\n"
    )
    os.environ["LOG_LOCATION"] = os.environ["METRICS_LOCATION"] = str(told.folder)
    (told.folder / "log4j2.xml").write_text(LOG)
    os.chdir(told.folder)
    command = [
        str(programs / "torchserve"),
        "--start",
        "--foreground",
        "--ncs",
        "--model-store",
        str(told.folder),
    ]
    command += ["--models", "model=model.mar", "--ts-config", "config.properties", "--disable-token-auth"]
    command += ["--log-config", str(told.folder / "log4j2.xml")]
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
