"""`headwater plan` on a stream that falls behind, and the worked examples."""

import pathlib
import subprocess
import sys

from conftest import BINARY
from test_pipeline import make_stream

WORKED = pathlib.Path(__file__).parent.parent / 'examples' / 'worked-examples' / 'worked.py'


def run(server, *args, timeout=240):
    return subprocess.run(
        args, capture_output=True, text=True, timeout=timeout,
        env={'AWS_ENDPOINT_URL': server.endpoint, 'AWS_ACCESS_KEY_ID': 'test', 'AWS_SECRET_ACCESS_KEY': 'test',
             'AWS_REGION': 'us-east-1', 'AWS_DEFAULT_REGION': 'us-east-1', 'PATH': '/usr/bin:/bin'})


def test_the_worked_examples_come_out(fresh):
    server = fresh('--limits', 'off')
    done = run(server, sys.executable, str(WORKED), '--headwater', BINARY, '--scale', '0.1')
    assert done.returncode == 0, done.stdout + done.stderr
    assert 'FALLING BEHIND' in done.stdout and 'shards would keep up' in done.stdout, done.stdout
    assert done.stdout.count('none lost') == 1 and '6.00 tries a batch' in done.stdout, done.stdout


def test_an_idle_stream_needs_nothing(server, name):
    make_stream(server, name)
    done = run(server, BINARY, 'plan', '--stream', name, '--over', '1')
    assert done.returncode == 0, done.stderr
    assert 'no function reads it' in done.stdout and 'its 1 shards are enough' in done.stdout


def test_what_cannot_be_planned_is_said(server, name):
    done = run(server, BINARY, 'plan', '--stream', name + '-none', '--over', '1')
    assert done.returncode == 1 and 'there is no stream' in done.stderr
    done = run(server, BINARY, 'plan')
    assert done.returncode == 1 and '--records' in done.stderr and '--stream' in done.stderr
    assert run(server, BINARY, 'plan', '--apply').returncode == 2, 'only with --stream'
